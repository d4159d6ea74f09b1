//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
)

// A fault is what a provider does, and how a run with it must end.
type fault struct {
	name   string
	turns  []llmtest.Turn
	exit   int
	answer string // on standard output, "" for none
	events string // kinds of the saved events that say how it went, in order
	asked  int    // requests
}

var count = []llmtest.TurnCall{{Name: "bash", Args: `{"command":"echo run >> runs"}`}}

// faults lists them. A first turn runs a command, which must run once whatever
// comes after it.
func faults() []fault {
	ran := llmtest.Turn{Calls: count}
	ok := llmtest.Turn{Text: "the whole answer", Chunk: 4}
	broken := func(set func(*llmtest.Turn)) llmtest.Turn {
		t := ok
		set(&t)
		return t
	}
	status := func(code int, body string) llmtest.Turn {
		return llmtest.Turn{Status: code, Body: body, RetryAfter: "0.01"}
	}
	many := func(n int, t llmtest.Turn) []llmtest.Turn {
		var all []llmtest.Turn
		for range n {
			all = append(all, t)
		}
		return all
	}
	after := func(turns ...llmtest.Turn) []llmtest.Turn { return append([]llmtest.Turn{ran}, turns...) }
	const done = "the whole answer"
	calls64 := make([]llmtest.TurnCall, 64)
	for i := range calls64 {
		calls64[i] = llmtest.TurnCall{Name: "read", Args: `{"path":"."}`}
	}
	return []fault{
		{"nothing", after(ok), 0, done, "reply started result reply", 2},
		{"429 with Retry-After", after(status(429, ""), ok), 0, done, "reply started result settled reply", 3},
		{"500", after(status(500, ""), ok), 0, done, "reply started result settled reply", 3},
		{"502", after(status(502, "<html>"), ok), 0, done, "reply started result settled reply", 3},
		{"503 and 529", after(status(503, ""), status(529, ""), ok), 0, done, "reply started result settled settled reply", 4},
		{"five times 503", after(many(5, status(503, ""))...), 8, "", "reply started result settled settled settled settled settled failed", 6},
		{"401", after(status(401, "")), 4, "", "reply started result settled failed", 2},
		{"402", after(status(402, "")), 1, "", "reply started result settled failed", 2},
		{"403", after(status(403, "")), 4, "", "reply started result settled failed", 2},
		{"404", after(status(404, "")), 1, "", "reply started result settled failed", 2},
		{"reset in the middle", after(broken(func(t *llmtest.Turn) { t.CutAfter = 4 }), ok), 0, done, "reply started result settled reply", 3},
		{"early end", after(broken(func(t *llmtest.Turn) { t.EndAfter = 4 }), ok), 0, done, "reply started result settled reply", 3},
		{"error in the stream", after(broken(func(t *llmtest.Turn) { t.ErrorAfter = 4 }), ok), 0, done, "reply started result settled reply", 3},
		{"stall", after(broken(func(t *llmtest.Turn) { t.StallAfter = 4 }), ok), 0, done, "reply started result settled reply", 3},
		{"slow first byte", after(llmtest.Turn{Hang: true}, ok), 0, done, "reply started result settled reply", 3},
		{"an empty reply", after(llmtest.Turn{}, ok), 0, done, "reply started result reply note reply", 3},
		{"two empty replies", after(llmtest.Turn{}, llmtest.Turn{}), 1, "", "reply started result reply note reply failed", 3},
		{"malformed arguments", after(llmtest.Turn{Calls: []llmtest.TurnCall{{Name: "bash", Args: `{"command": `}}}, ok), 0, done, "reply started result reply started result reply", 3},
		{"arguments cut by the limit", after(llmtest.Turn{Finish: "length", Calls: []llmtest.TurnCall{{Name: "bash", Args: `{"command": "ec`}}}, ok), 0, done, "reply started result reply note reply", 3},
		{"text cut by the limit", after(llmtest.Turn{Text: "the whole ", Finish: "length"}, llmtest.Turn{Text: "answer"}), 0, done, "reply started result reply note reply", 3},
		{"overflow, once", after(status(400, `{"error":{"message":"prompt is too long: 300000 tokens > 200000 maximum"}}`), ok), 0, done, "reply started result settled reply", 3},
		{"overflow, again and again", after(many(9, status(413, ""))...), 1, "", "", 0},
		{"no usage", after(broken(func(t *llmtest.Turn) { t.NoUsage = true })), 0, done, "reply started result reply", 2},
		{"absurd usage", after(broken(func(t *llmtest.Turn) { t.Usage = &llmtest.Count{In: 1 << 40, Out: 1 << 40} })), 0, done, "reply started result reply", 2},
		{"negative usage", after(broken(func(t *llmtest.Turn) { t.Usage = &llmtest.Count{In: -4, Out: -9} })), 0, done, "reply started result reply", 2},
		{"ids used twice", after(llmtest.Turn{Calls: []llmtest.TurnCall{{ID: "x", Name: "read", Args: `{"path":"."}`}}}, llmtest.Turn{Calls: []llmtest.TurnCall{{ID: "x", Name: "read", Args: `{"path":"."}`}}}, ok), 0, done, "reply started result reply started result reply started result reply", 4},
		{"characters cut", after(broken(func(t *llmtest.Turn) { t.Text, t.Chunk, t.Write = "日本語 ü", 0, 1 })), 0, "日本語 ü", "reply started result reply", 2},
		{"64 calls", after(llmtest.Turn{Calls: calls64, ArgBytes: 3}, ok), 0, done, "", 3},
	}
}

