package tui

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"ml-intern/internal/app"
	"ml-intern/internal/approval"
	"ml-intern/internal/chat"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// ask puts a question on the screen, and collects the answer.
func (s *stage) ask() *[]approval.Decision {
	var got []approval.Decision
	s.state(chat.State{Phase: chat.Asking})
	s.give(chat.Update{Ask: requests()})
	s.m.ask.answer = func(d []approval.Decision) { got = d }
	s.m.ask.edited = func(i int, args string) (approval.Request, error) {
		if strings.Contains(args, "evil") {
			return approval.Request{}, errors.New("refused: that is evil")
		}
		r := requests().Requests[i]
		r.Call.Args, r.Show = args, ""
		return r, nil
	}
	return &got
}

func (s *stage) wantSaid(want ...string) {
	s.t.Helper()
	if !slices.Equal(s.said, want) {
		s.t.Errorf("said %q, want %q", s.said, want)
	}
}

// Esc stops the person's own commands once no turn works, and does not touch the
// prompt meanwhile.
func TestEscStopsOwnCommands(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	s.give(chat.Update{Ran: &chat.Ran{ID: 1, Command: "sleep 600"}})
	s.state(chat.State{CommandsBusy: 1})
	s.write("draft")
	if screen := s.screen(); !strings.Contains(screen, "1 command of yours") || !strings.Contains(screen, "Esc stop") {
		t.Errorf("no word on how to stop it:\n%s", screen)
	}
	s.press("esc", "esc")
	s.wantSaid("stop", "stop")
	s.give(chat.Update{Ran: &chat.Ran{ID: 1, Command: "sleep 600", Done: true, Code: 137, Stopped: true}})
	s.state(chat.State{})
	if screen := s.screen(); !strings.Contains(screen, "stopped") || !strings.Contains(screen, "draft") {
		t.Errorf("afterwards:\n%s", screen)
	}
}

// Enter takes a command by letters of its name, and none by what its help or its
// arguments say: what was typed is answered then.
func TestNoOtherCommandIsRun(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	for _, word := range []string{"/room", "/leave", "/line", "/ctx"} { // the last is letters of /context
		s.write(word)
		s.press("enter")
	}
	s.wantSaid("command /room", "command /leave", "command /line", "command /context")
}

func TestSendAndQueue(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	s.write("one")
	s.press("alt+enter")
	s.write("two")
	s.press("ctrl+j", "shift+enter")
	s.write("three")
	s.press("enter")
	s.state(chat.State{Phase: chat.Working})
	s.write("later")
	s.press("enter")
	s.write("now")
	s.press("ctrl+s")
	s.wantSaid("say one\ntwo\n\nthree", "say later", "steer now")

	s.said, s.queue = nil, []string{"first", "last"}
	s.state(chat.State{Phase: chat.Working, Queue: s.queue, Steers: []string{"now"}})
	s.golden("queued-80x24")
	s.press("up")
	if s.m.prompt.Text != "last" {
		t.Errorf("took back %q", s.m.prompt.Text)
	}
	s.m.prompt.Set("")
	s.press("ctrl+s") // what waits is said now
	s.wantSaid("steer first")
}

// A prompt that is given before the conversation is open is not lost.
func TestTypedWhileOpening(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	s.m.talk = nil
	s.write("early")
	s.press("enter")
	s.wantSaid()
	s.send(openedMsg{s})
	s.wantSaid("say early")
}

