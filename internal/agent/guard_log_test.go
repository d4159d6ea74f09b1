package agent_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/agent"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// forgetful is a Store that keeps nothing.
type forgetful struct{ session.Store }

func (forgetful) Append(context.Context, string, ...session.Event) error { return nil }

// A book writes a session's log by hand.
type book struct {
	testing.TB
	*session.Session
	calls int
}

func newBook(t testing.TB) *book {
	t.Helper()
	s, err := session.New(t.Context(), forgetful{}, session.Opened{ID: "s", Dir: "/w"}, "train on iris.csv")
	if err != nil {
		t.Fatal(err)
	}
	return &book{t, s, 0}
}

func (b *book) record(ev session.Event) {
	b.Helper()
	if _, err := b.Record(b.Context(), ev); err != nil {
		b.Fatal(err)
	}
}

// step is a reply with calls, and their results.
func (b *book) step(steps ...done) {
	b.Helper()
	reply := session.Reply{Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant}, End: llm.End{Reason: llm.EndCalls}}}
	first := b.calls
	for _, d := range steps {
		b.calls++
		call := llm.ToolCall{ID: fmt.Sprint("c", b.calls), Name: d.name, Args: d.args}
		reply.Message.Parts = append(reply.Message.Parts, llm.Part{Call: &call})
	}
	b.record(session.Event{Reply: &reply})
	for i, d := range steps {
		out := tool.Output{Text: d.text, IsError: d.fails, BadArgs: d.bad}
		b.record(session.Event{Result: &session.Result{CallID: fmt.Sprint("c", first+i+1), Output: out, Seconds: d.seconds}})
	}
}

func (b *book) say(text, reason string, dropped ...string) {
	b.Helper()
	b.record(session.Event{Reply: &session.Reply{Reply: llm.Reply{
		Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: text}}}, End: llm.End{Reason: reason, Dropped: dropped},
	}}})
}

// asks has every guard look at the log, as the loop does, and records the
// first note. It returns the guard's name with it.
func (b *book) asks() (guard, note string, err error) {
	b.Helper()
	for _, g := range agent.Guards() {
		note, err := g.Check(b.Session)
		if err != nil || note != "" {
			if note != "" {
				b.record(session.Event{Note: &session.Note{Guard: g.Name, Text: note}})
			}
			return g.Name, note, err
		}
	}
	return "", "", nil
}

// A done is a call and what came of it.
type done struct {
	name, args, text string
	fails, bad       bool
	seconds          float64
}

// times makes n steps of one call each from their number, from 1 on.
func times(n int, step func(i int) done) (all []done) {
	for i := range n {
		all = append(all, step(i+1))
	}
	return all
}

func read(text string) func(int) done {
	return func(int) done { return done{name: "read", args: `{"p":1}`, text: text} }
}

// printed is a shell line that prints, with the line that ends its result.
func printed(format string, values ...any) func(int) done {
	return func(i int) done {
		return done{name: "bash", args: `{"command":"look"}`, text: fmt.Sprintf(format, values[(i-1)%len(values)]) + fmt.Sprintf("\n[exit 0, 0.%d s]", i%10)}
	}
}

