package tui

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"ml-intern/internal/app"
	"ml-intern/internal/approval"
	"ml-intern/internal/chat"
	"ml-intern/internal/ledger"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

var update = flag.Bool("update", false, "write the golden screens anew")

// A stage is a screen without a terminal: updates and keys go in, and what is
// drawn comes out.
type stage struct {
	t       *testing.T
	m       *model
	clock   time.Time
	said    []string
	queue   []string
	quit    bool
	brought chat.Result

	pauses []tea.Msg // that run
	hub    func(context.Context, string) ([]app.Repository, error)
}

func (s *stage) Say(text string)   { s.said = append(s.said, "say "+text) }
func (s *stage) Steer(text string) { s.said = append(s.said, "steer "+text) }
func (s *stage) Stop()             { s.said = append(s.said, "stop") }
func (s *stage) Repositories(ctx context.Context, start string) ([]app.Repository, error) {
	s.said = append(s.said, "hub "+start)
	return s.hub(ctx, start)
}

func (s *stage) Updates() <-chan chat.Update {
	none := make(chan chat.Update) // updates are given, not waited for
	close(none)
	return none
}

func (s *stage) Unqueue() string {
	if len(s.queue) == 0 {
		return ""
	}
	last := s.queue[len(s.queue)-1]
	s.queue = s.queue[:len(s.queue)-1]
	return last
}

func (s *stage) Commands() []chat.Command {
	return []chat.Command{
		{Name: "/model", Args: "ID", Help: "use another model from here on"},
		{Name: "/compact", Help: "summarize the conversation to make room"},
		{Name: "/context", Help: "what fills the model's window"},
		{Name: "/cost", Help: "what the session cost, line by line"},
		{Name: "/quit", Help: "leave"},
	}
}

func (s *stage) Command(line string) (chat.Result, error) {
	s.said = append(s.said, "command "+line)
	if strings.HasPrefix(line, "/nope") {
		return chat.Result{}, fmt.Errorf("there is no command /nope; did you mean /compact?")
	}
	return s.brought, nil
}

func newStage(t *testing.T, width, height int) *stage {
	s := &stage{t: t, clock: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)}
	s.m = newModel(context.Background(), func() time.Time { return s.clock })
	s.m.after = func(_ time.Duration, f func(time.Time) tea.Msg) tea.Cmd {
		return func() tea.Msg {
			s.pauses = append(s.pauses, f(s.clock))
			return nil
		}
	}
	s.m.do = func(f func() tea.Msg) { s.send(f()) }
	s.send(tea.WindowSizeMsg{Width: width, Height: height})
	s.send(openedMsg{s})
	s.state(chat.State{})
	return s
}

// send gives the model a message, and all that follows from it but ticks.
func (s *stage) send(msg tea.Msg) {
	switch msg := msg.(type) {
	case nil, jobsMsg: // the jobs are looked at again and again
		return
	case subMsg: // what a sub-agent does too, once there is nothing new
		if cmd := s.m.receive(msg); cmd != nil && len(msg.events) > 0 {
			s.send(cmd())
		}
		return
	case tea.QuitMsg:
		s.quit = true
		return
	case tea.BatchMsg:
		for _, cmd := range msg {
			if cmd != nil {
				s.send(cmd())
			}
		}
		return
	}
	s.m.c.now = s.clock
	if cmd := s.m.receive(msg); cmd != nil {
		s.send(cmd())
	}
}

func (s *stage) pass(d time.Duration) {
	s.clock = s.clock.Add(d)
	s.m.c.now = s.clock
}

func (s *stage) give(updates ...chat.Update) { s.send(updatesMsg{updates, true}) }

func (s *stage) event(events ...session.Event) {
	for _, ev := range events {
		ev.Time = s.clock
		s.give(chat.Update{Event: &ev})
	}
}

func (s *stage) state(st chat.State) {
	if st.Phase == "" {
		st.Phase = chat.Idle
	}
	st.Dir, st.Model, st.Effort, st.Mode, st.Confinement, st.Hub = "/home/ada/churn", "anthropic/claude-sonnet-5", "high", "ask", "confined", "https://huggingface.co"
	st.Spent, st.Cap = ledger.Amount{USD: 0.42}, ledger.Amount{USD: 5}
	st.Context, st.Window = 24_000, 200_000
	if st.Since.IsZero() {
		st.Since = s.clock
	}
	s.give(chat.Update{State: &st})
}

