package chat_test

import (
	"strings"
	"testing"

	"ml-intern/internal/app"
	"ml-intern/internal/chat"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
)

// Whoever gave a prompt is told when nothing works on it any more, and why; what
// they gave with it reaches the model; the session has the id that they were told.
func TestEnded(t *testing.T) {
	t.Parallel()
	r := newRoom(t, llmtest.Turn{Text: "seen"}, llmtest.Turn{Status: 401, Body: `{"error":{"message":"bad key"}}`})
	id := app.NewID()
	g := r.enter(chat.Options{ID: id})
	ended := func() chat.Ended {
		t.Helper()
		return *g.until("end of the turn", func(u chat.Update) bool { return u.Ended != nil }).Ended
	}
	g.Give(session.Prompt{Text: "!look at this", Context: "a text from elsewhere"})
	if end := ended(); end.Err != nil || end.Turn != 1 || end.Unsaid || end.Waits || g.state.Phase != chat.Idle {
		t.Errorf("%+v in %s", end, g.state.Phase)
	}
	if now := g.Now(); now.Session != id || now.Turn != 1 {
		t.Errorf("%+v", now)
	}
	body := string(r.server.Seen()[0].Body)
	if !strings.Contains(body, "!look at this") || !strings.Contains(body, "a text from elsewhere") {
		t.Errorf("%s", body)
	}
	g.Say("again")
	if end := ended(); end.Err == nil || end.Turn != 2 || end.Unsaid || !strings.Contains(end.Text, "bad key") || !strings.Contains(end.Text, "ml-intern doctor") {
		t.Errorf("%+v", end)
	}
}

// A prompt that did not become part of a session is given back.
func TestEndedUnsaid(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	cfg := r.config()
	cfg.Model = "anthropic/none" // which has no key
	g, err := r.tryEnter(cfg, chat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g.Say("hello")
	end := g.until("end of the turn", func(u chat.Update) bool { return u.Ended != nil }).Ended
	if end.Err == nil || !end.Unsaid || end.Text == "" {
		t.Errorf("%+v", end)
	}
	if text := g.Unqueue(); text != "hello" {
		t.Errorf("%q is given back", text)
	}
}
