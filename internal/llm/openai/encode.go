package openai

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/wire"
)

// A body is a request as JSON, the messages last, so that a request is the
// beginning of the one after it, which is what prompt caches want. Its bytes are
// shared with the cache, which only ever adds to them.
type body struct {
	parts [][]byte
	size  int
}

func (b body) reader() io.ReadCloser {
	readers := make([]io.Reader, len(b.parts))
	for i, p := range b.parts {
		readers[i] = bytes.NewReader(p)
	}
	return io.NopCloser(io.MultiReader(readers...))
}

func (c *Client) body(req llm.Request) (body, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	options, err := wire.JSON(c.options(req))
	if err != nil {
		return body{}, err
	}
	if err := c.cache.update(c, req, options); err != nil {
		return body{}, err
	}
	b := body{parts: [][]byte{c.cache.head, bytes.TrimPrefix(c.cache.bytes, []byte(",")), []byte("]}")}}
	for _, p := range b.parts {
		b.size += len(p)
	}
	return b, nil
}

// options are what may differ from request to request. They stand before the
// messages all the same: they change when money or window run short, and hardly
// ever else.
func (c *Client) options(req llm.Request) map[string]any {
	options := make(map[string]any)
	if req.MaxOutput > 0 && !c.known.without["max_tokens"] {
		name := "max_tokens"
		if c.Dialect.NewLimitName != c.known.otherLimit {
			name = "max_completion_tokens"
		}
		options[name] = c.limit(req)
	}
	if level := c.level(req.Effort); level != "" {
		if c.Dialect.EffortInObject {
			options["reasoning"] = map[string]string{"effort": level}
		} else {
			options["reasoning_effort"] = level
		}
	}
	if c.Dialect.CacheKey && !c.known.without["prompt_cache_key"] { // the same for all sessions of one system prompt
		options["prompt_cache_key"] = fmt.Sprintf("ml-intern-%x", sha256.Sum256([]byte(req.System)))[:26]
	}
	if c.Dialect.CacheControl && !c.known.without["cache_control"] {
		options["cache_control"] = ephemeral()
	}
	return options
}

func ephemeral() map[string]string { return map[string]string{"type": "ephemeral"} }

// encoded keeps the bytes of the latest request, so that a step costs only
// what is new. What is old is found by value, so the cache is right whatever
// callers do to their slices; it is cheap because strings that share memory,
// as those of a growing transcript do, are equal at a glance.
type encoded struct {
	model string
	mends int // that the server had needed when the bytes were made
	tools []llm.ToolSpec
	head  []byte // up to the bracket before the messages

	options []byte // that are in head, in JSON

	system   string
	messages []llm.Message // copies
	ends     []int         // where each message's bytes end
	start    int           // where the system message's bytes end
	bytes    []byte        // of each message, with a comma before it

	buffer  bytes.Buffer // of the message that is being encoded
	encoder *json.Encoder
}

func (e *encoded) update(c *Client, req llm.Request, options []byte) error {
	if e.head == nil || e.model != c.Model || e.mends != c.known.mends || !slices.EqualFunc(e.tools, req.Tools, sameTool) {
		*e = encoded{mends: c.known.mends}
	}
	if e.head == nil || !bytes.Equal(e.options, options) {
		if err := e.begin(c, req.Tools, options); err != nil {
			return err
		}
	}
	if e.system != req.System {
		e.truncate(0)
		e.system, e.bytes, e.start = "", nil, 0
		if req.System != "" {
			if err := e.add(c.system(req.System)); err != nil {
				return err
			}
		}
		e.system, e.start = req.System, len(e.bytes)
	}
	keep := 0
	for keep < min(len(req.Messages), len(e.messages)) && wire.Equal(req.Messages[keep], e.messages[keep]) {
		keep++
	}
	if keep < len(e.messages) {
		e.truncate(keep)
	}
	pieces := c.encode(req.Messages, keep)
	for _, p := range pieces {
		if p.err != nil {
			return p.err
		}
	}
	e.bytes = slices.Grow(e.bytes, size(pieces))
	for _, p := range pieces {
		for _, end := range p.ends {
			e.ends = append(e.ends, len(e.bytes)+end)
		}
		e.bytes = append(e.bytes, p.bytes...)
	}
	for _, m := range req.Messages[keep:] {
		e.messages = append(e.messages, wire.Clone(m))
	}
	return nil
}

