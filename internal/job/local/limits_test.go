//go:build unix

package local_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"ml-intern/internal/job"
)

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	needsPython(t)
	b := newBackend(t)
	// A child of the job's first process, in a session of its own, takes it.
	hungry := `import os, time; os.setsid(); x = bytearray(400 << 20); x[::4096] = b"1" * len(x[::4096]); print("full"); time.sleep(300)`
	s, err := b.Submit(t.Context(), job.Spec{
		Dir: t.TempDir(), Command: []string{"sh", "-c", `python3 -c "$0"; echo after`, hungry}, Hardware: job.Hardware{MemoryMB: 200},
	})
	if err != nil {
		t.Fatal(err)
	}
	done := wait(t, b, s.ID)
	if done.State != job.OutOfMemory || !strings.Contains(done.Reason, "200 MB") {
		t.Errorf("the job is %+v", done)
	}
}

// TestSharedMemoryCountsOnce forks processes that share more than the limit
// together would allow each to have.
func TestSharedMemoryCountsOnce(t *testing.T) {
	t.Parallel()
	needsPython(t)
	if runtime.GOOS != "linux" {
		t.Skip("this system does not tell what is shared")
	}
	b := newBackend(t)
	sharing := `
import os, time
x = bytearray(100 << 20)
x[::4096] = b"1" * len(x[::4096])
for _ in range(4):
    if os.fork() == 0:
        time.sleep(1)
        os._exit(0)
for _ in range(4):
    os.wait()
`
	s, err := b.Submit(t.Context(), job.Spec{Dir: t.TempDir(), Command: []string{"python3", "-c", sharing}, Hardware: job.Hardware{MemoryMB: 250}})
	if err != nil {
		t.Fatal(err)
	}
	if done := wait(t, b, s.ID); done.State != job.Succeeded {
		t.Errorf("the job is %+v", done)
	}
}

func TestKilledFromOutside(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	s, err := b.Submit(t.Context(), job.Spec{Dir: t.TempDir(), Command: []string{"sleep", "300"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(untilRunning(t, b, s.ID).PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	done := wait(t, b, s.ID)
	if done.ExitCode != 137 || done.State == job.Succeeded || !strings.Contains(done.Reason, "memory") {
		t.Errorf("the job is %+v", done)
	}
}

func TestCPUs(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	run := func(cpus int) string {
		s, err := b.Submit(t.Context(), job.Spec{
			Dir: t.TempDir(), Hardware: job.Hardware{CPUs: cpus}, Command: []string{"sh", "-c", "echo $OMP_NUM_THREADS; command -v nproc >/dev/null && env -u OMP_NUM_THREADS nproc"},
		})
		if err != nil {
			t.Fatal(err)
		}
		wait(t, b, s.ID)
		return logged(t, b, s.ID)
	}
	for _, n := range []int{0, 2} {
		got := strings.Fields(run(n))
		if want := fmt.Sprint(max(n, 1)); len(got) == 0 || got[0] != want {
			t.Errorf("with %d CPUs the job sees %q", n, got)
		}
		if runtime.GOOS == "linux" && len(got) > 1 && got[1] != fmt.Sprint(min(max(n, 1), runtime.NumCPU())) {
			t.Errorf("with %d CPUs the job may use %s", n, got[1])
		}
	}
	if _, err := b.Submit(t.Context(), job.Spec{Dir: t.TempDir(), Hardware: job.Hardware{CPUs: 3}, Command: []string{"true"}}); err == nil || !strings.Contains(err.Error(), "not 3") {
		t.Errorf("a job of three CPUs on two: %v", err)
	}
}

// TestSlots starts more jobs than there are CPUs; each counts those that run
// with it. One in three wants both CPUs.
func TestSlots(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	dir := t.TempDir()
	var ids []string
	for i := range 12 {
		cpus := 1 + i%3/2
		s, err := b.Submit(t.Context(), job.Spec{Dir: dir, Hardware: job.Hardware{CPUs: cpus}, Command: []string{"sh", "-c", `
			for i in $(seq $0); do : >"busy.$JOB_ID.$i"; done
			sleep 0.05; set -- busy.*; echo $#
			rm busy.$JOB_ID.*`, fmt.Sprint(cpus)}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, s.ID)
	}
	queued := 0
	for _, id := range ids {
		if s, err := b.Status(t.Context(), id); err == nil && s.State == job.Queued {
			queued++
		}
	}
	for _, id := range ids {
		if done := wait(t, b, id); done.State != job.Succeeded {
			t.Errorf("the job is %+v", done)
		}
		if busy := strings.TrimSpace(logged(t, b, id)); busy != "1" && busy != "2" {
			t.Errorf("%s CPUs were in use at once, of 2", busy)
		}
	}
	t.Logf("%d of %d jobs were seen queued", queued, len(ids))
}

// TestNothingIsLeftBehind ends jobs whose processes do not want to end.
func TestNothingIsLeftBehind(t *testing.T) {
	needsPython(t)
	if runtime.GOOS != "linux" {
		t.Skip("daemons can be followed on Linux only")
	}
	daemon := `
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() > 0: os._exit(0)
os.setsid()
if os.fork() > 0: os._exit(0)
os.environ.clear()
open("pid.tmp", "w").write(str(os.getpid()))
os.rename("pid.tmp", "pid")
time.sleep(300)`
	for name, end := range map[string]struct {
		last  string
		state job.State
	}{
		"TheJobEnds":      {"until [ -e pid ]; do sleep 0.02; done", job.Succeeded},
		"TheJobIsStopped": {"sleep 300", job.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t)
			dir := t.TempDir()
			s, err := b.Submit(t.Context(), job.Spec{Dir: dir, Command: []string{"sh", "-c", `python3 -c "$0"; ` + end.last, daemon}})
			if err != nil {
				t.Fatal(err)
			}
			pid := readPID(t, filepath.Join(dir, "pid"))
			if end.state == job.Canceled {
				if err := b.Cancel(t.Context(), s.ID); err != nil {
					t.Fatal(err)
				}
			}
			if done := wait(t, b, s.ID); done.State != end.state {
				t.Errorf("the job is %+v", done)
			}
			if alive(pid) {
				t.Errorf("the daemon %d is alive", pid)
			}
		})
	}
}

// TestLogIsBounded writes more than is kept.
func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	const lines = 5_000_000 // of 20 bytes
	s, err := b.Submit(t.Context(), job.Spec{Dir: t.TempDir(), Command: []string{"sh", "-c", fmt.Sprintf(
		`yes 'nineteen characters' | head -n %d; echo the end; exit 1`, lines)}})
	if err != nil {
		t.Fatal(err)
	}
	done := wait(t, b, s.ID)
	if done.ExitCode != 1 || !strings.Contains(done.Reason, "the end") {
		t.Errorf("the job is %+v", done)
	}
	var got, gaps int
	var last job.Line
	for line, err := range b.Logs(t.Context(), s.ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if got++; strings.Contains(line.Text, "dropped") {
			gaps++
		}
		last = line
	}
	if gaps != 1 || last.Text != "the end" || last.Next != lines*20+8 {
		t.Errorf("%d gaps, the last line is %+v", gaps, last)
	}
	var onDisk int64
	files, _ := filepath.Glob(filepath.Join(b.Dir, "jobs", s.ID, "log*"))
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			onDisk += info.Size()
		}
	}
	if onDisk > 64<<20 || got < 2_000_000 {
		t.Errorf("%d bytes are kept, %d lines", onDisk, got)
	}
}

