// Package job is the vocabulary of batch work: what to run, what became of it,
// and who runs it.
//
// Its one rule: a label is run at most once. A backend owns the jobs it has
// accepted, keeps them while no agent is there, and answers for them by id or
// label to whoever asks later. Nothing here asks for leave: approval does,
// before a tool calls Submit.
package job

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
	"time"
)

// ErrNotFound means that the backend has no such job.
var ErrNotFound = errors.New("no such job")

// A Spec is one job to run: a Script or a Command, in a folder.
type Spec struct {
	// Label makes Submit repeatable: if it names a job already, that job is
	// returned and nothing starts. An empty label always starts a job.
	Label   string `json:"label,omitempty"`
	Name    string `json:"name,omitempty"`    // for people
	Backend string `json:"backend,omitempty"` // of a Set: who shall run it; the Set's first if empty

	Script  string   `json:"script,omitempty"`  // Python file inside Dir; the job runs it as it was at Submit
	Command []string `json:"command,omitempty"` // instead of Script
	Args    []string `json:"args,omitempty"`    // after Script or Command

	Python       string   `json:"python,omitempty"`       // version, such as 3.12
	Dependencies []string `json:"dependencies,omitempty"` // requirements besides those of the script's PEP 723 header
	Image        string   `json:"image,omitempty"`        // container image, where jobs run in one

	Dir     string            `json:"dir"`               // absolute workspace folder, where the job runs
	Env     map[string]string `json:"env,omitempty"`     // on top of a clean environment; no secrets, it is kept
	Secrets []string          `json:"secrets,omitempty"` // names of variables whose values the job gets and nobody keeps

	Hardware
	TimeLimit time.Duration `json:"time_limit,omitempty"` // of running, not of queueing; 0 means the backend's default

	Inputs  []string `json:"inputs,omitempty"`  // what it reads: hf://TYPE/ID@REVISION, or paths in Dir
	Outputs []string `json:"outputs,omitempty"` // where its results must be afterwards: hf://TYPE/ID, or paths in OUTPUT_DIR

	// Retries is how often the job is run again after the machine was taken
	// from it; JOB_ATTEMPT counts from 0. Where OUTPUT_DIR does not outlive an
	// attempt, Checkpoint says from where to go on; the job finds it in
	// CHECKPOINT.
	Retries    int    `json:"retries,omitempty"`
	Checkpoint string `json:"checkpoint,omitempty"` // hf://TYPE/ID, or a path in OUTPUT_DIR
}

// Hardware is what a job needs: so much, or a backend's own name for it.
type Hardware struct {
	Flavor   string `json:"flavor,omitempty"`    // as an Offer names it; then the rest counts as nothing
	CPUs     int    `json:"cpus,omitempty"`      // 0 means 1
	MemoryMB int64  `json:"memory_mb,omitempty"` // 0 means no limit; 1 MB is 1<<20 bytes

	GPUs        int    `json:"gpus,omitempty"`
	GPU         string `json:"gpu,omitempty"`           // part of the type's name, such as A100
	GPUMemoryMB int64  `json:"gpu_memory_mb,omitempty"` // of each at least

	Pin Pin `json:"pin,omitzero"` // what it was quoted on, if it was
}

// A Pin is the offer that a need was quoted on. The job takes what it needs of
// that one, at that price or less, or is not accepted: prices may have changed
// since.
type Pin struct {
	Flavor     string  `json:"flavor"`
	USDPerHour float64 `json:"usd_per_hour"`
}

// LongestLimit is the longest time limit that a job may have: none runs for
// longer, and what is longer was meant otherwise.
const LongestLimit = 365 * 24 * time.Hour

// Check says what is wrong with the spec on any backend, nil if nothing is.
func (s Spec) Check() error {
	switch {
	case s.Script == "" && len(s.Command) == 0:
		return errors.New("a job needs a script or a command")
	case s.Script != "" && len(s.Command) > 0:
		return errors.New("a job has a script or a command, not both")
	case !filepath.IsAbs(s.Dir):
		return fmt.Errorf("the job's folder %q is not an absolute path", s.Dir)
	case s.CPUs < 0 || s.MemoryMB < 0 || s.TimeLimit < 0 || s.GPUs < 0 || s.GPUMemoryMB < 0 || s.Retries < 0:
		return errors.New("a job's CPUs, memory, GPUs, retries and time limit cannot be negative")
	case s.TimeLimit > LongestLimit:
		return fmt.Errorf("a job's time limit is at most %d days", LongestLimit/(24*time.Hour))
	case len(s.Command) > 0 && s.Command[0] == "":
		return errors.New("the job's command names no program")
	}
	if err := CheckPython(s.Python); err != nil {
		return err
	}
	for _, text := range append(append([]string{s.Script, s.Dir}, s.Command...), s.Args...) {
		if strings.ContainsRune(text, 0) {
			return fmt.Errorf("%q holds a NUL byte, which no argument can", text)
		}
	}
	for _, output := range s.Outputs {
		if !strings.Contains(output, "://") && !filepath.IsLocal(filepath.FromSlash(output)) {
			return fmt.Errorf("the output %q is neither a path in OUTPUT_DIR nor hf://TYPE/ID", output)
		}
	}
	for name, value := range s.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return fmt.Errorf("%q is no environment variable", name)
		}
	}
	for _, name := range s.Secrets {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return fmt.Errorf("%q is no environment variable", name)
		}
	}
	return nil
}

