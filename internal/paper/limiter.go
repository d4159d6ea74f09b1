package paper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ml-intern/internal/fetch"
)

// Semantic Scholar allows a key one request a second over all its services.
// Without one, everybody shares a pool that is often empty; it does not say
// until when. All processes that share the pace of the fetch.Client keep to
// it together. Nobody waits for longer than patience: they are told at once,
// and ask another source.
const (
	scholarGap  = time.Second
	patience    = 8 * time.Second  // that a request waits for its turn and its answer
	leaveAlone  = 20 * time.Second // after a refusal, with a key
	leaveLonger = 60 * time.Second // without
)

// scholarJSON asks Semantic Scholar in its turn.
func (c *Client) scholarJSON(ctx context.Context, in fetch.Request, out any) error {
	outer := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, 2*patience, fmt.Errorf("%w: no answer in %s", errBusy, 2*patience))
	defer cancel()
	in.URL = c.scholar() + in.URL
	in.MaxAge, in.Queue, in.Pace, in.Patience = 24*time.Hour, c.queue(), scholarGap, patience
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
		c.Fetch.Leave(outer, c.queue(), leaveAlone)
		return context.Cause(ctx)
	}
	return c.refusal(outer, err)
}

// refusal turns the ways of saying no into what helps.
func (c *Client) refusal(ctx context.Context, err error) error {
	if busy, ok := errors.AsType[*fetch.BusyError](err); ok {
		return fmt.Errorf("%w: %w", errBusy, busy)
	}
	if !errors.Is(err, fetch.ErrRateLimited) {
		if errors.Is(err, fetch.ErrForbidden) && c.ScholarKey != "" {
			return fmt.Errorf("Semantic Scholar refuses the key in %s: %w", c.keyName(), err)
		}
		return err
	}
	wait, advice := leaveLonger, "; a key of one's own in "+c.keyName()+" helps"
	if c.ScholarKey != "" {
		wait, advice = leaveAlone, ""
	}
	if status, ok := errors.AsType[*fetch.StatusError](err); ok && status.Wait > 0 {
		wait = min(status.Wait, 10*time.Minute)
	}
	c.Fetch.Leave(ctx, c.queue(), wait)
	return fmt.Errorf("%w: too many requests, ask again in %s%s", errBusy, wait, advice)
}

// queue is that of Semantic Scholar alone: a host may serve others, too.
func (c *Client) queue() string { return "Semantic Scholar at " + host(c.scholar()) }

// keyName is the variable with the key.
func (c *Client) keyName() string {
	if c.ScholarKeyName != "" {
		return c.ScholarKeyName
	}
	return "S2_API_KEY"
}
