// Package jobtest is the conformance suite of job.Backend.
//
// Its one rule: it knows the interface and nothing else, so that what every
// backend promises is written down once. The jobs it runs need sh.
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

// patience is how long anything may take: it is there to end a test that
// hangs, not to measure.
const patience = 60 * time.Second

// Run checks the backends that open returns: each call one that is new, with
// room for a job of one CPU.
func Run(t *testing.T, open func(t *testing.T) job.Backend) {
	t.Run("NoSecrets", func(t *testing.T) { noSecrets(t, open) }) // alone: it sets the environment
	for name, check := range map[string]func(t *testing.T, h harness){
		"Succeeds": succeeds, "Fails": fails, "Arguments": arguments, "Environment": environment,
		"Output": output, "LogCursor": logCursor, "LogOddBytes": logOddBytes, "TimeLimit": timeLimit,
		"CancelRunning": cancelRunning, "CancelDone": cancelDone, "CancelQueued": cancelQueued, "NotFound": notFound,
		"OneLabelOneJob": oneLabelOneJob, "NoLabelManyJobs": noLabelManyJobs, "Labels": labels, "Lists": lists, "Refuses": refuses,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, newHarness(t, open))
		})
	}
}

// A harness is a backend with a workspace.
type harness struct {
	*testing.T
	job.Backend
	ctx context.Context
	dir string
}

func newHarness(t *testing.T, open func(t *testing.T) job.Backend) harness {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return harness{T: t, Backend: open(t), ctx: ctx, dir: t.TempDir()}
}

// shell is the spec of a shell script.
func (h harness) shell(script string) job.Spec {
	return job.Spec{Dir: h.dir, Command: []string{"sh", "-c", script}}
}

func (h harness) submit(spec job.Spec) job.Status {
	h.Helper()
	status, err := h.Submit(h.ctx, spec)
	if err != nil {
		h.Fatalf("submit: %v", err)
	}
	return status
}

// run submits and waits.
func (h harness) run(spec job.Spec) job.Status {
	h.Helper()
	return h.wait(h.submit(spec).ID)
}

func (h harness) wait(id string) job.Status {
	h.Helper()
	statuses, err := job.Wait(h.ctx, h, []string{id}, nil)
	if err != nil {
		h.Fatalf("wait: %v", err)
	}
	return statuses[0]
}

