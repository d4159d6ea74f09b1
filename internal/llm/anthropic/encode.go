package anthropic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/wire"
)

// The kinds of proofs of this wire.
const (
	signature = "anthropic.signature" // of the thinking beside it
	redacted  = "anthropic.redacted"  // thinking that the provider hides
)

// A block is one piece of a message's content; all kinds side by side.
type block struct {
	Type      string          `json:"type"`
	Text      string          `json:"text,omitempty"`
	Source    *source         `json:"source,omitempty"`
	Thinking  *string         `json:"thinking,omitempty"`
	Signature string          `json:"signature,omitempty"`
	Data      string          `json:"data,omitempty"`
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name,omitempty"`
	Input     json.RawMessage `json:"input,omitempty"`
	ToolUseID string          `json:"tool_use_id,omitempty"`
	Content   []block         `json:"content,omitempty"`
	IsError   bool            `json:"is_error,omitempty"`
	Cache     *cacheControl   `json:"cache_control,omitempty"`
}

type source struct {
	Type      string `json:"type"`
	MediaType string `json:"media_type"`
	Data      []byte `json:"data"` // base64 in JSON
}

type cacheControl struct {
	Type string `json:"type"`
}

func ephemeral() *cacheControl { return &cacheControl{"ephemeral"} }

