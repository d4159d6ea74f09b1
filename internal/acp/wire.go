package acp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	sdk "github.com/coder/acp-go-sdk"
)

// Bounds of what a client may send, and of what waits for one that does not
// read.
const (
	maxMessage  = 16 << 20 // bytes of one message
	maxRequests = 256      // that have no answer yet
	maxWaiting  = 16       // messages on their way out
)

// A message is one of JSON-RPC: a request, a notification or an answer.
type message struct {
	Version string            `json:"jsonrpc"`
	ID      json.RawMessage   `json:"id,omitempty"`
	Method  string            `json:"method,omitempty"`
	Params  json.RawMessage   `json:"params,omitempty"`
	Result  json.RawMessage   `json:"result,omitempty"`
	Error   *sdk.RequestError `json:"error,omitempty"`
}

// An answer is what a request comes to: its result, and what is done once that
// is on its way.
type answer struct {
	result any
	after  func()
}

// A peer is who a wire leads to. Both methods are called in the order in which
// messages came, and must not wait: what takes time is the work that request
// returns, which runs beside others.
type peer interface {
	request(method string, params json.RawMessage) (work func(ctx context.Context) (answer, error), err error)
	notify(method string, params json.RawMessage)
}

// A wire carries messages in lines on two streams, whatever comes in.
type wire struct {
	ctx  context.Context //nolint:containedctx // of the connection
	out  chan []byte
	log  func(string)
	gone chan struct{} // nothing is written any more
	sent chan struct{} // all was written

	refused chan message // that cannot be served, on their way out
	deaf    bool         // nobody reads them; of who calls serve

	mu    sync.Mutex
	next  int
	asked map[string]chan message            // our requests, by id
	works map[string]context.CancelCauseFunc // theirs
	wg    sync.WaitGroup
}

// newWire writes to out beside whatever else happens: a client that reads nothing
// holds up who writes, and nobody else.
func newWire(ctx context.Context, out io.Writer, log func(string)) *wire {
	w := &wire{
		ctx: ctx, out: make(chan []byte, maxWaiting), log: log, gone: make(chan struct{}), sent: make(chan struct{}),
		asked: make(map[string]chan message), works: make(map[string]context.CancelCauseFunc), refused: make(chan message, maxRequests),
	}
	w.wg.Go(func() {
		for m := range w.refused {
			_ = w.send(m) // who is gone needs no answer
		}
	})
	go func() { // a write to who reads nothing cannot be stopped: it ends with the process
		defer close(w.sent)
		for {
			select {
			case line := <-w.out:
				if _, err := out.Write(line); err != nil {
					log("write to the editor: " + err.Error())
					return
				}
			case <-w.gone:
				for len(w.out) > 0 {
					if _, err := out.Write(<-w.out); err != nil {
						return
					}
				}
				return
			}
		}
	}()
	return w
}

// close waits for what is on its way, for a while.
func (w *wire) close() {
	close(w.refused)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		w.wg.Wait()
	}()
	select {
	case <-answered:
	case <-time.After(closing):
	}
	close(w.gone)
	<-answered
	select {
	case <-w.sent:
	case <-time.After(closing):
	}
}

// send puts a message on its way. It waits for a client that reads slowly.
func (w *wire) send(m message) error {
	m.Version = "2.0"
	line, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	select {
	case w.out <- append(line, '\n'):
		return nil
	case <-w.gone:
	case <-w.sent:
	case <-w.ctx.Done():
	}
	return errGone
}

var errGone = errors.New("the editor is gone")

// tell sends a notification.
func (w *wire) tell(method string, params any) error {
	data, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("write %s: %w", method, err)
	}
	return w.send(message{Method: method, Params: data})
}

// ask sends a request and waits for its answer, or takes it back.
func (w *wire) ask(ctx context.Context, method string, params, result any) error {
	data, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("write %s: %w", method, err)
	}
	came := make(chan message, 1)
	w.mu.Lock()
	w.next++
	id := strconv.Itoa(w.next)
	w.asked[id] = came
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.asked, id)
		w.mu.Unlock()
	}()
	if err := w.send(message{ID: json.RawMessage(id), Method: method, Params: data}); err != nil {
		return err
	}
	select {
	case m := <-came:
		if m.Error != nil {
			return m.Error
		}
		if err := json.Unmarshal(m.Result, result); err != nil {
			return fmt.Errorf("read answer to %s: %w", method, err)
		}
		return nil
	case <-ctx.Done():
		_ = w.tell("$/cancel_request", map[string]any{"requestId": json.RawMessage(id)}) // nobody may read it
		return context.Cause(ctx)
	case <-w.gone:
		return errGone
	}
}

// serve reads until the input ends, or nothing can be written any more.
func (w *wire) serve(in io.Reader, p peer) error {
	lines, over := make(chan []byte), make(chan error, 1)
	go func() { // a read cannot be stopped: it ends with the process
		r := bufio.NewReaderSize(in, 64<<10)
		for {
			line, err := w.line(r)
			if err != nil {
				over <- err
				return
			}
			select {
			case lines <- line:
			case <-w.gone:
				return
			}
		}
	}()
	defer w.stop()
	for {
		select {
		case line := <-lines:
			if line == nil {
				w.refuse(nil, &sdk.RequestError{Code: codeRefused, Message: fmt.Sprintf("the message has more than %d MB", maxMessage>>20)})
				continue
			}
			w.take(line, p)
		case err := <-over:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read from the editor: %w", err)
		case <-w.sent:
			return errors.New("the editor reads no more")
		case <-w.ctx.Done():
			return context.Cause(w.ctx)
		}
	}
}

