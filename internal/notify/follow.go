package notify

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ml-intern/internal/session"
)

// A log is the part of a session.Store that a Follower reads.
type log interface {
	Load(ctx context.Context, id string, after int64) iter.Seq2[session.Event, error]
}

// Options say who is told, and how.
type Options struct {
	Destinations []Destination
	File         string // the record of the session; see File
}

// A Follower follows one session's log and tells the destinations.
type Follower struct {
	opts Options
	id   string
	log  log

	kick chan struct{} // the log may have grown, or a turn is over
	quit chan struct{} // nothing more will come
	work sync.WaitGroup
	stop context.CancelFunc

	working atomic.Bool // a turn works: an answer may not be the last word

	mu      sync.Mutex // of what follows
	started bool
	seq     int64
	digest  *digest
	record  *record
	lines   []*line
	say     func(string)
	unsaid  []string
	saying  sync.Mutex // of who calls say, which is not called twice at once
	broken  bool       // what is written down is lost
	redact  func(string) string
}

// A line is what waits for one destination.
type line struct {
	Destination
	queue []placed
	more  chan struct{} // there is something in the queue, or over is set
	over  bool
}

// maxQueue is how much may wait for one destination.
const maxQueue = 100

// New returns a Follower that is not started yet: the model may say something
// by it already. It is nil without destinations.
func New(id string, opts Options) *Follower {
	if len(opts.Destinations) == 0 {
		return nil
	}
	return &Follower{opts: opts, id: id, kick: make(chan struct{}, 1), quit: make(chan struct{})}
}

// Start follows the log from where the record says, which is the end for a
// session that has none: an old one does not tell its history. What stands in
// the log so far is given. The Follower goes on when ctx ends, until Close. A
// record that cannot be read or written costs the notifications, not the session.
// Redact takes secrets out of all that is told; nil takes none.
func (f *Follower) Start(ctx context.Context, from log, before []session.Event, redact func(string) string) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.redact = redact
	if err := f.begin(from, before); err != nil {
		f.tell("nothing is notified in this session: %v", err)
		return
	}
	ctx, f.stop = context.WithCancel(context.WithoutCancel(ctx))
	f.started = true
	f.work.Go(func() { f.read(ctx) })
	for _, l := range f.lines {
		f.work.Go(func() { f.send(ctx, l) })
	}
}

// begin reads what was told, and what of the log was not. The caller holds mu.
func (f *Follower) begin(from log, before []session.Event) error {
	r, err := f.load()
	if err != nil {
		return err
	}
	f.log, f.digest = from, newDigest(f.id, f.redact)
	end := endOf(int64(len(before)))
	for _, d := range f.opts.Destinations {
		t := r.To[d.Name]
		if t == nil || d.Live {
			t = &told{At: end}
			r.To[d.Name] = t
		}
		if t.Sending != "" {
			f.tell("a notification to %s was under way when the program ended before; it may not have arrived, and is not sent again", d.Name)
		}
		f.lines = append(f.lines, &line{Destination: d, more: make(chan struct{}, 1)})
	}
	for _, ev := range before {
		f.add(ev)
	}
	f.put(f.digest.rest())
	for _, l := range f.lines {
		if t := r.To[l.Name]; t.Sending != "" {
			loss := Loss{ID: t.Sending, Time: time.Now().UTC(), Error: "the program ended while it was sent: it may have arrived"}
			if i := slices.IndexFunc(l.queue, func(m placed) bool { return m.ID == t.Sending }); i >= 0 {
				loss.Event = l.queue[i].Event
			}
			t.lose(loss)
		}
		f.skip(l)
	}
	f.catchUp()
	return r.save()
}

// endOf is the end of a log of so many events.
func endOf(seq int64) place { return place{seq, math.MaxInt32} }