func (e *encoded) begin(c *Client, tools []llm.ToolSpec, options []byte) error {
	v := struct {
		Model         string     `json:"model"`
		Stream        bool       `json:"stream"`
		StreamOptions any        `json:"stream_options,omitempty"`
		Tools         []wireTool `json:"tools,omitempty"`
	}{Model: c.Model, Stream: true, Tools: wireTools(tools)}
	if !c.known.without["stream_options"] {
		v.StreamOptions = map[string]bool{"include_usage": true}
	}
	if n := len(v.Tools); n > 0 && c.Dialect.CacheControl && !c.known.without["cache_control"] {
		v.Tools[n-1].Cache = ephemeral()
	}
	head, err := wire.JSON(v)
	if err != nil {
		return err
	}
	e.model, e.tools, e.options = c.Model, cloneTools(tools), options
	head = bytes.TrimSuffix(head, []byte("}"))
	if len(options) > 2 { // more than {}
		head = append(append(head, ','), options[1:len(options)-1]...)
	}
	e.head = append(head, `,"messages":[`...)
	return nil
}

func (e *encoded) add(messages ...wireMessage) error {
	if e.encoder == nil {
		e.encoder = json.NewEncoder(&e.buffer)
		e.encoder.SetEscapeHTML(false)
	}
	for _, m := range messages {
		e.buffer.Reset()
		if err := e.encoder.Encode(m); err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		e.bytes = append(append(e.bytes, ','), bytes.TrimSuffix(e.buffer.Bytes(), []byte("\n"))...)
	}
	return nil
}

// A piece is some messages in JSON, with a comma before each, and where each ends.
type piece struct {
	bytes []byte
	ends  []int
	err   error
}

func size(pieces []piece) (n int) {
	for _, p := range pieces {
		n += len(p.bytes)
	}
	return n
}

// worthIt is how many messages are encoded on several cores: when a long session
// is resumed, not at a step.
const worthIt = 512

// encode encodes the messages from one on.
func (c *Client) encode(all []llm.Message, from int) []piece {
	pieces := make([]piece, 1)
	if len(all)-from >= worthIt {
		pieces = make([]piece, runtime.GOMAXPROCS(0))
	}
	var wg sync.WaitGroup
	part := (len(all) - from + len(pieces) - 1) / len(pieces)
	for i := range pieces[1:] {
		wg.Go(func() { pieces[i+1] = c.piece(all, from+(i+1)*part, min(from+(i+2)*part, len(all))) })
	}
	pieces[0] = c.piece(all, from, min(from+part, len(all)))
	wg.Wait()
	return pieces
}

// room is about how many bytes a message takes.
func room(m llm.Message) int {
	n := 0
	for _, p := range m.Parts {
		n += len(p.Text)
		if p.Call != nil {
			n += 128 + len(p.Call.Args)
		}
		if p.Result != nil {
			n += len(p.Result.Text)
		}
	}
	return n + n/16 + 64 // for what is escaped, and the frame
}

// piece encodes the messages from one to before another.
func (c *Client) piece(all []llm.Message, from, to int) (p piece) {
	space := 0
	for i := from; i < to; i++ {
		space += room(all[i])
	}
	e := encoded{bytes: make([]byte, 0, space)}
	for i := from; i < to; i++ {
		messages := c.wire(all[i])
		if all[i].Role == llm.Tool && (i+1 == len(all) || all[i+1].Role != llm.Tool) {
			messages = append(messages, c.pictures(all[:i+1])...)
		}
		if err := e.add(messages...); err != nil {
			return piece{err: err}
		}
		p.ends = append(p.ends, len(e.bytes))
	}
	p.bytes = e.bytes
	return p
}

// truncate keeps the first n messages.
func (e *encoded) truncate(n int) {
	end := e.start
	if n > 0 {
		end = e.ends[n-1]
	}
	// The bytes may be on their way to the server: new ones need new memory.
	e.bytes, e.ends, e.messages = e.bytes[:end:end], e.ends[:n:n], e.messages[:n:n]
}

func sameTool(a, b llm.ToolSpec) bool {
	return a.Name == b.Name && a.Description == b.Description && bytes.Equal(a.Schema, b.Schema)
}

func cloneTools(tools []llm.ToolSpec) []llm.ToolSpec {
	tools = slices.Clone(tools)
	for i := range tools {
		tools[i].Schema = bytes.Clone(tools[i].Schema)
	}
	return tools
}

type wireTool struct {
	Type     string       `json:"type"`
	Function wireFunction `json:"function"`
	Cache    any          `json:"cache_control,omitempty"`
}

type wireFunction struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
}

func wireTools(specs []llm.ToolSpec) []wireTool {
	tools := make([]wireTool, len(specs))
	for i, s := range specs {
		tools[i] = wireTool{Type: "function", Function: wireFunction{s.Name, s.Description, s.Schema}}
	}
	return tools
}

