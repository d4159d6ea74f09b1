//go:build unix

package local_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/local"
)

// TestAgentKilled kills agents around Submit and submits again: whatever the
// moment, the job runs once.
func TestAgentKilled(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	dir := t.TempDir()
	began := time.Now()
	killAgent(t, b.Dir, job.Spec{Dir: dir, Command: []string{"true"}}, time.Minute)
	whole := time.Since(began) // the life of an agent here and now
	survived := 0
	const rounds = 40
	for i := range rounds {
		trace := "trace" + strconv.Itoa(i)
		spec := job.Spec{
			Label: "call " + strconv.Itoa(i), Dir: dir,
			Command: []string{"sh", "-c", `echo "$JOB_ID" >>"$0"`, trace},
		}
		if i%2 == 1 {
			spec.Secrets = []string{"PATH"} // any that both have
		}
		for range 2 {
			if !killAgent(t, b.Dir, spec, rand.N(whole)) {
				survived++
			}
		}
		again, err := b.Submit(t.Context(), spec)
		if err != nil {
			t.Fatalf("submit again: %v", err)
		}
		done := wait(t, b, again.ID)
		if done.State != job.Succeeded {
			t.Fatalf("round %d: the job is %+v", i, done)
		}
		data, err := os.ReadFile(filepath.Join(dir, trace))
		if err != nil || string(data) != done.ID+"\n" {
			t.Fatalf("round %d: the job left %q, %v", i, data, err)
		}
	}
	if all, err := b.List(t.Context()); err != nil || len(all) != rounds+1 {
		t.Errorf("%d jobs, %v; want %d", len(all), err, rounds+1)
	}
	t.Logf("%d of %d agents were killed, in a life of %v", 2*rounds-survived, 2*rounds, whole)
}

// killAgent runs an agent that submits a job, and kills it if it has not ended
// after a while. It reports whether it had to.
func killAgent(t *testing.T, state string, spec job.Spec, after time.Duration) bool {
	t.Helper()
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	agent := exec.Command(self(), "agent", state, string(text))
	agent.Env = append(os.Environ(), noRaceWait)
	agent.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = syscall.Kill(-agent.Process.Pid, syscall.SIGKILL) })
	defer timer.Stop()
	return agent.Wait() != nil
}

// TestClaimedNotStarted makes the state that a crash between accepting a job
// and starting its shim leaves.
func TestClaimedNotStarted(t *testing.T) {
	t.Parallel()
	for name, look := range map[string]func(b local.Backend, s job.Spec) (job.Status, error){
		"Submit": func(b local.Backend, s job.Spec) (job.Status, error) { return b.Submit(t.Context(), s) },
		"Find":   func(b local.Backend, s job.Spec) (job.Status, error) { return b.Find(t.Context(), s.Label) },
		"List": func(b local.Backend, s job.Spec) (job.Status, error) {
			all, err := b.List(t.Context())
			if len(all) == 1 {
				return all[0], err
			}
			return job.Status{}, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t)
			spec := job.Spec{Label: "x", Dir: t.TempDir(), Command: []string{"sh", "-c", "echo run >>trace"}}
			broken := b
			broken.Shim = []string{"/nonexistent/program"}
			if _, err := broken.Submit(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "/nonexistent/program") {
				t.Fatalf("without a shim, submit says %v", err)
			}
			s, err := look(b, spec)
			if err != nil || s.ID == "" {
				t.Fatalf("%s: %+v, %v", name, s, err)
			}
			if done := wait(t, b, s.ID); done.State != job.Succeeded {
				t.Errorf("the job is %+v", done)
			}
			if data, _ := os.ReadFile(filepath.Join(spec.Dir, "trace")); string(data) != "run\n" {
				t.Errorf("the job left %q", data)
			}
		})
	}
}

