package llm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
)

var (
	cut  = &llm.TransportError{Err: errors.New("connection reset")}
	half = llm.Chunk{Text: "half"}
)

func fails(err error, before ...llm.Chunk) llmtest.Reply {
	return llmtest.Reply{Chunks: before, Err: err}
}

func status(code int, after time.Duration) llmtest.Reply {
	return fails(&llm.StatusError{Status: code, RetryAfter: after})
}

// outcome is what a caller of Stream sees: "half|again|hello|end".
func outcome(ctx context.Context, m llm.Model) (string, error) {
	var seen []string
	for c, err := range m.Stream(ctx, llmtest.Go()) {
		switch {
		case err != nil:
			return strings.Join(seen, "|"), err
		case c.Restart:
			seen = append(seen, "again")
		case c.Notice != "":
		case c.End != nil:
			seen = append(seen, "end")
		default:
			seen = append(seen, c.Text)
		}
	}
	return strings.Join(seen, "|"), nil
}

func TestRetry(t *testing.T) {
	t.Parallel()
	hello := llmtest.Say("hello")
	tests := []struct {
		name     string
		replies  []llmtest.Reply
		seen     string
		requests int
		min, max time.Duration // how long it takes
		err      string
	}{
		{"at once", []llmtest.Reply{hello}, "hello|end", 1, 0, 0, ""},
		{"after a reset", []llmtest.Reply{fails(cut), hello}, "hello|end", 2, 375 * time.Millisecond, 625 * time.Millisecond, ""},
		{"after half an answer", []llmtest.Reply{fails(cut, half), hello}, "half|again|hello|end", 2, 375 * time.Millisecond, 625 * time.Millisecond, ""},
		{"after a stream that just stops", []llmtest.Reply{{Chunks: []llm.Chunk{half}}, hello}, "half|again|hello|end", 2, 375 * time.Millisecond, 625 * time.Millisecond, ""},
		{"after silence", []llmtest.Reply{{}, hello}, "hello|end", 2, 375 * time.Millisecond, 625 * time.Millisecond, ""},
		{"half twice", []llmtest.Reply{fails(cut, half), fails(cut, half), hello}, "half|again|half|again|hello|end", 3, 1125 * time.Millisecond, 1875 * time.Millisecond, ""},
		{"doubling", []llmtest.Reply{status(500, 0), status(502, 0), status(529, 0), status(408, 0), hello}, "hello|end", 5, 5625 * time.Millisecond, 9375 * time.Millisecond, ""},
		{"when the server says", []llmtest.Reply{status(429, 7*time.Second), hello}, "hello|end", 2, 7 * time.Second, 7200 * time.Millisecond, ""},
		{"five times and no more", []llmtest.Reply{fails(cut), fails(cut), fails(cut), fails(cut), fails(cut), hello}, "", 5, 5625 * time.Millisecond, 9375 * time.Millisecond, "attempts: 5 in "},
		{"not beyond the limit", []llmtest.Reply{status(429, 6*time.Minute), hello}, "", 1, 0, 0, "attempts: 1 in 0s"},
		{"not beyond the limit, later", []llmtest.Reply{status(429, 4*time.Minute), status(429, 2*time.Minute), hello}, "", 2, 4 * time.Minute, 4 * time.Minute, "attempts: 2 in 4m0s"},
		{"not a bad key", []llmtest.Reply{status(401, 0), hello}, "", 1, 0, 0, "401"},
		{"not a bad request", []llmtest.Reply{status(400, 0), hello}, "", 1, 0, 0, "400"},
		{"not a bad request after a reset", []llmtest.Reply{fails(cut), status(400, 0), hello}, "", 2, 375 * time.Millisecond, 625 * time.Millisecond, "400"},
		{"not spent quota", []llmtest.Reply{fails(&llm.StatusError{Status: 429, Code: "insufficient_quota"}), hello}, "", 1, 0, 0, "insufficient_quota"},
		{"not what it does not know", []llmtest.Reply{fails(errors.New("odd")), hello}, "", 1, 0, 0, "odd"},
		{"half, then refused", []llmtest.Reply{fails(&llm.StatusError{Status: 400}, half), hello}, "half", 1, 0, 0, "400"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for range 20 { // the waits have jitter
				synctest.Test(t, func(t *testing.T) {
					m := &llmtest.Script{Replies: tt.replies}
					start := time.Now()
					seen, err := outcome(t.Context(), llm.Retry(m, llm.RetryOptions{}))
					took := time.Since(start)
					if seen != tt.seen || len(m.Requests()) != tt.requests {
						t.Errorf("seen %q in %d requests, want %q in %d", seen, len(m.Requests()), tt.seen, tt.requests)
					}
					if took < tt.min || took > tt.max {
						t.Errorf("it took %s, want %s to %s", took, tt.min, tt.max)
					}
					if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
						t.Errorf("got %v, want %q", err, tt.err)
					}
				})
			}
		})
	}
}

