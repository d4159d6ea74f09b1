package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/notify"
	"ml-intern/internal/session"
	"ml-intern/internal/session/sqlite"
	"ml-intern/internal/tool"
)

// everything is all kinds that come from a log.
func everything() []string {
	return []string{notify.ApprovalRequired, notify.Failed, notify.TurnComplete, notify.JobFinished, notify.JobFailed, notify.JobWarning}
}

// A mailbox is a Sender that keeps what it is sent.
type mailbox struct {
	mu   sync.Mutex
	got  []notify.Message
	came chan struct{}
	do   func(ctx context.Context, m notify.Message) error // nil takes it
}

func newMailbox() *mailbox { return &mailbox{came: make(chan struct{}, 1000)} }

func (b *mailbox) Send(ctx context.Context, m notify.Message) error {
	var err error
	if b.do != nil {
		err = b.do(ctx, m)
	}
	if err == nil {
		b.mu.Lock()
		b.got = append(b.got, m)
		b.mu.Unlock()
		b.came <- struct{}{}
	}
	return err
}

func (b *mailbox) kinds() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, m := range b.got {
		all = append(all, m.Event)
	}
	return all
}

// A desk is a session with those who follow it.
type desk struct {
	*testing.T
	store   *sqlite.Store
	session *session.Session
	file    string
	said    []string
	mu      sync.Mutex
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "sessions.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s, err := session.New(t.Context(), store, session.Opened{ID: "s1", Dir: "/home/me/work", Model: "openai/x"}, "go")
	if err != nil {
		t.Fatal(err)
	}
	return &desk{T: t, store: store, session: s, file: notify.File(dir, "s1")}
}

func (d *desk) follow(to ...notify.Destination) *notify.Follower {
	for i := range to {
		if to[i].Events == nil {
			to[i].Events = everything()
		}
	}
	f := notify.New("s1", notify.Options{Destinations: to, File: d.file})
	f.Start(d.Context(), d.store, d.session.Events(), func(s string) string { return strings.ReplaceAll(s, "hunter2", "[redacted]") })
	f.Say(func(text string) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.said = append(d.said, text)
	})
	return f
}

func (d *desk) hears() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.said, "\n")
}

func (d *desk) record(f *notify.Follower, events ...session.Event) {
	d.Helper()
	for _, ev := range events {
		if _, err := d.session.Record(d.Context(), ev); err != nil {
			d.Fatal(err)
		}
		f.Grew()
	}
}

func answer(text string) session.Event {
	return session.Event{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: text}}}, End: llm.End{Reason: llm.EndStop}}}}
}

func calls(names ...string) session.Event {
	ev := session.Event{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant}, End: llm.End{Reason: llm.EndCalls}}}}
	for i, name := range names {
		ev.Reply.Message.Parts = append(ev.Reply.Message.Parts, llm.Part{Call: &llm.ToolCall{ID: fmt.Sprintf("c%d", i+1), Name: name, Args: `{"token":"hunter2","n":` + fmt.Sprint(i) + `}`}})
	}
	return ev
}

func result(id string, news ...tool.JobNews) session.Event {
	return session.Event{Result: &session.Result{CallID: id, Output: tool.Output{Text: "x", News: news}}}
}