func TestWhatIsALoop(t *testing.T) {
	t.Parallel()
	nth := func(format string) func(int) done {
		return func(i int) done { return done{name: "bash", args: "{}", text: fmt.Sprintf(format, i)} }
	}
	random := rand.New(rand.NewPCG(1, 1))
	tests := []struct {
		name  string
		steps []done
		want  bool
	}{
		{"three calls without results", times(3, read("")), true},
		{"two", times(2, read("")), false},
		{"A A B A A", append(append(times(2, read("a")), done{name: "b"}), times(2, read("a"))...), false},
		{"a poll that moves", times(4, printed("%d", 27210, 36454, 45770, 55138)), false},
		{"a poll that stands still", times(6, printed("%d", 55138)), true},
		{"a poll that moves now and then", times(12, printed("%d", 1, 1, 5, 5, 9, 9, 14, 14, 20, 20, 31, 31)), false},
		{"keys in another order", times(3, func(i int) done {
			return done{name: "read", args: []string{`{"a":1,"b":[1, 2]}`, `{"b":[1,2], "a":1}`}[i%2], text: "x"}
		}), true},
		{"a list in another order", times(6, func(i int) done {
			return done{name: "read", args: []string{`[1,2]`, `[2,1]`, `[3]`, `[4]`, `[5]`, `[6]`}[i-1], text: "x"}
		}), false},
		{"1.0 is not 1", times(3, func(i int) done {
			return done{name: "read", args: []string{`{"a":1}`, `{"a":1.0}`}[i%2], text: "x"}
		}), false},
		{"broken arguments, the same", times(3, func(int) done { return done{name: "read", args: `{broken`, text: "x"} }), true},
		{"only the duration differs, five times", times(5, printed("fine%s", "")), false},
		{"only the duration differs, six times", times(6, printed("fine%s", "")), true},
		{"dates and times", times(6, func(i int) done {
			at := time.Date(2026, 1, 2, i, i, i, i*1e6, time.UTC)
			return done{name: "bash", text: fmt.Sprintf("%s %s %d nothing", at.Format(time.RFC3339Nano), at.Format(time.ANSIC), at.UnixMilli())}
		}), true},
		{"ids", times(6, func(int) done {
			return done{name: "bash", text: fmt.Sprintf("request %08x-%04x-4abc-9def-%012x at 0x%x in /tmp/go-build%d, pid %d",
				random.Uint32(), random.Uint32()>>16, random.Uint64()>>16, random.Uint64(), random.Uint32(), random.IntN(1e5))}
		}), true},
		{"processes, one after the other", times(6, func(i int) done { return done{name: "bash", text: fmt.Sprintf("started, pid: %d", 1000+7*i)} }), true},
		{"numbers that go nowhere", times(6, printed("loss %.2f", 0.5, 0.9, 0.7)), true},
		{"an epoch of many", times(20, nth("epoch %d")), false},
		{"a counter for long", times(24, nth("try %d")), true},
		{"a failing counter", times(5, func(i int) done {
			return done{name: "bash", args: "{}", text: fmt.Sprint("failed, try ", i), fails: true}
		}), true},
		{"waiting is patient", times(5, func(int) done { return done{name: "wait", args: "{}", text: "queued", seconds: 60} }), false},
		{"but not for ever", times(6, func(int) done { return done{name: "wait", args: "{}", text: "queued", seconds: 60} }), true},
		{"a growing log", times(8, func(i int) done { return done{name: "bash", text: strings.Repeat("line\n", 2000*i) + "end"} }), false},
		{"a cycle of five", times(15, func(i int) done { return done{name: fmt.Sprint("t", i%5), text: "x"} }), true},
		{"a cycle of two with times", times(12, func(i int) done { return done{name: fmt.Sprint("t", i%2), text: fmt.Sprintf("took %d ms", i)} }), true},
		{"one error, arguments nearly the same", times(5, func(i int) done {
			return done{name: "bash", args: fmt.Sprintf(`{"command":"train --lr 0.%d"}`, i), text: "CUDA out of memory", fails: true}
		}), true},
		{"one error four times", times(4, func(i int) done {
			return done{name: "bash", args: fmt.Sprintf(`{"command":"train --lr 0.%d"}`, i), text: "CUDA out of memory", fails: true}
		}), false},
		{"one error, with edits in between", times(9, func(i int) done {
			if i%2 == 0 {
				return done{name: "edit", args: fmt.Sprint(i), text: "edited"}
			}
			return done{name: "bash", args: "{}", text: "SyntaxError at 7", fails: true}
		}), true},
		{"an error that moves on", times(11, func(i int) done {
			if i%2 == 0 {
				return done{name: "edit", args: fmt.Sprint(i), text: "edited"}
			}
			return done{name: "bash", args: "{}", text: fmt.Sprint("SyntaxError in line ", 10*i), fails: true}
		}), false},
		{"other errors", times(8, func(i int) done {
			return done{name: "bash", args: "{}", text: "KeyError: " + strings.Repeat("k", i), fails: true}
		}), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			for _, d := range tt.steps {
				if guard, note, err := b.asks(); note != "" || err != nil {
					t.Fatalf("%s spoke too early: %s %v", guard, note, err)
				}
				b.step(d)
			}
			if guard, note, err := b.asks(); (note != "") != tt.want || err != nil {
				t.Errorf("%s said %q, %v; want a note: %v", guard, note, err, tt.want)
			}
		})
	}
}

