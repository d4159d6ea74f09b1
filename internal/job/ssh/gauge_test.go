//go:build unix

package ssh_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"ml-intern/internal/job"
)

// TestGauge has a machine with three GPUs, of which one job has two. Of a job
// that has none only the disk is told.
func TestGauge(t *testing.T) {
	t.Parallel()
	b := here(t)
	calls := filepath.Join(t.TempDir(), "calls")
	program(t, b, "nproc", "echo 8")
	program(t, b, "nvidia-smi", fmt.Sprintf(`case $* in
*utilization*)
	echo >>%q
	echo "0, NVIDIA A100-SXM4-80GB, 91, 70000, 81920"
	echo "1, NVIDIA A100-SXM4-80GB, [N/A], 4, 81920"
	echo "2, NVIDIA A100-SXM4-80GB, 0, 512, 81920" ;;
*)
	echo "0, NVIDIA A100-SXM4-80GB, 81920, 60000"
	echo "1, NVIDIA A100-SXM4-80GB, 81920, 4"
	echo "2, NVIDIA A100-SXM4-80GB, 81920, 4" ;;
esac`, calls))
	spec := job.Spec{Dir: t.TempDir(), Command: []string{"sh", "-c", "echo begun; sleep 300"}}
	plain := submit(t, b, spec)
	spec.Hardware = job.Hardware{GPUs: 2}
	two := submit(t, b, spec)
	untilLogged(t, b, plain.ID, "begun")
	untilLogged(t, b, two.ID, "begun")
	m, err := b.Gauge(t.Context(), two.ID)
	want := []job.GPUGauge{
		{Name: "NVIDIA A100-SXM4-80GB", Busy: 1, MemoryMB: 4, MemoryTotalMB: 81920},
		{Name: "NVIDIA A100-SXM4-80GB", Busy: 0, MemoryMB: 512, MemoryTotalMB: 81920},
	}
	if err != nil || !slices.Equal(m.GPUs, want) || m.DiskTotal <= 0 {
		t.Errorf("its machine is %+v, %v", m, err)
	}
	for range 20 { // all the jobs of a machine are one question
		if m, err := b.Gauge(t.Context(), plain.ID); err != nil || m.GPUs != nil || m.DiskTotal <= 0 || m.DiskFree > m.DiskTotal {
			t.Fatalf("the machine of the plain one is %+v, %v", m, err)
		}
	}
	if data, err := os.ReadFile(calls); err != nil || len(data) != 1 {
		t.Errorf("the driver was asked %d times, %v", len(data), err)
	}
	for _, id := range []string{plain.ID, two.ID} {
		if err := b.Cancel(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
}
