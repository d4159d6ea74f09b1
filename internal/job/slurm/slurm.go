// Package slurm runs jobs on a Slurm cluster, from one of its machines or by ssh.
//
// Its one rule: a label is run at most once, however often it is sent. A job is
// remembered here before it is sent, under an id that Slurm is given as part of
// its name, so that one whose answer was lost is found. And should Slurm have
// it twice all the same, the first of the two to make the link "claim" in the
// job's folder runs, and the other ends without doing anything.
//
// The folder of a job is Dir/jobs/ID, and the job's node sees it. This side owns
//
//	batch.sh   what Slurm runs, and beside it the script as it was at Submit
//	cancel     somebody wants the job to end
//	claim      too, if it says "nobody": then the job never runs
//
// and the batch script, for its attempt N (a job that lost its node runs again),
//
//	claim      the number of the Slurm job that runs it
//	log        what the job said; slurm.log is what Slurm said
//	start.N    when, where
//	signal.N   when Slurm asked it to end
//	end.N      exit code, when, and why if it did not end by itself
//
// How a job ended is told by these files and by what Slurm says of it, while it
// says anything: it forgets a job after minutes if it keeps no accounts.
package slurm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/sandbox"
)

const defaultTimeLimit = time.Hour

// A Backend runs jobs on one cluster. Any number of them, in any number of
// processes and on any number of machines, may share a Dir.
type Backend struct {
	Dir string // state of all jobs, on a file system that the cluster shares; only its owner can read it

	Host string   // where Slurm's programs are run, as ssh names it; this machine if empty
	SSH  []string // ssh with its options; found on the PATH if empty
	Bin  string   // folder of Slurm's programs there; their PATH if empty

	Partitions []string // those that jobs may use; all if empty
	Account    string
	QOS        string
	Options    []string // of sbatch besides, such as --constraint=nvlink
	Setup      string   // shell lines that every job runs first, such as "module load cuda"
	UV         string   // uv on the nodes; found on their PATH if empty
	Python     string   // python there; python3 if empty

	TimeLimit   time.Duration      // of a job that names none; an hour if 0
	USDPerHour  map[string]float64 // what a job costs, by partition; the others are free
	GPUMemoryMB map[string]int64   // by type of GPU, since Slurm does not say

	Env    []string                                    // what sandbox.Environ chooses from; os.Environ() if nil
	Secret func(name string) (value string, ok bool) // a job's secrets; from Env if nil

	queue  cached[queue]
	nodes  cached[[]job.Offer]
	absent absences
}

var _ job.Backend = (*Backend)(nil)

func (b *Backend) records() job.Records { return job.Records{Dir: b.Dir} }

func (b *Backend) folder(id string) folder { return folder(filepath.Join(b.Dir, jobsDir, id)) }

func (b *Backend) env() []string {
	if b.Env != nil {
		return b.Env
	}
	return os.Environ()
}

// Status implements job.Backend. If Slurm cannot be asked, it returns what was
// known last with the error.
func (b *Backend) Status(ctx context.Context, id string) (job.Status, error) {
	rec, err := b.records().Get(id)
	if err != nil {
		return job.Status{}, err
	}
	return b.status(ctx, rec)
}

// status brings a record up to date.
func (b *Backend) status(ctx context.Context, rec job.Record) (job.Status, error) {
	if rec.Last.Done() {
		return rec.Last, nil
	}
	if rec.Ref == "" {
		return b.unsent(ctx, rec)
	}
	now, err := b.look(ctx, rec)
	if err != nil {
		return rec.Last, fmt.Errorf("ask for job %s: %w", rec.ID, err)
	}
	return b.keep(rec, now)
}

// keep saves a status if it is new.
func (b *Backend) keep(rec job.Record, now job.Status) (job.Status, error) {
	if now == rec.Last {
		return now, nil
	}
	rec.Last = now
	return now, b.records().Save(rec)
}

// Find implements job.Backend.
func (b *Backend) Find(ctx context.Context, label string) (job.Status, error) {
	rec, err := b.records().Find(label)
	if err != nil {
		return job.Status{}, err
	}
	return b.status(ctx, rec)
}

// List implements job.Backend.
func (b *Backend) List(ctx context.Context) ([]job.Status, error) {
	records, err := b.records().All()
	errs := []error{err}
	all := make([]job.Status, len(records))
	failed := ""
	for i, rec := range records {
		var err error
		all[i], err = b.status(ctx, rec)
		if err != nil && err.Error() != failed { // when Slurm is down, say so once
			failed = err.Error()
			errs = append(errs, err)
		}
	}
	return all, errors.Join(errs...)
}

