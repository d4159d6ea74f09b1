package paper

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"ml-intern/internal/fetch"
)

// Semantic Scholar allows a key one request a second over all its services.
// Without one, everybody shares a pool that is often empty; it does not say
// until when.
const (
	scholarGap  = time.Second
	patience    = 8 * time.Second  // that a request waits for its turn and its answer
	leaveAlone  = 20 * time.Second // after a refusal, with a key
	leaveLonger = 60 * time.Second // without
)

// A limiter gives turns to all who share a Client. It makes nobody wait for
// longer than patience: they are told at once, and ask another source.
type limiter struct {
	mu    sync.Mutex
	next  time.Time // first free turn
	until time.Time // no turns before, since the last request was refused
}

// turn waits for a turn, or says why there is none soon.
func (l *limiter) turn(ctx context.Context) error {
	l.mu.Lock()
	now := time.Now()
	if l.until.After(now) {
		wait := l.until.Sub(now)
		l.mu.Unlock()
		return fmt.Errorf("%w: it refused a request and is left alone for %s more", errBusy, wait.Round(time.Second))
	}
	at := l.next
	if at.Before(now) {
		at = now
	}
	wait := at.Sub(now)
	if wait > patience {
		l.mu.Unlock()
		return fmt.Errorf("%w: %s of requests wait before this one", errBusy, wait.Round(time.Second))
	}
	l.next = at.Add(scholarGap)
	l.mu.Unlock()
	if wait == 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// refused notes a refusal, and for how long to ask nothing.
func (l *limiter) refused(wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := time.Now().Add(wait); until.After(l.until) {
		l.until = until
	}
}

// scholarJSON asks Semantic Scholar in its turn.
func (c *Client) scholarJSON(ctx context.Context, in fetch.Request, out any) error {
	outer := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, 2*patience, fmt.Errorf("%w: no answer in %s", errBusy, 2*patience))
	defer cancel()
	if err := c.limit.turn(ctx); err != nil {
		return err
	}
	in.URL = c.scholar() + in.URL
	in.MaxAge = 24 * time.Hour
	in.Header = map[string][]string{}
	if c.ScholarKey != "" {
		in.Header.Set("X-Api-Key", c.ScholarKey)
	}
	if in.Body != nil {
		in.Method = "POST"
		in.Header.Set("Content-Type", "application/json")
	}
	err := c.json(ctx, in, out)
	if err != nil && outer.Err() == nil && errors.Is(context.Cause(ctx), errBusy) {
		c.limit.refused(leaveAlone)
		return context.Cause(ctx)
	}
	return c.refusal(err)
}

// refusal turns the ways of saying no into what helps.
func (c *Client) refusal(err error) error {
	if !errors.Is(err, fetch.ErrRateLimited) {
		if errors.Is(err, fetch.ErrForbidden) && c.ScholarKey != "" {
			return fmt.Errorf("Semantic Scholar refuses the key in S2_API_KEY: %w", err)
		}
		return err
	}
	wait, advice := leaveLonger, "; a key of one's own in S2_API_KEY helps"
	if c.ScholarKey != "" {
		wait, advice = leaveAlone, ""
	}
	if status, ok := errors.AsType[*fetch.StatusError](err); ok && status.Wait > 0 {
		wait = min(status.Wait, 10*time.Minute)
	}
	c.limit.refused(wait)
	return fmt.Errorf("%w: too many requests, ask again in %s%s", errBusy, wait, advice)
}
