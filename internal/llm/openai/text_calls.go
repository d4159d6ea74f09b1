package openai

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/wire"
)

// textCalls finds tool calls that a model wrote as text because its server did
// not recognize them, and returns the text around them. Marks count wherever
// they stand but in a fence; bare JSON only if it is the whole text and names a
// tool. What is marked as a call but cannot be read becomes a call with the
// text as its arguments, so that the model is told what is wrong with it.
func textCalls(text string, tools []llm.ToolSpec) (prose string, calls []llm.ToolCall) {
	f := finder{tools: tools}
	for _, m := range callMarks {
		rest, kept := text, ""
		for unread := 0; unread < maxUnread; {
			at := strings.Index(rest, m.begin)
			if at < 0 || fenced(kept+rest[:at]) {
				break
			}
			inner, after := between(rest[at+len(m.begin):], m.end)
			found := m.read(f, inner)
			if len(found) == 0 {
				unread++
				kept, rest = kept+rest[:at+len(m.begin)], rest[at+len(m.begin):]
				continue
			}
			calls = append(calls, found...)
			kept, rest = kept+rest[:at], after
		}
		if len(calls) > 0 {
			return strings.TrimSpace(kept + rest), calls
		}
	}
	if calls = f.bare(text); len(calls) > 0 {
		return "", calls
	}
	return text, nil
}

// maxUnread is how many marks without a call behind them are looked at.
const maxUnread = 20

// A callMark begins a call in the text of some family of models.
type callMark struct {
	begin string
	end   string // "" when the call ends with the text
	read  func(finder, string) []llm.ToolCall
}

var callMarks = []callMark{
	{"<tool_call>", "</tool_call>", finder.tagged},                // Hermes, Qwen
	{"<function=", "</function>", finder.function},                // Qwen3-Coder, Llama
	{"[TOOL_CALLS]", "", finder.mistral},                          // Mistral
	{"<|python_tag|>", "<|eom_id|>", finder.tagged},               // Llama 3
	{"<|tool_call|>", "<|/tool_call|>", finder.tagged},            // Granite, Phi
	{"<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", finder.deepseek}, // DeepSeek
}

// between cuts the text at the end mark; without one all of it is inside.
func between(text, end string) (inner, after string) {
	if end == "" {
		return text, ""
	}
	inner, after, _ = strings.Cut(text, end)
	return inner, after
}

// fenced reports whether the text ends inside a code fence: what follows is
// shown, not meant.
func fenced(text string) bool { return strings.Count(text, "```")%2 == 1 }

type finder struct{ tools []llm.ToolSpec }

func (f finder) known(name string) bool {
	return slices.ContainsFunc(f.tools, func(t llm.ToolSpec) bool { return t.Name == name })
}

// jsonCall is a call as models write it in JSON.
type jsonCall struct {
	Name       string          `json:"name"`
	Function   json.RawMessage `json:"function"` // a name, or an object like this one
	Arguments  json.RawMessage `json:"arguments"`
	Parameters json.RawMessage `json:"parameters"`
}

func (c jsonCall) call() (llm.ToolCall, bool) {
	var inner jsonCall
	if c.Name == "" && json.Unmarshal(c.Function, &c.Name) != nil && json.Unmarshal(c.Function, &inner) == nil {
		return inner.call()
	}
	args := c.Arguments
	if len(args) == 0 {
		args = c.Parameters
	}
	var text string
	switch {
	case c.Name == "":
		return llm.ToolCall{}, false
	case len(args) == 0:
		text = "{}"
	case json.Unmarshal(args, &text) != nil: // not JSON in a string, but JSON
		text = string(args)
	}
	return llm.ToolCall{Name: c.Name, Args: text}, true
}

// read reads the JSON at the start of the text: a call, or a list of calls.
func (f finder) read(text string) []llm.ToolCall {
	dec := json.NewDecoder(strings.NewReader(text))
	var calls []llm.ToolCall
	for { // some write several, one after another
		var raw json.RawMessage
		if dec.Decode(&raw) != nil {
			return calls
		}
		list := []json.RawMessage{raw}
		if bytes.HasPrefix(raw, []byte("[")) && json.Unmarshal(raw, &list) != nil {
			return calls
		}
		for _, item := range list {
			var c jsonCall
			if json.Unmarshal(item, &c) != nil {
				return calls
			}
			if call, ok := c.call(); ok {
				calls = append(calls, call)
			}
		}
	}
}

