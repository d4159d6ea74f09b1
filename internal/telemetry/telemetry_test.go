package telemetry_test

import (
	"context"
	"flag"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/approval"
	"ml-intern/internal/ledger"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/telemetry"
	"ml-intern/internal/telemetry/telemetrytest"
	"ml-intern/internal/tool"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A collector gets what the readers send.
type collector struct{ *telemetrytest.Collector }

func collect(t *testing.T) collector { return collector{telemetrytest.Start(t)} }

// reader starts a Reader that sends to the collector, with more variables.
func (c collector) reader(t *testing.T, vars map[string]string) *telemetry.Reader {
	t.Helper()
	getenv := func(name string) string {
		if v, ok := vars[name]; ok {
			return v
		}
		return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_BSP_SCHEDULE_DELAY": "3600000", "OTEL_METRIC_EXPORT_INTERVAL": "3600000"}[name]
	}
	opts, warnings := telemetry.FromEnv(getenv)
	opts.Version, opts.Patience = "1.2.3", time.Minute
	opts.Redact = func(s string) string { return strings.ReplaceAll(s, planted, "[redacted]") }
	return telemetry.New(opts, warnings)
}

const planted = "sk-planted-secret-0123456789"

// memory is a store of one process.
type memory struct {
	session.Store
	mu   sync.Mutex
	logs map[string][]session.Event
}

func (m *memory) Append(_ context.Context, id string, events ...session.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.logs == nil {
		m.logs = make(map[string][]session.Event)
	}
	m.logs[id] = append(m.logs[id], events...)
	return nil
}

func (m *memory) Load(_ context.Context, id string, _ int64) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		m.mu.Lock()
		events := slices.Clone(m.logs[id])
		m.mu.Unlock()
		for _, ev := range events {
			if !yield(ev, nil) {
				return
			}
		}
	}
}

// A logged event is one of a session.
type logged struct {
	session string
	event   session.Event
}

const (
	parentID = "20261127-210000-abcd"
	model    = "anthropic/claude-x"
)

var childID = session.ChildID(parentID, parentID+"/c2")

// story is a session with everything in it, a second between two events.
func story() []logged {
	var all []logged
	at := time.Date(2026, 11, 27, 21, 0, 0, 0, time.UTC)
	seqs := map[string]int64{}
	say := func(id string, ev session.Event) {
		seqs[id]++
		ev.Seq, ev.Time = seqs[id], at
		at = at.Add(time.Second)
		all = append(all, logged{id, ev})
	}
	reserve := func(id, what string) {
		say(id, session.Event{Reserved: &session.Reserved{For: what, Model: model, Worst: ledger.Amount{USD: 1}}})
	}
	reply := func(id, reason string, parts ...llm.Part) {
		u := llm.Usage{Input: 1000, Output: 50, CacheRead: 800}
		say(id, session.Event{Reply: &session.Reply{Model: model, Cost: ledger.Amount{USD: 0.25}, Reply: llm.Reply{
			Message: llm.Message{Role: llm.Assistant, Parts: parts}, End: llm.End{Reason: reason, Usage: u},
		}}})
	}
	call := func(id, name, args string) llm.Part {
		return llm.Part{Call: &llm.ToolCall{ID: id, Name: name, Args: args}}
	}
	result := func(id, callID string, out tool.Output) {
		say(id, session.Event{Result: &session.Result{CallID: callID, Output: out}})
	}
	p, c := parentID, childID
	say(p, session.Event{Opened: &session.Opened{ID: p, Dir: "/w", Model: model, Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}})
	say(p, session.Event{Prompt: &session.Prompt{Text: "train it with " + planted}})
	reserve(p, session.ForStep)
	say(p, session.Event{Settled: &session.Settled{For: session.ForStep, Model: model, Usage: llm.Usage{Input: 10, Output: 1}, Cost: ledger.Amount{USD: 0.01}}})
	reserve(p, session.ForStep)
	reply(p, llm.EndCalls, llm.Part{Text: "I look"}, call("c1", "job_submit", `{"key":"`+planted+`"}`), call("c2", "research", "{}"), call("c3", "mcp__x__y", "not json"))
	say(p, session.Event{Decided: &session.Decided{CallID: "c1", Verdict: string(approval.Allow), By: "person"}})
	say(p, session.Event{Decided: &session.Decided{CallID: "c3", Verdict: string(approval.Deny), By: "policy"}})
	result(p, "c3", tool.Output{Text: "refused", IsError: true})
	say(p, session.Event{Started: &session.Started{CallID: "c1"}})
	result(p, "c1", tool.Output{
		Text: "sent " + planted, Artifacts: []tool.Artifact{{Kind: "job", Path: "/w/runs/job-7"}}, Charges: []tool.Charge{{Label: p + "/c1", Job: "job-7", USD: 2}},
	})
	say(p, session.Event{Started: &session.Started{CallID: "c2"}})
	say(c, session.Event{Opened: &session.Opened{ID: c, Parent: p, Model: model, Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}})
	say(c, session.Event{Prompt: &session.Prompt{Text: "find out"}})
	reserve(c, session.ForStep)
	reply(c, llm.EndStop, llm.Part{Text: "found"})
	result(p, "c2", tool.Output{Text: "report", Spent: &tool.Spent{Session: c, Calls: 1, USD: 0.25}})
	say(p, session.Event{Note: &session.Note{Guard: "plan", Text: "go on"}})
	reserve(p, session.ForSummary)
	say(p, session.Event{Compact: &session.Compact{Summary: "short", Keep: 3, Model: model, Usage: llm.Usage{Input: 500, Output: 20}, Cost: ledger.Amount{USD: 0.1}}})
	reserve(p, session.ForStep)
	say(p, session.Event{Settled: &session.Settled{For: session.ForStep, Model: model}})
	say(p, session.Event{Switched: &session.Switched{From: model, To: "openai/gpt-x", Reason: "status 529 " + planted}})
	say(p, session.Event{Reserved: &session.Reserved{For: session.ForStep, Model: "openai/gpt-x"}})
	say(p, session.Event{Reply: &session.Reply{Model: "openai/gpt-x", Reply: llm.Reply{
		Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Reasoning: "hm"}, {Text: "it runs"}}}, End: llm.End{Reason: llm.EndStop, Usage: llm.Usage{Input: 700, Output: 9, Estimated: true}},
	}}})
	say(p, session.Event{Charged: &session.Charged{Charges: []tool.Charge{{Label: p + "/c1", Job: "job-7", USD: 1.5, Final: true}}}})
	say(p, session.Event{Prompt: &session.Prompt{Text: "and now?"}})
	reserve(p, session.ForStep)
	reply(p, llm.EndCalls, call("c4", "bash", `{"command":"false"}`))
	say(p, session.Event{Started: &session.Started{CallID: "c4"}})
	say(p, session.Event{Waiting: &session.Waiting{CallID: "c4", Waiting: tool.Waiting{Jobs: []string{"job-7"}}}})
	say(p, session.Event{Started: &session.Started{CallID: "c4", Again: true}})
	result(p, "c4", tool.Output{Text: "it failed", IsError: true})
	say(p, session.Event{Failed: &session.Failed{Reason: "max_steps", Text: "no " + planted}})
	return all
}

