package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/web"
)

// TestMain lets the test program be a cell for commands, and the shim of a job.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case app.ConfinedCommand:
			if err := app.RunConfined(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		case app.ShimCommand:
			if err := app.RunShim(context.Background(), os.Args[2]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// A place is a server in this process, with a model that plays turns.
type place struct {
	*testing.T
	home, dir string
	model     *llmtest.Server
	url, key  string
	client    *http.Client
	stop      func()

	mu  sync.Mutex
	log []string
}

func open(t *testing.T, opts web.Options, script func(int) (llmtest.Turn, bool)) *place {
	t.Helper()
	p := &place{T: t, home: t.TempDir(), dir: t.TempDir(), model: llmtest.NewServerFunc(script), client: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(p.model.Close)
	p.serve(opts)
	return p
}

// serve starts the server; stop ends it.
func (p *place) serve(opts web.Options) {
	p.Helper()
	ready := make(chan string, 1)
	opts.Addr, opts.Ready, opts.Log = "127.0.0.1:0", func(url string) { ready <- url }, p.note
	opts.For = p.config
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // the end is waited for
	done := make(chan error, 1)
	go func() { done <- web.Serve(ctx, opts) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			p.Errorf("serve: %v", err)
		}
		p.client.CloseIdleConnections()
	})
	p.Cleanup(p.stop)
	select {
	case url := <-ready:
		p.url, p.key, _ = strings.Cut(url, "/#key=")
	case err := <-done:
		p.Fatal(err)
	}
}

// config is the configuration for a folder, the place's for "".
func (p *place) config(dir string) (*config.Config, error) {
	if dir == "" {
		dir = p.dir
	}
	cfg, err := config.Load([]string{
		"ML_INTERN_HOME=" + p.home, "HOME=" + p.home, "PATH=" + os.Getenv("PATH"), "OPENAI_API_KEY=sk-test", "OPENAI_BASE_URL=" + p.model.URL,
		"OLLAMA_HOST=http://127.0.0.1:1", "VLLM_BASE_URL=http://127.0.0.1:1", "LM_STUDIO_BASE_URL=http://127.0.0.1:1", "LLAMACPP_BASE_URL=http://127.0.0.1:1",
	}, dir)
	if err == nil {
		cfg.Model, cfg.Hub = "openai/test", "local"
		cfg.FromFlag("model")
		cfg.FromFlag("hub")
	}
	return cfg, err
}

func (p *place) note(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, line)
}

// said reports whether the log has a line with the words.
func (p *place) said(words string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Contains(strings.Join(p.log, "\n"), words)
}

func (p *place) request(method, path string, body any) *http.Request {
	p.Helper()
	var data io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			p.Fatal(err)
		}
		data = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(p.Context(), method, p.url+path, data)
	if err != nil {
		p.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+p.key)
	r.Header.Set("Content-Type", "application/json")
	return r
}

// ask sends a request that must be answered so, and reads the answer into out.
func (p *place) ask(method, path string, body any, status int, out any) {
	p.Helper()
	res, err := p.client.Do(p.request(method, path, body))
	if err != nil {
		p.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != status {
		p.Fatalf("%s %s: %s, want %d: %s %v", method, path, res.Status, status, text, err)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			p.Fatal(err)
		}
	}
}

// begin begins a session and returns its id.
func (p *place) begin(prompt, mode string) string {
	p.Helper()
	var out struct{ ID string }
	p.ask("POST", "/api/sessions", map[string]string{"prompt": prompt, "mode": mode}, http.StatusCreated, &out)
	return out.ID
}

// entry is a session as it is shown.
type entry struct {
	Live *struct {
		Phase string
		Asks  int
	}
	State *struct{ Mode string }
	Ended string
}

// until waits until a session is so.
func (p *place) until(id, what string, found func(entry) bool) {
	p.Helper()
	for late := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		var e entry
		p.ask("GET", "/api/sessions/"+id, nil, http.StatusOK, &e)
		if found(e) {
			return
		}
		if time.Now().After(late) {
			p.Fatalf("session %s is not %s: %+v", id, what, e)
		}
	}
}

func answered(e entry) bool { return e.Ended == "answered" && e.Live != nil && e.Live.Phase == "idle" }
func closed(e entry) bool   { return e.Live == nil }

// stream opens the stream of a session.
func (p *place) stream(ctx context.Context, id string) *http.Response {
	p.Helper()
	res, err := p.client.Do(p.request("GET", "/api/sessions/"+id+"/events", nil).WithContext(ctx))
	if err != nil {
		p.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		p.Fatal(res.Status)
	}
	return res
}

// settles waits until a number is as low as it was.
func settles(t *testing.T, what string, before int, now func() int) {
	t.Helper()
	for late := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		n := now()
		if n <= before {
			return
		}
		if time.Now().After(late) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d %s, and %d before\n%s", n, what, before, buf[:runtime.Stack(buf, true)])
		}
	}
}
