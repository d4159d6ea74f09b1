// Package jobtest is the conformance suite of job.Backend.
//
// Its one rule: it knows the interface and nothing else, so that what every
// backend promises is written down once, and what one cannot do is a named
// trait. The jobs it runs need sh.
package jobtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/job"
)

// patience is how long anything may take: it is there to end a test that
// hangs, not to measure.
const patience = 3 * time.Minute

// Traits are what a backend cannot help.
type Traits struct {
	Elsewhere bool // jobs do not see the workspace; results come by Collect
	NoResults bool // what is in OUTPUT_DIR cannot be had; then nothing is told of it
	NoSecrets bool // a job's secrets could be read by others, so they are refused
	Bounded   bool // the shortest time limit is a minute
	Merged    bool // the log may lack empty lines, odd bytes and what a progress bar drew
}

// Run checks the backends that open returns: each call one that is new, with
// room for a job of one CPU, its state in t.TempDir() and its secrets those of
// the process's environment.
func Run(t *testing.T, open func(t *testing.T) job.Backend, traits Traits) {
	t.Run("NoSecrets", func(t *testing.T) { noSecrets(t, newHarness(t, open, traits)) }) // alone: it sets the environment
	t.Run("Secrets", func(t *testing.T) { secrets(t, newHarness(t, open, traits)) })     // likewise
	for name, check := range map[string]func(t *testing.T, h harness){
		"Succeeds": succeeds, "Fails": fails, "Arguments": arguments, "Environment": environment,
		"Output": output, "LogCursor": logCursor, "LogOddBytes": logOddBytes, "TimeLimit": timeLimit,
		"CancelRunning": cancelRunning, "CancelDone": cancelDone, "CancelQueued": cancelQueued, "NotFound": notFound,
		"OneLabelOneJob": oneLabelOneJob, "NoLabelManyJobs": noLabelManyJobs, "Labels": labels, "Lists": lists, "Refuses": refuses,
		"Script": script, "Spec": specs, "Offers": offers, "Pinned": pinned, "Sweep": sweep, "SweepBroken": sweepBroken, "Removes": removes, "Gauges": gauges, "Peeks": peeks,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, newHarness(t, open, traits))
		})
	}
}

// A harness is a backend with a workspace.
type harness struct {
	*testing.T
	job.Backend
	Traits
	ctx context.Context
	dir string
}

func newHarness(t *testing.T, open func(t *testing.T) job.Backend, traits Traits) harness {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return harness{T: t, Backend: open(t), Traits: traits, ctx: ctx, dir: t.TempDir()}
}

