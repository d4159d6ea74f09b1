package llm

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"time"
)

// RetryOptions limits Retry by count and by time.
type RetryOptions struct {
	Tries int           // attempts in all; 5 if 0
	Wait  time.Duration // before the second attempt, then doubled, ±25 %; 500 ms if 0
	Total time.Duration // no wait may end later than this after the start; 5 min if 0
}

// Retry returns a Model that repeats a failed request of m. It repeats one
// model call and nothing else: no tool has run yet. When it gives up on a
// failure that might have passed, the error wraps ErrUnreachable.
func Retry(m Model, opts RetryOptions) Model {
	if opts.Tries == 0 {
		opts.Tries = 5
	}
	if opts.Wait == 0 {
		opts.Wait = 500 * time.Millisecond
	}
	if opts.Total == 0 {
		opts.Total = 5 * time.Minute
	}
	return retrier{m, opts}
}

type retrier struct {
	Model
	opts RetryOptions
}

var (
	errStopped = errors.New("the caller stopped ranging")
	errCut     = errors.New("the reply was cut in the middle")
)

// Stream implements Model. Chunks of an attempt that failed are made void by
// a Restart chunk; a Notice says what is waited for.
func (r retrier) Stream(ctx context.Context, req Request) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		start := time.Now()
		for try := 1; ; try++ {
			shown, err := forward(r.Model.Stream(ctx, req), yield)
			if err == nil || errors.Is(err, errStopped) {
				return
			}
			if ctx.Err() != nil || !Temporary(err) {
				yield(Chunk{}, err)
				return
			}
			wait := r.wait(try, err)
			if try >= r.opts.Tries || time.Since(start)+wait > r.opts.Total {
				yield(Chunk{}, fmt.Errorf("%w, attempts: %d in %s: %w", ErrUnreachable, try, time.Since(start).Round(time.Second), err))
				return
			}
			if shown && !yield(Chunk{Restart: true}, nil) {
				return
			}
			if !yield(Chunk{Notice: fmt.Sprintf("%v; asking again in %s", err, wait.Round(100*time.Millisecond))}, nil) {
				return
			}
			if err := sleep(ctx, wait); err != nil {
				yield(Chunk{}, err)
				return
			}
		}
	}
}

// wait is what the provider asked for, else an exponential backoff with jitter.
func (r retrier) wait(try int, err error) time.Duration {
	if e, ok := errors.AsType[*StatusError](err); ok && e.RetryAfter > 0 {
		return e.RetryAfter
	}
	backoff := float64(r.opts.Wait) * math.Exp2(float64(try-1)) * (0.75 + rand.Float64()/2)
	return time.Duration(min(backoff, float64(time.Minute)))
}

// forward yields the chunks of one attempt and reports whether any was shown.
func forward(chunks iter.Seq2[Chunk, error], yield func(Chunk, error) bool) (shown bool, err error) {
	for c, err := range chunks {
		if err != nil {
			return shown, err
		}
		if !yield(c, nil) {
			return shown, errStopped
		}
		if c.End != nil {
			return true, nil
		}
		shown = shown || c.Notice == ""
	}
	return shown, &TransportError{errCut}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