type wireMessage struct {
	Role       string          `json:"role"`
	Content    any             `json:"content"` // text, a list of parts, or null
	Reasoning  string          `json:"reasoning_content,omitempty"`
	Details    json.RawMessage `json:"reasoning_details,omitempty"`
	ToolCalls  []wireCall      `json:"tool_calls,omitempty"`
	ToolCallID string          `json:"tool_call_id,omitempty"`
}

type wirePart struct {
	Type  string    `json:"type"`
	Text  string    `json:"text,omitempty"`
	Image *wireLink `json:"image_url,omitempty"`
	Cache any       `json:"cache_control,omitempty"`
}

type wireLink struct {
	URL string `json:"url"`
}

type wireCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function wireCallFunc `json:"function"`
}

type wireCallFunc struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// system is the system message.
func (c *Client) system(text string) wireMessage {
	if c.Dialect.CacheControl && !c.known.without["cache_control"] {
		return wireMessage{Role: "system", Content: []wirePart{{Type: "text", Text: text, Cache: ephemeral()}}}
	}
	return wireMessage{Role: "system", Content: text}
}

// details is the kind of proof of this wire: reasoning_details as they came.
const details = "openrouter.details"

// wire is a message in the wire's form: none if it says nothing, and several
// for several results. Reasoning is sent back beside calls, where models need
// it to go on, and nowhere else. That depends on the message alone: to drop it
// later would change the bytes before the last message.
func (c *Client) wire(m llm.Message) []wireMessage {
	text := m.Text()
	out := wireMessage{Role: string(m.Role), Content: text}
	var results []wireMessage
	pictured := false
	for _, p := range m.Parts {
		switch {
		case p.Call != nil:
			out.ToolCalls = append(out.ToolCalls, wireCall{p.Call.ID, "function", wireCallFunc{p.Call.Name, wire.ObjectArgs(p.Call.Args)}})
		case p.Result != nil:
			results = append(results, wireMessage{Role: "tool", Content: p.Result.Text, ToolCallID: p.Result.CallID})
		case p.Image != nil:
			pictured = true
		}
		if p.Proof != nil && p.Proof.Kind == details && !c.known.without["reasoning"] {
			out.Details = json.RawMessage(p.Proof.Data)
		}
		if !c.known.without["reasoning"] {
			out.Reasoning += p.Reasoning
		}
	}
	if out.Details != nil {
		out.Reasoning = "" // they say the same
	}
	switch {
	case m.Role == llm.Tool:
		return results
	case pictured:
		out.Content = c.withImages(m.Parts)
	case len(out.ToolCalls) > 0 && text == "":
		out.Content = nil // null beside calls, as the reference server writes it
	case len(out.ToolCalls) == 0 && text == "":
		return nil // only reasoning, or nothing: servers refuse an empty message
	}
	if len(out.ToolCalls) == 0 {
		out.Reasoning, out.Details = "", nil
	}
	return []wireMessage{out}
}

// withImages is content of texts and pictures, in their order; a text if the
// model sees none of them, since servers of such models may take no list.
func (c *Client) withImages(parts []llm.Part) any {
	var content []wirePart
	var words []string
	for _, p := range parts {
		text := p.Text
		switch i := p.Image; {
		case i != nil && (!c.Images || c.known.blind || i.Data == nil):
			text = i.Unseen()
		case i != nil:
			url := "data:" + i.MediaType + ";base64," + base64.StdEncoding.EncodeToString(i.Data)
			content = append(content, wirePart{Type: "image_url", Image: &wireLink{url}})
			continue
		}
		if text != "" {
			content, words = append(content, wirePart{Type: "text", Text: text}), append(words, text)
		}
	}
	if len(content) == len(words) {
		return strings.Join(words, "\n")
	}
	return content
}

// pictures is what the results that end the messages show. Results take text
// only, so a message of the person's role follows the last of them.
func (c *Client) pictures(messages []llm.Message) []wireMessage {
	var images []llm.Part
	for _, m := range slices.Backward(messages) {
		if m.Role != llm.Tool {
			break
		}
		for _, p := range slices.Backward(m.Parts) {
			if p.Result != nil && p.Result.Image != nil {
				images = append(images, llm.Part{Image: p.Result.Image})
			}
		}
	}
	if len(images) == 0 {
		return nil
	}
	images = append(images, llm.Part{Text: "The pictures that the tools showed:"})
	slices.Reverse(images)
	return []wireMessage{{Role: "user", Content: c.withImages(images)}}
}
