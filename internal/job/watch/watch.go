// Package watch waits for what is worth a look at jobs: their end, and signs
// that they do not do what they should.
//
// Its one rule: everything is said once. An event is written down before it is
// returned, is returned again until the caller says that it was heard, and
// never after that, whatever is restarted in between. Watching asks no model
// and costs next to nothing: whoever looks rests much longer than the look took.
//
// A Watcher owns its file and what it knows of the jobs' numbers; backends own
// the jobs, package series the formats, package report the explanations.
package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"ml-intern/internal/job"
)

// A Kind is what an Event tells.
type Kind string

// The kinds.
const (
	Ended       Kind = "ended"
	Silent      Kind = "silent"        // heartbeat lost: no output and no metrics
	NotFinite   Kind = "not_finite"    // a metric is NaN or infinite
	Spike       Kind = "spike"         // a loss has risen far above what it was
	Plateau     Kind = "plateau"       // a loss does not fall any more
	GPUIdle     Kind = "gpu_idle"      // what is paid for does nothing
	DiskLow     Kind = "disk_low"      // nearly full, or full
	OutOfMemory Kind = "out_of_memory" // and it still runs
	Late        Kind = "late"          // at its pace it will not be done before its time limit
	Unreachable Kind = "unreachable"   // the backend has not answered for a while
	Gone        Kind = "gone"          // the backend knows no such job; nothing more will come
)

// An Event is something that happened to a job.
type Event struct {
	ID     string    `json:"id"` // the same whenever the event is returned
	Job    string    `json:"job"`
	Kind   Kind      `json:"kind"`
	Text   string    `json:"text"`             // one sentence with the numbers
	Detail string    `json:"detail,omitempty"` // of a failure: the explanation and what can be done
	At     time.Time `json:"at"`

	Status job.Status `json:"status"` // of the job at that time
}

// Final reports whether nothing more will come of the job.
func (e Event) Final() bool { return e.Kind == Ended || e.Kind == Gone }

// Limits say from when on something is worth an event. Those that are 0 are
// the usual ones.
type Limits struct {
	Silent      time.Duration // without output: 10 min, or four times the longest silence so far
	Idle        time.Duration // of a GPU: 10 min
	Unreachable time.Duration // of a backend: 3 min
	Trouble     time.Duration // after an error that ends most jobs, that this one still runs: 1 min
	DiskShare   float64       // free: 0.05
}

func (l Limits) filled() Limits {
	l.Silent = cmp.Or(l.Silent, 10*time.Minute)
	l.Idle = cmp.Or(l.Idle, 10*time.Minute)
	l.Unreachable = cmp.Or(l.Unreachable, 3*time.Minute)
	l.Trouble = cmp.Or(l.Trouble, time.Minute)
	l.DiskShare = cmp.Or(l.DiskShare, 0.05)
	return l
}

// A Watcher watches jobs of one Backend, which may be a job.Set. One Wait runs
// at a time; what it has learned it keeps for the next.
type Watcher struct {
	Backend job.Backend
	File    string // where it keeps what it has said; only this Watcher writes it. Kept nowhere if empty
	Limits  Limits

	// Report, if it is there, is called about once a second with the jobs that
	// are not done, while Wait waits.
	Report func([]job.Progress)

	// Gauge says how the machine of a job on this machine is; Machine if nil.
	Gauge func(ctx context.Context, status job.Status) (job.Gauge, error)

	waiting sync.Mutex // held by Wait, and by Heard if no Wait runs
	book    *book
	jobs    map[string]*watched

	ears  sync.Mutex // guards heard
	heard []Event    // not yet in the book

	mu       sync.Mutex // guards what follows, which several goroutines of Wait report
	progress map[string]job.Progress
	reported time.Time
}

