package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/fetch"
)

// A far is a host far away, of which a test sees the requests.
type far func(*http.Request) *http.Response

func (f far) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return f(r), nil
}

func answer(status int, header http.Header, text string) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(text)), ContentLength: -1}
}

// Requests of all goroutines keep the pace of each host; the wait for a turn
// does not count as the host's time.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		seen := map[string][]time.Duration{}
		c := &fetch.Client{Timeout: time.Second, Pace: map[string]time.Duration{"slow.example": 3 * time.Second}, HTTP: far(func(r *http.Request) *http.Response {
			mu.Lock()
			defer mu.Unlock()
			seen[r.URL.Host] = append(seen[r.URL.Host], time.Since(start))
			return answer(200, nil, "x")
		})}
		var wg sync.WaitGroup
		for range 4 {
			for _, host := range []string{"SLOW.example", "usual.example"} {
				wg.Go(func() {
					if _, err := c.Get(t.Context(), fetch.Request{URL: "https://" + host}); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		for host, want := range map[string][]time.Duration{
			"SLOW.example":  {0, 3 * time.Second, 6 * time.Second, 9 * time.Second},
			"usual.example": {0, 200 * time.Millisecond, 400 * time.Millisecond, 600 * time.Millisecond},
		} {
			if got := seen[host]; !slices.Equal(got, want) {
				t.Errorf("%s was asked at %v, want %v", host, got, want)
			}
		}
	})
}

// trickle gives what it has, then the rest after a while, unless its request has ended.
type trickle struct {
	ctx   context.Context
	parts []io.Reader
	wait  time.Duration
}

func (r *trickle) Read(b []byte) (int, error) {
	n, err := r.parts[0].Read(b)
	if err != io.EOF || len(r.parts) == 1 {
		return n, err
	}
	r.parts = r.parts[1:]
	time.Sleep(r.wait)
	return 0, r.ctx.Err()
}

// Of large answers one is read at a time; the others' wait is no host's time.
func TestLargeAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := &fetch.Client{Timeout: 30 * time.Second, HTTP: far(func(r *http.Request) *http.Response {
			zeros := func() io.Reader { return io.LimitReader(zero{}, 3<<20) }
			resp := answer(200, nil, "")
			resp.Body = io.NopCloser(&trickle{r.Context(), []io.Reader{zeros(), zeros()}, 20 * time.Second})
			return resp
		})}
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				if resp, err := c.Get(t.Context(), fetch.Request{URL: fmt.Sprintf("https://%d.example", i)}); err != nil || len(resp.Body) != 6<<20 {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != 80*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

type zero struct{}

func (zero) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// Who is told to wait makes the others wait too. A wait that is too long is
// told at once.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		limited := true
		c := &fetch.Client{HTTP: far(func(r *http.Request) *http.Response {
			switch {
			case r.URL.Path == "/long":
				return answer(429, http.Header{"Retry-After": {"21"}}, "")
			case r.URL.Path == "/date":
				return answer(503, http.Header{"Retry-After": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}}, "")
			case r.URL.Path == "/always":
				return answer(429, http.Header{"Retry-After": {"11"}}, "")
			case limited:
				limited = false
				return answer(429, http.Header{"Retry-After": {"7"}}, "")
			}
			return answer(200, nil, "x")
		})}
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Second)
				if _, err := c.Get(t.Context(), fetch.Request{URL: "https://api.example"}); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took < 7*time.Second || took > 8*time.Second {
					t.Errorf("%d took %v", i, took)
				}
			})
		}
		wg.Wait()
		for path, want := range map[string]struct{ took, wait time.Duration }{
			"/long": {0, 21 * time.Second}, "/date": {0, time.Hour}, "/always": {11 * time.Second, 11 * time.Second},
		} {
			began := time.Now()
			_, err := c.Get(t.Context(), fetch.Request{URL: "https://" + path[1:] + ".example" + path})
			status, ok := errors.AsType[*fetch.StatusError](err)
			if took := time.Since(began); !ok || status.Wait > want.wait || status.Wait < want.wait-time.Second || took != want.took {
				t.Errorf("%s: %v after %v", path, err, took)
			}
		}
	})
}

// The caller's own end is told as such, at once.
func TestCancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &fetch.Client{HTTP: far(func(*http.Request) *http.Response { return answer(500, http.Header{"Retry-After": {"15"}}, "") })}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("enough"))
		defer cancel()
		_, err := c.Get(ctx, fetch.Request{URL: "https://a.example"})
		if err == nil || err.Error() != "enough" || errors.Is(err, fetch.ErrUnreachable) {
			t.Error(err)
		}
	})
}
