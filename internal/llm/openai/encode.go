package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unsafe"

	"ml-intern/internal/llm"
)

// body is the request as JSON. The messages come last, so that a request is
// the beginning of the one after it, which is what prompt caches want.
func (c *Client) body(req llm.Request) ([]byte, error) {
	head := struct {
		Model         string     `json:"model"`
		Stream        bool       `json:"stream"`
		StreamOptions any        `json:"stream_options"`
		Tools         []wireTool `json:"tools,omitempty"`
	}{c.Model, true, map[string]bool{"include_usage": true}, wireTools(req.Tools)}
	start, err := encode(head)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	messages, err := c.cache.update(req.System, req.Messages)
	if err != nil {
		return nil, err
	}
	body := make([]byte, 0, len(start)+len(messages)+16)
	body = append(body, bytes.TrimSuffix(start, []byte("}"))...)
	body = append(body, `,"messages":[`...)
	body = append(body, messages...)
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

// encoded keeps the bytes of the messages of the latest request, so that a
// step costs only what is new.
type encoded struct {
	system    string
	systemEnd int // where the system message's bytes end
	messages  []llm.Message
	ends      []int // where each message's bytes end
	bytes     []byte
}

// same reports whether two messages are the same memory. Transcripts are
// replaced and never written to, and the cache keeps that memory from being
// used for anything else.
func same(a, b llm.Message) bool {
	return a.Role == b.Role && len(a.Parts) == len(b.Parts) && unsafe.SliceData(a.Parts) == unsafe.SliceData(b.Parts)
}

// update brings the cache to the messages and returns their bytes, which are
// valid until the next call.
func (e *encoded) update(system string, messages []llm.Message) ([]byte, error) {
	if e.bytes == nil || e.system != system {
		start, err := encode(wireMessage{Role: "system", Content: &system})
		if err != nil {
			return nil, err
		}
		*e = encoded{system: system, systemEnd: len(start), bytes: start}
	}
	keep := 0
	for keep < len(messages) && keep < len(e.messages) && same(messages[keep], e.messages[keep]) {
		keep++
	}
	e.truncate(keep)
	for _, m := range messages[keep:] {
		for _, w := range wire(m) {
			text, err := encode(w)
			if err != nil {
				e.truncate(len(e.messages)) // drop what is half there
				return nil, err
			}
			e.bytes = append(append(e.bytes, ','), text...)
		}
		e.messages = append(e.messages, m)
		e.ends = append(e.ends, len(e.bytes))
	}
	return e.bytes, nil
}

func (e *encoded) truncate(n int) {
	end := e.systemEnd
	if n > 0 {
		end = e.ends[n-1]
	}
	clear(e.messages[n:])
	e.bytes, e.ends, e.messages = e.bytes[:end], e.ends[:n], e.messages[:n]
}

type wireTool struct {
	Type     string       `json:"type"`
	Function wireFunction `json:"function"`
}

type wireFunction struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
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

// wire is a message in the wire's form. A result is a message of its own.
// Reasoning is sent back only beside calls, where models need it to go on.
func wire(m llm.Message) []wireMessage {
	text := m.Text()
	out := wireMessage{Role: string(m.Role), Content: &text}
	var results []wireMessage
	for _, p := range m.Parts {
		switch {
		case p.Call != nil:
			out.ToolCalls = append(out.ToolCalls, wireCall{p.Call.ID, "function", wireCallFunc{p.Call.Name, validArgs(p.Call.Args)}})
		case p.Result != nil:
			results = append(results, wireMessage{Role: "tool", Content: &p.Result.Text, ToolCallID: p.Result.CallID})
		case p.Reasoning != "":
			out.Reasoning += p.Reasoning
		}
	}
	if m.Role == llm.Tool {
		return results
	}
	if len(out.ToolCalls) == 0 {
		out.Reasoning = ""
	} else if text == "" {
		out.Content = nil // null beside calls, as the reference server writes it
	}
	return []wireMessage{out}
}

// validArgs keeps arguments that are not JSON as the text in an object:
// servers refuse a history that they cannot parse.
func validArgs(args string) string {
	if json.Valid([]byte(args)) {
		return args
	}
	text, err := json.Marshal(map[string]string{"invalid_json": args})
	if err != nil {
		return "{}"
	}
	return string(text)
}
