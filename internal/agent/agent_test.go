package agent_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/agent"
	"ml-intern/internal/approval"
	"ml-intern/internal/ledger"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
	"ml-intern/internal/session/sqlite"
	"ml-intern/internal/tool"
)

// answer is an Approver that always says the same.
type answer approval.Decision

func (a answer) Approve(_ context.Context, reqs []approval.Request) ([]approval.Decision, error) {
	decisions := make([]approval.Decision, len(reqs))
	for i := range reqs {
		decisions[i] = approval.Decision(a)
	}
	return decisions, nil
}

var (
	yes = answer{Verdict: approval.Allow}
	no  = answer{Verdict: approval.Deny, Reason: "too dear"}
)

// counter is a tool that counts its runs.
func counter(name string, effect tool.Effect, resumable bool, runs *int) tool.Tool {
	spec := tool.Spec{Effect: effect, Resumable: resumable, ToolSpec: llm.ToolSpec{Name: name}}
	return tool.New(spec, func(context.Context, struct{}, tool.Call) (tool.Output, error) {
		*runs++
		return tool.Output{Text: "counted"}, nil
	})
}

func newAgent(t *testing.T, model llm.Model, tools ...tool.Tool) *agent.Agent {
	t.Helper()
	router, err := tool.NewRouter(tools...)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &agent.Agent{
		Models: []llm.Model{model}, Tools: router, Policy: approval.AskFirst, Approver: yes, Guards: agent.Guards(),
		Ledger: &ledger.Account{}, MaxSteps: 30,
		Spill:  func(id, _ string) (string, error) { return filepath.Join(dir, id), nil },
		Reason: func(error) string { return "test" },
	}
}

func openStore(t *testing.T, dir string) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "sessions.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func begin(t *testing.T, store session.Store) *session.Session {
	t.Helper()
	s, err := session.New(t.Context(), store, session.Opened{ID: "s", Dir: "/w", Model: "script"}, "go")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run goes on with the session and returns the error that ended the turn.
func run(ctx context.Context, a *agent.Agent, s *session.Session, prompt string) (last error) {
	for _, err := range a.Run(ctx, s, prompt) {
		if err != nil {
			last = err
		}
	}
	return last
}

// kinds names the saved events of the session after the first prompt.
func kinds(s *session.Session) string {
	var names []string
	for _, ev := range s.Events()[2:] {
		names = append(names, kind(ev))
	}
	return strings.Join(names, " ")
}

func kind(ev session.Event) string {
	switch {
	case ev.Prompt != nil:
		return "prompt"
	case ev.Note != nil:
		return "note"
	case ev.Notice != nil:
		return "notice"
	case ev.Reserved != nil:
		return "reserved"
	case ev.Settled != nil:
		return "settled"
	case ev.Switched != nil:
		return "switched"
	case ev.Cleared != nil:
		return "cleared"
	case ev.Reply != nil:
		return "reply"
	case ev.Asked != nil:
		return "asked"
	case ev.Decided != nil:
		return "decided:" + ev.Decided.Verdict
	case ev.Started != nil:
		return "started"
	case ev.Waiting != nil:
		return "waiting"
	case ev.Result != nil:
		return "result"
	case ev.Compact != nil:
		return "compact"
	case ev.Failed != nil:
		return "failed"
	case ev.Checkpointed != nil:
		return "kept:" + ev.Checkpointed.When
	}
	return "?"
}

