package fetch

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"time"
)

// gates keep the pace of requests to each host.
type gates struct {
	pace map[string]time.Duration

	mu   sync.Mutex
	next map[string]time.Time // when a host may be asked again
}

// pass waits for the turn of a request.
func (g *gates) pass(ctx context.Context, u *url.URL) error {
	host := strings.ToLower(u.Host)
	pace, named := g.pace[host]
	if !named {
		pace, named = g.pace[strings.ToLower(u.Hostname())]
	}
	if !named {
		pace = usualPace
	}
	g.mu.Lock()
	if g.next == nil {
		g.next = map[string]time.Time{}
	}
	now := time.Now()
	turn := g.next[host]
	if turn.Before(now) {
		turn = now
	}
	if pace > 0 {
		g.next[host] = turn.Add(pace)
	}
	g.mu.Unlock()
	if wait := turn.Sub(now); wait > 0 {
		return sleep(ctx, wait)
	}
	return nil
}

// hold lets nobody ask a host that wants to be left alone for a while.
func (g *gates) hold(u *url.URL, wait time.Duration) {
	host, until := strings.ToLower(u.Host), time.Now().Add(wait)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next == nil {
		g.next = map[string]time.Time{}
	}
	if g.next[host].Before(until) {
		g.next[host] = until
	}
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
