package hubserver_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"ml-intern/internal/hub/hubserver"
)

// upstream is a model's endpoint; it is the server's router.
func upstream(t *testing.T, handler http.HandlerFunc) *url.URL {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL + "/base/v1")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestRouterPassesOn(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body string
	model := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		data, _ := io.ReadAll(r.Body)
		body = string(data)
		w.Header().Set("Set-Cookie", "a=b")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, `{"object":"list"}`)
	})
	s := newSite(t, hubserver.Options{Router: model, RouterKey: "sk-own", Auth: true, Tokens: map[string]hubserver.Account{"hf_me": {Name: "me"}}})
	s.token = "hf_me"
	a := s.do("POST", "/v1/chat/completions?x=1", `{"model":"m"}`, "X-HF-Bill-To", "org", "X-HF-Session-id", "s1", "Cookie", "c=d", "X-Forwarded-For", "9.9.9.9")
	if a.status != http.StatusTeapot || a.body != `{"object":"list"}` || a.header.Get("Set-Cookie") != "" {
		t.Errorf("the answer is %d %s %v", a.status, a.body, a.header)
	}
	if got.URL.RequestURI() != "/base/v1/chat/completions?x=1" || body != `{"model":"m"}` {
		t.Errorf("the endpoint got %s %s", got.URL, body)
	}
	if h := got.Header; h.Get("Authorization") != "Bearer sk-own" || h.Get("X-HF-Bill-To") != "org" || h.Get("X-HF-Session-id") != "s1" {
		t.Errorf("the endpoint got the header %v", h)
	}
	if text := fmt.Sprint(got.Header); strings.Contains(text, "hf_me") || strings.Contains(text, "c=d") || strings.Contains(text, "9.9.9.9") {
		t.Errorf("the endpoint got the header %v", got.Header)
	}
	if a := s.do("GET", "/v1/models/ns/name", ""); a.status != http.StatusTeapot || got.URL.Path != "/base/v1/models/ns/name" {
		t.Errorf("a model: %d, the endpoint got %s", a.status, got.URL)
	}
}

// Without a key of its own the client's token is not sent either.
func TestRouterKeepsTheToken(t *testing.T) {
	t.Parallel()
	var sent string
	model := upstream(t, func(_ http.ResponseWriter, r *http.Request) { sent = r.Header.Get("Authorization") })
	s := newSite(t, hubserver.Options{Router: model})
	s.token = "hf_me"
	if a := s.do("GET", "/v1/models", ""); a.status != http.StatusOK || sent != "" {
		t.Errorf("%d, and the endpoint got %q", a.status, sent)
	}
}

// What the model says comes at once, not when it has said all.
func TestRouterStreams(t *testing.T) {
	t.Parallel()
	more, gone := make(chan struct{}), make(chan struct{})
	model := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: 1\n\n")
		http.NewResponseController(w).Flush()
		<-more
		fmt.Fprint(w, "data: 2\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done() // the client has hung up
		close(gone)
	})
	s := newSite(t, hubserver.Options{Router: model})
	ctx, hangUp := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", s.url+"/v1/chat/completions", strings.NewReader(`{"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || lines.Text() != "data: 1" {
		t.Fatalf("the first line is %q, %v", lines.Text(), lines.Err())
	}
	close(more)
	lines.Scan()
	if !lines.Scan() || lines.Text() != "data: 2" {
		t.Fatalf("the next line is %q, %v", lines.Text(), lines.Err())
	}
	hangUp()
	<-gone
}

func TestRouterRefusals(t *testing.T) {
	t.Parallel()
	away := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://elsewhere.example/steal")
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	nowhere, err := url.Parse(closed.URL + "/v1")
	if err != nil {
		t.Fatal(err)
	}
	loop := httptest.NewUnstartedServer(nil)
	self, err := url.Parse("http://" + loop.Listener.Addr().String() + "/v1")
	if err != nil {
		t.Fatal(err)
	}
	looped, err := hubserver.Open(hubserver.Options{Dir: t.TempDir(), Router: self})
	if err != nil {
		t.Fatal(err)
	}
	loop.Config.Handler = looped
	loop.Start()
	t.Cleanup(loop.Close)
	chat := "/v1/chat/completions"
	for name, c := range map[string]struct {
		site
		method, path string
		status       int
		code         string
	}{
		"none is configured": {newSite(t, hubserver.Options{}), "POST", chat, 503, "no_model"},
		"a stranger":         {newSite(t, hubserver.Options{Auth: true, Router: away}), "POST", chat, 401, "invalid_api_key"},
		"sent elsewhere":     {newSite(t, hubserver.Options{Router: away}), "POST", chat, 502, "upstream_error"},
		"nobody is there":    {newSite(t, hubserver.Options{Router: nowhere}), "GET", "/v1/models", 502, "upstream_error"},
		"itself":             {site{t: t, url: loop.URL}, "GET", "/v1/models", 508, "loop"},
		"out of the base":    {newSite(t, hubserver.Options{Router: away}), "GET", "/v1/models/%2e%2e/%2e%2e/admin", 404, ""},
		"another call":       {newSite(t, hubserver.Options{Router: away}), "POST", "/v1/embeddings", 404, ""},
	} {
		a := c.do(c.method, c.path, "")
		var said struct {
			Error any `json:"error"`
		}
		a.json(t, &said)
		if a.status != c.status {
			t.Errorf("%s: %d %s, want %d", name, a.status, a.body, c.status)
		}
		if v, _ := said.Error.(map[string]any); c.code != "" && (v["code"] != c.code || v["message"] == "") {
			t.Errorf("%s: %s, want the code %s", name, a.body, c.code)
		}
	}
}