// Calls side by side know nothing of each other.
func TestDuplicatesInOneReply(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.step(times(9, read("same"))...)
	b.step(times(9, read("same"))...)
	if _, note, err := b.asks(); note != "" || err != nil {
		t.Errorf("%q %v", note, err)
	}
}

// A new course is heard: what lies behind a note, or behind other work, is no
// evidence, and polling that was honest is not refused for a loop beside it.
func TestOnlyWhatLoopsIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]int{"loop": 0, "poll": 0}
	look := func(name string, text func(int) string) tool.Tool {
		return tool.New(tool.Spec{Effect: tool.Writes, ToolSpec: llm.ToolSpec{Name: name}}, func(context.Context, struct{}, tool.Call) (tool.Output, error) {
			tests[name]++
			return tool.Output{Text: text(tests[name])}, nil
		})
	}
	var replies []llmtest.Reply
	for i, name := range strings.Fields("loop loop loop poll poll poll poll loop loop loop loop poll loop") {
		replies = append(replies, llmtest.Call(fmt.Sprint(i), name, "{}"))
	}
	a := newAgent(t, &llmtest.Script{Replies: append(replies, llmtest.Say("I stop."))},
		look("loop", func(int) string { return "same" }), look("poll", func(n int) string { return fmt.Sprint(n * n) }))
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	if tests["loop"] != 6 || tests["poll"] != 5 {
		t.Errorf("ran %v, want 6 of loop and all 5 of poll: %s", tests, kinds(s))
	}
	refused := 0
	for _, ev := range s.Events() {
		if ev.Result != nil && strings.HasPrefix(ev.Result.Text, "refused: you made this call") {
			refused++
		}
		if ev.Note != nil && !strings.HasPrefix(ev.Note.Text, llm.NoteMark) {
			t.Errorf("a note without its mark: %s", ev.Note.Text)
		}
	}
	if refused != 2 {
		t.Errorf("%d calls were refused", refused)
	}
}

// What only counts may be epochs: it is worth one note and no refusal.
func TestCountersAreOnlyNoted(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	notes := 0
	for i := range 100 {
		b.step(done{name: "bash", args: "{}", text: fmt.Sprint("epoch ", i)})
		_, note, err := b.asks()
		if err != nil {
			t.Fatal(err)
		}
		if note != "" {
			notes++
		}
	}
	if notes != 1 {
		t.Errorf("%d notes, want 1", notes)
	}
}

// The end says what was repeated, how often, and what it had brought.
func TestLoopEndsWithASummary(t *testing.T) {
	t.Parallel()
	a := newAgent(t, &llmtest.Script{Replies: repeat(20, "a")}, say("a", func(int) string { return "no such table" }))
	err := run(t.Context(), a, begin(t, openStore(t, t.TempDir())), "")
	if !errors.Is(err, agent.ErrLoop) || !strings.Contains(err.Error(), `a {}, 9 times, with "no such table"`) {
		t.Errorf("%v", err)
	}
}

