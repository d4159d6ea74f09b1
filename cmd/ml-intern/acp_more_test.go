package main

import (
	"context"
	"errors"
	"fmt"
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

// A person decides in the editor: once, for the session, for ever, or not; and
// whatever is none of these is a no.
func TestACPPermission(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	var turns []llmtest.Turn
	for i, id := range []string{"w-once", "w-no", "w-odd", "w-none", "w-session", "w-session2", "w-always", "w-always2"} {
		file := []string{"a", "a", "a", "a", "b", "b", "c", "c"}[i]
		turns = append(turns, calls(makes(id, "write", map[string]any{"path": file + ".txt", "content": id})), llmtest.Turn{Text: "so be it"})
	}
	e := edits(t, home, dir, plays(t, turns...).URL, "--approve", "strict")
	id := e.begin().SessionId
	var rule string
	for _, step := range []struct {
		call, answer string
		asks, runs   bool
	}{
		{"w-once", "allow_once", true, true},
		{"w-no", "reject_once", true, false},
		{"w-odd", "made_up", true, false},
		{"w-none", "", true, false},
		{"w-session", "allow_session", true, true},
		{"w-session2", "reject_once", false, true},
		{"w-always", "allow_always", true, true},
		{"w-always2", "reject_once", false, true},
	} {
		e.mu.Lock()
		e.decide, e.asked = chooses(step.answer), nil
		if step.answer == "" {
			e.decide = nil // an error
		}
		e.mu.Unlock()
		if stop := e.says(id, "go "+step.call); stop != acp.StopReasonEndTurn {
			t.Errorf("%s: %s", step.call, stop)
		}
		e.mu.Lock()
		asked := e.asked
		e.mu.Unlock()
		k := e.call(id, step.call)
		if len(asked) == 1 != step.asks || (k.status == "completed") != step.runs {
			t.Errorf("%s: asked %d times, the call is %+v", step.call, len(asked), k)
		}
		if !step.asks {
			continue
		}
		q := asked[0]
		var kinds []string
		for _, o := range q.Options {
			kinds = append(kinds, string(o.Kind))
			rule = o.Name
		}
		if strings.Join(kinds, " ") != "allow_once allow_always allow_always reject_once" || !strings.Contains(q.Options[2].Name, "write") {
			t.Errorf("%s: %+v %s", step.call, q.Options, rule)
		}
		if c := q.ToolCall; string(c.ToolCallId) != step.call || len(c.Content) != 2 || !strings.Contains(c.Content[0].Content.Content.Text.Text, "asked because: it writes") || c.Content[1].Diff == nil || c.Content[1].Diff.NewText != step.call {
			t.Errorf("%s: %+v", step.call, c)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "a.txt")); string(text) != "w-once" {
		t.Errorf("%s %v", text, err)
	}
	rules, err := os.ReadFile(filepath.Join(home, "config", "rules.yaml"))
	if err != nil || !strings.Contains(string(rules), "c.txt") || strings.Contains(string(rules), "b.txt") {
		t.Errorf("%v %s", err, rules)
	}
}

// A question about a job shows the script in full; several questions of one step
// are put one after the other, and a rule that one makes answers the next.
func TestACPQuestions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeText(t, filepath.Join(dir, "s.py"), "print('the whole script')\n")
	same := map[string]any{"path": "a.txt", "content": "x"}
	e := edits(t, t.TempDir(), dir, plays(t, calls(makes("job001", "job_submit", map[string]any{"name": "x", "script": "s.py", "waivers": map[string]any{"results": "a test"}}),
		makes("write1", "write", same), makes("write2", "write", same)), llmtest.Turn{Text: "well"}).URL, "--approve", "strict")
	e.decide = func(ctx context.Context, r acp.RequestPermissionRequest) (acp.RequestPermissionResponse, error) {
		if r.ToolCall.ToolCallId == "job001" {
			return chooses("reject_once")(ctx, r)
		}
		return chooses("allow_session")(ctx, r)
	}
	id := e.begin().SessionId
	if stop := e.says(id, "go"); stop != acp.StopReasonEndTurn {
		t.Errorf("stopped by %s", stop)
	}
	e.mu.Lock()
	asked := e.asked
	e.mu.Unlock()
	if len(asked) != 2 || asked[0].ToolCall.ToolCallId != "job001" || asked[1].ToolCall.ToolCallId != "write1" {
		t.Fatalf("%+v", asked)
	}
	var text string
	for _, c := range asked[0].ToolCall.Content {
		text += c.Content.Content.Text.Text
	}
	if !strings.Contains(text, "print('the whole script')") || !strings.Contains(text, "asked because") || *asked[0].ToolCall.Kind != acp.ToolKindExecute {
		t.Errorf("%s", text)
	}
	for call, status := range map[string]string{"job001": "failed", "write1": "completed", "write2": "completed"} {
		if k := e.call(id, call); k.status != status {
			t.Errorf("%s: %+v", call, k)
		}
	}
}