// Wait returns when there is something to say of the jobs: at once if there is
// something that was not Heard, nil if all have ended and that was heard. When
// ctx ends it returns what there is, with the error if there is nothing.
func (w *Watcher) Wait(ctx context.Context, ids []string) ([]Event, error) {
	w.waiting.Lock()
	defer w.waiting.Unlock()
	open, events, err := w.begin(ids)
	if err != nil || len(events) > 0 || len(open) == 0 {
		return events, err
	}
	inner, found := context.WithCancel(ctx)
	defer found()
	var wg sync.WaitGroup
	for _, g := range w.groups(inner, open) {
		wg.Go(func() { g.run(inner, found) })
	}
	wg.Wait()
	err = w.listen()
	if events := w.book.pending(ids); len(events) > 0 {
		return events, nil // what could not be saved now is tried again when they are heard
	}
	return nil, errors.Join(err, context.Cause(ctx))
}

// begin returns the jobs that have not ended, and what was not heard.
func (w *Watcher) begin(ids []string) (open []*watched, events []Event, err error) {
	if err := w.load(); err != nil {
		return nil, nil, err
	}
	_ = w.listen() // what cannot be saved now is tried again at the end
	w.progress = map[string]job.Progress{}
	if events := w.book.pending(ids); len(events) > 0 {
		return nil, events, nil
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		page := w.book.page(id)
		if page.Ended {
			continue
		}
		if w.jobs[id] == nil {
			w.jobs[id] = &watched{id: id, page: page}
		}
		w.jobs[id].forgive()
		open = append(open, w.jobs[id])
	}
	return open, nil, nil
}

// load reads the file, the first time.
func (w *Watcher) load() error {
	if w.book != nil {
		return nil
	}
	b, err := loadBook(w.File)
	if err != nil {
		return fmt.Errorf("read what was said of jobs: %w", err)
	}
	w.book, w.jobs = b, map[string]*watched{}
	return nil
}

// Heard says that the events are where they will not be lost: they are not
// returned again. It does not wait for a Wait that runs, which writes it down
// when it ends: whoever says it may be the one who has to take what Wait reports.
func (w *Watcher) Heard(events ...Event) error {
	w.ears.Lock()
	w.heard = append(w.heard, events...)
	w.ears.Unlock()
	if !w.waiting.TryLock() {
		return nil
	}
	defer w.waiting.Unlock()
	if err := w.load(); err != nil {
		return err
	}
	return w.listen()
}

// listen writes down what was heard, and whatever else has changed.
func (w *Watcher) listen() error {
	w.ears.Lock()
	heard := w.heard
	w.heard = nil
	w.ears.Unlock()
	for _, e := range heard {
		w.book.heard(e)
		if e.Final() {
			delete(w.jobs, e.Job)
		}
	}
	return w.book.save(w.File)
}

// groups are the jobs by the backend that runs them, so that one that does not
// answer keeps nobody waiting but its own.
func (w *Watcher) groups(ctx context.Context, open []*watched) []*group {
	byName := map[string]*group{}
	for _, j := range open {
		if !j.known {
			spec, err := w.Backend.Spec(ctx, j.id)
			j.spec, j.known = spec, err == nil
		}
		g := byName[j.spec.Backend]
		if g == nil {
			g = &group{w: w, name: j.spec.Backend, limits: w.Limits.filled()}
			byName[j.spec.Backend] = g
		}
		g.jobs = append(g.jobs, j)
	}
	return slices.Collect(maps.Values(byName))
}

// report tells how the open jobs are, about once a second.
func (w *Watcher) report(jobs []*watched) {
	if w.Report == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, j := range jobs {
		w.progress[j.id] = job.Progress{Status: j.status, LastLine: j.lastLine}
	}
	if time.Since(w.reported) < time.Second {
		return
	}
	w.reported = time.Now()
	var open []job.Progress
	for _, id := range slices.Sorted(maps.Keys(w.progress)) {
		if p := w.progress[id]; p.Status.ID != "" && !p.Status.Done() {
			open = append(open, p)
		}
	}
	w.Report(open)
}