func TestBadArgumentsInLogs(t *testing.T) {
	t.Parallel()
	bad := func(name string, i int) done {
		return done{name: name, args: fmt.Sprintf("{%d", i), text: fmt.Sprint("not JSON ", strings.Repeat("x", i)), fails: true, bad: true}
	}
	good := func(name string) done { return done{name: name, args: "{}", text: "ok"} }
	tests := []struct {
		name  string
		steps []done
		notes string // one letter a step: the guard spoke, was quiet, or ended the turn
	}{
		{"twice", []done{bad("write", 1), bad("write", 2)}, ".n"},
		{"once", []done{bad("write", 1)}, "."},
		{"two tools", []done{bad("write", 1), bad("bash", 2)}, ".."},
		{"one that was good", []done{bad("write", 1), good("write"), bad("write", 3)}, "..."},
		{"once more after a note", []done{bad("write", 1), bad("write", 2), bad("write", 3)}, ".n."},
		{"for ever", []done{bad("write", 1), bad("write", 2), bad("write", 3), bad("write", 4), bad("write", 5), bad("write", 6)}, ".n.n.e"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			notes := ""
			for _, d := range tt.steps {
				b.step(d)
				switch guard, note, err := b.asks(); {
				case err != nil:
					notes += "e"
				case guard == "bad_arguments" && strings.Contains(note, "write"):
					notes += "n"
				default:
					notes += "."
				}
			}
			if notes != tt.notes {
				t.Errorf("%s, want %s", notes, tt.notes)
			}
		})
	}
}

// The router marks what the guard goes by.
func TestBadArgumentsEndToEnd(t *testing.T) {
	t.Parallel()
	var replies []llmtest.Reply
	for i := range 8 {
		replies = append(replies, llmtest.Call(fmt.Sprint(i), "a", fmt.Sprintf(`{"x%d":`, i)))
	}
	s := begin(t, openStore(t, t.TempDir()))
	err := run(t.Context(), newAgent(t, &llmtest.Script{Replies: replies}, say("a", func(int) string { return "ran" })), s, "")
	if !errors.Is(err, agent.ErrLoop) || strings.Count(kinds(s), "note") != 2 {
		t.Errorf("%v after %s", err, kinds(s))
	}
}

func TestCutOff(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.say("half", llm.EndLength)
	if _, note, _ := b.asks(); !strings.Contains(note, "Go on exactly where it stopped") {
		t.Errorf("text: %q", note)
	}
	if _, note, _ := b.asks(); note != "" {
		t.Errorf("said twice: %q", note)
	}
	b.step(read("a")(1))
	b.say("", llm.EndLength, "write", "bash")
	if _, note, _ := b.asks(); !strings.Contains(note, "calls: write, bash") {
		t.Errorf("dropped calls: %q", note)
	}
	// Complete calls beside the one that was cut in half have run.
	call := llm.ToolCall{ID: "x", Name: "read", Args: "{}"}
	b.record(session.Event{Reply: &session.Reply{Reply: llm.Reply{
		Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Call: &call}}}, End: llm.End{Reason: llm.EndLength, Dropped: []string{"write"}},
	}}})
	b.record(session.Event{Result: &session.Result{CallID: "x", Output: tool.Output{Text: "read"}}})
	if _, note, _ := b.asks(); !strings.Contains(note, "in the middle of a call: write") {
		t.Errorf("beside a complete call: %q", note)
	}
	b.say("half", llm.EndLength)
	if _, note, err := b.asks(); note == "" || err != nil {
		t.Errorf("third in a row: %q %v", note, err)
	}
	b.say("half", llm.EndLength)
	if _, _, err := b.asks(); !errors.Is(err, agent.ErrEmpty) {
		t.Errorf("fourth in a row: %v", err)
	}
}

// A server that says of every reply that it was cut ends no work.
func TestWrongEndOfWholeCalls(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	for i := range 9 {
		call := llm.ToolCall{ID: fmt.Sprint(i), Name: "read", Args: fmt.Sprint(i)}
		b.record(session.Event{Reply: &session.Reply{Reply: llm.Reply{
			Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Call: &call}}}, End: llm.End{Reason: llm.EndLength},
		}}})
		b.record(session.Event{Result: &session.Result{CallID: call.ID, Output: tool.Output{Text: "read"}}})
		if guard, note, err := b.asks(); note != "" || err != nil {
			t.Fatalf("%s: %s %v", guard, note, err)
		}
	}
	b.say("half", llm.EndLength)
	if _, note, err := b.asks(); note == "" || err != nil {
		t.Errorf("%q %v", note, err)
	}
}