func TestTurn(t *testing.T) {
	tests := []struct {
		name    string
		replies []llmtest.Reply
		ask     agent.Approver
		want    string
		runs    int
	}{
		{"answer", []llmtest.Reply{llmtest.Say("hi")}, yes, "reply", 0},
		{
			"tool",
			[]llmtest.Reply{llmtest.Call("1", "count", "{}"), llmtest.Say("done")},
			yes,
			"reply asked decided:allow started result reply", 1,
		},
		{
			"refused",
			[]llmtest.Reply{llmtest.Call("1", "count", "{}"), llmtest.Say("ok")},
			no,
			"reply asked decided:deny result reply", 0,
		},
		{
			"unknown tool",
			[]llmtest.Reply{llmtest.Call("1", "nope", "{}"), llmtest.Say("ok")},
			yes,
			"reply started result reply", 0,
		},
		{
			"arguments that are not JSON",
			[]llmtest.Reply{llmtest.Call("1", "count", "["), llmtest.Say("ok")},
			yes,
			"reply started result reply", 0,
		},
		{
			"arguments that do not fit",
			[]llmtest.Reply{llmtest.Call("1", "count", `{"x":1}`), llmtest.Say("ok")},
			yes,
			"reply asked decided:allow started result reply", 0,
		},
		{"two calls with one id", []llmtest.Reply{
			llmtest.Calls(llm.ToolCall{ID: "1", Name: "count", Args: "{}"}, llm.ToolCall{ID: "1", Name: "count", Args: "{}"}), llmtest.Say("ok"),
		}, yes, "reply asked decided:allow decided:allow started result started result reply", 2},
		{
			"calls without ids",
			[]llmtest.Reply{llmtest.Call("", "count", "{}"), llmtest.Call("", "count", "{}"), llmtest.Say("ok")},
			yes,
			"reply asked decided:allow started result reply asked decided:allow started result reply", 2,
		},
		{
			"empty reply, then an answer",
			[]llmtest.Reply{{Chunks: []llm.Chunk{{End: &llm.End{Reason: llm.EndStop}}}}, llmtest.Say("hi")},
			yes,
			"reply note reply", 0,
		},
		{"cut off, then the rest", []llmtest.Reply{
			{Chunks: []llm.Chunk{{Text: "half"}, {End: &llm.End{Reason: llm.EndLength}}}}, llmtest.Say("the rest"),
		}, yes, "reply note reply", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			runs := 0
			a := newAgent(t, &llmtest.Script{Replies: tt.replies}, counter("count", tool.Publishes, false, &runs))
			a.Approver = tt.ask
			s := begin(t, openStore(t, t.TempDir()))
			if err := run(t.Context(), a, s, ""); err != nil {
				t.Fatal(err)
			}
			if got := kinds(s); got != tt.want || runs != tt.runs {
				t.Errorf("events:\n got %s\nwant %s\n%d runs, want %d", got, tt.want, runs, tt.runs)
			}
			checkTranscript(t, s.Messages())
		})
	}
}

// checkTranscript fails unless every call is followed by exactly one result.
func checkTranscript(t *testing.T, messages []llm.Message) {
	t.Helper()
	open := map[string]bool{}
	for _, m := range messages {
		for _, p := range m.Parts {
			switch {
			case p.Call != nil:
				if open[p.Call.ID] {
					t.Errorf("two calls have the id %s", p.Call.ID)
				}
				open[p.Call.ID] = true
			case p.Result != nil:
				if !open[p.Result.CallID] {
					t.Errorf("a result for %s without its call", p.Result.CallID)
				}
				delete(open, p.Result.CallID)
			}
		}
		if m.Role != llm.Tool && m.Role != llm.Assistant && len(open) > 0 {
			t.Errorf("calls without result: %v", open)
		}
	}
}

// A model call that fails is made again; a tool that ran is not.
func TestRetryNeverRepeatsATool(t *testing.T) {
	t.Parallel()
	runs := 0
	script := &llmtest.Script{Replies: []llmtest.Reply{
		llmtest.Call("1", "count", "{}"),
		{Chunks: []llm.Chunk{{Text: "half an ans"}}, Err: &llm.StatusError{Status: 503}},
		{Chunks: []llm.Chunk{{Text: "cut with no end"}}},
		llmtest.Say("whole answer"),
	}}
	a := newAgent(t, script, counter("count", tool.Reads, false, &runs))
	a.Retry = llm.RetryOptions{Wait: time.Millisecond}
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	if s.Answer() != "whole answer" || runs != 1 {
		t.Errorf("answer %q after %d runs", s.Answer(), runs)
	}
}

// Half a reply is never taken for an answer.
func TestCutReplyFails(t *testing.T) {
	t.Parallel()
	half := llmtest.Reply{Chunks: []llm.Chunk{{Text: "half"}}}
	a := newAgent(t, &llmtest.Script{Replies: []llmtest.Reply{half, half}})
	a.Retry = llm.RetryOptions{Tries: 2, Wait: time.Millisecond}
	s := begin(t, openStore(t, t.TempDir()))
	err := run(t.Context(), a, s, "")
	if !errors.Is(err, llm.ErrUnreachable) || s.Answered() {
		t.Errorf("err %v, answered %v", err, s.Answered())
	}
}

