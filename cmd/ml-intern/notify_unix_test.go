//go:build unix

package main

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm/llmtest"
)

// Killed at whatever moment, a session with a job that goes on tells each event
// once, and none is told twice.
func TestNotifiedOnce(t *testing.T) {
	t.Parallel()
	exe := program(t)
	for round := range 4 {
		r := newReceiver()
		r.slow = 100 * time.Millisecond
		t.Cleanup(r.Close)
		l := newLab(t, exe, map[string]string{
			"w/s.py":                  "print('it is trained')\n",
			"home/config/config.yaml": "notify: {destinations: {hook: {type: webhook, url: '" + r.URL + "', secret: " + hookSecret + "}}}\n",
		})
		var s *llmtest.Server
		made := make(chan struct{})
		s = llmtest.NewServerFunc(func(n int) (llmtest.Turn, bool) {
			<-made
			before := toldTo(t, s.Seen()[n].Body)
			var turn llmtest.Turn
			switch {
			case before["wait001"] != "":
				return llmtest.Turn{Text: "done"}, true
			case before["submit000"] != "":
				turn = l.onJob("job_wait")(told{"job_submit": before["submit000"]})
				turn.Calls[0].ID = "wait001"
			default:
				turn = do("job_submit", args{"name": "x", "script": "s.py", "waivers": args{"results": "a test"}})(nil)
				turn.Calls[0].ID = "submit000"
			}
			return turn, true
		})
		close(made)
		t.Cleanup(s.Close)
		l.env = []string{"OPENAI_BASE_URL=" + s.URL, "OPENAI_API_KEY=x"}
		ended, cut := false, 0
		how := []string{"--model", "openai/test", "--approve", "auto", "--quiet", "train it"}
		for ; !ended; cut++ {
			after := rand.N(time.Duration(1+cut) * 400 * time.Millisecond)
			ended, _ = l.killed(nil, after, how...)
			if out, err := l.command("sessions", "ls", "--output", "json").Output(); err == nil && strings.Contains(string(out), `"id"`) {
				how = []string{"--continue", "--approve", "auto", "--quiet"}
			}
		}
		times, kinds := map[string]int{}, map[string]int{}
		for _, what := range r.seen() {
			words := strings.Fields(what)
			kinds[words[0]]++
			times[words[1]]++
		}
		for id, n := range times {
			if n != 1 {
				t.Errorf("round %d: %s was told %d times", round, id, n)
			}
		}
		lost, err := l.command("notify", "--output", "json").Output()
		doubt := strings.Count(string(lost), "it may have arrived")
		if kinds["forged"] > 0 || err != nil || kinds["turn_complete"]+kinds["job_finished"]+doubt < 2 || kinds["turn_complete"] > 1 || kinds["job_finished"] > 1 {
			t.Errorf("round %d, killed %d times: told %v; lost %s (%v)", round, cut-1, kinds, lost, err)
		}
	}
}

// What hangs costs the end of a run a bounded time, and the answer nothing.
func TestNotifyHangs(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer hang.Close()
	defer close(release)
	l := newLab(t, program(t), map[string]string{
		"home/config/config.yaml": "notify: {destinations: {hook: {type: webhook, url: '" + hang.URL + "', secret: " + hookSecret + "}}}\n",
	})
	s := llmtest.NewServer(llmtest.Turn{Text: "the answer"})
	defer s.Close()
	l.env = []string{"OPENAI_BASE_URL=" + s.URL, "OPENAI_API_KEY=x"}
	c := l.command("--model", "openai/test", "go")
	var errs strings.Builder
	c.Stderr = &errs
	start := time.Now()
	out, err := c.Output()
	if took := time.Since(start); err != nil || strings.TrimSpace(string(out)) != "the answer" || took > 5*time.Minute {
		t.Errorf("after %v: %v %q", took, err, out)
	}
	if !strings.Contains(errs.String(), "hook") {
		t.Errorf("it said %q", errs.String())
	}
	if _, err := os.Stat(filepath.Join(l.dir, "home", "state", "notify")); errors.Is(err, os.ErrNotExist) {
		t.Error("nothing was written down")
	}
}
