//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	acp "github.com/coder/acp-go-sdk"

	"ml-intern/internal/llm/llmtest"
)

// A turn that waits for a job answers the prompt; when the job is over the
// editor sees the turn go on, without a prompt. A prompt in between is answered.
func TestACPJobWakes(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	writeText(t, filepath.Join(dir, "s.py"), "import os, time\nwhile not os.path.exists('"+home+"/go'):\n    time.sleep(0.05)\nprint('it is trained')\n")
	if err := os.MkdirAll(filepath.Join(home, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	var s *llmtest.Server
	made := make(chan struct{})
	s = llmtest.NewServerFunc(func(n int) (llmtest.Turn, bool) {
		<-made
		switch n {
		case 0:
			return calls(makes("submit000", "job_submit", map[string]any{"name": "x", "script": "s.py", "waivers": map[string]any{"results": "a test"}})), true
		case 1:
			var sent struct{ Job string }
			text := toldTo(t, s.Seen()[1].Body)["submit000"]
			if err := json.Unmarshal([]byte(text), &sent); err != nil || sent.Job == "" {
				t.Errorf("no job was submitted: %s", text)
			}
			return calls(makes("wait001", "job_wait", map[string]any{"jobs": []string{sent.Job}})), true
		case 2:
			return llmtest.Turn{Text: "still training"}, true
		}
		return llmtest.Turn{Text: "the job is over"}, true
	})
	close(made)
	t.Cleanup(s.Close)
	e := edits(t, home, dir, s.URL, "--approve", "auto", "--unconfined")
	id := e.begin().SessionId
	if stop := e.says(id, "train it"); stop != acp.StopReasonEndTurn || !strings.Contains(e.said(id), "goes on by itself") {
		t.Fatalf("%s\n%s", stop, e.story(id))
	}
	if k := e.call(id, "wait001"); k.status != "in_progress" {
		t.Errorf("%+v", k)
	}
	// Loaded again while it waits, it waits on.
	if _, err := e.LoadSession(t.Context(), acp.LoadSessionRequest{SessionId: id, Cwd: dir, McpServers: []acp.McpServer{}}); err != nil {
		t.Fatal(err)
	}
	e.until("a second wait", func() bool { return strings.Count(e.words(id), "goes on by itself") == 2 })
	if n := len(s.Seen()); n != 2 {
		t.Errorf("the model was asked %d times meanwhile", n)
	}
	writeText(t, filepath.Join(home, "go"), "")
	e.untilSaid(id, "still training")
	if stop := e.says(id, "and now?"); stop != acp.StopReasonEndTurn {
		t.Errorf("stopped by %s", stop)
	}
	if k := e.call(id, "wait001"); k.status != "completed" || !strings.Contains(k.text, "it is trained") {
		t.Errorf("%+v", k)
	}
	if n := len(s.Seen()); n != 4 {
		t.Errorf("the model was asked %d times", n)
	}
}

// Killed in the middle of a turn, the program loses nothing: the session is
// loaded with all that was saved, and /retry goes on where it ends.
func TestACPKilled(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	model := plays(t, calls(makes("write1", "write", map[string]any{"path": "a.txt", "content": "kept"})),
		calls(makes("b1", "bash", map[string]any{"command": "echo begun; sleep 600"})), llmtest.Turn{Text: "after all"})
	e := edits(t, home, dir, model.URL)
	id := e.begin().SessionId
	done := make(chan error, 1)
	go func() {
		_, err := e.Prompt(t.Context(), acp.PromptRequest{SessionId: id, Prompt: []acp.ContentBlock{acp.TextBlock("work")}})
		done <- err
	}()
	e.until("a command that runs", func() bool {
		for _, n := range e.seen {
			if u := n.Update.ToolCallUpdate; u != nil && u.ToolCallId == "b1" && u.Status != nil && *u.Status == acp.ToolCallStatusInProgress {
				return true
			}
		}
		return false
	})
	if err := e.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("a killed program gave an answer")
	}
	<-e.exited
	again := edits(t, home, dir, model.URL)
	again.greet()
	if _, err := again.LoadSession(t.Context(), acp.LoadSessionRequest{SessionId: id, Cwd: dir, McpServers: []acp.McpServer{}}); err != nil {
		t.Fatal(err)
	}
	if k := again.call(id, "write1"); k.status != "completed" || k.diff == nil || k.diff.NewText != "kept" {
		t.Errorf("%+v", k)
	}
	again.untilSaid(id, "/retry goes on with it")
	if stop := again.says(id, "/retry"); stop != acp.StopReasonEndTurn || !strings.HasSuffix(again.said(id), "after all") {
		t.Errorf("%s %q", stop, again.said(id))
	}
	if k := again.call(id, "b1"); k.status != "failed" || !strings.Contains(k.text, "interrupted") {
		t.Errorf("%+v", k)
	}
	if n := len(model.Seen()); n != 3 {
		t.Errorf("the model was asked %d times", n)
	}
}

// The servers that an editor names are the session's, by the rules for servers
// of the configuration: a program that commands could have written is not
// started.
func TestACPServers(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	planted := filepath.Join(dir, "planted")
	if err := os.WriteFile(planted, []byte("#!/bin/sh\ntouch '"+home+"/ran'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	model := plays(t, calls(makes("look01", "mcp__My-Tools__look", map[string]any{"text": "x"}), makes("act001", "mcp__My-Tools__act", map[string]any{"text": "y"})), llmtest.Turn{Text: "done"})
	e := edits(t, home, dir, model.URL)
	e.decide = chooses("allow_once")
	e.greet()
	id := e.another(dir,
		acp.McpServer{Stdio: &acp.McpServerStdio{Name: "My Tools!", Command: "mcp-server", Args: []string{}, Env: []acp.EnvVariable{{Name: "SERVICE_KEY", Value: "secret-of-the-editor"}}}},
		acp.McpServer{Stdio: &acp.McpServerStdio{Name: "planted", Command: planted, Args: []string{}, Env: []acp.EnvVariable{}}},
	).SessionId
	e.says(id, "look")
	if k := e.call(id, "look01"); k.status != "completed" || !strings.Contains(k.text, "saw x") {
		t.Errorf("%+v\n%s", k, e.story(id))
	}
	if k := e.call(id, "act001"); k.status != "completed" || !strings.Contains(k.text, "did y with ") || strings.Contains(e.story(id), "secret-of-the-editor") || strings.Contains(string(model.Seen()[1].Body), "secret-of-the-editor") {
		t.Errorf("%+v", k)
	}
	if !strings.Contains(e.said(id), "MCP server planted") {
		t.Errorf("%q", e.said(id))
	}
	if _, err := os.Stat(filepath.Join(home, "ran")); err == nil {
		t.Error("a program of the workspace was started outside the walls")
	}
}

// An editor that is gone without a word, as after a crash, ends the program in
// good order too: what it could not be told is saved.
func TestACPEditorGone(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), t.TempDir()
	e := edits(t, home, dir, plays(t, llmtest.Turn{Text: "many words ", Repeat: 10_000, Chunk: 10, PaceMS: 20}, llmtest.Turn{Text: "after all"}).URL)
	id := e.begin().SessionId
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = e.Prompt(t.Context(), acp.PromptRequest{SessionId: id, Prompt: []acp.ContentBlock{acp.TextBlock("talk")}})
	}()
	e.until("words", func() bool { return strings.Contains(e.words(id), "many") })
	_ = e.stdout.Close() // its input stays open
	select {
	case <-e.exited:
	case <-time.After(time.Minute):
		t.Fatal("the program talks to nobody")
	}
	<-done
	var exit *exec.ExitError
	if !errors.As(e.code, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the program ended with %v", e.code)
	}
	again := exec.CommandContext(t.Context(), program(t), "run", "--resume", string(id), "--hub", "local")
	again.Dir, again.Env = dir, e.cmd.Env
	if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "after all") {
		t.Errorf("%v: %s", err, out)
	}
}
