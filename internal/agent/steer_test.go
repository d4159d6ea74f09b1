package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"ml-intern/internal/agent"
	"ml-intern/internal/approval"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// A mailbox is an Inbox to put words into.
type mailbox struct {
	mu   sync.Mutex
	mail []session.Event
}

func (m *mailbox) steer(text string) {
	m.put(session.Event{Prompt: &session.Prompt{Text: text, Steer: true}})
}

func (m *mailbox) put(ev session.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mail = append(m.mail, ev)
}

func (m *mailbox) take() []session.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	mail := m.mail
	m.mail = nil
	return mail
}

// teller is a tool during whose run the person says something.
func teller(m *mailbox, words ...string) tool.Tool {
	spec := tool.Spec{Effect: tool.Executes, ToolSpec: llm.ToolSpec{Name: "tell"}}
	return tool.New(spec, func(context.Context, struct{}, tool.Call) (tool.Output, error) {
		for _, w := range words {
			m.steer(w)
		}
		return tool.Output{Text: "told"}, nil
	})
}

// texts are the messages of a request, in short.
func texts(messages []llm.Message) string {
	var all []string
	for _, m := range messages {
		for _, p := range m.Parts {
			switch {
			case p.Call != nil:
				all = append(all, "call")
			case p.Result != nil:
				all = append(all, "result")
			default:
				all = append(all, string(m.Role)+":"+p.Text)
			}
		}
	}
	return strings.Join(all, " ")
}

// What is said to a turn at work comes after the results of the step and before
// the next model call, in order, and the turn goes on: its steps count on, and
// its files are kept once.
func TestSteer(t *testing.T) {
	t.Parallel()
	var mail mailbox
	script := &llmtest.Script{Replies: []llmtest.Reply{
		llmtest.Calls(llm.ToolCall{ID: "1", Name: "tell", Args: "{}"}, llm.ToolCall{ID: "2", Name: "tell", Args: "{}"}), llmtest.Say("as you say"),
	}}
	a := newAgent(t, script, teller(&mail, "rather blue", "and small"))
	a.Inbox = mail.take
	a.Checkpoint = func(_ context.Context, when string) (session.Checkpointed, error) {
		return session.Checkpointed{When: when, ID: "x"}, nil
	}
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	want := "reply kept:before started result started result prompt prompt prompt prompt reply kept:after"
	if kinds(s) != want {
		t.Errorf("got  %s\nwant %s", kinds(s), want)
	}
	if got := texts(script.Requests()[1].Messages); got != "user:go call call result result user:rather blue user:and small user:rather blue user:and small" {
		t.Errorf("the model reads %s", got)
	}
	if s.Steps() != 2 || !s.Answered() {
		t.Errorf("%d steps, answered %v", s.Steps(), s.Answered())
	}
	checkTranscript(t, s.Messages())
}

// Said when the model has just answered, the turn goes on instead of ending.
func TestSteerAtTheAnswer(t *testing.T) {
	t.Parallel()
	var mail mailbox
	script := &llmtest.Script{Replies: []llmtest.Reply{llmtest.Say("red"), llmtest.Say("blue")}}
	a := newAgent(t, script)
	a.Inbox = mail.take
	s := begin(t, openStore(t, t.TempDir()))
	for ev, err := range a.Run(t.Context(), s, "") {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Reply != nil && ev.Reply.Message.Text() == "red" {
			mail.steer("no, blue")
		}
	}
	if kinds(s) != "reply prompt reply" || s.Answer() != "blue" {
		t.Errorf("%s: %s", kinds(s), s.Answer())
	}
}

// A turn that is steered again and again has the steps of one turn.
func TestSteerKeepsTheStepLimit(t *testing.T) {
	t.Parallel()
	var mail mailbox
	a := newAgent(t, &llmtest.Script{Next: func(int, llm.Request) llmtest.Reply {
		mail.steer("more")
		return llmtest.Say("so be it")
	}})
	a.Inbox, a.MaxSteps = mail.take, 4
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); !errors.Is(err, agent.ErrSteps) || s.Steps() != 4 {
		t.Errorf("%v after %d steps", err, s.Steps())
	}
}

// Words end a wait as a prompt does.
func TestSteerEndsAWait(t *testing.T) {
	t.Parallel()
	var mail mailbox
	script := &llmtest.Script{Replies: []llmtest.Reply{
		llmtest.Calls(llm.ToolCall{ID: "1", Name: "wait", Args: "{}"}, llm.ToolCall{ID: "2", Name: "tell", Args: "{}"}), llmtest.Say("stopped"),
	}}
	a := newAgent(t, script, newBell().tool(tool.Reads), teller(&mail, "do not wait"))
	a.Inbox = mail.take
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); err != nil || !s.Answered() {
		t.Fatalf("%v: %s", err, kinds(s))
	}
	if text := s.Messages()[2].Parts[0].Result.Text; !strings.Contains(text, "the person spoke") {
		t.Errorf("the wait's result is %q", text)
	}
	checkTranscript(t, s.Messages())
}

