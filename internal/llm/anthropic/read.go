package anthropic

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/wire"
)

var errStopped = errors.New("the caller stopped ranging")

// A reader turns one answer into chunks.
type reader struct {
	promptBytes int
	alive       func() // is told of every event that is not a ping
	yield       func(llm.Chunk, error) bool

	open     map[int]*content // blocks that have begun
	stop     string
	usage    wireUsage
	outBytes int
	calls    []llm.ToolCall
	done     bool // message_stop came
}

// content is a block that is being put together.
type content struct {
	kind, id, name  string
	args, signature strings.Builder
	input           string // arguments that came whole with the start
}

// wireEvent is an event of the stream; all kinds side by side.
type wireEvent struct {
	Type    string `json:"type"`
	Index   int    `json:"index"`
	Message struct {
		Usage wireUsage `json:"usage"`
	} `json:"message"`
	Block struct {
		Type     string          `json:"type"`
		ID       string          `json:"id"`
		Name     string          `json:"name"`
		Input    json.RawMessage `json:"input"`
		Text     string          `json:"text"`
		Thinking string          `json:"thinking"`
		Data     string          `json:"data"`
	} `json:"content_block"`
	Delta struct {
		Type       string `json:"type"`
		Text       string `json:"text"`
		Thinking   string `json:"thinking"`
		Signature  string `json:"signature"`
		JSON       string `json:"partial_json"`
		StopReason string `json:"stop_reason"`
	} `json:"delta"`
	Usage wireUsage `json:"usage"`
}

// wireUsage counts tokens; later events repeat and complete the first.
type wireUsage struct {
	Input         float64 `json:"input_tokens"`
	CacheCreation float64 `json:"cache_creation_input_tokens"`
	CacheRead     float64 `json:"cache_read_input_tokens"`
	Output        float64 `json:"output_tokens"`
}

func (u *wireUsage) update(v wireUsage) {
	for _, f := range []struct {
		to   *float64
		from float64
	}{{&u.Input, v.Input}, {&u.CacheCreation, v.CacheCreation}, {&u.CacheRead, v.CacheRead}, {&u.Output, v.Output}} {
		if f.from != 0 {
			*f.to = f.from
		}
	}
}

// read reads the stream to its end. Without message_stop, the end is a cut.
func (r *reader) read(res *http.Response) error {
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind == "text/html" {
		return &llm.StatusError{Status: http.StatusOK, Message: "it is a web page, not a reply: is the address that of the API?"}
	}
	r.open = make(map[int]*content)
	for event, err := range wire.Events(bufio.NewReader(res.Body)) {
		if err != nil {
			return err
		}
		if err := r.event(event); err != nil {
			return err
		}
		if r.done {
			break
		}
	}
	if !r.done {
		return &llm.TransportError{Err: errors.New("the reply was cut in the middle")}
	}
	if err := r.sendCalls(); err != nil {
		return err
	}
	return r.send(llm.Chunk{End: &llm.End{Reason: r.reason(), Usage: r.total()}})
}

func (r *reader) send(c llm.Chunk) error {
	if !r.yield(c, nil) {
		return errStopped
	}
	return nil
}

func (r *reader) event(raw wire.Event) error {
	if raw.Name == "error" {
		return inStream(raw.Data)
	}
	var ev wireEvent
	if err := json.Unmarshal(raw.Data, &ev); err != nil {
		return &llm.TransportError{Err: fmt.Errorf("read reply: %w in %.200q", err, raw.Data)}
	}
	if ev.Type != "ping" {
		r.alive()
	}
	switch ev.Type {
	case "message_start":
		r.usage.update(ev.Message.Usage)
	case "content_block_start":
		return r.begin(ev)
	case "content_block_delta":
		return r.delta(ev)
	case "content_block_stop":
		return r.end(ev.Index)
	case "message_delta":
		r.usage.update(ev.Usage)
		if ev.Delta.StopReason != "" {
			r.stop = ev.Delta.StopReason
		}
	case "message_stop":
		r.done = true
		return r.endAll()
	case "error":
		return inStream(raw.Data)
	}
	return nil // pings, and what is yet to come
}

func (r *reader) begin(ev wireEvent) error {
	if err := r.end(ev.Index); err != nil { // one that the server forgot to close
		return err
	}
	b := &content{kind: ev.Block.Type, id: ev.Block.ID, name: ev.Block.Name}
	if len(ev.Block.Input) > 0 && string(ev.Block.Input) != "null" {
		b.input = string(ev.Block.Input)
	}
	r.open[ev.Index] = b
	if ev.Block.Type == "redacted_thinking" {
		return r.send(llm.Chunk{Proof: &llm.Proof{Kind: redacted, Data: ev.Block.Data}})
	}
	return r.text(ev.Block.Text, ev.Block.Thinking)
}

func (r *reader) delta(ev wireEvent) error {
	b := r.open[ev.Index]
	if b == nil { // no start: some servers leave it out for text
		b = &content{kind: "text"}
		r.open[ev.Index] = b
	}
	b.args.WriteString(ev.Delta.JSON)
	b.signature.WriteString(ev.Delta.Signature)
	r.outBytes += len(ev.Delta.JSON)
	return r.text(ev.Delta.Text, ev.Delta.Thinking)
}

func (r *reader) text(text, thinking string) error {
	r.outBytes += len(text) + len(thinking)
	if thinking != "" {
		if err := r.send(llm.Chunk{Reasoning: thinking}); err != nil {
			return err
		}
	}
	if text != "" {
		return r.send(llm.Chunk{Text: text})
	}
	return nil
}

