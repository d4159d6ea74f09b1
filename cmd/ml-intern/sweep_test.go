//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/llm/llmtest"
)

// A sweep whose program is killed, at whatever moment, is finished by the next
// one: each of its jobs runs once, and none is missing.
func TestSweepKilled(t *testing.T) {
	t.Parallel()
	exe := program(t)
	const jobs, rounds = 6, 5
	cut := 0
	for round := range rounds {
		l := newLab(t, exe, nil)
		settings := make([]map[string]string, jobs)
		for i := range settings {
			settings[i] = map[string]string{"NUM": fmt.Sprint(i)}
		}
		call := use("job_submit", args{"name": "s", "command": []string{"sh", "-c", `echo ran >>"trace$NUM"`}, "sweep": settings})
		call.ID = "sweep1"
		var s *llmtest.Server
		made, answered := make(chan struct{}), make(chan struct{}, 100)
		s = llmtest.NewServerFunc(func(n int) (llmtest.Turn, bool) {
			<-made
			if len(toldTo(t, s.Seen()[n].Body)) > 0 {
				return llmtest.Turn{Text: "done"}, true
			}
			answered <- struct{}{}
			return llmtest.Turn{Calls: []llmtest.TurnCall{call}}, true
		})
		close(made)
		t.Cleanup(s.Close)
		l.env = []string{"OPENAI_BASE_URL=" + s.URL, "OPENAI_API_KEY=x"}
		how := []string{"--model", "openai/test", "--approve", "auto", "--quiet", "go"}
		ended, out := l.killed(answered, rand.N(200*time.Millisecond), how...)
		for ; !ended; cut++ { // what is left takes as long again, or longer
			ended, out = l.killed(nil, rand.N(time.Duration(1+cut)*100*time.Millisecond), "--continue", "--approve", "auto", "--quiet")
		}
		if !strings.Contains(out, "done") {
			t.Errorf("round %d: it said %q", round, out)
		}
		l.eachOnce(round, jobs)
	}
	t.Logf("killed %d times", cut)
}

// killed runs the program, and kills it so long after a signal, or after its
// start, unless it ends before.
func (l *lab) killed(signal <-chan struct{}, after time.Duration, arguments ...string) (ended bool, out string) {
	l.Helper()
	c := l.command(arguments...)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		l.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- c.Wait() }()
	if signal != nil {
		<-signal
	}
	select {
	case err := <-over:
		if err != nil {
			l.Fatalf("%v: %s", err, said.String())
		}
		return true, said.String()
	case <-time.After(after):
		_ = c.Process.Kill() // it may have ended at this moment
		return <-over == nil, said.String()
	}
}

// eachOnce asks that there are so many jobs, and that each ran once.
func (l *lab) eachOnce(round, jobs int) {
	l.Helper()
	var all []job.Status
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		out, err := l.command("jobs", "--output", "json").Output()
		if err != nil || json.Unmarshal(out, &all) != nil {
			l.Fatalf("list jobs: %v: %s", err, out)
		}
		open := 0
		for _, s := range all {
			if !s.Done() {
				open++
			}
		}
		if open == 0 || time.Now().After(end) {
			break
		}
	}
	if len(all) != jobs {
		l.Errorf("round %d: there are %d jobs, not %d", round, len(all), jobs)
	}
	for i := range jobs {
		data, err := os.ReadFile(filepath.Join(l.dir, "w", fmt.Sprint("trace", i)))
		if err != nil || string(data) != "ran\n" {
			l.Errorf("round %d: job %d left %q, %v", round, i, data, err)
		}
	}
}