// A State is where a job is in its life.
type State string

// The states. All but the first two are final.
const (
	Queued      State = "queued"
	Running     State = "running"
	Succeeded   State = "succeeded"
	Failed      State = "failed"
	Canceled    State = "canceled"
	TimedOut    State = "timed_out"
	OutOfMemory State = "out_of_memory"
	Preempted   State = "preempted" // the machine was taken from it, and no retry is left
	Lost        State = "lost"      // it started, and nobody knows how it ended; never run again
)

// Status is what is known of a job.
type Status struct {
	ID    string `json:"id"`
	Label string `json:"label,omitempty"`
	Name  string `json:"name,omitempty"`
	State State  `json:"state"`

	ExitCode int    `json:"exit_code"`        // 128+signal if a signal ended it; -1 while there is none
	Reason   string `json:"reason,omitempty"` // why it did not succeed, in one sentence

	Submitted time.Time `json:"submitted,omitzero"`
	Started   time.Time `json:"started,omitzero"`
	Finished  time.Time `json:"finished,omitzero"`
	Removed   time.Time `json:"removed,omitzero"` // what it left where it ran was removed then, its log too

	EarlierSeconds float64 `json:"earlier_seconds,omitempty"` // that attempts before the one of Started ran
	Retries        int     `json:"retries,omitempty"`         // that follow the first attempt at most

	OutputDir    string `json:"output_dir,omitempty"`    // absolute folder of its results, OUTPUT_DIR in the job
	ScriptSHA256 string `json:"script_sha256,omitempty"` // of the script that ran, in hex
	Hardware     string `json:"hardware,omitempty"`      // what it runs on, in words
	PID          int    `json:"pid,omitempty"`           // on this machine, of a job that has started

	Backend    string        `json:"backend,omitempty"`      // of a Set: who runs it
	Ref        string        `json:"ref,omitempty"`          // what the backend calls it, such as a Slurm job number
	URL        string        `json:"url,omitempty"`          // page for people
	TimeLimit  time.Duration `json:"time_limit,omitempty"`   // that holds for each attempt
	USDPerHour float64       `json:"usd_per_hour,omitempty"` // while it runs
}

// Cost is what the running of all attempts so far has cost, in dollars: at worst
// for a job of which nobody knows how long it ran.
func (s Status) Cost() float64 {
	if s.Done() && s.Finished.IsZero() && (!s.Started.IsZero() || s.State == Lost) {
		return s.Worst()
	}
	return s.USDPerHour * (s.EarlierSeconds + s.Seconds()) / 3600
}

// Worst is what the job costs if every attempt runs to its limit, in dollars; it
// may pass the limit by a little while it ends.
func (s Status) Worst() float64 {
	return s.USDPerHour * s.TimeLimit.Hours() * float64(1+s.Retries)
}

// Done reports whether the job has reached a final state.
func (s Status) Done() bool { return s.State != Queued && s.State != Running }

// Seconds is how long the latest attempt ran, or has been running: 0 before it starts.
func (s Status) Seconds() float64 {
	switch {
	case s.Started.IsZero():
		return 0
	case !s.Finished.IsZero():
		return s.Finished.Sub(s.Started).Seconds()
	case s.Done():
		return 0 // lost: nobody knows
	}
	return max(0, time.Since(s.Started).Seconds()) // the clock may have been set back
}

// A Line is a line of a job's output.
type Line struct {
	Text string // valid UTF-8, without its end; of a redrawn progress bar the last drawing
	Next int64  // the cursor behind it
}

// A Backend runs jobs. An id that it does not know is ErrNotFound.
type Backend interface {
	// Submit accepts a job and returns once it is safe from a crash of the
	// caller. After an error, submit again with the same label.
	Submit(ctx context.Context, spec Spec) (Status, error)

	Status(ctx context.Context, id string) (Status, error)

	// Logs yields the output from a byte cursor to its present end, without
	// waiting for more. Cursors are 0, any Line.Next, or negative: so many
	// bytes before the end. A line that has no end yet is yielded as it is.
	Logs(ctx context.Context, id string, from int64) iter.Seq2[Line, error]

	// Cancel ends the job with all its processes, and returns when it is over.
	// Canceling a job that is done does nothing.
	Cancel(ctx context.Context, id string) error

	Find(ctx context.Context, label string) (Status, error)

	// List returns all jobs, newest first. With an error it still returns
	// those that could be read.
	List(ctx context.Context) ([]Status, error)

	// Spec is what was asked for when the job was submitted.
	Spec(ctx context.Context, id string) (Spec, error)

	// Collect brings the job's results to Status.OutputDir on this machine, if
	// they are elsewhere. It may be called again, and while the job runs.
	Collect(ctx context.Context, id string) error

	// Offers lists the hardware that can be had, the cheapest first.
	Offers(ctx context.Context) ([]Offer, error)
}

// NewID returns an id that says when: 261123-014805-k7qzm.
func NewID(now time.Time) string {
	return now.UTC().Format("060102-150405-") + strings.ToLower(rand.Text()[:5])
}

// ValidID reports whether id could be of NewID: it becomes part of a path.
func ValidID(id string) bool {
	other := func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }
	return id != "" && len(id) <= 32 && !strings.ContainsFunc(id, other)
}
