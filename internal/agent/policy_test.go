package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"ml-intern/internal/agent"
	"ml-intern/internal/approval"
	"ml-intern/internal/hook"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// toucher is a tool of that impact, which shows what it would do.
func toucher(impact tool.Impact, runs *int) tool.Tool {
	spec := tool.Spec{ToolSpec: llm.ToolSpec{Name: "touch"}, Effect: impact.Effect}
	spec.Impact = func(string) tool.Impact { return impact }
	spec.Show = func(context.Context, string) string { return "the whole change" }
	return tool.New(spec, func(context.Context, struct{}, tool.Call) (tool.Output, error) {
		*runs++
		return tool.Output{Text: "touched"}, nil
	})
}

// asker is an Approver that always says the same and notes what it is asked.
type asker struct {
	says  approval.Decision
	asked *[]approval.Request
}

func (a asker) Approve(_ context.Context, reqs []approval.Request) ([]approval.Decision, error) {
	*a.asked = append(*a.asked, reqs...)
	decisions := make([]approval.Decision, len(reqs))
	for i := range reqs {
		decisions[i] = a.says
	}
	return decisions, nil
}

func touches(n int) *llmtest.Script {
	var replies []llmtest.Reply
	for i := range n {
		replies = append(replies, llmtest.Call(fmt.Sprint(i), "touch", "{}"))
	}
	return &llmtest.Script{Replies: append(replies, llmtest.Say("done"))}
}

// A yes for the session, or for always, is asked for once; it survives a new
// process, and what could not be written still holds for the session.
func TestYesForMore(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		how      string
		fails    bool
		written  int
		recorded string
	}{
		{approval.Session, false, 0, approval.Session},
		{approval.Always, false, 1, approval.Always},
		{approval.Always, true, 0, approval.Session},
	} {
		t.Run(fmt.Sprintf("%s, fails: %v", tt.how, tt.fails), func(t *testing.T) {
			t.Parallel()
			var asked []approval.Request
			var written []approval.Rule
			runs := 0
			a := newAgent(t, touches(3), toucher(tool.Impact{Effect: tool.Writes, Paths: []string{"/w/a"}}, &runs))
			a.Policy = approval.NewRuled(approval.Ruled{Mode: approval.Strict, Dir: "/w"})
			a.Approver = asker{approval.Decision{Verdict: approval.Allow, For: tt.how}, &asked}
			a.Remember = func(rules []approval.Rule) (string, error) {
				if tt.fails {
					return "", errors.New("the disk is full")
				}
				written = append(written, rules...)
				return "rules.yaml", nil
			}
			store := openStore(t, t.TempDir())
			s := begin(t, store)
			if err := run(t.Context(), a, s, ""); err != nil {
				t.Fatal(err)
			}
			if len(asked) != 1 || runs != 3 || len(written) != tt.written {
				t.Fatalf("asked %d times, ran %d times, wrote %v; %s", len(asked), runs, written, kinds(s))
			}
			if r := asked[0]; r.Show != "the whole change" || r.Reason == "" || len(r.Remember) != 1 {
				t.Errorf("the person saw %+v", r)
			}
			if n := strings.Count(kinds(s), "notice"); n != map[string]int{approval.Session: 0, approval.Always: 1}[tt.how] {
				t.Errorf("%d notices: %s", n, kinds(s))
			}
			s, err := session.Open(t.Context(), store, "s")
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Rules()) != 1 {
				t.Fatalf("the session remembers %v", s.Rules())
			}
			for _, ev := range s.Events() {
				if ev.Decided != nil && ev.Decided.For != tt.recorded {
					t.Errorf("the log says for %q", ev.Decided.For)
				}
			}
			a.Models, a.Approver = []llm.Model{touches(1)}, agent.Nobody{}
			if err := run(t.Context(), a, s, "again"); err != nil || runs != 4 {
				t.Errorf("in a new process: %v after %d runs", err, runs)
			}
		})
	}
}

// What a call opened beyond confinement is in the log, by whoever said yes.
func TestGrants(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		rules  []approval.Rule
		says   approval.Decision
		hosts  int
		events string
	}{
		{"a person says yes", nil, approval.Decision{Verdict: approval.Allow}, 1, "asked decided:allow started"},
		{"a person says no", nil, approval.Decision{Verdict: approval.Deny}, 0, "asked decided:deny result"},
		{"a rule says yes", []approval.Rule{{Verdict: approval.Allow, Host: "a.example"}}, approval.Decision{}, 1, "decided:allow started"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var asked []approval.Request
			runs := 0
			a := newAgent(t, touches(1), toucher(tool.Impact{Effect: tool.Reads, Grants: tool.Grants{Hosts: []string{"a.example"}}}, &runs))
			a.Policy = approval.NewRuled(approval.Ruled{Mode: approval.AskFirst, Own: tt.rules, Dir: "/w"})
			a.Approver = asker{tt.says, &asked}
			s := begin(t, openStore(t, t.TempDir()))
			if err := run(t.Context(), a, s, ""); err != nil {
				t.Fatal(err)
			}
			if got := s.Grants(); len(got.Hosts) != tt.hosts || !strings.Contains(kinds(s), tt.events) {
				t.Errorf("granted %v; %s", got, kinds(s))
			}
		})
	}
}

