//go:build unix

package hfjobs_test

import (
	"strings"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/job"
)

// A job that the clock starts runs as one that is submitted; it is scheduled
// once for a label, also if the answer is lost.
func TestSchedule(t *testing.T) {
	t.Parallel()
	h, b := serve(t)
	dir := t.TempDir()
	write(t, dir, "train.py", "import os\nprint('by the clock', os.environ['MODE'])\n")
	spec := job.Spec{Dir: dir, Script: "train.py", Label: "session 1/call 2", Name: "nightly", Env: map[string]string{"MODE": "fast"}}
	h.Break(hubtest.Fault{Method: "POST", Path: "/api/scheduled-jobs/", Lose: true})
	first, err := b.Schedule(t.Context(), spec, "@daily")
	if err != nil || first.Schedule != "@daily" || first.Spec.Labels["name"] != "nightly" || first.Spec.Timeout != 3600 {
		t.Fatalf("scheduled %+v, %v", first, err)
	}
	if again, err := b.Schedule(t.Context(), spec, "@daily"); err != nil || again.ID != first.ID {
		t.Errorf("scheduled again it is %+v, %v", again, err)
	}
	spec.Label = ""
	if other, err := b.Schedule(t.Context(), spec, "0 4 * * sun"); err != nil || other.ID == first.ID {
		t.Errorf("without a label it is %+v, %v", other, err)
	}
	run, err := h.Client.RunScheduledJob(t.Context(), "me", first.ID)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line, err := range h.Client.JobLogs(t.Context(), "me", run.ID, hub.LogOptions{Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line.Text)
	}
	if len(lines) == 0 || lines[0] != "by the clock fast" {
		t.Errorf("it says %q", lines)
	}
	for want, c := range map[string]struct {
		when string
		spec job.Spec
	}{
		"want @hourly":          {"now and then", spec},
		"no hardware \"h9000\"": {"@daily", job.Spec{Dir: dir, Script: "train.py", Hardware: job.Hardware{Flavor: "h9000"}}},
	} {
		if j, err := b.Schedule(t.Context(), c.spec, c.when); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %+v, %v", want, j, err)
		}
	}
	if all, err := b.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("there are records %v, %v", all, err)
	}
}
