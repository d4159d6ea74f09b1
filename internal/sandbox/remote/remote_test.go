//go:build unix

package remote_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ml-intern/internal/sandbox"
	"ml-intern/internal/sandbox/remote"
	"ml-intern/internal/sandbox/sandboxtest"
)

const secret = "a secret of the test that is long enough"

// serve starts a server behind a gate that may change what passes.
func serve(t *testing.T, gate func(http.Handler) http.Handler) (url, dir string) {
	t.Helper()
	dir = t.TempDir()
	s, err := remote.NewServer(remote.Options{
		Sandbox: sandbox.Local{Dir: dir, Env: []string{"PATH=" + os.Getenv("PATH")}}, Secret: secret, Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	var h http.Handler = s
	if gate != nil {
		h = gate(s)
	}
	ts := httptest.NewServer(h)
	t.Cleanup(func() { ts.CloseClientConnections(); ts.Close(); s.Close() })
	return ts.URL, dir
}

func connect(t *testing.T, url string) *remote.Client {
	t.Helper()
	c, err := remote.Connect(t.Context(), remote.Dialing{URL: url, Secret: secret, Patience: 5 * time.Second, Stall: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestConformance(t *testing.T) {
	t.Parallel()
	sandboxtest.Run(t, func(t *testing.T) sandbox.Sandbox {
		url, _ := serve(t, nil)
		return connect(t, url)
	})
}

// A network that loses answers and cuts streams changes nothing of that.
func TestConformanceOnABadNetwork(t *testing.T) {
	t.Parallel()
	sandboxtest.Run(t, func(t *testing.T) sandbox.Sandbox {
		var n atomic.Int64
		url, _ := serve(t, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch n.Add(1) % 4 {
				case 1: // done, and the answer is lost
					if !strings.HasSuffix(r.URL.Path, "/output") {
						next.ServeHTTP(httptest.NewRecorder(), r)
					}
					panic(http.ErrAbortHandler)
				case 2: // cut in the middle
					next.ServeHTTP(&cutter{ResponseWriter: w, left: 10_000}, r)
				default:
					next.ServeHTTP(w, r)
				}
			})
		})
		return connect(t, url)
	})
}

// A cutter breaks the connection after so many bytes.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) > c.left {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

// Every byte comes once and in order, though the stream is cut again and again.
func TestStreamGoesOnFromItsByte(t *testing.T) {
	t.Parallel()
	var cuts atomic.Int64
	url, _ := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/output") && cuts.Add(1) < 8 {
				w = &cutter{ResponseWriter: w, left: 50_000}
			}
			next.ServeHTTP(w, r)
		})
	})
	var got strings.Builder
	out, err := connect(t, url).Exec(t.Context(), sandbox.Command{Line: "seq 60000", Timeout: time.Minute, Raw: &got})
	var want strings.Builder
	for i := range 60000 {
		fmt.Fprintln(&want, i+1)
	}
	if err != nil || out.Code != 0 || got.String() != want.String() || cuts.Load() < 5 {
		t.Errorf("%d bytes of %d over %d connections, %v", got.Len(), want.Len(), cuts.Load(), err)
	}
}

// One ID is one run, for two clients and after the end, with the whole output.
func TestRunsOnce(t *testing.T) {
	t.Parallel()
	url, dir := serve(t, nil)
	cmd := sandbox.Command{ID: "session/call", Line: "echo run >> runs; sleep 0.5; echo done", Timeout: time.Minute}
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if out, err := connect(t, url).Exec(t.Context(), cmd); err != nil || out.Text != "done\n" {
				t.Errorf("got %+v, %v", out, err)
			}
		})
	}
	wg.Wait()
	if out, err := connect(t, url).Exec(t.Context(), cmd); err != nil || out.Text != "done\n" {
		t.Errorf("after its end: %+v, %v", out, err)
	}
	if runs, _ := os.ReadFile(filepath.Join(dir, "runs")); string(runs) != "run\n" {
		t.Errorf("it ran %q", runs)
	}
	cmd.Line = "echo another"
	if _, err := connect(t, url).Exec(t.Context(), cmd); err == nil {
		t.Error("another command ran under the same id")
	}
}