// A crash after the words are saved goes on with them, and they are said once.
func TestSteerSurvivesACrash(t *testing.T) {
	t.Parallel()
	var mail mailbox
	script := &llmtest.Script{Replies: []llmtest.Reply{llmtest.Call("1", "tell", "{}"), llmtest.Say("done")}}
	a := newAgent(t, script, teller(&mail, "rather blue"))
	a.Inbox = mail.take
	store := openStore(t, t.TempDir())
	s := begin(t, store)
	for ev := range a.Run(t.Context(), s, "") {
		if ev.Prompt != nil {
			break
		}
	}
	s, err := session.Open(t.Context(), store, "s")
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), a, s, ""); err != nil || s.Steps() != 2 {
		t.Fatalf("%v: %d steps", err, s.Steps())
	}
	if got := texts(script.Requests()[1].Messages); got != "user:go call result user:rather blue" {
		t.Errorf("the model reads %s", got)
	}
}

// What is set during a turn is recorded, tells the model nothing, and neither
// ends a wait nor an answer.
func TestChoose(t *testing.T) {
	t.Parallel()
	mail, b := mailbox{}, newBell()
	script := &llmtest.Script{Replies: []llmtest.Reply{
		llmtest.Call("1", "wait", "{}"), llmtest.Say("done"),
	}}
	a := newAgent(t, script, b.tool(tool.Reads))
	a.Inbox = mail.take
	mail.put(session.Event{Chose: &session.Chose{Mode: "auto", Effort: "high"}})
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); err != nil || len(s.Waiting()) != 1 {
		t.Fatal(err)
	}
	mail.put(session.Event{Chose: &session.Chose{Mode: "plan"}})
	if err := run(t.Context(), a, s, ""); err != nil || len(s.Waiting()) != 1 {
		t.Fatalf("%v: waits for %v", err, s.Waiting())
	}
	close(b.rung)
	if err := run(t.Context(), a, s, ""); err != nil || !s.Answered() {
		t.Fatal(err)
	}
	if c := s.Chosen(); c != (session.Chose{Mode: "plan", Effort: "high"}) {
		t.Errorf("chosen: %+v", c)
	}
	if got := texts(script.Requests()[1].Messages); got != "user:go call result" {
		t.Errorf("the model reads %s", got)
	}
}

// A key in what is said is taken out, in what is read with it too, and the
// person is told.
func TestSteerIsRedacted(t *testing.T) {
	t.Parallel()
	var mail mailbox
	script := &llmtest.Script{Replies: []llmtest.Reply{llmtest.Call("1", "tell", "{}"), llmtest.Say("done"), llmtest.Say("done")}}
	a := newAgent(t, script, teller(&mail, "use key sesame"))
	a.Inbox = mail.take
	a.Redact = func(text string) string { return strings.ReplaceAll(text, "sesame", agent.Redacted) }
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	for _, err := range a.RunPrompt(t.Context(), s, session.Prompt{Text: "look", Context: "$ env\nKEY=sesame"}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := json.Marshal(s.Events())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(log), "sesame") || strings.Count(string(log), "a key was taken out") == 0 {
		t.Errorf("the log is %s", log)
	}
	if got := texts(script.Requests()[2].Messages); !strings.HasSuffix(got, "user:look\n\n$ env\nKEY="+agent.Redacted) {
		t.Errorf("the model reads %s", got)
	}
}

// writer is a tool that may cost what its arguments say, and notes them.
func writer(ran *[]string) tool.Tool {
	type in struct {
		Text string  `json:"text"`
		USD  float64 `json:"usd"`
	}
	spec := tool.Spec{Effect: tool.Spends, ToolSpec: llm.ToolSpec{Name: "write"}}
	spec.Impact = func(args string) tool.Impact {
		var i in
		_ = json.Unmarshal([]byte(args), &i) // as the tool will say
		return tool.Impact{Effect: tool.Spends, CostUSD: i.USD, Paths: []string{"/w/" + i.Text}}
	}
	return tool.New(spec, func(_ context.Context, i in, call tool.Call) (tool.Output, error) {
		*ran = append(*ran, call.Args)
		return tool.Output{Text: "wrote"}, nil
	})
}

