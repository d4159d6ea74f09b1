package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/llm"
)

// body is the request as JSON. The messages come last, so that a request is
// the beginning of the one after it, which is what prompt caches want.
func (c *Client) body(req llm.Request) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.cache.update(c.Model, req); err != nil {
		return nil, err
	}
	head, messages := c.cache.head, c.cache.bytes
	body := make([]byte, 0, len(head)+len(messages)+2)
	body = append(body, head...)
	body = append(body, bytes.TrimPrefix(messages, []byte(","))...)
	return append(body, "]}"...), nil
}

// encode is JSON without the escapes that only a browser needs.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// encoded keeps the bytes of the latest request, so that a step costs only
// what is new. What is old is found by value, so the cache is right whatever
// callers do to their slices; it is cheap because strings that share memory,
// as those of a growing transcript do, are equal at a glance.
type encoded struct {
	model string
	tools []llm.ToolSpec
	head  []byte // up to the bracket before the messages

	system   string
	messages []llm.Message // copies
	ends     []int         // where each message's bytes end
	start    int           // where the system message's bytes end
	bytes    []byte        // of each message, with a comma before it
}

func (e *encoded) update(model string, req llm.Request) error {
	if e.head == nil || e.model != model || !slices.EqualFunc(e.tools, req.Tools, sameTool) {
		if err := e.begin(model, req.Tools); err != nil {
			return err
		}
	}
	if e.system != req.System {
		e.truncate(0)
		e.system, e.bytes, e.start = "", nil, 0
		if err := e.add(wireMessage{Role: "system", Content: &req.System}); err != nil {
			return err
		}
		e.system, e.start = req.System, len(e.bytes)
	}
	keep := 0
	for keep < min(len(req.Messages), len(e.messages)) && same(req.Messages[keep], e.messages[keep]) {
		keep++
	}
	e.truncate(keep)
	for _, m := range req.Messages[keep:] {
		if err := e.add(wire(m)...); err != nil {
			e.truncate(len(e.messages)) // drop what is half there
			return err
		}
		e.messages = append(e.messages, clone(m))
		e.ends = append(e.ends, len(e.bytes))
	}
	return nil
}

func (e *encoded) begin(model string, tools []llm.ToolSpec) error {
	head, err := encode(struct {
		Model         string     `json:"model"`
		Stream        bool       `json:"stream"`
		StreamOptions any        `json:"stream_options"`
		Tools         []wireTool `json:"tools,omitempty"`
	}{model, true, map[string]bool{"include_usage": true}, wireTools(tools)})
	if err != nil {
		return err
	}
	e.model, e.tools = model, cloneTools(tools)
	e.head = append(bytes.TrimSuffix(head, []byte("}")), `,"messages":[`...)
	return nil
}

func (e *encoded) add(messages ...wireMessage) error {
	for _, m := range messages {
		text, err := encode(m)
		if err != nil {
			return err
		}
		e.bytes = append(append(e.bytes, ','), text...)
	}
	return nil
}

// truncate keeps the first n messages.
func (e *encoded) truncate(n int) {
	end := e.start
	if n > 0 {
		end = e.ends[n-1]
	}
	clear(e.messages[n:])
	e.bytes, e.ends, e.messages = e.bytes[:end], e.ends[:n], e.messages[:n]
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

func same(a, b llm.Message) bool {
	return a.Role == b.Role && slices.EqualFunc(a.Parts, b.Parts, func(p, q llm.Part) bool {
		return p.Text == q.Text && p.Reasoning == q.Reasoning && equal(p.Call, q.Call) && equal(p.Result, q.Result)
	})
}

func equal[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

func clone(m llm.Message) llm.Message {
	m.Parts = slices.Clone(m.Parts)
	for i, p := range m.Parts {
		if p.Call != nil {
			call := *p.Call
			m.Parts[i].Call = &call
		}
		if p.Result != nil {
			result := *p.Result
			m.Parts[i].Result = &result
		}
	}
	return m
}

type wireTool struct {
	Type     string       `json:"type"`
	Function wireFunction `json:"function"`
}

type wireFunction struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
}

func wireTools(specs []llm.ToolSpec) []wireTool {
	tools := make([]wireTool, len(specs))
	for i, s := range specs {
		tools[i] = wireTool{"function", wireFunction{s.Name, s.Description, s.Schema}}
	}
	return tools
}

type wireMessage struct {
	Role       string     `json:"role"`
	Content    *string    `json:"content"`
	Reasoning  string     `json:"reasoning_content,omitempty"`
	ToolCalls  []wireCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
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

// wire is a message in the wire's form: none if it says nothing, and several
// for several results. Reasoning is sent back beside calls, where models need
// it to go on, and nowhere else. That depends on the message alone: to drop it
// later would change the bytes before the last message.
func wire(m llm.Message) []wireMessage {
	text := m.Text()
	out := wireMessage{Role: string(m.Role), Content: &text}
	var results []wireMessage
	for _, p := range m.Parts {
		switch {
		case p.Call != nil:
			out.ToolCalls = append(out.ToolCalls, wireCall{p.Call.ID, "function", wireCallFunc{p.Call.Name, objectArgs(p.Call.Args)}})
		case p.Result != nil:
			results = append(results, wireMessage{Role: "tool", Content: &p.Result.Text, ToolCallID: p.Result.CallID})
		case p.Reasoning != "":
			out.Reasoning += p.Reasoning
		}
	}
	switch {
	case m.Role == llm.Tool:
		return results
	case len(out.ToolCalls) > 0 && text == "":
		out.Content = nil // null beside calls, as the reference server writes it
	case len(out.ToolCalls) == 0 && text == "" && m.Role == llm.Assistant:
		return nil // only reasoning: servers refuse an empty answer
	case len(out.ToolCalls) == 0:
		out.Reasoning = ""
	}
	return []wireMessage{out}
}

// objectArgs keeps arguments that are no JSON object as the text in one:
// servers refuse a history that they cannot parse.
func objectArgs(args string) string {
	trimmed := strings.TrimSpace(args)
	switch {
	case trimmed == "":
		return "{}"
	case trimmed[0] == '{' && json.Valid([]byte(args)):
		return args
	}
	text, err := encode(map[string]string{"invalid_json": args})
	if err != nil {
		return "{}"
	}
	return string(text)
}
