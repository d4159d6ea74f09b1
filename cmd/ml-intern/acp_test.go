package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	acp "github.com/coder/acp-go-sdk"

	"ml-intern/internal/llm/llmtest"
)

// An editor is one that drives `ml-intern acp` with the library's client: what
// it was shown, and how its person answers.
type editor struct {
	*testing.T
	*acp.ClientSideConnection
	cmd       *exec.Cmd
	stdin     io.Closer
	stdout    io.Closer
	home, dir string
	exited    chan struct{}
	code      error

	mu      sync.Mutex
	changed chan struct{} // closed when something comes
	seen    []acp.SessionNotification
	asked   []acp.RequestPermissionRequest
	misused []string // what the program wanted of it that it must not
	decide  func(ctx context.Context, r acp.RequestPermissionRequest) (acp.RequestPermissionResponse, error)
}

// edits starts the program as an editor does, with a model that plays the turns.
func edits(t *testing.T, home, dir, model string, args ...string) *editor {
	t.Helper()
	e := &editor{T: t, home: home, dir: dir, changed: make(chan struct{}), exited: make(chan struct{})}
	e.cmd = exec.Command(program(t), append([]string{"acp", "--hub", "local", "--quiet"}, args...)...) //nolint:noctx // the test ends it
	e.cmd.Dir = t.TempDir()                                                                            // the workspace is what the editor says
	e.cmd.Env = append(os.Environ(), "ML_INTERN_HOME="+home, "HF_TOKEN=", "HF_ENDPOINT=", "ANTHROPIC_API_KEY=", "OPENROUTER_API_KEY=", "OPENAI_API_KEY=", "OPENAI_BASE_URL=")
	for _, local := range []string{"OLLAMA_HOST", "VLLM_BASE_URL", "LM_STUDIO_BASE_URL", "LLAMACPP_BASE_URL"} {
		e.cmd.Env = append(e.cmd.Env, local+"=http://127.0.0.1:1") // where nobody answers
	}
	if model != "" {
		e.cmd.Args = append(e.cmd.Args, "--model", "openai/test")
		e.cmd.Env = append(e.cmd.Env, "OPENAI_API_KEY=sk-test", "OPENAI_BASE_URL="+model)
	}
	e.cmd.Stderr = os.Stderr
	in, err := e.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e.stdin, e.stdout = in, out
	e.ClientSideConnection = acp.NewClientSideConnection(e, in, out)
	e.SetLogger(slog.New(slog.DiscardHandler))
	go func() {
		<-e.Done() // all output is read
		e.code = e.cmd.Wait()
		close(e.exited)
	}()
	t.Cleanup(func() { e.leave() })
	return e
}

// leave closes the program's input and waits for its end.
func (e *editor) leave() error {
	_ = e.stdin.Close()
	select {
	case <-e.exited:
	case <-time.After(time.Minute):
		_ = e.cmd.Process.Kill()
		e.Error("the program did not end with its input")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, what := range e.misused {
		e.Errorf("the program used what the editor offers: %s", what)
	}
	return e.code
}

func (e *editor) greet() acp.InitializeResponse {
	e.Helper()
	r, err := e.Initialize(e.Context(), acp.InitializeRequest{
		ProtocolVersion: acp.ProtocolVersionNumber, ClientInfo: &acp.Implementation{Name: "test", Version: "1"},
		ClientCapabilities: acp.ClientCapabilities{Fs: acp.FileSystemCapabilities{ReadTextFile: true, WriteTextFile: true}, Terminal: true},
	})
	if err != nil {
		e.Fatal(err)
	}
	return r
}

func (e *editor) begin() acp.NewSessionResponse {
	e.Helper()
	e.greet()
	return e.another(e.dir)
}

func (e *editor) another(dir string, servers ...acp.McpServer) acp.NewSessionResponse {
	e.Helper()
	r, err := e.NewSession(e.Context(), acp.NewSessionRequest{Cwd: dir, McpServers: append([]acp.McpServer{}, servers...)})
	if err != nil {
		e.Fatal(err)
	}
	return r
}

// says gives a prompt and returns how its turn ended.
func (e *editor) says(id acp.SessionId, text string) acp.StopReason {
	e.Helper()
	r, err := e.Prompt(e.Context(), acp.PromptRequest{SessionId: id, Prompt: []acp.ContentBlock{acp.TextBlock(text)}})
	if err != nil {
		e.Errorf("%s: %v", text, err)
	}
	return r.StopReason
}

func (e *editor) come() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// SessionUpdate implements acp.Client.
func (e *editor) SessionUpdate(_ context.Context, n acp.SessionNotification) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = append(e.seen, n)
	e.come()
	return nil
}

