//go:build unix

package ssh_test

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/ssh"
)

// TestAgentKilled kills agents around Submit and submits again: whatever the
// moment, the job runs once.
func TestAgentKilled(t *testing.T) {
	t.Parallel()
	agentKilled(t, here(t), 8)
}

func agentKilled(t *testing.T, b *ssh.Backend, rounds int) {
	t.Helper()
	traces := elsewhere(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "data"), strings.Repeat("x", 1<<20))
	var whole time.Duration // the life of an agent here and now
	for range 2 {           // the first opens a connection
		began := time.Now()
		killAgent(t, b, job.Spec{Dir: dir, Command: []string{"true"}}, time.Minute, false)
		whole = time.Since(began)
	}
	survived := 0
	for i := range rounds {
		trace := filepath.Join(traces, strconv.Itoa(i))
		spec := job.Spec{
			Label: "call " + strconv.Itoa(i), Dir: dir,
			Command: []string{"sh", "-c", `echo "$JOB_ID" >>"$0"`, trace},
		}
		for n := range 2 {
			if !killAgent(t, b, spec, rand.N(whole), n == 0) {
				survived++
			}
		}
		again := submit(t, b, spec)
		done := wait(t, b, again.ID)
		if done.State != job.Succeeded {
			t.Fatalf("round %d: the job is %+v", i, done)
		}
		data, err := os.ReadFile(trace)
		if err != nil || string(data) != done.ID+"\n" {
			t.Fatalf("round %d: the job left %q, %v", i, data, err)
		}
	}
	if all, err := b.List(t.Context()); err != nil || len(all) != rounds+2 {
		t.Errorf("%d jobs, %v; want %d", len(all), err, rounds+2)
	}
	t.Logf("%d of %d agents were killed, in a life of %v", 2*rounds-survived, 2*rounds, whole)
}

// TestAnswerLost loses what the machine says of a job that it took: the label
// finds the job, and one without a label is in the list.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	for _, label := range []string{"", "x"} {
		b := here(t)
		trace := filepath.Join(t.TempDir(), "trace")
		spec := job.Spec{Label: label, Dir: t.TempDir(), Command: []string{"sh", "-c", `echo run >>"$0"`, trace}}
		b.Offers(t.Context()) // so that the next call is the one
		wait(t, b, submit(t, b, job.Spec{Dir: t.TempDir(), Command: []string{"true"}}).ID)
		write(t, filepath.Join(home(b), "lose"), "")
		if s, err := b.Submit(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "connection") {
			t.Fatalf("without an answer submit says %+v, %v", s, err)
		}
		os.Remove(filepath.Join(home(b), "unreachable"))
		all, err := b.List(t.Context())
		if err != nil || len(all) != 2 {
			t.Fatalf("the list is %+v, %v", all, err)
		}
		found := all[0]
		if label != "" {
			if found = submit(t, b, spec); found.ID != all[0].ID {
				t.Errorf("the label became %s and %s", all[0].ID, found.ID)
			}
		}
		if done := wait(t, b, found.ID); done.State != job.Succeeded || done.Ref == "" {
			t.Errorf("the job is %+v", done)
		}
		if data, _ := os.ReadFile(trace); string(data) != "run\n" {
			t.Errorf("the job left %q", data)
		}
	}
}

// TestSendingCut cuts what is sent at every stage: nothing runs, and the label
// is free for another try.
func TestSendingCut(t *testing.T) {
	t.Parallel()
	b := here(t)
	trace := filepath.Join(t.TempDir(), "trace")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "data"), strings.Repeat("x", 4000))
	spec := job.Spec{Label: "x", Dir: dir, Command: []string{"sh", "-c", `echo run >>"$0"`, trace}}
	b.Offers(t.Context())
	for size := 0; size < 7000; size += 700 {
		write(t, filepath.Join(home(b), "cut"), strconv.Itoa(size))
		if s, err := b.Submit(t.Context(), spec); err == nil {
			t.Fatalf("cut after %d bytes: %+v", size, s)
		}
		os.Remove(filepath.Join(home(b), "cut"))
		if _, err := b.Find(t.Context(), "x"); !errors.Is(err, job.ErrNotFound) {
			t.Fatalf("cut after %d bytes, find says %v", size, err)
		}
	}
	if all, err := b.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("the list is %+v, %v", all, err)
	}
	if done := wait(t, b, submit(t, b, spec).ID); done.State != job.Succeeded {
		t.Errorf("the job is %+v", done)
	}
	if data, _ := os.ReadFile(trace); string(data) != "run\n" {
		t.Errorf("the job left %q", data)
	}
}

