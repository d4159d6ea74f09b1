package tui

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"ml-intern/internal/chat"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// helped is a stage whose calls of research have sub-agents: what they did is
// given two events at a time.
type helped struct {
	*stage
	did   map[string][]session.Event // by session
	reads int
	err   error
}

func (a *helped) SubAgentID(callID string) string { return "s1-" + callID }

func (a *helped) SubAgent(id string, after int64) ([]session.Event, error) {
	a.reads++
	events := a.did[id]
	events = events[min(after, int64(len(events))):]
	return events[:min(len(events), 2)], a.err
}

// do adds to what a sub-agent did.
func (a *helped) do(id string, events ...session.Event) {
	for _, ev := range events {
		ev.Seq, ev.Time = int64(len(a.did[id]))+1, a.clock
		a.did[id] = append(a.did[id], ev)
	}
}

// look is what happens after a second.
func (a *helped) look() { a.send(a.m.readSub(a.m.sub, 0)()) }

func called(id, name, args string) session.Event {
	return session.Event{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{
		{Text: "I look for **recent** work."}, {Call: &llm.ToolCall{ID: id, Name: name, Args: args}},
	}}}}}
}

func newHelped(t *testing.T, width, height int) *helped {
	t.Helper()
	a := &helped{stage: newStage(t, width, height), did: map[string][]session.Event{}}
	a.m.talk = a
	a.event(
		session.Event{Prompt: &session.Prompt{Text: "what is known about calibration?"}},
		called("c1", "research", `{"task":"find how trees are calibrated, with sources"}`),
		session.Event{Started: &session.Started{CallID: "c1"}},
		session.Event{Log: &session.Log{CallID: "c1", Line: "papers search"}},
	)
	a.state(chat.State{Phase: chat.Working})
	return a
}

// Tab opens what a sub-agent does, while it works and after it; Esc goes back and
// stops nothing.
func TestSubAgentOpens(t *testing.T) {
	t.Parallel()
	a := newHelped(t, 80, 24)
	a.press("tab")
	if got := a.screen(); !strings.Contains(got, "it has not begun yet") {
		t.Errorf("before it begins:\n%s", got)
	}
	a.do("s1-c1",
		session.Event{Opened: &session.Opened{ID: "s1-c1", Parent: "s1"}},
		session.Event{Prompt: &session.Prompt{Text: "find how trees are calibrated, with sources"}},
		called("p1", "papers", `{"operation":"search","query":"calibration of trees"}`),
		session.Event{Started: &session.Started{CallID: "p1"}},
		session.Event{Result: &session.Result{CallID: "p1", Output: tool.Output{Text: "1. Niculescu 2005\n2. Guo 2017", Summary: "found 2 papers"}, Seconds: 2}},
	)
	a.look()
	a.golden("sub-agent-80x24")
	a.do("s1-c1", called("r1", "report", `{"answer":"isotonic"}`))
	a.look()
	if got := a.screen(); !strings.Contains(got, "report") || !strings.Contains(got, "sub-agent · find how trees are calibrated") {
		t.Errorf("it is not live:\n%s", got)
	}
	a.press("esc")
	if len(a.said) > 0 || a.m.sub != nil {
		t.Errorf("Esc did %q", a.said)
	}
	if got := a.screen(); !strings.Contains(got, "what is known about calibration?") {
		t.Errorf("not back:\n%s", got)
	}
	a.event(session.Event{Result: &session.Result{CallID: "c1", Output: tool.Output{
		Text: "report of sub-agent s1-c1\nAnswer: isotonic regression", Summary: "research: 2 model calls", Spent: &tool.Spent{Session: "s1-c1"},
	}}})
	a.state(chat.State{})
	a.press("tab")
	a.golden("sub-agent-over-80x24")
	reads := a.reads
	a.press("alt+up", "alt+up", "enter") // opens a call of the sub-agent
	if got := a.screen(); !strings.Contains(got, "calibration of trees") || a.reads != reads {
		t.Errorf("%d reads after it was over:\n%s", a.reads-reads, got)
	}
	a.write("thanks")
	a.press("enter")
	if a.m.sub != nil || a.said[len(a.said)-1] != "say thanks" {
		t.Errorf("a prompt does not go back to the conversation: %q", a.said)
	}
}

// A long session comes page by page, and is scrolled like the conversation.
func TestLongSubAgent(t *testing.T) {
	t.Parallel()
	a := newHelped(t, 40, 12)
	a.do("s1-c1", session.Event{Prompt: &session.Prompt{Text: "read it all"}})
	for i := range 300 {
		id := fmt.Sprint(i)
		a.do("s1-c1", called(id, "web_fetch", `{"url":"https://x.example/`+id+`"}`), session.Event{Result: &session.Result{CallID: id, Output: tool.Output{Text: "text " + id}}})
	}
	a.press("tab")
	if a.reads < 300 || a.m.sub.after != 601 {
		t.Errorf("%d reads to event %d", a.reads, a.m.sub.after)
	}
	a.golden("sub-agent-long-40x12")
	a.press("pgup", "pgup", "ctrl+home")
	if got := a.screen(); !strings.Contains(got, "read it all") || !strings.Contains(got, "more · End") {
		t.Errorf("at the beginning:\n%s", got)
	}
	a.press("end")
	if got := a.screen(); !strings.Contains(got, "x.example/299") {
		t.Errorf("at the end:\n%s", got)
	}
}

// A sub-agent of a session that was copied is that of the original; one whose
// session is gone, or cannot be read, is said to be.
func TestSubAgentElsewhere(t *testing.T) {
	t.Parallel()
	a := newHelped(t, 80, 24)
	a.do("s0-c1", session.Event{Prompt: &session.Prompt{Text: "the original's"}})
	a.event(session.Event{Result: &session.Result{CallID: "c1", Output: tool.Output{Text: "done", Spent: &tool.Spent{Session: "s0-c1"}}}})
	a.state(chat.State{})
	a.press("tab")
	if got := a.screen(); !strings.Contains(got, "the original's") || !strings.Contains(got, "what it told the model: done") {
		t.Errorf("the original's is not shown:\n%s", got)
	}
	delete(a.did, "s0-c1")
	a.press("esc", "tab")
	if got := a.screen(); !strings.Contains(got, "what it told the model: done") {
		t.Errorf("what was reported is not shown:\n%s", got)
	}
	a.err = errors.New("the disk fails")
	a.press("esc", "tab")
	if got := a.screen(); !strings.Contains(got, "the disk fails") {
		t.Errorf("the failure is not shown:\n%s", got)
	}
	a.err = nil
	a.brought = chat.Result{SubAgent: "s9-x"}
	a.press("esc")
	a.write("/agents s9-x")
	a.press("enter")
	if got := a.screen(); !strings.Contains(got, "its session is not there") {
		t.Errorf("a session that is gone:\n%s", got)
	}
}

// Where nothing can be read, Tab opens the result as it does for all calls.
func TestResultOpensWithoutSubAgents(t *testing.T) {
	t.Parallel()
	a := newHelped(t, 80, 24)
	a.m.talk = a.stage
	a.event(session.Event{Result: &session.Result{CallID: "c1", Output: tool.Output{Text: "all of the report"}}})
	a.press("tab")
	if got := a.screen(); a.m.sub != nil || !strings.Contains(got, "all of the report") {
		t.Errorf("shown\n%s", got)
	}
}
