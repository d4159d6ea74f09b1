//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/session"
)

// A demo is one run of `ml-intern demo` in a world of its own, without uv, so
// that it trains with Python's standard library and needs no network.
type demo struct {
	t        *testing.T
	dir, exe string
	env      []string
}

func newDemo(t *testing.T, exe string) *demo {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bash", "sh", "env", "nproc", "cat", "head", "tail", "ls", "mkdir", "rm", "cp", "mv", "uname", "grep", "sed", "awk", "free", "df"} {
		if path, err := exec.LookPath(name); err == nil {
			wrap(t, filepath.Join(bin, name), path)
		}
	}
	// The interpreter itself: a version manager's shim needs half a system.
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Fatalf("python3 is needed: install Python 3.9 or newer: %v", err)
	}
	wrap(t, filepath.Join(bin, "python3"), strings.TrimSpace(string(out)))
	env := []string{"PATH=" + bin, "HOME=" + dir, "ML_INTERN_HOME=" + filepath.Join(dir, "home"), "LANG=C.UTF-8"}
	return &demo{t: t, dir: dir, exe: exe, env: env}
}

// wrap writes a program that runs another one.
func wrap(t *testing.T, file, program string) {
	t.Helper()
	if err := os.WriteFile(file, []byte("#!/bin/sh\nexec '"+program+"' \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func (d *demo) command(args ...string) *exec.Cmd {
	c := exec.Command(d.exe, args...)
	c.Dir, c.Env = d.dir, d.env
	return c
}

// run runs the program and kills it after the time, if that is not zero. It
// reports whether the program had ended by itself.
func (d *demo) run(killAfter time.Duration, args ...string) (output string, ended bool) {
	d.t.Helper()
	var out bytes.Buffer
	c := d.command(args...)
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		d.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	var kill <-chan time.Time
	if killAfter > 0 {
		kill = time.After(killAfter)
	}
	select {
	case err := <-done:
		if err != nil {
			d.t.Fatalf("ml-intern %v: %v\n%s", args, err, out.String())
		}
		return out.String(), true
	case <-kill:
		if err := c.Process.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
			d.t.Fatal(err)
		}
		<-done
		return out.String(), false
	}
}

func (d *demo) output(args ...string) []byte {
	d.t.Helper()
	c := d.command(args...)
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		d.t.Fatalf("ml-intern %v: %v", args, err)
	}
	return out
}

// check holds the record of a finished demo to what must hold however often it
// was killed: no event lost, every call settled once, no job twice, one commit.
func (d *demo) check() {
	d.t.Helper()
	var sessions []session.Summary
	if err := json.Unmarshal(d.output("sessions", "ls", "--output", "json"), &sessions); err != nil {
		d.t.Fatal(err)
	}
	if len(sessions) != 1 || sessions[0].State != "answered" {
		d.t.Fatalf("sessions %+v", sessions)
	}
	calls, results, starts := map[string]string{}, map[string]int{}, map[string]int{}
	submitted := 0
	for i, line := range strings.Split(strings.TrimSpace(string(d.output("sessions", "show", sessions[0].ID, "--output", "events"))), "\n") {
		var ev session.Event
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			d.t.Fatal(err)
		}
		if ev.Seq != int64(i+1) {
			d.t.Errorf("event %d has the number %d", i+1, ev.Seq)
		}
		switch {
		case ev.Reply != nil:
			for _, call := range ev.Reply.Message.Calls() {
				calls[call.ID] = call.Name
			}
		case ev.Started != nil && !ev.Started.Again:
			starts[ev.Started.CallID]++
		case ev.Result != nil:
			results[ev.Result.CallID]++
			if calls[ev.Result.CallID] == "job_submit" && !ev.Result.IsError {
				submitted++
			}
		}
	}
	for id, name := range calls {
		if results[id] != 1 || starts[id] > 1 {
			d.t.Errorf("call %s of %s has %d results and %d starts", id, name, results[id], starts[id])
		}
	}
	d.checkJobs(submitted)
	d.checkCommits()
}

func (d *demo) checkJobs(submitted int) {
	d.t.Helper()
	var jobs []struct{ Label, State, Name string }
	if err := json.Unmarshal(d.output("jobs", "ls", "--output", "json"), &jobs); err != nil {
		d.t.Fatal(err)
	}
	names := map[string]int{}
	for _, j := range jobs {
		names[j.Name]++
		if j.State != "succeeded" {
			d.t.Errorf("job %+v", j)
		}
	}
	for name, n := range names {
		if n != 1 {
			d.t.Errorf("%d jobs are named %s: it ran twice", n, name)
		}
	}
	if len(jobs) < 2 || len(jobs) != submitted {
		d.t.Errorf("%d jobs, %d submissions in the log", len(jobs), submitted)
	}
}

// checkCommits asks the Hub: the repository has its first commit and one more.
func (d *demo) checkCommits() {
	d.t.Helper()
	addr := filepath.Join(d.dir, "addr")
	serve := d.command("hub", "serve", "--addr", "127.0.0.1:0", "--addr-file", addr)
	if err := serve.Start(); err != nil {
		d.t.Fatal(err)
	}
	defer func() {
		_ = serve.Process.Signal(syscall.SIGTERM)
		if err := serve.Wait(); err != nil && serve.ProcessState.ExitCode() != 0 {
			d.t.Errorf("hub serve: %v", err)
		}
	}()
	res, err := http.Get("http://" + addressIn(d.t, addr) + "/api/models/me/ml-intern-demo/commits/main")
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	var commits []struct{ Title string }
	if err := json.NewDecoder(res.Body).Decode(&commits); err != nil {
		d.t.Fatal(err)
	}
	if len(commits) != 2 || commits[0].Title != "Publish ml-intern-demo" {
		d.t.Errorf("the repository has the commits %+v, want the first one and one that publishes", commits)
	}
}

// addressIn is where a server listens that writes it into the file.
func addressIn(t *testing.T, file string) string {
	t.Helper()
	for late := time.Now().Add(time.Minute); time.Now().Before(late); time.Sleep(20 * time.Millisecond) {
		if addr, _ := os.ReadFile(file); len(addr) > 0 {
			return strings.TrimSpace(string(addr))
		}
	}
	t.Fatal("the server does not start")
	return ""
}

// TestKilledAnywhere kills the demo at random moments, goes on, kills that,
// and lets it finish.
func TestKilledAnywhere(t *testing.T) {
	exe := buildProgram(t)
	whole := newDemo(t, exe)
	start := time.Now()
	out, _ := whole.run(0, "demo", "--quiet")
	took := time.Since(start)
	whole.check()
	if !strings.Contains(out, "http://") {
		t.Errorf("the demo's answer names no URL:\n%s", out)
	}
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	for range rounds {
		d := newDemo(t, exe)
		var kills []time.Duration
		next := func() time.Duration {
			k := 50*time.Millisecond + time.Duration(rand.Int64N(int64(took)*2/3))
			kills = append(kills, k)
			return k
		}
		_, ended := d.run(next(), "demo", "--quiet")
		for kill := 0; !ended && kill < 3; kill++ {
			if d.empty() {
				break // killed before the session was saved: there is nothing to go on with
			}
			_, ended = d.run(next(), "--continue", "--quiet")
		}
		if !ended {
			if d.empty() {
				continue
			}
			d.run(0, "--continue", "--quiet")
		}
		t.Logf("killed after %v of %v", kills, took)
		d.check()
	}
}

// empty reports whether no session was saved yet.
func (d *demo) empty() bool {
	return len(bytes.TrimSpace(d.output("sessions", "ls", "--output", "json"))) <= len("null")
}
