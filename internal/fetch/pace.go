package fetch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

const (
	usualQueue = time.Minute            // that a request waits for its turn, at most
	maxAhead   = 15 * time.Minute       // what is later is no turn but a clock that was set
	lockWait   = 500 * time.Millisecond // for the file that processes share
)

// A BusyError says that the turn of a request is too far away to wait for it.
type BusyError struct {
	Queue   string // the host, or what the request says
	Wait    time.Duration
	Refused bool // a request was refused, and nothing more is asked for a while
}

func (e *BusyError) Error() string {
	wait := e.Wait.Round(time.Second)
	if e.Refused {
		return fmt.Sprintf("%s refused a request and is left alone for %s more", e.Queue, wait)
	}
	return fmt.Sprintf("%s of requests to %s wait before this one; ask again later", wait, e.Queue)
}

// Is reports whether it is ErrBusy.
func (e *BusyError) Is(target error) bool { return target == ErrBusy }

// gates keep the pace of requests to each host: of all processes that share a
// folder, else of this one.
type gates struct {
	pace map[string]time.Duration
	dir  string

	mu    sync.Mutex
	slots slots
	file  sync.Mutex // one of this process at a time waits for the file's lock
}

// slots say of queues, most of them of a host, when it is the next one's turn.
type slots map[string]slot

// A slot is in nanoseconds of Unix time.
type slot struct {
	Next int64 `json:"next"`           // first free turn
	Held int64 `json:"held,omitempty"` // no turn before, since the host asked for that
}

// take gives a turn to a request, and says how long it is away.
func (s slots) take(queue string, pace, most time.Duration) (time.Duration, error) {
	now := time.Now().UnixNano()
	at := s[queue]
	turn := max(at.Next, at.Held, now)
	if wait := time.Duration(turn - now); wait > most {
		return 0, &BusyError{queue, wait, at.Held >= at.Next}
	}
	at.Next = turn + int64(pace)
	s[queue] = at
	return time.Duration(turn - now), nil
}

func (s slots) hold(queue string, until time.Time) {
	at := s[queue]
	at.Held = max(at.Held, until.UnixNano())
	s[queue] = at
}

// tidy forgets what is over, and what cannot be.
func (s slots) tidy() {
	now := time.Now().UnixNano()
	for host, at := range s {
		if last := max(at.Next, at.Held); last <= now || last > now+int64(maxAhead) {
			delete(s, host)
		}
	}
}

// paceOf is the least time between requests to a host.
func (g *gates) paceOf(u *url.URL) time.Duration {
	for _, name := range []string{strings.ToLower(u.Host), strings.ToLower(u.Hostname()), "*"} {
		if pace, ok := g.pace[name]; ok {
			return pace
		}
	}
	return usualPace
}

// pass waits for the turn of a request in a queue. Who would wait for longer
// than most is told so at once.
func (g *gates) pass(ctx context.Context, queue string, pace, most time.Duration) error {
	var wait time.Duration
	var refused error
	err := g.change(ctx, func(s slots) { wait, refused = s.take(queue, pace, most) })
	switch {
	case err != nil:
		return err
	case refused != nil:
		return refused
	case wait > 0:
		return sleep(ctx, wait)
	}
	return nil
}

// hold lets nobody pass for a while.
func (g *gates) hold(ctx context.Context, queue string, wait time.Duration) {
	until := time.Now().Add(min(wait, maxAhead))
	_ = g.change(ctx, func(s slots) { s.hold(queue, until) })
}

// change changes the slots. Where the file cannot be used, those of this
// process count. It fails only when ctx ends.
func (g *gates) change(ctx context.Context, do func(slots)) error {
	if g.dir != "" {
		if done, err := g.changeFile(ctx, do); done || err != nil {
			return err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.slots == nil {
		g.slots = slots{}
	}
	g.slots.tidy()
	do(g.slots)
	return nil
}

// changeFile changes the slots of the file, under its lock. A file that cannot
// be read is an empty one.
func (g *gates) changeFile(ctx context.Context, do func(slots)) (done bool, err error) {
	g.file.Lock()
	defer g.file.Unlock()
	if os.MkdirAll(g.dir, 0o700) != nil {
		return false, nil
	}
	lock := flock.New(filepath.Join(g.dir, "pace.lock"), flock.SetPermissions(0o600))
	waiting, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	locked, err := lock.TryLockContext(waiting, 2*time.Millisecond)
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if err != nil || !locked {
		return false, nil //nolint:nilerr // then the pace is kept in this process
	}
	defer func() { _ = lock.Unlock() }()
	path := filepath.Join(g.dir, "pace.json")
	all := slots{}
	if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &all) != nil || all == nil {
		all = slots{}
	}
	all.tidy()
	do(all)
	text, err := json.Marshal(all)
	return err == nil && os.WriteFile(path, text, 0o600) == nil, nil
}

// locks are locks by name, which are gone when nobody wants them.
type locks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when the lock is free again
}

func (l *locks) lock(ctx context.Context, name string) (unlock func(), err error) {
	for {
		l.mu.Lock()
		free, held := l.held[name]
		if !held {
			if l.held == nil {
				l.held = map[string]chan struct{}{}
			}
			free = make(chan struct{})
			l.held[name] = free
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				delete(l.held, name)
				l.mu.Unlock()
				close(free)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-free:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
