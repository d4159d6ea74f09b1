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
// command that holds the session, before its turn has begun.
func TestStopBeforeTheTurn(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	r := newRoomFunc(t, func(n int) (llmtest.Turn, bool) {
		if n == 2 { // the summary
			<-release
		}
		return say("fine"), true
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
	g.Stop() // the prompt is taken, and its turn waits for the command
	close(release)
	end := g.until("the end", func(u chat.Update) bool { return u.Ended != nil }).Ended
	if err := <-compacted; err != nil {
		t.Error(err)
	}
	if !end.Unsaid || end.Err == nil || len(r.server.Seen()) != 3 {
		t.Errorf("the turn went on: %+v, %d requests", end, len(r.server.Seen()))
	}
	if s := g.Now(); !s.Held || len(s.Queue) != 1 {
		t.Errorf("the prompt is lost: %+v", s)
	}
	g.Say("") // the stop was for that turn alone
	g.answered()
	if want := "prompt:first answer:fine prompt:second answer:fine compact prompt:third answer:fine"; g.words() != want {
		t.Errorf("%s\nwant %s", g.words(), want)
	}
}
