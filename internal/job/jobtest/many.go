package jobtest

import (
	"slices"
	"strconv"
	"sync"
	"testing"

	"ml-intern/internal/job"
)

// settings are the jobs of a sweep, each of which says its number and ends with
// it.
func (h harness) settings(n int) []job.Spec {
	specs := make([]job.Spec, n)
	for i := range specs {
		specs[i] = h.shell(`echo "run $NUM" >>"$OUTPUT_DIR/runs.txt"; echo "is $NUM"; exit $NUM`)
		specs[i].Label = job.MemberLabel("session 1/call 2", i)
		specs[i].Env = map[string]string{"NUM": strconv.Itoa(i)}
	}
	return specs
}

// all asks that the statuses are those of the specs, in their order.
func (h harness) all(specs []job.Spec, statuses []job.Status, err error) {
	h.Helper()
	if err != nil || len(statuses) != len(specs) {
		h.Fatalf("%d jobs have the statuses %+v, %v", len(specs), statuses, err)
	}
	for i, s := range statuses {
		if s.ID == "" || s.Label != specs[i].Label {
			h.Errorf("job %d is %+v", i, s)
		}
	}
}

// sweep sends jobs together, one of which is there already, and several times
// at once.
func sweep(t *testing.T, h harness) {
	specs := h.settings(4)
	single := h.submit(specs[2])
	var wg sync.WaitGroup
	got := make([][]job.Status, 3)
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = job.SubmitAll(h.ctx, h.Backend, specs); err != nil {
				t.Errorf("submit all: %v", err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for _, statuses := range got {
		h.all(specs, statuses, nil)
		if statuses[2].ID != single.ID {
			t.Errorf("the one that was there is %s, not %s", statuses[2].ID, single.ID)
		}
	}
	for i, s := range got[0] {
		done, want := h.wait(s.ID), job.Failed
		if i == 0 {
			want = job.Succeeded
		}
		h.want(done, want, i)
		number := strconv.Itoa(i)
		if text := h.text(s.ID); text != "is "+number+"\n" {
			t.Errorf("job %d said %q", i, text)
		}
		if !h.NoResults && h.result(done, "runs.txt") != "run "+number+"\n" {
			t.Errorf("job %d ran not once", i)
		}
		if found, err := h.Find(h.ctx, specs[i].Label); err != nil || found.ID != got[1][i].ID {
			t.Errorf("job %d is found as %+v, %v", i, found, err)
		}
	}
	if all, err := h.List(h.ctx); err != nil || len(all) != len(specs) {
		t.Errorf("%d jobs, %v", len(all), err)
	}
}

// sweepBroken sends jobs of which one cannot run, and then all of them again.
func sweepBroken(t *testing.T, h harness) {
	specs := h.settings(3)
	broken := slices.Clone(specs)
	broken[1].CPUs = 1 << 20
	statuses, err := job.SubmitAll(h.ctx, h.Backend, broken)
	if err == nil || len(statuses) != len(specs) {
		t.Fatalf("a million CPUs were accepted: %+v", statuses)
	}
	there := 0
	for i, s := range statuses {
		if s.ID == "" {
			continue
		}
		there++
		if found, err := h.Find(h.ctx, specs[i].Label); err != nil || found.ID != s.ID || i == 1 {
			t.Errorf("job %d is said to be there: %+v, %v", i, found, err)
		}
	}
	if all, err := h.List(h.ctx); err != nil || len(all) != there {
		t.Errorf("%d jobs are there, and %d are said to be, %v", len(all), there, err)
	}
	finished, err := job.SubmitAll(h.ctx, h.Backend, specs)
	h.all(specs, finished, err)
	for i, s := range finished {
		if statuses[i].ID != "" && statuses[i].ID != s.ID {
			t.Errorf("job %d ran twice, as %s and %s", i, statuses[i].ID, s.ID)
		}
		h.wait(s.ID)
	}
	twice := h.settings(2)
	twice[1].Label = twice[0].Label
	if got, err := job.SubmitAll(h.ctx, h.Backend, twice); err == nil {
		t.Errorf("two jobs of one label were accepted: %+v", got)
	}
}

// pinned submits jobs that were quoted before.
func pinned(t *testing.T, h harness) {
	all, err := h.Offers(h.ctx)
	if err != nil || len(all) == 0 {
		t.Fatalf("offers %v, %v", all, err)
	}
	spec := h.shell("true")
	spec.CPUs, spec.Pin = 1, job.Pin{Flavor: all[0].Flavor, USDPerHour: all[0].USDPerHour}
	h.want(h.run(spec), job.Succeeded, 0)
	spec.Pin.USDPerHour -= 0.01
	if status, err := h.Submit(h.ctx, spec); err == nil {
		t.Errorf("hardware that is dearer than quoted was accepted: %+v", status)
	}
	spec.Pin = job.Pin{Flavor: "gone", USDPerHour: 1e6}
	if status, err := h.Submit(h.ctx, spec); err == nil {
		t.Errorf("another hardware than the quoted one was taken: %+v", status)
	}
}
