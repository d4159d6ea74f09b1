package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
	"ml-intern/internal/session/sqlite"
	"ml-intern/internal/tool"
)

// TestWebPage drives the page of `ml-intern serve` in a real browser. What it does
// there is in testdata/web; a stage is what it does it on. scripts/test-web runs it.
func TestWebPage(t *testing.T) {
	packages := os.Getenv("ML_INTERN_TEST_WEB")
	if packages == "" {
		t.Skip("needs a browser: make test-web")
	}
	for _, name := range webCases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // two at once: see scripts/test-web
			s := newStage(t)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "node", filepath.Join("testdata", "web", "cases.mjs"), name)
			cmd.Env = append(os.Environ(), "STAGE="+s.control.URL, "PLAYWRIGHT="+packages, "SHOTS="+os.Getenv("ML_INTERN_TEST_WEB_SHOTS"), "WORK="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s\nserve said: %s", err, out, s.said())
			} else if len(out) > 0 {
				t.Logf("%s", out)
			}
		})
	}
}

// webCases are the names of the cases, in the order of the file.
func webCases(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "web", "cases.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^cases\.(\w+) = `).FindAllStringSubmatch(string(text), -1) {
		names = append(names, m[1])
	}
	if len(names) == 0 {
		t.Fatal("there are no cases")
	}
	return names
}

// A stage is a server with its model, which plays the turns that it is given, and
// a way for the case to change them: control.
type stage struct {
	t         *testing.T
	exe       string
	home, dir string
	model     *llmtest.Server
	control   *httptest.Server
	addr      string // once it was started, it stays the same

	mu     sync.Mutex
	turns  []llmtest.Turn
	cmd    *exec.Cmd
	output strings.Builder
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, exe: program(t), home: t.TempDir(), dir: t.TempDir(), addr: "127.0.0.1:0"}
	made := make(chan struct{})
	s.model = llmtest.NewServerFunc(func(n int) (llmtest.Turn, bool) {
		<-made
		return s.next(n), true
	})
	close(made)
	t.Cleanup(s.model.Close)
	routes := http.NewServeMux()
	for path, do := range map[string]func(r *http.Request) (any, error){
		"/start": s.start, "/kill": s.kill, "/turns": s.script, "/file": s.file, "/seed": s.seed, "/asked": s.asked, "/run": s.run,
	} {
		routes.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			answer, err := do(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			_ = json.NewEncoder(w).Encode(answer)
		})
	}
	s.control = httptest.NewServer(routes)
	t.Cleanup(func() {
		s.control.Close()
		_, _ = s.kill(nil)
	})
	return s
}

var jobOf = regexp.MustCompile(`\\"job\\":\s*\\"([^"\\]+)`)

// next is the next turn of the model. JOB in a call stands for the job that it was
// told of last.
func (s *stage) next(n int) llmtest.Turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.turns) == 0 {
		return llmtest.Turn{Text: "The script has ended."}
	}
	turn := s.turns[0]
	s.turns = s.turns[1:]
	if seen := s.model.Seen(); n < len(seen) {
		if all := jobOf.FindAllSubmatch(seen[n].Body, -1); all != nil {
			for i := range turn.Calls {
				turn.Calls[i].Args = strings.ReplaceAll(turn.Calls[i].Args, "JOB", string(all[len(all)-1][1]))
			}
		}
	}
	return turn
}

