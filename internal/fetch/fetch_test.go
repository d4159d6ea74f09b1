package fetch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ml-intern/internal/fetch"
)

// client reaches loopback, quickly.
func client(t *testing.T, dir string) *fetch.Client {
	t.Helper()
	return &fetch.Client{Dir: dir, Private: []string{"127.0.0.1"}, Pace: map[string]time.Duration{"127.0.0.1": 0, "localhost": 0}}
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func zipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.Bytes()
}

func TestGet(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("Authorization %q", r.Header.Get("Authorization"))
		}
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Set-Cookie", "a=b")
		w.Write(zipped("<p>héllo"))
	})
	got, err := client(t, "").Get(t.Context(), fetch.Request{URL: s.URL + "/a?b=c#d", Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Text() != "<p>héllo" || got.Type != "text/html" || got.Charset != "utf-8" || got.URL != s.URL+"/a?b=c" || got.Status != 200 ||
		got.Cached || time.Since(got.Time) > time.Minute || got.Header.Get("Set-Cookie") != "" {
		t.Errorf("got %+v", got)
	}
}

// Every bad answer has a kind that callers can tell, and a short reason.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	tries := map[string]*atomic.Int32{}
	for _, path := range []string{"403", "404", "410", "429", "long", "500", "501", "gzip", "bomb", "big", "chunks", "cut", "brotli", "slow", "loop", "ftp", "limit"} {
		tries["/"+path] = &atomic.Int32{}
	}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		tries[r.URL.Path].Add(1)
		switch r.URL.Path {
		case "/403":
			http.Error(w, `{"error":{"message":"not for you"}}`, http.StatusForbidden)
		case "/404":
			http.Error(w, "<html><title>No such\npage</title><body>x</body>", 404)
		case "/410":
			w.WriteHeader(410)
		case "/429":
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(429)
		case "/long":
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(429)
		case "/limit":
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.Header().Set("X-RateLimit-Reset", fmt.Sprint(time.Now().Add(time.Hour).Unix()))
			w.WriteHeader(403)
		case "/500":
			w.WriteHeader(500)
		case "/501":
			w.WriteHeader(501)
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			z := zipped(strings.Repeat("some text ", 100))
			w.Write(z[:len(z)-12])
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(zipped(strings.Repeat("0", 3<<20)))
		case "/big":
			w.Header().Set("Content-Length", fmt.Sprint(100<<20))
			w.Write([]byte("x"))
		case "/chunks":
			for range 4096 {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return
				}
			}
		case "/cut":
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("x"))
		case "/brotli":
			w.Header().Set("Content-Encoding", "br")
			w.Write([]byte("x"))
		case "/slow":
			<-r.Context().Done()
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/ftp":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}
	})
	for path, want := range map[string]struct {
		kind  error
		tries int32
		text  string
	}{
		"/403":    {fetch.ErrForbidden, 1, "not for you"},
		"/404":    {fetch.ErrNotFound, 1, "No such page"},
		"/410":    {fetch.ErrNotFound, 1, "410"},
		"/429":    {fetch.ErrRateLimited, 3, "429"},
		"/long":   {fetch.ErrRateLimited, 1, "1h0m0s"},
		"/limit":  {fetch.ErrRateLimited, 1, "ask again"},
		"/500":    {nil, 3, "500"},
		"/501":    {nil, 1, "501"},
		"/gzip":   {fetch.ErrUnreachable, 3, "ends before its end"},
		"/bomb":   {fetch.ErrTooLarge, 1, "more than 2 MB"},
		"/big":    {fetch.ErrTooLarge, 1, "more than 2 MB"},
		"/chunks": {fetch.ErrTooLarge, 1, "more than 2 MB"},
		"/cut":    {fetch.ErrUnreachable, 3, "ends before its end"},
		"/brotli": {fetch.ErrUnreachable, 1, "br"},
		"/slow":   {fetch.ErrUnreachable, 1, "too long"},
		"/loop":   {fetch.ErrBadAddress, 11, "more than 10 times"},
		"/ftp":    {fetch.ErrBadAddress, 1, "file:///etc/passwd"},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			c := client(t, t.TempDir())
			c.MaxBytes = 2 << 20
			c.Timeout = time.Minute
			if path == "/slow" {
				c.Timeout = 100 * time.Millisecond
			}
			resp, err := c.Get(t.Context(), fetch.Request{URL: s.URL + path, MaxAge: time.Hour})
			if err == nil {
				t.Fatalf("got %d bytes", len(resp.Body))
			}
			if want.kind != nil && !errors.Is(err, want.kind) {
				t.Errorf("%v is no %v", err, want.kind)
			}
			if !strings.Contains(err.Error(), want.text) || len(err.Error()) > 400 {
				t.Errorf("error %q does not say %q", err, want.text)
			}
			if got := tries[path].Load(); got > want.tries || got < want.tries && path != "/slow" { // a busy machine is slow by itself
				t.Errorf("%d requests, want %d", got, want.tries)
			}
			status, isStatus := errors.AsType[*fetch.StatusError](err)
			if path == "/long" && (!isStatus || status.Wait != time.Hour) {
				t.Errorf("wait of %v", err)
			}
			if errors.Is(err, fetch.ErrForbidden) && errors.Is(err, fetch.ErrRateLimited) {
				t.Errorf("%v is two things", err)
			}
		})
	}
}

