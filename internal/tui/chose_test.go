package tui

import (
	"strings"
	"testing"

	"ml-intern/internal/chat"
	"ml-intern/internal/session"
)

// What a person sets is said once, whichever comes first: the command's answer or
// the event of the log. A choice that comes by itself is said too.
func TestAChoiceIsSaidOnce(t *testing.T) {
	t.Parallel()
	event := func(s *stage) { s.event(session.Event{Chose: &session.Chose{Model: "openai/other"}}) }
	answer := func(s *stage) {
		s.send(resultMsg{"/model openai/other", chat.Result{Text: "From now on: model `openai/other`."}, nil})
	}
	for name, steps := range map[string][]func(*stage){"event first": {event, answer}, "answer first": {answer, event}, "no command": {event}} {
		s := newStage(t, 80, 24)
		for _, step := range steps {
			step(s)
		}
		if n := strings.Count(s.screen(), "openai/other"); n != 1 {
			t.Errorf("%s: it is said %d times:\n%s", name, n, s.screen())
		}
	}
}
