package llmtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// A Turn is one scripted answer of a Server. The zero Turn is an empty reply.
// In JSON a script is a list of turns:
//
//	[{"calls": [{"name": "bash", "args": "{\"command\": \"ls\"}"}]}, {"text": "done"}, {"status": 503}]
type Turn struct {
	Text      string     `json:"text"`
	Reasoning string     `json:"reasoning"`
	Calls     []TurnCall `json:"calls"`
	Finish    string     `json:"finish"` // finish_reason; "none" leaves it out

	Status     int    `json:"status"` // an error instead of an answer
	Body       string `json:"body"`   // of the error
	RetryAfter string `json:"retry_after"`

	Chunk      int    `json:"chunk"`       // bytes of text in a chunk; 0 for all in one
	CutAfter   int    `json:"cut_after"`   // the connection breaks after so many chunks
	StallAfter int    `json:"stall_after"` // the answer stops for ever after so many chunks
	Whole      bool   `json:"whole"`       // one JSON object, not a stream
	NoUsage    bool   `json:"no_usage"`
	NoDone     bool   `json:"no_done"`
	NoIndex    bool   `json:"no_index"`  // tool calls without index
	ArgBytes   int    `json:"arg_bytes"` // bytes of arguments in a chunk; 0 for all in one
	Raw        string `json:"raw"`       // sent as it stands, instead of all of the above
	DelayMS    int    `json:"delay_ms"`  // before the first byte
}

// A TurnCall is a tool call of a Turn. An empty ID gets one; "none" leaves it out.
type TurnCall struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Args string `json:"args"`
}

// A Seen is a request that a Server got.
type Seen struct {
	Body    []byte
	Header  http.Header
	Arrived time.Time // when the whole request had been read
	Sent    time.Time // when the last byte of the answer had been written
}

// A Server is an endpoint for chat completions on loopback. It answers with
// the turns of its script in order.
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
// number n, from 0. False means that the script has ended.
func NewServerFunc(script func(n int) (Turn, bool)) *Server {
	s := &Server{script: script}
	s.server = httptest.NewServer(s)
	s.URL = s.server.URL + "/v1"
	return s
}

// ReadScript reads a script in JSON.
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
	return append([]Seen(nil), s.seen...)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/chat/completions" {
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
	turn, ok := s.script(n)
	if !ok {
		turn = Turn{Status: http.StatusTeapot, Body: fmt.Sprintf(`{"error":{"message":"the script has no turn %d"}}`, n+1)}
	}
	time.Sleep(time.Duration(turn.DelayMS) * time.Millisecond)
	a := answer{w: w, r: r, turn: turn, n: n}
	a.send()
	s.mu.Lock()
	s.seen[n].Sent = time.Now()
	s.mu.Unlock()
}

// An answer writes one turn on the wire.
type answer struct {
	w      http.ResponseWriter
	r      *http.Request
	turn   Turn
	n      int
	chunks int
}

func (a *answer) send() {
	t := a.turn
	switch {
	case t.Raw != "":
		a.w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(a.w, t.Raw)
	case t.Status != 0:
		a.refuse()
	case t.Whole:
		a.w.Header().Set("Content-Type", "application/json")
		a.json(map[string]any{
			"choices": []any{map[string]any{"index": 0, "message": a.message(), "finish_reason": a.finish()}},
			"usage":   a.usage(),
		})
	default:
		a.stream()
	}
}

func (a *answer) refuse() {
	if a.turn.RetryAfter != "" {
		a.w.Header().Set("Retry-After", a.turn.RetryAfter)
	}
	a.w.Header().Set("Content-Type", "application/json")
	a.w.WriteHeader(a.turn.Status)
	body := a.turn.Body
	if body == "" {
		body = fmt.Sprintf(`{"error":{"message":"scripted %d"}}`, a.turn.Status)
	}
	fmt.Fprint(a.w, body)
}

