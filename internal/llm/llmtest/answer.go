package llmtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// A Turn is one scripted answer of a Server. The zero Turn is an empty reply.
// The names in JSON are those of a script.
type Turn struct {
	Text      string     `json:"text"`
	Repeat    int        `json:"repeat"` // the text so many times
	Reasoning string     `json:"reasoning"`
	Calls     []TurnCall `json:"calls"`
	Finish    string     `json:"finish"` // finish_reason; "none" leaves it out

	Status     int    `json:"status"` // an error instead of an answer
	Body       string `json:"body"`   // of the error
	RetryAfter string `json:"retry_after"`

	Chunk      int    `json:"chunk"`       // bytes of text in a chunk, about; 0 for all in one
	Write      int    `json:"write"`       // bytes in a write to the network: cuts lines and characters in two
	CutAfter   int    `json:"cut_after"`   // the connection breaks after so many chunks
	EndAfter   int    `json:"end_after"`   // the answer ends in good order after so many chunks
	StallAfter int    `json:"stall_after"` // the answer stops for ever after so many chunks
	Ping       bool   `json:"ping"`        // a stalled answer shows signs of life
	ErrorAfter int    `json:"error_after"` // an error takes the place of the chunk after so many
	Hang       bool   `json:"hang"`        // nothing is ever sent
	Whole      bool   `json:"whole"`       // one JSON object, not a stream
	NoUsage    bool   `json:"no_usage"`
	Usage      *Count `json:"usage"` // in place of true counts
	NoDone     bool   `json:"no_done"`
	NoIndex    bool   `json:"no_index"`  // tool calls without index
	ArgBytes   int    `json:"arg_bytes"` // bytes of arguments in a chunk; 0 for all in one
	Raw        string `json:"raw"`       // sent as it stands, instead of all of the above
	DelayMS    int    `json:"delay_ms"`  // before the first byte
	PaceMS     int    `json:"pace_ms"`   // before each chunk, which is then sent at once
	Signature  string `json:"signature"` // of the reasoning, on the Messages wire
	Lax        bool   `json:"lax"`       // the request is not checked
}

// A Count is what a Turn says that it took, in tokens: in is all of the
// request, cached and written are parts of it.
type Count struct {
	In      int `json:"in"`
	Out     int `json:"out"`
	Cached  int `json:"cached"`
	Written int `json:"written"`
}

// A TurnCall is a tool call of a Turn. An empty ID gets one; "none" leaves it out.
type TurnCall struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Args string `json:"args"`
}

func (t Turn) text() string { return strings.Repeat(t.Text, max(t.Repeat, 1)) }

// An answer writes one turn on the wire.
type answer struct {
	w      http.ResponseWriter
	ctx    context.Context //nolint:containedctx // of the request that is answered
	turn   Turn
	n      int
	chunks int
	over   bool // nothing more is sent
	wire   wire
	wrote  func(time.Time) // told of each chunk of a paced turn; nil for others
}

func (a *answer) send() {
	t := a.turn
	switch {
	case t.Hang:
		a.stall()
	case t.Raw != "":
		a.w.Header().Set("Content-Type", "text/event-stream")
		a.write([]byte(t.Raw))
	case t.Status != 0:
		a.refuse()
	case a.wire == messagesWire:
		a.messages()
	case t.Whole:
		a.w.Header().Set("Content-Type", "application/json")
		whole := map[string]any{
			"choices": []any{map[string]any{"index": 0, "message": a.message(), "finish_reason": a.finish()}},
		}
		if !t.NoUsage {
			whole["usage"] = a.usage()
		}
		a.write(encode(whole))
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
		body = fmt.Sprintf(`{"type":"error","error":{"message":"scripted %d"}}`, a.turn.Status)
	}
	a.write([]byte(body))
}

func (a *answer) stream() {
	a.w.Header().Set("Content-Type", "text/event-stream")
	for piece := range pieces(a.turn.Reasoning, a.turn.Chunk) {
		a.delta(map[string]any{"reasoning_content": piece})
	}
	for piece := range pieces(a.turn.text(), a.turn.Chunk) {
		a.delta(map[string]any{"content": piece})
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
		a.write([]byte("data: [DONE]\n\n"))
	}
}

