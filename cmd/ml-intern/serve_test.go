//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
)

// A host is a running `ml-intern serve`, and who asks it.
type host struct {
	*testing.T
	cmd       *exec.Cmd
	home, dir string
	url, key  string
	client    *http.Client
	exited    chan struct{}
	code      error
	said      *lockedBuffer
}

// lockedBuffer is written by a process while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// serves starts the server, with a model that is at a URL.
func serves(t *testing.T, home, dir, model string, args ...string) *host {
	t.Helper()
	addr := filepath.Join(t.TempDir(), "addr")
	s := &host{T: t, home: home, dir: dir, client: &http.Client{Transport: &http.Transport{}}, exited: make(chan struct{}), said: &lockedBuffer{}}
	s.cmd = exec.Command(program(t), append([]string{"serve", "--addr", "127.0.0.1:0", "--addr-file", addr, "--hub", "local"}, args...)...) //nolint:noctx // the test ends it
	s.cmd.Dir = dir
	s.cmd.Env = append(os.Environ(), "ML_INTERN_HOME="+home, "HOME="+home, "HF_TOKEN=", "HF_ENDPOINT=", "ANTHROPIC_API_KEY=", "OPENROUTER_API_KEY=", "OPENAI_API_KEY=", "OPENAI_BASE_URL=")
	for _, local := range []string{"OLLAMA_HOST", "VLLM_BASE_URL", "LM_STUDIO_BASE_URL", "LLAMACPP_BASE_URL"} {
		s.cmd.Env = append(s.cmd.Env, local+"=http://127.0.0.1:1") // where nobody answers
	}
	if model != "" {
		s.cmd.Args = append(s.cmd.Args, "--model", "openai/test")
		s.cmd.Env = append(s.cmd.Env, "OPENAI_API_KEY=sk-test", "OPENAI_BASE_URL="+model)
	}
	s.cmd.Stderr = s.said
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.code = s.cmd.Wait()
		close(s.exited)
	}()
	t.Cleanup(func() {
		_ = s.end(os.Interrupt)
		if t.Failed() {
			t.Logf("the server said:\n%s", s.said)
		}
	})
	late := time.After(time.Minute)
	for {
		at, err := os.ReadFile(addr)
		if key := strings.TrimSpace(after(s.said.String(), "/#key=")); err == nil && bytes.HasSuffix(at, []byte("\n")) && strings.Contains(s.said.String(), "Ctrl-C") {
			s.url, s.key = "http://"+strings.TrimSpace(string(at)), strings.Fields(key)[0]
			return s
		}
		select {
		case <-s.exited:
			t.Fatalf("the server ended: %v: %s", s.code, s.said)
		case <-late:
			t.Fatalf("the server does not listen: %s", s.said)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// after is what follows a word in a text.
func after(text, word string) string {
	_, rest, _ := strings.Cut(text, word)
	return rest
}

// end sends a signal and waits for the end.
func (s *host) end(signal os.Signal) error {
	_ = s.cmd.Process.Signal(signal)
	select {
	case <-s.exited:
	case <-time.After(time.Minute):
		_ = s.cmd.Process.Kill()
		<-s.exited
		s.Errorf("the server did not end by %s", signal)
	}
	s.client.CloseIdleConnections()
	return s.code
}

// request is one to the server, with the key.
func (s *host) request(method, path string, body any) *http.Request {
	s.Helper()
	var data io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		data = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			s.Fatal(err)
		}
		data = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(s.Context(), method, s.url+path, data)
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	if method != http.MethodGet {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// send sends a request and returns the answer, read whole.
func (s *host) send(r *http.Request) (*http.Response, string) {
	s.Helper()
	res, err := s.client.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		s.Fatal(err)
	}
	return res, string(data)
}

// ask sends a request that must be answered so, and reads the answer into out.
func (s *host) ask(method, path string, body any, status int, out any) string {
	s.Helper()
	res, text := s.send(s.request(method, path, body))
	if res.StatusCode != status {
		s.Fatalf("%s %s: %d, want %d: %s", method, path, res.StatusCode, status, text)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(text), out); err != nil {
			s.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
	return text
}

// begin begins a session and returns its id.
func (s *host) begin(prompt string, more ...string) string {
	s.Helper()
	body := map[string]string{"prompt": prompt}
	for i := 0; i+1 < len(more); i += 2 {
		body[more[i]] = more[i+1]
	}
	var out struct{ ID string }
	s.ask("POST", "/api/sessions", body, http.StatusCreated, &out)
	return out.ID
}

// A message is one message of a stream.
type message struct {
	id, kind, data string
}

// event is the session's event in it.
func (m message) event() (ev session.Event) {
	if m.kind != "event" {
		return ev
	}
	if err := json.Unmarshal([]byte(m.data), &ev); err != nil {
		panic(err)
	}
	return ev
}

// A tale is a stream of a session, as it is read.
type tale struct {
	*testing.T
	stop func()
	done chan struct{}

	mu      sync.Mutex
	changed chan struct{}
	seen    []message
	err     error
}

// follow reads the stream of a session.
func (s *host) follow(id string, after int64) *tale {
	s.Helper()
	ctx, stop := context.WithCancel(s.Context())
	r := s.request("GET", fmt.Sprintf("/api/sessions/%s/events?after=%d", id, after), nil).WithContext(ctx)
	res, err := s.client.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		s.Fatalf("the stream of %s: %s", id, res.Status)
	}
	t := &tale{T: s.T, stop: stop, done: make(chan struct{}), changed: make(chan struct{})}
	go func() {
		defer close(t.done)
		defer res.Body.Close()
		t.read(res.Body)
	}()
	s.Cleanup(t.end)
	return t
}

func (t *tale) read(body io.Reader) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 16<<20)
	var m message
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			m.id = value
		case "event":
			m.kind = value
		case "data":
			m.data = value
		}
		if lines.Text() == "" && m.kind != "" {
			t.add(m)
			m = message{}
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = lines.Err()
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *tale) add(m message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = append(t.seen, m)
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *tale) end() {
	t.stop()
	<-t.done
}