// tell has the reader see the events, as if they were saved now.
func tell(t *testing.T, r *telemetry.Reader, to *memory, events []logged) {
	t.Helper()
	store := r.Store(to)
	for _, e := range events {
		if err := store.Append(t.Context(), e.session, e.event); err != nil {
			t.Fatal(err)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; -update writes it anew:\n%s", file, got)
	}
}

func TestOneSession(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"spans.txt": "", "content.txt": "true"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := collect(t)
			r := c.reader(t, map[string]string{"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": content})
			tell(t, r, &memory{}, story())
			r.Close()
			if problems := r.Problems(); len(problems) > 0 {
				t.Error(problems)
			}
			golden(t, name, c.Shown())
			sent := strings.Join(c.Raw(), "\n")
			for _, word := range []string{planted, "status 529", "short"} {
				if strings.Contains(sent, word) {
					t.Errorf("%q was sent", word)
				}
			}
			for _, word := range []string{"train it", "I look", "found", "it failed"} {
				if strings.Contains(sent, word) != (content != "") {
					t.Errorf("%q was sent, or not, with content %q", word, content)
				}
			}
		})
	}
}

// Whenever a process ends and another one goes on, both together send what one
// would have sent: each span once, under the same id.
func TestAnotherProcessGoesOn(t *testing.T) {
	t.Parallel()
	events := story()
	whole := collect(t)
	r := whole.reader(t, nil)
	tell(t, r, &memory{}, events)
	r.Close()
	want := whole.Shown()
	for k := 1; k < len(events); k++ {
		c, kept := collect(t), &memory{}
		first := c.reader(t, nil)
		tell(t, first, kept, events[:k])
		first.Close()
		second := c.reader(t, nil)
		for _, id := range []string{parentID, childID} {
			for _, err := range second.Store(kept).Load(t.Context(), id, 0) {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		tell(t, second, kept, events[k:])
		second.Close()
		if got := c.Shown(); got != want {
			t.Errorf("cut after %d events:\n%s", k, got)
		}
	}
}

// A turn whose program was killed ends where its log does, when the person says
// something else.
func TestKilledTurn(t *testing.T) {
	t.Parallel()
	events := story()
	cut := slices.IndexFunc(events, func(e logged) bool { return e.event.Started != nil })
	c, kept := collect(t), &memory{}
	first := c.reader(t, nil)
	tell(t, first, kept, events[:cut])
	first.Close()
	second := c.reader(t, nil)
	for _, err := range second.Store(kept).Load(t.Context(), parentID, 0) {
		if err != nil {
			t.Fatal(err)
		}
	}
	at := time.Now().UTC().Add(time.Minute) // after the reader took the session up, whatever the date
	seq := int64(cut)
	next := func(ev session.Event) logged {
		seq++
		ev.Seq, ev.Time = seq, at
		return logged{parentID, ev}
	}
	tell(t, second, kept, []logged{
		next(session.Event{Result: &session.Result{CallID: "c1", Output: tool.Output{Text: "interrupted", IsError: true}}}),
		next(session.Event{Prompt: &session.Prompt{Text: "something else"}}),
		next(session.Event{Reply: &session.Reply{Model: "ollama/x", Reply: llm.Reply{Message: llm.Message{Parts: []llm.Part{{Call: &llm.ToolCall{ID: "d", Name: "words of a model"}}}}, End: llm.End{Usage: llm.Usage{Input: 1}}}}}),
		next(session.Event{Result: &session.Result{CallID: "d", Output: tool.Output{Text: "no such tool", IsError: true}}}),
		next(session.Event{Failed: &session.Failed{Reason: "interrupted"}}),
	})
	second.Close()
	var got []string
	for _, s := range c.Spans() {
		end := fmt.Sprint(s["endTimeUnixNano"])
		got = append(got, fmt.Sprint(s["name"], " ", telemetrytest.Attrs(s)["error.type"], " ", end == fmt.Sprint(at.UnixNano())))
	}
	want := []string{"invoke_agent ml-intern interrupted true", "chat claude-x <nil> false", "invoke_agent ml-intern interrupted true", "chat x <nil> true"}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || strings.Contains(strings.Join(c.Raw(), ""), "words of a model") {
		t.Errorf("%q in\n%s", got, c.Shown())
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	for _, preference := range []string{"cumulative", "delta"} {
		c := collect(t)
		r := c.reader(t, map[string]string{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": preference})
		tell(t, r, &memory{}, story())
		r.Close()
		var b strings.Builder
		for _, m := range c.Metrics() {
			kind := "histogram"
			if m["sum"] != nil {
				kind = "sum"
			}
			series := m[kind].(map[string]any)
			if want := map[string]float64{"cumulative": 2, "delta": 1}[preference]; series["aggregationTemporality"] != want {
				t.Errorf("temporality %v", series["aggregationTemporality"])
			}
			fmt.Fprintf(&b, "%s %s %s\n", m["name"], kind, m["unit"])
			for _, p := range telemetrytest.Objects(series["dataPoints"]) {
				fmt.Fprintf(&b, "  %v %v %v %v\n", p["asDouble"], p["count"], p["sum"], p["bucketCounts"])
				telemetrytest.ShowAttrs(&b, "    ", p)
			}
		}
		golden(t, "metrics.txt", b.String())
	}
}

// What an event costs the turn that saves it.
func BenchmarkFollow(b *testing.B) {
	opts, _ := telemetry.FromEnv(func(name string) string {
		return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_BSP_SCHEDULE_DELAY": "3600000"}[name]
	})
	r := telemetry.New(opts, nil)
	defer r.Close()
	events := story()
	store := r.Store(nothing{})
	b.ResetTimer()
	for b.Loop() {
		for _, e := range events {
			if err := store.Append(b.Context(), e.session, e.event); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(events)), "ns/event")
}

// nothing is a store that keeps nothing.
type nothing struct{ session.Store }

func (nothing) Append(context.Context, string, ...session.Event) error { return nil }

// Whatever a log holds, in whatever order, there is an answer.
func FuzzAnyLog(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 30, 31, 32})
	f.Add([]byte{5, 10, 10, 33, 33, 12, 1, 20, 19, 21, 23})
	f.Fuzz(func(t *testing.T, order []byte) {
		c := collect(t)
		r := c.reader(t, map[string]string{"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"})
		events, kept := story(), &memory{}
		for i, n := range order {
			e := events[int(n)%len(events)]
			e.event.Seq = int64(i + 1)
			e.event.Time = e.event.Time.Add(time.Duration(int(n)-i) * time.Minute)
			if i == len(order)/2 {
				for range r.Store(kept).Load(t.Context(), parentID, 0) {
				}
			}
			tell(t, r, kept, []logged{e})
		}
		r.Close()
		if told := r.Problems(); len(told) > 0 || len(c.Raw()) > 0 && len(c.Spans())+len(c.Metrics()) == 0 {
			t.Errorf("told %q", told)
		}
	})
}