func TestStopAndLeave(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	s.state(chat.State{Phase: chat.Working})
	s.press("esc")
	s.wantSaid("stop")
	s.press("ctrl+c", "ctrl+c")
	if s.quit {
		t.Error("it quit while a turn works without asking")
	}
	s.press("n")
	s.pass(time.Minute)
	s.press("ctrl+d")
	s.press("y")
	if !s.quit {
		t.Error("y did not quit")
	}

	s = newStage(t, 80, 24)
	s.write("draft")
	s.press("ctrl+c")
	if s.quit || !s.m.prompt.Empty() {
		t.Errorf("the first Ctrl+C: quit %v, prompt %q", s.quit, s.m.prompt.Text)
	}
	s.pass(time.Minute)
	s.press("ctrl+c")
	if s.quit {
		t.Error("one Ctrl+C a minute after another quit")
	}
	if !strings.Contains(s.screen(), "Ctrl+C again quits") {
		t.Error("what a second Ctrl+C does is not said")
	}
	s.write("x")
	if strings.Contains(s.screen(), "again quits") {
		t.Error("the hint stays while a person types")
	}
	if s.press("ctrl+c"); s.quit {
		t.Error("Ctrl+C, a letter and Ctrl+C quit")
	}
	s.pass(twice)
	if strings.Contains(s.screen(), "again quits") {
		t.Error("the hint stays longer than it holds")
	}
	s.press("ctrl+c")
	s.press("ctrl+c")
	if !s.quit {
		t.Error("Ctrl+C twice did not quit")
	}

	s = newStage(t, 80, 24)
	s.write("draft")
	s.press("esc")
	if s.m.prompt.Empty() {
		t.Error("one Esc cleared the prompt")
	}
	s.press("esc")
	if !s.m.prompt.Empty() {
		t.Error("Esc twice did not clear the prompt")
	}
	s.press("ctrl+_")
	if s.m.prompt.Text != "draft" {
		t.Error("undo did not bring the prompt back")
	}
	s.press("ctrl+d")
	if s.quit {
		t.Error("Ctrl+D quit although there was a prompt")
	}
}

// What is typed for the prompt decides nothing: neither what is typed when the
// question comes, nor what follows without a pause.
func TestTypingApprovesNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	got := s.ask()
	for range 20 {
		s.pass(200 * time.Millisecond)
		s.write("y")
	}
	if *got != nil || s.m.ask.all[0].decision != nil {
		t.Error("typing decided")
	}
	if s.m.prompt.Text != strings.Repeat("y", 20) {
		t.Errorf("what was typed is gone: %q", s.m.prompt.Text)
	}

	s = newStage(t, 80, 24)
	s.write("half a ")
	got = s.ask()
	s.pass(time.Minute)
	s.write("prompt, A")
	s.send(tea.PasteMsg{Content: "y"})
	if *got != nil || s.m.prompt.Text != "half a prompt, Ay" {
		t.Errorf("decided %v, prompt %q", *got, s.m.prompt.Text)
	}
	s.golden("asked-while-typing-80x24")
	s.press("tab", "A")
	if len(*got) != 3 {
		t.Error("after Tab the keys decide")
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	got := s.ask()
	s.pass(time.Second)
	s.press("s") // job_submit has a rule
	s.press("a") // the write has none
	if s.m.ask == nil || s.m.ask.all[1].decision != nil {
		t.Fatal("always was taken where there is no rule")
	}
	s.press("r")
	s.write("not there, yes")
	s.golden("reason-80x24")
	s.press("enter")
	s.press("e")
	s.press("ctrl+e")
	s.write(" && evil")
	s.press("ctrl+s")
	if note := s.m.ask.note; note != "refused: that is evil" {
		t.Errorf("note %q", note)
	}
	s.press("e", "ctrl+u")
	s.write("echo fine > x")
	s.press("ctrl+s", "E")
	if screen := s.screen(); !strings.Contains(screen, `"echo fine > x"`) {
		t.Errorf("the arguments to change:\n%s", screen)
	}
	s.press("esc", "e", "ctrl+u")
	s.write("echo fine")
	s.press("ctrl+s")
	s.golden("edited-80x24")
	s.press("y")
	want := []approval.Decision{
		{Verdict: approval.Allow, For: approval.Session},
		{Verdict: approval.Deny, Reason: "not there, yes"},
		{Verdict: approval.Allow, Args: `{"command":"echo fine"}`},
	}
	if !slices.EqualFunc(*got, want, func(a, b approval.Decision) bool {
		return a.Verdict == b.Verdict && a.For == b.For && a.Reason == b.Reason && a.Args == b.Args
	}) {
		t.Errorf("decided %+v", *got)
	}
	if s.m.ask != nil {
		t.Error("the panel stays")
	}
}

func TestDecideAllAndNone(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	got := s.ask()
	s.pass(time.Second)
	s.press("y", "N")
	var verdicts []string
	for _, d := range *got {
		verdicts = append(verdicts, d.Verdict)
	}
	if !slices.Equal(verdicts, []string{"allow", "deny", "deny"}) {
		t.Errorf("decided %v", verdicts)
	}
	got = s.ask()
	s.pass(time.Second)
	s.press("esc", "esc")
	s.wantSaid("stop")
	if *got != nil {
		t.Error("Esc decided")
	}
	s.state(chat.State{})
	if s.m.ask != nil {
		t.Error("the question outlives its turn")
	}
}

