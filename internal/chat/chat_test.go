package chat_test

import (
	"strings"
	"testing"
	"time"

	"ml-intern/internal/approval"
	"ml-intern/internal/chat"
	"ml-intern/internal/llm/llmtest"
)

// Nothing is saved before the first prompt; prompts follow one another in the
// same session, and those that are said while a turn works wait their turn.
func TestPromptsQueue(t *testing.T) {
	t.Parallel()
	queued := make(chan struct{})
	r := newRoomFunc(t, func(n int) (llmtest.Turn, bool) {
		<-queued
		return say([]string{"one", "two", "three"}[n]), true
	})
	g := r.enter(chat.Options{})
	if s := g.phase(chat.Idle); s.Session != "" || s.Mode != "ask" || s.Cap.USD != 0 || s.Model != "openai/test" || s.Confinement != "confined" {
		t.Errorf("it begins as %+v", s)
	}
	g.Say("first")
	g.phase(chat.Working)
	g.Say("second")
	g.Say("third")
	g.until("a queue of two", func(u chat.Update) bool { return u.State != nil && len(u.State.Queue) == 2 })
	if text := g.Unqueue(); text != "third" {
		t.Errorf("took back %q", text)
	}
	close(queued)
	g.until("two", func(u chat.Update) bool { return u.Event != nil && word(*u.Event) == "answer:two" })
	g.phase(chat.Idle)
	if want := "prompt:first answer:one prompt:second answer:two"; g.words() != want {
		t.Errorf("got  %s\nwant %s", g.words(), want)
	}
	g.close()
	if left := strings.Join(g.Left(), "\n"); !strings.Contains(left, "go on with: ml-intern --resume "+g.state.Session) {
		t.Errorf("it parts with %q", left)
	}
}

// What is said to the turn at work reaches it at its next step.
func TestSteer(t *testing.T) {
	t.Parallel()
	r := newRoom(t, gated("echo slept"), say("blue it is"))
	g := r.enter(chat.Options{})
	g.Say("paint it")
	g.until("the call", func(u chat.Update) bool { return u.Event != nil && u.Event.Started != nil })
	g.Steer("rather blue")
	g.until("words on their way", func(u chat.Update) bool { return u.State != nil && len(u.State.Steers) == 1 })
	r.openGate()
	g.phase(chat.Idle)
	if want := "prompt:paint it calls result steer:rather blue answer:blue it is"; g.words() != want {
		t.Errorf("got  %s\nwant %s", g.words(), want)
	}
	if !strings.Contains(r.told(1), "rather blue") || len(g.state.Steers) > 0 {
		t.Errorf("the model was not told, or it is still on its way: %v", g.state.Steers)
	}
}

// Stop ends a command and a model call at once; what waits is held back
// until the person says so, and the turn can go on.
func TestStop(t *testing.T) {
	t.Parallel()
	r := newRoom(t, call("bash", `{"command": "sleep 60"}`), say("stopped"), say("queued"), llmtest.Turn{Hang: true}, say("again"))
	g := r.enter(chat.Options{})
	g.Say("wait")
	g.until("the call", func(u chat.Update) bool { return u.Event != nil && u.Event.Started != nil })
	g.Say("later")
	start := time.Now()
	g.Stop()
	s := g.phase(chat.Idle)
	if took := time.Since(start); took > 30*time.Second { // the command sleeps for twice that
		t.Errorf("stopping took %s", took)
	}
	if !s.Held || len(s.Queue) != 1 || s.Interrupted == "" {
		t.Errorf("after a stop: %+v", s)
	}
	if _, err := g.do("/retry"); err != nil {
		t.Fatal(err)
	}
	g.answered()
	g.Say("") // lets go what was held
	g.answered()
	if want := "prompt:wait calls result failed:interrupted answer:stopped prompt:later answer:queued"; g.words() != want {
		t.Errorf("got  %s\nwant %s", g.words(), want)
	}
	g.Say("hang")
	g.phase(chat.Working)
	g.asked(r, 4)
	g.Stop()
	g.phase(chat.Idle)
	g.say("on")
	if !strings.HasSuffix(g.words(), "prompt:hang failed:interrupted prompt:on answer:again") {
		t.Error(g.words())
	}
}