type wireTool struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"input_schema"`
	Cache       *cacheControl   `json:"cache_control,omitempty"`
}

// body is the request as JSON, the messages last, so that a request is the
// beginning of the one after it. Breakpoints of the cache stand on the last tool
// and the system prompt; the one that moves with the transcript is the request's
// own cache_control, so no old message ever changes.
func (c *Client) body(req llm.Request) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	options, err := c.options(req)
	if err != nil {
		return nil, err
	}
	if err := c.cache.update(c, req, options); err != nil {
		return nil, err
	}
	open, err := c.cache.rest(c, req)
	if err != nil {
		return nil, err
	}
	frozen := c.cache.bytes
	body := make([]byte, 0, len(c.cache.head)+len(frozen)+len(open)+2)
	body = append(body, c.cache.head...)
	if len(frozen) > 0 {
		body = append(body, frozen[1:]...) // without the first comma
	} else {
		open = bytes.TrimPrefix(open, []byte(","))
	}
	return append(append(body, open...), "]}"...), nil
}

// options are what may differ from request to request, `,"max_tokens":…`. They
// stand before the messages all the same: they change when money or window run
// short, and hardly ever else.
func (c *Client) options(req llm.Request) ([]byte, error) {
	limit := req.MaxOutput
	if limit == 0 {
		limit = c.MaxOutput
	}
	if limit == 0 {
		limit = 8192 // the API wants a number
	}
	v := struct {
		MaxTokens int           `json:"max_tokens"`
		Thinking  *thinking     `json:"thinking,omitempty"`
		Output    *outputConfig `json:"output_config,omitempty"`
		Cache     *cacheControl `json:"cache_control,omitempty"`
	}{MaxTokens: limit, Cache: ephemeral()}
	v.Thinking, v.Output = c.effort(req, limit)
	text, err := wire.JSON(v)
	if err != nil {
		return nil, err
	}
	text[0] = ','
	return bytes.TrimSuffix(text, []byte("}")), nil
}

// encoded keeps the bytes of the latest request's messages, so that a step
// costs only what is new. The API wants roles to alternate, so neighbours of
// one role are one message there; the last one may still grow and is encoded
// anew each time.
type encoded struct {
	model, system string
	tools         []llm.ToolSpec
	stale         int
	blind         bool
	head          []byte // up to the bracket before the messages
	options       []byte // that are in head

	messages []llm.Message // copies of those in bytes
	ends     []int         // where each one's bytes end; the same for all of a group
	bytes    []byte        // of each group, with a comma before it
}

func (e *encoded) update(c *Client, req llm.Request, options []byte) error {
	same := func(a, b llm.ToolSpec) bool {
		return a.Name == b.Name && a.Description == b.Description && bytes.Equal(a.Schema, b.Schema)
	}
	if e.head == nil || e.model != c.Model || e.system != req.System || e.stale != c.known.stale || e.blind != c.known.blind || !slices.EqualFunc(e.tools, req.Tools, same) {
		*e = encoded{model: c.Model, system: req.System, tools: slices.Clone(req.Tools), stale: c.known.stale, blind: c.known.blind}
	}
	if e.head == nil || !bytes.Equal(e.options, options) {
		head, err := e.begin(options)
		if err != nil {
			return err
		}
		e.head, e.options = head, options
	}
	keep := 0
	for keep < min(len(req.Messages), len(e.messages)) && wire.Equal(req.Messages[keep], e.messages[keep]) {
		keep++
	}
	if keep = e.wholeGroups(c, req.Messages, keep); keep < len(e.messages) {
		end := 0
		if keep > 0 {
			end = e.ends[keep-1]
		}
		// New memory: bytes that were handed out are never written again.
		e.messages, e.ends, e.bytes = e.messages[:keep:keep], e.ends[:keep:keep], e.bytes[:end:end]
	}
	for {
		group := c.nextGroup(req.Messages, len(e.messages))
		if len(e.messages)+len(group) >= len(req.Messages) {
			return nil // it may still grow
		}
		text, err := e.group(c, group, len(e.messages))
		if err != nil {
			return err
		}
		e.bytes = append(e.bytes, text...)
		for _, m := range group {
			e.messages = append(e.messages, wire.Clone(m))
			e.ends = append(e.ends, len(e.bytes))
		}
	}
}

// wholeGroups is how many of the first keep messages make whole groups: the
// last one is not whole if it is cut, or if what comes next joins it.
func (e *encoded) wholeGroups(c *Client, messages []llm.Message, keep int) int {
	if keep == 0 {
		return 0
	}
	cut := keep < len(e.messages) && e.ends[keep-1] == e.ends[keep]
	joined := len(c.nextGroup(messages, keep-1)) > 1 && keep < len(messages)
	if !cut && !joined {
		return keep
	}
	end := e.ends[keep-1]
	for keep > 0 && e.ends[keep-1] == end {
		keep--
	}
	return keep
}

// rest encodes the last group.
func (e *encoded) rest(c *Client, req llm.Request) ([]byte, error) {
	group := c.nextGroup(req.Messages, len(e.messages))
	return e.group(c, group, len(e.messages))
}

// nextGroup is the run of messages from i on that are one on the wire. One
// that says nothing there separates no others.
func (c *Client) nextGroup(messages []llm.Message, i int) []llm.Message {
	end, role := i, ""
	for ; end < len(messages); end++ {
		if len(c.content(messages[end], end)) == 0 {
			continue
		}
		if r := wireRole(messages[end]); role == "" {
			role = r
		} else if r != role {
			break
		}
	}
	return messages[i:end]
}

func wireRole(m llm.Message) string {
	if m.Role == llm.Assistant {
		return "assistant"
	}
	return "user"
}

// content is the blocks of message number n.
func (c *Client) content(m llm.Message, n int) []block {
	var blocks []block
	for _, p := range m.Parts {
		blocks = append(blocks, c.blocks(p, n)...)
	}
	return blocks
}

func (e *encoded) begin(options []byte) ([]byte, error) {
	v := struct {
		Model  string     `json:"model"`
		Stream bool       `json:"stream"`
		Tools  []wireTool `json:"tools,omitempty"`
		System []block    `json:"system,omitempty"`
	}{Model: e.model, Stream: true}
	for _, t := range e.tools {
		schema := t.Schema
		if len(schema) == 0 {
			schema = json.RawMessage(`{"type":"object"}`)
		}
		v.Tools = append(v.Tools, wireTool{Name: t.Name, Description: t.Description, Schema: schema})
	}
	if n := len(v.Tools); n > 0 {
		v.Tools[n-1].Cache = ephemeral()
	}
	if strings.TrimSpace(e.system) != "" {
		v.System = []block{{Type: "text", Text: e.system, Cache: ephemeral()}}
	}
	text, err := wire.JSON(v)
	if err != nil {
		return nil, err
	}
	text = append(bytes.TrimSuffix(text, []byte("}")), options...)
	return append(text, `,"messages":[`...), nil
}

// group is the messages, of which the first is number n, as one on the wire,
// with a comma before it; nothing if they say nothing.
func (e *encoded) group(c *Client, messages []llm.Message, n int) ([]byte, error) {
	var blocks []block
	role := "user"
	for i, m := range messages {
		if content := c.content(m, n+i); len(content) > 0 {
			blocks, role = append(blocks, content...), wireRole(m)
		}
	}
	if len(blocks) == 0 {
		return nil, nil
	}
	if role == "user" { // the API wants results first
		slices.SortStableFunc(blocks, func(a, b block) int { return rank(a) - rank(b) })
	}
	text, err := wire.JSON(struct {
		Role    string  `json:"role"`
		Content []block `json:"content"`
	}{role, blocks})
	if err != nil {
		return nil, err
	}
	return append([]byte{','}, text...), nil
}

func rank(b block) int {
	if b.Type == "tool_result" {
		return 0
	}
	return 1
}

// blocks is one part on the wire: none if the API would refuse it. Thinking
// goes back only with its signature, and not if it was found stale.
func (c *Client) blocks(p llm.Part, message int) []block {
	switch {
	case p.Call != nil:
		return []block{{Type: "tool_use", ID: toolID(p.Call.ID), Name: p.Call.Name, Input: json.RawMessage(wire.ObjectArgs(p.Call.Args))}}
	case p.Result != nil:
		return []block{{Type: "tool_result", ToolUseID: toolID(p.Result.CallID), Content: c.result(p.Result), IsError: p.Result.IsError}}
	case p.Image != nil:
		return []block{c.image(p.Image)}
	case p.Proof != nil && message < c.known.stale:
		return nil
	case p.Proof != nil && p.Proof.Kind == signature:
		return []block{{Type: "thinking", Thinking: &p.Reasoning, Signature: p.Proof.Data}}
	case p.Proof != nil && p.Proof.Kind == redacted:
		return []block{{Type: "redacted_thinking", Data: p.Proof.Data}}
	case strings.TrimSpace(p.Text) != "":
		return []block{{Type: "text", Text: p.Text}}
	}
	return nil
}

func (c *Client) result(r *llm.ToolResult) []block {
	var content []block
	if strings.TrimSpace(r.Text) != "" {
		content = append(content, block{Type: "text", Text: r.Text})
	}
	if r.Image != nil {
		content = append(content, c.image(r.Image))
	}
	return content
}

func (c *Client) image(i *llm.Image) block {
	if !c.Images || c.known.blind || i.Data == nil {
		return block{Type: "text", Text: i.Unseen()}
	}
	return block{Type: "image", Source: &source{"base64", i.MediaType, i.Data}}
}

// toolID keeps what the API allows in an id: letters, digits, '_' and '-'.
func toolID(id string) string {
	clean := func(r rune) bool {
		return r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	if id != "" && strings.IndexFunc(id, func(r rune) bool { return !clean(r) }) < 0 {
		return id
	}
	return fmt.Sprintf("id_%x", id) // one of its own for each
}
