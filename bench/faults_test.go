package bench_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/llm/llmtest"
)

const wholeAnswer = "alpha beta gamma delta"

// faults plays one fault after a tool call and looks what became of the
// answer and of the call.
func (w *world) faults() []row {
	var rows []row
	for _, f := range []struct {
		what string
		turn llmtest.Turn
	}{
		{"503 once", llmtest.Turn{Status: 503, Body: "busy"}},
		{"429 once", llmtest.Turn{Status: 429, Body: "slow down", RetryAfter: "1"}},
		{"401", llmtest.Turn{Status: 401, Body: "no"}},
		{"reset in the text", llmtest.Turn{Text: wholeAnswer, Chunk: 6, CutAfter: 2}},
		{"early end", llmtest.Turn{Text: wholeAnswer, Chunk: 6, EndAfter: 2}},
		{"error in the stream", llmtest.Turn{Text: wholeAnswer, Chunk: 6, ErrorAfter: 2}},
		{"empty reply", llmtest.Turn{}},
	} {
		rows = append(rows, w.fault(f.what, f.turn)...)
	}
	return rows
}

func (w *world) fault(what string, turn llmtest.Turn) []row {
	w.Helper()
	ran := filepath.Join(w.workspace, filepath.Base(w.home())) // where commands may write; a name that no other fault has
	s := serve(func(n int, _ []byte) llmtest.Turn {
		switch n {
		case 0:
			return bash("echo ran >> " + ran)
		case 1:
			return turn
		}
		return llmtest.Turn{Text: wholeAnswer}
	})
	defer s.Close()
	var out, problems bytes.Buffer
	c := w.command(w.home(), s.URL, w.ours.exe, slices.Concat(w.ours.args, []string{"go"})...)
	c.Stdout, c.Stderr = &out, &problems
	_ = c.Run() // the exit code is looked at
	code := c.ProcessState.ExitCode()
	log, _ := os.ReadFile(ran) // no file: no call
	calls := strings.Count(string(log), "ran")
	whole, starts := strings.Count(out.String(), wholeAnswer), strings.Count(out.String(), "alpha")
	good := calls == 1 && starts <= 1 && (code == 0 && whole == 1 || code != 0 && problems.Len() > 0)
	rows := []row{{
		"21", what, fmt.Sprintf("exit %d, whole answer %d ×, its start %d ×, tool ran %d ×", code, whole, starts, calls),
		"whole once or non-zero with the cause; tool once", holds(good),
	}}
	if seen := s.Seen(); len(seen) > 2 {
		rows = append(rows, waited(what, turn.RetryAfter, seen[2].Arrived.Sub(seen[1].Sent)))
	}
	return rows
}

// waited judges the wait before the first retry.
func waited(what, retryAfter string, wait time.Duration) row {
	if retryAfter == "" {
		return row{"22", "first retry after " + what, ms(wait), "1 s", verdict(wait.Seconds(), 1)}
	}
	asked, _ := time.ParseDuration(retryAfter + "s") // it is ours
	late := wait - asked
	return row{"22", "Retry-After of " + retryAfter + " s", ms(wait), "kept within 0.2 s", holds(late >= 0 && late <= 200*time.Millisecond)}
}

// streams measures a long reply in many chunks, and the first request's size.
func (w *world) streams() []row {
	reply := func(times int) (float64, int) {
		began := time.Now()
		r := w.run(w.ours, w.home(), func(int, []byte) llmtest.Turn {
			return llmtest.Turn{Text: "sixteen letters ", Repeat: times, Chunk: 16}
		}, "go")
		return time.Since(began).Seconds(), len(r.seen[0].Body)
	}
	half, _ := reply(25_000)
	whole, size := reply(50_000)
	return []row{
		{"11", "a reply of 800 KB in 50,000 chunks, the process", fmt.Sprintf("%.2f s; half of it %.2f s; n = 1", whole, half), "0.8 s", verdict(whole, 0.8)},
		{"18", "first request, all tools", fmt.Sprintf("%.1f KB", float64(size)/1e3), "30 KB", verdict(float64(size)/1e3, 30)},
	}
}
