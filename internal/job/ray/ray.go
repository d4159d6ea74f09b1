// Package ray runs jobs on a Ray cluster through the REST API of its head.
//
// Its one rule: Ray is given a job's id with the job, and refuses a second of
// that id, so a submission whose answer was lost is repeated or looked up, but
// only at the same head: one that was restarted has forgotten, and what it was
// given before is lost, never sent again.
//
// Ray knows of a job whether it runs, and its output as one text. The rest is
// done by shim.py, which is sent along and owns a folder among Ray's logs on
// the job's node: the end in words, the output in pieces, the results. The
// package owns the records and copies of the logs in Dir.
//
// Whoever reaches Ray's API can read what a job was given, so secrets do not go
// that way: secrets.go says how they come to a job.
package ray

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"ml-intern/internal/job"
)

const (
	defaultTimeLimit = time.Hour

	// cancelWait is how long Cancel waits: Ray kills after three seconds.
	cancelWait = 30 * time.Second

	// unsentWait is how long a job whose submission got no answer may still
	// turn up.
	unsentWait = 2 * time.Minute
)

// A Backend runs jobs on one Ray cluster. Any number of them, in any number of
// processes, may share a Dir.
type Backend struct {
	Dir   string // records, logs and what was sent; only its owner can read it
	URL   string // of the dashboard: http://127.0.0.1:8265 if empty
	Token string // of a cluster that asks for one (RAY_AUTH_TOKEN there); never logged

	// Shared says that every node has the workspace under the path that it has
	// here. Then jobs run in it; otherwise they run in a copy of their files,
	// and Collect brings results.
	Shared bool

	TimeLimit  time.Duration      // of jobs that name none; 1 hour if 0
	USDPerHour map[string]float64 // price of each flavor, of "*" for the rest; free if nil
	GPUMemory  map[string]float64 // MB of each type of GPU, where Ray does not say it

	// Secret has the values of secrets: os.LookupEnv if nil. It is asked at
	// Submit whether they are there, and for them when the job has a node.
	Secret func(name string) (value string, ok bool)
}

var _ job.Backend = Backend{}

// What a record keeps besides the last status.
const (
	keptSession = "session"  // of the head that the job was sent to
	keptRequest = "request"  // what was sent
	keptAttempt = "attempt"  // how often it was sent again: 0 if not there
	keptBase    = "base"     // bytes of output of the attempts before
	keptNode    = "node"     // where it runs
	keptCancel  = "cancel"   // somebody wants it to end
	keptLog     = "log"      // "whole": all of its log is here
	keptStopped = "stopping" // Ray has been told
)

func (b Backend) records() job.Records { return job.Records{Dir: filepath.Join(b.Dir, "jobs")} }

// Status implements job.Backend.
func (b Backend) Status(ctx context.Context, id string) (job.Status, error) {
	rec, err := b.records().Get(id)
	if err != nil {
		return job.Status{}, err
	}
	rec, err = b.settle(ctx, rec)
	return b.shown(rec), err
}

// shown is the status that a record stands for.
func (b Backend) shown(rec job.Record) job.Status {
	rec.Last.Ref = rec.Ref
	return rec.Last
}

// settle asks Ray for a job that is not done, and remembers the answer.
func (b Backend) settle(ctx context.Context, rec job.Record) (job.Record, error) {
	if rec.Last.Done() {
		return rec, nil
	}
	info, err := b.job(ctx, refOf(rec))
	if err == nil {
		return b.observe(ctx, rec, info)
	}
	if errors.Is(err, errNoJob) {
		return b.missing(ctx, rec)
	}
	return rec, fmt.Errorf("ask Ray for job %s: %w", rec.ID, err)
}

// refOf is what Ray calls the job. Other programs' jobs have other names.
func refOf(rec job.Record) string {
	ref := "ml-intern-" + rec.ID
	if n := rec.Kept[keptAttempt]; n != "" {
		ref += "-" + n
	}
	return ref
}

func (b Backend) timeLimit() time.Duration { return cmp.Or(b.TimeLimit, defaultTimeLimit) }