// Everything that is told of a session, in the words in which it is told.
func TestWhatIsTold(t *testing.T) {
	t.Parallel()
	d, box := newDesk(t), newMailbox()
	f := d.follow(notify.Destination{Name: "a", To: box})
	f.Working(true)
	d.record(f, calls("job_submit", "publish"), session.Event{Asked: &session.Asked{CallIDs: []string{"c1", "c2"}, Reason: "it may cost $2.00"}})
	<-box.came // else the answer comes before anybody is told of the question
	ended := tool.JobNews{ID: "j1/ended", Job: "j1", Name: "train", Kind: tool.NewsFinished, Text: "train: succeeded in 3.0 s; accuracy 0.93 (n = 1)"}
	d.record(f,
		session.Event{Decided: &session.Decided{CallID: "c1", Verdict: "allow", By: "person"}}, session.Event{Decided: &session.Decided{CallID: "c2", Verdict: "deny", By: "person"}},
		result("c1"), result("c2"),
		calls("job_wait"),
		result("c1", ended, tool.JobNews{ID: "j2/nan", Job: "j2", Kind: tool.NewsWarning, Text: "loss is NaN at step 40"},
			tool.JobNews{ID: "j2/ended", Job: "j2", Name: "big", Kind: tool.NewsFailed, Text: "big: out_of_memory in 9.0 s\nthe GPU was full: take a smaller batch"}),
		calls("job_wait"), result("c1", ended), // said again
		answer("not the last word"), session.Event{Note: &session.Note{Guard: "hook", Text: "go on"}},
		answer("# Done\nThe key is hunter2. @channel **0.93**"))
	f.Working(false)
	for len(box.kinds()) < 5 {
		<-box.came
	}
	d.record(f, session.Event{Prompt: &session.Prompt{Text: "more"}},
		session.Event{Failed: &session.Failed{Reason: "cost_cap", Text: "the cap of $5.00 is reached " + strings.Repeat("x", 600)}},
		session.Event{Failed: &session.Failed{Reason: "interrupted", Text: "by the person"}},
		session.Event{Failed: &session.Failed{Reason: "approval", Text: "a person must decide"}})
	f.Close(time.Minute)
	var out strings.Builder
	for _, m := range box.got {
		if m.Time.IsZero() {
			t.Errorf("%s has no time", m.ID)
		}
		m.Time = time.Time{}
		fmt.Fprintf(&out, "---- %s\n%s\n", m.ID, notify.SlackText(m))
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Error("a secret is told")
	}
	golden(t, "messages.golden", out.String())
	m := box.got[0]
	m.Time = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "webhook.golden", string(data)+"\n")
}

// A program that is started again tells what was not told, and nothing twice,
// wherever it ended.
func TestRestart(t *testing.T) {
	t.Parallel()
	log := []session.Event{
		calls("job_wait"), result("c1", tool.JobNews{ID: "a", Job: "j1", Kind: tool.NewsWarning, Text: "w"}, tool.JobNews{ID: "b", Job: "j2", Kind: tool.NewsFinished, Text: "f"}),
		answer("one"),
		{Prompt: &session.Prompt{Text: "two"}},
		{Failed: &session.Failed{Reason: "unreachable", Text: "away"}},
		{Prompt: &session.Prompt{Text: "three"}},
		answer("three"),
	}
	want := []string{"job_warning", "job_finished", "turn_complete", "error", "turn_complete"}
	for end := range len(log) + 1 {
		d, box := newDesk(t), newMailbox()
		to := notify.Destination{Name: "a", To: box}
		f := d.follow(to)
		f.Working(true)
		d.record(f, log[:end]...)
		f.Working(end == len(log))
		f.Close(time.Minute)
		for range 2 {
			d.follow(to).Close(time.Minute)
		}
		f = d.follow(to)
		d.record(f, log[end:]...)
		f.Close(time.Minute)
		if got := box.kinds(); !slices.Equal(got, want) {
			t.Errorf("ended after %d events: %v", end, got)
		}
		if all := d.hears(); all != "" {
			t.Errorf("ended after %d events: %s", end, all)
		}
	}
}

// Killed while a message is sent, it is not sent again and said to be in doubt;
// killed before that, or between two tries, it is.
func TestKilled(t *testing.T) {
	t.Parallel()
	d, box := newDesk(t), newMailbox()
	copies := make(map[string][]byte)
	keep := func(when string) {
		data, err := os.ReadFile(d.file)
		if err != nil {
			t.Error(err)
		}
		copies[when] = data
	}
	try := 0
	box.do = func(context.Context, notify.Message) error {
		try++
		keep(fmt.Sprintf("try %d", try))
		if try == 1 {
			return &notify.Failure{Text: "busy", Again: true}
		}
		return nil
	}
	f := d.follow(notify.Destination{Name: "a", To: box})
	keep("before")
	d.record(f, session.Event{Failed: &session.Failed{Reason: "error", Text: "x"}})
	<-box.came
	f.Close(time.Minute)
	keep("after")
	for when, sends := range map[string]int{"before": 1, "try 1": 0, "try 2": 0, "after": 0} {
		if err := os.WriteFile(d.file, copies[when], 0o600); err != nil {
			t.Fatal(err)
		}
		later := newMailbox()
		d.said = nil
		f := d.follow(notify.Destination{Name: "a", To: later})
		f.Close(time.Minute)
		if n := len(later.kinds()); n != sends {
			t.Errorf("killed at %s: sent %d times", when, n)
		}
		if doubt := strings.Contains(d.hears(), "may not have arrived"); doubt != strings.HasPrefix(when, "try") {
			t.Errorf("killed at %s: said %q", when, d.hears())
		}
		losses, err := notify.Losses(filepath.Dir(filepath.Dir(d.file)))
		if err != nil || (len(losses["a"]) == 1) != strings.HasPrefix(when, "try") {
			t.Errorf("killed at %s: %v %v", when, losses, err)
		}
	}
}

