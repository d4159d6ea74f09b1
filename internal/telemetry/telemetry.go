// Package telemetry sends what sessions do to a collector of OpenTelemetry:
// turns, model calls, tools and jobs as spans, times, tokens and money as
// metrics, by the conventions for generative AI.
//
// Its one rule: it reads the log and nothing waits for it. Spans are made of
// events that were saved, with ids made of the session's, so a session that goes
// on in another process goes on in its trace and nothing is sent twice. A
// collector that is slow, wrong or dead costs a line, never a turn.
//
// A Reader belongs to the process. It owns its queue and its one goroutine, which
// Close ends.
package telemetry

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/session"
)

// A Reader follows the logs of sessions. A nil Reader follows nothing.
type Reader struct {
	opts     Options
	instance string // tells the sums of this process from those of others
	metrics  metrics
	traces   *sender
	sums     *sender

	mu       sync.Mutex
	logs     map[string]*log
	queue    []*span
	lost     int      // spans without room in the queue, or that nobody took
	problems []string // that were not told yet
	said     map[string]bool

	start   sync.Once
	begun   bool
	full    chan struct{} // has one if a request is worth it
	closing chan struct{}
	ended   chan struct{}
	cut     context.CancelFunc // ends the requests at work
}

// New returns a Reader that sends as the options say, nil if they say nothing.
// It warns of what is wrong with them.
func New(opts Options, warnings []string) *Reader {
	r := &Reader{
		opts: opts, instance: rand.Text(), logs: make(map[string]*log), said: make(map[string]bool), metrics: metrics{delta: opts.Delta},
		full: make(chan struct{}, 1), closing: make(chan struct{}), ended: make(chan struct{}),
	}
	for _, text := range warnings {
		r.problem(text, text)
	}
	var err error
	if r.traces, err = newSender(opts.Traces); err != nil {
		r.problem("traces", err.Error())
	}
	if r.sums, err = newSender(opts.Metrics); err != nil {
		r.problem("metrics", err.Error())
	}
	if r.traces == nil && r.sums == nil && len(r.problems) == 0 {
		return nil
	}
	return r
}

// problem notes what a person should know, once for its kind.
func (r *Reader) problem(kind, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.said[kind] {
		r.said[kind] = true
		r.problems = append(r.problems, prefix+text)
	}
}

// failed notes that a collector took nothing: once for a host, whatever it was.
func (r *Reader) failed(t Target, text string) {
	host := t.URL
	if u, err := url.Parse(t.URL); err == nil {
		host = u.Host
	}
	r.problem("failed "+host, text)
}

// tellLost says how many spans are lost, in the same line as why if that was
// not told yet.
func (r *Reader) tellLost() {
	r.mu.Lock()
	lost := r.lost + len(r.queue)
	r.queue = nil
	if n := len(r.problems); n > 0 && lost > 0 && strings.HasPrefix(r.problems[n-1], prefix+"send ") {
		r.problems[n-1] += fmt.Sprintf("; %d spans are lost", lost)
		lost = 0
	}
	r.mu.Unlock()
	if lost > 0 {
		r.problem("lost", fmt.Sprintf("%d spans did not reach the collector", lost))
	}
}

// prefix begins every line that a person is told.
const prefix = "telemetry: "

// Problems returns what a person should know and was not told yet.
func (r *Reader) Problems() []string {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	told := r.problems
	r.problems = nil
	return told
}

// Store returns a store whose sessions are followed: what is appended is seen
// once it is saved, what is loaded is seen as another process's.
func (r *Reader) Store(s session.Store) session.Store {
	if r == nil || r.traces == nil && r.sums == nil {
		return s
	}
	return followed{s, r}
}

// followed is a store that a Reader looks at.
type followed struct {
	session.Store
	reader *Reader
}

// Append implements session.Store.
func (f followed) Append(ctx context.Context, id string, events ...session.Event) error {
	if err := f.Store.Append(ctx, id, events...); err != nil {
		return err
	}
	f.reader.saved(ctx, id, events)
	return nil
}

// Load implements session.Store.
func (f followed) Load(ctx context.Context, id string, after int64) iter.Seq2[session.Event, error] {
	if after > 0 {
		return f.Store.Load(ctx, id, after)
	}
	return func(yield func(session.Event, error) bool) {
		l := newLog(f.reader, id)
		l.past = true
		for ev, err := range f.Store.Load(ctx, id, after) {
			if err == nil {
				l.add(ev)
			}
			if !yield(ev, err) {
				return
			}
		}
		f.reader.loaded(l)
	}
}

// loaded goes on with a session of another process.
func (r *Reader) loaded(l *log) {
	l.rest() // what had its answer is over, and was sent
	l.past, l.since = false, time.Now().UTC()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logs[l.id] = l
}

// saved follows events that were saved here.
func (r *Reader) saved(ctx context.Context, id string, events []session.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.logs[id]
	if l == nil {
		l = newLog(r, id)
		r.logs[id] = l
	}
	for _, ev := range events {
		l.add(ev)
	}
	r.start.Do(func() {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it outlives what saves
		r.begun, r.cut = true, cancel
		go r.work(ctx)
	})
}

// Rest says that nobody works on the session for now: a turn that has its
// answer is over.
func (r *Reader) Rest(id string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.logs[id]; l != nil {
		l.rest()
	}
}

// done ends the session of a sub-agent. The caller holds the lock.
func (r *Reader) done(id string) {
	if l := r.logs[id]; l != nil {
		l.rest()
		delete(r.logs, id)
	}
}

// queueSpan has a span sent, unless too many wait. The caller holds the lock.
func (r *Reader) queueSpan(s *span) {
	if r.traces == nil {
		return
	}
	if len(r.queue) >= r.opts.queue {
		r.lost++
		return
	}
	r.queue = append(r.queue, s)
	if len(r.queue) >= r.opts.batch {
		select {
		case r.full <- struct{}{}:
		default:
		}
	}
}

// batch takes spans out of the queue.
func (r *Reader) batch() []*span {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.queue), r.opts.batch)
	batch := slices.Clone(r.queue[:n])
	r.queue = slices.Delete(r.queue, 0, n)
	return batch
}

func (r *Reader) lose(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost += n
}

// Limits of Close.
const (
	lastWords  = 5 * time.Second        // for a collector that has answered, or was not asked yet
	fewerWords = 500 * time.Millisecond // for one that has failed before
)

// Close sends what is left, within bounds, and ends the Reader. It may be
// called again.
func (r *Reader) Close() {
	if r == nil {
		return
	}
	r.mu.Lock()
	for _, l := range r.logs {
		l.rest()
	}
	begun := r.begun
	select {
	case <-r.closing:
		begun = false // it was closed before
	default:
		close(r.closing)
	}
	r.mu.Unlock()
	r.start.Do(func() {})
	if !begun {
		return
	}
	limit := time.AfterFunc(r.patience(), r.cut)
	<-r.ended
	limit.Stop()
	r.cut()
	r.traces.hangUp()
	r.sums.hangUp()
	r.tellLost()
}

// patience is how long Close waits.
func (r *Reader) patience() time.Duration {
	if r.traces.healthy() && r.sums.healthy() {
		return cmp.Or(r.opts.Patience, lastWords)
	}
	return fewerWords
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