// A turn that is stopped while the person is asked, whether they answer that it
// is or say nothing, and by a cancelled answer alone.
func TestACPPermissionCancelled(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	write := func(id string) llmtest.Turn {
		return calls(makes(id, "write", map[string]any{"path": "a.txt", "content": id}))
	}
	e := edits(t, home, dir, plays(t, write("w1"), write("w2"), llmtest.Turn{Text: "after"}).URL, "--approve", "strict")
	id := e.begin().SessionId
	withdrawn := make(chan struct{})
	e.decide = func(ctx context.Context, _ acp.RequestPermissionRequest) (acp.RequestPermissionResponse, error) {
		if err := e.Cancel(context.WithoutCancel(ctx), acp.CancelNotification{SessionId: id}); err != nil {
			return acp.RequestPermissionResponse{}, err
		}
		<-ctx.Done() // it never answers; the request is taken back
		close(withdrawn)
		return acp.RequestPermissionResponse{}, errors.New("gone")
	}
	if stop := e.says(id, "one"); stop != acp.StopReasonCancelled {
		t.Errorf("stopped by %s", stop)
	}
	select {
	case <-withdrawn:
	case <-time.After(time.Minute):
		t.Error("the question was not taken back")
	}
	e.mu.Lock()
	e.decide = func(context.Context, acp.RequestPermissionRequest) (acp.RequestPermissionResponse, error) {
		return acp.RequestPermissionResponse{Outcome: acp.NewRequestPermissionOutcomeCancelled()}, nil
	}
	e.mu.Unlock()
	if stop := e.says(id, "two"); stop != acp.StopReasonCancelled {
		t.Errorf("stopped by %s", stop)
	}
	if stop := e.says(id, "three"); stop != acp.StopReasonEndTurn {
		t.Errorf("stopped by %s", stop)
	}
	if _, err := os.Stat(filepath.Join(dir, "a.txt")); err == nil {
		t.Error("a call ran that nobody allowed")
	}
}

// A cancel ends an answer that hangs, a command that runs, and a prompt that is
// cancelled as soon as it is sent; each leaves a session that goes on.
func TestACPCancel(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	e := edits(t, home, dir, plays(t,
		llmtest.Turn{Text: "this never ends", Chunk: 4, StallAfter: 2, Ping: true},
		calls(makes("b1", "bash", map[string]any{"command": "echo begun; sleep 600"})),
		llmtest.Turn{Text: "well"}, llmtest.Turn{Text: "well"}, llmtest.Turn{Text: "well"},
	).URL)
	id := e.begin().SessionId
	stopped := func(when string, ready func() bool) {
		t.Helper()
		done := make(chan acp.StopReason, 1)
		go func() { done <- e.says(id, when) }()
		if ready != nil {
			e.until(when, ready)
		}
		began := time.Now()
		if err := e.Cancel(t.Context(), acp.CancelNotification{SessionId: id}); err != nil {
			t.Error(err)
		}
		if stop := <-done; stop != acp.StopReasonCancelled {
			t.Errorf("%s: stopped by %q", when, stop)
		}
		t.Logf("%s: stopped after %v", when, time.Since(began))
	}
	stopped("while it streams", func() bool { return strings.Contains(e.words(id), "this") })
	stopped("while a command runs", func() bool {
		for _, n := range e.seen {
			if u := n.Update.ToolCallUpdate; u != nil && u.ToolCallId == "b1" && len(u.Content) > 0 && strings.Contains(u.Content[0].Content.Content.Text.Text, "begun") {
				return true // its output is seen while it runs
			}
		}
		return false
	})
	if k := e.call(id, "b1"); k.status != "failed" {
		t.Errorf("%+v", k)
	}
	if stop := e.says(id, "go on"); stop != acp.StopReasonEndTurn {
		t.Errorf("stopped by %s", stop)
	}
	// The prompt's context is its request: the client takes that back.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Prompt(ctx, acp.PromptRequest{SessionId: id, Prompt: []acp.ContentBlock{acp.TextBlock("at once")}}); err == nil {
		t.Error("a prompt that was taken back has an answer")
	}
	for late := time.Now().Add(90 * time.Second); ; time.Sleep(10 * time.Millisecond) { // it is answered before the next one
		_, err := e.Prompt(t.Context(), acp.PromptRequest{SessionId: id, Prompt: []acp.ContentBlock{acp.TextBlock("/plan")}})
		if err == nil {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("the session is not free again: %v", err)
		}
	}
	if err := e.leave(); err != nil {
		t.Error(err)
	}
}

