package slurm

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/lazyregexp"
)

const (
	// unclear is how long it may not be clear how a job ended that Slurm says is
	// over, or does not know, before Slurm's word counts: its note of its end
	// may take a while to be seen, and so may its requeueing.
	unclear = 15 * time.Second

	// completing is how long Slurm may take to say how a job failed that has
	// ended by itself.
	completing = time.Minute

	// unconfirmed is how long after an answer was lost a job without a label
	// may still turn up.
	unconfirmed = 10 * time.Minute
)

// status brings a record up to date with what is known after a time.
func (b *Backend) status(ctx context.Context, rec job.Record, after time.Time) (job.Status, error) {
	if rec.Last.Done() {
		return rec.Last, nil
	}
	s, err := b.snapshot(ctx, after, rec.ID)
	if err != nil {
		return rec.Last, fmt.Errorf("ask for job %s: %w", rec.ID, err)
	}
	now, err := b.judge(ctx, &rec, s)
	if err != nil {
		return now, fmt.Errorf("ask for job %s: %w", rec.ID, err)
	}
	if now.Done() {
		b.live.remove(rec.ID)
		b.doubts.end(rec.ID)
	}
	if rec.Ref == "" && !now.Done() || now == rec.Last {
		return now, nil // what is not confirmed is its Submit's to save
	}
	rec.Last = now
	return now, b.records().Save(rec)
}

// judge says how a job is. It gives the record its Ref if it has none and Slurm
// has the job.
func (b *Backend) judge(ctx context.Context, rec *job.Record, s snapshot) (job.Status, error) {
	h := s.histories[rec.ID]
	now := rec.Last
	now.Reason = ""
	now.Started, now.EarlierSeconds = time.Time{}, h.before(now.TimeLimit)
	if !h.start.IsZero() {
		now.Started = later(h.start, now.Submitted)
	}
	r, there := choose(s.rows(*rec), h.ref, rec.Ref)
	if rec.Ref == "" {
		rec.Ref = h.ref
		if there {
			rec.Ref = r.ref
		}
	}
	if rec.Ref != "" {
		now.Ref = rec.Ref
	}
	switch {
	case h.final():
		return ended(now, h, row{}), nil
	case s.queueErr != nil:
		if !now.Started.IsZero() {
			now.State = job.Running
		}
		return now, s.queueErr
	case there && !r.over() && (h.how != "itself" || b.doubts.of(rec.ID) < completing):
		if h.how != "itself" {
			b.doubts.end(rec.ID)
		}
		return going(now, h, r), nil
	case rec.Ref == "":
		return b.unsent(ctx, now)
	case (h.end.IsZero() && (!there || r.plain()) || r.taken() && h.attempt < rec.Spec.Retries) && b.doubts.of(rec.ID) < unclear:
		return rec.Last, nil
	}
	return b.over(ctx, *rec, now, h, r)
}

// over says how a job is that has ended, by what Slurm says of it in detail.
func (b *Backend) over(ctx context.Context, rec job.Record, now job.Status, h history, r row) (job.Status, error) {
	if r.state == "" || r.plain() && h.end.IsZero() {
		found, ok, err := b.details(ctx, head(rec), now.Ref)
		if err != nil {
			return now, err
		}
		if ok && found.over() {
			r = found
		}
	}
	if h.start.IsZero() && r.state == "" {
		// Should Slurm find it again, it must not run.
		return b.bury(ctx, now, job.Canceled, "it never started, and Slurm does not know it any more: somebody has canceled it, or Slurm has lost it")
	}
	if r.plain() && (h.end.IsZero() || h.code > 128) {
		r.reason = b.slurmSaid(ctx, rec)
		if !h.start.IsZero() && memoryWords.MatchString(r.reason) {
			r.state = "OUT_OF_MEMORY"
		}
	}
	return ended(now, h, r), nil
}

// memoryWords are how Slurm says what its state does not: where memory is not
// limited by the kernel, a job that needed too much has FAILED.
var memoryWords = lazyregexp.New(`exceeded (job |step )?memory limit|oom[-_ ]kill`)

// unsent is how a job is that Slurm has not got, as far as is known.
func (b *Backend) unsent(ctx context.Context, now job.Status) (job.Status, error) {
	if now.Label == "" && time.Since(now.Submitted) > unconfirmed {
		return b.bury(ctx, now, job.Failed, "Slurm has never got it")
	}
	now.State, now.Reason = job.Queued, "Slurm has not confirmed it; submitted again with its label, it runs once all the same"
	return now, nil
}

// bury makes sure that a job never runs, and says so.
func (b *Backend) bury(ctx context.Context, now job.Status, state job.State, why string) (job.Status, error) {
	if _, err := b.run(ctx, b.enter(now.ID)+"\n ln -s nobody claim 2>/dev/null\n[ \"$(readlink claim)\" = nobody ]"); err != nil {
		return now, fmt.Errorf("make sure that it does not run: %w", err)
	}
	now.State, now.Reason, now.Finished = state, why, time.Now().UTC()
	return now, nil
}

