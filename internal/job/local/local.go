// Package local runs jobs on this machine.
//
// Its one rule: a job starts at most once, whatever is killed and whenever. Each
// job has a folder and a shim: a small process, this program itself, that
// outlives the agent, runs the job, keeps its output and records its end. All
// state is in the folder, and every file says one thing that never changes
// back:
//
//	spec.json     the job was accepted: the folder was renamed into place whole
//	lock          held by the shim while it lives
//	cancel        somebody wants the job to end
//	started.json  written by the shim before the job's program is let go
//	done.json     how it ended
//	removed.json  the rest of the folder was removed, because somebody asked for that
//
// A job gets its shim when its turn comes (queue.go), from the shim that ends
// before it or from whoever looks. A job that was chosen or has started, is not
// done and whose lock is free has lost its shim: whoever looks starts another,
// which runs the job if it has not started, and otherwise buries it as lost.
// The agent owns spec.json and cancel, the shim the rest.
//
// Secrets are written nowhere: a shim gets them through a pipe from the process
// that starts it. So a job that has some gets its shim at once, and waits in it.
package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"ml-intern/internal/confine"
	"ml-intern/internal/job"
)

const (
	defaultTimeLimit = time.Hour

	// cancelWait is how long Cancel waits for a job that should end in one
	// second: processes in the middle of disk or device work take longer.
	cancelWait = 10 * time.Second
)

// A Backend runs jobs on this machine. Any number of them, in any number of
// processes, may share a Dir.
type Backend struct {
	Dir    string   // state of all jobs; only its owner can read it
	Shim   []string // arguments that run this program as a shim, less the folder
	Slots  int      // CPUs that jobs may use at once; all of this machine if 0
	UV     string   // path of uv; looked up if empty
	Python string   // path of python; looked up if empty
	Env    []string // what sandbox.Environ chooses from; os.Environ() if nil

	NvidiaSMI string // path of nvidia-smi; looked up if empty

	// Secret finds the value of a secret that a job asks for; Env does if nil.
	// TokenHub is the Hub that its HF_TOKEN is for, "" if that is not known: who has
	// one for another Hub gives a job that was submitted before none. May be nil.
	Secret   func(name string) (value string, ok bool)
	TokenHub func() string

	// Rules are those by which the jobs of a folder are confined, nil for not at
	// all, and Cell the arguments that run this program as one that confines
	// itself. With Rules nil no job is confined. GPUs that they give are for those
	// jobs that ask for one.
	Rules func(dir string) (*confine.Rules, error)
	Cell  []string

	// Way says what a confined job may reach whose Rules leave it no network of
	// the machine; nil, or a nil answer, for nothing. HubToken is a token and the
	// Hub that it is for: a job whose Way leads there reads with it, and its shim
	// keeps it from the job; may be nil.
	Way      func(spec job.Spec) *Way
	HubToken func() (hub, token string)

	self string // the job that this process is the shim of
}

var _ job.Backend = Backend{}

// folder is where a job is kept.
func (b Backend) folder(id string) folder { return folder(filepath.Join(b.Dir, jobsDir, id)) }

func (b Backend) slots() int { return cmp.Or(b.Slots, runtime.GOMAXPROCS(0)) }

func (b Backend) env() []string {
	if b.Env != nil {
		return b.Env
	}
	return os.Environ()
}

// Status implements job.Backend. A job that has lost its shim gets another.
func (b Backend) Status(ctx context.Context, id string) (job.Status, error) {
	f, err := b.find(id)
	if err != nil {
		return job.Status{}, err
	}
	return b.settle(ctx, f)
}

// Spec implements job.Backend.
func (b Backend) Spec(_ context.Context, id string) (job.Spec, error) {
	f, err := b.find(id)
	if err != nil {
		return job.Spec{}, err
	}
	var rec record
	if _, err := f.read(specFile, &rec); err != nil {
		return job.Spec{}, err
	}
	return rec.Spec, nil
}

// Collect implements job.Backend: results are here from the start.
func (b Backend) Collect(_ context.Context, id string) error {
	f, err := b.find(id)
	if err != nil {
		return err
	}
	status, err := f.status()
	return errors.Join(err, status.Gone())
}

// find returns the folder of a job.
func (b Backend) find(id string) (folder, error) {
	if !supported {
		return "", errUnsupported
	}
	f := b.folder(id)
	if !job.ValidID(id) || !f.has(specFile) {
		return "", fmt.Errorf("find job %q: %w", id, job.ErrNotFound)
	}
	return f, nil
}

// holder is the process that holds the job's lock, 0 if there is none and -1
// if it is one that cannot be seen from here. A shim does not look at its own:
// to close a file is to lose all locks that one's process has on it.
func (b Backend) holder(f folder) (int, error) {
	if b.self != "" && f == b.folder(b.self) {
		return os.Getpid(), nil
	}
	pid, err := lockHolder(f.path(lockFile))
	if err != nil {
		return 0, fmt.Errorf("look at job lock: %w", err)
	}
	return pid, nil
}

