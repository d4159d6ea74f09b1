// Package ssh runs jobs on any machine with a POSIX shell, reached by the
// OpenSSH client, so that the person's own configuration, agent and jump hosts
// count.
//
// Its one rule: a job starts at most once, whatever is killed and whenever. A
// job is remembered here before it is sent, under an ID that the far machine is
// given; it may be sent again, and there the first sending to make one link
// runs, and no other. The far machine owns the job from then on: a shell script
// that is copied there, shim.sh, runs it detached from the connection, with its
// time limit, log and end in a folder of its own. This side owns the record of
// what was asked for, and after a job is done also of how it ended.
//
// Every question is one short run of that script. They share a connection,
// which the ssh program keeps for a minute, and questions about many jobs are
// one.
package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"ml-intern/internal/job"
)

// defaultTimeLimit is long: the machine costs nothing, and a limit that ends a
// training too early does.
const defaultTimeLimit = 24 * time.Hour

// A Backend runs jobs on one machine. Any number of them, in any number of
// processes, may share a Dir, and any number of machines a far folder.
type Backend struct {
	Host    string   // as `ssh HOST` takes it
	Options []string // of ssh, before the host, such as -p 2222
	Program string   // ssh if empty
	Dir     string   // what is remembered here; only its owner can read it
	FarDir  string   // where jobs live on the machine, from its home folder; .cache/ml-intern/jobs if empty

	USDPerHour float64 // while a job runs; 0 for a machine of one's own

	Secret func(name string) (value string, ok bool) // os.LookupEnv if nil

	once sync.Once
	live *live
}

// A live is what a Backend holds while it is used.
type live struct {
	calls chan struct{} // one for each call under way
	board *board
	facts *known

	gauges *gauges
}

// state makes what the zero Backend lacks.
func (b *Backend) state() *live {
	b.once.Do(func() {
		b.live = &live{
			calls: make(chan struct{}, maxCalls),
			board: &board{turn: make(chan struct{}, 1), asked: map[string]time.Time{}},
			facts: &known{turn: make(chan struct{}, 1)},

			gauges: &gauges{turn: make(chan struct{}, 1)},
		}
	})
	return b.live
}

var _ job.Backend = (*Backend)(nil)

func (b *Backend) records() job.Records { return job.Records{Dir: b.Dir} }

func (b *Backend) farDir() string { return cmp.Or(b.FarDir, ".cache/ml-intern/jobs") }

func (b *Backend) secret(name string) (string, bool) {
	if b.Secret != nil {
		return b.Secret(name)
	}
	return os.LookupEnv(name)
}

// Status implements job.Backend. A job that never reached the machine is not
// found.
func (b *Backend) Status(ctx context.Context, id string) (job.Status, error) {
	rec, err := b.records().Get(id)
	if err != nil {
		return job.Status{}, err
	}
	return b.status(ctx, rec)
}

// Find implements job.Backend.
func (b *Backend) Find(ctx context.Context, label string) (job.Status, error) {
	rec, err := b.records().Find(label)
	if err != nil {
		return job.Status{}, err
	}
	return b.status(ctx, rec)
}

// Spec implements job.Backend.
func (b *Backend) Spec(_ context.Context, id string) (job.Spec, error) {
	rec, err := b.records().Get(id)
	return rec.Spec, err
}

// status asks the machine how a job is, unless it is known to be over.
func (b *Backend) status(ctx context.Context, rec job.Record) (job.Status, error) {
	if rec.Last.Done() {
		return rec.Last, nil
	}
	seen, err := b.ask(ctx, rec.ID)
	if err != nil {
		return rec.Last, fmt.Errorf("ask for job %s: %w", rec.ID, err)
	}
	return b.update(ctx, rec, seen)
}

// update makes what was seen of a job part of its record.
func (b *Backend) update(ctx context.Context, rec job.Record, seen sight) (job.Status, error) {
	if seen.state == absent {
		if rec.Ref == "" {
			return job.Status{}, fmt.Errorf("find job %q on %s: %w", rec.ID, b.Host, job.ErrNotFound)
		}
		// Not kept: a disk may be mounted again.
		lost := rec.Last
		lost.State, lost.Reason = job.Lost, fmt.Sprintf("its folder %s is not on %s any more", rec.Ref, b.Host)
		return lost, nil
	}
	before := rec.Last
	rec = b.accepted(rec, seen)
	rec.Last.State, rec.Last.ExitCode, rec.Last.ScriptSHA256 = seen.state, seen.code, seen.sha
	rec.Last.Started, rec.Last.Finished = times(rec, seen)
	if seen.gpus != "" {
		rec.Last.Hardware = rec.Kept[keptHardware] + ", GPU " + seen.gpus
	}
	if rec.Last.Done() {
		rec.Last.Reason = b.reason(ctx, rec, seen)
	}
	if rec.Last == before {
		return rec.Last, nil
	}
	if err := b.records().Save(rec); err != nil {
		return rec.Last, err
	}
	return rec.Last, nil
}

