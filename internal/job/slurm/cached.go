package slurm

import (
	"context"
	"sync"
	"time"
)

// A cached is what Slurm was asked last, so that however many ask at once, and
// for however many jobs, Slurm is asked one time. Failures are kept too.
type cached[T any] struct {
	mu    sync.Mutex // held while Slurm is asked
	value T
	err   error
	begun time.Time // when it was asked
	ended time.Time
}

// get returns an answer that is not older than age, and was asked for after a
// time. A zero time is any.
func (c *cached[T]) get(ctx context.Context, age time.Duration, after time.Time, ask func(context.Context) (T, error)) (T, error) {
	for !c.mu.TryLock() { // not Lock: who waits may be told to stop
		select {
		case <-ctx.Done():
			var none T
			return none, context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
	defer c.mu.Unlock()
	if !c.ended.IsZero() && time.Since(c.ended) < age && !c.begun.Before(after) {
		return c.value, c.err
	}
	begun := time.Now()
	value, err := ask(ctx)
	if err != nil && ctx.Err() != nil {
		return value, err // one who was told to stop says nothing of Slurm
	}
	c.value, c.err, c.begun, c.ended = value, err, begun, time.Now()
	return value, err
}