var nameInJSON = lazyregexp.New(`"name"\s*:\s*"([A-Za-z0-9_.-]+)"`)

// tagged reads what stands between marks: JSON, or the XML of Qwen3-Coder.
func (f finder) tagged(text string) []llm.ToolCall {
	if _, inner, ok := strings.Cut(text, "<function="); ok {
		inner, _ = between(inner, "</function>")
		return f.function(inner)
	}
	if calls := f.read(strings.TrimSpace(text)); len(calls) > 0 {
		return calls
	}
	if m := nameInJSON.FindStringSubmatch(text); m != nil && f.known(m[1]) {
		return []llm.ToolCall{{Name: m[1], Args: strings.TrimSpace(text)}}
	}
	return nil
}

var parameter = lazyregexp.New(`(?s)<parameter=([^>\n]+)>\n?(.*?)\n?(?:</parameter>|\z)`)

// function reads NAME>…, with parameters in XML or arguments in JSON.
func (f finder) function(text string) []llm.ToolCall {
	name, body, ok := strings.Cut(text, ">")
	name = strings.Trim(name, " \"'")
	if !ok || !f.known(name) {
		return nil
	}
	if trimmed := strings.TrimSpace(body); strings.HasPrefix(trimmed, "{") {
		return []llm.ToolCall{{Name: name, Args: trimmed}}
	}
	args := make(map[string]any)
	for _, m := range parameter.FindAllStringSubmatch(body, -1) {
		args[strings.TrimSpace(m[1])] = f.typed(name, strings.TrimSpace(m[1]), m[2])
	}
	encoded, err := wire.JSON(args)
	if err != nil {
		return nil
	}
	return []llm.ToolCall{{Name: name, Args: string(encoded)}}
}

// typed reads a parameter as the JSON that the tool's schema wants there, and
// else as text.
func (f finder) typed(tool, name, text string) any {
	var schema struct {
		Properties map[string]struct {
			Type any `json:"type"`
		} `json:"properties"`
	}
	for _, t := range f.tools {
		if t.Name == tool && json.Unmarshal(t.Schema, &schema) != nil {
			return text
		}
	}
	if schema.Properties[name].Type == "string" {
		return text
	}
	var v any
	if json.Unmarshal([]byte(text), &v) == nil {
		return v
	}
	return text
}

// mistral reads [{…}], or NAME[ARGS]{…} again and again.
func (f finder) mistral(text string) []llm.ToolCall {
	if calls := f.read(strings.TrimSpace(text)); len(calls) > 0 {
		return calls
	}
	var calls []llm.ToolCall
	for _, piece := range strings.Split(text, "[TOOL_CALLS]") {
		name, args, ok := strings.Cut(piece, "[ARGS]")
		if name = strings.TrimSpace(name); ok && f.known(name) {
			calls = append(calls, llm.ToolCall{Name: name, Args: strings.TrimSpace(args)})
		}
	}
	return calls
}

// deepseek reads function<｜tool▁sep｜>NAME, then arguments in a fence.
func (f finder) deepseek(text string) []llm.ToolCall {
	_, rest, ok := strings.Cut(text, "<｜tool▁sep｜>")
	if !ok {
		return nil
	}
	name, args, _ := strings.Cut(rest, "\n")
	if name = strings.TrimSpace(name); !f.known(name) {
		return nil
	}
	return []llm.ToolCall{{Name: name, Args: unfence(args)}}
}

// bare reads a text that is nothing but calls of known tools, in a fence or not.
func (f finder) bare(text string) []llm.ToolCall {
	text = unfence(text)
	if !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") || !json.Valid([]byte(text)) {
		return nil
	}
	calls := f.read(text)
	hasArgs := strings.Contains(text, `"arguments"`) || strings.Contains(text, `"parameters"`)
	for _, c := range calls {
		if !hasArgs || !f.known(c.Name) {
			return nil
		}
	}
	return calls
}

// unfence takes one code fence off the text.
func unfence(text string) string {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "```"); ok {
		if _, inner, ok = strings.Cut(inner, "\n"); ok {
			return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(inner), "```"))
		}
	}
	return text
}