// RequestPermission implements acp.Client.
func (e *editor) RequestPermission(ctx context.Context, r acp.RequestPermissionRequest) (acp.RequestPermissionResponse, error) {
	e.mu.Lock()
	e.asked = append(e.asked, r)
	decide := e.decide
	e.come()
	e.mu.Unlock()
	if decide == nil {
		return acp.RequestPermissionResponse{}, errors.New("nobody is there")
	}
	return decide(ctx, r)
}

// chooses answers with the option of that id.
func chooses(id string) func(context.Context, acp.RequestPermissionRequest) (acp.RequestPermissionResponse, error) {
	return func(context.Context, acp.RequestPermissionRequest) (acp.RequestPermissionResponse, error) {
		return acp.RequestPermissionResponse{Outcome: acp.NewRequestPermissionOutcomeSelected(acp.PermissionOptionId(id))}, nil
	}
}

func (e *editor) misuse(what string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.misused = append(e.misused, what)
	return errors.New("not here")
}

// What follows implements the rest of acp.Client, which the program leaves alone.

func (e *editor) ReadTextFile(context.Context, acp.ReadTextFileRequest) (r acp.ReadTextFileResponse, err error) {
	return r, e.misuse("fs/read_text_file")
}

func (e *editor) WriteTextFile(context.Context, acp.WriteTextFileRequest) (r acp.WriteTextFileResponse, err error) {
	return r, e.misuse("fs/write_text_file")
}

func (e *editor) CreateTerminal(context.Context, acp.CreateTerminalRequest) (r acp.CreateTerminalResponse, err error) {
	return r, e.misuse("terminal/create")
}

func (e *editor) KillTerminal(context.Context, acp.KillTerminalRequest) (r acp.KillTerminalResponse, err error) {
	return r, e.misuse("terminal/kill")
}

func (e *editor) TerminalOutput(context.Context, acp.TerminalOutputRequest) (r acp.TerminalOutputResponse, err error) {
	return r, e.misuse("terminal/output")
}

func (e *editor) ReleaseTerminal(context.Context, acp.ReleaseTerminalRequest) (r acp.ReleaseTerminalResponse, err error) {
	return r, e.misuse("terminal/release")
}

func (e *editor) WaitForTerminalExit(context.Context, acp.WaitForTerminalExitRequest) (r acp.WaitForTerminalExitResponse, err error) {
	return r, e.misuse("terminal/wait_for_exit")
}

// until waits until what was seen satisfies found.
func (e *editor) until(what string, found func() bool) {
	e.Helper()
	late := time.After(90 * time.Second)
	for {
		e.mu.Lock()
		ok, changed := found(), e.changed
		e.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-late:
			e.Fatalf("no %s; seen:\n%s", what, e.story(""))
		}
	}
}

// untilSaid waits until the agent's words have a text.
func (e *editor) untilSaid(id acp.SessionId, text string) {
	e.Helper()
	e.until(fmt.Sprintf("words %q", text), func() bool { return strings.Contains(e.words(id), text) })
}

// words are all that the agent said in a session; mu is held.
func (e *editor) words(id acp.SessionId) string {
	var b strings.Builder
	for _, n := range e.seen {
		if c := n.Update.AgentMessageChunk; n.SessionId == id && c != nil && c.Content.Text != nil {
			b.WriteString(c.Content.Text.Text)
		}
	}
	return b.String()
}