// catchUp notes that who waits for nothing has been told all: who is to be told
// more kinds later is not told history. An answer that may be the last word is
// not told yet. The caller holds mu.
func (f *Follower) catchUp() {
	end := endOf(f.seq)
	if a := f.digest.answer; a != nil {
		end = endOf(a.Seq - 1)
	}
	for _, l := range f.lines {
		if t := f.record.To[l.Name]; len(l.queue) == 0 {
			t.At = end
		}
	}
}

// load reads the record, once.
func (f *Follower) load() (*record, error) {
	if f.record != nil {
		return f.record, nil
	}
	r, err := loadRecord(f.opts.File)
	f.record = r
	return r, err
}

// skip leaves out what was being sent when the program ended.
func (f *Follower) skip(l *line) {
	t := f.record.To[l.Name]
	if i := slices.IndexFunc(l.queue, func(m placed) bool { return m.ID == t.Sending }); t.Sending != "" && i >= 0 {
		t.At = l.queue[i].at
		l.queue = l.queue[i+1:]
	}
	t.Sending = ""
}

// Say has the function told what could not be sent, one thing after the other.
func (f *Follower) Say(say func(string)) {
	if f == nil {
		return
	}
	f.mu.Lock()
	f.say = say
	unsaid := f.unsaid
	f.unsaid = nil
	f.mu.Unlock()
	f.work.Go(func() { // whoever is told may wait for the caller
		f.saying.Lock()
		defer f.saying.Unlock()
		for _, text := range unsaid {
			say(text)
		}
	})
}

// tell says something to the person, or keeps it until somebody listens. The
// caller holds mu, which is let go meanwhile.
func (f *Follower) tell(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if f.say == nil {
		f.unsaid = append(f.unsaid, text)
		return
	}
	say := f.say
	f.mu.Unlock()
	defer f.mu.Lock()
	f.saying.Lock()
	defer f.saying.Unlock()
	say(text)
}

// Grew says that the log may have grown. It waits for nothing.
func (f *Follower) Grew() {
	if f == nil {
		return
	}
	select {
	case f.kick <- struct{}{}:
	default:
	}
}

// Working says whether a turn works. When none does, the answer that the log
// ends with is the last word.
func (f *Follower) Working(works bool) {
	if f == nil {
		return
	}
	f.working.Store(works)
	f.Grew()
}