// press presses keys: names as "enter" or "ctrl+s".
func (s *stage) press(keys ...string) {
	for _, k := range keys {
		s.send(keyOf(k))
	}
}

// write types text.
func (s *stage) write(text string) {
	for _, r := range text {
		s.send(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
}

func keyOf(name string) tea.KeyPressMsg {
	var k tea.KeyPressMsg
	for {
		mod, rest, ok := strings.Cut(name, "+")
		if !ok || rest == "" {
			break
		}
		k.Mod |= map[string]tea.KeyMod{"ctrl": tea.ModCtrl, "alt": tea.ModAlt, "shift": tea.ModShift}[mod]
		name = rest
	}
	codes := map[string]rune{
		"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft,
		"right": tea.KeyRight, "home": tea.KeyHome, "end": tea.KeyEnd, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown,
		"backspace": tea.KeyBackspace, "delete": tea.KeyDelete, "space": tea.KeySpace,
	}
	if code, ok := codes[name]; ok {
		k.Code = code
		if name == "space" {
			k.Text = " "
		}
		return k
	}
	k.Code = []rune(name)[0]
	if k.Mod == 0 {
		k.Text = name
	}
	return k
}

// screen is what is drawn, without styles, the cursor as ▏.
func (s *stage) screen() string {
	lines, cursor := s.m.screen()
	if len(lines) != s.m.height {
		s.t.Errorf("the screen has %d lines, the terminal %d", len(lines), s.m.height)
	}
	for i, line := range lines {
		if w := ansi.StringWidth(line); w > s.m.c.width {
			s.t.Errorf("line %d is %d cells wide, the terminal %d: %q", i, w, s.m.c.width, line)
		}
		lines[i] = strings.TrimRight(ansi.Strip(line), " ")
		if cursor != nil && cursor.y == i {
			lines[i] = ansi.Truncate(lines[i]+strings.Repeat(" ", s.m.c.width), cursor.x, "") + "▏" + strings.TrimRight(ansi.TruncateLeft(lines[i], cursor.x, ""), " ")
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// golden compares the screen with the one that was looked at.
func (s *stage) golden(name string) {
	s.t.Helper()
	compare(s.t, name, s.screen())
}

func compare(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is\n%s\nand was\n%s", name, got, want)
	}
}

// sizes are those that goldens are made for.
var sizes = []struct{ width, height int }{{40, 12}, {80, 24}, {200, 50}}

// story is a turn at work: a plan, calls done, failed and running, a reply.
func story(s *stage) {
	s.event(session.Event{Prompt: &session.Prompt{Text: "Train a model on churn.csv that says who leaves, and tell me how sure you are."}})
	s.state(chat.State{Phase: chat.Working, Title: "churn"})
	s.event(session.Event{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Parts: []llm.Part{
		{Reasoning: "The table first.\nThen a baseline."},
		{Text: "I look at the **table** first, then train a baseline:\n\n1. read `churn.csv`\n2. split by *customer*\n"},
		{Call: &llm.ToolCall{ID: "p", Name: "plan", Args: `{}`}},
		{Call: &llm.ToolCall{ID: "a", Name: "inspect_dataset", Args: `{"path":"churn.csv"}`}},
		{Call: &llm.ToolCall{ID: "b", Name: "edit", Args: `{"path":"train.py","old":"lr = 0.1\nepochs = 3","new":"lr = 0.01\nepochs = 3"}`}},
		{Call: &llm.ToolCall{ID: "c", Name: "bash", Args: `{"command":"python train.py --check"}`}},
		{Call: &llm.ToolCall{ID: "d", Name: "bash", Args: `{"command":"python train.py --epochs 3 --out runs/baseline"}`}},
	}}}}})
	s.event(
		session.Event{Result: &session.Result{CallID: "p", Output: tool.Output{Plan: []tool.PlanItem{
			{Text: "look at the table", Status: "done"}, {Text: "train the baseline", Status: "doing"}, {Text: "compare with a forest", Status: "pending"}, {Text: "publish the best", Status: "pending"},
		}}}},
		session.Event{Started: &session.Started{CallID: "a"}},
		session.Event{Result: &session.Result{CallID: "a", Output: tool.Output{Text: "7043 rows", Summary: "7,043 rows, 21 columns"}, Seconds: 0.3}},
		session.Event{Started: &session.Started{CallID: "b"}},
		session.Event{Result: &session.Result{CallID: "b", Output: tool.Output{Text: "edited", Summary: "edited train.py: 1 replaced"}}},
		session.Event{Started: &session.Started{CallID: "c"}},
		session.Event{Result: &session.Result{CallID: "c", Output: tool.Output{Text: "Traceback\nModuleNotFoundError: No module named 'sklearn'", IsError: true, Summary: "exit status 1"}, Seconds: 2.4}},
		session.Event{Started: &session.Started{CallID: "d"}},
		session.Event{Log: &session.Log{CallID: "d", Line: "epoch 1 loss 0.61"}},
		session.Event{Log: &session.Log{CallID: "d", Line: "epoch 2 loss 0.48"}},
		session.Event{Log: &session.Log{CallID: "d", Line: "\x1b]0;owned\x07\x1b[2Jepoch 3 loss 0.41"}},
	)
	s.pass(14 * time.Second)
}

func TestWorking(t *testing.T) {
	t.Parallel()
	for _, size := range sizes {
		s := newStage(t, size.width, size.height)
		story(s)
		s.golden(fmt.Sprintf("working-%dx%d", size.width, size.height))
	}
}

func TestFirstScreen(t *testing.T) {
	t.Parallel()
	for _, size := range sizes {
		s := newStage(t, size.width, size.height)
		s.golden(fmt.Sprintf("first-%dx%d", size.width, size.height))
	}
}

// requests are three calls to decide.
func requests() *chat.Ask {
	cost := 12.5
	script := "#!/bin/bash\nset -e\npython train.py --epochs 30\nhf upload ada/churn model/\n"
	return &chat.Ask{Requests: []approval.Request{
		{
			Call:   llm.ToolCall{ID: "1", Name: "job_submit", Args: `{"name":"forest","script":"train.sh","hardware":"a10g-small"}`},
			Impact: tool.Impact{Effect: tool.Spends, CostUSD: cost, Hosts: []string{"huggingface.co"}, Secrets: []string{"HF_TOKEN"}},
			Reason: "it may cost $12.50", Show: script,
			Remember: []approval.Rule{{Verdict: approval.Allow, Tool: "job_submit", Effect: tool.Spends, CostUnder: &cost}},
		},
		{
			Call:   llm.ToolCall{ID: "2", Name: "write", Args: `{"path":"/etc/hosts","content":"127.0.0.1 a\n"}`},
			Impact: tool.Impact{Effect: tool.Writes, Paths: []string{"/etc/hosts"}, Grants: tool.Grants{Paths: []string{"/etc/hosts"}}},
			Reason: "it is outside the workspace", Show: "--- /etc/hosts\n+++ /etc/hosts\n@@ -1 +1 @@\n-127.0.0.1 localhost\n+127.0.0.1 a\n",
		},
		{
			Call:   llm.ToolCall{ID: "3", Name: "bash", Args: `{"command":"rm -rf \u202e/tmp/x"}`},
			Impact: tool.Impact{Effect: tool.Executes},
			Reason: "every command asks",
		},
	}}
}

func asking(t *testing.T, width, height int) *stage {
	s := newStage(t, width, height)
	story(s)
	s.pass(5 * time.Second)
	s.state(chat.State{Phase: chat.Asking})
	s.give(chat.Update{Ask: requests()})
	s.pass(time.Second)
	return s
}

func TestAsking(t *testing.T) {
	t.Parallel()
	for _, size := range sizes {
		s := asking(t, size.width, size.height)
		s.golden(fmt.Sprintf("ask-%dx%d", size.width, size.height))
		s.press("down")
		s.golden(fmt.Sprintf("ask-diff-%dx%d", size.width, size.height))
	}
}

func TestStyles(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	story(s)
	lines, _ := s.m.screen()
	compare(t, "styles-80x24", strings.ReplaceAll(strings.Join(lines, "\n"), "\x1b", "␛")+"\n")
}