// said is words, for whoever does not hold mu.
func (e *editor) said(id acp.SessionId) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.words(id)
}

// story is what was seen, a line each.
func (e *editor) story(id acp.SessionId) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var b strings.Builder
	for _, n := range e.seen {
		if id != "" && n.SessionId != id {
			continue
		}
		data, err := json.Marshal(n.Update)
		fmt.Fprintf(&b, "%s %v\n", data, err)
	}
	return b.String()
}

// call is what was last shown of a call.
type shownCall struct {
	title, kind, status, text string
	diff                      *acp.ToolCallContentDiff
	locations                 []acp.ToolCallLocation
	input                     any
	updates                   int
}

func (e *editor) call(id acp.SessionId, call string) (k shownCall) {
	e.mu.Lock()
	defer e.mu.Unlock()
	content := func(list []acp.ToolCallContent) {
		if list != nil {
			k.text, k.diff = "", nil
		}
		for _, c := range list {
			switch {
			case c.Content != nil && c.Content.Content.Text != nil:
				k.text += c.Content.Content.Text.Text
			case c.Diff != nil:
				k.diff = c.Diff
			}
		}
	}
	for _, n := range e.seen {
		if n.SessionId != id {
			continue
		}
		if c := n.Update.ToolCall; c != nil && string(c.ToolCallId) == call {
			k.title, k.kind, k.status, k.locations, k.input = c.Title, string(c.Kind), string(c.Status), c.Locations, c.RawInput
			content(c.Content)
		}
		if c := n.Update.ToolCallUpdate; c != nil && string(c.ToolCallId) == call {
			k.updates++
			if c.Status != nil {
				k.status = string(*c.Status)
			}
			content(c.Content)
		}
	}
	return k
}

func plays(t *testing.T, turns ...llmtest.Turn) *llmtest.Server {
	t.Helper()
	s := llmtest.NewServer(turns...)
	t.Cleanup(s.Close)
	return s
}

func calls(list ...llmtest.TurnCall) llmtest.Turn { return llmtest.Turn{Calls: list} }

func makes(id, name string, args map[string]any) llmtest.TurnCall {
	data, err := json.Marshal(args)
	if err != nil {
		panic(err)
	}
	return llmtest.TurnCall{ID: id, Name: name, Args: string(data)}
}

