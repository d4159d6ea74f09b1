// Package wire holds what every provider's HTTP client needs: a watch over
// answers that fall silent, a rule for redirects, and errors that callers of
// an llm.Model can judge.
//
// Its one rule: a key, and the conversation with it, goes to the host that the
// person named and to no other.
package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"ml-intern/internal/llm"
)

// Or returns d, or the other duration if d is 0.
func Or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// A RefusedError is a request that was never sent: to repeat it is no use.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

// SameHost is an http.Client's CheckRedirect. It follows redirects on the host
// that the key belongs to, and no others.
func SameHost(req *http.Request, via []*http.Request) error {
	switch first := via[0].URL; {
	case req.URL.Host != first.Host || req.URL.Scheme != first.Scheme, req.Method != http.MethodPost:
		return &RefusedError{fmt.Errorf("the server sends the request on to %s://%s%s; set that as the address if it is meant", req.URL.Scheme, req.URL.Host, req.URL.Path)}
	case len(via) >= 5:
		return &RefusedError{errors.New("the server sends the request in circles")}
	}
	return nil
}

// errStall is why a silent answer is given up.
var errStall = errors.New("the server fell silent")

// A Watch cancels a request whose answer falls silent: the first byte must
// come within one limit, every other within another, and a word of the answer,
// which Alive tells of, within pings times that. The time that the caller
// takes between reads is the caller's. It is the http.RoundTripper of one
// request.
type Watch struct {
	Base http.RoundTripper

	cancel  context.CancelCauseFunc
	waiting *time.Timer // for the first byte
	limit   time.Duration
	pinged  time.Duration // waited for since the last word
}

// pings is how much longer than silence a server's bytes without a word are
// borne: a model may think for minutes behind them, a dead one for ever.
const pings = 10

// NewWatch starts to wait for the first byte. Stop it.
func NewWatch(cancel context.CancelCauseFunc, firstByte, idle time.Duration) *Watch {
	return &Watch{cancel: cancel, limit: idle, waiting: alarm(cancel, firstByte)}
}

// Alive says that a word of the answer came, and not just a sign of life.
func (w *Watch) Alive() { w.pinged = 0 }

// Stop ends the watch.
func (w *Watch) Stop() { w.waiting.Stop() }

// RoundTrip implements http.RoundTripper.
func (w *Watch) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := w.Base.RoundTrip(req)
	if err == nil {
		res.Body = &watchedBody{ReadCloser: res.Body, watch: w}
	}
	return res, err
}

// Body watches the reads of an answer.
func (w *Watch) Body(body io.ReadCloser) io.ReadCloser {
	return &watchedBody{ReadCloser: body, watch: w}
}

func alarm(cancel context.CancelCauseFunc, limit time.Duration) *time.Timer {
	return time.AfterFunc(limit, func() { cancel(fmt.Errorf("%w for %s", errStall, limit)) })
}

type watchedBody struct {
	io.ReadCloser
	watch *Watch
	idle  *time.Timer // nil before the first byte; runs during a read
}

func (b *watchedBody) Read(p []byte) (int, error) {
	w := b.watch
	if w.pinged > pings*w.limit {
		err := fmt.Errorf("%w: nothing but signs of life for %s", errStall, w.pinged.Round(time.Second))
		w.cancel(err)
		return 0, err
	}
	start := time.Now()
	if b.idle != nil {
		b.idle.Reset(w.limit)
	}
	n, err := b.ReadCloser.Read(p)
	w.pinged += time.Since(start)
	if b.idle == nil && n > 0 {
		w.waiting.Stop()
		b.idle, w.pinged = alarm(w.cancel, w.limit), 0
	}
	if b.idle != nil {
		b.idle.Stop()
	}
	return n, err
}

// Failure turns an error into one that callers can judge: the caller's own
// cancellation, a refusal without the key in its words, or trouble on the way.
func Failure(ctx context.Context, err error, key string) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, errStall) {
		return &llm.TransportError{Err: cause}
	}
	if cause != nil {
		return cause
	}
	if e, ok := errors.AsType[*llm.StatusError](err); ok {
		e.Message, e.Code = string(Hide([]byte(e.Message), key)), string(Hide([]byte(e.Code), key))
		return e
	}
	if _, ok := errors.AsType[*RefusedError](err); ok {
		return err
	}
	if text := err.Error(); len(key) >= leastKey && strings.Contains(text, key) {
		return &llm.TransportError{Err: errors.New(string(Hide([]byte(text), key)))}
	}
	if _, ok := errors.AsType[*llm.TransportError](err); ok {
		return err
	}
	return &llm.TransportError{Err: err}
}

// leastKey is the length below which a key is no secret, in bytes.
const leastKey = 8

// Hide takes the key out of a text.
func Hide(text []byte, key string) []byte {
	if len(key) < leastKey {
		return text
	}
	return bytes.ReplaceAll(text, []byte(key), []byte("(the key)"))
}

// Equal reports whether two messages are the same. It is cheap where the
// strings share memory, as those of a growing transcript do.
func Equal(a, b llm.Message) bool {
	if a.Role != b.Role || len(a.Parts) != len(b.Parts) {
		return false
	}
	for i, p := range a.Parts {
		q := b.Parts[i]
		if p.Text != q.Text || p.Reasoning != q.Reasoning || p.Image != q.Image ||
			!same(p.Proof, q.Proof) || !same(p.Call, q.Call) || !same(p.Result, q.Result) {
			return false
		}
	}
	return true
}

func same[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// Clone copies a message, so that a caller who changes it changes no copy.
func Clone(m llm.Message) llm.Message {
	parts := make([]llm.Part, len(m.Parts))
	for i, p := range m.Parts {
		if p.Call != nil {
			call := *p.Call
			p.Call = &call
		}
		if p.Result != nil {
			result := *p.Result
			p.Result = &result
		}
		parts[i] = p
	}
	m.Parts = parts
	return m
}

// maxMends is how often one request is mended and made again.
const maxMends = 8

// Mend makes attempts until one is not refused for something that the server
// need not know. Mend says in a sentence what it will do without, "" if it
// knows nothing; the person is told. Nothing was charged for a refusal. Once
// something was sent to the caller there is nothing to mend any more.
func Mend(attempt func(yield func(llm.Chunk, error) bool) error, mend func(error) string, yield func(llm.Chunk, error) bool) {
	sent := false
	send := func(chunk llm.Chunk, err error) bool { sent = true; return yield(chunk, err) }
	for mends := 0; ; mends++ {
		err := attempt(send)
		notice := ""
		if err != nil && !sent && mends < maxMends {
			notice = mend(err)
		}
		switch {
		case err == nil:
			return
		case notice == "":
			yield(llm.Chunk{}, err)
			return
		case !yield(llm.Chunk{Notice: notice}, nil):
			return
		}
	}
}