// A session from before, and who is told more from now on, are not told history.
func TestNoHistory(t *testing.T) {
	t.Parallel()
	d, box := newDesk(t), newMailbox()
	d.record(nil, answer("old"), session.Event{Prompt: &session.Prompt{Text: "next"}}, session.Event{Failed: &session.Failed{Reason: "error", Text: "old"}}, calls("x"),
		result("c1", tool.JobNews{ID: "a", Kind: tool.NewsWarning}, tool.JobNews{ID: "b", Kind: tool.NewsWarning}))
	f := d.follow(notify.Destination{Name: "a", To: box, Events: []string{notify.Failed}})
	d.record(f, answer("also old"))
	f.Close(time.Minute)
	d.follow(notify.Destination{Name: "a", To: box}, notify.Destination{Name: "b", To: box}).Close(time.Minute)
	if got := box.kinds(); len(got) > 0 {
		t.Errorf("told %v", got)
	}
	f = d.follow(notify.Destination{Name: "a", To: box}, notify.Destination{Name: "live", Live: true, To: box})
	f.Working(true)
	d.record(f, session.Event{Prompt: &session.Prompt{Text: "new"}}, answer("new"))
	f.Working(false)
	f.Close(time.Minute)
	if got := box.kinds(); !slices.Equal(got, []string{"turn_complete", "turn_complete"}) || box.got[0].Text != "new" {
		t.Errorf("told %v", box.got)
	}
}

