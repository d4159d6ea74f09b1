// Package chat is a conversation with a person who stays: prompts that queue,
// words that reach a turn at work, questions, commands. It has no screen; the
// full-screen terminal and the line mode both show it.
//
// Its one rule: it shows what is saved and decides nothing that agent, session
// or app decide. agent.Run is the loop, app puts a session together.
package chat

import (
	"context"

	"ml-intern/internal/config"
)

// Options say which session to open; none begins a new one.
type Options struct {
	Resume   string // id of a session, or the beginning of one
	Continue bool   // the latest session of the workspace
	Fork     bool   // a copy of it
}

// A Chat is a conversation. Its methods may be called from any goroutine. Close
// it.
type Chat struct {
	updates chan Update
}

// Open opens the conversation that the options name. Nothing is saved before
// the first prompt.
func Open(ctx context.Context, cfg *config.Config, opts Options) (*Chat, error) {
	return &Chat{updates: make(chan Update)}, nil
}

// Updates yields what happened, in order, until Close. It has one reader. A
// slow one slows the turn and loses nothing.
func (c *Chat) Updates() <-chan Update { return c.updates }

// Say gives a prompt: now, or when the turn that works has ended. "!ls" runs a
// command instead, whose output goes with the next prompt. An empty one sends
// what was held back after a failure.
func (c *Chat) Say(text string) {}

// Steer says something to the turn at work: it is delivered before the next
// model call. With none it is a prompt.
func (c *Chat) Steer(text string) {}

// Unqueue takes the last prompt that waits back, "" if there is none.
func (c *Chat) Unqueue() (text string) { return "" }

// Stop ends the turn within a second. With none it does nothing.
func (c *Chat) Stop() {}

// Close ends the turn and gives the session back. Nothing that was saved is lost.
func (c *Chat) Close() error { close(c.updates); return nil }
