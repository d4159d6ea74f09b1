//go:build unix

package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/sandbox"
	"ml-intern/internal/sandbox/remote"
)

// A server that is not ours, or was taken over, costs the client a bounded
// time and memory and an error.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the client was sent elsewhere: %s %s with %v", r.Method, r.URL, r.Header)
	}))
	t.Cleanup(elsewhere.Close)
	about := `{"protocol":1,"instance":"x","dir":"/w"}`
	long := bytes.Repeat([]byte("x"), 1<<20)
	flood := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(long); err != nil {
				return
			}
		}
	}
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	say := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
	}
	for name, output := range map[string]http.HandlerFunc{
		"floods":             flood,
		"hangs":              hang,
		"nothing":            say(""),
		"not JSON":           say("hello\n"),
		"truncated":          say(`{"from":0,"data":"YQ`),
		"a 50 MB line":       say(`{"from":0,"data":"` + strings.Repeat("YWFh", 50<<20/4) + "\"}\n"),
		"redirects":          http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect).ServeHTTP,
		"500":                func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"output from before": say("{\"from\":0,\"data\":\"YQ==\"}\n{\"from\":0,\"data\":\"YQ==\"}\n"),
		"output of the far":  say("{\"from\":9223372036854775807,\"data\":\"YQ==\"}\n"),
		"never an end":       say("{\"from\":0}\n"),
		"error of 200 kB":    say(`{"from":0,"exit":{"error":"` + strings.Repeat("\\u001b", 30_000) + "\"}}\n"),
		"ends of a wrong kind": say(`{"from":0,"exit":[]}
`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			mux.HandleFunc("/v1/about", say(about))
			mux.HandleFunc("PUT /v1/commands/{id}", say("{}"))
			mux.HandleFunc("DELETE /v1/commands/{id}", hang)
			mux.HandleFunc("GET /v1/commands/{id}/output", output)
			s := httptest.NewServer(mux)
			t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
			c, err := remote.Connect(t.Context(), remote.Dialing{URL: s.URL, Secret: secret, Patience: 2 * time.Second, Stall: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			out, err := c.Exec(t.Context(), sandbox.Command{Line: "true", Timeout: time.Second})
			if err == nil || time.Since(start) > time.Minute || len(err.Error()) > 20_000 || len(out.Text) > 3<<20 {
				t.Errorf("after %s: %d bytes, %.500v", time.Since(start), len(out.Text), err)
			}
			if strings.Contains(fmt.Sprint(err), secret) {
				t.Error("the error says the secret")
			}
		})
	}
	for name, h := range map[string]http.HandlerFunc{
		"floods": flood, "hangs": hang, "not JSON": say("hello"), "nothing": say(""), "another protocol": say(`{"protocol":2,"instance":"x","dir":"/w"}`),
		"no folder":     say(`{"protocol":1,"instance":"x","dir":"w"}`),
		"redirects":     http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP,
		"large headers": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", string(long)) },
	} {
		t.Run("at once, "+name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(h)
			t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
			start := time.Now()
			if _, err := remote.Connect(t.Context(), remote.Dialing{URL: s.URL, Secret: secret, Patience: 2 * time.Second, Stall: time.Second}); err == nil || time.Since(start) > time.Minute {
				t.Errorf("after %s: %v", time.Since(start), err)
			}
		})
	}
}

// A file of the wrong length is an error, and one that is too long is not read
// to its end.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/about", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"protocol":1,"instance":"x","dir":"/w"}`))
	})
	mux.HandleFunc("/v1/files", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("path") == "short" {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("half"))
			return
		}
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	c, err := remote.Connect(t.Context(), remote.Dialing{URL: s.URL, Secret: secret, Patience: time.Second, Stall: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"short", "long"} {
		if data, err := c.ReadFile(t.Context(), p, 1000); err == nil {
			t.Errorf("%s: %d bytes", p, len(data))
		}
	}
}

// A cancel that the server does not hear takes a second, and says so.
func TestCancelWithoutAServer(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodDelete {
				<-r.Context().Done()
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	ctx, cancel := context.WithCancel(t.Context())
	var start time.Time
	_, err := connect(t, url).Exec(ctx, sandbox.Command{Line: "echo on; sleep 600", Timeout: time.Hour, Log: func(string) { start = time.Now(); cancel() }})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "may go on") || time.Since(start) > time.Minute {
		t.Errorf("after %s: %v", time.Since(start), err)
	}
}