// until waits for a message that is not before the one numbered from, and returns
// its number.
func (t *tale) until(what string, from int, found func(message) bool) int {
	t.Helper()
	late := time.After(90 * time.Second)
	for {
		t.mu.Lock()
		changed := t.changed
		i := -1
		if from <= len(t.seen) {
			i = slices.IndexFunc(t.seen[from:], found)
		}
		t.mu.Unlock()
		if i >= 0 {
			return from + i
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("no %s; seen:\n%s", what, t.story())
		}
	}
}

// at is the message of that number.
func (t *tale) at(i int) message {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen[i]
}

// phase waits until the session is in a phase.
func (t *tale) phase(from int, phase string) int {
	t.Helper()
	return t.until("phase "+phase, from, func(m message) bool { return m.kind == "state" && strings.Contains(m.data, `"phase":"`+phase+`"`) })
}

// answer waits until the model has answered so.
func (t *tale) answer(text string) int {
	t.Helper()
	return t.until("answer "+text, 0, func(m message) bool {
		ev := m.event()
		return ev.Reply != nil && ev.Reply.Message.Text() == text
	})
}

func (t *tale) story() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for _, m := range t.seen {
		fmt.Fprintf(&b, "%s %s %.300s\n", m.id, m.kind, m.data)
	}
	return b.String()
}

// whole fails unless the saved events are all of the session's, each once and in
// order, after the number.
func (t *tale) whole(after int64) {
	t.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.seen {
		if m.id == "" {
			continue
		}
		if after++; m.id != fmt.Sprint(after) || m.event().Seq != after {
			t.Fatalf("after event %d came %s", after-1, m.id)
		}
	}
}

// A person begins a session, watches it, is asked, answers, and is answered; then
// it is in the list, and the stream of another reader has it all.
func TestServeTurn(t *testing.T) {
	t.Parallel()
	model := plays(t,
		llmtest.Turn{Text: "I look. ", Calls: []llmtest.TurnCall{makes("bash01", "bash", map[string]any{"command": "echo one > a.txt"})}},
		llmtest.Turn{Text: "It is done.", Chunk: 4}, llmtest.Turn{Text: "again"})
	s := serves(t, t.TempDir(), t.TempDir(), model.URL)
	if res, text := s.send(s.request("GET", "/", nil)); res.StatusCode != http.StatusOK || !strings.Contains(text, "ml-intern") || res.Header.Get("ETag") == "" {
		t.Errorf("the page: %s %s", res.Status, text)
	}
	var about struct {
		Version, Dir, Model string
		Models              []struct{ ID string }
		Commands            []struct{ Name string }
	}
	s.ask("GET", "/api/server", nil, http.StatusOK, &about)
	if about.Dir != s.dir || about.Model != "openai/test" || len(about.Models) == 0 || len(about.Commands) < 10 {
		t.Errorf("%+v", about)
	}
	id := s.begin("change it", "mode", "strict")
	tale := s.follow(id, 0)
	at := tale.until("question", 0, func(m message) bool { return m.kind == "ask" })
	var ask struct {
		ID       int
		Requests []struct {
			CallID string `json:"call_id"`
			Tool   string
			Args   struct{ Command string }
			Reason string
		}
	}
	if err := json.Unmarshal([]byte(tale.at(at).data), &ask); err != nil || len(ask.Requests) != 1 || ask.Requests[0].Args.Command != "echo one > a.txt" || ask.Requests[0].Reason == "" {
		t.Fatalf("%v %s", err, tale.at(at).data)
	}
	answers := "/api/sessions/" + id + "/answers"
	s.ask("POST", answers, map[string]any{"ask": ask.ID, "decisions": []any{}}, http.StatusBadRequest, nil)
	s.ask("POST", answers, map[string]any{"ask": ask.ID + 1, "decisions": []any{}}, http.StatusConflict, nil)
	changed := map[string]any{"call_id": "bash01", "verdict": "allow", "args": map[string]any{"command": "echo two > a.txt"}}
	s.ask("POST", answers, map[string]any{"ask": ask.ID, "decisions": []any{changed}}, http.StatusNoContent, nil)
	s.ask("POST", answers, map[string]any{"ask": ask.ID, "decisions": []any{changed}}, http.StatusConflict, nil)
	tale.answer("It is done.")
	tale.until("end", at, func(m message) bool { return m.kind == "ended" })
	if data, err := os.ReadFile(filepath.Join(s.dir, "a.txt")); err != nil || string(data) != "two\n" {
		t.Errorf("%v %q", err, data)
	}
	tale.whole(0)
	s.ask("POST", "/api/sessions/"+id+"/prompts", map[string]any{"text": "once more"}, http.StatusAccepted, nil)
	tale.answer("again")
	var list struct {
		Sessions []struct {
			ID, Title, Dir, State string
			SpentUSD              float64 `json:"spent_usd"`
			Live                  *struct{ Phase string }
		}
	}
	s.ask("GET", "/api/sessions?q=change", nil, http.StatusOK, &list)
	if len(list.Sessions) != 1 || list.Sessions[0].ID != id || list.Sessions[0].Title != "change it" || list.Sessions[0].Live == nil {
		t.Errorf("%+v", list)
	}
	other := s.follow(id, 0)
	other.until("caught up", 0, func(m message) bool { return m.kind == "caught_up" })
	other.whole(0)
	other.answer("again")
	if err := s.end(os.Interrupt); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}
