// Package hubjobs puts a backend of jobs behind the Jobs API of a Hub server:
// what the API starts are jobs of the backend, and it shows them all.
//
// Its one rule: what the API was told of a job is kept in the job's label, so
// that it is written in the same step as the job itself. It owns the working
// folders of the jobs that it starts, and nothing else.
package hubjobs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/job"
	"ml-intern/internal/sandbox"
)

// Jobs are the jobs of a backend.
type Jobs struct {
	Backend job.Backend

	// With is the same backend with secrets of its own for what it submits. If
	// it is nil, jobs with secrets are refused.
	With func(secret func(name string) (value string, ok bool)) job.Backend

	Dir string // absolute; a folder in it for each job that is started

	// Gauge looks at the machine for a job that runs; nil if nobody can.
	Gauge func(ctx context.Context, status job.Status) (job.Gauge, error)
}

var _ hubserver.Jobs = Jobs{}

// List implements hubserver.Jobs.
func (h Jobs) List(ctx context.Context) ([]hubserver.Job, error) {
	all, err := h.Backend.List(ctx)
	errs := []error{err}
	out := make([]hubserver.Job, 0, len(all))
	for _, status := range all {
		j, err := h.job(ctx, status)
		errs = append(errs, err)
		out = append(out, j)
	}
	return out, errors.Join(errs...)
}

// Get implements hubserver.Jobs.
func (h Jobs) Get(ctx context.Context, id string) (hubserver.Job, error) {
	status, err := h.Backend.Status(ctx, id)
	if err != nil {
		return hubserver.Job{}, noJob(err)
	}
	return h.job(ctx, status)
}

// Cancel implements hubserver.Jobs.
func (h Jobs) Cancel(ctx context.Context, id string) error {
	return noJob(h.Backend.Cancel(ctx, id))
}

func noJob(err error) error {
	if errors.Is(err, job.ErrNotFound) {
		return hubserver.ErrNoJob
	}
	return err
}

// A told is what the API was told of a job, in its label.
type told struct {
	hubserver.JobFacts
	Key string `json:"key"`
}

const labelPrefix = "hubjob:"

func (t told) label() (string, error) {
	data, err := json.Marshal(t)
	return labelPrefix + string(data), err
}

// factsOf reads a label. A job that has none of ours was started otherwise.
func factsOf(label string) (facts hubserver.JobFacts) {
	text, ours := strings.CutPrefix(label, labelPrefix)
	var t told
	if !ours || json.Unmarshal([]byte(text), &t) != nil {
		return facts
	}
	return t.JobFacts
}

// job is a job as the Hub's API knows it. With an error it still tells how the
// job is.
func (h Jobs) job(ctx context.Context, s job.Status) (hubserver.Job, error) {
	j := hubserver.Job{
		JobFacts: factsOf(s.Label), ID: s.ID, Name: s.Name, Stage: stage(s.State), Message: s.Reason,
		Created: s.Submitted, Started: s.Started, Finished: s.Finished,
	}
	spec, err := h.Backend.Spec(ctx, s.ID)
	if err != nil {
		return j, err
	}
	j.Command, j.Args, j.Env, j.Timeout, j.Secrets = spec.Command, spec.Args, spec.Env, spec.TimeLimit, spec.Secrets
	if spec.Script != "" {
		j.Command = []string{"python", spec.Script}
	}
	return j, nil
}

// stage is the stage that stands for a state. Finer ways to fail are told by
// the message.
func stage(s job.State) hub.JobStage {
	switch s {
	case job.Queued:
		return hub.JobScheduling
	case job.Running:
		return hub.JobRunning
	case job.Succeeded:
		return hub.JobCompleted
	case job.Canceled:
		return hub.JobCanceled
	case job.Failed, job.TimedOut, job.OutOfMemory, job.Preempted, job.Lost:
	}
	return hub.JobFailed
}

// Start implements hubserver.Jobs.
func (h Jobs) Start(ctx context.Context, r hubserver.JobRequest) (hubserver.Job, error) {
	backend := h.Backend
	if len(r.Secrets) > 0 {
		if h.With == nil {
			return hubserver.Job{}, fmt.Errorf("%w: this server gives no secrets to jobs", hubserver.ErrBadJob)
		}
		backend = h.With(func(name string) (string, bool) { v, ok := r.Secrets[name]; return v, ok })
	}
	t := told{JobFacts: r.JobFacts, Key: r.Key}
	if t.Key == "" {
		t.Key = rand.Text()
	}
	label, err := t.label()
	if err != nil {
		return hubserver.Job{}, fmt.Errorf("start job: %w", err)
	}
	spec := job.Spec{
		Label: label, Name: r.Labels["name"], Command: slices.Clone(r.Command), Args: r.Args, Env: maps.Clone(r.Env),
		Secrets: slices.Sorted(maps.Keys(r.Secrets)), TimeLimit: r.Timeout, Retries: max(r.Attempts-1, 0),
	}
	if err := h.prepare(&spec); err != nil {
		return hubserver.Job{}, err
	}
	status, err := backend.Submit(ctx, spec)
	if err != nil {
		return hubserver.Job{}, err
	}
	return h.job(ctx, status)
}

