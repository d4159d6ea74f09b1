package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ml-intern/internal/ledger"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

const (
	compactAt = 0.8 // of the context window: the reply needs room too
	keepShare = 0.2 // of the context window stays verbatim at the end
)

// compact summarizes the transcript when it nears the model's window.
func (t turn) compact(ctx context.Context) error {
	window := t.Model.Info().ContextWindow
	if window == 0 || float64(t.session.Tokens()) < compactAt*float64(window) {
		return nil
	}
	return t.summarize(ctx, int(keepShare*float64(window)))
}

// shrink compacts after the provider refused a transcript as too long, once in
// a row: a transcript that is still too long after that ends the turn.
func (t turn) shrink(ctx context.Context, refused error) error {
	events := t.session.Events()
	if events[len(events)-1].Compact != nil {
		return fmt.Errorf("%w, although it was just compacted; start a new session or take a model with a larger window", refused)
	}
	return t.summarize(ctx, t.session.Tokens()/8)
}

// summarize replaces the transcript, but for the first prompt and about
// keepTokens at its end, by a summary that the model writes. A summary that
// fails is replaced by a digest, so that compaction always succeeds.
func (t turn) summarize(ctx context.Context, keepTokens int) error {
	messages := t.session.Messages()
	keep := keepFrom(messages, keepTokens)
	if keep <= 1 {
		return errors.New("compact: the last exchange alone fills the context window; take a model with a larger one")
	}
	request := append(messages[:keep:keep], llm.Message{Role: llm.User, Parts: []llm.Part{{Text: summaryPrompt}}})
	reply, err := t.ask(ctx, request, func(llm.Chunk) error { return nil })
	if ctx.Err() != nil || errors.Is(err, ledger.ErrCap) || errors.Is(err, llm.ErrAuth) {
		return fmt.Errorf("compact: %w", err)
	}
	summary := reply.Message.Text()
	if err != nil || strings.TrimSpace(summary) == "" {
		summary = digest(messages[:keep])
	}
	return t.emit(ctx, session.Event{Compact: &session.Compact{
		Summary: summaryIntro + summary, Keep: keep, Usage: reply.End.Usage,
	}})
}

// keepFrom is the index of the first message to keep verbatim: never a tool
// result, whose call would be lost.
func keepFrom(messages []llm.Message, tokens int) int {
	keep, size := len(messages), 0
	for i := len(messages) - 1; i > 0; i-- {
		for _, p := range messages[i].Parts {
			size += len(p.Text) + len(p.Reasoning)
			if p.Call != nil {
				size += len(p.Call.Args)
			}
			if p.Result != nil {
				size += len(p.Result.Text)
			}
		}
		if size/3 > tokens {
			break
		}
		if messages[i].Role != llm.Tool {
			keep = i
		}
	}
	return keep
}

// digest lists what was said and done, one line each, from the record.
func digest(messages []llm.Message) string {
	var b strings.Builder
	for _, m := range messages {
		for _, p := range m.Parts {
			switch {
			case p.Call != nil:
				fmt.Fprintf(&b, "- called %s %s\n", p.Call.Name, shorten(p.Call.Args, 200))
			case p.Result != nil:
				fmt.Fprintf(&b, "  result: %s\n", shorten(p.Result.Text, 200))
			case p.Text != "":
				fmt.Fprintf(&b, "- %s: %s\n", m.Role, shorten(p.Text, 400))
			}
		}
	}
	return shorten(b.String(), 20_000)
}

func shorten(s string, n int) string {
	s = strings.TrimSpace(s)
	if len(s) <= n {
		return s
	}
	return s[:cutAt(s, n)] + "…"
}