func TestEmptyReplies(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.say(" \n", llm.EndStop)
	if guard, _, _ := b.asks(); guard != "empty_reply" {
		t.Errorf("%s spoke", guard)
	}
	b.step(read("a")(1))
	b.say("", llm.EndStop)
	if _, note, err := b.asks(); note == "" || err != nil {
		t.Errorf("work in between: %q %v", note, err)
	}
	b.say("", llm.EndStop)
	if _, _, err := b.asks(); !errors.Is(err, agent.ErrEmpty) {
		t.Errorf("two in a row: %v", err)
	}
}

// A plan that the model left open with its reasons is not brought up again
// before it changes.
func TestPlanIsNotBroughtUpAgain(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	plan := func() {
		b.step(done{name: "plan", text: "ok"})
		b.record(session.Event{Result: &session.Result{CallID: "p", Output: tool.Output{Plan: []tool.PlanItem{{Text: "publish", Status: "pending"}}}}})
	}
	count := func() (n int) {
		for range 4 {
			b.say("enough", llm.EndStop)
			if guard, _, _ := b.asks(); guard == "unfinished_plan" {
				n++
			}
		}
		return n
	}
	plan()
	if n := count(); n != 2 {
		t.Errorf("%d notes, want 2", n)
	}
	b.record(session.Event{Prompt: &session.Prompt{Text: "thanks"}})
	if n := count(); n != 0 {
		t.Errorf("%d notes about a plan that has not changed", n)
	}
	plan()
	if n := count(); n != 2 {
		t.Errorf("%d notes about a new plan, want 2", n)
	}
}

func TestClaimsInLogs(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, answer, want string }{
		{"a file", "I saved the model to models/ghost.pkl.", "models/ghost.pkl"},
		{"a report", "I wrote report.md with all results.", "report.md"},
		{"a URL", "The model is published: https://huggingface.co/me/ghost", "https://huggingface.co/me/ghost"},
		{"a link", "Done. Pushed to [the Hub](https://huggingface.co/me/ghost).", "https://huggingface.co/me/ghost"},
		{"a repository", "I uploaded it to me/ghost-model.", "me/ghost-model"},
		{"a repository in backticks", "Published as `me/ghost`.", "me/ghost"},
		{"live", "The demo is live at https://me-ghost.hf.space/.", "https://me-ghost.hf.space"},
		{"like one that is there", "I published it to me/iris-2.", "me/iris-2"},
		{"a part of one that is there", "I uploaded it to `me/iri`.", "me/iri"},
		{"in a list", "- saved `ghost.csv`\n", "ghost.csv"},
		{"two", "I wrote a.py and b.py.", "a.py, b.py"},

		{"what a tool made", "I saved the model to runs/model.pkl and published it to me/iris: https://huggingface.co/me/iris", ""},
		{"a page of it", "Published, see https://huggingface.co/me/iris/blob/main/README.md", ""},
		{"another kind of page", "Uploaded to https://huggingface.co/datasets/me/iris/", ""},
		{"what the person said", "I wrote the profile of iris.csv.", ""},
		{"what a call wrote", "I created /w/train.py.", ""},
		{"a hint", "You could look at https://huggingface.co/docs and save to out.csv.", ""},
		{"in passing", "I saved the plot with matplotlib (https://matplotlib.org) to runs/model.pkl.", ""},
		{"its base", "The model was created from bert/base-uncased and written to runs/model.pkl.", ""},
		{"not done", "I have not uploaded it to me/ghost.", ""},
		{"no claim", "The loader expects data.yaml in the folder.", ""},
		{"a fence", "I saved it. For example:\n```python\nsaved = 'ghost.pkl' # saved to ghost.pkl\n```\n", ""},
		{"words with a slash", "I uploaded the train/test split and published it in 2025/26 as CSV/Parquet.", ""},
		{"a question", "Shall I have it published to me/ghost?", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			b.step(done{name: "write", args: `{"path":"train.py","content":"open()\nmodel.pkl"}`, text: "wrote train.py"},
				done{name: "publish", args: `{}`, text: `{"url":"https://huggingface.co/me/iris"}`})
			b.say(tt.answer, llm.EndStop)
			guard, note, err := b.asks()
			if err != nil || (guard == "claims") != (tt.want != "") || !strings.Contains(note, tt.want) {
				t.Errorf("%s: %q %v, want %q", guard, note, err, tt.want)
			}
			b.say(tt.answer, llm.EndStop)
			if _, note, err := b.asks(); note != "" || err != nil {
				t.Errorf("it does not let go: %q %v", note, err)
			}
		})
	}
}

