package agent

import (
	"context"
	"slices"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// InstructionsNote is the guard of notes about files with instructions, and the
// kind of the notice.
const InstructionsNote = "instructions"

// tellInstructions tells the model, at a prompt, what has changed in the files
// with instructions, and the person once what is left out of them. What the model
// reads first stays as it was when the session began.
func (t turn) tellInstructions(ctx context.Context) error {
	events := t.session.Events()
	if t.News == nil || len(events) == 0 || events[len(events)-1].Prompt == nil {
		return nil
	}
	news, notice := t.News(t.session)
	if notice != "" && !t.session.Noticed(InstructionsNote) {
		if err := t.emit(ctx, session.Event{Notice: &session.Notice{Kind: InstructionsNote, Text: notice}}); err != nil {
			return err
		}
	}
	if news == "" {
		return nil
	}
	return t.emit(ctx, session.Event{Note: &session.Note{Guard: InstructionsNote, Text: llm.NoteMark + news}})
}

// ToldInstructions is what the model was told last of files with instructions,
// "" if nothing since the session began.
func ToldInstructions(s *session.Session) string {
	for _, ev := range slices.Backward(s.Events()) {
		if isNote(ev, InstructionsNote) {
			return ev.Note.Text
		}
	}
	return ""
}