// missing is for a job that Ray says it does not know.
func (b Backend) missing(ctx context.Context, rec job.Record) (job.Record, error) {
	v, err := b.version(ctx)
	if err != nil {
		return rec, fmt.Errorf("ask Ray for job %s: %w", rec.ID, err)
	}
	sent := rec.Kept[keptSession]
	switch {
	case sent != "" && sent != v.Session && (rec.Ref != "" || rec.Kept[keptRequest] != ""):
		return b.bury(rec, job.Lost, lostSession)
	case rec.Ref != "":
		return b.bury(rec, job.Lost, "Ray does not know it any more: it was deleted there")
	case rec.Kept[keptCancel] != "": // nor must Ray ever get it
		return b.bury(rec, job.Canceled, "canceled before Ray had it")
	case rec.Kept[keptAttempt] != "":
		return b.resend(ctx, rec)
	case time.Since(rec.Submitted) > unsentWait:
		// Not for good: its label may be submitted again.
		rec.Last.State, rec.Last.Reason = job.Failed, neverSent
		return rec, nil
	}
	return rec, nil
}

const neverSent = "Ray never got it: submit it again"

const lostSession = "the Ray head was restarted, and with it everything it knew of the job; it may have run"

// bury ends a record whose job nobody can say more of.
func (b Backend) bury(rec job.Record, state job.State, reason string) (job.Record, error) {
	rec.Last.State, rec.Last.Reason = state, reason
	if state == job.Lost {
		rec.Kept = with(rec.Kept, keptLog, "whole") // no more of it will come
	}
	b.clear(rec.ID)
	return rec, b.records().Save(rec)
}

// Spec implements job.Backend.
func (b Backend) Spec(_ context.Context, id string) (job.Spec, error) {
	rec, err := b.records().Get(id)
	return rec.Spec, err
}

// Find implements job.Backend.
func (b Backend) Find(ctx context.Context, label string) (job.Status, error) {
	rec, err := b.records().Find(label)
	if err != nil {
		return job.Status{}, err
	}
	rec, err = b.settle(ctx, rec)
	if err == nil && rec.Ref == "" && !rec.Last.Done() || rec.Last.Reason == neverSent {
		// Its submission was cut off; Submit goes on with it, and nobody else.
		return job.Status{}, fmt.Errorf("find job labeled %q: Ray does not have it: %w", label, job.ErrNotFound)
	}
	return b.shown(rec), err
}

// List implements job.Backend. It asks Ray once, however many jobs there are;
// if Ray cannot be asked, it says what was known last.
func (b Backend) List(ctx context.Context) ([]job.Status, error) {
	all, err := b.records().All()
	errs := []error{err}
	var known map[string]jobInfo
	var asked bool
	statuses := make([]job.Status, 0, len(all))
	for _, rec := range all {
		if !rec.Last.Done() && !asked {
			asked = true
			if known, err = b.jobs(ctx); err != nil {
				errs = append(errs, fmt.Errorf("ask Ray for its jobs: %w", err))
			}
		}
		if !rec.Last.Done() && known != nil {
			if info, ok := known[refOf(rec)]; ok {
				rec, err = b.observe(ctx, rec, info)
			} else {
				rec, err = b.missing(ctx, rec)
			}
			errs = append(errs, err)
		}
		statuses = append(statuses, b.shown(rec))
	}
	return statuses, errors.Join(errs...)
}

// Cancel implements job.Backend. Ray takes a job that waits for a node off its
// queue only when it has found one: it starts the job's shim and ends it. The
// shim waits for that before it does anything, so such a job is over at once.
func (b Backend) Cancel(ctx context.Context, id string) error {
	rec, err := b.records().Get(id)
	if err != nil || rec.Last.Done() {
		return err
	}
	rec.Kept = with(rec.Kept, keptCancel, time.Now().UTC().Format(time.RFC3339))
	if err := b.records().Save(rec); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, cancelWait)
	defer stop()
	err = b.stop(ctx, refOf(rec))
	if err != nil && !errors.Is(err, errNoJob) {
		return fmt.Errorf("cancel job %s: %w", id, err)
	}
	rec.Kept = with(rec.Kept, keptStopped, "yes")
	for poll := 50 * time.Millisecond; ; poll = min(poll*3/2, time.Second) {
		rec, err = b.settle(ctx, rec)
		if err != nil || rec.Last.Done() {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cancel job %s: it is still %s: %w", id, rec.Last.State, context.Cause(ctx))
		case <-time.After(poll):
		}
	}
}

// with returns the map with one more value; the old one is not changed.
func with(kept map[string]string, key, value string) map[string]string {
	next := make(map[string]string, len(kept)+1)
	for k, v := range kept {
		next[k] = v
	}
	next[key] = value
	return next
}
