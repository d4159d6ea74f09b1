package jobtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/job"
)

func logCursor(t *testing.T, h harness) {
	gate, open := h.gate()
	s := h.submit(h.shell("echo one; echo two; " + gate + "; echo three"))
	h.untilLogged(s.ID, "two")
	first := h.logs(s.ID, 0)
	if len(first) != 2 {
		t.Fatalf("%d lines, want 2: %v", len(first), first)
	}
	cursor := first[1].Next
	if more := h.logs(s.ID, cursor); len(more) != 0 {
		t.Errorf("at the end there is still %v", more)
	}
	open()
	h.want(h.wait(s.ID), job.Succeeded, 0)
	more := h.logs(s.ID, cursor)
	if len(more) != 1 || more[0].Text != "three" {
		t.Fatalf("from the cursor on there is %v, want three", more)
	}
	if again := h.logs(s.ID, first[0].Next); len(again) != 2 || again[0].Text != "two" {
		t.Errorf("from the first cursor on there is %v", again)
	}
	if tail := h.logs(s.ID, -6); len(tail) != 1 || tail[0].Text != "three" {
		t.Errorf("the last six bytes are %v", tail)
	}
	if all := h.logs(s.ID, -1000); len(all) != 3 {
		t.Errorf("the last thousand bytes are %v", all)
	}
	if beyond := h.logs(s.ID, 1e6); len(beyond) != 0 {
		t.Errorf("beyond the end there is %v", beyond)
	}
	end := int64(0) // what is left to read from there is what comes next
	for line := range h.Logs(h.ctx, s.ID, -1) {
		end = line.Next
	}
	if end != more[0].Next {
		t.Errorf("the log ends at %d, and its last line at %d", end, more[0].Next)
	}
	for line := range h.Logs(h.ctx, s.ID, 0) { // a reader may stop
		if line.Text != "one" {
			t.Errorf("the first line is %v", line)
		}
		break
	}
}

func logOddBytes(t *testing.T, h harness) {
	done := h.run(h.shell(`printf 'a\377b\n\n10%%\r20%%\r\nno end'`))
	h.want(done, job.Succeeded, 0)
	if got, want := h.text(done.ID), "a\uFFFDb\n\n20%\nno end\n"; got != want && (!h.Merged || !strings.Contains(got, "no end\n")) {
		t.Errorf("the log is %q, want %q", got, want)
	}
}

func timeLimit(t *testing.T, h harness) {
	spec := h.shell("echo begun; sleep 300")
	spec.TimeLimit = time.Second
	limit := "1s"
	if h.Bounded {
		spec.TimeLimit, limit = time.Minute, "1m0s"
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		h.ctx = ctx
	}
	done := h.run(spec)
	if done.State != job.TimedOut || done.ExitCode == 0 || !strings.Contains(done.Reason, limit) {
		t.Errorf("after its time the job is %+v", done)
	}
	if h.text(done.ID) != "begun\n" {
		t.Errorf("its output is %q", h.text(done.ID))
	}
}

func cancelRunning(t *testing.T, h harness) {
	s := h.submit(h.shell("trap '' TERM; echo begun; while :; do sleep 300; done"))
	h.untilLogged(s.ID, "begun")
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := h.Cancel(h.ctx, s.ID); err != nil {
				t.Errorf("cancel: %v", err)
			}
		})
	}
	wg.Wait()
	done, err := h.Status(h.ctx, s.ID)
	if err != nil || done.State != job.Canceled || done.Reason == "" {
		t.Errorf("after Cancel the job is %+v, %v", done, err)
	}
	if err := h.Cancel(h.ctx, s.ID); err != nil {
		t.Errorf("cancel again: %v", err)
	}
}

func cancelDone(t *testing.T, h harness) {
	before := h.run(h.shell("exit 4"))
	if err := h.Cancel(h.ctx, before.ID); err != nil {
		t.Errorf("cancel: %v", err)
	}
	if after, err := h.Status(h.ctx, before.ID); err != nil || after != before {
		t.Errorf("Cancel changed %+v to %+v, %v", before, after, err)
	}
}