// Somebody who does not answer holds up nobody else, nor the end for longer than
// is waited. What waited behind is told later; what was under way is not.
func TestHanging(t *testing.T) {
	t.Parallel()
	d, box, stuck := newDesk(t), newMailbox(), newMailbox()
	entered := make(chan struct{}, 10)
	stuck.do = func(ctx context.Context, _ notify.Message) error {
		entered <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	f := d.follow(notify.Destination{Name: "a", To: box}, notify.Destination{Name: "stuck", To: stuck})
	for i := range 3 {
		d.record(f, session.Event{Failed: &session.Failed{Reason: "error", Text: fmt.Sprint(i)}})
		<-box.came
	}
	<-entered
	start := time.Now()
	f.Close(10 * time.Millisecond)
	if took := time.Since(start); took > time.Minute {
		t.Errorf("the end took %v", took)
	}
	if all := d.hears(); !strings.Contains(all, "stuck had no answer in time") || !strings.Contains(all, "stuck is still to be told 2 things") {
		t.Errorf("said %s", all)
	}
	stuck.do = nil
	d.follow(notify.Destination{Name: "a", To: box}, notify.Destination{Name: "stuck", To: stuck}).Close(time.Minute)
	if len(box.got) != 3 || len(stuck.got) != 2 || stuck.got[0].Text[:1] != "1" {
		t.Errorf("told %d and %v", len(box.got), stuck.got)
	}
}

// A question that has its answer is not told any more.
func TestStaleQuestion(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	box := newMailbox()
	f := d.follow(notify.Destination{Name: "a", To: box})
	f.Close(time.Minute)
	d.record(nil, calls("publish"), session.Event{Asked: &session.Asked{CallIDs: []string{"c1"}, Reason: "it publishes"}}, result("c1"), answer("done"))
	d.follow(notify.Destination{Name: "a", To: box}).Close(time.Minute)
	if got := box.kinds(); !slices.Equal(got, []string{"turn_complete"}) {
		t.Errorf("told %v", got)
	}
}

// What is lost is said: who refuses, and who is told too much at once.
func TestLost(t *testing.T) {
	t.Parallel()
	d, box := newDesk(t), newMailbox()
	box.do = func(_ context.Context, m notify.Message) error { return &notify.Failure{Text: "no such channel"} }
	f := d.follow(notify.Destination{Name: "a", To: box})
	d.record(f, session.Event{Failed: &session.Failed{Reason: "error", Text: "x"}})
	f.Close(time.Minute)
	if all := d.hears(); !strings.Contains(all, `the notification "Turn failed: error" did not reach a: no such channel`) {
		t.Errorf("said %s", all)
	}
	d, box = newDesk(t), newMailbox()
	entered, release := make(chan struct{}, 1000), make(chan struct{})
	box.do = func(context.Context, notify.Message) error { entered <- struct{}{}; <-release; return nil }
	f = d.follow(notify.Destination{Name: "a", To: box})
	d.record(f, session.Event{Failed: &session.Failed{Reason: "error", Text: "first"}})
	<-entered
	for i := range 300 {
		d.record(f, session.Event{Failed: &session.Failed{Reason: "error", Text: fmt.Sprint(i)}})
	}
	go close(release)
	f.Close(time.Minute)
	if n := len(box.got); n < 100 || n > 301 || !strings.HasPrefix(box.got[n-1].Text, "299") || !strings.HasPrefix(box.got[0].Text, "first") {
		t.Errorf("told %d", n)
	}
}

// A record that cannot be written costs the notifications and nothing else.
func TestNoRecord(t *testing.T) {
	t.Parallel()
	d, box := newDesk(t), newMailbox()
	if err := os.WriteFile(filepath.Dir(d.file), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := d.follow(notify.Destination{Name: "a", To: box, Agent: true})
	f.Working(true)
	d.record(f, answer("x"))
	f.Working(false)
	_, err := f.Tell(t.Context(), notify.Word{CallID: "c1", Text: "x"})
	f.Close(time.Minute)
	if all := d.hears(); err == nil || len(box.got) > 0 || !strings.Contains(all, "nothing is notified in this session") {
		t.Errorf("told %v, said %q, %v", box.got, all, err)
	}
	if err := os.Remove(filepath.Dir(d.file)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(d.file), 0o700), os.WriteFile(d.file, []byte("{half"), 0o600)); err != nil {
		t.Fatal(err)
	}
	d.follow(notify.Destination{Name: "a", To: box}).Close(time.Minute)
	if all := d.hears(); len(box.got) > 0 || !strings.Contains(all, "read what was told") {
		t.Errorf("told %v, said %q", box.got, all)
	}
}

// The model says something where the person lets it, to all at once, without
// secrets, and not without end.
func TestTell(t *testing.T) {
	t.Parallel()
	d, a, b, c := newDesk(t), newMailbox(), newMailbox(), newMailbox()
	b.do = func(context.Context, notify.Message) error { return &notify.Failure{Text: "no"} }
	to := []notify.Destination{{Name: "a", Agent: true, To: a}, {Name: "b", Agent: true, To: b}, {Name: "c", To: c}}
	f := d.follow(to...)
	if names := f.AgentNames(); !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("%v", names)
	}
	if _, err := f.Tell(t.Context(), notify.Word{CallID: "1", To: []string{"a", "c"}, Text: "x"}); err == nil || !strings.Contains(err.Error(), `"c" is no destination that you may send to`) || len(a.got) > 0 {
		t.Errorf("%v", err)
	}
	out, err := f.Tell(t.Context(), notify.Word{CallID: "2", To: []string{"a", " a"}, Severity: notify.Warning, Title: "T", Text: "hunter2 @everyone " + strings.Repeat("y", 50_000)})
	if err != nil || len(out) != 1 || out[0].Err != nil {
		t.Errorf("%v %v", out, err)
	}
	if m := a.got[0]; strings.Contains(m.Text, "hunter2") || strings.Contains(m.Text, "@everyone") || len(m.Text) > 40_000 || m.Severity != notify.Warning || m.Session != "s1" || m.Model != "openai/x" {
		t.Errorf("%.100s %v", m.Text, m.Severity)
	}
	if out, err = f.Tell(t.Context(), notify.Word{CallID: "3", Text: "all"}); err != nil || len(out) != 2 || out[0].Err != nil || out[1].Err == nil {
		t.Errorf("%v %v", out, err)
	}
	f.Close(time.Minute)
	f = d.follow(to...) // the limit outlasts a restart
	defer f.Close(time.Minute)
	n := 2
	for ; err == nil && n < 100; n++ {
		_, err = f.Tell(t.Context(), notify.Word{CallID: fmt.Sprint("x", n), To: []string{"a"}, Text: "x"})
	}
	if err == nil || !strings.Contains(err.Error(), "20 messages were sent in the last hour") || len(a.got) != 20 {
		t.Errorf("%d: %v", len(a.got), err)
	}
	ids := make(map[string]bool)
	for _, m := range a.got {
		ids[m.ID] = true
	}
	if len(ids) != len(a.got) || len(c.got) > 0 {
		t.Errorf("%d ids of %d", len(ids), len(a.got))
	}
}

