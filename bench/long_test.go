package bench_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/llm/openai"
	"ml-intern/internal/session"
	"ml-intern/internal/session/sqlite"
	"ml-intern/internal/tool"
)

// seed writes a session of so many messages and bytes into a new home: steps
// of a call with its result, or, as talk, of prompts and replies.
func (w *world) seed(messages, size int, talk bool) (home string) {
	w.Helper()
	home = w.home()
	config := "models:\n  openai/test: {context_window: 3000000}\n"
	if err := os.MkdirAll(filepath.Join(home, "config"), 0o700); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "config", "config.yaml"), []byte(config), 0o600); err != nil {
		w.Fatal(err)
	}
	store, err := sqlite.Open(w.Context(), filepath.Join(home, "state", "sessions.db"))
	if err != nil {
		w.Fatal(err)
	}
	defer store.Close()
	text := longText(size / messages)
	var evs []session.Event
	add := func(ev session.Event) {
		ev.Seq, ev.Time = int64(len(evs))+1, time.Now().UTC()
		evs = append(evs, ev)
	}
	reply := func(part llm.Part) {
		add(session.Event{Reply: &session.Reply{Reply: llm.Reply{
			Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{part}}, End: llm.End{Reason: llm.EndStop, Usage: llm.Usage{Input: size / 4, Output: 50}},
		}, Model: "openai/test"}})
	}
	add(session.Event{Opened: &session.Opened{ID: "long", Dir: w.workspace, Model: "openai/test", Hub: "local"}})
	add(session.Event{Prompt: &session.Prompt{Text: "go"}})
	for i := range messages / 2 {
		if talk {
			reply(llm.Part{Text: text})
			add(session.Event{Prompt: &session.Prompt{Text: fmt.Sprint(i, text)}})
			continue
		}
		if i%100 == 99 { // a turn has a step limit
			add(session.Event{Prompt: &session.Prompt{Text: "go on"}})
		}
		id := fmt.Sprint("c", i)
		reply(llm.Part{Call: &llm.ToolCall{ID: id, Name: "bash", Args: fmt.Sprintf(`{"command":"echo %d"}`, i)}})
		add(session.Event{Started: &session.Started{CallID: id}})
		add(session.Event{Result: &session.Result{CallID: id, Output: tool.Output{Text: fmt.Sprint(i, " ", text), Summary: "exit 0"}}})
	}
	if err := store.Append(w.Context(), "long", evs...); err != nil {
		w.Fatal(err)
	}
	return home
}

// long measures what a long history costs: to resume it, and to compact it.
func (w *world) long() []row {
	var resumed, fresh, floor []time.Duration
	home := w.seed(10_000, 5_000_000, false)
	log := w.floorLog(10_000, 5_000_000)
	for range 15 {
		copied := w.home()
		w.copy(home, copied)
		resumed = append(resumed, w.run(w.ours, copied, echoes(0), "--continue").firstRequest())
		fresh = append(fresh, w.run(w.ours, w.home(), echoes(0), "go").firstRequest())
		copied = w.home()
		if err := os.WriteFile(filepath.Join(copied, "floor.log"), log, 0o600); err != nil {
			w.Fatal(err)
		}
		floor = append(floor, w.run(w.floor, copied, echoes(0), "go").firstRequest())
	}
	r, f, l := median(resumed), median(fresh), median(floor)
	rows := []row{{"15", "start to first request, resuming 10,000 messages (5 MB)", fmt.Sprintf("%s, fresh %s, floor agent %s; n = %d", ms(r), ms(f), ms(l), len(resumed)), "120 ms", verdict(milliseconds(r), 120)}}
	return append(rows, w.compaction()...)
}

// floorLog is a log of the floor agent: steps of a call with its result.
func (w *world) floorLog(messages, size int) []byte {
	w.Helper()
	var log bytes.Buffer
	text := longText(size / messages)
	for i := range messages / 2 {
		id := fmt.Sprint("c", i)
		for _, m := range []any{
			map[string]any{"role": "assistant", "content": "", "tool_calls": []any{map[string]any{
				"id": id, "type": "function", "function": map[string]string{"name": "bash", "arguments": fmt.Sprintf(`{"command":"echo %d"}`, i)},
			}}},
			map[string]string{"role": "tool", "tool_call_id": id, "content": fmt.Sprint(i, " ", text)},
		} {
			if err := json.NewEncoder(&log).Encode(m); err != nil {
				w.Fatal(err)
			}
		}
	}
	return log.Bytes()
}

// longText is a text of at least so many bytes.
func longText(size int) string {
	return strings.Repeat(`result: "some words", 3.14159, more words of a text. `, size/52+1)
}

// compaction goes on with 4 MB of talk; the first reply says that the window is
// all but full.
func (w *world) compaction() []row {
	home := w.seed(400, 4_000_000, true)
	var before, after []time.Duration
	var shared []float64
	for range 5 {
		copied := w.home()
		w.copy(home, copied)
		full := bash("echo on")
		full.Usage = &llmtest.Count{In: 2_990_000, Out: 10}
		r := w.run(w.ours, copied, func(n int, _ []byte) llmtest.Turn {
			switch n {
			case 0:
				return full
			case 1:
				return llmtest.Turn{Text: "# Decisions\n- none\n# Open questions\n- none\n# Summary\nMuch was said."}
			}
			return llmtest.Turn{Text: "done"}
		}, "--continue")
		if len(r.seen) != 3 {
			w.Fatalf("%d requests around a compaction", len(r.seen))
		}
		before = append(before, r.seen[1].Arrived.Sub(r.seen[0].Sent))
		after = append(after, r.seen[2].Arrived.Sub(r.seen[1].Sent))
		shared = append(shared, prefixShare(r.seen[0].Body, r.seen[1].Body))
	}
	b, a, s := median(before), median(after), median(shared)
	return []row{
		{"16", "own time before a summary's request, 4 MB of history (its command too)", ms(b), "60 ms", verdict(milliseconds(b), 60)},
		{"16", "own time after it", ms(a), "20 ms", verdict(milliseconds(a), 20)},
		{"16", "bytes of the summary's request that the one before it had", fmt.Sprintf("%.1f %%", 100*s), "95 %", holds(s >= 0.95)},
	}
}

// prefixShare is the part of the second text that the first begins with too.
func prefixShare(a, b []byte) float64 {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return float64(n) / float64(len(b))
}

// latency measures what the client adds to a piece of a stream: from the
// server's write to the caller's hands, in one process.
func (w *world) latency() []row {
	const n = 400
	s := llmtest.NewServer(llmtest.Turn{Text: strings.Repeat("piece ", n), Chunk: 6, PaceMS: 2})
	defer s.Close()
	c := &openai.Client{Model: "m", BaseURL: s.URL}
	var late []time.Duration
	i := 0
	for chunk, err := range c.Stream(w.Context(), llmtest.Go()) {
		if err != nil {
			w.Fatal(err)
		}
		if chunk.Text != "" {
			if wrote := s.Wrote(0); i < len(wrote) {
				late = append(late, time.Since(wrote[i]))
			}
			i++
		}
	}
	p50, p95 := median(late), quantile(late, 0.95)
	return []row{
		{"10", "streaming latency that the client adds, p50", fmt.Sprintf("%.2f ms; n = %d", milliseconds(p50), len(late)), "1 ms", verdict(milliseconds(p50), 1)},
		{"10", "p95", fmt.Sprintf("%.2f ms", milliseconds(p95)), "3 ms", verdict(milliseconds(p95), 3)},
	}
}