// result is a file that the job has left in OUTPUT_DIR.
func (h harness) result(s job.Status, name string) string {
	h.Helper()
	if err := h.Collect(h.ctx, s.ID); err != nil {
		h.Fatalf("collect: %v", err)
	}
	data, err := os.ReadFile(filepath.Join(s.OutputDir, name))
	if err != nil {
		h.Errorf("read result: %v", err)
	}
	return string(data)
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

// gate is a line for a script at which a job waits until the gate is open, or
// for half a minute, should the job not see this machine.
func (h harness) gate() (line string, open func()) {
	h.Helper()
	file := filepath.Join(h.TempDir(), "gate")
	return `n=0; until [ -e "` + file + `" ] || [ $n -gt 300 ]; do n=$((n+1)); sleep 0.1; done`, func() {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			h.Fatal(err)
		}
	}
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
	text, ok := strings.CutPrefix(h.text(done.ID), "out\nerr\n")
	if !ok || !h.Elsewhere && text != h.dir+"\n" && text != real+"\n" {
		t.Errorf("log is %q, its end %q", h.text(done.ID), text)
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
	got := h.text(done.ID)
	want := "a 'b'\n$c|" + done.ID + "|" + done.OutputDir + "|1|\n"
	if h.Elsewhere { // its folder has another name there
		want = got
		for _, part := range []string{"a 'b'\n$c|" + done.ID + "|", "/", "|1|\n"} {
			if !strings.Contains(got, part) || strings.Contains(got, "|/mine|") {
				t.Errorf("the job saw %q, without %q", got, part)
			}
		}
	}
	if got != want {
		t.Errorf("the job saw %q, want %q", got, want)
	}
}

func noSecrets(t *testing.T, h harness) {
	for _, name := range []string{"HF_TOKEN", "ANTHROPIC_API_KEY", "UV_PUBLISH_TOKEN", "MY_SECRET", "PIP_PASSWORD"} {
		t.Setenv(name, "hunter2-"+name)
	}
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

// secrets checks that a secret is the job's and nobody else's.
func secrets(t *testing.T, h harness) {
	const value = "hunter2-0123456789abcdef"
	t.Setenv("JOBTEST_TOKEN", value)
	spec := h.shell(`echo "got ${#JOBTEST_TOKEN}"; echo "it is $JOBTEST_TOKEN"; ps axww; sleep 1`)
	spec.Secrets = []string{"JOBTEST_TOKEN"}
	submitted, err := h.Submit(h.ctx, spec)
	if h.NoSecrets {
		if err == nil || !strings.Contains(err.Error(), "JOBTEST_TOKEN") {
			t.Errorf("a secret that others could read was accepted: %+v, %v", submitted, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("submit: %v", err)
	}
	done := h.wait(submitted.ID)
	h.want(done, job.Succeeded, 0)
	text := h.text(done.ID)
	if !strings.Contains(text, "got 24\n") || strings.Contains(text, value) {
		t.Errorf("the log is %q", text)
	}
	err = filepath.WalkDir(filepath.Dir(h.dir), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), value) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	spec.Secrets = []string{"JOBTEST_NOT_SET"}
	if status, err := h.Submit(h.ctx, spec); err == nil || !strings.Contains(err.Error(), "JOBTEST_NOT_SET") || !strings.Contains(err.Error(), "job_secrets") {
		t.Errorf("without the secret: %+v, %v", status, err)
	}
}

func output(t *testing.T, h harness) {
	done := h.run(h.shell(`echo 0.93 >"$OUTPUT_DIR/score"; mkdir -p "$OUTPUT_DIR/a b"; echo deep >"$OUTPUT_DIR/a b/c"`))
	h.want(done, job.Succeeded, 0)
	if h.NoResults {
		if done.OutputDir != "" {
			t.Errorf("results cannot be had, and are said to be in %s", done.OutputDir)
		}
		return
	}
	if rel, err := filepath.Rel(h.dir, done.OutputDir); err != nil || !filepath.IsLocal(rel) {
		t.Errorf("the output folder %s is outside the workspace %s", done.OutputDir, h.dir)
	}
	for range 2 {
		if score, deep := h.result(done, "score"), h.result(done, "a b/c"); score != "0.93\n" || deep != "deep\n" {
			t.Errorf("the results are %q and %q", score, deep)
		}
	}
}

// script checks that the job runs the script as it was, with modules beside it.
func script(t *testing.T, h harness) {
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("helper.py", "word = 'helped'\n")
	write("train.py", "import sys, helper\nprint(helper.word, sys.argv[1:])\n")
	s := h.submit(job.Spec{Dir: h.dir, Script: "train.py", Args: []string{"--lr", "1e-3 x"}, Inputs: []string{"helper.py"}})
	write("train.py", "print('changed')\n")
	done := h.wait(s.ID)
	h.want(done, job.Succeeded, 0)
	if got := h.text(s.ID); !strings.Contains(got, "helped ['--lr', '1e-3 x']\n") || done.ScriptSHA256 == "" {
		t.Errorf("the script said %q, its hash is %q", got, done.ScriptSHA256)
	}
}

func specs(t *testing.T, h harness) {
	spec := h.shell("true")
	spec.Name, spec.Label, spec.Outputs = "named", "spec", []string{"model"}
	s := h.submit(spec)
	got, err := h.Spec(h.ctx, s.ID)
	if err != nil || got.Name != "named" || got.Label != "spec" || !slices.Equal(got.Outputs, spec.Outputs) || !slices.Equal(got.Command, spec.Command) {
		t.Errorf("the spec is kept as %+v, %v", got, err)
	}
	if _, err := h.Spec(h.ctx, "nope"); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("the spec of no job: %v", err)
	}
	if err := h.Collect(h.ctx, "nope"); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("the results of no job: %v", err)
	}
	h.wait(s.ID)
}

// offers checks that what a backend offers can be asked for.
func offers(t *testing.T, h harness) {
	all, err := h.Offers(h.ctx)
	if err != nil || len(all) == 0 {
		t.Fatalf("offers %v, %v", all, err)
	}
	for i, o := range all {
		if o.Flavor == "" || o.USDPerHour < 0 || i > 0 && job.ByPrice(all[i-1], o) > 0 {
			t.Errorf("offer %d is %+v", i, o)
		}
	}
	spec := h.shell("true")
	spec.Hardware = job.Hardware{Flavor: all[0].Flavor}
	h.want(h.run(spec), job.Succeeded, 0)
	spec.Hardware = job.Hardware{Flavor: "no such hardware"}
	if status, err := h.Submit(h.ctx, spec); err == nil {
		t.Errorf("hardware that is not offered was accepted: %+v", status)
	}
	spec.Hardware = job.Hardware{GPUs: 4096}
	if status, err := h.Submit(h.ctx, spec); err == nil {
		t.Errorf("4,096 GPUs were accepted: %+v", status)
	}
}