// untilLogged waits for a text in a job's output.
func (h harness) untilLogged(id, text string) {
	h.Helper()
	for !strings.Contains(h.text(id), text) {
		if h.ctx.Err() != nil {
			h.Fatalf("%q was never logged", text)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (h harness) logs(id string, from int64) (lines []job.Line) {
	h.Helper()
	for line, err := range h.Logs(h.ctx, id, from) {
		if err != nil {
			h.Fatalf("logs: %v", err)
		}
		lines = append(lines, line)
	}
	return lines
}

func (h harness) text(id string) string {
	h.Helper()
	var text strings.Builder
	for _, line := range h.logs(id, 0) {
		text.WriteString(line.Text + "\n")
	}
	return text.String()
}

func (h harness) want(s job.Status, state job.State, code int) {
	h.Helper()
	if s.State != state || s.ExitCode != code {
		h.Fatalf("the job is %s with exit code %d (%s), want %s with %d", s.State, s.ExitCode, s.Reason, state, code)
	}
}

func succeeds(t *testing.T, h harness) {
	spec := h.shell("echo out; echo err >&2; pwd")
	spec.Name = "try"
	submitted := h.submit(spec)
	if submitted.ID == "" || submitted.Name != "try" || submitted.Submitted.IsZero() {
		t.Errorf("submit returned %+v", submitted)
	}
	done := h.wait(submitted.ID)
	h.want(done, job.Succeeded, 0)
	if done.Reason != "" || !done.Done() {
		t.Errorf("a success says %+v", done)
	}
	if done.Started.Before(done.Submitted) || done.Finished.Before(done.Started) || done.Seconds() < 0 {
		t.Errorf("times are out of order: %+v", done)
	}
	real, err := filepath.EvalSymlinks(h.dir)
	if err != nil {
		t.Fatal(err)
	}
	if text := h.text(done.ID); text != "out\nerr\n"+h.dir+"\n" && text != "out\nerr\n"+real+"\n" {
		t.Errorf("log is %q", text)
	}
}

func fails(t *testing.T, h harness) {
	done := h.run(h.shell("echo boom; exit 3"))
	h.want(done, job.Failed, 3)
	if !strings.Contains(done.Reason, "3") {
		t.Errorf("reason %q does not name the exit code", done.Reason)
	}
}

func arguments(t *testing.T, h harness) {
	odd := []string{"a b", "", "$HOME", "'\"`", "-n", "ü", "line\nend"}
	spec := h.shell(`printf '<%s>' "$@"; printf '\n'`)
	spec.Args = append([]string{"sh"}, odd...)
	done := h.run(spec)
	h.want(done, job.Succeeded, 0)
	if got, want := h.text(done.ID), "<"+strings.Join(odd, "><")+">\n"; got != want {
		t.Errorf("the job got %q, want %q", got, want)
	}
}

func environment(t *testing.T, h harness) {
	spec := h.shell(`printf '%s|' "$FOO" "$JOB_ID" "$OUTPUT_DIR" "$PYTHONUNBUFFERED"; printf '\n'`)
	spec.Env = map[string]string{"FOO": "a 'b'\n$c", "JOB_ID": "mine", "OUTPUT_DIR": "/mine"}
	done := h.run(spec)
	h.want(done, job.Succeeded, 0)
	want := "a 'b'\n$c|" + done.ID + "|" + done.OutputDir + "|1|\n"
	if got := h.text(done.ID); got != want {
		t.Errorf("the job saw %q, want %q", got, want)
	}
}

func noSecrets(t *testing.T, open func(t *testing.T) job.Backend) {
	for _, name := range []string{"HF_TOKEN", "ANTHROPIC_API_KEY", "UV_PUBLISH_TOKEN", "MY_SECRET", "PIP_PASSWORD"} {
		t.Setenv(name, "hunter2-"+name)
	}
	h := newHarness(t, open)
	done := h.run(h.shell("env; tr '\\0' '\\n' </proc/$PPID/environ || true")) // its parent's too
	h.want(done, job.Succeeded, 0)
	for line := range strings.Lines(h.text(done.ID)) {
		if strings.Contains(line, "hunter2") {
			t.Errorf("the job saw %s", line)
		}
	}
	spec := h.shell("true")
	spec.Env = map[string]string{"WANDB_API_KEY": "hunter2"}
	if status, err := h.Submit(h.ctx, spec); err == nil {
		t.Errorf("a secret was accepted as part of a spec: %+v", status)
	} else if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the refusal tells the secret: %v", err)
	}
}

func output(t *testing.T, h harness) {
	done := h.run(h.shell(`echo 0.93 >"$OUTPUT_DIR/score"`))
	h.want(done, job.Succeeded, 0)
	if rel, err := filepath.Rel(h.dir, done.OutputDir); err != nil || !filepath.IsLocal(rel) {
		t.Errorf("the output folder %s is outside the workspace %s", done.OutputDir, h.dir)
	}
	data, err := os.ReadFile(filepath.Join(done.OutputDir, "score"))
	if err != nil || string(data) != "0.93\n" {
		t.Errorf("the result is %q, %v", data, err)
	}
}

func logCursor(t *testing.T, h harness) {
	s := h.submit(h.shell("echo one; echo two; until [ -e go ]; do sleep 0.02; done; echo three"))
	h.untilLogged(s.ID, "two")
	first := h.logs(s.ID, 0)
	if len(first) != 2 {
		t.Fatalf("%d lines, want 2: %v", len(first), first)
	}
	cursor := first[1].Next
	if more := h.logs(s.ID, cursor); len(more) != 0 {
		t.Errorf("at the end there is still %v", more)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.want(h.wait(s.ID), job.Succeeded, 0)
	more := h.logs(s.ID, cursor)
	if len(more) != 1 || more[0].Text != "three" {
		t.Errorf("from the cursor on there is %v, want three", more)
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
	if got, want := h.text(done.ID), "a\uFFFDb\n\n20%\nno end\n"; got != want {
		t.Errorf("the log is %q, want %q", got, want)
	}
}

func timeLimit(t *testing.T, h harness) {
	spec := h.shell("echo begun; sleep 300")
	spec.TimeLimit = time.Second
	done := h.run(spec)
	if done.State != job.TimedOut || done.ExitCode == 0 || !strings.Contains(done.Reason, "1s") {
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
		if _, err := os.Stat(filepath.Join(after.OutputDir, "ran")); err == nil && after.Started.IsZero() {
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
	spec := h.shell("echo run >>runs.txt")
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
	if again := h.submit(spec); again.ID != ids[0] || again.State != job.Succeeded {
		t.Errorf("later the label gives %+v", again)
	}
	data, err := os.ReadFile(filepath.Join(h.dir, "runs.txt"))
	if err != nil || string(data) != "run\n" {
		t.Errorf("the job's trace is %q, %v", data, err)
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
		"negative CPUs":    {Dir: h.dir, Command: []string{"true"}, CPUs: -1},
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