// A crash at any event goes on from the log, and no call runs twice unless it
// repeats nothing.
func TestResumeAfterEveryEvent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		stopAt               string
		plain, resumed, seen int // runs of a plain and of a resumable tool
	}{
		{"reply", 1, 1, 0},
		{"asked", 1, 1, 0},
		{"decided:allow", 1, 1, 0},
		{"started", 0, 1, 0},
		{"result", 1, 1, 0},
	} {
		for _, resumable := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s resumable=%v", tt.stopAt, resumable), func(t *testing.T) {
				t.Parallel()
				dir, runs := t.TempDir(), 0
				script := &llmtest.Script{Replies: []llmtest.Reply{llmtest.Call("1", "count", "{}"), llmtest.Say("done")}}
				a := newAgent(t, script, counter("count", tool.Publishes, resumable, &runs))
				store := openStore(t, dir)
				s := begin(t, store)
				for ev := range a.Run(t.Context(), s, "") {
					if kind(ev) == tt.stopAt {
						break // the crash
					}
				}
				s, err := session.Open(t.Context(), store, "s") // a new process
				if err != nil {
					t.Fatal(err)
				}
				if err := run(t.Context(), a, s, ""); err != nil {
					t.Fatal(err)
				}
				want := tt.plain
				if resumable {
					want = tt.resumed
				}
				if runs != want || !s.Answered() {
					t.Errorf("the tool ran %d times, want %d; events %s", runs, want, kinds(s))
				}
				if n := strings.Count(kinds(s), "result"); n != 1 {
					t.Errorf("%d results for one call: %s", n, kinds(s))
				}
				checkTranscript(t, s.Messages())
			})
		}
	}
}

// Reads of one reply run side by side; everything else alone and in order.
func TestParallelReads(t *testing.T) {
	t.Parallel()
	const n = 8
	arrived := make(chan bool, n)
	go1 := make(chan bool)
	read := tool.New(tool.Spec{Effect: tool.Reads, ToolSpec: llm.ToolSpec{Name: "read"}},
		func(ctx context.Context, _ struct{}, call tool.Call) (tool.Output, error) {
			arrived <- true
			if len(arrived) == n {
				close(go1)
			}
			select {
			case <-go1:
				return tool.Output{Text: call.ID}, nil
			case <-ctx.Done():
				return tool.Output{}, ctx.Err()
			}
		})
	var calls []llm.ToolCall
	for i := range n {
		calls = append(calls, llm.ToolCall{ID: fmt.Sprint(i), Name: "read", Args: "{}"})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := begin(t, openStore(t, t.TempDir()))
	a := newAgent(t, &llmtest.Script{Replies: []llmtest.Reply{llmtest.Calls(calls...), llmtest.Say("ok")}}, read)
	if err := run(ctx, a, s, ""); err != nil {
		t.Fatal(err)
	}
	for i, m := range s.Messages()[2 : 2+n] { // results stand in the order of the calls
		if want := fmt.Sprintf("s/%d", i); m.Parts[0].Result.Text != want {
			t.Errorf("result %d is %q, want %q", i, m.Parts[0].Result.Text, want)
		}
	}
}

// A canceled context ends the turn and its tools, and the log says why.
func TestCancel(t *testing.T) {
	t.Parallel()
	started := make(chan bool, 1)
	slow := tool.New(tool.Spec{Effect: tool.Executes, ToolSpec: llm.ToolSpec{Name: "slow"}},
		func(ctx context.Context, _ struct{}, call tool.Call) (tool.Output, error) {
			call.Log("working")
			started <- true
			<-ctx.Done()
			return tool.Output{}, ctx.Err()
		})
	a := newAgent(t, &llmtest.Script{Replies: []llmtest.Reply{llmtest.Call("1", "slow", "{}")}}, slow)
	cause := errors.New("the person pressed Ctrl-C")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-started; cancel(cause) }()
	s := begin(t, openStore(t, t.TempDir()))
	err := run(ctx, a, s, "")
	if got := kinds(s); !errors.Is(err, cause) || got != "reply started result failed" {
		t.Errorf("got %v after %s", err, got)
	}
}

// A tool that breaks is that call's result; its sibling finishes.
func TestPanicIsAResult(t *testing.T) {
	t.Parallel()
	runs := 0
	bad := tool.New(tool.Spec{Effect: tool.Reads, ToolSpec: llm.ToolSpec{Name: "bad"}},
		func(context.Context, struct{}, tool.Call) (tool.Output, error) { panic("oh") })
	a := newAgent(t, &llmtest.Script{Replies: []llmtest.Reply{
		llmtest.Calls(llm.ToolCall{ID: "1", Name: "bad", Args: "{}"}, llm.ToolCall{ID: "2", Name: "count", Args: "{}"}), llmtest.Say("ok"),
	}}, bad, counter("count", tool.Reads, false, &runs))
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	if r := s.Messages()[2].Parts[0].Result; !r.IsError || !strings.Contains(r.Text, "oh") || runs != 1 {
		t.Errorf("result %+v, sibling ran %d times", r, runs)
	}
}

