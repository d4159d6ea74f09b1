package wire_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/wire"
)

// A refusal is mended while something can be, and never once a piece was shown.
func TestMend(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	run := func(fails, mends int, shown bool) (attempts int, notices int, last error) {
		wire.Mend(
			func(yield func(llm.Chunk, error) bool) error {
				if attempts++; attempts > fails {
					yield(llm.Chunk{Text: "ok"}, nil)
					return nil
				}
				if shown {
					yield(llm.Chunk{Text: "half"}, nil)
				}
				return refused
			},
			func(error) string {
				if mends--; mends < 0 {
					return ""
				}
				return "without it"
			},
			func(c llm.Chunk, err error) bool {
				if c.Notice != "" {
					notices++
				}
				last = err
				return true
			},
		)
		return attempts, notices, last
	}
	for name, tt := range map[string]struct {
		fails, mends      int
		shown             bool
		attempts, notices int
		err               error
	}{
		"at once":         {0, 9, false, 1, 0, nil},
		"mended":          {2, 9, false, 3, 2, nil},
		"nothing known":   {1, 0, false, 1, 0, refused},
		"again, for ever": {99, 99, false, 9, 8, refused},
		"after a piece":   {1, 9, true, 1, 0, refused},
	} {
		if attempts, notices, err := run(tt.fails, tt.mends, tt.shown); attempts != tt.attempts || notices != tt.notices || !errors.Is(err, tt.err) {
			t.Errorf("%s: %d attempts, %d notices, %v", name, attempts, notices, err)
		}
	}
}

// A key is in no error, wherever it was.
func TestFailureHidesTheKey(t *testing.T) {
	t.Parallel()
	const key = "sk-0123456789"
	for _, err := range []error{
		&llm.StatusError{Status: 400, Code: key, Message: "bad " + key}, errors.New("odd " + key), &llm.TransportError{Err: errors.New(key)},
	} {
		if got := wire.Failure(t.Context(), err, key); strings.Contains(got.Error(), key) {
			t.Errorf("got %v", got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := wire.Failure(ctx, errors.New("x"), key); !errors.Is(got, context.Canceled) || llm.Temporary(got) {
		t.Errorf("canceled: %v", got)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "3": 3 * time.Second, "0.5": 500 * time.Millisecond, "-1": 0, "soon": 0, "1e300": 24 * time.Hour,
		"Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second, "Fri, 02 Jan 2025 03:04:15 GMT": 0,
	} {
		if got := wire.RetryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
	if got := wire.RetryAfter(http.Header{"Retry-After-Ms": {"250"}, "Retry-After": {"9"}}, now); got != 250*time.Millisecond {
		t.Errorf("milliseconds: %s", got)
	}
}

// A message is one line that a terminal does not obey.
func TestClip(t *testing.T) {
	t.Parallel()
	if got := wire.Clip("a\x1b[31m\n\tb \u009b2J" + strings.Repeat("ü", 600)); strings.ContainsAny(got, "\x1b\n\u009b") || len(got) > 510 || !strings.HasPrefix(got, "a [31m b 2J") {
		t.Errorf("got %q", got)
	}
}
