package watch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ml-intern/internal/job"
)

const (
	firstPoll   = 10 * time.Millisecond // a job that is done at once is noticed at once
	slowestPoll = 2 * time.Second
	longestRest = 20 * time.Second

	// Whoever looks rests so many times as long as the look took: watching takes
	// at most a twenty-sixth of a core, however many jobs there are.
	restShare = 25

	callLimit  = 30 * time.Second // of one question to a backend
	manyJobs   = 8                // from so many on a list may be cheaper than asking for each
	roundLimit = 2 * time.Second  // of reading logs; the rest is read in the next round
	nobodyLook = time.Minute      // longer than planned: the machine slept, or its clock jumped
)

// A group is jobs of one backend. One goroutine looks at them.
type group struct {
	w      *Watcher
	name   string
	limits Limits
	jobs   []*watched
	list   time.Duration // what a list took
	each   time.Duration // what the status of one job took
	next   int           // whose log is read first
}

// run looks at the jobs until there is something to say.
func (g *group) run(ctx context.Context, found context.CancelFunc) {
	var planned time.Time
	for poll := firstPoll; ; poll = min(poll*3/2, slowestPoll) {
		began := time.Now()
		if !planned.IsZero() && began.Sub(planned) > nobodyLook {
			g.forgive()
		}
		if g.round(ctx) {
			found()
			return
		}
		g.w.report(g.jobs)
		rest := min(max(poll, restShare*time.Since(began)), longestRest)
		planned = time.Now().Add(rest)
		timer := time.NewTimer(rest)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// forgive lets no job's silence count while nobody looked.
func (g *group) forgive() {
	for _, j := range g.jobs {
		j.forgive()
	}
}

func (j *watched) forgive() {
	j.alive, j.failing, j.late, j.idle = time.Time{}, time.Time{}, time.Time{}, nil
}

// round looks once at every job, and reports whether there is something to say.
func (g *group) round(ctx context.Context) (found bool) {
	began := time.Now()
	answers := g.ask(ctx)
	var open []*watched
	first := g.next
	for i := range g.jobs {
		j := g.jobs[(first+i)%len(g.jobs)]
		a := answers[j.id]
		if ctx.Err() != nil {
			return found
		}
		switch {
		case errors.Is(a.err, job.ErrNotFound):
			found = j.say(Gone, "the backend no longer knows the job: nothing more will come of it", "") || found
			continue
		case a.err != nil:
			if j.failing.IsZero() {
				j.failing = time.Now()
			}
			j.failure = a.err
		default:
			j.answered(a.status)
			if a.status.Done() {
				found = g.ended(ctx, j) || found
				continue
			}
			if a.status.State == job.Running && time.Since(began) < roundLimit {
				g.next = (first + i + 1) % len(g.jobs)
				found = g.look(ctx, j) || found
			}
		}
		open = append(open, j)
	}
	found = g.unreachable() || found
	if len(open) < len(g.jobs) {
		g.jobs, g.next = open, 0
	}
	return found
}

// An answer is what the backend says of a job.
type answer struct {
	status job.Status
	err    error
}

// ask gets the status of every job, in the way that takes less time.
func (g *group) ask(ctx context.Context) map[string]answer {
	answers := make(map[string]answer, len(g.jobs))
	if len(g.jobs) >= manyJobs && g.list <= time.Duration(len(g.jobs))*g.each {
		g.askAll(ctx, answers)
	}
	failures := 0
	var last error
	for i, j := range g.jobs {
		_, known := answers[j.id]
		if known && (i > 0 || g.each > 0) { // one is asked for to know what it takes
			continue
		}
		if failures == 2 { // the others would fail as well, each after its time
			answers[j.id] = answer{err: last}
			continue
		}
		began := time.Now()
		callCtx, cancel := context.WithTimeout(ctx, callLimit)
		status, err := g.w.Backend.Status(callCtx, j.id)
		cancel()
		g.each = time.Since(began)
		if err != nil && !errors.Is(err, job.ErrNotFound) {
			failures++
			last = err
		}
		answers[j.id] = answer{status, err}
	}
	return answers
}

// askAll takes the answers from one list. Jobs that are not in it are asked
// for by themselves.
func (g *group) askAll(ctx context.Context, answers map[string]answer) {
	began := time.Now()
	callCtx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	all, err := g.w.Backend.List(callCtx)
	g.list = max(time.Since(began), 1)
	if err != nil {
		g.list = time.Hour // for this Wait it is not to be had
	}
	wanted := make(map[string]bool, len(g.jobs))
	for _, j := range g.jobs {
		wanted[j.id] = true
	}
	for _, s := range all {
		if wanted[s.ID] {
			answers[s.ID] = answer{status: s}
		}
	}
}

// unreachable says that a backend has not answered for a while: once for all
// jobs that it has.
func (g *group) unreachable() bool {
	var silent []*watched
	for _, j := range g.jobs {
		if !j.failing.IsZero() && time.Since(j.failing) >= g.limits.Unreachable {
			silent = append(silent, j)
		}
	}
	if len(silent) == 0 {
		return false
	}
	name := g.name
	if name == "" {
		name = "the backend"
	}
	what := silent[0].title() + " goes on unseen"
	if len(silent) > 1 {
		what = fmt.Sprintf("%d jobs go on unseen", len(silent))
	}
	text := fmt.Sprintf("%s has not answered for %s (%s): %s; it is asked on", name, rough(time.Since(silent[0].failing)), short(silent[0].failure), what)
	said := false
	for _, j := range silent {
		if said { // in one event for all
			j.page.quietly(Unreachable)
			continue
		}
		said = j.say(Unreachable, text, "")
	}
	return said
}

// ended says how a job has ended.
func (g *group) ended(ctx context.Context, j *watched) bool {
	text, detail := j.explain(ctx, g.w.Backend)
	if ctx.Err() != nil { // half an explanation is none
		return false
	}
	return j.say(Ended, text, detail)
}