// Nothing that the policy asks about runs when there is nobody to ask; the
// session can be resumed with another policy.
func TestNobodyToAsk(t *testing.T) {
	t.Parallel()
	runs := 0
	a := newAgent(t, &llmtest.Script{Replies: []llmtest.Reply{llmtest.Call("1", "count", "{}"), llmtest.Say("done")}},
		counter("count", tool.Publishes, false, &runs))
	a.Approver = agent.Nobody{}
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); !errors.Is(err, agent.ErrApproval) || runs != 0 {
		t.Fatalf("err %v after %d runs", err, runs)
	}
	a.Policy = approval.Auto
	if err := run(t.Context(), a, s, ""); err != nil || runs != 1 || !s.Answered() {
		t.Errorf("err %v after %d runs; %s", err, runs, kinds(s))
	}
}

// A new prompt settles what the turn before left behind.
func TestPromptAfterStop(t *testing.T) {
	t.Parallel()
	runs := 0
	a := newAgent(t, &llmtest.Script{Replies: []llmtest.Reply{llmtest.Call("1", "count", "{}"), llmtest.Say("done")}},
		counter("count", tool.Publishes, true, &runs))
	s := begin(t, openStore(t, t.TempDir()))
	for ev := range a.Run(t.Context(), s, "") {
		if kind(ev) == "reply" {
			break
		}
	}
	if err := run(t.Context(), a, s, "something else"); err != nil {
		t.Fatal(err)
	}
	if got, want := kinds(s), "reply result prompt reply"; got != want || runs != 0 {
		t.Errorf("got %s, want %s; %d runs", got, want, runs)
	}
	checkTranscript(t, s.Messages())
}

func TestStepLimit(t *testing.T) {
	t.Parallel()
	runs := 0
	var replies []llmtest.Reply
	for i := range 9 {
		replies = append(replies, llmtest.Call(fmt.Sprint(i), "count", "{}"))
	}
	a := newAgent(t, &llmtest.Script{Replies: replies}, counter("count", tool.Reads, false, &runs))
	a.Guards, a.MaxSteps = nil, 5
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); !errors.Is(err, agent.ErrSteps) || runs != 5 {
		t.Errorf("err %v after %d runs", err, runs)
	}
	// The limit is read from the log: going on is not a way around it.
	if err := run(t.Context(), a, s, ""); !errors.Is(err, agent.ErrSteps) || runs != 5 {
		t.Errorf("resumed: err %v after %d runs", err, runs)
	}
}

// A model call whose worst case could pass the cap is not made.
func TestCostCap(t *testing.T) {
	t.Parallel()
	script := &llmtest.Script{Replies: []llmtest.Reply{llmtest.Say("hi")}, Unpriced: true}
	a := newAgent(t, script)
	a.Ledger.Cap.Tokens = 10
	err := run(t.Context(), a, begin(t, openStore(t, t.TempDir())), "")
	if !errors.Is(err, ledger.ErrCap) || len(script.Requests()) != 0 {
		t.Errorf("err %v after %d requests", err, len(script.Requests()))
	}
}

// A model that says it could not do it has not answered.
func TestGaveUp(t *testing.T) {
	t.Parallel()
	script := &llmtest.Script{Replies: []llmtest.Reply{{Chunks: []llm.Chunk{{Text: "no such file"}, {End: &llm.End{Reason: llm.EndFailed}}}}}}
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), newAgent(t, script), s, ""); !errors.Is(err, agent.ErrGaveUp) || s.Answered() {
		t.Errorf("err %v, answered %v", err, s.Answered())
	}
}

// A tool that is silent shows signs of life, which are not saved.
func TestSignsOfLife(t *testing.T) {
	t.Parallel()
	slow := tool.New(tool.Spec{Effect: tool.Executes, ToolSpec: llm.ToolSpec{Name: "slow"}},
		func(context.Context, struct{}, tool.Call) (tool.Output, error) {
			time.Sleep(2500 * time.Millisecond)
			return tool.Output{Text: "done"}, nil
		})
	store := openStore(t, t.TempDir())
	s := begin(t, store)
	signs := 0
	for ev, err := range newAgent(t, &llmtest.Script{Replies: repeat(1, "slow")}, slow).Run(t.Context(), s, "") {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Log != nil && strings.HasPrefix(ev.Log.Line, "… ") {
			signs++
		}
	}
	if signs == 0 || kinds(s) != "reply started result reply" {
		t.Errorf("%d signs of life; %s", signs, kinds(s))
	}
}