// TestFullDisk gives a backend a very small disk.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	mount := exec.Command("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk)
	if runtime.GOOS != "linux" || mount.Run() != nil {
		t.Skip("cannot mount a small disk here")
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", disk).CombinedOutput(); err != nil {
			t.Errorf("umount: %s", out)
		}
	})
	b := newBackend(t)
	b.Dir = filepath.Join(disk, "state")
	fill := job.Spec{Dir: disk, Command: []string{"sh", "-c", "head -c 1000000 /dev/zero >big; echo full; exit 5"}}
	filling, err := b.Submit(t.Context(), job.Spec{Dir: disk, Command: []string{"sh", "-c", "until head -c 1 big; do sleep 0.02; done; sleep 300"}})
	if err != nil {
		t.Fatal(err)
	}
	untilRunning(t, b, filling.ID)
	s, err := b.Submit(t.Context(), fill)
	if err != nil {
		t.Fatal(err)
	}
	if done := wait(t, b, s.ID); done.State != job.Failed || done.ExitCode != 5 {
		t.Errorf("the job that filled the disk is %+v", done)
	}
	if s, err := b.Submit(t.Context(), fill); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("on a full disk: %+v, %v", s, err)
	}
	if err := b.Cancel(t.Context(), filling.ID); err != nil {
		t.Errorf("cancel on a full disk: %v", err)
	}
	if done := wait(t, b, filling.ID); done.State != job.Canceled {
		t.Errorf("canceled on a full disk, the job is %+v", done)
	}
	if all, err := b.List(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("on a full disk there are %v, %v", all, err)
	}
}

// TestFilesArePrivate looks at what a job's folder gives away.
func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.sh"), []byte("#!/bin/sh\necho hi"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := b.Submit(t.Context(), job.Spec{Label: "x", Dir: dir, Command: []string{"./x.sh"}})
	if err != nil {
		t.Fatal(err)
	}
	wait(t, b, s.ID)
	err = filepath.WalkDir(b.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return nil // a file of the shim that is ending
		}
		if info, err := d.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	info, err := os.Stat(s.OutputDir)
	if err != nil || info.Mode().Perm()&0o500 != 0o500 {
		t.Errorf("the output folder: %v, %v", info, err)
	}
}

func needsPython(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("there is no python3 here")
	}
}
