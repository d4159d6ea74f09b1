package session

import (
	"cmp"
	"slices"

	"ml-intern/internal/approval"
	"ml-intern/internal/tool"
)

// Rules lists what the person allowed for the rest of the session.
func (s *Session) Rules() []approval.Rule {
	var all []approval.Rule
	for d := range s.allowed() {
		all = append(all, d.Rules...)
	}
	return all
}

// Grants lists what was opened beyond confinement, each once.
func (s *Session) Grants() tool.Grants {
	var all tool.Grants
	for d := range s.allowed() {
		all.Paths = append(all.Paths, d.Grants.Paths...)
		all.Hosts = append(all.Hosts, d.Grants.Hosts...)
		all.GPU = all.GPU || d.Grants.GPU
	}
	slices.Sort(all.Paths)
	slices.Sort(all.Hosts)
	all.Paths, all.Hosts = slices.Compact(all.Paths), slices.Compact(all.Hosts)
	return all
}

// Granted is what a yes to the call opened beyond confinement.
func (s *Session) Granted(callID string) tool.Grants {
	var last tool.Grants
	for d := range s.allowed() {
		if d.CallID == callID {
			last = d.Grants
		}
	}
	return last
}

// allowed visits the decisions that said yes.
func (s *Session) allowed() func(yield func(*Decided) bool) {
	return func(yield func(*Decided) bool) {
		for _, ev := range s.events {
			if ev.Decided != nil && ev.Decided.Verdict == approval.Allow && !yield(ev.Decided) {
				return
			}
		}
	}
}

// Chosen is what the person set for the rest of the session, "" where they left
// it as it was.
func (s *Session) Chosen() Chose {
	var all Chose
	for _, ev := range s.events {
		if c := ev.Chose; c != nil {
			all = Chose{cmp.Or(c.Model, all.Model), cmp.Or(c.Effort, all.Effort), cmp.Or(c.Mode, all.Mode)}
		}
	}
	return all
}