// end closes a block: a call is whole, thinking has its signature.
func (r *reader) end(index int) error {
	b := r.open[index]
	if b == nil {
		return nil
	}
	delete(r.open, index)
	switch {
	case b.kind == "tool_use":
		args := b.args.String()
		if strings.TrimSpace(args) == "" {
			args = b.input
		}
		r.calls = append(r.calls, llm.ToolCall{ID: b.id, Name: b.name, Args: args})
	case b.kind == "thinking" && b.signature.Len() > 0:
		return r.send(llm.Chunk{Proof: &llm.Proof{Kind: signature, Data: b.signature.String()}})
	}
	return nil
}

// endAll closes what the stream left open, in order: the output limit cuts
// calls in half.
func (r *reader) endAll() error {
	for _, index := range slices.Sorted(maps.Keys(r.open)) {
		if err := r.end(index); err != nil {
			return err
		}
	}
	return nil
}

// sendCalls sends the calls, last of all. Of a reply that was cut off, the last
// may lack its arguments: it stays without.
func (r *reader) sendCalls() error {
	for i, c := range r.calls {
		whole := r.reason() != llm.EndLength || i < len(r.calls)-1
		if args := strings.TrimSpace(c.Args); whole && args == "" {
			c.Args = "{}"
		} else if !whole && args == "{}" {
			c.Args = "" // what the API puts there before the first piece
		}
		if err := r.send(llm.Chunk{Call: &c}); err != nil {
			return err
		}
	}
	return nil
}

// reason is why the reply ended, in llm's words where there is one.
func (r *reader) reason() string {
	switch {
	case r.stop == "max_tokens", r.stop == "model_context_window_exceeded", r.stop == "pause_turn":
		return llm.EndLength
	case len(r.calls) > 0: // whatever the server says
		return llm.EndCalls
	case r.stop == "end_turn", r.stop == "stop_sequence", r.stop == "tool_use", r.stop == "":
		return llm.EndStop
	}
	return r.stop
}

// maxTokens is more than any model reads or writes at once.
const maxTokens = 10_000_000

// total is the usage. The provider counts cached tokens apart; llm.Usage
// counts them in. Without a count it is an estimate.
func (r *reader) total() llm.Usage {
	u := r.usage
	input := u.Input + u.CacheRead + u.CacheCreation
	if input <= 0 || u.Output < 0 || input > maxTokens || u.Output > maxTokens {
		return llm.Usage{Input: r.promptBytes / 4, Output: r.outBytes/4 + 1, Estimated: true}
	}
	return llm.Usage{Input: int(input), Output: int(u.Output), CacheRead: int(u.CacheRead), CacheWrite: int(u.CacheCreation)}
}

// maxRefusal is how much of an error's body is read.
const maxRefusal = 64 << 10

// refusal is the error of an answer that is not 200.
func (c *Client) refusal(res *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
	e := parseError(wire.Hide(body, c.key()))
	if e.Message == "" {
		e.Message = http.StatusText(res.StatusCode)
		if err != nil {
			e.Message += ", and its reason was cut off"
		}
	}
	e.Status = res.StatusCode
	e.RetryAfter = wire.RetryAfter(res.Header, time.Now())
	return judge(e)
}

// inStream is an error that came as an event of an answer that had begun.
func inStream(data []byte) error {
	e := parseError(data)
	e.Status = map[string]int{
		"invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
		"not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "overloaded_error": 529,
	}[e.Code]
	if e.Status == 0 {
		e.Status = http.StatusBadGateway
	}
	return judge(e)
}

// judge gives refusals that callers act on their codes. The API has none of
// its own for an overflow and for spent credit, only words.
func judge(e *llm.StatusError) *llm.StatusError {
	text := strings.ToLower(e.Message)
	refused := e.Status == http.StatusBadRequest || e.Status == http.StatusRequestEntityTooLarge || e.Status == http.StatusForbidden
	switch {
	case e.Status == http.StatusRequestEntityTooLarge,
		refused && (strings.Contains(text, "prompt is too long") || strings.Contains(text, "context limit") || strings.Contains(text, "context window")):
		e.Code = "context_length_exceeded"
	case refused && strings.Contains(text, "credit balance is too low"):
		e.Code = "billing_error"
	}
	return e
}

var pageTitle = lazyregexp.New(`(?is)<(title|h1)[^>]*>(.*?)</`)

// parseError reads {"type":"error","error":{"type","message"}}, and what
// proxies send instead.
func parseError(body []byte) *llm.StatusError {
	var shape struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
	}
	e := &llm.StatusError{}
	if json.Unmarshal(body, &shape) != nil {
		e.Message = string(body)
		if m := pageTitle.FindSubmatch(body); m != nil {
			e.Message = string(m[2])
		}
		e.Message = wire.Clip(e.Message)
		return e
	}
	var inner struct {
		Type    string `json:"type"`
		Code    any    `json:"code"` // of proxies
		Message string `json:"message"`
	}
	if json.Unmarshal(shape.Error, &inner) == nil {
		e.Code, e.Message = inner.Type, inner.Message
		if code, ok := inner.Code.(string); ok && code != "" {
			e.Code = code
		}
	} else if text, err := strconv.Unquote(string(shape.Error)); err == nil {
		e.Message = text
	}
	if e.Message == "" {
		e.Message = shape.Message
	}
	e.Message = wire.Clip(e.Message)
	return e
}