// Several sessions work at once in one process; each has one prompt at a time.
func TestACPSeveral(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	all := make(chan struct{})
	waiting := 0
	model := llmtest.NewServerFunc(func(int) (llmtest.Turn, bool) {
		mu.Lock()
		if waiting++; waiting == 3 {
			close(all)
		}
		mu.Unlock()
		<-all // no session has its answer before all have asked
		return llmtest.Turn{Text: "here"}, true
	})
	t.Cleanup(model.Close)
	e := edits(t, t.TempDir(), t.TempDir(), model.URL)
	e.greet()
	ids := make([]acp.SessionId, 3)
	dirs := make([]string, 3)
	for i := range ids {
		dirs[i] = t.TempDir()
		ids[i] = e.another(dirs[i]).SessionId
	}
	var wg sync.WaitGroup
	for i, id := range ids {
		if i == 2 { // the last one lets all go on: until then the first has no answer
			_, err := e.Prompt(t.Context(), acp.PromptRequest{SessionId: ids[0], Prompt: []acp.ContentBlock{acp.TextBlock("again")}})
			if err == nil || !strings.Contains(err.Error(), "answers a prompt already") {
				t.Errorf("two prompts at once: %v", err)
			}
		}
		wg.Go(func() {
			if stop := e.says(id, "hello"); stop != acp.StopReasonEndTurn {
				t.Errorf("%s: %s", id, stop)
			}
		})
		if i == 0 {
			for len(model.Seen()) == 0 {
				time.Sleep(5 * time.Millisecond)
			}
		}
	}
	wg.Wait()
	for i, id := range ids {
		if !strings.HasSuffix(e.said(id), "here") {
			t.Errorf("%d: %q", i, e.said(id))
		}
	}
}