// watching answers events as its functions say.
type watching map[string]func(hook.Event) hook.Answer

func (w watching) Fire(_ context.Context, ev hook.Event) hook.Answer {
	if w[ev.Name] == nil {
		return hook.Answer{}
	}
	return w[ev.Name](ev)
}

// Hooks see every event, and a stop at any of them goes on from the log.
func TestHooksAfterEveryEvent(t *testing.T) {
	t.Parallel()
	for _, stopAt := range []string{"reply", "started", "result", "note", "notice", "never"} {
		t.Run(stopAt, func(t *testing.T) {
			t.Parallel()
			runs, stops := 0, 0
			script := &llmtest.Script{Replies: []llmtest.Reply{llmtest.Call("1", "touch", "{}"), llmtest.Say("too soon"), llmtest.Say("done")}}
			a := newAgent(t, script, toucher(tool.Impact{Effect: tool.Writes}, &runs))
			a.Hooks = watching{
				hook.Prompt:     func(hook.Event) hook.Answer { return hook.Answer{Context: "it is Monday"} },
				hook.BeforeTool: func(hook.Event) hook.Answer { return hook.Answer{Context: "gently", Notices: []string{"seen"}} },
				hook.AfterTool: func(ev hook.Event) hook.Answer {
					return hook.Answer{Verdict: "deny", Reason: "look at " + ev.Response.Text}
				},
				hook.Stop: func(ev hook.Event) hook.Answer {
					if stops++; ev.Answer == "too soon" {
						return hook.Answer{Verdict: "deny", Reason: "not yet"}
					}
					return hook.Answer{}
				},
			}
			store := openStore(t, t.TempDir())
			s := begin(t, store)
			for ev := range a.Run(t.Context(), s, "") {
				if kind(ev) == stopAt {
					break
				}
			}
			s, err := session.Open(t.Context(), store, "s")
			if err != nil {
				t.Fatal(err)
			}
			if err := run(t.Context(), a, s, ""); err != nil || !s.Answered() {
				t.Fatalf("%v; %s", err, kinds(s))
			}
			checkTranscript(t, s.Messages())
			said, err := json.Marshal(s.Messages())
			if err != nil {
				t.Fatal(err)
			}
			text := string(said)
			if !strings.Contains(text, "it is Monday") || runs > 1 {
				t.Errorf("%d runs: %s", runs, text)
			}
			if stopAt != "started" && (!strings.Contains(text, "gently") || !strings.Contains(text, "look at touched")) {
				t.Errorf("the hooks' words are missing: %s", text)
			}
			if s.Answer() != "done" || stops < 2 {
				t.Errorf("the answer is %q after %d stops: %s", s.Answer(), stops, kinds(s))
			}
		})
	}
}

// A hook that always sends the model back does so a few times only, and one
// that asks in a sub-agent means no.
func TestHooksEnd(t *testing.T) {
	t.Parallel()
	replies := make([]llmtest.Reply, 10)
	for i := range replies {
		replies[i] = llmtest.Say(fmt.Sprintf("answer %d", i))
	}
	a := newAgent(t, &llmtest.Script{Replies: replies})
	a.Hooks = watching{hook.Stop: func(hook.Event) hook.Answer { return hook.Answer{Verdict: "deny", Reason: "more"} }}
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); err != nil || s.Answer() != "answer 3" {
		t.Errorf("%v, %q", err, s.Answer())
	}

	runs := 0
	a = newAgent(t, touches(1), toucher(tool.Impact{Effect: tool.Reads}, &runs))
	a.Hooks = watching{hook.BeforeTool: func(hook.Event) hook.Answer { return hook.Answer{Verdict: "ask", Reason: "hm"} }}
	child, err := session.New(t.Context(), openStore(t, t.TempDir()), session.Opened{ID: "c", Parent: "s", Dir: "/w", Model: "script"}, "go")
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), a, child, ""); err != nil || runs != 0 || strings.Contains(kinds(child), "asked") {
		t.Errorf("%v after %d runs: %s", err, runs, kinds(child))
	}
}