// Spec implements job.Backend.
func (b *Backend) Spec(_ context.Context, id string) (job.Spec, error) {
	rec, err := b.records().Get(id)
	return rec.Spec, err
}

// Collect implements job.Backend: the workspace is on a file system that the
// cluster shares, so results are here from the start.
func (b *Backend) Collect(_ context.Context, id string) error {
	_, err := b.records().Get(id)
	return err
}

// Logs implements job.Backend.
func (b *Backend) Logs(ctx context.Context, id string, from int64) iter.Seq2[job.Line, error] {
	return func(yield func(job.Line, error) bool) {
		if _, err := b.records().Get(id); err != nil {
			yield(job.Line{}, err)
			return
		}
		file, err := os.Open(b.folder(id).path(logFile))
		if errors.Is(err, fs.ErrNotExist) {
			return // it has said nothing yet
		}
		if err != nil {
			yield(job.Line{}, fmt.Errorf("read log: %w", err))
			return
		}
		defer file.Close()
		if from, err = place(file, from); err != nil {
			yield(job.Line{}, fmt.Errorf("read log: %w", err))
			return
		}
		for line, err := range job.Lines(file, from) {
			if err == nil && ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// place goes to a cursor, which may count from the end, and returns where it is.
func place(file *os.File, from int64) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if from < 0 {
		from = max(0, info.Size()+from)
	}
	return file.Seek(min(from, info.Size()), io.SeekStart)
}

// secrets returns the values of a job's secrets. One that cannot be had is an
// error that names it.
func (b *Backend) secrets(spec job.Spec) (map[string]string, error) {
	values := map[string]string{}
	for _, name := range spec.Secrets {
		value, ok := b.secret(name)
		switch {
		case !ok || value == "":
			return nil, fmt.Errorf("the job needs the secret %s, which is not set here", name)
		case strings.ContainsRune(value, 0):
			return nil, fmt.Errorf("the secret %s holds a NUL byte, which no variable can", name)
		case !identifier(name):
			return nil, fmt.Errorf("the secret's name %q is none that a shell can set", name)
		}
		values[name] = value
	}
	return values, nil
}

func (b *Backend) secret(name string) (value string, ok bool) {
	if b.Secret != nil {
		return b.Secret(name)
	}
	for _, pair := range b.env() {
		if key, v, _ := strings.Cut(pair, "="); key == name {
			value, ok = v, true // the last of a name counts
		}
	}
	return value, ok
}

// identifier reports whether a shell can have a variable of that name.
func identifier(name string) bool {
	other := func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}
	return name != "" && (name[0] < '0' || name[0] > '9') && !strings.ContainsFunc(name, other)
}

// check says what keeps the spec from running here, before Slurm is asked.
func (b *Backend) check(spec job.Spec) error {
	if err := spec.Check(); err != nil {
		return err
	}
	if !filepath.IsAbs(b.Dir) {
		return errors.New("the slurm backend needs an absolute Dir")
	}
	if spec.Image != "" {
		return fmt.Errorf("this backend runs no container images: put apptainer or enroot with %s into the job's command", spec.Image)
	}
	for name := range spec.Env {
		if sandbox.SecretName(name) {
			return fmt.Errorf("%s looks like a secret: what a job is given is kept on disk, so it is not accepted", name)
		}
		if !identifier(name) {
			return fmt.Errorf("%q is no variable that a shell can set", name)
		}
	}
	info, err := os.Stat(spec.Dir)
	if err != nil {
		return fmt.Errorf("open the job's folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", spec.Dir)
	}
	return nil
}

// limit is the time limit that holds for a job: Slurm counts minutes.
func (b *Backend) limit(spec job.Spec) time.Duration {
	limit := cmp.Or(spec.TimeLimit, b.TimeLimit, defaultTimeLimit)
	return (limit + time.Minute - 1).Truncate(time.Minute)
}

// absences remembers since when Slurm does not know a job: a file that says how
// it ended may take a while to be seen from here.
type absences struct {
	mu    sync.Mutex
	since map[string]time.Time
}

// of returns for how long a job has been absent.
func (a *absences) of(id string) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.since == nil {
		a.since = map[string]time.Time{}
	}
	if _, ok := a.since[id]; !ok {
		a.since[id] = time.Now()
	}
	return time.Since(a.since[id])
}