// TestSentByMany sends one job many times at once, as when the agents that did
// were killed and their ssh programs were not.
func TestSentByMany(t *testing.T) {
	t.Parallel()
	b := here(t)
	trace := filepath.Join(t.TempDir(), "trace")
	spec := job.Spec{Label: "x", Dir: t.TempDir(), Command: []string{"sh", "-c", `echo run >>"$0"`, trace}}
	b.Offers(t.Context())
	write(t, filepath.Join(home(b), "unreachable"), "Connection closed by 10.0.0.1\n")
	if s, err := b.Submit(t.Context(), spec); err == nil {
		t.Fatalf("nothing was sent: %+v", s)
	}
	os.Remove(filepath.Join(home(b), "unreachable"))
	ids := make([]string, 12)
	var wg sync.WaitGroup
	for i := range ids {
		same := &ssh.Backend{Host: b.Host, Program: b.Program, Options: b.Options, Dir: filepath.Join(t.TempDir(), "state")}
		if err := os.CopyFS(same.Dir, os.DirFS(b.Dir)); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			s, err := same.Submit(t.Context(), spec)
			if err != nil {
				t.Errorf("submit: %v", err)
				return
			}
			if done := wait(t, same, s.ID); done.State != job.Succeeded {
				t.Errorf("the job is %+v", done)
			}
			ids[i] = s.ID
		})
	}
	wg.Wait()
	if ids = slices.Compact(ids); len(ids) != 1 {
		t.Fatalf("the record became the jobs %q", ids)
	}
	if data, _ := os.ReadFile(trace); string(data) != "run\n" {
		t.Errorf("the job left %q", data)
	}
}

// supervisor returns the process that supervises a job.
func supervisor(t *testing.T, b *ssh.Backend, id string) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(farJob(b, id), "start/info"))
	fields := strings.Fields(string(data))
	if err != nil || len(fields) != 5 {
		t.Fatalf("the supervisor is %q, %v", data, err)
	}
	pid, _ := strconv.Atoi(fields[1])
	return pid
}

// farJob is the folder of a job on the machine of here.
func farJob(b *ssh.Backend, id string) string {
	return filepath.Join(home(b), ".cache/ml-intern/jobs", id)
}

// TestSupervisorKilled kills what supervises a job: the job is lost, what is
// left of it is ended, and it never runs again.
func TestSupervisorKilled(t *testing.T) {
	t.Parallel()
	b := here(t)
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace")
	spec := job.Spec{Label: "x", Dir: t.TempDir(), Command: []string{"sh", "-c", `
		echo run >>"$0/trace"
		python3 -c 'import os, time; os.setsid(); open("daemon", "w").write(str(os.getpid())); time.sleep(300)' &
		while ! [ -s daemon ]; do sleep 0.02; done
		echo $$ $(cat daemon) ready
		trap '' TERM
		while :; do sleep 300; done`, dir}}
	s := submit(t, b, spec)
	untilLogged(t, b, s.ID, "ready")
	pids := strings.Fields(logged(t, b, s.ID))
	if err := syscall.Kill(supervisor(t, b, s.ID), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	again := submit(t, b, spec)
	done := wait(t, b, again.ID)
	if done.ID != s.ID || done.State != job.Lost || done.ExitCode != -1 || !strings.Contains(done.Reason, "killed") {
		t.Errorf("the job is %+v", done)
	}
	for _, pid := range pids[:2] {
		if n, _ := strconv.Atoi(pid); alive(n) {
			t.Errorf("process %s of the job is alive", pid)
		}
	}
	if data, _ := os.ReadFile(trace); string(data) != "run\n" {
		t.Errorf("the job left %q", data)
	}
}

// TestNobodyLooks kills a supervisor and does not look: the job is ended all
// the same.
func TestNobodyLooks(t *testing.T) {
	t.Parallel()
	b := here(t)
	s := submit(t, b, job.Spec{Dir: t.TempDir(), Command: []string{"sh", "-c", "echo $$ begun; sleep 300"}})
	untilLogged(t, b, s.ID, "begun")
	pid, _ := strconv.Atoi(strings.Fields(logged(t, b, s.ID))[0])
	if err := syscall.Kill(supervisor(t, b, s.ID), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); alive(pid); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the job goes on without a supervisor")
		}
	}
}

// alive reports whether a process is there and not just waiting to be collected.
func alive(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return syscall.Kill(pid, 0) == nil && !errors.Is(err, fs.ErrNotExist)
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// TestReboot makes a job look as after a restart of its machine.
func TestReboot(t *testing.T) {
	t.Parallel()
	b := here(t)
	trace := filepath.Join(t.TempDir(), "trace")
	spec := job.Spec{Label: "x", Dir: t.TempDir(), Command: []string{"sh", "-c", `echo run >>"$0"; echo begun; sleep 300`, trace}}
	s := submit(t, b, spec)
	untilLogged(t, b, s.ID, "begun")
	info := filepath.Join(farJob(b, s.ID), "start/info")
	pid := supervisor(t, b, s.ID)
	data, err := os.ReadFile(info)
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(data))
	fields[3] = "00000000-0000-0000-0000-000000000000"
	defer syscall.Kill(pid, syscall.SIGTERM) // which has not died here
	write(t, info, strings.Join(fields, " ")+"\n")
	done := wait(t, b, submit(t, b, spec).ID)
	if done.State != job.Lost || !strings.Contains(done.Reason, "restarted") {
		t.Errorf("the job is %+v", done)
	}
	if data, _ := os.ReadFile(trace); string(data) != "run\n" {
		t.Errorf("the job left %q", data)
	}
}

