package acp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/acp"
	"ml-intern/internal/app"
	"ml-intern/internal/config"
	"ml-intern/internal/llm/llmtest"
)

// TestMain lets the test program be a cell for commands.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == app.ConfinedCommand {
		if err := app.RunConfined(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A line is a message as it came.
type line struct {
	ID     json.RawMessage
	Method string
	Params json.RawMessage
	Result json.RawMessage
	Error  *struct {
		Code    int
		Message string
	}
}

// A raw client writes lines and reads what comes, without any library.
type raw struct {
	*testing.T
	dir  string
	llm  *llmtest.Server
	in   *io.PipeWriter
	came chan line
	over chan error // what Serve returned

	mu   sync.Mutex
	logs []string
}

// connect serves a client that reads everything.
func connect(t *testing.T, turns ...llmtest.Turn) *raw {
	t.Helper()
	r, out := serve(t, turns...)
	go func() {
		defer close(r.came)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			var l line
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				t.Errorf("%v: %.200s", err, lines.Bytes())
			}
			r.came <- l
		}
	}()
	return r
}

// serve serves a client whose output is read by the test.
func serve(t *testing.T, turns ...llmtest.Turn) (*raw, *io.PipeReader) {
	t.Helper()
	model := llmtest.NewServer(turns...)
	t.Cleanup(model.Close)
	home := t.TempDir()
	load := func(dir string) (*config.Config, error) {
		cfg, err := config.Load([]string{
			"ML_INTERN_HOME=" + home, "HOME=" + home, "PATH=" + os.Getenv("PATH"), "OPENAI_API_KEY=sk-test", "OPENAI_BASE_URL=" + model.URL,
		}, dir)
		if err == nil {
			cfg.Model, cfg.Hub = "openai/test", "local"
			cfg.FromFlag("model")
		}
		return cfg, err
	}
	in, toServer := io.Pipe()
	fromServer, out := io.Pipe()
	r := &raw{T: t, dir: t.TempDir(), llm: model, in: toServer, came: make(chan line, 1000), over: make(chan error, 1)}
	go func() {
		err := acp.Serve(t.Context(), acp.Options{In: in, Out: out, For: load, Log: func(text string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.logs = append(r.logs, text)
		}})
		_ = out.Close()
		_ = in.Close()
		r.over <- err
	}()
	t.Cleanup(func() {
		_ = toServer.Close()
		go func() { _, _ = io.Copy(io.Discard, fromServer) }()
		select {
		case <-r.over:
		case <-time.After(time.Minute):
			t.Error("the server did not end")
		}
	})
	return r, fromServer
}

func (r *raw) write(text string) {
	r.Helper()
	if _, err := io.WriteString(r.in, text+"\n"); err != nil {
		r.Errorf("write: %v", err)
	}
}

func (r *raw) send(id any, method string, params any) {
	r.Helper()
	m := map[string]any{"jsonrpc": "2.0", "method": method, "params": params}
	if id != nil {
		m["id"] = id
	}
	data, err := json.Marshal(m)
	if err != nil {
		r.Fatal(err)
	}
	r.write(string(data))
}

// until reads until a message that is looked for.
func (r *raw) until(what string, found func(line) bool) line {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), 60*time.Second)
	defer cancel()
	for {
		select {
		case l, ok := <-r.came:
			if !ok {
				r.Fatalf("the server ended before %s", what)
			}
			if found(l) {
				return l
			}
		case <-ctx.Done():
			r.Fatalf("no %s", what)
		}
	}
}

// answer reads until the answer to a request.
func (r *raw) answer(id string) line {
	r.Helper()
	return r.until("answer to "+id, func(l line) bool { return l.Method == "" && string(l.ID) == id })
}

func (r *raw) ask(id int, method string, params any) line {
	r.Helper()
	r.send(id, method, params)
	return r.answer(fmt.Sprint(id))
}

func (r *raw) greet() {
	r.Helper()
	if l := r.ask(1, "initialize", map[string]any{"protocolVersion": 1}); l.Error != nil {
		r.Fatalf("%+v", l.Error)
	}
}

// begin opens a session.
func (r *raw) begin() string {
	r.Helper()
	r.greet()
	l := r.ask(2, "session/new", map[string]any{"cwd": r.dir, "mcpServers": []any{}})
	var s struct{ SessionID string }
	if l.Error != nil || json.Unmarshal(l.Result, &s) != nil || s.SessionID == "" {
		r.Fatalf("%+v %s", l.Error, l.Result)
	}
	return s.SessionID
}

func prompt(session, text string) map[string]any {
	return map[string]any{"sessionId": session, "prompt": []any{map[string]any{"type": "text", "text": text}}}
}

func (r *raw) refused(l line, code int, words string) {
	r.Helper()
	if l.Error == nil || l.Error.Code != code || !strings.Contains(l.Error.Message, words) {
		r.Errorf("%+v %.200s; want %d and %q", l.Error, l.Result, code, words)
	}
}