// script gives the model turns to play after those that it has.
func (s *stage) script(r *http.Request) (any, error) {
	turns, err := llmtest.ReadScript(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turns = append(s.turns, turns...)
	return len(s.turns), err
}

// asked is what the model was asked so far.
func (s *stage) asked(*http.Request) (any, error) {
	bodies := []json.RawMessage{}
	for _, seen := range s.model.Seen() {
		bodies = append(bodies, seen.Body)
	}
	return bodies, nil
}

// start starts the server, and answers with the address that it prints.
func (s *stage) start(r *http.Request) (any, error) {
	file := filepath.Join(s.home, "addr")
	_ = os.Remove(file)
	args := []string{"serve", "--addr", s.addr, "--addr-file", file, "--hub", "local"}
	if model := r.URL.Query().Get("model"); model != "" {
		args = append(args, "--model", model)
	} else {
		args = append(args, "--model", "openai/test")
	}
	cmd := exec.Command(s.exe, append(args, r.URL.Query()["arg"]...)...) //nolint:noctx // kill ends it
	cmd.Dir = s.dir
	cmd.Env = s.env()
	said := make(chan string, 1)
	cmd.Stderr = &printed{s: s, address: said}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.cmd = cmd
	s.mu.Unlock()
	select {
	case address := <-said:
		listens, err := os.ReadFile(file)
		s.addr = strings.TrimSpace(string(listens))
		return map[string]string{"address": address, "addr": s.addr}, err
	case <-time.After(time.Minute):
		return nil, fmt.Errorf("serve printed no address: %s", s.said())
	}
}

func (s *stage) env() []string {
	env := append(os.Environ(), "ML_INTERN_HOME="+s.home, "HF_TOKEN=", "HF_ENDPOINT=", "HF_HUB_OFFLINE=1", "ANTHROPIC_API_KEY=", "OPENROUTER_API_KEY=", "OPENAI_API_KEY=sk-test", "OPENAI_BASE_URL="+s.model.URL)
	for _, local := range []string{"OLLAMA_HOST", "VLLM_BASE_URL", "LM_STUDIO_BASE_URL", "LLAMACPP_BASE_URL"} {
		env = append(env, local+"=http://127.0.0.1:1") // where nobody answers
	}
	return env
}

// printed keeps what the server prints, and finds the address in it.
type printed struct {
	s       *stage
	address chan<- string
	found   bool
}

var pageAddress = regexp.MustCompile(`http://\S+#key=\S+`)

func (p *printed) Write(text []byte) (int, error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.s.output.Write(text)
	if all := pageAddress.FindAllString(p.s.output.String(), -1); all != nil && strings.Contains(string(text), "#key=") && !p.found {
		p.found = true
		p.address <- all[len(all)-1] // of this start: the key may be another
	}
	return len(text), nil
}

func (s *stage) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.output.String()
}

// kill ends the server as a power cut does.
func (s *stage) kill(*http.Request) (any, error) {
	s.mu.Lock()
	cmd := s.cmd
	s.cmd = nil
	s.mu.Unlock()
	if cmd == nil {
		return nil, nil
	}
	if err := cmd.Process.Kill(); err != nil {
		return nil, err
	}
	_ = cmd.Wait() // killed
	return nil, nil
}

// file reads a file of the workspace, or writes the body of a POST into it.
func (s *stage) file(r *http.Request) (any, error) {
	name := filepath.Join(s.dir, filepath.Base(r.URL.Query().Get("name")))
	if r.Method == http.MethodPost {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		return nil, os.WriteFile(name, text, 0o600)
	}
	text, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return nil, nil
	}
	return string(text), err
}

// run runs the program beside the server.
func (s *stage) run(r *http.Request) (any, error) {
	cmd := exec.CommandContext(r.Context(), s.exe, r.URL.Query()["arg"]...)
	cmd.Dir, cmd.Env = s.dir, s.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return string(out), nil
}

// seed writes a session of n events into the store.
func (s *stage) seed(r *http.Request) (any, error) {
	var n int
	if _, err := fmt.Sscan(r.URL.Query().Get("n"), &n); err != nil {
		return nil, err
	}
	store, err := sqlite.Open(r.Context(), filepath.Join(s.home, "state", "sessions.db"))
	if err != nil {
		return nil, err
	}
	defer store.Close()
	said := func(text string) session.Event {
		return session.Event{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: text}}}, End: llm.End{Reason: llm.EndStop}}}}
	}
	evs := []session.Event{{Opened: &session.Opened{ID: "long", Dir: s.dir, Model: "openai/test", Hub: "local"}}}
	for i := 0; len(evs) < n-6; i++ {
		call := llm.ToolCall{ID: fmt.Sprint("c", i), Name: "bash", Args: fmt.Sprintf(`{"command":"echo %d"}`, i)}
		evs = append(evs,
			session.Event{Prompt: &session.Prompt{Text: fmt.Sprintf("prompt number %d", i)}},
			session.Event{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: "I **look**."}, {Call: &call}}}}}},
			session.Event{Decided: &session.Decided{CallID: call.ID, Verdict: "allow", By: "policy"}},
			session.Event{Started: &session.Started{CallID: call.ID}},
			session.Event{Result: &session.Result{CallID: call.ID, Output: tool.Output{Text: strings.Repeat("a line of output\n", 20), Summary: "exit status 0"}}},
			said(fmt.Sprintf("Answer *number* %d:\n\n| a | b |\n|---|---|\n| %d | `code` |\n\n```python\nprint(%d)\n```\n", i, i, i)))
	}
	for len(evs) < n-1 {
		evs = append(evs, session.Event{Notice: &session.Notice{Kind: "test", Text: "a word"}})
	}
	evs = append(evs, said("the very end"))
	for i := range evs {
		evs[i].Seq, evs[i].Time = int64(i+1), time.Date(2026, 11, 27, 12, 0, i, 0, time.UTC)
	}
	return len(evs), store.Append(r.Context(), "long", evs...)
}
