package approval

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"ml-intern/internal/approval/shell"
	"ml-intern/internal/tool"
)

// Ruled is a Policy of a mode with rules over it. Rules narrow every mode.
// They widen it by leave of the person alone: from a question to a yes, and
// never past what the mode refuses, except that a rule of the person's own
// which names exactly that may allow auto what nobody can take back.
type Ruled struct {
	Mode    Mode
	Own     []Rule // of the person's files, in any order
	Project []Rule // of the workspace's file
	Trusted bool   // the person trusts that file, so its rules may allow too
	Dir     string // the workspace, absolute: where relative paths begin
	Real    string // the workspace without symbolic links; "" if it is the same
	Home    string // what ~ stands for

	// Guarded are files and folders that decide what is allowed: no call may
	// write them, whatever the mode and the rules.
	Guarded []string
}

// String is the mode, as those who only name the policy see it.
func (p Ruled) String() string { return string(p.Mode) }

// NewRuled returns the policy with its rules in the order in which they are
// tried.
func NewRuled(p Ruled) Ruled {
	p.Own, p.Project = p.ordered(p.Own), p.ordered(p.Project)
	return p
}

// ordered makes paths absolute and puts the most specific first.
func (p Ruled) ordered(rules []Rule) []Rule {
	sorted := slices.Clone(rules)
	for i, u := range sorted {
		if u.Path != "" {
			sorted[i].Path = filepath.ToSlash(p.absolute(u.Path))
		}
	}
	slices.SortStableFunc(sorted, compare)
	return sorted
}

// Decide implements Policy.
func (p Ruled) Decide(r Request) Decision {
	d := p.judge(r)
	if d.Verdict == Ask {
		d.Remember = p.remember(r)
	}
	return d
}

func (p Ruled) judge(r Request) Decision {
	byMode := p.Mode.Decide(r)
	session := p.ordered(r.Rules)
	uncovered, asked := false, (*Decision)(nil)
	for _, part := range p.parts(r) {
		rule, found := p.rule(part, r, session)
		switch {
		case p.guards(part):
			return Decision{Verdict: Deny, Reason: fmt.Sprintf("%s decides what is allowed here, or runs by itself; only a person may change it", part.text)}
		case found && rule.Verdict == Deny:
			return Decision{Verdict: Deny, Reason: rule.why(part)}
		case found && rule.Verdict == Ask:
			asked = &Decision{Verdict: Ask, Reason: rule.why(part), ByRule: true}
		case part.must && (!found || part.final && !slices.ContainsFunc(p.Own, func(u Rule) bool { return u.same(rule) })):
			uncovered = true
		}
	}
	switch {
	case byMode.Verdict == Deny && p.Mode == Plan, asked == nil && uncovered:
		return byMode
	case asked != nil && byMode.Verdict == Deny:
		return byMode
	case asked != nil:
		return *asked
	}
	return Decision{Verdict: Allow}
}

// guards reports whether the part writes what decides about it.
func (p Ruled) guards(part part) bool {
	return part.kind == aPath && part.effect == tool.Writes && slices.ContainsFunc(p.Guarded, func(name string) bool {
		rel, err := filepath.Rel(name, part.text)
		return err == nil && filepath.IsLocal(rel)
	})
}

func (u Rule) same(v Rule) bool { return u.String() == v.String() }

// rule is what decides about a part: the first of the person's rules that
// covers it, unless the project's own are more careful. Those allow only what
// the person has no rule for, and only when they are trusted.
func (p Ruled) rule(part part, r Request, session []Rule) (Rule, bool) {
	mine, found := first(p.Own, session, part, r)
	theirs, foundTheirs := first(p.Project, nil, part, r)
	switch {
	case !foundTheirs, theirs.Verdict == Allow && (found || !p.Trusted || part.final):
		return mine, found
	case !found, care(theirs.Verdict) > care(mine.Verdict):
		if theirs.Reason != "" {
			theirs.Reason = "a rule of this folder says: " + theirs.Reason
		}
		return theirs, true
	}
	return mine, true
}

// first is the first of the rules that covers the part, those of the session
// among them.
func first(rules, session []Rule, part part, r Request) (Rule, bool) {
	covers := func(u Rule) bool { return u.covers(part, r) }
	i := slices.IndexFunc(rules, covers)
	j := slices.IndexFunc(session, covers)
	switch {
	case i < 0 && j < 0:
		return Rule{}, false
	case i < 0 || j >= 0 && compare(session[j], rules[i]) < 0:
		return session[j], true
	}
	return rules[i], true
}

// why is the reason that a rule gives.
func (u Rule) why(p part) string {
	if u.Reason != "" {
		return u.Reason
	}
	what := fmt.Sprintf("%.200s", strings.ToValidUTF8(p.text, "?"))
	verb := map[string]string{Deny: "denies", Ask: "asks about"}[u.Verdict]
	switch {
	case p.text == "":
		return fmt.Sprintf("it writes to a file that is not known before it runs, and a rule %s some (%s): name the file plainly", verb, u)
	case p.kind == aCommand && slices.ContainsFunc(p.words, func(w shell.Word) bool { return !w.Known }):
		return fmt.Sprintf("what %s will be is not known before it runs, and it may be what a rule %s (%s): name the program plainly", what, verb, u)
	case p.kind == aCommand:
		return fmt.Sprintf("it runs %s, and a rule %s that (%s)", what, verb, u)
	case p.kind == isUnknown:
		return fmt.Sprintf("%s, and it may be what a rule %s (%s): name the program plainly", what, verb, u)
	case p.kind == wholeCall:
		return fmt.Sprintf("a rule %s it (%s)", verb, u)
	}
	return fmt.Sprintf("it names %s, and a rule %s that (%s)", what, verb, u)
}

// remember lists the narrowest rules with which the call would not have been
// asked about; none if no rule should do that.
func (p Ruled) remember(r Request) []Rule {
	var rules []Rule
	session := p.ordered(r.Rules)
	for _, part := range p.parts(r) {
		rule, found := p.rule(part, r, session)
		if !part.must || found && rule.Verdict == Allow {
			continue
		}
		u, ok := part.narrowest(r)
		if !ok {
			return nil
		}
		if !slices.ContainsFunc(rules, u.same) {
			rules = append(rules, u)
		}
	}
	r.Rules = append(slices.Clone(r.Rules), rules...)
	if len(rules) == 0 || p.judge(r).Verdict != Allow {
		return nil
	}
	return rules
}

// WithHook is the decision after a hook had its say: it may deny what is
// allowed and ask about it, and answer a question in the person's place, but
// not one that a rule of theirs puts, nor about what nobody can take back or
// what lies beyond confinement.
func WithHook(d Decision, r Request, hook Decision) Decision {
	i := r.Impact
	switch {
	case hook.Verdict == Deny && d.Verdict != Deny:
		return Decision{Verdict: Deny, Reason: "a hook said no: " + hook.Reason}
	case hook.Verdict == Ask && d.Verdict == Allow:
		return Decision{Verdict: Ask, Reason: "a hook asks: " + hook.Reason, ByRule: true}
	case hook.Verdict == Allow && d.Verdict == Ask && !d.ByRule && !i.Deletes && !i.Public && !i.Recurring && i.Grants.IsZero():
		return Decision{Verdict: Allow}
	}
	return d
}

// asksFor says in words what a call asks for beyond confinement.
func asksFor(g tool.Grants) string {
	return "it asks to reach " + strings.Join(g.Names(), ", ") + ", beyond confinement"
}