// prepare makes the job's working folder, and says what is wrong with the job
// before it is submitted: what goes wrong then may have been accepted.
func (h Jobs) prepare(spec *job.Spec) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{hubserver.ErrBadJob}, args...)...)
	}
	if h.Dir == "" {
		return bad("this server has no place for jobs")
	}
	program := spec.Command[0]
	_, err := exec.LookPath(program)
	if err != nil && program == "python" { // every python image has it
		spec.Command[0] = "python3"
		_, err = exec.LookPath("python3")
	}
	if err != nil {
		return bad("this machine has no program %q", program)
	}
	for name := range spec.Env {
		if sandbox.SecretName(name) {
			return bad("%s looks like a secret, and the environment is kept: send it as a secret", name)
		}
	}
	h.sweep()
	if err := os.MkdirAll(h.Dir, 0o700); err != nil {
		return fmt.Errorf("make folder for jobs: %w", err)
	}
	if spec.Dir, err = os.MkdirTemp(h.Dir, workPrefix); err != nil {
		return fmt.Errorf("make folder for job: %w", err)
	}
	if err := spec.Check(); err != nil {
		return errors.Join(bad("%w", err), os.Remove(spec.Dir))
	}
	return nil
}

const (
	workPrefix = "work-"

	// kept is how long a working folder is there, at least: longer than any job
	// runs. On the Hub it is gone when the job ends.
	kept = 31 * 24 * time.Hour
)

// sweep removes the working folders of long ago. It is no loss if it cannot.
func (h Jobs) sweep() {
	entries, _ := os.ReadDir(h.Dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), workPrefix) && time.Since(info.ModTime()) > kept {
			_ = os.RemoveAll(filepath.Join(h.Dir, e.Name()))
		}
	}
}

// Machine implements hubserver.Jobs: the largest offer of the backend.
func (h Jobs) Machine(ctx context.Context) (hubserver.Machine, error) {
	offers, err := h.Backend.Offers(ctx)
	var m hubserver.Machine
	for _, o := range offers {
		if o.GPUs > m.GPUs || m.CPUs == 0 {
			m = hubserver.Machine{CPUs: o.CPUs, MemoryMB: o.MemoryMB, GPUs: o.GPUs, GPU: o.GPU, GPUMemoryMB: o.GPUMemoryMB}
		}
	}
	return m, err
}

// Usage implements hubserver.Jobs.
func (h Jobs) Usage(ctx context.Context, id string) (hubserver.Usage, bool) {
	status, err := h.Backend.Status(ctx, id)
	if err != nil || status.State != job.Running || status.PID <= 0 {
		return hubserver.Usage{}, false
	}
	u, ok := usage(status.PID)
	if h.Gauge == nil || !ok {
		return u, ok
	}
	g, err := h.Gauge(ctx, status)
	if err != nil {
		return u, ok // then nobody knows of a GPU
	}
	for _, gpu := range g.GPUs {
		u.GPUs = append(u.GPUs, hub.GPUUsage{Percent: gpu.Busy * 100, MemoryBytes: gpu.MemoryMB << 20, MemoryTotal: gpu.MemoryTotalMB << 20})
	}
	return u, ok
}

// Logs implements hubserver.Jobs. Only the last line that is there can be
// without its end.
func (h Jobs) Logs(ctx context.Context, id string, from int64) iter.Seq2[hubserver.JobLine, error] {
	return func(yield func(hubserver.JobLine, error) bool) {
		var last *job.Line
		for line, err := range h.Backend.Logs(ctx, id, from) {
			if err != nil {
				yield(hubserver.JobLine{}, noJob(err))
				return
			}
			if last != nil && !yield(hubserver.JobLine{Text: last.Text, Next: last.Next}, nil) {
				return
			}
			last = &line
		}
		if last != nil {
			yield(hubserver.JobLine{Text: last.Text, Next: last.Next, Partial: !h.ended(ctx, id, last.Next)}, nil)
		}
	}
}

// ended reports whether the byte before a cursor is a line's end: a log that
// is read from there begins with an empty line.
func (h Jobs) ended(ctx context.Context, id string, next int64) bool {
	for line, err := range h.Backend.Logs(ctx, id, next-1) {
		return err == nil && line.Text == "" && line.Next == next
	}
	return false
}