// kindsOf names the saved events that tell how a run went.
func kindsOf(t *testing.T, lines []byte) string {
	t.Helper()
	var kinds []string
	for line := range bytes.Lines(lines) {
		var ev session.Event
		if err := json.Unmarshal(line, &ev); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		switch {
		case ev.Reply != nil:
			kinds = append(kinds, "reply")
		case ev.Started != nil:
			kinds = append(kinds, "started")
		case ev.Result != nil:
			kinds = append(kinds, "result")
		case ev.Note != nil:
			kinds = append(kinds, "note")
		case ev.Settled != nil:
			kinds = append(kinds, "settled")
		case ev.Failed != nil:
			kinds = append(kinds, "failed")
		}
	}
	return strings.Join(kinds, " ")
}

// Whatever a provider does, on both wires: the exit code, the events, the whole
// answer or none, and every command once.
func TestFaults(t *testing.T) {
	t.Parallel()
	exe := program(t)
	for _, wire := range []string{"openai/test", "anthropic/test"} {
		for _, f := range faults() {
			t.Run(wire+" "+f.name, func(t *testing.T) {
				t.Parallel()
				s := llmtest.NewServer(f.turns...)
				defer s.Close()
				dir := t.TempDir()
				run := func(args ...string) (string, string, int) {
					c := exec.CommandContext(t.Context(), exe, args...)
					c.Dir = dir
					c.Env = []string{
						"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "ML_INTERN_HOME=" + filepath.Join(dir, "home"),
						"OPENAI_BASE_URL=" + s.URL, "OPENAI_API_KEY=x", "ANTHROPIC_BASE_URL=" + s.URL, "ANTHROPIC_API_KEY=x",
					}
					var out, errs bytes.Buffer
					c.Stdout, c.Stderr = &out, &errs
					err := c.Run()
					if e, ok := errors.AsType[*exec.ExitError](err); ok {
						return out.String(), errs.String(), e.ExitCode()
					} else if err != nil {
						t.Fatal(err)
					}
					return out.String(), errs.String(), 0
				}
				config := filepath.Join(dir, "home", "config", "config.yaml")
				if err := os.MkdirAll(filepath.Dir(config), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(config, []byte("first_byte_timeout: 2s\nidle_timeout: 2s\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				out, errs, code := run("--model", wire, "--quiet", "go")
				if code != f.exit || strings.TrimSpace(out) != f.answer || code != 0 && strings.TrimSpace(errs) == "" {
					t.Errorf("exit %d, want %d; printed %q; %s", code, f.exit, out, errs)
				}
				if n := len(s.Seen()); f.asked > 0 && n != f.asked || n > 12 {
					t.Errorf("%d requests, want %d", n, f.asked)
				}
				if runs, err := os.ReadFile(filepath.Join(dir, "runs")); err != nil || string(runs) != "run\n" {
					t.Errorf("the command ran so: %q, %v", runs, err)
				}
				list, _, _ := run("sessions", "ls", "--output", "json")
				var sessions []session.Summary
				if err := json.Unmarshal([]byte(list), &sessions); err != nil || len(sessions) != 1 {
					t.Fatalf("%v in %s", err, list)
				}
				events, _, _ := run("sessions", "show", sessions[0].ID, "--output", "events")
				if got := kindsOf(t, []byte(events)); f.events != "" && got != f.events {
					t.Errorf("events\n got %s\nwant %s", got, f.events)
				}
			})
		}
	}
}
