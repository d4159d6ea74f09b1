package tui

import (
	"strings"
	"testing"

	"ml-intern/internal/session"
)

// A terminal of ten columns is not nice, but nothing that went wrong is cut off.
func TestNarrow(t *testing.T) {
	t.Parallel()
	s := newStage(t, 10, 24)
	s.event(session.Event{Failed: &session.Failed{Reason: "error", Text: "the last word is here"}})
	if got := s.screen(); !strings.Contains(strings.Join(strings.Fields(got), " "), "the last word is here") {
		t.Error(got)
	}
}
