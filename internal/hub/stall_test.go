package hub

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A server that takes a request and falls silent is given up.
func TestSilenceEnds(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	for _, begun := range []bool{false, true} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if begun {
				w.Write([]byte("{"))
				http.NewResponseController(w).Flush()
			}
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		}))
		c := &Client{BaseURL: server.URL}
		var out any
		_, err := c.api(t.Context(), call{method: "GET", path: "/api/x", once: true, limit: 50 * time.Millisecond}, nil, &out)
		if err == nil || !begun && !errors.Is(err, errStalled) {
			t.Errorf("a silent server (begun: %v) is %v", begun, err)
		}
		server.Close()
	}
	close(stop)
}

func TestRetryWait(t *testing.T) {
	t.Parallel()
	cases := []struct {
		limit, after string
		want         time.Duration
	}{
		{"", "", 0},
		{`"api";r=0;t=12`, "", 13 * time.Second},
		{`"api";r=3;t=12`, "", 0},
		{`"api";r=3;t=12`, "7", 7 * time.Second},
		{`"api";r=0;t=12`, "7", 13 * time.Second},
		{"nonsense;r;t=x", "-5", 0},
		{`"api";r=9;t=2, "pages";r=0;t=40`, "", 41 * time.Second},
		{`"api";r=0;t=40, "pages";r=9;t=2`, "", 41 * time.Second},
		{`"api";r=0;t=9223372036854775807`, "99999999999999999999", 0},
		{"", "Thu, 26 Nov 2026 12:00:30 GMT", 30 * time.Second},
		{"", "Thu, 26 Nov 2026 11:00:00 GMT", 0},
		{"", "soon", 0},
	}
	for _, c := range cases {
		h := http.Header{}
		h.Set("RateLimit", c.limit)
		h.Set("Retry-After", c.after)
		h.Set("Date", "Thu, 26 Nov 2026 12:00:00 GMT")
		if got := retryWait(h); got != c.want {
			t.Errorf("RateLimit %q, Retry-After %q: %s, want %s", c.limit, c.after, got, c.want)
		}
	}
}
