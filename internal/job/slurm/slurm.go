// Package slurm runs jobs on a Slurm cluster, from one of its machines or by ssh.
//
// Its one rule: a label is run at most once, however often it is sent. A job is
// remembered here before it is sent, under an id that Slurm is given as part of
// its name, so that one whose answer was lost is found. And should Slurm have
// it twice all the same, the first of the two to make the link "claim" in the
// job's folder runs, and the other ends without doing anything.
//
// The folder of a job is jobs/ID in the root, and the job's node sees it. This
// side owns
//
//	batch.sh   what Slurm runs
//	script/    the job's script as it was at Submit
//	work/      by ssh: what the job reads, and where it runs
//	secrets.*  one half of its secrets
//	cancel     somebody wants the job to end
//	claim      too, if it says "nobody": then the job never runs
//
// and the batch script
//
//	claim      the number of the Slurm job that runs it
//	log        what the job said; slurm.log is what Slurm said
//	history    a line for the start and the end of each attempt: a job that
//	           lost its node may run again
//	output/    by ssh: its results
//	gauge      what its GPUs did a minute ago at most, while it runs
//	code.N and masked.N, for a moment, what two of its processes tell it
//
// The folder of an array is there too, with a batch.sh that leads each task to
// its own, and the slurm.log of each.
//
// How a job ended is told by its history and by what Slurm says of it, while it
// says anything: it forgets a job after minutes if it keeps no accounts.
package slurm

import (
	"cmp"
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"ml-intern/internal/job"
)

// The folder of all jobs and what is in a job's.
const (
	jobsDir = "jobs"

	batchFile    = "batch.sh"
	maskFile     = "mask.py"
	historyFile  = "history"
	logFile      = "log"
	slurmLogFile = "slurm.log"
	scriptDir    = "script"
	workDir      = "work"
	outputDir    = "output"
	gaugeFile    = "gauge"
)

const defaultTimeLimit = time.Hour

// A Backend runs jobs on one cluster. Any number of them, in any number of
// processes, may share a Dir.
type Backend struct {
	// Dir is what is remembered of all jobs; only its owner can read it. Without
	// a Host it is the root too, and like the workspaces on a file system that
	// the cluster shares.
	Dir string

	// Host is where Slurm's programs are run, as ssh names it; this machine if
	// empty. Files go there and come back by ssh.
	Host string
	SSH  []string // ssh with its options; found on the PATH if empty
	Root string   // on Host, on a file system that the cluster shares; .ml-intern/slurm in the home folder if empty
	Bin  string   // folder of Slurm's programs there; their PATH if empty

	Partitions []string // those that jobs may use; all if empty
	Account    string
	QOS        string
	Options    []string // of sbatch besides, such as --constraint=nvlink
	Setup      string   // shell lines that every job runs first, such as ". /etc/profile; module load cuda"
	UV         string   // uv on the nodes; found on their PATH if empty
	Python     string   // python there; python3 if empty

	TimeLimit   time.Duration      // of a job that names none; an hour if 0
	USDPerHour  map[string]float64 // what a job costs, by partition, "*" for the others; free if nil
	GPUMemoryMB map[string]int64   // by type of GPU, since Slurm does not say

	Env    []string                                  // what sandbox.Environ chooses from; os.Environ() if nil
	Secret func(name string) (value string, ok bool) // a job's secrets; os.LookupEnv if nil

	polled cached[snapshot]
	parts  cached[[]partition]
	live   live
	doubts doubts
	disks  sync.Map // folder to *cached[job.Gauge]
	gauges cached[map[string][]job.GPUGauge]
}

var (
	_ job.Backend = (*Backend)(nil)
	_ job.Sweeper = (*Backend)(nil)
)

func (b *Backend) records() job.Records { return job.Records{Dir: b.Dir} }

// root is the folder of all jobs where Slurm is; there, a relative one is in the
// home folder.
func (b *Backend) root() string {
	if b.Host == "" {
		return b.Dir
	}
	return cmp.Or(b.Root, ".ml-intern/slurm")
}

// enter makes a job's folder, for a shell, and goes there.
func (b *Backend) enter(id string) string {
	dir := quote(b.root() + "/" + jobsDir + "/" + id)
	return "(umask 077; mkdir -p " + dir + ") && cd " + dir
}

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
	return b.status(ctx, rec, time.Time{})
}

// Find implements job.Backend.
func (b *Backend) Find(ctx context.Context, label string) (job.Status, error) {
	rec, err := b.records().Find(label)
	if err != nil {
		return job.Status{}, err
	}
	return b.status(ctx, rec, time.Time{})
}

// List implements job.Backend.
func (b *Backend) List(ctx context.Context) ([]job.Status, error) {
	records, err := b.records().All()
	errs := []error{err}
	all := make([]job.Status, len(records))
	failed := false
	for i, rec := range records {
		if failed { // when Slurm is down, it is asked once
			all[i] = rec.Last
			continue
		}
		var err error
		if all[i], err = b.status(ctx, rec, time.Time{}); err != nil {
			failed = true
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

// doubts remembers since when it is not clear how a job has ended: what it has
// noted may take a while to be seen from here.
type doubts struct {
	mu    sync.Mutex
	since map[string]time.Time
}

// of returns for how long there has been doubt about a job.
func (d *doubts) of(id string) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.since == nil {
		d.since = map[string]time.Time{}
	}
	if _, ok := d.since[id]; !ok {
		d.since[id] = time.Now()
	}
	return time.Since(d.since[id])
}

// end says that there is no doubt about a job.
func (d *doubts) end(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.since, id)
}
