// Package acp lets an editor drive the program, by the Agent Client Protocol on
// two streams. A session of the editor is one of ours, and each that is open is
// a chat.Chat: as the screen and the line mode do, this package shows what the
// chat tells and says to it what the person does.
//
// Its one rule: nothing is decided here. The chat has the turns, the policy
// judges the calls, the ledger pays, the log is the record; what the editor
// offers to read, write or run by itself is not used.
//
// The messages are types of the protocol's library; the connection is our own
// (wire), because bounds, order and a reader that stops must hold for all of it.
package acp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	sdk "github.com/coder/acp-go-sdk"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
)

// Options are what an editor is served with.
type Options struct {
	In  io.Reader
	Out io.Writer                                // has the protocol alone
	Log func(line string)                        // for whoever looks after the program
	For func(dir string) (*config.Config, error) // the configuration for a workspace; that of this process's folder for ""
}

// Serve answers one editor until its input ends. Then all turns are stopped, and
// the sessions are left to be gone on with.
func Serve(ctx context.Context, opts Options) error {
	s := &server{Options: opts, ctx: ctx, threads: make(map[string]*thread)}
	s.wire = newWire(ctx, opts.Out, opts.Log)
	err := s.wire.serve(opts.In, s)
	s.closeAll()
	s.wire.close()
	s.following.Wait()
	return err
}

// maxThreads is how many sessions are open at once.
const maxThreads = 64

// A server is what one editor talks to.
type server struct {
	Options
	ctx  context.Context //nolint:containedctx // of Serve, which makes it
	wire *wire

	following sync.WaitGroup // of the goroutines that show what chats tell

	mu      sync.Mutex
	greeted bool
	threads map[string]*thread // by the id of the session; nil while one is being opened
	closed  bool
}

// thread is the open session of that id.
func (s *server) thread(id sdk.SessionId) (*thread, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.threads[string(id)]; t != nil {
		return t, nil
	}
	return nil, closedSession(id)
}

func closedSession(id sdk.SessionId) *sdk.RequestError {
	return &sdk.RequestError{Code: codeNotFound, Message: fmt.Sprintf("there is no open session %.60q: make one with session/new, or open it with session/load", string(id))}
}

// hold keeps the place of a session that is about to be opened.
func (s *server) hold(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.threads[id]; ok {
		return invalid("session %s is being opened or closed", id)
	}
	if len(s.threads) >= maxThreads || s.closed {
		return invalid("there are %d open sessions already: close one with session/close", len(s.threads))
	}
	s.threads[id] = nil
	return nil
}

// settle puts the opened session in its place, or gives the place up.
func (s *server) settle(id string, t *thread) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t == nil || s.closed {
		delete(s.threads, id)
		return false
	}
	s.threads[id] = t
	return true
}

// take takes an open session out, to close it; its place is held until settle.
func (s *server) take(id string) *thread {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.threads[id]
	if t != nil {
		s.threads[id] = nil
	}
	return t
}

// closeAll closes all sessions, side by side, and says what goes on without.
func (s *server) closeAll() {
	s.mu.Lock()
	s.closed = true
	var open []*thread
	for _, t := range s.threads {
		if t != nil {
			open = append(open, t)
		}
	}
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, t := range open {
		wg.Go(func() {
			for _, line := range t.close() {
				s.Log(line)
			}
		})
	}
	wg.Wait()
}

// Codes of errors beside those of the library.
const (
	codeAuth     = -32000
	codeInvalid  = -32602
	codeInternal = -32603
	codeNotFound = -32002
	codeRefused  = -32600
	codeCanceled = -32800
)

func invalid(format string, args ...any) *sdk.RequestError {
	return &sdk.RequestError{Code: codeInvalid, Message: fmt.Sprintf(format, args...)}
}

// failure tells the editor what went wrong and what the person can do: in the
// message, which editors show, and apart in the data.
func failure(err error) *sdk.RequestError {
	if e, ok := errors.AsType[*sdk.RequestError](err); ok {
		return e
	}
	exit := app.Classify(err)
	return told(exit, strings.TrimPrefix(err.Error(), app.ErrUsage.Error()+": "), exit.Hint)
}

func told(exit app.Exit, what, hint string) *sdk.RequestError {
	e := &sdk.RequestError{Code: codeInternal, Message: what, Data: map[string]any{"reason": exit.Reason, "hint": hint}}
	switch exit.Reason {
	case "auth":
		e.Code = codeAuth
	case "usage":
		e.Code, hint = codeInvalid, ""
	case "cost_cap":
		hint = "start the agent with a higher --max-cost in the editor's settings, or set max_cost in the configuration"
	}
	if hint != "" && !strings.Contains(what, hint) {
		e.Message += "\n" + hint
	}
	return e
}

// closing is how long the last answers, and then the last messages, may take on
// their way out.
const closing = 2 * time.Second