// TestFolderGone removes a job's folder from the machine.
func TestFolderGone(t *testing.T) {
	t.Parallel()
	b := here(t)
	s := submit(t, b, job.Spec{Label: "x", Dir: t.TempDir(), Command: []string{"sh", "-c", "echo begun; sleep 300"}})
	untilLogged(t, b, s.ID, "begun")
	pid := supervisor(t, b, s.ID)
	defer syscall.Kill(pid, syscall.SIGTERM)
	hidden := farJob(b, s.ID) + ".hidden"
	if err := os.Rename(farJob(b, s.ID), hidden); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond) // answers are as old as that
	if gone, err := b.Find(t.Context(), "x"); err != nil || gone.State != job.Lost || !strings.Contains(gone.Reason, "not on far") {
		t.Errorf("the job is %+v, %v", gone, err)
	}
}

// TestQueueGone removes the folder of a job that waits: it does so no longer.
func TestQueueGone(t *testing.T) {
	t.Parallel()
	b := here(t)
	offers, err := b.Offers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	spec := job.Spec{Dir: t.TempDir(), Command: []string{"sleep", "300"}}
	spec.CPUs = offers[0].CPUs
	first, second := submit(t, b, spec), submit(t, b, spec)
	infos, err := filepath.Glob(filepath.Join(farJob(b, second.ID), "try.*/info"))
	if err != nil || len(infos) != 1 {
		t.Fatalf("the second job has the supervisors %v, %v", infos, err)
	}
	data, _ := os.ReadFile(infos[0])
	pid, _ := strconv.Atoi(strings.Fields(string(data))[1])
	if err := os.RemoveAll(farJob(b, second.ID)); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); alive(pid); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("its supervisor goes on")
		}
	}
	if err := b.Cancel(t.Context(), first.ID); err != nil {
		t.Error(err)
	}
}

// TestClock has a machine whose clock is an hour late.
func TestClock(t *testing.T) {
	t.Parallel()
	b := here(t)
	program(t, b, "date", `exec /bin/date -d "-1 hour" "$@"`)
	before := time.Now()
	done := wait(t, b, submit(t, b, job.Spec{Dir: t.TempDir(), Command: []string{"sleep", "0.1"}}).ID)
	if done.State != job.Succeeded || done.Started.Before(before) || done.Finished.After(time.Now().Add(2*time.Second)) || done.Seconds() > 60 {
		t.Errorf("the job is %+v", done)
	}
}

// TestTerminated ends a supervisor as a machine does that shuts down.
func TestTerminated(t *testing.T) {
	t.Parallel()
	b := here(t)
	s := submit(t, b, job.Spec{Dir: t.TempDir(), Command: []string{"sh", "-c", "echo begun; sleep 300"}})
	untilLogged(t, b, s.ID, "begun")
	if err := syscall.Kill(supervisor(t, b, s.ID), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if done := wait(t, b, s.ID); done.State != job.Canceled || !strings.Contains(done.Reason, "shuts down") {
		t.Errorf("the job is %+v", done)
	}
}

// TestMemory gives a job less memory than it takes.
func TestMemory(t *testing.T) {
	t.Parallel()
	b := here(t)
	spec := job.Spec{Dir: t.TempDir(), Command: []string{"python3", "-c", "import time; x = bytearray(150 << 20); time.sleep(60)"}}
	spec.MemoryMB = 60
	done := wait(t, b, submit(t, b, spec).ID)
	if done.State != job.OutOfMemory || !strings.Contains(done.Reason, "its limit is 60 MB") {
		t.Errorf("the job is %+v", done)
	}
}

// TestUnreachable checks that each trouble is one sentence that says what to do.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"@@@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @@@\nHost key verification failed.": "the host key of far has changed",
		"Host key verification failed.":                                  "log in once by hand with `ssh far`",
		"me@far: Permission denied (publickey,password).":                "far refuses the login",
		"ssh: connect to host far port 22: Connection refused":           "far takes no ssh connections",
		"ssh: connect to host far port 22: No route to host":             "there is no way to far",
		"ssh: Could not resolve hostname far: Name or service not known": "look at HostName",
		"ssh: connect to host far port 22: Connection timed out":         "far does not answer",
		"Connection closed by 10.0.0.1 port 22":                          "the connection to far was lost",
		"something new":                                                  "something new",
	} {
		b := here(t)
		write(t, filepath.Join(home(b), "unreachable"), said+"\n")
		_, err := b.Submit(t.Context(), job.Spec{Dir: t.TempDir(), Command: []string{"true"}})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q became %v", said, err)
		}
		if all, err := b.List(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("the list is %+v, %v", all, err)
		}
	}
	b := here(t)
	b.Program = "/nonexistent/ssh"
	if _, err := b.Offers(t.Context()); err == nil || !strings.Contains(err.Error(), "/nonexistent/ssh") {
		t.Errorf("without ssh: %v", err)
	}
}