// A no to all that are left may have a reason, which each call is given.
func TestNoToAllWithReason(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	got := s.ask()
	s.pass(time.Second)
	s.press("y", "R")
	s.write("use the copy")
	if !strings.Contains(s.screen(), "no to 2, because: use the copy") {
		t.Errorf("shown\n%s", s.screen())
	}
	s.press("esc") // it is no answer yet
	if *got != nil {
		t.Error("Esc decided")
	}
	s.press("R")
	s.write("use the copy")
	s.press("enter")
	if len(*got) != 3 || (*got)[0].Verdict != approval.Allow {
		t.Fatalf("decided %v", *got)
	}
	for _, d := range (*got)[1:] {
		if d.Verdict != approval.Deny || d.Reason != "use the copy" {
			t.Errorf("decided %+v", d)
		}
	}
}

func TestMenu(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	s.write("/co")
	s.golden("menu-80x24")
	s.press("down", "down", "enter")
	s.wantSaid("command /context")
	s.write("/mod")
	s.press("enter") // it takes an argument
	if s.m.prompt.Text != "/model " {
		t.Errorf("prompt %q", s.m.prompt.Text)
	}
	s.write("openai/x")
	s.press("enter")
	s.wantSaid("command /context", "command /model openai/x")
	s.write("/nope")
	s.press("enter")
	if !strings.Contains(s.screen(), "did you mean /compact?") {
		t.Errorf("the error is not shown:\n%s", s.screen())
	}
	s.said = nil
	s.write("/usr/bin/env is a path")
	s.press("enter")
	s.wantSaid("say /usr/bin/env is a path")
}

// A list stands below what it is about, and begins at what holds now.
func TestPickWithWords(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	s.brought = chat.Result{Text: "This would change `f`.", Pick: &chat.Pick{Title: "go back", Then: "/rewind", Now: "b", Items: []chat.Item{{ID: "a"}, {ID: "b"}}}}
	s.write("/rewind 4")
	s.press("enter")
	if screen := s.screen(); !strings.Contains(screen, "This would change f.") {
		t.Errorf("what it is about is not shown:\n%s", screen)
	}
	s.press("enter")
	s.wantSaid("command /rewind 4", "command /rewind b")
}

func TestPick(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	s.brought = chat.Result{Pick: &chat.Pick{Title: "go on with", Then: "/resume", Items: []chat.Item{
		{ID: "a1", Title: "churn baseline", Detail: "yesterday"}, {ID: "b2", Title: "image \x1b[2Jclassifier", Detail: "last week"}, {ID: "c3", Title: "cheap forest"},
	}}}
	s.write("/resume")
	s.press("enter")
	s.golden("pick-80x24")
	s.brought = chat.Result{}
	s.write("chf")
	s.press("enter")
	s.wantSaid("command /resume", "command /resume c3")
	if s.m.panel != nil {
		t.Error("the list stays")
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	s.press("?")
	s.golden("help-80x24")
	s.press("esc")
	s.write("why?")
	if s.m.panel != nil || s.m.prompt.Text != "why?" {
		t.Error("? in a prompt is no key")
	}
}

func TestFolding(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 40)
	story(s)
	s.press("tab")
	if !s.m.rec.items[len(s.m.rec.items)-1].open {
		t.Error("Tab opens the latest")
	}
	s.press("tab", "alt+up", "alt+up", "alt+up")
	s.press("enter")
	s.golden("opened-80x40")
	s.press("ctrl+t")
	if !strings.Contains(s.screen(), "compare with a forest") {
		t.Error("the plan did not open")
	}
}