// Only what might have passed is called unreachable, and the cause stays.
func TestRetryErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		reply       llmtest.Reply
		unreachable bool
		is          error
	}{
		{fails(cut), true, cut},
		{status(503, 0), true, nil},
		{status(401, 0), false, llm.ErrAuth},
		{fails(&llm.StatusError{Status: 400, Code: "context_length_exceeded"}), false, llm.ErrContextOverflow},
	}
	for i, tt := range tests {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := llm.Retry(&llmtest.Script{Replies: []llmtest.Reply{tt.reply, tt.reply}}, llm.RetryOptions{Tries: 2, Wait: time.Second})
				_, err := outcome(t.Context(), m)
				if errors.Is(err, llm.ErrUnreachable) != tt.unreachable || tt.is != nil && !errors.Is(err, tt.is) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// Jitter spreads clients that failed together.
func TestRetryJitter(t *testing.T) {
	t.Parallel()
	waits := map[time.Duration]bool{}
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			if _, err := outcome(t.Context(), llm.Retry(&llmtest.Script{Replies: []llmtest.Reply{fails(cut), llmtest.Say("x")}}, llm.RetryOptions{})); err != nil {
				t.Fatal(err)
			}
			waits[time.Since(start)] = true
		})
	}
	if len(waits) < 25 {
		t.Errorf("50 clients waited only %d different times", len(waits))
	}
}

// A cancel ends a wait at once, and is reported as itself.
func TestRetryCancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		m := &llmtest.Script{Replies: []llmtest.Reply{status(429, time.Minute), llmtest.Say("late")}}
		start := time.Now()
		_, err := outcome(ctx, llm.Retry(m, llm.RetryOptions{}))
		if !errors.Is(err, context.Canceled) || errors.Is(err, llm.ErrUnreachable) || time.Since(start) != time.Second || len(m.Requests()) != 1 {
			t.Errorf("got %v after %s and %d requests", err, time.Since(start), len(m.Requests()))
		}
	})
}

// A failure of a canceled request is not tried again.
func TestRetryAfterCancel(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := &llmtest.Script{Replies: []llmtest.Reply{fails(cut), llmtest.Say("x")}}
	if seen, err := outcome(ctx, llm.Retry(m, llm.RetryOptions{})); err == nil || len(m.Requests()) != 1 {
		t.Errorf("got %q, %v in %d requests", seen, err, len(m.Requests()))
	}
}

// A caller that stops ranging, at any chunk, ends it all.
func TestRetryStop(t *testing.T) {
	t.Parallel()
	for stop := range 4 {
		synctest.Test(t, func(t *testing.T) {
			m := &llmtest.Script{Replies: []llmtest.Reply{fails(cut, half), llmtest.Say("hello"), llmtest.Say("never")}}
			n := 0
			for range llm.Retry(m, llm.RetryOptions{}).Stream(t.Context(), llmtest.Go()) {
				if n == stop {
					break
				}
				n++
			}
			if n != stop || len(m.Requests()) > 2 {
				t.Errorf("stopped at %d of %d with %d requests", n, stop, len(m.Requests()))
			}
		})
	}
}