// choose is the row that counts: of the one that runs, of one that may, or of
// the one that was sent.
func choose(rows []row, running, sent string) (row, bool) {
	for _, right := range []func(row) bool{
		func(r row) bool { return r.ref == running },
		func(r row) bool { return running == "" && !r.over() },
		func(r row) bool { return running == "" && (r.ref == sent || sent == "") },
	} {
		if i := slices.IndexFunc(rows, right); i >= 0 {
			return rows[i], true
		}
	}
	return row{}, false
}

// over reports whether Slurm has nothing left to do for the job.
func (r row) over() bool {
	switch r.state {
	case "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "DEADLINE", "OUT_OF_MEMORY", "PREEMPTED",
		"NODE_FAIL", "BOOT_FAIL", "LAUNCH_FAILED", "RECONFIG_FAIL", "REVOKED":
		return true
	}
	return false
}

// taken reports whether the machine was taken from the job; it may wait to run
// again in a moment.
func (r row) taken() bool { return r.state == "PREEMPTED" || r.state == "NODE_FAIL" }

// plain reports whether the job ended without anything happening to it.
func (r row) plain() bool { return r.state == "COMPLETED" || r.state == "FAILED" }

// going is the status of a job that waits or runs.
func going(now job.Status, h history, r row) job.Status {
	switch r.state {
	case "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING":
		now.State = job.Running
		if now.Started.IsZero() && !r.start.IsZero() {
			now.Started = later(r.start, now.Submitted)
		}
		return now
	}
	now.State, now.Started = job.Queued, time.Time{}
	if r.reason != "" && r.reason != "None" {
		now.Reason = "it waits, Slurm says, for " + r.reason
	}
	if !h.start.IsZero() {
		now.Reason = "the machine was taken from it, and it waits to run again"
		now.EarlierSeconds += min(h.ran(time.Now()), now.TimeLimit).Seconds()
	}
	return now
}

// ended is the status of a job by what it noted and what Slurm says of its end.
func ended(now job.Status, h history, r row) job.Status {
	now.ExitCode = -1
	switch {
	case !h.end.IsZero():
		now.ExitCode = h.code
	case r.code > 0 || r.code == 0 && r.state == "COMPLETED":
		now.ExitCode = r.code
	case !h.start.IsZero() && r.state != "" && r.state != "NODE_FAIL":
		now.ExitCode = 128 + 9
	}
	if now.Started.IsZero() {
		now.ExitCode = -1
	}
	now.Finished = later(latest(h.end, r.end, now.Started), now.Submitted)
	if h.end.IsZero() && r.end.IsZero() {
		now.Finished = time.Now().UTC()
	}
	now.State, now.Reason = outcome(now, h, r)
	if now.State == job.Lost {
		now.ExitCode, now.Finished = -1, time.Time{}
	}
	return now
}

// outcome is how and why a job ended.
func outcome(now job.Status, h history, r row) (job.State, string) {
	switch h.how {
	case "canceled":
		return job.Canceled, "it was canceled before it started"
	case "preempted":
		return job.Preempted, "the machine was taken from it, and it had no retry left"
	case "failed":
		return job.Failed, h.why
	}
	limit := fmt.Sprintf("it ran past its time limit of %s", now.TimeLimit)
	switch r.state {
	case "CANCELLED":
		return job.Canceled, "it was canceled"
	case "TIMEOUT", "DEADLINE":
		return job.TimedOut, limit
	case "OUT_OF_MEMORY":
		return job.OutOfMemory, "it needed more memory than it had"
	case "PREEMPTED", "REVOKED":
		return job.Preempted, "the machine was taken from it by Slurm"
	case "NODE_FAIL", "BOOT_FAIL":
		switch {
		case h.start.IsZero():
			return job.Failed, "its node failed before it started"
		case h.how == "itself": // the node failed after it
			return job.Failed, exitReason(now.ExitCode)
		}
		return job.Lost, fmt.Sprintf("its node %s failed, and nobody knows how it ended", h.node)
	}
	switch {
	case h.how == "itself" && h.code == 0 || h.end.IsZero() && r.state == "COMPLETED" && !h.start.IsZero():
		return job.Succeeded, ""
	case h.how == "itself" || r.plain() && !h.start.IsZero():
		return job.Failed, exitReason(now.ExitCode)
	case h.how == "asked" && h.why == "canceled":
		return job.Canceled, "it was canceled"
	case h.how == "asked" && h.end.Sub(h.start) >= now.TimeLimit-time.Second:
		return job.TimedOut, limit
	case h.how == "asked":
		return job.Preempted, "Slurm asked it to end, and does not say why any more"
	case h.start.IsZero():
		return job.Failed, "Slurm could not start it: " + clip(r.reason, 400)
	}
	return job.Lost, "it started, and neither it nor Slurm says how it ended"
}

func exitReason(code int) string {
	if code > 128 {
		return fmt.Sprintf("it was ended by signal %d (exit code %d)", code-128, code)
	}
	return fmt.Sprintf("it ended with exit code %d", code)
}

// later is the later of two times: clocks of other machines may be behind.
func later(t, than time.Time) time.Time { return latest(t, than) }

func latest(times ...time.Time) time.Time {
	return slices.MaxFunc(times, func(x, y time.Time) int { return x.Compare(y) })
}
