package agent_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/agent"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// keeping is an agent with a tool for each effect that matters, whose
// checkpoints have the error.
func keeping(t *testing.T, err error, replies ...llmtest.Reply) (*agent.Agent, *session.Session) {
	t.Helper()
	var looks, writes int
	a := newAgent(t, &llmtest.Script{Replies: replies}, counter("look", tool.Reads, true, &looks), counter("write", tool.Executes, false, &writes))
	a.Checkpoint = func(_ context.Context, when string) (session.Checkpointed, error) {
		return session.Checkpointed{When: when, ID: "x"}, err
	}
	return a, begin(t, openStore(t, t.TempDir()))
}

// Files are kept once a turn, before the first call that may change some is
// saved as started, and again when the turn has ended, whatever its end is.
func TestCheckpoints(t *testing.T) {
	t.Parallel()
	a, s := keeping(t, nil,
		llmtest.Call("1", "look", "{}"), llmtest.Call("2", "write", "{}"), llmtest.Call("3", "write", "{}"), llmtest.Say("done"),
		llmtest.Call("4", "look", "{}"), llmtest.Say("only looked"),
		llmtest.Call("5", "write", "{}"), llmtest.Reply{Err: llm.ErrAuth})
	for _, prompt := range []string{"", "look"} {
		if err := run(t.Context(), a, s, prompt); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(t.Context(), a, s, "fail"); !errors.Is(err, llm.ErrAuth) {
		t.Fatal(err)
	}
	want := "reply started result reply kept:before started result reply started result reply kept:after" +
		" prompt reply started result reply" +
		" prompt reply kept:before started result kept:after failed"
	if got := without(kinds(s), "reserved", "settled", "asked", "decided:allow"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if s.Answered() {
		t.Error("a turn that failed is answered")
	}
}

// A reader who goes away, and a process that is killed, leave a turn open. A
// reader's is closed at once, a killed one's by the next prompt.
func TestCheckpointOfAnOpenTurn(t *testing.T) {
	t.Parallel()
	a, s := keeping(t, nil, llmtest.Call("1", "write", "{}"), llmtest.Call("2", "write", "{}"), llmtest.Say("done"))
	for ev := range a.Run(t.Context(), s, "") {
		if ev.Started != nil {
			break
		}
	}
	if s.Unsettled() {
		t.Error("the reader has gone and what the turn left is not recorded")
	}
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	if s.Unsettled() || s.Checkpointed() {
		t.Error("what the turn left is not recorded")
	}
	killed, err := s.Record(t.Context(), session.Event{Checkpointed: &session.Checkpointed{When: session.BeforeWrite}})
	if err != nil || !s.Unsettled() {
		t.Fatal(err)
	}
	a.Models = []llm.Model{&llmtest.Script{Replies: []llmtest.Reply{llmtest.Say("on")}}}
	if err := run(t.Context(), a, s, "and now?"); err != nil {
		t.Fatal(err)
	}
	if after := s.Events()[killed.Seq]; kind(after) != "kept:after" {
		t.Errorf("%s comes after the turn that was killed", kind(after))
	}
}

// Where nothing can be kept the work goes on, and the person is told once.
func TestNoWayBack(t *testing.T) {
	t.Parallel()
	a, s := keeping(t, errors.New("the disk is full"),
		llmtest.Call("1", "write", "{}"), llmtest.Say("done"), llmtest.Call("2", "write", "{}"), llmtest.Say("done"))
	for _, prompt := range []string{"", "again"} {
		if err := run(t.Context(), a, s, prompt); err != nil {
			t.Fatal(err)
		}
	}
	want := "reply notice started result reply prompt reply started result reply"
	if got := without(kinds(s), "reserved", "settled", "asked", "decided:allow"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// without leaves out words.
func without(words string, leave ...string) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(words), func(w string) bool { return slices.Contains(leave, w) }), " ")
}