func (a *answer) stream() {
	a.w.Header().Set("Content-Type", "text/event-stream")
	if a.turn.Reasoning != "" {
		a.delta(map[string]any{"reasoning_content": a.turn.Reasoning})
	}
	size := a.turn.Chunk
	if size == 0 {
		size = max(len(a.turn.Text), 1)
	}
	for text := a.turn.Text; text != ""; {
		n := min(size, len(text))
		a.delta(map[string]any{"content": text[:n]})
		text = text[n:]
	}
	for i, c := range a.turn.Calls {
		a.call(i, c)
	}
	if f := a.finish(); f != "" {
		a.event(map[string]any{"choices": []any{map[string]any{"index": 0, "delta": map[string]any{}, "finish_reason": f}}})
	}
	if !a.turn.NoUsage {
		a.event(map[string]any{"choices": []any{}, "usage": a.usage()})
	}
	if !a.turn.NoDone {
		fmt.Fprint(a.w, "data: [DONE]\n\n")
	}
}

// call sends a tool call: its name, then its arguments in pieces.
func (a *answer) call(i int, c TurnCall) {
	size := a.turn.ArgBytes
	if size == 0 {
		size = max(len(c.Args), 1)
	}
	first := true
	for args := c.Args; first || args != ""; {
		n := min(size, len(args))
		piece := map[string]any{"function": map[string]any{"arguments": args[:n]}}
		if !a.turn.NoIndex {
			piece["index"] = i
		}
		if first {
			piece["function"].(map[string]any)["name"] = c.Name
			piece["type"] = "function"
			if id := a.id(i, c); id != "" {
				piece["id"] = id
			}
		}
		a.delta(map[string]any{"tool_calls": []any{piece}})
		args, first = args[n:], false
	}
}

func (a *answer) id(i int, c TurnCall) string {
	switch c.ID {
	case "":
		return fmt.Sprintf("call_%d_%d", a.n, i)
	case "none":
		return ""
	}
	return c.ID
}

func (a *answer) delta(d map[string]any) {
	a.event(map[string]any{"choices": []any{map[string]any{"index": 0, "delta": d}}})
}

func (a *answer) event(v any) {
	if a.turn.CutAfter > 0 && a.chunks >= a.turn.CutAfter {
		a.breakOff()
	}
	if a.turn.StallAfter > 0 && a.chunks >= a.turn.StallAfter {
		<-a.r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	a.chunks++
	fmt.Fprint(a.w, "data: ")
	a.json(v)
	fmt.Fprint(a.w, "\n")
	if a.turn.Chunk == 0 || a.chunks%64 == 0 || a.turn.CutAfter > 0 || a.turn.StallAfter > 0 {
		a.flush()
	}
}

// breakOff resets the connection, so that the client sees no orderly end.
func (a *answer) breakOff() {
	a.flush()
	if conn, _, err := http.NewResponseController(a.w).Hijack(); err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
	panic(http.ErrAbortHandler)
}

func (a *answer) flush() { _ = http.NewResponseController(a.w).Flush() }

func (a *answer) json(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	_, _ = a.w.Write(append(text, '\n'))
}

func (a *answer) finish() string {
	switch {
	case a.turn.Finish == "none":
		return ""
	case a.turn.Finish != "":
		return a.turn.Finish
	case len(a.turn.Calls) > 0:
		return "tool_calls"
	}
	return "stop"
}

func (a *answer) usage() map[string]any {
	return map[string]any{"prompt_tokens": 100, "completion_tokens": 1 + len(a.turn.Text)/4, "total_tokens": 101 + len(a.turn.Text)/4}
}

func (a *answer) message() map[string]any {
	m := map[string]any{"role": "assistant", "content": a.turn.Text}
	var calls []any
	for i, c := range a.turn.Calls {
		calls = append(calls, map[string]any{"id": a.id(i, c), "type": "function", "function": map[string]any{"name": c.Name, "arguments": c.Args}})
	}
	if calls != nil {
		m["tool_calls"] = calls
	}
	return m
}