// A terminal is sent what it shows, and nothing that it would obey.
func TestTerminalSequence(t *testing.T) {
	t.Parallel()
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	for _, c := range []struct {
		form, title, text string
		env               func(string) string
		want              string
	}{
		{"", "Turn complete", "4;1;\x1b]0;evil\a\u009b1m\nx", env(), "\x1b]9;ml-intern: Turn complete: 4;1;]0;evil1m x\a"},
		{"", "a;b", "c;d", env("VTE_VERSION", "7000"), "\x1b]777;notify;ml-intern: a,b;c,d\a"},
		{"", "a", "", env("TERM", "foot"), "\x1b]777;notify;ml-intern: a;\a"},
		{"osc9", "a", "b", env("TMUX", "/tmp/x"), "\x1bPtmux;\x1b\x1b]9;ml-intern: a: b\a\x1b\\"},
		{"bell", "a", "b", env("TMUX", "/tmp/x"), "\a"},
	} {
		if got := notify.TerminalSequence(c.form, c.title, c.text, c.env); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// What is cut is without secrets before: the beginning of one is nothing that
// could be seen.
func TestCutWithoutSecrets(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	box := newMailbox()
	f := d.follow(notify.Destination{Name: "box", To: box})
	call := llm.ToolCall{ID: "c1", Name: "bash", Args: strings.Repeat("x", 295) + "hunter2"}
	d.record(f,
		session.Event{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Call: &call}}}}}},
		session.Event{Asked: &session.Asked{CallIDs: []string{"c1"}, Reason: "it is"}})
	<-box.came
	d.record(f, session.Event{Failed: &session.Failed{Reason: "error", Text: strings.Repeat("x", 495) + "hunter2"}})
	<-box.came
	f.Close(time.Minute)
	for _, m := range box.got {
		if strings.Contains(m.Text, "hun") {
			t.Errorf("%s: the beginning of a secret is in %s", m.Event, m.Text)
		}
	}
}

// Whoever is told what failed is told one thing after the other, however many
// destinations fail at once.
func TestToldInTurn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	names := []string{"a", "b", "c", "d"}
	var all sync.WaitGroup
	all.Add(len(names))
	var to []notify.Destination
	for _, name := range names {
		box := newMailbox()
		box.do = func(context.Context, notify.Message) error {
			all.Done()
			all.Wait()
			return &notify.Failure{Text: "no"}
		}
		to = append(to, notify.Destination{Name: name, To: box, Events: everything()})
	}
	f := notify.New("s1", notify.Options{Destinations: to, File: d.file})
	f.Start(d.Context(), d.store, d.session.Events(), nil)
	var inside atomic.Int32
	var lines []string // without a lock
	f.Say(func(text string) {
		if inside.Add(1) > 1 {
			t.Error("it is told two things at once")
		}
		for range 1000 {
			runtime.Gosched()
		}
		lines = append(lines, text)
		inside.Add(-1)
	})
	d.record(f, session.Event{Failed: &session.Failed{Reason: "error", Text: "x"}})
	f.Close(time.Minute)
	if len(lines) != len(names) {
		t.Errorf("%d were told: %q", len(lines), lines)
	}
}