// settle returns the job's status, and starts a shim if there should be one.
func (b Backend) settle(ctx context.Context, f folder) (job.Status, error) {
	status, err := f.status()
	if err != nil || status.Done() {
		return status, err
	}
	if pid, err := b.holder(f); err != nil || pid != 0 {
		return status, err
	}
	// It may have ended between the two looks.
	if status, err = f.status(); err != nil || status.Done() {
		return status, err
	}
	if status.State == job.Queued {
		err = b.settleQueued(ctx, f)
	} else {
		err = b.startShim(ctx, f)
	}
	if err != nil {
		return status, fmt.Errorf("start job %s: %w", status.ID, err)
	}
	return f.status()
}

// settleQueued moves the queue. A job that is to be canceled or has secrets gets
// its shim before its turn, unless somebody is giving it one.
func (b Backend) settleQueued(ctx context.Context, f folder) error {
	var rec record
	if _, err := f.read(specFile, &rec); err != nil {
		return err
	}
	if err := b.putBack(rec); err != nil {
		return err
	}
	switch {
	case f.has(cancelFile):
		return b.startShim(ctx, f)
	case len(rec.Spec.Secrets) > 0:
		hold, ok := holdFile(f.path(handingFile), os.O_CREATE)
		if !ok {
			return nil
		}
		defer hold.Close()
		return b.startShim(ctx, f)
	}
	return b.look(ctx)
}

// putBack gives a job that has neither a place in the queue nor a grant its
// place again, as after a power cut.
func (b Backend) putBack(rec record) error {
	if _, err := os.Lstat(b.queued(rec)); !errors.Is(err, fs.ErrNotExist) || b.hasGrant(rec.ID) {
		return nil
	}
	return b.enqueue(rec)
}

// Find implements job.Backend.
func (b Backend) Find(ctx context.Context, label string) (job.Status, error) {
	if !supported { // then it has no job
		return job.Status{}, fmt.Errorf("find job labeled %q: %w: %w", label, job.ErrNotFound, errUnsupported)
	}
	id, err := b.claimed(label)
	if err != nil {
		return job.Status{}, err
	}
	return b.Status(ctx, id)
}

// List implements job.Backend.
func (b Backend) List(ctx context.Context) ([]job.Status, error) {
	entries, err := os.ReadDir(filepath.Join(b.Dir, jobsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	var all []job.Status
	var errs []error
	for _, e := range entries {
		status, err := b.Status(ctx, e.Name())
		if err != nil {
			errs = append(errs, err)
		}
		if status.ID != "" {
			all = append(all, status)
		}
	}
	slices.SortFunc(all, func(x, y job.Status) int {
		return cmp.Or(y.Submitted.Compare(x.Submitted), cmp.Compare(y.ID, x.ID))
	})
	return all, errors.Join(errs...)
}

// Logs implements job.Backend.
func (b Backend) Logs(ctx context.Context, id string, from int64) iter.Seq2[job.Line, error] {
	return func(yield func(job.Line, error) bool) {
		f, err := b.find(id)
		if err != nil {
			yield(job.Line{}, err)
			return
		}
		if status, err := f.status(); err == nil && status.Gone() != nil {
			yield(job.Line{}, status.Gone())
			return
		}
		for line, err := range f.log().lines(from) {
			if err == nil && ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// Cancel implements job.Backend. It works on jobs of any agent: the wish is
// kept in the job's folder, the signal only hurries its shim.
func (b Backend) Cancel(ctx context.Context, id string) error {
	f, err := b.find(id)
	if err != nil {
		return err
	}
	if f.has(doneFile) {
		return nil
	}
	if err := f.mark(cancelFile); err != nil {
		// As on a disk that the job has filled: to a living shim the signal says enough.
		if pid, _ := b.holder(f); pid <= 0 {
			return fmt.Errorf("cancel job %s: %w", id, err)
		}
	}
	ctx, stop := context.WithTimeout(ctx, cancelWait)
	defer stop()
	signaled := 0
	for poll := 5 * time.Millisecond; ; poll = min(poll*2, 50*time.Millisecond) {
		status, err := b.settle(ctx, f)
		if err != nil || status.Done() {
			return err
		}
		if pid, err := b.holder(f); err == nil && pid > 0 && pid != signaled {
			_ = interrupt(pid) // it polls for the wish as well
			signaled = pid
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cancel job %s: it is still %s: %w", id, status.State, context.Cause(ctx))
		case <-time.After(poll):
		}
	}
}

// nudge tells a shim that waits that its turn has come. It looks by itself
// too, so this may fail.
func (b Backend) nudge(f folder) {
	if pid, err := b.holder(f); err == nil && pid > 0 {
		_ = wake(pid)
	}
}

// interrupt asks a shim to end its job.
func interrupt(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	defer p.Release()
	return p.Signal(syscall.SIGTERM)
}
