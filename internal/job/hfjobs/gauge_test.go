//go:build unix

package hfjobs_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/job"
	"ml-intern/internal/job/hfjobs"
)

// TestGauge asks what the GPUs of jobs do. The Hub is asked seldom, and of a job
// without GPUs only once.
func TestGauge(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	m := machine(t)
	m.Gauge = func(_ context.Context, s job.Status) (g job.Gauge, err error) {
		asked.Add(1)
		if strings.Contains(s.Name, "gpu") {
			g.GPUs = []job.GPUGauge{{Name: "A", Busy: 0.42, MemoryMB: 100, MemoryTotalMB: 200}, {Name: "B", MemoryTotalMB: 200}}
		}
		return g, nil
	}
	h := hubtest.StartWith(t, hubserver.Options{Jobs: m, RunJobs: true})
	b := &hfjobs.Backend{Dir: filepath.Join(t.TempDir(), "hfjobs"), Hub: h.Client, Image: "python:3.12"}
	run := func(name string) string {
		spec := shell(t, "echo begun; sleep 300")
		spec.Name = name
		s := submit(t, b, spec)
		for !strings.Contains(text(t, b, s.ID), "begun") {
			if t.Context().Err() != nil {
				t.Fatal("it never began")
			}
		}
		for s.State != job.Running {
			var err error
			if s, err = b.Status(t.Context(), s.ID); err != nil {
				t.Fatal(err)
			}
		}
		return s.ID
	}
	gpu, cpu := run("gpu"), run("cpu")
	got, err := b.Gauge(t.Context(), gpu)
	want := []job.GPUGauge{{Name: "0", Busy: 0.42, MemoryMB: 100, MemoryTotalMB: 200}, {Name: "1", MemoryTotalMB: 200}}
	if err != nil || !slices.Equal(got.GPUs, want) || got.DiskTotal != 0 {
		t.Errorf("its machine is %+v, %v", got, err)
	}
	if got, err := b.Gauge(t.Context(), gpu); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a moment later it is %+v, %v", got, err)
	}
	if got, err := b.Gauge(t.Context(), cpu); err != nil || got.GPUs != nil {
		t.Errorf("without GPUs it is %+v, %v", got, err)
	}
	before := asked.Load()
	for range 3 {
		if _, err := b.Gauge(t.Context(), cpu); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("again: %v", err)
		}
	}
	if now := asked.Load(); now != before {
		t.Errorf("the Hub was asked %d times more", now-before)
	}
	for _, id := range []string{gpu, cpu} {
		if err := b.Cancel(t.Context(), id); err != nil {
			t.Error(err)
		}
		if _, err := b.Gauge(t.Context(), id); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("of a job that is over: %v", err)
		}
	}
}