// What was meant for a server that is gone does not run on the next one.
func TestRestartIsSaid(t *testing.T) {
	t.Parallel()
	one, _ := serve(t, nil)
	two, dir := serve(t, nil)
	_, err := remote.Connect(t.Context(), remote.Dialing{URL: two, Secret: secret, Instance: connect(t, one).Instance()})
	if !errors.Is(err, remote.ErrRestarted) {
		t.Fatalf("Connect = %v", err)
	}
	var target atomic.Value
	target.Store(one)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r2, _ := http.NewRequestWithContext(r.Context(), r.Method, target.Load().(string)+r.URL.RequestURI(), r.Body)
		r2.Header = r.Header
		resp, err := http.DefaultTransport.RoundTrip(r2)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = fmt.Fprint(w, readAll(resp))
	}))
	t.Cleanup(front.Close)
	c := connect(t, front.URL)
	target.Store(two)
	cmd := sandbox.Command{Line: "echo x > ran", Timeout: time.Minute}
	if _, err := c.Exec(t.Context(), cmd); !errors.Is(err, remote.ErrRestarted) {
		t.Errorf("the first command: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("it ran on the new server")
	}
	if _, err := c.Exec(t.Context(), cmd); err != nil {
		t.Errorf("the second command: %v", err)
	}
}

func readAll(resp *http.Response) string {
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return string(data)
}

// Nobody gets in without the secret, and no answer says it.
func TestSecret(t *testing.T) {
	t.Parallel()
	if _, err := remote.NewServer(remote.Options{Sandbox: sandbox.Local{Dir: t.TempDir()}, Secret: "short"}); err == nil || !strings.Contains(err.Error(), "SECRET") {
		t.Errorf("a server without a secret: %v", err)
	}
	url, dir := serve(t, nil)
	for _, header := range []string{"", "Bearer ", "Bearer x", secret, "Basic " + secret, "Bearer " + secret + "x", "Bearer " + secret[1:]} {
		for _, target := range []string{"GET /v1/about", "PUT /v1/commands/x", "GET /v1/commands/x/output?from=0", "DELETE /v1/commands/x", "GET /v1/files?path=a&max=1", "PUT /v1/files?path=a", "GET /v1/list?path="} {
			method, path, _ := strings.Cut(target, " ")
			r, _ := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(`{"line":"touch ran"}`))
			r.Header.Set("X-Sandbox-Authorization", header)
			r.Header.Set("Authorization", "Bearer "+secret) // that of the host does not count
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if text := readAll(resp); resp.StatusCode != http.StatusUnauthorized || strings.Contains(text, secret) || resp.Header.Get("X-Sandbox-Instance") != "" {
				t.Errorf("%s with %q: %d %s", target, header, resp.StatusCode, text)
			}
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("something was done: %v", entries)
	}
	if _, err := remote.Connect(t.Context(), remote.Dialing{URL: url, Secret: "wrong"}); !errors.Is(err, remote.ErrRefused) {
		t.Errorf("a wrong secret: %v", err)
	}
}

func TestIdleAndList(t *testing.T) {
	t.Parallel()
	url, dir := serve(t, nil)
	c := connect(t, url)
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("abc"), 0o644); err != nil {
		t.Fatal(err)
	}
	entries, more, err := c.List(t.Context(), "")
	if err != nil || more != 0 || len(entries) != 1 || entries[0] != (remote.Entry{Name: "f", Size: 3}) {
		t.Errorf("List = %v, %d, %v", entries, more, err)
	}
	before, _ := c.About(t.Context())
	time.Sleep(300 * time.Millisecond)
	after, err := c.About(t.Context())
	if err != nil || after.IdleS < before.IdleS+0.2 || after.Running != 0 {
		t.Errorf("to ask how it is was a use: %v, %v, %v", before, after, err)
	}
	go func() { _, _ = c.Exec(t.Context(), sandbox.Command{Line: "sleep 600", Timeout: time.Hour}) }()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if about, _ := c.About(t.Context()); about.Running == 1 && about.IdleS == 0 {
			return
		}
	}
	t.Error("a command that runs is no use")
}
