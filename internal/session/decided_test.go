package session_test

import (
	"slices"
	"testing"

	"ml-intern/internal/approval"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// What a person allowed for the session, and what was opened beyond
// confinement, is read from the log again; what they denied is not.
func TestDecided(t *testing.T) {
	t.Parallel()
	store := &memory{}
	s, err := session.New(t.Context(), store, session.Opened{ID: "s"}, "go")
	if err != nil {
		t.Fatal(err)
	}
	yes := approval.Rule{Verdict: approval.Allow, Tool: "bash", Command: []string{"ls"}, Exact: true}
	for _, d := range []session.Decided{
		{CallID: "a", Verdict: approval.Allow, By: "person", For: approval.Session, Rules: []approval.Rule{yes}},
		{CallID: "b", Verdict: approval.Allow, By: "person", Grants: tool.Grants{Hosts: []string{"b.example", "a.example"}, Paths: []string{"/data"}}},
		{CallID: "c", Verdict: approval.Allow, By: "policy", Grants: tool.Grants{Hosts: []string{"a.example"}}},
		{CallID: "d", Verdict: approval.Deny, By: "person", Grants: tool.Grants{Paths: []string{"/etc"}}},
	} {
		if _, err := s.Record(t.Context(), session.Event{Decided: &d}); err != nil {
			t.Fatal(err)
		}
	}
	again, err := session.Open(t.Context(), store, "s")
	if err != nil {
		t.Fatal(err)
	}
	if rules := again.Rules(); len(rules) != 1 || rules[0].String() != yes.String() {
		t.Errorf("rules %v", rules)
	}
	if g := again.Grants(); !slices.Equal(g.Hosts, []string{"a.example", "b.example"}) || !slices.Equal(g.Paths, []string{"/data"}) {
		t.Errorf("grants %+v", g)
	}
}
