//go:build unix

package local

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ml-intern/internal/job"
)

// TestDriverGPUs reads what NVIDIA's driver says where its tools are missing.
// The second GPU has no device here.
func TestDriverGPUs(t *testing.T) {
	t.Parallel()
	proc, dev := t.TempDir(), t.TempDir()
	for address, text := range map[string]string{
		"0000:0a:00.0": "Model: \t\t NVIDIA A100-SXM4-80GB\nIRQ:   \t\t 57\nGPU UUID: \t GPU-aa\nDevice Minor: \t 1\n",
		"0000:0b:00.0": "Model: \t\t NVIDIA A100-SXM4-80GB\nGPU UUID: \t GPU-bb\nDevice Minor: \t 0\n",
		"0000:3c:00.0": "Model: \t\t Tesla T4\nGPU UUID: \t GPU-cc\nDevice Minor: \t 2\n",
	} {
		if err := os.MkdirAll(filepath.Join(proc, address), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, address, "information"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"nvidia1", "nvidia2", "nvidiactl"} {
		if err := os.WriteFile(filepath.Join(dev, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := []gpu{{0, "NVIDIA A100-SXM4-80GB", 0, "GPU-aa"}, {1, "Tesla T4", 0, "GPU-cc"}}
	if got := driverGPUs(proc, dev); !slices.Equal(got, want) {
		t.Errorf("the GPUs are %+v, want %+v", got, want)
	}
	if got := driverGPUs(filepath.Join(proc, "nope"), dev); got != nil {
		t.Errorf("without a driver there are %+v", got)
	}
	for value, want := range map[string]int{"CUDA_VISIBLE_DEVICES=": 0, "CUDA_VISIBLE_DEVICES=-1": 0, "X=": 2, "CUDA_VISIBLE_DEVICES=1": 1, "CUDA_VISIBLE_DEVICES=GPU-a,1": 2} {
		if m := (machine{Words: "2 cores", GPUs: driverGPUs(proc, dev)}).seenBy([]string{value}); len(m.GPUs) != want || want == 0 && m.Words != "2 cores, no NVIDIA GPU" {
			t.Errorf("with %s the machine is %+v", value, m)
		}
	}
}

// TestPassing lets jobs queue behind one that waits for memory, or for a GPU:
// those that cannot delay it go first.
func TestPassing(t *testing.T) {
	t.Parallel()
	used := grant{CPUs: []int{0}, MemoryMB: 600, GPUs: []int{7}}
	machine := need{Slots: 4, MachineMB: 1000}
	with := func(cpus int, memoryMB int64, among ...int) need {
		n := machine
		n.CPUs, n.MemoryMB, n.Among, n.GPUs = cpus, memoryMB, among, min(len(among), 1)
		return n
	}
	for name, c := range map[string]struct {
		queue []need
		want  []bool
	}{
		"memory":     {[]need{with(1, 500), with(1, 100), with(1, 0), with(1, 1), with(1, 0)}, []bool{false, false, true, false, false}},
		"GPU":        {[]need{with(2, 300, 7), with(1, 200), with(1, 100, 8)}, []bool{false, false, false}},
		"GPU passed": {[]need{with(1, 300, 7), with(1, 100, 8), with(1, 0)}, []bool{false, true, true}},
		"CPUs":       {[]need{with(4, 0), with(1, 0)}, []bool{false, false}},
	} {
		used := used
		for i, n := range c.queue {
			g, ok := used.fit(n)
			used = used.add(g)
			if ok != c.want[i] {
				t.Errorf("%s: job %d starts: %v", name, i, ok)
			}
		}
	}
}

// TestLastPlace sets the clock back while a job waits.
func TestLastPlace(t *testing.T) {
	t.Parallel()
	b := Backend{Dir: t.TempDir()}
	if err := b.makeFolders(); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	waits := record{ID: job.NewID(now), Place: b.lastPlace(now)}
	if err := b.enqueue(waits); err != nil {
		t.Fatal(err)
	}
	later := record{ID: "0", Place: b.lastPlace(now.Add(-time.Hour))}
	if waits.Place != now.UnixNano() || later.place() <= waits.place() {
		t.Errorf("the places are %s and %s", waits.place(), later.place())
	}
}

// TestOrphans chooses what is left of a job whose first process is gone. What
// has its numbers in another life of the machine is no part of it.
func TestOrphans(t *testing.T) {
	t.Parallel()
	table := []process{
		{pid: 1 << 30, session: 57, group: 60, mark: "boot 1/900"},
		{pid: 1<<30 + 1, session: 58, group: 57, mark: "boot 1/901"},
		{pid: 1<<30 + 2, session: 57, group: 57, mark: "boot 2/902"},
		{pid: 1<<30 + 3, session: 57, group: 57, mark: "boot 1/903", zombie: true},
		{pid: 1<<30 + 4, session: 5, group: 5, mark: "boot 1/904"},
	}
	chosen := func(all []process) (n int) { return len(orphans("x", start{PID: 57, Mark: "boot 1/800"})(all)) }
	if n := chosen(table); n != 2 {
		t.Errorf("%d processes were chosen, want 2", n)
	}
	if n := chosen(append(table, process{pid: 57, mark: "boot 1/800", session: 57})); n != 3 {
		t.Errorf("with the first there are %d, want 3", n)
	}
	if n := chosen(append(table, process{pid: 57, mark: "boot 1/905", session: 57})); n != 0 {
		t.Errorf("when another has its number, %d were chosen", n)
	}
}