// pieces yields the text in pieces of about size bytes that cut no character.
func pieces(text string, size int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for text != "" {
			n := len(text)
			if size > 0 {
				for n = min(size, n); n < len(text) && !utf8.RuneStart(text[n]); n++ {
				}
			}
			if !yield(text[:n]) {
				return
			}
			text = text[n:]
		}
	}
}

// call sends a tool call: its name, then its arguments in pieces.
func (a *answer) call(i int, c TurnCall) {
	first := true
	for args := range pieces(c.Args, a.turn.ArgBytes) {
		a.callPiece(i, c, args, first)
		first = false
	}
	if first {
		a.callPiece(i, c, "", true)
	}
}

func (a *answer) callPiece(i int, c TurnCall, args string, first bool) {
	function := map[string]any{"arguments": args}
	piece := map[string]any{"function": function}
	if !a.turn.NoIndex {
		piece["index"] = i
	}
	if first {
		function["name"] = c.Name
		piece["type"] = "function"
		if id := a.id(i, c); id != "" {
			piece["id"] = id
		}
	}
	a.delta(map[string]any{"tool_calls": []any{piece}})
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
	t := a.turn
	after := func(n int) bool { return n > 0 && a.chunks >= n }
	switch {
	case after(t.CutAfter):
		a.breakOff()
	case after(t.EndAfter):
		a.over = true
	case after(t.StallAfter):
		a.stall()
	case t.ErrorAfter > 0 && a.chunks == t.ErrorAfter:
		v = map[string]any{"type": "error", "error": map[string]any{"message": "scripted error in the stream", "type": "server_error"}}
	}
	if t.PaceMS > 0 && !pause(a.ctx, time.Duration(t.PaceMS)*time.Millisecond) {
		return
	}
	a.chunks++
	if a.wrote != nil {
		a.wrote(time.Now())
	}
	line := append([]byte("data: "), encode(v)...)
	if a.wire == messagesWire {
		name, _ := v.(map[string]any)["type"].(string)
		line = append([]byte("event: "+name+"\n"), line...)
	}
	a.write(append(line, "\n\n"...))
	if t.Chunk == 0 || a.chunks%64 == 0 || t.CutAfter+t.StallAfter+t.PaceMS > 0 {
		a.flush()
	}
}

// write sends the bytes, in the writes that the turn wants.
func (a *answer) write(text []byte) {
	if a.over {
		return
	}
	size := a.turn.Write
	for size > 0 && len(text) > size {
		_, _ = a.w.Write(text[:size])
		a.flush()
		text = text[size:]
	}
	_, _ = a.w.Write(text)
}

// stall keeps the client waiting until it, or the server, gives up.
func (a *answer) stall() {
	a.flush()
	for a.turn.Ping && pause(a.ctx, 20*time.Millisecond) {
		ping := ": keep-alive\n\n"
		if a.wire == messagesWire {
			ping = "event: ping\ndata: {\"type\": \"ping\"}\n\n"
		}
		_, _ = io.WriteString(a.w, ping)
		a.flush()
	}
	<-a.ctx.Done()
	panic(http.ErrAbortHandler)
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

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
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
	out := 1 + len(a.turn.text())/4
	if c := a.turn.Usage; c != nil {
		return map[string]any{
			"prompt_tokens": c.In, "completion_tokens": c.Out, "total_tokens": c.In + c.Out,
			"prompt_tokens_details": map[string]any{"cached_tokens": c.Cached, "cache_write_tokens": c.Written},
		}
	}
	return map[string]any{"prompt_tokens": 100, "completion_tokens": out, "total_tokens": 100 + out}
}

func (a *answer) message() map[string]any {
	m := map[string]any{"role": "assistant", "content": a.turn.text()}
	if a.turn.Reasoning != "" {
		m["reasoning_content"] = a.turn.Reasoning
	}
	var calls []any
	for i, c := range a.turn.Calls {
		calls = append(calls, map[string]any{"id": a.id(i, c), "type": "function", "function": map[string]any{"name": c.Name, "arguments": c.Args}})
	}
	if calls != nil {
		m["tool_calls"] = calls
	}
	return m
}