// A small answer that becomes a large one is not decoded to its end, which may
// never come.
func TestBombIsNotDecodedWhole(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		z.Write(make([]byte, 16<<20))
		z.Flush()
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	c := client(t, "")
	c.MaxBytes, c.Timeout = 1<<20, 20*time.Second
	if _, err := c.Get(t.Context(), fetch.Request{URL: s.URL}); !errors.Is(err, fetch.ErrTooLarge) {
		t.Error(err)
	}
}

func TestTriesAgain(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) {
		case 1:
			w.WriteHeader(503)
		case 2:
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				conn.Close()
			}
		default:
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s", r.Method, body)
		}
	})
	got, err := client(t, "").Get(t.Context(), fetch.Request{URL: s.URL, Method: "post", Body: []byte("words")})
	if err != nil || got.Text() != "POST words" {
		t.Fatalf("got %v, %v", got, err)
	}
}

// What is private stays private, however it is written.
func TestPrivateAddresses(t *testing.T) {
	t.Parallel()
	var c fetch.Client
	for _, address := range []string{
		"http://127.0.0.1/", "http://127.1.2.3:80/", "http://localhost/", "http://localhost./", "http://LOCALHOST:8080/", "http://a.localhost/",
		"http://10.0.0.1/", "http://172.16.3.4/", "http://192.168.1.1/", "http://169.254.169.254/latest/meta-data/", "http://100.64.0.1/",
		"http://0.0.0.0/", "http://224.0.0.1/", "http://255.255.255.255/", "http://198.18.0.1/", "http://[::1]/", "http://[::]/", "http://[fe80::1]/",
		"http://[fe80::1%25eth0]/", "http://[fd00::1]/", "http://[ff02::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:a9fe:a9fe]/", "http://[::127.0.0.1]/",
		"http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://[fec0::1]/", "http://[2001:db8::1]/", "http://①②⑦.0.0.①/",
	} {
		if _, err := c.Get(t.Context(), fetch.Request{URL: address}); !errors.Is(err, fetch.ErrPrivate) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{
		"http://2130706433/", "http://0177.0.0.1/", "http://0x7f000001/", "http://0x7f.1/", "http://127.1/", "http://017700000001/", "http://127.0.0.1.5/", "http://0x/",
		"", "nothing", "file:///etc/passwd", "ftp://example.com/", "http://", "http:///x", "http:example.com", "https://user:pass@example.com/", "gopher://127.0.0.1/",
		"http://exa mple.com/", "javascript:alert(1)",
	} {
		_, err := c.Get(t.Context(), fetch.Request{URL: address})
		if !errors.Is(err, fetch.ErrBadAddress) {
			t.Errorf("%s: %v", address, err)
		}
		if strings.Contains(fmt.Sprint(err), "pass@") {
			t.Errorf("the password is in %v", err)
		}
	}
}

func TestListedPrivateAddresses(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "here") })
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
	for _, tt := range []struct {
		private []string
		host    string
		ok      bool
	}{
		{[]string{"127.0.0.0/8"}, "127.0.0.1", true},
		{[]string{"127.0.0.1"}, "127.0.0.1", true},
		{[]string{"127.0.0.1"}, "localhost", true},
		{[]string{"localhost"}, "localhost", true},
		{[]string{"Localhost."}, "LOCALHOST", true},
		{[]string{"localhost"}, "127.0.0.1", false},
		{[]string{"10.0.0.0/8", ""}, "127.0.0.1", false},
		{[]string{"127.0.0.1"}, "[::ffff:127.0.0.1]", true},
	} {
		c := &fetch.Client{Private: tt.private}
		_, err := c.Get(t.Context(), fetch.Request{URL: "http://" + tt.host + ":" + port})
		if (err == nil) != tt.ok {
			t.Errorf("%s with %v: %v", tt.host, tt.private, err)
		}
		if !tt.ok && !errors.Is(err, fetch.ErrPrivate) {
			t.Errorf("%s: %v", tt.host, err)
		}
	}
}

