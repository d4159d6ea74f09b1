//go:build unix

package watch_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/local"
	"ml-intern/internal/job/watch"
)

// TestMain lets the test program be the shim of jobs on this machine.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "job-shim" {
		if err := local.RunShim(context.Background(), os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// here is a backend of this machine that has room for so many jobs.
func here(t testing.TB, slots int) local.Backend {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return local.Backend{Dir: filepath.Join(t.TempDir(), "state"), Shim: []string{"env", "GORACE=atexit_sleep_ms=0", program, "job-shim"}, Slots: slots}
}

func submit(t testing.TB, b job.Backend, script string) string {
	t.Helper()
	status, err := b.Submit(t.Context(), job.Spec{Name: "train", Dir: t.TempDir(), Command: []string{"sh", "-c", script}, TimeLimit: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return status.ID
}

// A job of this machine is watched to its end: its output, its metrics file,
// its explanation.
func TestLocalJob(t *testing.T) {
	t.Parallel()
	b := here(t, 2)
	w := &watch.Watcher{Backend: b, File: filepath.Join(t.TempDir(), "w.json")}
	nan := submit(t, b, `printf 'step,loss\n1,0.5\n2,nan\n' > $OUTPUT_DIR/metrics.csv; sleep 60`)
	begin := time.Now()
	events := wait(t, w, nan)
	if len(events) != 1 || events[0].Kind != watch.NotFinite || events[0].Text != "train ("+nan+"): loss is NaN at step 2; before it was 0.5" {
		t.Fatalf("%+v", events)
	}
	heard(t, w, events)
	if err := b.Cancel(t.Context(), nan); err != nil {
		t.Fatal(err)
	}
	if events = wait(t, w, nan); len(events) != 1 || !strings.Contains(events[0].Text, "canceled") {
		t.Errorf("%+v", events)
	}
	if time.Since(begin) > 40*time.Second {
		t.Errorf("it took %v", time.Since(begin))
	}
	bad := submit(t, b, `echo step 1; echo "OSError: [Errno 28] No space left on device: 'x'" >&2; exit 1`)
	events = wait(t, w, bad)
	if len(events) != 1 || !strings.HasSuffix(events[0].Text, "s: the disk was full when it wrote x") || !strings.Contains(events[0].Detail, "save_total_limit") {
		t.Errorf("%+v", events)
	}
	gauge, err := watch.Machine(t.Context(), job.Status{OutputDir: t.TempDir(), PID: os.Getpid()})
	if err != nil || gauge.DiskTotal <= 0 || gauge.DiskFree <= 0 || gauge.DiskFree > gauge.DiskTotal {
		t.Errorf("the disk of this machine: %+v, %v", gauge, err)
	}
}

// counting counts how often the status of a job is asked for.
type counting struct {
	local.Backend
	asked *atomic.Int64
}

func (c counting) Status(ctx context.Context, id string) (job.Status, error) {
	c.asked.Add(1)
	return c.Backend.Status(ctx, id)
}

// BenchmarkWatch200 watches 200 jobs that run and print a line of metrics
// every five seconds, for so long, and tells which share of a core that takes.
// A loaded machine makes the watcher rest longer: so it tells as well which
// share it would be with a round every two seconds, the most there is.
func BenchmarkWatch200(b *testing.B) {
	const jobs, during = 200, 20 * time.Second
	backend := here(b, jobs)
	var ids []string
	for range jobs {
		ids = append(ids, submit(b, backend, `i=0; while :; do i=$((i+1)); echo "{'loss': 0.5, 'grad_norm': 1.0, 'epoch': $i}"; sleep 5; done`))
	}
	defer func() {
		for _, id := range ids {
			_ = backend.Cancel(context.WithoutCancel(b.Context()), id)
		}
	}()
	var asked atomic.Int64
	w := &watch.Watcher{Backend: counting{backend, &asked}, File: filepath.Join(b.TempDir(), "w.json")}
	watchFor(b, w, ids, 5*time.Second) // until all have started
	for b.Loop() {
		before, calls := cpu(b), asked.Load()
		watchFor(b, w, ids, during)
		used, rounds := (cpu(b) - before).Seconds(), float64(asked.Load()-calls)/jobs
		b.ReportMetric(100*used/during.Seconds(), "%core")
		b.ReportMetric(rounds, "rounds")
		b.ReportMetric(100*used/rounds/2, "%core-at-most")
	}
}

func watchFor(b *testing.B, w *watch.Watcher, ids []string, d time.Duration) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), d)
	defer cancel()
	if events, err := w.Wait(ctx, ids); len(events) > 0 {
		b.Fatalf("%+v, %v", events, err)
	}
}

// cpu is what this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A job is judged by the GPUs that its process was given, as the driver's
// program describes them.
func TestMachineGPUs(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes tell their environment on Linux alone")
	}
	bin := t.TempDir()
	const smi = "#!/bin/sh\necho 'GPU-aaaa-1, NVIDIA A100-SXM4-80GB, 97, 70000, 81920'\necho 'GPU-bbbb-2, NVIDIA A100-SXM4-80GB, 0, 512, 81920'\necho 'GPU-cccc-3, NVIDIA X, [N/A], [N/A], [N/A]'\n"
	if err := os.WriteFile(filepath.Join(bin, "nvidia-smi"), []byte(smi), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	for visible, want := range map[string][]job.GPUGauge{
		"1":        {{Name: "NVIDIA A100-SXM4-80GB", Busy: 0, MemoryMB: 512, MemoryTotalMB: 81920}},
		"GPU-aaaa": {{Name: "NVIDIA A100-SXM4-80GB", Busy: 0.97, MemoryMB: 70000, MemoryTotalMB: 81920}},
		"2":        {{Name: "NVIDIA X", Busy: 1}},
		"":         nil,
		"-1":       nil,
	} {
		cmd := exec.CommandContext(t.Context(), "sleep", "60")
		cmd.Env = append(os.Environ(), "CUDA_VISIBLE_DEVICES="+visible)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		got, err := watch.Machine(t.Context(), job.Status{OutputDir: bin, PID: cmd.Process.Pid})
		for end := time.Now().Add(time.Minute); time.Now().Before(end); { // a program that was just written is busy while another test forks
			if slices.Equal(got.GPUs, want) {
				break
			}
			time.Sleep(50 * time.Millisecond)
			got, err = watch.Machine(t.Context(), job.Status{OutputDir: bin, PID: cmd.Process.Pid})
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if err != nil || !slices.Equal(got.GPUs, want) {
			t.Errorf("%q: %+v, %v", visible, got.GPUs, err)
		}
	}
}
