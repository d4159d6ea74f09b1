//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
)

// A turn that waits for a job ends; it asks no model until the job is over, and
// whoever is killed meanwhile goes on with it.
func TestWaitingSurvivesAKill(t *testing.T) {
	t.Parallel()
	l := newLab(t, buildProgram(t), map[string]string{"w/s.py": "import time\ntime.sleep(8)\nprint('it is trained')\n"})
	s := newPlay(t, l)
	c := l.command("--model", "openai/test", "--approve", "auto", "--output", "events", "train it")
	c.Env = append(c.Env, s.env...)
	id := ""
	waited := killAt(t, c, func(ev session.Event) bool {
		if ev.Opened != nil {
			id = ev.Opened.ID
		}
		return ev.Waiting != nil
	})
	if n := len(s.Seen()); !waited || n != 2 {
		t.Fatalf("the model was asked %d times before the kill (waiting: %v), want 2", n, waited)
	}
	shown, err := l.command("sessions", "show", id).CombinedOutput()
	if err != nil || !strings.Contains(string(shown), "waiting  for job") {
		t.Errorf("sessions show: %v: %s", err, shown)
	}

	again := l.command("run", "--model", "openai/test", "--approve", "auto", "--continue", "--output", "json")
	again.Env = append(again.Env, s.env...)
	var complaints strings.Builder
	again.Stderr = &complaints
	out, err := again.Output()
	var end struct {
		Result string
		Steps  int
	}
	if jsonErr := json.Unmarshal(out, &end); err != nil || jsonErr != nil || end.Result != "done" || end.Steps != 3 {
		t.Fatalf("going on: %v, %v: %s%s", err, jsonErr, out, complaints.String())
	}
	if n := len(s.Seen()); n != 3 {
		t.Errorf("the model was asked %d times in all, want 3", n)
	}
	last := toldTo(t, s.Seen()[2].Body)
	if wait := last["wait001"]; !strings.Contains(wait, "it is trained") || !strings.Contains(wait, `"state":"succeeded"`) {
		t.Errorf("the model was told of the job: %s", wait)
	}
}

// A person's time budget ends the waiting, and the job goes on.
func TestWaitingEndsWithTheBudget(t *testing.T) {
	t.Parallel()
	l := newLab(t, buildProgram(t), map[string]string{"w/s.py": "import time\ntime.sleep(600)\n"})
	s := newPlay(t, l)
	c := l.command("--model", "openai/test", "--approve", "auto", "--time-budget", "5s", "train it")
	c.Env = append(c.Env, s.env...)
	out, err := c.CombinedOutput()
	if c.ProcessState.ExitCode() != 7 || !strings.Contains(string(out), "waiting for job") || !strings.Contains(string(out), "goes on; stop it with") {
		t.Fatalf("%v: %s", err, out)
	}
	jobs, err := l.command("jobs", "ls", "--output", "json").Output()
	var list []struct{ ID, State string }
	if jsonErr := json.Unmarshal(jobs, &list); err != nil || jsonErr != nil || len(list) != 1 || list[0].State != "running" {
		t.Fatalf("jobs ls: %v, %v: %s", err, jsonErr, jobs)
	}
	if out, err := l.command("jobs", "cancel", list[0].ID).CombinedOutput(); err != nil {
		t.Errorf("jobs cancel: %v: %s", err, out)
	}
}

// A played is a model that submits a job, waits for it, and is done.
type played struct {
	*llmtest.Server
	env []string
}

func newPlay(t *testing.T, l *lab) played {
	t.Helper()
	var s *llmtest.Server
	made := make(chan struct{})
	s = llmtest.NewServerFunc(func(n int) (llmtest.Turn, bool) {
		<-made
		switch n {
		case 0:
			turn := do("job_submit", args{"name": "x", "script": "s.py", "waivers": args{"results": "a test"}})(nil)
			turn.Calls[0].ID = "submit000"
			return turn, true
		case 1:
			turn := l.onJob("job_wait")(told{"job_submit": toldTo(t, s.Seen()[1].Body)["submit000"]})
			turn.Calls[0].ID = "wait001"
			return turn, true
		}
		return llmtest.Turn{Text: "done"}, true
	})
	close(made)
	t.Cleanup(s.Close)
	return played{s, []string{"OPENAI_BASE_URL=" + s.URL, "OPENAI_API_KEY=x"}}
}

// killAt runs the program until it prints an event such as that, and kills it.
func killAt(t *testing.T, c *exec.Cmd, at func(session.Event) bool) bool {
	t.Helper()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Wait() }() // it was killed
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var ev session.Event
		if err := json.Unmarshal(slices.Clone(lines.Bytes()), &ev); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		if at(ev) {
			return c.Process.Kill() == nil
		}
	}
	return false
}
