package trace_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/secret"
	"ml-intern/internal/session"
	"ml-intern/internal/session/sqlite"
	"ml-intern/internal/tool"
	"ml-intern/internal/trace"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A shelf is a store with sessions, and what is known of them.
type shelf struct {
	t     testing.TB
	store *sqlite.Store
	all   []session.Summary
}

func newShelf(t testing.TB) *shelf {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "sessions.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return &shelf{t: t, store: store}
}

// add appends events to the session of that id, a second after another.
func (s *shelf) add(id string, events ...session.Event) session.Summary {
	s.t.Helper()
	i := 0
	for i < len(s.all) && s.all[i].ID != id {
		i++
	}
	if i == len(s.all) {
		s.all = append(s.all, session.Summary{ID: id})
	}
	sum := &s.all[i]
	for j := range events {
		ev := &events[j]
		ev.Seq = sum.Events + int64(j) + 1
		ev.Time = time.Date(2026, 11, 27, 12, 0, int(ev.Seq), 0, time.UTC)
	}
	if err := s.store.Append(s.t.Context(), id, events...); err != nil {
		s.t.Fatal(err)
	}
	for _, ev := range events {
		sum.Add(ev)
	}
	sum.ID = id
	return *sum
}

func opened(id string) session.Event {
	return session.Event{Opened: &session.Opened{ID: id, Dir: "/home/alice/churn", Model: "openai/m", Hub: "local", Version: "1.0"}}
}

func prompt(text string) session.Event { return session.Event{Prompt: &session.Prompt{Text: text}} }

func reply(parts ...llm.Part) session.Event {
	return session.Event{Reply: &session.Reply{Model: "openai/m", Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: parts}, End: llm.End{Reason: llm.EndStop}}}}
}

func text(s string) llm.Part { return llm.Part{Text: s} }

func call(id, name, args string) llm.Part {
	return llm.Part{Call: &llm.ToolCall{ID: id, Name: name, Args: args}}
}

func result(id, text string) session.Event {
	return session.Event{Result: &session.Result{CallID: id, Output: tool.Output{Text: text}}}
}

// talk is a session with a bit of all that there is.
func talk(s *shelf) session.Summary {
	return s.add("20261127-120000-abcd",
		opened("20261127-120000-abcd"),
		session.Event{Prompt: &session.Prompt{Text: "Count the rows", Context: "$ ls\ntrain.csv <b>"}},
		session.Event{Reserved: &session.Reserved{For: session.ForStep}},
		reply(llm.Part{Reasoning: "I should ", Proof: &llm.Proof{Kind: "k", Data: "opaque"}}, llm.Part{Reasoning: "look."}, text("I look."), call("c1", "bash", `{"command":"wc -l /home/alice/churn/train.csv"}`), call("c2", "read", `{"path": `)),
		session.Event{Decided: &session.Decided{CallID: "c1", Verdict: "allow", By: "person", Args: `{"command":"wc -l train.csv"}`}},
		session.Event{Started: &session.Started{CallID: "c1"}},
		result("c1", "4096 /home/alice/churn/train.csv\n/home/bob/x https://h.example/home/alice"),
		session.Event{Result: &session.Result{CallID: "c2", Output: tool.Output{Text: "the arguments are no JSON", IsError: true}}},
		session.Event{Note: &session.Note{Guard: "plan", Text: llm.NoteMark + "the plan is open"}},
		session.Event{Compact: &session.Compact{State: "Goal: rows.", Summary: "Rows were counted."}},
		reply(text("There are "), text("4096 rows.")),
		prompt("and now train"),
		session.Event{Failed: &session.Failed{Reason: "cost_cap", Text: "the cap is reached"}},
		session.Event{Renamed: &session.Renamed{Title: "Rows of churn"}},
	)
}

func specs(name string) (llm.ToolSpec, bool) {
	return llm.ToolSpec{Description: "runs a line", Schema: json.RawMessage(`{"type":"object","properties":{"command":{"type":"string"}}}`)}, name == "bash"
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; look at it with -update\n%s", file, got)
	}
}

func TestTrace(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	about := talk(s)
	scrub := trace.NewScrubber(secret.New(), "/home/alice/")
	var out bytes.Buffer
	count, err := trace.Write(t.Context(), &out, s.store, about, scrub)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "trace.jsonl", out.Bytes())
	if want := (trace.Count{Events: 14, Messages: 10, Calls: 2}); count != want {
		t.Errorf("%+v", count)
	}
	if r := scrub.Redacted(); len(r) != 1 || r[0].Kind != trace.HomePath || r[0].Count != 4 || r[0].Places[0] != "folder" {
		t.Errorf("%+v", r)
	}
	var again bytes.Buffer
	if _, err := trace.Write(t.Context(), &again, s.store, about, trace.NewScrubber(secret.New(), "/home/alice")); err != nil || again.String() != out.String() {
		t.Errorf("written again, it is another one: %v", err)
	}
	if _, err := trace.Write(t.Context(), &again, s.store, session.Summary{ID: "nobody"}, scrub); err == nil {
		t.Error("a session that is not there has a trace")
	}
}