// read reads the log whenever it has grown.
func (f *Follower) read(ctx context.Context) {
	for open := true; open; {
		select {
		case <-f.kick:
		case <-f.quit:
			open = false
		}
		if err := f.take(ctx); err != nil {
			f.mu.Lock()
			f.tell("read the session's log for notifications: %v", err)
			f.mu.Unlock()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.lines {
		l.over = true
		l.wake()
	}
}

func (l *line) wake() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// take reads what is new in the log. If no turn worked before that, all that the
// last one said is read then.
func (f *Follower) take(ctx context.Context) error {
	over := !f.working.Load()
	f.mu.Lock()
	after := f.seq
	f.mu.Unlock()
	for ev, err := range f.log.Load(ctx, f.id, after) {
		if err != nil {
			return err
		}
		f.mu.Lock()
		f.add(ev)
		f.mu.Unlock()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if over {
		f.put(f.digest.rest())
	}
	return nil
}

// add reads one event. The caller holds mu.
func (f *Follower) add(ev session.Event) {
	f.seq = ev.Seq
	f.put(f.digest.add(ev))
}

// put gives messages to the destinations that are to be told. The caller holds mu.
func (f *Follower) put(messages []placed) {
	for _, m := range messages {
		m.Message = m.tidy(f.redact)
		for _, l := range f.lines {
			if t := f.record.To[l.Name]; !slices.Contains(l.Events, m.Event) || !m.at.after(t.At) {
				continue
			}
			if len(l.queue) >= maxQueue {
				lost := l.queue[1] // the first may be on its way
				f.record.To[l.Name].lose(Loss{lost.ID, lost.Event, time.Now().UTC(), "too many were waiting"})
				l.queue = slices.Delete(l.queue, 1, 2)
			}
			l.queue = append(l.queue, m)
			l.wake()
		}
	}
}

// send sends what waits for a destination, in order.
func (f *Follower) send(ctx context.Context, l *line) {
	for ctx.Err() == nil {
		f.mu.Lock()
		if len(l.queue) == 0 {
			over := l.over
			f.mu.Unlock()
			if over {
				return
			}
			select {
			case <-l.more:
			case <-ctx.Done():
			}
			continue
		}
		m := l.queue[0]
		stale := f.digest.stale(m)
		if stale {
			f.done(l, m, nil, true)
		}
		f.mu.Unlock()
		if !stale {
			err := deliver(ctx, l.To, m.Message, maxPatience, func() error { return f.mark(l, m.ID) }, func() error { return f.mark(l, "") })
			f.mu.Lock()
			f.done(l, m, err, false)
			f.mu.Unlock()
		}
	}
}

// maxPatience is how long a destination that wants to be left alone is waited for.
const maxPatience = 5 * time.Minute

var errRecord = errors.New("it was not sent, since that could not be written down")

// mark writes down what is being sent now, "" for nothing.
func (f *Follower) mark(l *line, id string) error {
	if l.Live {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.record.To[l.Name].Sending = id
	if err := f.record.save(); err != nil {
		return fmt.Errorf("%w: %w", errRecord, err)
	}
	return nil
}

// done notes what became of a message. The caller holds mu.
func (f *Follower) done(l *line, m placed, err error, skipped bool) {
	t := f.record.To[l.Name]
	if errors.Is(err, errLater) || errors.Is(err, errCut) {
		return // to be sent, or in doubt, at the next start: as it was written down
	}
	if len(l.queue) > 0 && l.queue[0].ID == m.ID {
		l.queue = l.queue[1:]
	}
	t.At, t.Sending = m.at, ""
	switch {
	case err != nil:
		t.lose(Loss{m.ID, m.Event, time.Now().UTC(), err.Error()})
		f.tell("the notification %q did not reach %s: %v", m.Title, l.Name, err)
	case !skipped:
		t.Sent++
	}
	if l.Live {
		return
	}
	if err := f.record.save(); err != nil && !f.broken {
		f.broken = true
		f.tell("%v; after a restart notifications may be said to be in doubt that have arrived", err)
	}
}

// Close tells what is still to be told, for so long at most, and says what was
// not. That is told when the session goes on.
func (f *Follower) Close(patience time.Duration) {
	if f == nil {
		return
	}
	if !f.started {
		f.work.Wait()
		return
	}
	close(f.quit)
	limit := time.NewTimer(patience)
	defer limit.Stop()
	over := make(chan struct{})
	go func() { // ends with what it waits for
		f.work.Wait()
		close(over)
	}()
	select {
	case <-over:
	case <-limit.C:
	}
	f.stop()
	<-over
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started = false
	for _, l := range f.lines {
		t := f.record.To[l.Name]
		if id := t.Sending; id != "" && !l.Live && len(l.queue) > 0 {
			t.lose(Loss{id, l.queue[0].Event, time.Now().UTC(), "it was given up while it was sent: it may have arrived"})
			f.tell("a notification to %s had no answer in time; it may have arrived, and is not sent again", l.Name)
			f.skip(l)
		}
		if n := len(l.queue); n > 0 && !l.Live {
			f.tell("%s is still to be told %d things, and is when the session goes on", l.Name, n)
		}
	}
	f.catchUp()
	if err := f.record.save(); err != nil {
		f.tell("%v", err)
	}
}

// AgentNames lists the destinations that the model may send to.
func (f *Follower) AgentNames() []string {
	if f == nil {
		return nil
	}
	names := make(map[string]bool)
	for _, d := range f.opts.Destinations {
		if d.Agent {
			names[d.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
