//go:build slurm

package slurm_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/job"
)

// gauges has a node with two GPUs and a program that calls itself nvidia-smi.
// Of a job that has GPUs is told what they do, of another only the disk.
func gauges(t *testing.T, f faults) {
	bin := t.TempDir()
	smi := "#!/bin/sh\ncase $* in *utilization*) ;; *) exit 2 ;; esac\n" +
		`echo "0, GPU-aa, NVIDIA A100-SXM4-80GB, 91, 70000, 81920"` + "\n" + `echo "1, GPU-bb, NVIDIA A100-SXM4-80GB, 0, 512, 81920"` + "\n"
	if err := os.WriteFile(filepath.Join(bin, "nvidia-smi"), []byte(smi), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	f.Env = append(slices.DeleteFunc(os.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "PATH=") }), "PATH="+bin+":"+os.Getenv("PATH"))
	spec := f.shell("with", "sleep 300")
	spec.Hardware = job.Hardware{GPUs: 2}
	with, plain := f.submit(spec), f.submit(f.shell("plain", "sleep 300"))
	f.started("with")
	f.started("plain")
	f.until(with.ID, job.Running)
	f.until(plain.ID, job.Running)
	want := []job.GPUGauge{
		{Name: "NVIDIA A100-SXM4-80GB", Busy: 0.91, MemoryMB: 70000, MemoryTotalMB: 81920},
		{Name: "NVIDIA A100-SXM4-80GB", Busy: 0, MemoryMB: 512, MemoryTotalMB: 81920},
	}
	note := filepath.Join(f.Dir, "jobs", with.ID, "gauge")
	for {
		if _, err := os.Stat(note); err == nil {
			break
		}
		if f.ctx.Err() != nil {
			t.Fatal("the job notes nothing of its GPUs")
		}
		time.Sleep(50 * time.Millisecond)
	}
	m, err := f.Gauge(f.ctx, with.ID)
	if err != nil || !slices.Equal(m.GPUs, want) || m.DiskTotal <= 0 {
		t.Errorf("its machine is %+v, %v", m, err)
	}
	if m, err := f.Gauge(f.ctx, plain.ID); err != nil || m.GPUs != nil || m.DiskTotal <= 0 {
		t.Errorf("the machine of the plain one is %+v, %v", m, err)
	}
	if _, err := os.Stat(filepath.Join(f.Dir, "jobs", plain.ID, "gauge")); err == nil {
		t.Error("a job without GPUs notes what they do")
	}
	for _, id := range []string{with.ID, plain.ID} {
		if err := f.Cancel(f.ctx, id); err != nil {
			t.Error(err)
		}
	}
	f.until(with.ID, job.Canceled)
	for end := time.Now().Add(time.Minute); f.processes(with.ID) > 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("what looked at the GPUs is still there")
		}
	}
	short := f.shell("short", "exit 3")
	short.Hardware = spec.Hardware
	s := f.submit(short)
	f.want(f.until(s.ID, ""), job.Failed, 3)
	if _, err := os.Stat(filepath.Join(f.Dir, "jobs", s.ID, "gauge")); err == nil {
		t.Error("a job that has ended by itself leaves a note of its GPUs")
	}
	if n := f.processes(s.ID); n > 0 {
		t.Errorf("%d processes of a job that has ended are there", n)
	}
}

// processes counts those whose command line has the job's id.
func (f faults) processes(id string) int {
	n := 0
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, []byte(id)) {
			n++
		}
	}
	return n
}
