package paper

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/fetch"
)

// A far is a service far away.
type far func(*http.Request) int

func (f far) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: f(r), Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), ContentLength: -1}, nil
}

func TestScholarLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		status := 200
		c := &Client{Fetch: &fetch.Client{HTTP: far(func(*http.Request) int { return status })}}
		asked := 0
		ask := func(ctx context.Context) error {
			asked++
			var out any
			return c.scholarJSON(ctx, fetch.Request{URL: "/graph/" + strconv.Itoa(asked)}, &out)
		}
		began := time.Now()
		for range 3 {
			if err := ask(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("three turns took %v", took)
		}
		// Of many at once, those whose turn is far are told at once.
		results := make(chan error, 20)
		for i := range 20 {
			go func() {
				var out any
				results <- c.scholarJSON(t.Context(), fetch.Request{URL: "/many/" + strconv.Itoa(i)}, &out)
			}()
		}
		busy := 0
		for range 20 {
			if err := <-results; errors.Is(err, errBusy) {
				busy++
			} else if err != nil {
				t.Error(err)
			}
		}
		if busy != 12 {
			t.Errorf("%d were turned away, want 12", busy)
		}
		status = 429
		if err := ask(t.Context()); !errors.Is(err, errBusy) || !strings.Contains(err.Error(), "S2_API_KEY helps") {
			t.Errorf("refused: %v", err)
		}
		status = 200
		began = time.Now()
		if err := ask(t.Context()); !errors.Is(err, errBusy) || time.Since(began) != 0 || !strings.Contains(err.Error(), "left alone for 1m0s more") {
			t.Errorf("after a refusal: %v", err)
		}
		var out any
		if err := c.hubJSON(t.Context(), "/api/papers", nil, &out); err != nil {
			t.Errorf("another service: %v", err)
		}
		time.Sleep(61 * time.Second)
		if err := ask(t.Context()); err != nil {
			t.Errorf("later: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := ask(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
	})
}

// A token that the Hub refuses keeps nobody from papers, which are public.
func TestRefusedToken(t *testing.T) {
	t.Parallel()
	var seen []string
	c := &Client{HubToken: func(context.Context) string { return "old" }, Fetch: &fetch.Client{HTTP: far(func(r *http.Request) int {
		seen = append(seen, r.Header.Get("Authorization"))
		if seen[len(seen)-1] != "" {
			return 401
		}
		return 200
	})}}
	var out any
	if err := c.hubJSON(t.Context(), "/api/papers/x", nil, &out); err != nil || len(seen) != 2 || seen[0] != "Bearer old" {
		t.Errorf("%q, %v", seen, err)
	}
}

func FuzzAtom(f *testing.F) {
	f.Add([]byte(`<feed><totalResults>1</totalResults><entry><id>http://arxiv.org/abs/2401.00001v1</id><title>T</title><author><name>A</name></author></entry></feed>`))
	f.Add([]byte(`<feed><entry><id>http://arxiv.org/api/errors#x</id><summary>incorrect id format</summary></entry></feed>`))
	f.Fuzz(func(t *testing.T, text []byte) {
		papers, total, err := ParseAtom(text)
		if err != nil && (papers != nil || total != 0) || total < 0 {
			t.Fatal(papers, total, err)
		}
		for _, p := range papers {
			if _, err := ParseID(p.ID); err != nil || p.Title == "" {
				t.Fatalf("%+v", p)
			}
		}
	})
}