// times are when a job began and ended, by the clock here. Its clock may count
// whole seconds, so what seems earlier than what came before it is not.
func times(rec job.Record, seen sight) (began, ended time.Time) {
	skew, err := time.ParseDuration(rec.Kept[keptSkew])
	if err != nil {
		skew = seen.skew
	}
	if !seen.began.IsZero() {
		began = seen.began.Add(skew)
		if began.Before(rec.Submitted) {
			began = rec.Submitted
		}
	}
	if !seen.ended.IsZero() {
		ended = seen.ended.Add(skew)
		for _, earlier := range []time.Time{rec.Submitted, began} {
			if ended.Before(earlier) {
				ended = earlier
			}
		}
	}
	return began.UTC(), ended.UTC()
}

// What a record keeps.
const (
	keptSkew     = "skew"     // how far its clock is behind this one
	keptHardware = "hardware" // without the GPUs it was given
	keptResults  = "results"  // they are here
)

// accepted is the record of a job that has reached the machine.
func (b *Backend) accepted(rec job.Record, seen sight) job.Record {
	if rec.Kept == nil {
		rec.Kept = map[string]string{}
	}
	if rec.Kept[keptSkew] == "" {
		rec.Kept[keptSkew] = seen.skew.String()
	}
	rec.Ref = b.farDir() + "/" + rec.ID
	rec.Last.Ref = b.Host + ":" + rec.Ref
	return rec
}

// reason says in a sentence why a job did not succeed.
func (b *Backend) reason(ctx context.Context, rec job.Record, seen sight) string {
	switch {
	case seen.state == job.TimedOut:
		return fmt.Sprintf("it ran longer than its time limit of %v", rec.Spec.TimeLimit)
	case seen.state != job.Failed || seen.code < 0:
		return seen.why
	}
	if last := job.LastLine(ctx, b, rec.ID); last != "" {
		return fmt.Sprintf("%s; its last output is %q", seen.why, clip(last, 200))
	}
	return seen.why
}

// List implements job.Backend. All jobs that may still run are one question.
func (b *Backend) List(ctx context.Context) ([]job.Status, error) {
	recs, err := b.records().All()
	errs := []error{err}
	var open []string
	for _, rec := range recs {
		if !rec.Last.Done() {
			open = append(open, rec.ID)
		}
	}
	seen, err := b.look(ctx, open)
	errs = append(errs, err)
	var all []job.Status
	for _, rec := range recs {
		status := rec.Last
		if s, ok := seen[rec.ID]; ok && !status.Done() {
			status, err = b.update(ctx, rec, s)
			if errors.Is(err, job.ErrNotFound) {
				errs = append(errs, b.sweep(rec))
				continue
			}
			errs = append(errs, err)
		}
		all = append(all, status)
	}
	return slices.Clip(all), errors.Join(errs...)
}

// sweep forgets a job that did not reach the machine and is too old to be on
// its way.
func (b *Backend) sweep(rec job.Record) error {
	if time.Since(rec.Submitted) < 24*time.Hour {
		return nil
	}
	return b.records().Forget(rec.ID)
}

// Cancel implements job.Backend.
func (b *Backend) Cancel(ctx context.Context, id string) error {
	rec, err := b.records().Get(id)
	if err != nil {
		return err
	}
	status, err := b.status(ctx, rec)
	if err != nil || status.Done() {
		return err
	}
	text, err := b.call(ctx, nil, "cancel", id)
	if err != nil {
		return fmt.Errorf("cancel job %s: %w", id, err)
	}
	if err := b.state().board.forget(ctx); err != nil {
		return err
	}
	seen, err := readSights(text, time.Now())
	if err == nil && seen[id].state == "" {
		err = fmt.Errorf("%s said nothing of it", b.Host)
	}
	if err == nil {
		status, err = b.update(ctx, rec, seen[id])
	}
	if err == nil && !status.Done() {
		err = fmt.Errorf("it is still %s", status.State)
	}
	if err != nil {
		return fmt.Errorf("cancel job %s: %w", id, err)
	}
	return nil
}

// clip shortens text to n bytes at most.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	cut := n - len("…")
	for cut > 0 && text[cut]&0xC0 == 0x80 {
		cut--
	}
	return text[:cut] + "…"
}