// TestHalfAccepted makes the state that a crash between naming a label's job
// and accepting the job leaves: the label is free.
func TestHalfAccepted(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	spec := job.Spec{Label: "x", Dir: t.TempDir(), Command: []string{"true"}}
	first, err := b.Submit(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	wait(t, b, first.ID)
	if err := os.RemoveAll(filepath.Join(b.Dir, "jobs", first.ID)); err != nil {
		t.Fatal(err)
	}
	if s, err := b.Find(t.Context(), "x"); err == nil {
		t.Errorf("Find found %+v", s)
	}
	second, err := b.Submit(t.Context(), spec)
	if err != nil || second.ID == first.ID {
		t.Fatalf("submit: %+v, %v", second, err)
	}
	wait(t, b, second.ID)
}

// TestShimKilled kills the shim of a running job: the job is lost, what is left
// of it is ended, and it never runs again.
func TestShimKilled(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	dir := t.TempDir()
	spec := job.Spec{Label: "x", Dir: dir, Command: []string{"sh", "-c", `
		echo run >>trace
		python3 -c 'import os, time; os.setsid(); open("daemon", "w").write(str(os.getpid())); time.sleep(300)' &
		trap '' TERM PIPE HUP
		while :; do sleep 300; done`}}
	s, err := b.Submit(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	daemon := readPID(t, filepath.Join(dir, "daemon"))
	s, err = b.Status(t.Context(), s.ID)
	if err != nil || s.State != job.Running || s.PID == 0 {
		t.Fatalf("the job is %+v, %v", s, err)
	}
	if err := syscall.Kill(shimOf(t, s.ID), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	again, err := b.Submit(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	done := wait(t, b, again.ID)
	if done.ID != s.ID || done.State != job.Lost || done.ExitCode != -1 || !strings.Contains(done.Reason, "were killed") {
		t.Errorf("the job is %+v", done)
	}
	if alive(s.PID) || alive(daemon) {
		t.Errorf("alive: the job's first process %v, its daemon %v", alive(s.PID), alive(daemon))
	}
	if data, _ := os.ReadFile(filepath.Join(dir, "trace")); string(data) != "run\n" {
		t.Errorf("the job left %q", data)
	}
	if err := b.Cancel(t.Context(), s.ID); err != nil {
		t.Errorf("cancel: %v", err)
	}
}

// TestShimKilledAnytime kills shims at any moment: whatever that is, the job
// runs at most once and is found in an end that fits what it did.
func TestShimKilledAnytime(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	dir := t.TempDir()
	b.Secret = func(string) (string, bool) { return hunter, true }
	ends := map[job.State]int{}
	for i := range 40 {
		trace := "trace" + strconv.Itoa(i)
		spec := job.Spec{Dir: dir, Label: trace, Command: []string{"sh", "-c", `echo "$JOB_ID" >>"$0"; sleep 0.02; echo end >>"$0"`, trace}}
		if i%2 == 1 {
			spec.Secrets = []string{"A_TOKEN"}
		}
		folder := make(chan string, 1)
		var wg sync.WaitGroup
		wg.Go(func() { killSome(t, <-folder, rand.N(60*time.Millisecond)) })
		s, err := b.Submit(t.Context(), spec)
		folder <- s.ID
		wg.Wait()
		if err != nil {
			t.Fatalf("submit: %v", err)
		}
		done := wait(t, b, s.ID)
		ends[done.State]++
		data, _ := os.ReadFile(filepath.Join(dir, trace))
		switch text := string(data); {
		case strings.Count(text, s.ID) > 1:
			t.Errorf("job %d ran twice", i)
		case done.State == job.Succeeded && text != s.ID+"\nend\n":
			t.Errorf("job %d succeeded and left %q", i, text)
		case done.State != job.Succeeded && done.State != job.Lost:
			t.Errorf("job %d is %+v", i, done)
		}
	}
	t.Logf("the jobs ended as %v", ends)
}

// killSome kills the shims of a job after a while.
func killSome(t *testing.T, id string, after time.Duration) {
	time.Sleep(after)
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range commands {
		args, _ := os.ReadFile(path)
		if !strings.HasSuffix(strings.TrimRight(string(args), "\x00"), id) || !strings.Contains(string(args), "job-shim") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || id == "" {
			t.Errorf("the shim of %q is %s, %v", id, path, err)
			continue
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// TestShimTerminated ends a shim as a machine does that shuts down.
func TestShimTerminated(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	s, err := b.Submit(t.Context(), job.Spec{Dir: t.TempDir(), Command: []string{"sh", "-c", "echo >begun; sleep 300"}})
	if err != nil {
		t.Fatal(err)
	}
	s = untilRunning(t, b, s.ID)
	if err := syscall.Kill(shimOf(t, s.ID), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if done := wait(t, b, s.ID); done.State != job.Canceled || !strings.Contains(done.Reason, "shuts down") {
		t.Errorf("the job is %+v", done)
	}
}

// TestQueuedShimTerminated does so to a job that waits in a shim, for it has
// secrets: it goes on waiting.
func TestQueuedShimTerminated(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	b.Slots = 1
	b.Secret = func(string) (string, bool) { return "hunter2", true }
	dir := t.TempDir()
	first, err := b.Submit(t.Context(), job.Spec{Dir: dir, Command: []string{"sh", "-c", "until [ -e go ]; do sleep 0.02; done"}})
	if err != nil {
		t.Fatal(err)
	}
	untilRunning(t, b, first.ID)
	queued, err := b.Submit(t.Context(), job.Spec{Dir: dir, Command: []string{"true"}, Secrets: []string{"A_TOKEN"}})
	if err != nil {
		t.Fatal(err)
	}
	before := shimOf(t, queued.ID)
	if err := syscall.Kill(before, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for alive(before) {
		time.Sleep(5 * time.Millisecond)
	}
	if s, err := b.Status(t.Context(), queued.ID); err != nil || s.State != job.Queued {
		t.Errorf("the job is %+v, %v", s, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if done := wait(t, b, queued.ID); done.State != job.Succeeded {
		t.Errorf("the job is %+v", done)
	}
	wait(t, b, first.ID)
}

// shimOf returns the shim of a job.
func shimOf(t *testing.T, id string) int {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "pid=,args=").Output()
	if err != nil {
		t.Fatalf("ask ps: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		pid, args, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(args, "job-shim") && strings.HasSuffix(args, id) {
			n, _ := strconv.Atoi(pid)
			return n
		}
	}
	t.Fatalf("job %s has no shim", id)
	return 0
}

// wait returns the status of a job that is done.
func wait(t *testing.T, b local.Backend, id string) job.Status {
	t.Helper()
	all, err := job.Wait(t.Context(), b, []string{id}, nil)
	if err != nil {
		t.Fatalf("wait for job %s: %v", id, err)
	}
	return all[0]
}

func untilRunning(t *testing.T, b local.Backend, id string) job.Status {
	t.Helper()
	for {
		s, err := b.Status(t.Context(), id)
		if err != nil || s.Done() {
			t.Fatalf("the job is %+v, %v", s, err)
		}
		if s.State == job.Running {
			return s
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// readPID waits for a process to write its number to a file.
func readPID(t *testing.T, path string) int {
	t.Helper()
	for {
		data, _ := os.ReadFile(path)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
			return pid
		}
		if t.Context().Err() != nil {
			t.Fatal("no process came")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// alive reports whether a process is there and not just waiting to be collected.
func alive(pid int) bool {
	out, _ := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	state := strings.TrimSpace(string(out))
	return state != "" && !strings.HasPrefix(state, "Z")
}
