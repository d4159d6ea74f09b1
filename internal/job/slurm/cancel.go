package slurm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ml-intern/internal/job"
)

// cancelWait is how long Cancel waits: Slurm gives processes its KillWait, and
// nodes may be slow to answer.
const cancelWait = 2 * time.Minute

// Cancel implements job.Backend. The wish is kept in the job's folder, so that
// a job which Slurm has and we do not know of ends before it has done anything.
func (b *Backend) Cancel(ctx context.Context, id string) error {
	rec, err := b.records().Get(id)
	if err != nil || rec.Last.Done() {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, cancelWait)
	defer stop()
	script := b.enter(id) + " && : >cancel || exit\n"
	told := map[string]time.Time{}
	if rec.Ref != "" {
		script += b.program("scancel") + " " + quote(rec.Ref) + " 2>/dev/null\n:" // if it fails, it is told again
		told[rec.Ref] = time.Now()
	}
	if _, err := b.run(ctx, script); err != nil {
		return fmt.Errorf("cancel job %s: %w", id, err)
	}
	for {
		over, err := b.end(ctx, id, told)
		if err != nil {
			return fmt.Errorf("cancel job %s: %w", id, err)
		}
		if over {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cancel job %s: Slurm has not ended it yet: %w", id, context.Cause(ctx))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// again is after what time Slurm is told once more to cancel a job.
const again = 10 * time.Second

// end tells Slurm to end a job, and reports whether it is over.
func (b *Backend) end(ctx context.Context, id string, told map[string]time.Time) (over bool, err error) {
	rec, err := b.records().Get(id) // its Ref may have come
	if err != nil {
		return false, err
	}
	asked := time.Now()
	s, err := b.snapshot(ctx, asked, id)
	if err == nil {
		err = s.queueErr
	}
	if err != nil {
		return false, err
	}
	over = true
	for _, r := range s.rows(rec) {
		if r.over() {
			continue
		}
		over = false
		if time.Since(told[r.ref]) < again {
			continue
		}
		told[r.ref] = time.Now()
		var refused *refusal
		if _, err := b.run(ctx, b.program("scancel")+" "+quote(r.ref)); err != nil && !errors.As(err, &refused) {
			return false, err // a refusal means that it has just ended, or else comes again
		}
	}
	if !over {
		return false, nil
	}
	now, err := b.status(ctx, rec, asked)
	if err != nil || now.Done() {
		return now.Done(), err
	}
	if now.Ref == "" { // it was never sent, or comes late and finds the wish
		now, err = b.bury(ctx, now, job.Canceled, "it was canceled before it was sent")
		if err != nil {
			return false, err
		}
		rec.Last = now
		return true, b.records().Save(rec)
	}
	return false, nil
}
