//go:build unix

package hook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/hook"
)

func fire(t *testing.T, event string, hooks ...hook.Hook) hook.Answer {
	t.Helper()
	r := hook.Runner{Hooks: hooks, Dir: t.TempDir(), Mode: "ask", Env: []string{"PATH=" + os.Getenv("PATH")}}
	return r.Fire(t.Context(), hook.Event{Name: event, Session: "s1", Tool: "bash", CallID: "c1", Input: json.RawMessage(`{"command":"ls"}`), Prompt: "hello"})
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, event, command string
		verdict, reason      string // part of it
		context, notice      string
	}{
		{"no opinion", hook.BeforeTool, "true", "", "", "", ""},
		{"exit 2", hook.BeforeTool, "echo not this one >&2; exit 2", "deny", "not this one", "", ""},
		{"exit 2 without words", hook.BeforeTool, "exit 2", "deny", "no reason", "", ""},
		{"the newer form", hook.BeforeTool, `echo '{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"ask","permissionDecisionReason":"hm","additionalContext":"c"}}'`, "ask", "hm", "c", ""},
		{"the older form", hook.BeforeTool, `echo '{"decision":"block","reason":"r","systemMessage":"m"}'`, "deny", "r", "", "m"},
		{"approve", hook.BeforeTool, `echo '{"decision":"approve"}'`, "allow", "", "", ""},
		{"continue false", hook.BeforeTool, `echo '{"continue":false,"stopReason":"enough"}'`, "deny", "enough", "", ""},
		{"another word", hook.BeforeTool, `echo '{"decision":"maybe"}'`, "deny", `"maybe"`, "", ""},
		{"no JSON", hook.BeforeTool, "echo fine", "deny", "did not print JSON", "", ""},
		{"half JSON", hook.BeforeTool, `echo '{"decision":'`, "deny", "did not print JSON", "", ""},
		{"wrong types", hook.BeforeTool, `echo '{"decision":1}'`, "deny", "did not print JSON", "", ""},
		{"it crashes", hook.BeforeTool, "echo oops >&2; exit 1", "deny", "exit status 1: oops", "", ""},
		{"it kills itself", hook.BeforeTool, "kill -9 $$", "deny", "killed", "", ""},
		{"there is none", hook.BeforeTool, "/no/such/program", "deny", "127", "", ""},
		{"it hangs", hook.BeforeTool, "sleep 60", "deny", "took too long", "", ""},
		{"its child hangs", hook.BeforeTool, "sleep 60 & wait", "deny", "took too long", "", ""},
		{"its child holds the output", hook.BeforeTool, "sleep 60 & echo '{}'", "", "", "", ""},
		{"it floods", hook.BeforeTool, "yes", "deny", "printed too much", "", ""},
		{"it floods with errors", hook.BeforeTool, "yes >&2", "deny", "printed too much", "", ""},
		{"it reads nothing", hook.BeforeTool, "exec <&-; true", "", "", "", ""},

		{"after a tool it fails", hook.AfterTool, "exit 1", "", "", "", "exit status 1"},
		{"after a tool it says no", hook.AfterTool, "echo bad >&2; exit 2", "deny", "bad", "", ""},
		{"a prompt gets words", hook.Prompt, "echo it is Monday", "", "", "it is Monday", ""},
		{"a prompt is refused", hook.Prompt, "echo no >&2; exit 2", "deny", "no", "", ""},
		{"a prompt's hook hangs", hook.Prompt, "sleep 60", "", "", "", "took too long"},
		{"a stop is held", hook.Stop, `echo '{"decision":"block","reason":"run the tests"}'`, "deny", "run the tests", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start, limit := time.Now(), time.Minute
			if strings.Contains(tt.reason+tt.notice, "too long") {
				limit = 500 * time.Millisecond
			}
			a := fire(t, tt.event, hook.Hook{Event: tt.event, Command: tt.command, Timeout: limit})
			if a.Verdict != tt.verdict || tt.reason != "" && !strings.Contains(a.Reason, tt.reason) || a.Context != tt.context || !strings.Contains(strings.Join(a.Notices, "\n"), tt.notice) {
				t.Errorf("got %+v", a)
			}
			if took := time.Since(start); took > 50*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// A hook is told what happens, in the workspace.
func TestInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := hook.Runner{Dir: dir, Mode: "strict", Env: []string{"PATH=" + os.Getenv("PATH")}, Hooks: []hook.Hook{{Event: hook.BeforeTool, Matcher: "Bash|write", Command: "cat > in.json; pwd > where; echo $CLAUDE_PROJECT_DIR > dir"}}}
	r.Fire(t.Context(), hook.Event{Name: hook.BeforeTool, Session: "s1", Tool: "bash", CallID: "c1", Input: json.RawMessage(`{"command":"ls"}`)})
	text, err := os.ReadFile(filepath.Join(dir, "in.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"hook_event_name":"PreToolUse","session_id":"s1","cwd":"` + dir + `","permission_mode":"strict","tool_name":"bash","tool_use_id":"c1","tool_input":{"command":"ls"}}`
	if string(text) != want {
		t.Errorf("got %s\nwant %s", text, want)
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "dir")); strings.TrimSpace(string(text)) != dir {
		t.Errorf("the folder is %s", text)
	}
}

func TestWhich(t *testing.T) {
	t.Parallel()
	no := func(matcher string) hook.Hook {
		return hook.Hook{Event: hook.BeforeTool, Matcher: matcher, Command: "exit 2"}
	}
	for matcher, want := range map[string]string{"": "deny", "*": "deny", "bash": "deny", "BASH|x": "deny", "ba": "", "write": "", ".*": "deny", "(": "deny"} {
		if a := fire(t, hook.BeforeTool, no(matcher)); a.Verdict != want {
			t.Errorf("matcher %q: %+v", matcher, a)
		}
	}
	if a := fire(t, hook.AfterTool, no("")); a.Verdict != "" {
		t.Errorf("a hook of another event answered: %+v", a)
	}
	allow := hook.Hook{Event: hook.BeforeTool, Command: `echo '{"decision":"allow"}'`}
	ask := hook.Hook{Event: hook.BeforeTool, Command: `echo '{"decision":"ask","reason":"r"}'`}
	if a := fire(t, hook.BeforeTool, allow, ask, allow); a.Verdict != "ask" || a.Reason != "r" {
		t.Errorf("allow, ask, allow: %+v", a)
	}
	if a := fire(t, hook.BeforeTool, allow, no("bash"), ask); a.Verdict != "deny" {
		t.Errorf("allow, deny, ask: %+v", a)
	}
	gone := allow
	gone.Check = func() error { return errors.New("the folder has changed") }
	if a := fire(t, hook.BeforeTool, gone); a.Verdict != "deny" || !strings.Contains(a.Reason, "has changed") {
		t.Errorf("a hook that may no longer run: %+v", a)
	}
}

// A stop ends hooks, and what they started, at once.
func TestCanceled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	r := hook.Runner{Dir: dir, Env: []string{"PATH=" + os.Getenv("PATH")}, Hooks: []hook.Hook{{Event: hook.BeforeTool, Command: "sleep 600 & echo $! > new; mv new begun; wait"}}}
	done := make(chan hook.Answer)
	go func() { done <- r.Fire(ctx, hook.Event{Name: hook.BeforeTool}) }()
	pid := 0
	for end := time.Now().Add(time.Minute); pid == 0 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if text, err := os.ReadFile(filepath.Join(dir, "begun")); err == nil {
			_, _ = fmt.Sscan(string(text), &pid)
		}
	}
	if pid == 0 {
		t.Fatal("the hook does not begin")
	}
	start := time.Now()
	cancel()
	<-done
	if took := time.Since(start); took > time.Minute { // it would last ten
		t.Errorf("it ended %v after the stop", took)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if state, _ := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output(); len(state) == 0 || state[0] == 'Z' {
			return
		}
	}
	t.Error("what the hook started lives on")
}