// A person decides, with a reason, or after a change, which is looked at before.
func TestAsk(t *testing.T) {
	t.Parallel()
	r := newRoom(t, call("bash", `{"command": "echo one > f"}`), call("bash", `{"command": "echo two > f"}`), say("done"))
	cfg := r.config()
	cfg.Approve = "strict"
	cfg.FromFlag("approve")
	g, err := r.tryEnter(cfg, chat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g.Say("write")
	ask := g.until("a question", func(u chat.Update) bool { return u.Ask != nil }).Ask
	if g.state.Phase != chat.Asking || ask.Requests[0].Show != "echo one > f" {
		t.Errorf("it asks %+v in the phase %s", ask.Requests[0], g.state.Phase)
	}
	ask.Answer([]approval.Decision{no})
	ask = g.until("a question", func(u chat.Update) bool { return u.Ask != nil }).Ask
	const changed = `{"command": "echo three > f"}`
	if _, err := ask.Edited(0, `{"comand": "x"}`); err == nil || !strings.Contains(err.Error(), "command") {
		t.Errorf("wrong arguments: %v", err)
	}
	if req, err := ask.Edited(0, changed); err != nil || req.Show != "echo three > f" || len(req.Remember) == 0 {
		t.Errorf("%v: %+v", err, req)
	}
	ask.Answer([]approval.Decision{{Verdict: approval.Allow, Args: changed}})
	g.phase(chat.Idle)
	if r.read("f") != "three\n" {
		t.Errorf("the file has %q", r.read("f"))
	}
	if !strings.Contains(r.told(1), "not today") || !strings.Contains(r.told(2), "the person changed this call") {
		t.Errorf("the model was told %.2000s", r.told(2)[strings.Index(r.told(2), `"messages"`):])
	}
}

// Stopping at a question leaves it open: going on asks again.
func TestStopAtAQuestion(t *testing.T) {
	t.Parallel()
	r := newRoom(t, call("bash", `{"command": "echo one > f"}`), say("done"))
	cfg := r.config()
	cfg.Approve = "strict"
	cfg.FromFlag("approve")
	g, err := r.tryEnter(cfg, chat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g.Say("write")
	asks := func(u chat.Update) bool { return u.Ask != nil }
	old := g.until("a question", asks).Ask
	g.Stop()
	g.phase(chat.Idle)
	g.start("/retry")
	ask := g.until("the question again", asks).Ask
	old.Answer([]approval.Decision{no}) // of a panel that is late
	ask.Answer([]approval.Decision{yes})
	g.phase(chat.Idle)
	if r.read("f") != "one\n" {
		t.Error(g.words())
	}
}

// A failure leaves the chat usable: the next prompt goes on, or /retry.
func TestFailure(t *testing.T) {
	t.Parallel()
	refused := llmtest.Turn{Status: 401}
	r := newRoom(t, refused, say("one"), refused, say("two"))
	g := r.enter(chat.Options{})
	g.say("first")
	if !strings.Contains(g.story(), "notice") || g.state.Interrupted == "" {
		t.Errorf("nothing is said: %s", g.story())
	}
	g.start("/retry")
	g.answered()
	g.say("second")
	g.say("third")
	if want := "prompt:first failed:auth answer:one prompt:second failed:auth prompt:third answer:two"; g.words() != want {
		t.Errorf("got  %s\nwant %s", g.words(), want)
	}
	if _, err := g.do("/retry"); err == nil {
		t.Error("an answered turn can be retried")
	}
}

// A limit of the provider is waited out, and said.
func TestRetry(t *testing.T) {
	t.Parallel()
	r := newRoom(t, llmtest.Turn{Status: 429, RetryAfter: "1"}, say("one"))
	g := r.enter(chat.Options{})
	g.Say("first")
	s := g.until("a wait", func(u chat.Update) bool { return u.State != nil && u.State.Retry != "" }).State
	if !strings.Contains(s.Retry, "429") || !strings.Contains(s.Retry, "1s") {
		t.Errorf("it says %q", s.Retry)
	}
	g.phase(chat.Idle)
	if g.words() != "prompt:first answer:one" || g.state.Retry != "" {
		t.Errorf("%s; %q", g.words(), g.state.Retry)
	}
}

// The person's own commands run where the session's do, also before the first
// prompt, and what they print goes with the next prompt.
func TestOwnCommand(t *testing.T) {
	t.Parallel()
	r := newRoom(t, say("I see"), say("yes"))
	g := r.enter(chat.Options{})
	g.phase(chat.Idle)
	ended := func(u chat.Update) bool { return u.Ran != nil && u.Ran.Done }
	g.Say("!echo hello; exit 3")
	if ran := g.until("its end", ended).Ran; ran.Code != 3 || ran.Err != "" {
		t.Errorf("it ended with %+v", ran)
	}
	g.say("what was that?")
	if told := r.told(0); !strings.Contains(told, `$ echo hello; exit 3\nhello`) {
		t.Errorf("the model was told %.2000s", told[strings.Index(told, `"messages"`):])
	}
	g.Say("!touch /etc/mine")
	if ran := g.until("its end", ended).Ran; ran.Code == 0 {
		t.Errorf("it reached beyond the workspace: %+v", ran)
	}
	g.say("and that?")
	if strings.Count(r.told(1), "hello; exit 3") != 1 {
		t.Error("the first output is told twice")
	}
}