// Of a picture that a person gave, a line says that it was there.
func TestPicturesOfPrompts(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	about := s.add("pictures", opened("pictures"), session.Event{Prompt: &session.Prompt{
		Text: "Look at these.", Pictures: []*llm.Image{{MediaType: "image/png", Data: []byte("one")}, {MediaType: "image/png", Data: []byte("two")}},
	}})
	var out bytes.Buffer
	count, err := trace.Write(t.Context(), &out, s.store, about, trace.NewScrubber(secret.New(), ""))
	if err != nil || count.Pictures != 2 || strings.Count(out.String(), "a picture is left out: image/png, 3 bytes") != 2 {
		t.Errorf("%v, %+v\n%s", err, count, out.String())
	}
}

// A home folder is found wherever a path may begin, and not in addresses.
func TestHomes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"cc -I/home/ana/include -L/home/bob/lib":  "cc -I~/include -L/home/user/lib",
		`see "a\n/home/ana/x\t/home/bob"`:         `see "a\n~/x\t/home/user"`,
		"https://h.example/home/ana x-I/home/bob": "https://h.example/home/ana x-I/home/bob",
		"PATH=/bin:/home/ana/bin:/home/anabel/b":  "PATH=/bin:~/bin:/home/user/b",
	} {
		if got := trace.NewScrubber(secret.New(), "/home/ana").Text("here", text); got != want {
			t.Errorf("%s became %s, not %s", text, got, want)
		}
	}
}

func TestRow(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	about := talk(s)
	var out bytes.Buffer
	count, err := trace.WriteRow(t.Context(), &out, s.store, about, specs, trace.NewScrubber(secret.New(), "/home/alice"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "row.jsonl", out.Bytes())
	if count.Messages != 5 || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%+v\n%s", count, out.String())
	}
	empty := s.add("none", opened("none"), prompt("hello"))
	out.Reset()
	if count, err = trace.WriteRow(t.Context(), &out, s.store, empty, specs, trace.NewScrubber(secret.New(), "")); err != nil || count.Messages != 0 || !json.Valid(out.Bytes()) {
		t.Errorf("a session without a reply: %v, %+v\n%s", err, count, out.String())
	}
}

// memory is a log of one session.
type memory []session.Event

func (m memory) Load(context.Context, string, int64) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		for i, ev := range m {
			if ev.Seq = int64(i + 1); !yield(ev, nil) {
				return
			}
		}
	}
}

// Whatever the texts are, every line is JSON, and what looks like a key is gone.
func FuzzWrite(f *testing.F) {
	key := "hf_" + strings.Repeat("aB3", 12)
	f.Add("a "+key, `{"token":"`+key+`"}`, "x")
	f.Add("-----BEGIN RSA PRIVATE KEY-----\n", `{"a":"-----BEGIN `, "-----END")
	f.Add("\xff\x00</script>", `{"a":1,"a":2}`, "/home/alice")
	f.Fuzz(func(t *testing.T, said, args, answer string) {
		s := memory{opened("s"), prompt(said), reply(text(answer), call("c", "bash", args)), result("c", said)}
		about := session.Summary{ID: "s", Title: said}
		for name, write := range map[string]func(*bytes.Buffer, *trace.Scrubber) error{
			"trace": func(b *bytes.Buffer, scrub *trace.Scrubber) error {
				_, err := trace.Write(t.Context(), b, s, about, scrub)
				return err
			},
			"row": func(b *bytes.Buffer, scrub *trace.Scrubber) error {
				_, err := trace.WriteRow(t.Context(), b, s, about, specs, scrub)
				return err
			},
		} {
			var out bytes.Buffer
			if err := write(&out, trace.NewScrubber(secret.New(), "/home/alice")); err != nil {
				continue // it says that something stays, and writes nothing
			}
			for line := range strings.Lines(out.String()) {
				if !json.Valid([]byte(line)) || !strings.HasSuffix(line, "\n") {
					t.Errorf("%s: %q", name, line)
				}
			}
			if secret.New().Holds(out.String()) {
				t.Errorf("%s holds a key: %q", name, out.String())
			}
		}
	})
}
