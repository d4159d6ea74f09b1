package chat_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/chat"
	"ml-intern/internal/cli"
	"ml-intern/internal/config"
	"ml-intern/internal/llm/llmtest"
)

// Where sessions cannot be kept the chat says so, keeps the prompt, and goes on
// when that is mended.
func TestNoHome(t *testing.T) {
	t.Parallel()
	r := newRoom(t, say("one"))
	state := filepath.Join(r.home, "state")
	if err := os.WriteFile(state, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g := r.enter(chat.Options{})
	g.until("a word about it", func(u chat.Update) bool { return strings.Contains(u.Notice, state) })
	g.phase(chat.Idle)
	g.say("first")
	if !g.state.Held || len(g.state.Queue) != 1 {
		t.Errorf("the prompt is lost: %+v", g.state)
	}
	for _, line := range []string{"/sessions", "/model openai/other", "/jobs"} {
		if _, err := g.do(line); err == nil {
			t.Errorf("%s works without a home", line)
		}
	}
	g.must("/doctor")
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	g.Say("")
	g.answered()
	if g.words() != "prompt:first answer:one" {
		t.Error(g.words())
	}
}

// Without a model the chat says what there is to do, and takes one that a server
// of this machine has.
func TestFirstRun(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	cfg, err := config.Load([]string{"ML_INTERN_HOME=" + r.home, "HOME=" + r.home, "PATH=" + os.Getenv("PATH"), "LOCAL_LLM_BASE_URL=http://127.0.0.1:1"}, r.dir)
	if err != nil {
		t.Fatal(err)
	}
	g, err := r.tryEnter(cfg, chat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := g.until("the ways to a model", func(u chat.Update) bool { return u.Notice != "" }).Notice
	if !strings.Contains(n, "HF_TOKEN") || !strings.Contains(n, "ml-intern demo") || !strings.Contains(n, "/model lists") {
		t.Errorf("it says %s", n)
	}
	if strings.Contains(n, "wrong usage") {
		t.Errorf("it blames the person: %s", n)
	}
	g.Say("hello")
	if n := g.until("why not", func(u chat.Update) bool { return u.Notice != "" }).Notice; strings.Contains(n, "HF_TOKEN") || !strings.Contains(n, "/model lists") {
		t.Errorf("it says again %s", n)
	}
	g.phase(chat.Idle)
	if !g.state.Held {
		t.Errorf("the prompt is lost: %+v", g.state)
	}
	g.must("/model builtin/baseline")
	g.Say("")
	g.answered()
	if g.state.Model != "builtin/baseline" || !strings.HasPrefix(g.words(), "prompt:hello") {
		t.Errorf("%s by %s", g.words(), g.state.Model)
	}
}

// Words that came too late for the turn are the next prompt.
func TestLateWords(t *testing.T) {
	t.Parallel()
	r := newRoom(t, llmtest.Turn{Hang: true}, say("one"))
	g := r.enter(chat.Options{})
	g.Say("first")
	g.asked(r, 1)
	g.Steer("not heard")
	g.Stop()
	s := g.phase(chat.Idle)
	if !s.Held || len(s.Queue) != 1 || len(s.Steers) > 0 {
		t.Errorf("after the stop: %+v", s)
	}
	g.Say("")
	g.answered()
	if g.words() != "prompt:first failed:interrupted prompt:not heard answer:one" {
		t.Error(g.words())
	}
}

// A recording of a chat has all its prompts and what was said to a turn at work,
// where it was said; it plays again without a difference.
func TestReplay(t *testing.T) {
	t.Parallel()
	r := newRoom(t, gated("echo 0"), say("blue"), say("two"))
	file := filepath.Join(r.home, "chat.jsonl")
	cfg := r.config()
	cfg.Record = file
	g, err := r.tryEnter(cfg, chat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g.Say("paint")
	g.until("the call", func(u chat.Update) bool { return u.Event != nil && u.Event.Started != nil })
	g.Steer("rather blue")
	r.openGate()
	g.phase(chat.Idle)
	g.say("second")
	g.close()
	var out, progress strings.Builder
	if err := cli.Replay(t.Context(), r.config(), file, false, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &progress}); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	if out.String() != "blue\ntwo\n" || strings.Contains(progress.String(), "not like the recorded one") {
		t.Errorf("it plays %q\n%s", out.String(), progress.String())
	}
}

// An answer to a question that is over, or a second one, does nothing; closing in
// the middle of a turn loses nothing that was saved.
func TestCloseInTheMiddle(t *testing.T) {
	t.Parallel()
	r := newRoom(t, call("bash", `{"command": "sleep 60"}`), say("done"))
	g := r.enter(chat.Options{})
	g.Say("first")
	g.until("the call", func(u chat.Update) bool { return u.Event != nil && u.Event.Started != nil })
	g.close()
	g.Say("too late")
	g.Stop()
	if _, err := g.Command("/new"); err == nil {
		t.Error("a closed chat begins a session")
	}
	again := r.enter(chat.Options{Continue: true})
	again.until("the hint", func(u chat.Update) bool { return strings.Contains(u.Notice, "/retry goes on") })
	again.start("/retry")
	again.answered()
	if again.words() != "prompt:first calls result failed:interrupted answer:done" {
		t.Error(again.words())
	}
}
