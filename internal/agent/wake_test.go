package agent_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ml-intern/internal/agent"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// A bell is a tool that waits until it is rung, and counts how often it looked.
type bell struct {
	rung  chan struct{}
	looks atomic.Int32
	since time.Time
}

func newBell() *bell { return &bell{rung: make(chan struct{})} }

func (b *bell) tool(effect tool.Effect) tool.Tool {
	spec := tool.Spec{Effect: effect, ToolSpec: llm.ToolSpec{Name: "wait"}}
	return tool.New(spec, func(_ context.Context, _ struct{}, call tool.Call) (tool.Output, error) {
		if b.looks.Add(1) == 1 {
			b.since = call.Since
		}
		select {
		case <-b.rung:
			return tool.Output{Text: "rung after waiting since " + call.Since.Sub(b.since).String()}, nil
		default:
			return tool.Output{Waits: &tool.Waiting{Jobs: []string{"job1"}}}, nil
		}
	})
}

// wake waits for the bell, and shows three lines meanwhile.
func (b *bell) wake(ctx context.Context, waits []session.Waiting, show func(session.Log)) error {
	for range 3 {
		show(session.Log{CallID: waits[0].CallID, Line: "still " + waits[0].Jobs[0]})
	}
	select {
	case <-b.rung:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A turn that waits ends without an answer and without asking the model; what
// stands beside the call that waits is run first.
func TestTurnEndsWaiting(t *testing.T) {
	t.Parallel()
	b, runs := newBell(), 0
	script := &llmtest.Script{Replies: []llmtest.Reply{
		llmtest.Calls(llm.ToolCall{ID: "1", Name: "wait", Args: "{}"}, llm.ToolCall{ID: "2", Name: "count", Args: "{}"}), llmtest.Say("done"),
	}}
	a := newAgent(t, script, b.tool(tool.Reads), counter("count", tool.Executes, false, &runs))
	dir := t.TempDir()
	store := openStore(t, dir)
	s := begin(t, store)
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	waits := s.Waiting()
	if len(waits) != 1 || waits[0].CallID != "1" || waits[0].Jobs[0] != "job1" || s.Answered() || runs != 1 {
		t.Fatalf("waits for %+v, answered %v, the other ran %d times: %s", waits, s.Answered(), runs, kinds(s))
	}
	s, err := session.Open(t.Context(), store, "s") // a new process: nothing has changed
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), a, s, ""); err != nil || len(s.Waiting()) != 1 || b.looks.Load() != 2 || runs != 1 {
		t.Fatalf("%v: waits for %+v after %d looks", err, s.Waiting(), b.looks.Load())
	}
	close(b.rung)
	if err := run(t.Context(), a, s, ""); err != nil || !s.Answered() || len(script.Requests()) != 2 {
		t.Fatalf("%v: answered %v after %d model calls", err, s.Answered(), len(script.Requests()))
	}
	if text := s.Messages()[2].Parts[0].Result.Text; text != "rung after waiting since 0s" {
		t.Errorf("a later look does not know when the call began: %s", text)
	}
	checkTranscript(t, s.Messages())
}

// Who stays is shown how things stand, goes on when there is something, and
// pays no model meanwhile.
func TestRunToAnswer(t *testing.T) {
	t.Parallel()
	b := newBell()
	script := &llmtest.Script{Replies: []llmtest.Reply{llmtest.Call("1", "wait", "{}"), llmtest.Say("done")}}
	a := newAgent(t, script, b.tool(tool.Reads))
	a.Wake = b.wake
	s := begin(t, openStore(t, t.TempDir()))
	logs, atRing := 0, 0
	for ev, err := range a.RunToAnswer(t.Context(), s, session.Prompt{}) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Log != nil && strings.HasPrefix(ev.Log.Line, "still") {
			if logs++; logs == 3 {
				atRing = len(script.Requests())
				close(b.rung)
			}
		}
	}
	if got, want := kinds(s), "reply started waiting started result reply"; got != want || atRing != 1 || logs != 3 {
		t.Errorf("got %s, want %s; %d model calls before it rang, %d lines", got, want, atRing, logs)
	}
}

// A stop ends the waiting as it ends a turn, and the session can go on.
func TestStopWhileWaiting(t *testing.T) {
	t.Parallel()
	b := newBell()
	script := &llmtest.Script{Replies: []llmtest.Reply{llmtest.Call("1", "wait", "{}"), llmtest.Say("done")}}
	a := newAgent(t, script, b.tool(tool.Reads))
	a.Wake = b.wake
	s := begin(t, openStore(t, t.TempDir()))
	cause := errors.New("the time is over")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var last error
	for ev, err := range a.RunToAnswer(ctx, s, session.Prompt{}) {
		if ev.Log != nil {
			cancel(cause)
		}
		if err != nil {
			last = err
		}
	}
	if got := kinds(s); !errors.Is(last, cause) || got != "reply started waiting failed" {
		t.Fatalf("%v after %s", last, got)
	}
	for ev := range a.RunToAnswer(t.Context(), s, session.Prompt{}) { // a reader that leaves ends it too
		if ev.Log != nil {
			break
		}
	}
	close(b.rung)
	if err := runToAnswer(t.Context(), a, s); err != nil || !s.Answered() {
		t.Errorf("%v: %s", err, kinds(s))
	}
}

func runToAnswer(ctx context.Context, a *agent.Agent, s *session.Session) (last error) {
	for _, err := range a.RunToAnswer(ctx, s, session.Prompt{}) {
		if err != nil {
			last = err
		}
	}
	return last
}

// A person who speaks meanwhile is answered; the call is told that what it
// waited for goes on.
func TestPromptWhileWaiting(t *testing.T) {
	t.Parallel()
	b := newBell()
	a := newAgent(t, &llmtest.Script{Replies: []llmtest.Reply{llmtest.Call("1", "wait", "{}"), llmtest.Say("done")}}, b.tool(tool.Reads))
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), a, s, "how is it?"); err != nil || !s.Answered() {
		t.Fatalf("%v: %s", err, kinds(s))
	}
	if r := s.Messages()[2].Parts[0].Result; !strings.Contains(r.Text, "it goes on") {
		t.Errorf("the call was told %+v", r)
	}
	checkTranscript(t, s.Messages())
}

// What cannot be resumed must not wait: its result would never come.
func TestOnlyResumableCallsWait(t *testing.T) {
	t.Parallel()
	b := newBell()
	a := newAgent(t, &llmtest.Script{Replies: []llmtest.Reply{llmtest.Call("1", "wait", "{}"), llmtest.Say("done")}}, b.tool(tool.Executes))
	s := begin(t, openStore(t, t.TempDir()))
	err := run(t.Context(), a, s, "")
	if r := s.Messages()[2].Parts[0].Result; err != nil || !s.Answered() || len(s.Waiting()) > 0 || !r.IsError {
		t.Errorf("%v: %s", err, kinds(s))
	}
}