// A person may change a call before they allow it: the changed call runs, once,
// also when the program dies between their word and the run; the log and the
// model are told; rules and money are asked about the changed one.
func TestEditedCall(t *testing.T) {
	t.Parallel()
	const changed = `{"text":"b","usd":2}`
	for _, tt := range []struct {
		name, args, stopAt string
		cap                float64
		rule               *approval.Rule
		runs               int
		result             string
	}{
		{"runs", changed, "", 0, nil, 1, `[the person changed this call before they decided: text is now "b"; usd is now 2]`},
		{"crash before it starts", changed, "decided:allow", 0, nil, 1, `text is now "b"`},
		{"crash while it runs", changed, "started", 0, nil, 0, `text is now "b"`},
		{"too dear now", `{"text":"a","usd":9}`, "", 5, nil, 0, "refused: the cost cap"},
		{"not JSON", `{"text":`, "", 0, nil, 0, "refused: a person changed the arguments, and as they are now: the arguments are not JSON"},
		{"against a rule", changed, "", 0, &approval.Rule{Verdict: approval.Deny, Path: "/w/b", Reason: "b is closed"}, 0, "b is closed"},
		{"the same", `{"text":"a","usd":1}`, "", 0, nil, 1, "wrote"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var ran []string
			var asked []approval.Request
			a := newAgent(t, &llmtest.Script{Replies: []llmtest.Reply{llmtest.Call("1", "write", `{"text":"a","usd":1}`), llmtest.Say("done")}}, writer(&ran))
			a.Approver = asker{approval.Decision{Verdict: approval.Allow, Args: tt.args}, &asked}
			a.Ledger.Cap.USD = tt.cap
			rules := approval.Ruled{Mode: approval.AskFirst, Dir: "/w", Real: "/w"}
			if tt.rule != nil {
				rules.Own = []approval.Rule{*tt.rule}
			}
			a.Policy = approval.NewRuled(rules)
			store := openStore(t, t.TempDir())
			s := begin(t, store)
			for ev := range a.Run(t.Context(), s, "") {
				if kind(ev) == tt.stopAt {
					break
				}
			}
			if tt.stopAt != "" {
				var err error
				if s, err = session.Open(t.Context(), store, "s"); err != nil {
					t.Fatal(err)
				}
				if err := run(t.Context(), a, s, ""); err != nil {
					t.Fatal(err)
				}
			}
			if len(ran) != tt.runs || tt.runs == 1 && ran[0] != tt.args {
				t.Errorf("ran %v", ran)
			}
			if len(asked) != 1 || !s.Answered() {
				t.Errorf("asked %d times: %s", len(asked), kinds(s))
			}
			if text := s.Messages()[2].Parts[0].Result.Text; !strings.Contains(text, tt.result) || strings.Contains(text, "changed this call") == (tt.name == "the same") {
				t.Errorf("the model is told %q", text)
			}
			if args := s.Messages()[1].Calls()[0].Args; args != `{"text":"a","usd":1}` {
				t.Errorf("the model reads as its own words %s", args)
			}
			for _, ev := range s.Events() {
				if ev.Decided != nil && ev.Decided.Args != tt.args && tt.name != "the same" {
					t.Errorf("the log says %+v", ev.Decided)
				}
				if ev.Started != nil && tt.args == changed && ev.Started.WorstUSD != 2 {
					t.Errorf("$%v are set aside", ev.Started.WorstUSD)
				}
			}
			checkTranscript(t, s.Messages())
		})
	}
}

// What only is written in another way was not changed.
func TestEditedForm(t *testing.T) {
	t.Parallel()
	var ran []string
	a := newAgent(t, &llmtest.Script{Replies: []llmtest.Reply{llmtest.Call("1", "write", `{"text": "a > b", "usd": 1.0}`), llmtest.Say("done")}}, writer(&ran))
	a.Approver = asker{approval.Decision{Verdict: approval.Allow, Args: `{"usd":2,"text":"a \u003e b"}`}, &[]approval.Request{}}
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	if text := s.Messages()[2].Parts[0].Result.Text; !strings.Contains(text, "before they decided: usd is now 2]") {
		t.Errorf("the model is told %q", text)
	}
}

// Of a long text the model is told the lines that changed.
func TestEditedScript(t *testing.T) {
	t.Parallel()
	var ran []string
	args := func(text string) string {
		out, err := json.Marshal(map[string]any{"text": text, "usd": 1})
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	a := newAgent(t, &llmtest.Script{Replies: []llmtest.Reply{llmtest.Call("1", "write", args("one\ntwo\nthree")), llmtest.Say("done")}}, writer(&ran))
	a.Approver = asker{approval.Decision{Verdict: approval.Allow, Args: args("one\n2\nthree")}, &[]approval.Request{}}
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	if text := s.Messages()[2].Parts[0].Result.Text; !strings.Contains(text, "in text, from line 2 on, in place of\ntwo\nthere is now\n2\n") {
		t.Errorf("the model is told %q", text)
	}
}
