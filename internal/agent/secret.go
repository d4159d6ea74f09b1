package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/session"
)

// Redacted stands in a prompt where a secret was.
const Redacted = "[redacted]"

func (a *Agent) redacted(text string) string {
	if a.Redact == nil {
		return text
	}
	return a.Redact(text)
}

// tellRedacted tells the person, once for each prompt, that a key was taken out
// of what they said.
func (t turn) tellRedacted(ctx context.Context) error {
	for _, ev := range slices.Backward(t.session.Events()) {
		if ev.Prompt == nil {
			continue
		}
		kind := fmt.Sprintf("secret %d", ev.Seq)
		if t.Redact == nil || !strings.Contains(ev.Prompt.Text, Redacted) || t.session.Noticed(kind) {
			return nil
		}
		const text = "a key was taken out of what you said: it is not saved and the model does not see it. " +
			"If a tool needs it, put it into the environment or .env, or use ml-intern login"
		return t.emit(ctx, session.Event{Notice: &session.Notice{Kind: kind, Text: text}})
	}
	return nil
}
