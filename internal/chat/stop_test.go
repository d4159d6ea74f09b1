package chat_test

import (
	"testing"
	"time"

	"ml-intern/internal/chat"
	"ml-intern/internal/llm/llmtest"
)

// Which Hub there is is told when the program is open, without a word of the person.
func TestTheHubIsTold(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	g := r.enter(chat.Options{})
	g.until("the Hub", func(u chat.Update) bool { return u.State != nil && u.State.Hub == "local" })
}

// A stop counts from the moment a prompt is said: also while it waits for a
// command that holds the session, before its turn has begun. The command ends with
// it, and the conversation is as it was.
func TestStopBeforeTheTurn(t *testing.T) {
	t.Parallel()
	r := newRoomFunc(t, func(n int) (llmtest.Turn, bool) {
		return llmtest.Turn{Text: "fine", Hang: n == 2}, true // the summary
	})
	g := r.enter(chat.Options{})
	g.say("first")
	g.say("second")
	compacted := make(chan error, 1)
	go func() {
		_, err := g.Command("/compact")
		compacted <- err
	}()
	g.asked(r, 3)
	g.Say("third")
	for late := time.Now().Add(time.Minute); len(g.Now().Queue) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the prompt is not taken")
		}
	}
	if phase := g.Now().Phase; phase != chat.Working {
		t.Errorf("a summary is made, and the chat is %s", phase)
	}
	g.Stop() // the prompt is taken, and its turn waits for the command
	end := g.until("the end", func(u chat.Update) bool { return u.Ended != nil }).Ended
	if err := <-compacted; err == nil || err.Error() != "interrupted by the person" {
		t.Errorf("the command ended with %v", err)
	}
	if !end.Unsaid || end.Err == nil || len(r.server.Seen()) != 3 {
		t.Errorf("the turn went on: %+v, %d requests", end, len(r.server.Seen()))
	}
	if s := g.Now(); !s.Held || len(s.Queue) != 1 {
		t.Errorf("the prompt is lost: %+v", s)
	}
	g.Say("") // the stop was for that turn alone
	g.answered()
	if want := "prompt:first answer:fine prompt:second answer:fine prompt:third answer:fine"; g.words() != want {
		t.Errorf("%s\nwant %s", g.words(), want)
	}
}