// The same log looks the same whether it was seen live or is read again.
func TestLiveIsAsSaved(t *testing.T) {
	t.Parallel()
	reply := llm.Reply{Message: llm.Message{Parts: []llm.Part{
		{Reasoning: "hm"}, {Text: "# Title\n\nSome *text*.\n"}, {Call: &llm.ToolCall{ID: "x", Name: "bash", Args: `{"command":"ls"}`}},
	}}}
	live, saved := newStage(t, 80, 24), newStage(t, 80, 24)
	for _, s := range []*stage{live, saved} {
		s.event(session.Event{Prompt: &session.Prompt{Text: "go"}})
		s.state(chat.State{Phase: chat.Working})
	}
	for _, c := range []llm.Chunk{{Text: "half"}, {Restart: true}, {Reasoning: "h"}, {Reasoning: "m"}, {Text: "# Ti"}, {Text: "tle\n\nSome *te"}, {Text: "xt*.\n"}, {Call: reply.Message.Parts[2].Call}} {
		live.event(session.Event{Chunk: &c})
		live.screen()
	}
	before := live.screen()
	for _, s := range []*stage{live, saved} {
		s.event(session.Event{Reply: &session.Reply{Reply: reply}})
	}
	after := live.screen()
	if before != after {
		t.Errorf("the end of the reply moved it: before\n%s\nafter\n%s", before, after)
	}
	void := "  · the model did not answer in full; asking again\n"
	if got := strings.TrimSpace(strings.Replace(after, void, "", 1)); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(saved.screen()), " ") {
		t.Errorf("live\n%s\nsaved\n%s", after, saved.screen())
	}
}

// What a turn says again in a failure and a notice is shown once.
func TestFailure(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	s.event(session.Event{Failed: &session.Failed{Reason: "unreachable", Text: "ask model x: connection refused"}})
	s.give(chat.Update{Notice: "ask model x: connection refused\n/retry goes on when the model answers again"})
	s.event(session.Event{Failed: &session.Failed{Reason: "interrupted", Text: "ask model x: interrupted by the person"}})
	s.give(chat.Update{Notice: "ask model x: interrupted by the person\n/retry goes on"})
	s.state(chat.State{Interrupted: "x"})
	s.golden("failed-80x24")
}

func TestHeldQueueIsSentByEnter(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	s.press("enter")
	s.wantSaid()
	s.state(chat.State{Queue: []string{"x"}, Held: true})
	s.press("enter")
	s.wantSaid("say ")
}

// Jobs lists one that runs and one that failed.
func (s *stage) Jobs() ([]app.JobView, error) {
	loss := app.JobSeries{Name: "loss", Last: 0.31, N: 40}
	for i := range 40 {
		loss.Steps = append(loss.Steps, float64(i*10))
		loss.Values = append(loss.Values, 0.3+2/float64(i+2))
	}
	return []app.JobView{
		{ID: "hf/ada/1", Name: "forest", Backend: "hf", State: "running", Mine: true, Seconds: 432, USD: 0.12, WorstUSD: 4, Progress: "epoch 2 of 5, 11 min left", Series: []app.JobSeries{loss}, URL: "https://huggingface.co/jobs/ada/1"},
		{ID: "local/2", Name: "baseline", Backend: "local", State: "out_of_memory", Done: true, Seconds: 61, Reason: "the machine \x1b[2Jran out of memory"},
	}, nil
}

func TestJobs(t *testing.T) {
	t.Parallel()
	for _, size := range sizes {
		s := newStage(t, size.width, size.height)
		p := &jobsPanel{read: true}
		p.jobs, _ = s.Jobs()
		s.m.panel = p
		s.golden(fmt.Sprintf("jobs-%dx%d", size.width, size.height))
		s.press("down")
		s.golden(fmt.Sprintf("jobs-failed-%dx%d", size.width, size.height))
		s.press("up", "x")
		s.wantSaid()
		s.press("x")
		s.wantSaid("command /jobs cancel hf/ada/1")
	}
}

// A notification goes to the terminal, but not while the person looks at it.
func TestRing(t *testing.T) {
	t.Parallel()
	s := newStage(t, 80, 24)
	ring := func() string {
		s.m.update(chat.Update{Ring: "\x1b]9;hello\a"})
		cmd := s.m.ring()
		if cmd == nil {
			return ""
		}
		raw, ok := cmd().(tea.RawMsg)
		if !ok {
			t.Fatal("it is sent otherwise")
		}
		return fmt.Sprint(raw.Msg)
	}
	const want = "\x1b]9;hello\a"
	if got := ring(); got != want {
		t.Errorf("of who says nothing of looking: %q", got)
	}
	s.send(tea.FocusMsg{})
	if got := ring(); got != "" {
		t.Errorf("while they look: %q", got)
	}
	s.send(tea.BlurMsg{})
	if got := ring(); got != want {
		t.Errorf("while they look elsewhere: %q", got)
	}
	if s.m.View().ReportFocus {
		t.Error("the terminal is asked though nobody is to be told")
	}
}
