// Package tui is the full-screen terminal: it shows a conversation of package
// chat and gives it what the person types.
//
// Its one rule: it draws and decides nothing. All it shows comes from the
// updates of the chat; text from a model, a tool or a file is cleaned before it
// is drawn, so that it can neither move the cursor nor hide.
//
// The model belongs to the loop of Bubble Tea. Whatever may wait, such as a
// command or the walk for names of files, runs beside it and comes back as a
// message.
package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"

	"ml-intern/internal/chat"
)

// Options say what to show and where.
type Options struct {
	Open  func(context.Context) (*chat.Chat, error) // called when the first screen is drawn
	In    io.Reader                                 // the terminal
	Out   io.Writer                                 // likewise
	Env   func(string) string
	Dir   string // the workspace
	Model string // shown until the conversation is open
	State string // the folder for the history of prompts; "" keeps none
	Mouse bool   // the wheel scrolls, and selecting text needs Shift
	Focus bool   // notifications are shown while the person looks elsewhere, so the terminal says when they do
}

// Run shows the conversation until the person leaves, and returns what is to be
// said below it. It gives the terminal back as it was, also after a panic or a
// signal.
func Run(ctx context.Context, o Options) (left []string, err error) {
	ctx, hangup := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer hangup()
	m := newModel(ctx, time.Now)
	m.mouse, m.focus, m.env = o.Mouse, o.Focus, o.Env
	m.state.Dir, m.state.Model = o.Dir, o.Model
	if o.State != "" {
		m.hist.Path, m.lookFile = filepath.Join(o.State, "prompts.jsonl"), filepath.Join(o.State, "theme")
		m.look = readLook(m.lookFile)
	}
	if o.Env("NO_COLOR") != "" {
		m.look = "none"
	}
	m.repaint()
	var talk *chat.Chat
	var opening sync.Mutex // held until there is a chat, or none will be
	m.begin = func() tea.Msg {
		opening.Lock()
		defer opening.Unlock()
		if ctx.Err() != nil {
			return nil
		}
		c, err := o.Open(ctx)
		if err != nil {
			return brokenMsg{err}
		}
		talk = c
		return openedMsg{c}
	}
	p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(o.In), tea.WithOutput(o.Out), tea.WithoutSignalHandler())
	actions := make(chan func() tea.Msg, 1024)
	m.do = func(f func() tea.Msg) { actions <- f }
	var wg sync.WaitGroup
	wg.Go(func() { obey(actions, p.Send) })
	_, err = p.Run()
	close(actions)
	if !opening.TryLock() {
		hangup() // what is still being opened is not wanted any more
		opening.Lock()
	}
	defer opening.Unlock()
	if talk != nil {
		err = errors.Join(m.ended(err), closed(talk))
		left = talk.Left()
	} else {
		err = m.ended(err)
	}
	wg.Wait()
	return left, err
}

// obey does, in order, what is not for the loop. What it panics with ends the
// screen, which gives the terminal back first.
func obey(actions <-chan func() tea.Msg, send func(tea.Msg)) {
	one := func(f func() tea.Msg) (msg tea.Msg) {
		defer func() {
			if p := recover(); p != nil {
				msg = brokenMsg{fmt.Errorf("the screen failed; the session is saved: %v\n%.2000s", p, debug.Stack())}
			}
		}()
		return f()
	}
	for f := range actions {
		if msg := one(f); msg != nil {
			send(msg)
		}
	}
}

// ended is why the program ended, nil if the person wanted it to.
func (m *model) ended(err error) error {
	switch {
	case m.fatal != nil:
		return m.fatal
	case err == nil:
		return nil
	case errors.Is(err, tea.ErrProgramPanic):
		return fmt.Errorf("the screen failed; the session is saved: %w", err)
	case context.Cause(m.ctx) != nil:
		return context.Cause(m.ctx)
	}
	return fmt.Errorf("show the screen: %w", err)
}

// closed closes the chat, which may still have something to say.
func closed(talk *chat.Chat) error {
	var wg sync.WaitGroup
	wg.Go(func() {
		for range talk.Updates() { //nolint:revive // until it is closed
		}
	})
	err := talk.Close()
	wg.Wait()
	return err
}