// A name that resolves to a private address is refused when it is dialled,
// after redirects too. The transport's own way of dialling cannot get around.
func TestRedirectToPrivate(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	inner := serve(t, func(http.ResponseWriter, *http.Request) { reached.Store(true) })
	outer := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(inner.URL, "http://"))
	start := strings.Replace(outer.URL, "127.0.0.1", "localhost", 1)
	for _, trust := range []bool{false, true} {
		c := &fetch.Client{Private: []string{"localhost"}, Trust: trust}
		for _, to := range []string{"http://127.0.0.1:" + port, "http://[::ffff:7f00:1]:" + port, "http://①②⑦.0.0.①:" + port} {
			_, err := c.Get(t.Context(), fetch.Request{URL: start + "?to=" + url.QueryEscape(to)})
			if !errors.Is(err, fetch.ErrPrivate) {
				t.Errorf("redirect to %s, trust %v: %v", to, trust, err)
			}
		}
		if _, err := c.Get(t.Context(), fetch.Request{URL: start + "?to=http://2130706433:" + port}); !errors.Is(err, fetch.ErrBadAddress) {
			t.Error(err)
		}
	}
	if reached.Load() {
		t.Error("a private address was reached")
	}
}

// The guard is in the connections: a transport that a caller brings, its
// proxy and its way of dialling do not lead around it, and a name is judged by
// what it resolves to.
func TestGuardOfOwnTransport(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	s := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	at := strings.TrimPrefix(s.URL, "http://")
	home, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, own := range map[string]*http.Transport{
		"proxy": {Proxy: http.ProxyURL(home)},
		"dial": {DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, at)
		}},
		"plain": {},
	} {
		for _, address := range []string{"http://①②⑦.0.0.①:" + home.Port(), "http://unknown.invalid:" + home.Port()} {
			c := &fetch.Client{HTTP: own, Timeout: time.Minute}
			if name == "proxy" && strings.Contains(address, "unknown") {
				c.Private = []string{"127.0.0.1"} // it could be reached, and is not used
			}
			_, err := c.Get(t.Context(), fetch.Request{URL: address})
			if !errors.Is(err, fetch.ErrPrivate) && !errors.Is(err, fetch.ErrUnreachable) || strings.Contains(address, "①") && !errors.Is(err, fetch.ErrPrivate) {
				t.Errorf("%s, %s: %v", name, address, err)
			}
		}
	}
	if reached.Load() != 0 {
		t.Error("the guard was gone around")
	}
}

// A hostile redirect wants the token, and gets nothing.
func TestTokenStaysAtItsHost(t *testing.T) {
	t.Parallel()
	const secret = "hf_sEcReT"
	var seen []string
	var mu sync.Mutex
	var home *httptest.Server
	thief := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprint(r.URL, r.Header))
		if r.URL.Path == "/back" {
			http.Redirect(w, r, home.URL+"/last", http.StatusFound)
		}
	})
	home = serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/last":
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprint(r.URL, r.Header))
		case "/same":
			if r.Header.Get("Authorization") != "Bearer "+secret || r.Header.Get("X-Api-Key") != secret {
				t.Errorf("the same host got %v", r.Header)
			}
		default:
			if r.Header.Get("Authorization") == "" {
				t.Error("no token at home")
			}
			status := 302
			if r.Method == http.MethodPost {
				status = 307
			}
			http.Redirect(w, r, map[string]string{"/steal": thief.URL + "/x", "/back": thief.URL + "/back", "/stay": "/same"}[r.URL.Path], status)
		}
	})
	c := client(t, t.TempDir())
	for _, path := range []string{"/steal", "/back", "/stay"} {
		header := http.Header{"Cookie": {"session=" + secret}, "X-Api-Key": {secret}, "authorization": {"Basic " + secret}, "Accept": {"text/html"}}
		_, err := c.Get(t.Context(), fetch.Request{URL: home.URL + path, Token: secret, Header: header})
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if len(seen) != 3 {
		t.Errorf("requests seen: %q", seen)
	}
	for _, got := range seen {
		if strings.Contains(got, secret) || !strings.Contains(got, "text/html") {
			t.Errorf("the other host saw %s", got)
		}
	}
	_, err := c.Get(t.Context(), fetch.Request{URL: home.URL + "/steal", Method: "POST", Token: secret, Body: []byte(secret)})
	if !errors.Is(err, fetch.ErrBadAddress) || len(seen) != 3 {
		t.Errorf("a POST to another host: %v", err)
	}
}

func TestSecretsAreNotInErrors(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })
	_, err := client(t, "").Get(t.Context(), fetch.Request{URL: s.URL + "/?api_key=abc123&q=words"})
	if err == nil || strings.Contains(err.Error(), "abc123") || !strings.Contains(err.Error(), "words") {
		t.Error(err)
	}
}