// stop ends the work on requests that have no answer yet.
func (w *wire) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, cancel := range w.works {
		cancel(errGone)
	}
}

// line reads a message of bounded length, nil for a longer one.
func (w *wire) line(r *bufio.Reader) ([]byte, error) {
	var line []byte
	long := false
	for {
		piece, err := r.ReadSlice('\n')
		if long = long || len(line)+len(piece) > maxMessage; long {
			line = nil
		} else {
			line = append(line, piece...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || len(line) == 0):
			return nil, err
		case long:
			return nil, nil
		case len(bytes.TrimSpace(line)) == 0:
			line = nil
			continue
		}
		return line, nil
	}
}

// refuse answers what cannot be served; without an id, to nobody in particular.
// Whoever reads no such answers gets no more of them: a cancel behind, and the
// end of the input, must be seen all the same.
func (w *wire) refuse(id json.RawMessage, e *sdk.RequestError) {
	if id == nil {
		id = json.RawMessage("null")
	}
	m := message{ID: id, Error: e}
	select {
	case w.refused <- m:
		w.deaf = false
		return
	default:
	}
	if w.deaf {
		return
	}
	patience := time.NewTimer(closing)
	defer patience.Stop()
	select {
	case w.refused <- m:
	case <-patience.C:
		w.deaf = true
		w.log("the editor reads no answers: what cannot be served gets none for now")
	case <-w.sent:
	case <-w.ctx.Done():
	}
}

// take obeys one line.
func (w *wire) take(line []byte, p peer) {
	var m message
	switch err := json.Unmarshal(line, &m); {
	case err != nil && !json.Valid(line):
		w.refuse(nil, &sdk.RequestError{Code: -32700, Message: "this is no JSON: every line must be one message"})
	case err != nil || m.Version != "2.0" || m.Method == "" && m.ID == nil || !isID(m.ID):
		w.refuse(nil, &sdk.RequestError{Code: codeRefused, Message: "this is no message of JSON-RPC 2.0"})
	case m.Method == "":
		w.mu.Lock()
		came := w.asked[string(m.ID)]
		delete(w.asked, string(m.ID)) // a second answer is for nobody
		w.mu.Unlock()
		if came != nil {
			came <- m
		}
	case m.ID == nil && m.Method == "$/cancel_request":
		w.cancel(m.Params)
	case m.ID == nil:
		p.notify(m.Method, m.Params)
	default:
		w.work(m, p)
	}
}

// isID reports whether it is an id that a request may have, or none.
func isID(id json.RawMessage) bool {
	return len(id) == 0 || len(id) < 200 && id[0] != '{' && id[0] != '[' && id[0] != 't' && id[0] != 'f'
}

// cancel stops the work on a request of theirs.
func (w *wire) cancel(params json.RawMessage) {
	var p struct {
		ID json.RawMessage `json:"requestId"`
	}
	if json.Unmarshal(params, &p) != nil {
		return
	}
	w.mu.Lock()
	cancel := w.works[string(p.ID)]
	w.mu.Unlock()
	if cancel != nil {
		cancel(errCanceled)
	}
}

// errCanceled says that the client took its request back.
var errCanceled = &sdk.RequestError{Code: codeCanceled, Message: "the request was cancelled"}

// work serves a request beside others.
func (w *wire) work(m message, p peer) {
	id := string(m.ID)
	ctx, cancel := context.WithCancelCause(w.ctx)
	w.mu.Lock()
	_, twice := w.works[id]
	full := len(w.works) >= maxRequests
	if !twice && !full {
		w.works[id] = cancel
	}
	w.mu.Unlock()
	if twice || full {
		cancel(nil)
		text := "a request of this id is being answered"
		if full {
			text = fmt.Sprintf("%d requests have no answer yet: wait for some", maxRequests)
		}
		w.refuse(m.ID, &sdk.RequestError{Code: codeRefused, Message: text})
		return
	}
	do, err := p.request(m.Method, m.Params)
	w.wg.Go(func() {
		defer cancel(nil)
		var a answer
		if err == nil {
			a, err = w.whole(ctx, do)
		}
		reply := message{ID: m.ID}
		if err == nil {
			reply.Result, err = json.Marshal(a.result)
		}
		if err != nil {
			reply.Error = failure(err)
		}
		w.mu.Lock() // before the answer, after which the id may be used again
		delete(w.works, id)
		w.mu.Unlock()
		if w.send(reply) == nil && a.after != nil && err == nil {
			a.after()
		}
	})
}

// whole makes a panic an error of the request.
func (w *wire) whole(ctx context.Context, do func(context.Context) (answer, error)) (a answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			w.log(fmt.Sprintf("a request failed: %v\n%.2000s", p, debug.Stack()))
			err = fmt.Errorf("the program failed in this request: %v; what was done before is saved", p)
		}
	}()
	return do(ctx)
}