// Modes and options change what holds, whoever changes them, and the editor is
// told; what does not exist is refused with the reason.
func TestACPSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := edits(t, t.TempDir(), dir, plays(t, calls(makes("w1", "write", map[string]any{"path": "a", "content": "x"})), llmtest.Turn{Text: "no"}, llmtest.Turn{Text: "yes"}).URL)
	s := e.begin()
	id := s.SessionId
	if _, err := e.SetSessionMode(t.Context(), acp.SetSessionModeRequest{SessionId: id, ModeId: "plan"}); err != nil {
		t.Fatal(err)
	}
	e.until("the mode", func() bool {
		for _, n := range e.seen {
			if u := n.Update.CurrentModeUpdate; u != nil && u.CurrentModeId == "plan" {
				return true
			}
		}
		return false
	})
	e.says(id, "write")
	if k := e.call(id, "w1"); k.status != "failed" || !strings.Contains(k.text, "plan mode") {
		t.Errorf("%+v", k)
	}
	set := func(option, value string) (acp.SetSessionConfigOptionResponse, error) {
		return e.SetSessionConfigOption(t.Context(), acp.SetSessionConfigOptionRequest{ValueId: &acp.SetSessionConfigOptionValueId{
			SessionId: id, ConfigId: acp.SessionConfigId(option), Value: acp.SessionConfigValueId(value),
		}})
	}
	r, err := set("effort", "high")
	if err != nil || len(r.ConfigOptions) != 3 || r.ConfigOptions[2].Select.CurrentValue != "high" || r.ConfigOptions[0].Select.CurrentValue != "plan" {
		t.Errorf("%v %+v", err, r)
	}
	if r, err = set("model", "builtin/baseline"); err != nil || r.ConfigOptions[1].Select.CurrentValue != "builtin/baseline" {
		t.Errorf("%v %+v", err, r)
	}
	e.says(id, "/approve auto") // by a command too
	e.until("the mode", func() bool {
		for _, n := range e.seen {
			if u := n.Update.CurrentModeUpdate; u != nil && u.CurrentModeId == "auto" {
				return true
			}
		}
		return false
	})
	for _, bad := range [][2]string{{"mode", "loose"}, {"mode", "ask now"}, {"effort", ""}, {"model", "nobody/none"}, {"colour", "red"}} {
		if _, err := set(bad[0], bad[1]); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

// What goes wrong carries what it was and what to do: no key, no model, a cap,
// steps, a model that is not reached, a reply that is withheld.
func TestACPFailures(t *testing.T) {
	t.Parallel()
	none := edits(t, t.TempDir(), t.TempDir(), "")
	none.greet()
	_, err := none.NewSession(t.Context(), acp.NewSessionRequest{Cwd: none.dir, McpServers: []acp.McpServer{}})
	var refused *acp.RequestError
	if !errors.As(err, &refused) || refused.Code != -32000 || !strings.Contains(refused.Message, "no model is set") {
		t.Errorf("%v", err)
	}
	if _, err := none.Authenticate(t.Context(), acp.AuthenticateRequest{MethodId: "login"}); !errors.As(err, &refused) || refused.Code != -32000 {
		t.Errorf("%v", err)
	}
	if _, err := none.Authenticate(t.Context(), acp.AuthenticateRequest{MethodId: "magic"}); !errors.As(err, &refused) || refused.Code != -32602 {
		t.Errorf("%v", err)
	}

	call := calls(makes("r", "read", map[string]any{"path": "a"}))
	for name, c := range map[string]struct {
		turns  []llmtest.Turn
		args   []string
		stop   acp.StopReason
		reason string
		says   []string
	}{
		"steps":   {turns: []llmtest.Turn{call, call}, args: []string{"--max-steps", "1"}, stop: acp.StopReasonMaxTurnRequests},
		"refusal": {turns: []llmtest.Turn{{Text: "I will not", Finish: "content_filter"}}, stop: acp.StopReasonRefusal},
		"length": {turns: []llmtest.Turn{
			{Text: "a", Finish: "length"}, {Text: "b", Finish: "length"}, {Text: "c", Finish: "length"}, {Text: "d", Finish: "length"}, {Text: "e", Finish: "length"},
		}, stop: acp.StopReasonMaxTokens},
		"cap":    {turns: []llmtest.Turn{{Text: "x"}}, args: []string{"--max-tokens", "10"}, reason: "cost_cap", says: []string{"--max-cost"}},
		"key":    {turns: []llmtest.Turn{{Status: 401, Body: `{"error":{"message":"bad key"}}`}}, reason: "auth", says: []string{"bad key", "ml-intern doctor"}},
		"credit": {turns: []llmtest.Turn{{Status: 402, Body: `{"error":{"message":"no money"}}`}}, reason: "credit", says: []string{"no money", "/model ID"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := edits(t, t.TempDir(), t.TempDir(), plays(t, c.turns...).URL, c.args...)
			id := e.begin().SessionId
			r, err := e.Prompt(t.Context(), acp.PromptRequest{SessionId: id, Prompt: []acp.ContentBlock{acp.TextBlock("go")}})
			if c.reason == "" {
				if err != nil || r.StopReason != c.stop {
					t.Errorf("%v %+v", err, r)
				}
				return
			}
			var refused *acp.RequestError
			if !errors.As(err, &refused) || !strings.Contains(fmt.Sprint(refused.Data), "reason:"+c.reason) || (c.reason == "auth") != (refused.Code == -32000) {
				t.Fatalf("%v", err)
			}
			for _, text := range c.says {
				if !strings.Contains(refused.Message, text) {
					t.Errorf("%q is not in %q", text, refused.Message)
				}
			}
			if strings.Contains(e.said(id), strings.SplitN(refused.Message, "\n", 2)[0]) {
				t.Errorf("it is said twice: %q", e.said(id))
			}
		})
	}
}

// Commands of the chat, of the person's shell and of their own; texts and links
// that the editor gives with a prompt.
func TestACPSaid(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "config", "commands"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeText(t, filepath.Join(home, "config", "commands", "greet.md"), "Say hello to $ARGUMENTS.")
	model := plays(t, llmtest.Turn{Text: "hello Ada"}, llmtest.Turn{Text: "seen"}, llmtest.Turn{Text: "ran"})
	e := edits(t, home, dir, model.URL)
	id := e.begin().SessionId
	e.until("commands", func() bool {
		for _, n := range e.seen {
			if u := n.Update.AvailableCommandsUpdate; u != nil {
				for _, c := range u.AvailableCommands {
					if c.Name == "greet" {
						return c.Input != nil
					}
				}
			}
		}
		return false
	})
	if e.says(id, "/greet Ada"); !strings.HasSuffix(e.said(id), "hello Ada") || !strings.Contains(string(model.Seen()[0].Body), "Say hello to Ada.") {
		t.Errorf("%q", e.said(id))
	}
	for line, want := range map[string]string{
		"/cost": "In all", "/quit": "is for a terminal", "/frob": "there is no command /frob", "/model": "`/model builtin/baseline`", "/rename Tested": "",
		"/rewind 1 both": "only files are brought back", "/retry": "the last prompt has its answer", "/undo": "changed no files",
	} {
		if stop := e.says(id, line); stop != acp.StopReasonEndTurn || !strings.Contains(e.said(id), want) {
			t.Errorf("%s: %s %q", line, stop, e.said(id))
		}
	}
	e.until("the title", func() bool {
		for _, n := range e.seen {
			if u := n.Update.SessionInfoUpdate; u != nil && *u.Title == "Tested" {
				return true
			}
		}
		return false
	})
	_, err := e.Prompt(t.Context(), acp.PromptRequest{SessionId: id, Prompt: []acp.ContentBlock{
		acp.TextBlock("look at "), acp.ResourceLinkBlock("b.py", "file://"+dir+"/b.py"), acp.TextBlock(" and "),
		acp.ResourceBlock(acp.EmbeddedResourceResource{TextResourceContents: &acp.TextResourceContents{Uri: "file://" + dir + "/c.py", Text: "unsaved = True"}}),
	}})
	if body := string(model.Seen()[1].Body); err != nil || !strings.Contains(body, "look at `b.py` and `c.py`") || !strings.Contains(body, "unsaved = True") {
		t.Errorf("%v %s", err, body)
	}
	if stop := e.says(id, "!echo from the shell"); stop != acp.StopReasonEndTurn {
		t.Errorf("%s", stop)
	}
	if k := e.call(id, "own-1"); k.status != "completed" || !strings.Contains(k.text, "from the shell") {
		t.Errorf("%+v", k)
	}
	if e.says(id, "what did it print?"); !strings.Contains(string(model.Seen()[2].Body), "from the shell") {
		t.Error("the model was not given the output")
	}
	for _, bad := range [][]acp.ContentBlock{{}, {acp.TextBlock("  ")}, {acp.TextBlock("see"), acp.ImageBlock("AAAA", "image/png")}} {
		if _, err := e.Prompt(t.Context(), acp.PromptRequest{SessionId: id, Prompt: bad}); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// The end of the input ends the program in the middle of a turn, in good order,
// and the terminal goes on with the session.
func TestACPInputEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := edits(t, t.TempDir(), dir, plays(t, llmtest.Turn{Text: "this never ends", Chunk: 4, StallAfter: 2, Ping: true}, llmtest.Turn{Text: "now it does"}).URL)
	id := e.begin().SessionId
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = e.Prompt(t.Context(), acp.PromptRequest{SessionId: id, Prompt: []acp.ContentBlock{acp.TextBlock("work")}})
	}()
	e.until("an answer", func() bool { return strings.Contains(e.words(id), "this") })
	if err := e.leave(); err != nil {
		t.Errorf("the program ended with %v", err)
	}
	<-done
	again := exec.CommandContext(t.Context(), program(t), "run", "--resume", string(id), "--hub", "local")
	again.Dir, again.Env = dir, e.cmd.Env
	if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "now it does") {
		t.Errorf("%v: %s", err, out)
	}
}
