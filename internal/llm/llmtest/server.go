package llmtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"
)

// A Seen is a request that a Server got.
type Seen struct {
	Body    []byte
	Header  http.Header
	Arrived time.Time // when the whole request had been read
	Sent    time.Time // when the last byte of the answer had been written

	wrote []time.Time // when each chunk of a paced turn was about to be
}

// A Server is an endpoint on loopback for chat completions and for the Messages
// API. It answers with the turns of its script in order, and refuses requests
// that the providers would refuse.
type Server struct {
	URL string // with /v1

	script func(n int) (Turn, bool)
	server *httptest.Server

	mu   sync.Mutex
	seen []Seen
}

// NewServer starts a server with a script. Close it.
func NewServer(turns ...Turn) *Server {
	return NewServerFunc(func(n int) (Turn, bool) {
		if n >= len(turns) {
			return Turn{}, false
		}
		return turns[n], true
	})
}

// NewServerFunc starts a server that asks script for its answer to the request
// number n, from 0. False means that the script has ended. Requests that come
// at once ask at once.
func NewServerFunc(script func(n int) (Turn, bool)) *Server {
	s := &Server{script: script}
	s.server = httptest.NewServer(s)
	s.URL = s.server.URL + "/v1"
	return s
}

// Serve plays a script in JSON to whoever connects to l, until ctx is done. It
// is what a program of its own needs to stand in for a provider.
func Serve(ctx context.Context, l net.Listener, script io.Reader) error {
	turns, err := ReadScript(script)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	s := &Server{script: func(n int) (Turn, bool) {
		if n >= len(turns) {
			return Turn{}, false
		}
		return turns[n], true
	}}
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); ctx.Err() == nil {
		return fmt.Errorf("serve script: %w", err)
	}
	return nil
}

// ReadScript reads a script in JSON: a list of turns, whose fields are those
// of Turn. For example a call, a refusal that names a time to wait, an answer
// that breaks off after three chunks, and a whole one:
//
//	[
//	  {"calls": [{"name": "bash", "args": "{\"command\": \"ls\"}"}]},
//	  {"status": 503, "body": "{\"error\": \"busy\"}", "retry_after": "1"},
//	  {"text": "a long text", "chunk": 2, "cut_after": 3},
//	  {"text": "done"}
//	]
func ReadScript(r io.Reader) ([]Turn, error) {
	var turns []Turn
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&turns); err != nil {
		return nil, fmt.Errorf("read script: %w", err)
	}
	return turns, nil
}

// Close stops the server and every answer that hangs.
func (s *Server) Close() {
	s.server.CloseClientConnections()
	s.server.Close()
}

// Seen returns the requests so far.
func (s *Server) Seen() []Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// Wrote returns when each chunk of the answer number n, from 0, was written, if
// its turn was paced.
func (s *Server) Wrote(n int) []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen[n].wrote)
}

// OwnTimes returns how long the client took between the last byte of each
// answer and its next request, for a client that asks one thing at a time.
func (s *Server) OwnTimes() []time.Duration {
	seen := s.Seen()
	var own []time.Duration
	for i := 1; i < len(seen); i++ {
		own = append(own, seen[i].Arrived.Sub(seen[i-1].Sent))
	}
	return own
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	format := chatWire
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/v1/chat/completions":
	case r.Method == http.MethodPost && r.URL.Path == "/v1/messages":
		format = messagesWire
	default:
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	n := len(s.seen)
	s.seen = append(s.seen, Seen{Body: body, Header: r.Header.Clone(), Arrived: time.Now()})
	s.mu.Unlock()
	defer func() { // also when the answer breaks off
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen[n].Sent = time.Now()
	}()
	turn, ok := s.script(n)
	if !ok {
		turn = Turn{Status: http.StatusTeapot, Body: fmt.Sprintf(`{"error":{"message":"the script has no turn %d"}}`, n+1)}
	}
	check := CheckChat
	if format == messagesWire {
		check = CheckMessages
	}
	if err := check(body); err != nil && !turn.Lax {
		turn = Turn{Status: http.StatusBadRequest, Body: fmt.Sprintf(`{"type":"error","error":{"type":"invalid_request_error","message":%q}}`, err.Error())}
	}
	if !pause(r.Context(), time.Duration(turn.DelayMS)*time.Millisecond) {
		return
	}
	var wrote func(time.Time)
	if turn.PaceMS > 0 {
		wrote = func(at time.Time) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.seen[n].wrote = append(s.seen[n].wrote, at)
		}
	}
	a := answer{wrote: wrote, w: w, ctx: r.Context(), turn: turn, n: n, wire: format}
	a.send()
	a.flush()
}

func pause(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return true
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