// Whatever the log holds, guards do not break, and looking changes nothing.
func TestGuardsOnRandomLogs(t *testing.T) {
	t.Parallel()
	words := []string{"", "a", "0", "{}", `{"a":1}`, "{", "2026-01-02T03:04:05Z", "12 s", "0x", "é\xff", "saved to x.csv.", "…", ":", "-.", "/tmp/", "1.2.3", "pid", "published to a/b-1 https://x.y/"}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		pick := func() (s string) {
			for range r.IntN(4) {
				s += words[r.IntN(len(words))] + []string{"", " ", "\n"}[r.IntN(3)]
			}
			return s
		}
		b := newBook(t)
		for range r.IntN(60) {
			switch r.IntN(8) {
			case 0:
				b.record(session.Event{Prompt: &session.Prompt{Text: pick()}})
			case 1:
				b.say(pick(), []string{"", llm.EndStop, llm.EndLength, "odd"}[r.IntN(4)])
			case 2:
				b.record(session.Event{Result: &session.Result{CallID: fmt.Sprint("c", r.IntN(9)), Output: tool.Output{Text: pick(), BadArgs: r.IntN(2) == 0}}})
			case 3:
				b.record(session.Event{Note: &session.Note{Guard: agent.Guards()[r.IntN(len(agent.Guards()))].Name}})
			default:
				b.step(times(r.IntN(4), func(int) done {
					return done{name: words[r.IntN(3)], args: pick(), text: pick(), fails: r.IntN(2) == 0, bad: r.IntN(4) == 0}
				})...)
			}
			for _, g := range agent.Guards() {
				note, err := g.Check(b.Session)
				again, errAgain := g.Check(b.Session)
				if note != again || fmt.Sprint(err) != fmt.Sprint(errAgain) {
					t.Fatalf("seed %d: %s says %q, then %q", seed, g.Name, note, again)
				}
			}
		}
	}
}

// Work that goes on is never disturbed.
func TestHonestSessionsHearNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 3))
		b := newBook(t)
		for i := range 200 {
			b.step(times(1+r.IntN(3), func(j int) done {
				return done{
					name: []string{"bash", "read", "write", "edit"}[r.IntN(4)], args: fmt.Sprintf(`{"path":"f%c%d_%d.py"}`, 'a'+r.IntN(26), i, j),
					text: strings.Repeat("line ", r.IntN(9)), fails: r.IntN(6) == 0,
				}
			})...)
			if guard, note, err := b.asks(); note != "" || err != nil {
				t.Fatalf("seed %d, step %d: %s: %s %v", seed, i, guard, note, err)
			}
		}
	}
}

// With 10,000 events and long results a look takes less than a millisecond,
// also while the same call is made again and again.
func BenchmarkGuards(b *testing.B) {
	for name, args := range map[string]func(int) string{
		"distinct": func(i int) string { return fmt.Sprintf(`{"path":"f%d","n":%d}`, i, i) },
		"polling":  func(int) string { return `{"job":"j"}` },
	} {
		b.Run(name, func(b *testing.B) {
			log := newBook(b)
			for i := range 3333 {
				log.step(done{name: "bash", args: args(i), text: fmt.Sprintf("step %d of 9999, loss %.4f\n", i*7, 1/float64(i+1)) + strings.Repeat("line 1 of the log\n", 1500)})
			}
			for b.Loop() {
				for _, g := range agent.Guards() {
					if note, err := g.Check(log.Session); note != "" || err != nil {
						b.Fatal(note, err)
					}
				}
			}
		})
	}
}