func writeText(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// An editor greets the program, opens a session, and sees a turn as it goes: the
// plan, thoughts, files that are read, changed and written, and the answer.
func TestACPTurn(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	writeText(t, filepath.Join(dir, "a.py"), "x = 1\ny = 2\n")
	model := plays(t,
		llmtest.Turn{Reasoning: "let me see", Text: "I look. ", Calls: []llmtest.TurnCall{
			makes("plan01", "plan", map[string]any{"items": []map[string]any{{"text": "look", "status": "doing"}, {"text": "change", "status": "pending"}}}),
			makes("read01", "read", map[string]any{"path": "a.py"}),
		}},
		calls(makes("edit01", "edit", map[string]any{"path": "a.py", "old": "x = 1", "new": "x = 3"}),
			makes("write1", "write", map[string]any{"path": "b.py", "content": "new\n"}),
			makes("write2", "write", map[string]any{"path": "a.py", "content": "all new\n"})),
		calls(makes("bash01", "bash", map[string]any{"command": "echo one; echo two; exit 3"}),
			makes("plan02", "plan", map[string]any{"items": []map[string]any{{"text": "look", "status": "done"}, {"text": "change", "status": "done"}}})),
		llmtest.Turn{Text: "It is **done**.", Chunk: 4},
	)
	e := edits(t, home, dir, model.URL)
	hello := e.greet()
	if hello.ProtocolVersion != 1 || !hello.AgentCapabilities.LoadSession || !hello.AgentCapabilities.PromptCapabilities.EmbeddedContext || hello.AgentCapabilities.PromptCapabilities.Image ||
		!hello.AgentCapabilities.McpCapabilities.Http || hello.AgentCapabilities.SessionCapabilities.List == nil || hello.AgentInfo.Name != "ml-intern" || len(hello.AuthMethods) != 2 {
		t.Errorf("%+v", hello)
	}
	s := e.another(dir)
	if s.Modes == nil || s.Modes.CurrentModeId != "ask" || len(s.Modes.AvailableModes) != 4 || len(s.ConfigOptions) != 3 {
		t.Errorf("%+v", s)
	}
	if stop := e.says(s.SessionId, "change it"); stop != acp.StopReasonEndTurn {
		t.Errorf("stopped by %s", stop)
	}
	if words := e.said(s.SessionId); !strings.Contains(words, "\n\nI look. ") || !strings.HasSuffix(words, "It is **done**.") {
		t.Errorf("%q", words)
	}
	for id, want := range map[string]shownCall{
		"read01": {title: "read a.py", kind: "read", status: "completed"}, "edit01": {title: "edit a.py", kind: "edit", status: "completed"},
		"write1": {title: "write b.py", kind: "edit", status: "completed"}, "write2": {title: "write a.py", kind: "edit", status: "completed"},
		"bash01": {title: "`echo one; echo two; exit 3`", kind: "execute", status: "failed"},
	} {
		got := e.call(s.SessionId, id)
		if got.title != want.title || got.kind != want.kind || got.status != want.status || got.input == nil || id != "bash01" && (len(got.locations) != 1 || !filepath.IsAbs(got.locations[0].Path)) {
			t.Errorf("%s: %+v", id, got)
		}
		switch d := got.diff; {
		case id == "edit01" && (d == nil || d.OldText == nil || *d.OldText != "x = 1" || d.NewText != "x = 3" || d.Path != filepath.Join(dir, "a.py")):
			t.Errorf("%s: %+v", id, d)
		case id == "write1" && (d == nil || d.OldText != nil || d.NewText != "new\n"):
			t.Errorf("%s: %+v", id, d)
		case id == "write2" && (d == nil || d.OldText == nil || *d.OldText != "x = 1\ny = 2\n"): // as it was when the model wrote
			t.Errorf("%s: %+v", id, d)
		case id == "bash01" && !strings.Contains(got.text, "one\ntwo"):
			t.Errorf("%s: %q", id, got.text)
		case id == "read01" && !strings.Contains(got.text, "x = 1"):
			t.Errorf("%s: %q", id, got.text)
		}
	}
	story := e.story(s.SessionId)
	for _, want := range []string{
		`"sessionUpdate":"agent_thought_chunk"`, `let me see`, `"sessionUpdate":"plan"`, `{"content":"look","priority":"medium","status":"in_progress"}`,
		`"sessionUpdate":"available_commands_update"`, `"name":"compact"`, `"sessionUpdate":"usage_update"`, `"sessionUpdate":"session_info_update"`, `"title":"change it"`,
	} {
		if !strings.Contains(story, want) {
			t.Errorf("%s is not in\n%s", want, story)
		}
	}
	for _, not := range []string{`"name":"quit"`, `"name":"new"`, `"toolCallId":"plan01"`} {
		if strings.Contains(story, not) {
			t.Errorf("%s is in\n%s", not, story)
		}
	}
	if err := e.leave(); err != nil {
		t.Errorf("the program ended with %v", err)
	}
}

// The session of an editor is one of the terminal's: it is listed, shown, gone on
// with by --resume, and loaded again with all that was before.
func TestACPLoad(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	writeText(t, filepath.Join(dir, "a.py"), "x = 1\n")
	model := plays(t, calls(makes("edit01", "edit", map[string]any{"path": "a.py", "old": "x = 1", "new": "x = 2"})), llmtest.Turn{Text: "first"},
		llmtest.Turn{Text: "second"}, llmtest.Turn{Text: "third"}, llmtest.Turn{Text: "fourth"})
	e := edits(t, home, dir, model.URL)
	id := e.begin().SessionId
	e.says(id, "one")
	if err := e.leave(); err != nil {
		t.Fatal(err)
	}
	resume := exec.CommandContext(t.Context(), program(t), "run", "--resume", string(id), "--hub", "local", "two")
	resume.Dir, resume.Env = dir, e.cmd.Env
	if out, err := resume.CombinedOutput(); err != nil || !strings.Contains(string(out), "second") {
		t.Fatalf("%v: %s", err, out)
	}

	again := edits(t, home, dir, model.URL)
	again.greet()
	if _, err := again.LoadSession(t.Context(), acp.LoadSessionRequest{SessionId: id, Cwd: t.TempDir(), McpServers: []acp.McpServer{}}); err == nil || !strings.Contains(err.Error(), "open it with that cwd") {
		t.Errorf("a session of another folder: %v", err)
	}
	if _, err := again.LoadSession(t.Context(), acp.LoadSessionRequest{SessionId: id[:8], Cwd: dir, McpServers: []acp.McpServer{}}); err == nil || !strings.Contains(err.Error(), "there is no session") {
		t.Errorf("half an id: %v", err)
	}
	list, err := again.ListSessions(t.Context(), acp.ListSessionsRequest{Cwd: &dir})
	if err != nil || len(list.Sessions) != 1 || list.Sessions[0].SessionId != id || list.Sessions[0].Cwd != dir || *list.Sessions[0].Title != "one" {
		t.Errorf("%v %+v", err, list)
	}
	loaded, err := again.LoadSession(t.Context(), acp.LoadSessionRequest{SessionId: id, Cwd: dir, McpServers: []acp.McpServer{}})
	if err != nil || loaded.Modes == nil || loaded.Modes.CurrentModeId != "auto" && loaded.Modes.CurrentModeId != "ask" {
		t.Fatalf("%v %+v", err, loaded)
	}
	story := again.story(id)
	at := 0
	for _, want := range []string{`"one"`, `"toolCallId":"edit01"`, `"newText":"x = 2"`, `"status":"completed"`, `first`, `"two"`, `second`} {
		i := strings.Index(story[at:], want)
		if i < 0 {
			t.Fatalf("%s is not where it should be in\n%s", want, story)
		}
		at += i
	}
	if !strings.Contains(story, `"sessionUpdate":"user_message_chunk"`) || strings.Count(story, "first") != 1 {
		t.Errorf("the history is\n%s", story)
	}
	if stop := again.says(id, "three"); stop != acp.StopReasonEndTurn || !strings.HasSuffix(again.said(id), "third") {
		t.Errorf("%s %q", stop, again.said(id))
	}
	// Loaded once more while it is open, and resumed without its history.
	if _, err := again.LoadSession(t.Context(), acp.LoadSessionRequest{SessionId: id, Cwd: dir, McpServers: []acp.McpServer{}}); err != nil {
		t.Error(err)
	}
	if _, err := again.CloseSession(t.Context(), acp.CloseSessionRequest{SessionId: id}); err != nil {
		t.Error(err)
	}
	if _, err := again.Prompt(t.Context(), acp.PromptRequest{SessionId: id, Prompt: []acp.ContentBlock{acp.TextBlock("x")}}); err == nil || !strings.Contains(err.Error(), "there is no open session") {
		t.Errorf("a closed session: %v", err)
	}
	before := strings.Count(again.story(id), "user_message_chunk")
	if _, err := again.ResumeSession(t.Context(), acp.ResumeSessionRequest{SessionId: id, Cwd: dir}); err != nil {
		t.Error(err)
	}
	if stop := again.says(id, "four"); stop != acp.StopReasonEndTurn || strings.Count(again.story(id), "user_message_chunk") != before {
		t.Errorf("%s\n%s", stop, again.story(id))
	}
}