// cancelQueued cancels the last of many jobs: it may have started, but not if
// it was queued.
func cancelQueued(t *testing.T, h harness) {
	var ids []string
	for range 8 {
		ids = append(ids, h.submit(h.shell(`echo >"$OUTPUT_DIR/ran"; sleep 300`)).ID)
	}
	slices.Reverse(ids)
	for _, id := range ids {
		before, err := h.Status(h.ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Cancel(h.ctx, id); err != nil {
			t.Errorf("cancel: %v", err)
		}
		after := h.wait(id)
		if after.State != job.Canceled || after.Started.IsZero() && after.Seconds() != 0 {
			t.Errorf("%s job became %+v", before.State, after)
		}
		if err := h.Collect(h.ctx, id); err != nil && !after.Started.IsZero() {
			t.Errorf("collect: %v", err)
		}
		if _, err := os.Stat(filepath.Join(after.OutputDir, "ran")); err == nil && after.Started.IsZero() && after.OutputDir != "" {
			t.Errorf("job %s ran though it says it never started", id)
		}
	}
}

func notFound(t *testing.T, h harness) {
	for _, id := range []string{"", "nope", "../jobs", "a/b", "261123-000000-aaaaa", strings.Repeat("x", 5000), "\x00"} {
		if _, err := h.Status(h.ctx, id); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("Status(%.30q): %v", id, err)
		}
		if err := h.Cancel(h.ctx, id); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("Cancel(%.30q): %v", id, err)
		}
		for _, err := range h.Logs(h.ctx, id, 0) {
			if !errors.Is(err, job.ErrNotFound) {
				t.Errorf("Logs(%.30q): %v", id, err)
			}
		}
		if _, err := h.Find(h.ctx, id); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("Find(%.30q): %v", id, err)
		}
	}
	if all, err := h.List(h.ctx); err != nil || len(all) != 0 {
		t.Errorf("List of nothing: %v, %v", all, err)
	}
}

func oneLabelOneJob(t *testing.T, h harness) {
	spec := h.shell(`echo run >>"$OUTPUT_DIR/runs.txt"`)
	spec.Label = "session 1/call 2"
	ids := make([]string, 32)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			status, err := h.Submit(h.ctx, spec)
			if err != nil {
				t.Errorf("submit: %v", err)
			}
			ids[i] = status.ID
		})
	}
	wg.Wait()
	if ids = slices.Compact(ids); len(ids) != 1 || ids[0] == "" {
		t.Fatalf("one label has the jobs %q", ids)
	}
	h.want(h.wait(ids[0]), job.Succeeded, 0)
	later := h.submit(spec)
	if later.ID != ids[0] || later.State != job.Succeeded {
		t.Errorf("later the label gives %+v", later)
	}
	if !h.NoResults {
		if trace := h.result(later, "runs.txt"); trace != "run\n" {
			t.Errorf("the job's trace is %q", trace)
		}
	}
	if all, err := h.List(h.ctx); err != nil || len(all) != 1 {
		t.Errorf("%d jobs, %v", len(all), err)
	}
}

func noLabelManyJobs(t *testing.T, h harness) {
	a, b := h.submit(h.shell("true")), h.submit(h.shell("true"))
	if a.ID == b.ID {
		t.Errorf("two jobs without a label are one: %s", a.ID)
	}
	h.wait(a.ID)
	h.wait(b.ID)
}

func labels(t *testing.T, h harness) {
	all := []string{"a", "A", "a/b", "../a", "日本", strings.Repeat("long ", 1000)}
	ids := map[string]string{}
	for _, label := range all {
		spec := h.shell("exit " + strconv.Itoa(len(ids)))
		spec.Label = label
		ids[label] = h.submit(spec).ID
	}
	for i, label := range all {
		h.wait(ids[label])
		found, err := h.Find(h.ctx, label)
		if err != nil || found.ID != ids[label] || found.Label != label || found.ExitCode != i {
			t.Errorf("Find(%.20q): %+v, %v", label, found, err)
		}
	}
}

func lists(t *testing.T, h harness) {
	var want []string
	for range 3 {
		want = append([]string{h.run(h.shell("true")).ID}, want...)
	}
	all, err := h.List(h.ctx)
	var got []string
	for _, s := range all {
		got = append(got, s.ID)
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("List is %v, %v; want %v", got, err, want)
	}
}

func refuses(t *testing.T, h harness) {
	for what, spec := range map[string]job.Spec{
		"nothing to run":   {Dir: h.dir},
		"both":             {Dir: h.dir, Script: "x.py", Command: []string{"true"}},
		"relative folder":  {Dir: "x", Command: []string{"true"}},
		"no script":        {Dir: h.dir, Script: "nope.py"},
		"script outside":   {Dir: h.dir, Script: "../nope.py"},
		"NUL":              {Dir: h.dir, Command: []string{"echo", "a\x00b"}},
		"bad variable":     {Dir: h.dir, Command: []string{"true"}, Env: map[string]string{"A=B": "c"}},
		"negative CPUs":    {Dir: h.dir, Command: []string{"true"}, Hardware: job.Hardware{CPUs: -1}},
		"negative minutes": {Dir: h.dir, Command: []string{"true"}, TimeLimit: -1},
	} {
		if status, err := h.Submit(h.ctx, spec); err == nil {
			t.Errorf("%s was accepted: %+v", what, status)
		}
	}
	if all, err := h.List(h.ctx); err != nil || len(all) != 0 {
		t.Errorf("refused jobs are listed: %v, %v", all, err)
	}
}
