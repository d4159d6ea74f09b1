//go:build unix

package local_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/local"
)

// withGPUs gives a backend a driver that knows three GPUs of two kinds, and as
// many CPUs.
func withGPUs(t *testing.T) local.Backend {
	b := newBackend(t)
	b.Slots = 4
	b.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "CUDA_VISIBLE_DEVICES=") })
	b.NvidiaSMI = program(t, "nvidia-smi", `echo "0, NVIDIA A100-SXM4-80GB, 81920, GPU-aa
1, NVIDIA A100-SXM4-80GB, 81920, GPU-bb
2, Tesla T4, 15360, GPU-cc"`)
	return b
}

// TestGPUs runs more jobs than there are GPUs; each counts those that run with
// it on its own GPU.
func TestGPUs(t *testing.T) {
	t.Parallel()
	b := withGPUs(t)
	dir := t.TempDir()
	var ids []string
	for range 6 {
		s, err := b.Submit(t.Context(), job.Spec{Dir: dir, Hardware: job.Hardware{GPUs: 1, GPU: "a100"}, Command: []string{"sh", "-c", `
			mkdir "gpu.$CUDA_VISIBLE_DEVICES" || exit 7
			echo "$CUDA_VISIBLE_DEVICES $CUDA_DEVICE_ORDER"; sleep 0.1
			rmdir "gpu.$CUDA_VISIBLE_DEVICES"`}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, s.ID)
	}
	var seen []string
	for _, id := range ids {
		if done := wait(t, b, id); done.State != job.Succeeded {
			t.Errorf("the job is %+v", done)
		}
		seen = append(seen, logged(t, b, id))
	}
	slices.Sort(seen)
	if seen = slices.Compact(seen); !slices.Equal(seen, []string{"0 PCI_BUS_ID\n", "1 PCI_BUS_ID\n"}) {
		t.Errorf("the jobs saw %q", seen)
	}
}

// TestGPUNeeds asks for GPUs in each way.
func TestGPUNeeds(t *testing.T) {
	t.Parallel()
	b := withGPUs(t)
	offers, err := b.Offers(t.Context())
	if err != nil || len(offers) != 2 {
		t.Fatalf("offers %+v, %v", offers, err)
	}
	if o := offers[0]; o.GPUs != 2 || o.FreeGPUs != 2 || o.FreeCPUs != 4 || o.GPUMemoryMB != 81920 || !strings.Contains(o.GPU, "A100") || !strings.Contains(o.Note, "1 × Tesla T4") {
		t.Errorf("the first offer is %+v", o)
	}
	for name, c := range map[string]struct {
		need job.Hardware
		env  string
		want string
	}{
		"none":       {job.Hardware{}, "", ""},
		"two":        {job.Hardware{GPUs: 2}, "", "0,1"},
		"by type":    {job.Hardware{GPU: "T4"}, "", "2"},
		"by memory":  {job.Hardware{GPUMemoryMB: 40_000}, "", "0"},
		"flavor":     {job.Hardware{Flavor: "this machine, Tesla T4"}, "", "2"},
		"by oneself": {job.Hardware{GPUs: 1}, "1", "1"},
	} {
		spec := job.Spec{Dir: t.TempDir(), Hardware: c.need, Command: []string{"sh", "-c", `echo "$CUDA_VISIBLE_DEVICES"`}}
		if c.env != "" {
			spec.Env = map[string]string{"CUDA_VISIBLE_DEVICES": c.env}
		}
		s, err := b.Submit(t.Context(), spec)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wait(t, b, s.ID)
		if got := logged(t, b, s.ID); got != c.want+"\n" {
			t.Errorf("%s: the job saw %q, want %q", name, got, c.want)
		}
	}
	for _, need := range []job.Hardware{{GPUs: 3}, {GPU: "H100"}, {GPUMemoryMB: 100_000}, {GPU: "T4", GPUMemoryMB: 20_000}} {
		if s, err := b.Submit(t.Context(), job.Spec{Dir: t.TempDir(), Hardware: need, Command: []string{"true"}}); err == nil || !strings.Contains(err.Error(), "T4") {
			t.Errorf("%+v: %+v, %v", need, s, err)
		}
	}
}

// TestMemoryInTheQueue lets two jobs wait for each other's memory.
func TestMemoryInTheQueue(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	offers, err := b.Offers(t.Context())
	if err != nil || offers[0].MemoryMB == 0 {
		t.Skipf("the machine does not tell its memory: %+v, %v", offers, err)
	}
	spec := job.Spec{Dir: t.TempDir(), Hardware: job.Hardware{MemoryMB: offers[0].MemoryMB*2/3 + 1}, Command: []string{"sh", "-c", "mkdir busy && sleep 0.2 && rmdir busy"}}
	first, err := b.Submit(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.Submit(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if offers, err := b.Offers(t.Context()); err != nil || offers[0].Queued != 1 || offers[0].FreeCPUs != 1 {
		t.Errorf("with a queue there are offers %+v, %v", offers, err)
	}
	for _, id := range []string{first.ID, second.ID} {
		if done := wait(t, b, id); done.State != job.Succeeded {
			t.Errorf("the job is %+v", done)
		}
	}
	spec.MemoryMB = offers[0].MemoryMB + 1
	if s, err := b.Submit(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("more memory than there is: %+v, %v", s, err)
	}
}

// TestOrder lets a small job wait behind a large one that lacks a CPU, though it
// would fit, and pass one that lacks memory.
func TestOrder(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	b.Slots = 3
	offers, err := b.Offers(t.Context())
	if err != nil || offers[0].MemoryMB == 0 {
		t.Skipf("the machine does not tell its memory: %+v, %v", offers, err)
	}
	most := offers[0].MemoryMB*2/3 + 1
	dir := t.TempDir()
	submit := func(h job.Hardware, name string) string {
		t.Helper()
		s, err := b.Submit(t.Context(), job.Spec{Dir: dir, Hardware: h, Command: []string{"sh", "-c", `until [ -e go ]; do sleep 0.02; done; echo "$0" >>order`, name}})
		if err != nil {
			t.Fatal(err)
		}
		return s.ID
	}
	ids := []string{submit(job.Hardware{MemoryMB: most}, "first"), submit(job.Hardware{MemoryMB: most}, "memory"), submit(job.Hardware{}, "passes")}
	for _, id := range []string{ids[0], ids[2]} {
		untilRunning(t, b, id)
	}
	if s, err := b.Status(t.Context(), ids[1]); err != nil || s.State != job.Queued {
		t.Errorf("without memory the job is %+v, %v", s, err)
	}
	ids = append(ids, submit(job.Hardware{CPUs: 3}, "large"), submit(job.Hardware{}, "small"))
	if s, err := b.Status(t.Context(), ids[4]); err != nil || s.State != job.Queued {
		t.Errorf("behind a large job the small one is %+v, %v", s, err)
	}
	write(t, filepath.Join(dir, "go"), "")
	for _, id := range ids {
		if done := wait(t, b, id); done.State != job.Succeeded {
			t.Errorf("the job is %+v", done)
		}
	}
	if order := strings.Fields(read(t, filepath.Join(dir, "order"))); !slices.Equal(order[2:], []string{"memory", "large", "small"}) {
		t.Errorf("the order is %q", order)
	}
}

// TestQueueGoesOnAlone submits jobs and looks at none of them.
func TestQueueGoesOnAlone(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	dir := t.TempDir()
	for i := range 10 {
		if _, err := b.Submit(t.Context(), job.Spec{Dir: dir, Command: []string{"touch", fmt.Sprint("ran", i)}}); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if ran, _ := filepath.Glob(filepath.Join(dir, "ran*")); len(ran) == 10 {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("only %d jobs ran", len(ran))
		}
	}
}

// TestShimsKilledInTheQueue kills the shims of all running jobs: the next to
// look moves the queue on.
func TestShimsKilledInTheQueue(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	dir := t.TempDir()
	var ids []string
	for i := range 6 {
		command := []string{"sh", "-c", "echo run >>$JOB_ID; sleep 300"}
		if i >= 2 {
			command = []string{"sh", "-c", "echo run >>$JOB_ID"}
		}
		s, err := b.Submit(t.Context(), job.Spec{Dir: dir, Command: command})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, s.ID)
	}
	for _, id := range ids[:2] {
		untilRunning(t, b, id)
	}
	for _, id := range ids[:2] {
		if err := syscall.Kill(shimOf(t, id), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	for i, id := range slices.Backward(ids) { // the last first: nobody looks at the lost ones
		want := job.Succeeded
		if i < 2 {
			want = job.Lost
		}
		if done := wait(t, b, id); done.State != want {
			t.Errorf("job %d is %+v", i, done)
		}
		if data, _ := os.ReadFile(filepath.Join(dir, id)); string(data) != "run\n" {
			t.Errorf("job %d left %q", i, data)
		}
	}
}

// TestWaitingShimIsForgotten loses the place of a job whose shim waits for its
// turn, as those do that hold secrets: nobody but that shim can put it back.
func TestWaitingShimIsForgotten(t *testing.T) {
	t.Parallel()
	b, dir, blocker := withSecrets(t)
	s := submitSecret(t, b, dir)
	places, _ := filepath.Glob(filepath.Join(b.Dir, "queue", "*"))
	if len(places) != 1 {
		t.Fatalf("there wait %q", places)
	}
	if err := os.Remove(places[0]); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "go"), "")
	for _, id := range []string{s.ID, blocker} {
		if done := wait(t, b, id); done.State != job.Succeeded {
			t.Errorf("the job is %+v", done)
		}
	}
}

// TestQueueIsForgotten loses what need not survive a power cut.
func TestQueueIsForgotten(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	b.Slots = 1
	dir := t.TempDir()
	blocker, err := b.Submit(t.Context(), job.Spec{Dir: dir, Command: []string{"sh", "-c", "until [ -e go ]; do sleep 0.02; done"}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.Submit(t.Context(), job.Spec{Dir: dir, Command: []string{"sh", "-c", "echo run >>trace"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"queue", "granted"} {
		files, _ := filepath.Glob(filepath.Join(b.Dir, sub, "*"))
		for _, file := range files {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(t, filepath.Join(dir, "go"), "")
	for _, id := range []string{s.ID, blocker.ID} {
		if done := wait(t, b, id); done.State != job.Succeeded {
			t.Errorf("the job is %+v", done)
		}
	}
	if data, _ := os.ReadFile(filepath.Join(dir, "trace")); string(data) != "run\n" {
		t.Errorf("the job left %q", data)
	}
}

// TestSpoiled spoils what is kept of a job that runs, and of one that waits: the
// others go on.
func TestSpoiled(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	b.Slots = 1
	dir := t.TempDir()
	var ids []string
	for range 2 {
		s, err := b.Submit(t.Context(), job.Spec{Dir: dir, Command: []string{"sleep", "300"}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, s.ID)
	}
	pid := untilRunning(t, b, ids[0]).PID
	killSome(t, ids[0], 0)
	for _, id := range ids {
		write(t, filepath.Join(b.Dir, "jobs", id, "spec.json"), "{")
	}
	s, err := b.Submit(t.Context(), job.Spec{Dir: dir, Command: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	if done := wait(t, b, s.ID); done.State != job.Succeeded {
		t.Errorf("the job is %+v", done)
	}
	if all, err := b.List(t.Context()); len(all) != 1 || err == nil || !strings.Contains(err.Error(), ids[0]) {
		t.Errorf("there are %+v, %v", all, err)
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
}

// BenchmarkThousandJobs submits and runs 1,000 jobs of `true`, and says what
// memory all processes took together at most, with what they share counted once.
// ML_INTERN may name the program whose shims are measured instead of this one's.
func BenchmarkThousandJobs(b *testing.B) {
	shim := shim()
	if program := os.Getenv("ML_INTERN"); program != "" {
		shim = []string{program, "job-shim"}
	}
	for b.Loop() {
		began := time.Now()
		dir := b.TempDir()
		backend := local.Backend{Dir: filepath.Join(dir, "state"), Shim: shim, Slots: 2}
		ids := make([]string, 1000)
		most, stop := watchMemory(backend.Dir)
		for i := range ids {
			s, err := backend.Submit(b.Context(), job.Spec{Dir: dir, Command: []string{"true"}})
			if err != nil {
				b.Fatal(err)
			}
			ids[i] = s.ID
		}
		all, err := job.Wait(b.Context(), backend, ids, nil)
		if err != nil {
			b.Fatal(err)
		}
		close(stop)
		for _, s := range all {
			if s.State != job.Succeeded {
				b.Fatalf("the job is %+v", s)
			}
		}
		b.ReportMetric(time.Since(began).Seconds(), "s")
		b.ReportMetric(float64(<-most)/1024, "MB")
	}
}

// watchMemory sums the proportional memory of this process and of all whose
// arguments hold a folder.
func watchMemory(dir string) (most chan int, stop chan struct{}) {
	most, stop = make(chan int, 1), make(chan struct{})
	go func() {
		peak := 0
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			select {
			case <-stop:
				most <- peak
				return
			case <-tick.C:
			}
			sum := 0
			pids, _ := filepath.Glob("/proc/[0-9]*")
			for _, pid := range pids {
				args, _ := os.ReadFile(pid + "/cmdline")
				if pid != fmt.Sprint("/proc/", os.Getpid()) && !strings.Contains(string(args), dir) {
					continue
				}
				var kb int
				rollup, _ := os.ReadFile(pid + "/smaps_rollup")
				if _, rest, ok := strings.Cut(string(rollup), "\nPss:"); ok {
					_, _ = fmt.Sscan(rest, &kb)
				}
				sum += kb
			}
			peak = max(peak, sum)
		}
	}()
	return most, stop
}
