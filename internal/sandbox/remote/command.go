package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"ml-intern/internal/sandbox"
)

// Bounds of what a server does and remembers.
const (
	maxRunning  = 32      // commands at a time
	maxTapes    = 64      // ended commands whose output is still there
	maxRemember = 100_000 // commands that are known, so that none runs twice
)

// A command is one that was started here.
type command struct {
	order
	tape   *tape // nil once its output was dropped
	cancel context.CancelCauseFunc
	done   chan struct{}
	exit   exit // to be read when done
}

var errCanceled = errors.New("the client canceled it")

// commands are those of a server, by ID.
type commands struct {
	box sandbox.Sandbox

	mu     sync.Mutex
	byID   map[string]*command
	ended  []string // in order of their end
	closed bool
	wg     sync.WaitGroup
}

// start runs a command, unless one of that ID is known.
func (cs *commands) start(ctx context.Context, id string, o order) (*command, error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c, known := cs.byID[id]; known {
		if c.order != o {
			return nil, refuse(http.StatusConflict, "conflict", "another command has this id")
		}
		return c, nil
	}
	if running := len(cs.byID) - len(cs.ended); running >= maxRunning || cs.closed {
		return nil, refuse(http.StatusTooManyRequests, "busy", fmt.Sprintf("%d commands run already; wait for one or cancel it", running))
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx)) // it outlives the request
	c := &command{order: o, tape: newTape(), cancel: cancel, done: make(chan struct{})}
	if cs.byID == nil {
		cs.byID = make(map[string]*command)
	}
	cs.byID[id] = c
	cs.wg.Go(func() { cs.run(ctx, id, c, c.tape) })
	return c, nil
}

func (cs *commands) run(ctx context.Context, id string, c *command, t *tape) {
	defer c.cancel(nil)
	timeout := time.Duration(c.TimeoutMS) * time.Millisecond
	if timeout <= 0 || timeout > LongestCommand {
		timeout = LongestCommand
	}
	out, err := cs.box.Exec(ctx, sandbox.Command{Line: c.Line, Timeout: timeout, Raw: t})
	c.exit = exit{Code: out.Code, TimedOut: out.TimedOut, Seconds: out.Seconds, Kept: out.Kept}
	switch {
	case context.Cause(ctx) != nil:
		c.exit.Canceled = true
	case err != nil:
		c.exit.Error = err.Error()
	}
	t.end()
	close(c.done)
	cs.retire(id)
}

// retire drops the output of commands that ended long ago, and last of all the
// memory that they were there.
func (cs *commands) retire(id string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.ended = append(cs.ended, id)
	if n := len(cs.ended); n > maxTapes {
		cs.byID[cs.ended[n-maxTapes-1]].tape = nil
	}
	if len(cs.ended) > maxRemember {
		delete(cs.byID, cs.ended[0])
		cs.ended = cs.ended[1:]
	}
}

// find returns a command and its output, nil if that was dropped.
func (cs *commands) find(id string) (*command, *tape, error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c, known := cs.byID[id]
	if !known {
		return nil, nil, refuse(http.StatusNotFound, codeNotFound, "there is no command of this id")
	}
	return c, c.tape, nil
}

func (cs *commands) running() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.byID) - len(cs.ended)
}

// close ends all commands and waits for them.
func (cs *commands) close() {
	cs.mu.Lock()
	cs.closed = true
	for _, c := range cs.byID {
		c.cancel(errCanceled)
	}
	cs.mu.Unlock()
	cs.wg.Wait()
}