// What a command prints without end takes bounded memory on the server.
func TestFloodOfOutput(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, nil)
	c := connect(t, url)
	out, err := c.Exec(t.Context(), sandbox.Command{Line: "yes | head -c 300000000; echo; echo end", Timeout: 10 * time.Minute})
	if err != nil || !strings.HasSuffix(out.Text, "end\n") || len(out.Text) > 3<<20 {
		t.Errorf("%d bytes, %v", len(out.Text), err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapInuse > 600<<20 {
		t.Errorf("%d MB are in use", m.HeapInuse>>20)
	}
}

// What is not a request of the protocol is refused, and runs nothing.
func FuzzServer(f *testing.F) {
	f.Add("PUT", "/v1/commands/x", []byte(`{"line":"","timeout_ms":1}`))
	f.Add("PUT", "/v1/commands/x", []byte(`{"line":"a\u0000b","timeout_ms":-1}`))
	f.Add("GET", "/v1/commands/x/output?from=-1", []byte(nil))
	f.Add("GET", "/v1/commands/..%2f/output?from=99999999999999999999", []byte(nil))
	f.Add("GET", "/v1/files?path=../../etc/passwd&max=10", []byte(nil))
	f.Add("PUT", "/v1/files?path=%00", []byte("x"))
	f.Add("GET", "/v1/list?path=%2e%2e", []byte(nil))
	dir := f.TempDir()
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		f.Fatal(err)
	}
	box := &noCommands{Local: sandbox.Local{Dir: work}}
	s, err := remote.NewServer(remote.Options{Sandbox: box, Secret: secret})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, target string, body []byte) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://x"+target, bytes.NewReader(body))
		if err != nil || r.URL.Host != "x" {
			t.Skip()
		}
		r.Header.Set("X-Sandbox-Authorization", "Bearer "+secret)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %q answers %d: %s", method, target, w.Code, w.Body)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 1 {
			t.Errorf("%s %q left something outside: %v", method, target, entries)
		}
	})
}

// noCommands runs nothing, and holds what it is asked to run to the protocol.
type noCommands struct{ sandbox.Local }

func (n *noCommands) Exec(_ context.Context, cmd sandbox.Command) (sandbox.Output, error) {
	if strings.TrimSpace(cmd.Line) == "" || strings.Contains(cmd.Line, "\x00") || cmd.Timeout <= 0 || cmd.Timeout > remote.LongestCommand {
		panic(fmt.Sprintf("the server runs %q for %s", cmd.Line, cmd.Timeout))
	}
	return sandbox.Output{}, nil
}

// Whatever a server sends as output, the client ends with an error or an end
// that was told, and keeps a bounded part.
func FuzzOutput(f *testing.F) {
	f.Add([]byte("{\"from\":0}\n{\"from\":0,\"data\":\"YQ==\"}\n{\"from\":1,\"exit\":{\"code\":3,\"seconds\":1}}\n"))
	f.Add([]byte("{\"from\":9,\"data\":\"YQ==\"}\n{\"from\":10,\"exit\":{\"error\":\"\\u0000\",\"kept\":[{}]}}\n"))
	f.Add([]byte("null\n[]\n\n"))
	var body []byte
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/about", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"protocol":1,"instance":"x","dir":"/w"}`))
	})
	mux.HandleFunc("PUT /v1/commands/{id}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })
	mux.HandleFunc("GET /v1/commands/{id}/output", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	s := httptest.NewServer(mux)
	f.Cleanup(s.Close)
	c, err := remote.Connect(f.Context(), remote.Dialing{URL: s.URL, Secret: secret, Patience: time.Nanosecond, Stall: time.Second})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, output []byte) {
		body = output
		out, err := c.Exec(t.Context(), sandbox.Command{Line: "true", Timeout: time.Second})
		if err == nil && !bytes.Contains(bytes.ToLower(output), []byte(`\u`)) && !bytes.Contains(bytes.ToLower(output), []byte("exit")) {
			t.Errorf("an end that nobody told: %+v", out)
		}
		if len(out.Text) > 4*len(output)+1000 {
			t.Errorf("%d bytes of %d", len(out.Text), len(output))
		}
	})
}
