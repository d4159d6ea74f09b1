package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"ml-intern/internal/app"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// streamPrinter prints one JSON object a line in the shape that Claude Code's
// stream-json made common, so that scripts written for it work.
type streamPrinter struct {
	out     io.Writer
	session string
	model   string
}

type streamContent struct {
	Type      string          `json:"type"`
	Text      string          `json:"text,omitempty"`
	Thinking  string          `json:"thinking,omitempty"`
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name,omitempty"`
	Input     json.RawMessage `json:"input,omitempty"`
	ToolUseID string          `json:"tool_use_id,omitempty"`
	Content   string          `json:"content,omitempty"`
	IsError   bool            `json:"is_error,omitempty"`
}

type streamMessage struct {
	ID         string          `json:"id,omitempty"`
	Type       string          `json:"type,omitempty"`
	Role       string          `json:"role"`
	Model      string          `json:"model,omitempty"`
	Content    []streamContent `json:"content"`
	StopReason string          `json:"stop_reason,omitempty"`
	Usage      *usageJSON      `json:"usage,omitempty"`
}

type streamLine struct {
	Type      string        `json:"type"`
	Message   streamMessage `json:"message"`
	SessionID string        `json:"session_id"`
}

func (p *streamPrinter) begin(c *app.Conversation) error {
	p.session, p.model = c.Session.ID, c.Agent.Models[0].Info().ID
	var names []string
	for _, spec := range c.Agent.Tools.Specs() {
		names = append(names, spec.Name)
	}
	return printJSON(p.out, struct {
		Type      string   `json:"type"`
		Subtype   string   `json:"subtype"`
		SessionID string   `json:"session_id"`
		Model     string   `json:"model"`
		Dir       string   `json:"cwd"`
		Tools     []string `json:"tools"`
		Mode      string   `json:"permissionMode"`
	}{"system", "init", p.session, p.model, c.Session.Opened().Dir, names, fmt.Sprint(c.Agent.Policy)})
}

func (p *streamPrinter) event(ev session.Event) error {
	switch {
	case ev.Reply != nil:
		return p.print("assistant", p.assistant(ev.Seq, ev.Reply.Reply))
	case ev.Result != nil:
		return p.print("user", streamMessage{Role: "user", Content: []streamContent{{
			Type: "tool_result", ToolUseID: ev.Result.CallID, Content: ev.Result.Text, IsError: ev.Result.IsError,
		}}})
	case ev.Note != nil:
		return p.print("user", streamMessage{Role: "user", Content: []streamContent{{Type: "text", Text: ev.Note.Text}}})
	}
	return nil
}

func (p *streamPrinter) print(kind string, m streamMessage) error {
	return printJSON(p.out, streamLine{kind, m, p.session})
}

func (p *streamPrinter) assistant(seq int64, r llm.Reply) streamMessage {
	usage := newUsage(r.End.Usage)
	m := streamMessage{
		ID: fmt.Sprintf("msg_%s_%d", p.session, seq), Type: "message", Role: "assistant", Model: p.model,
		Content: []streamContent{}, StopReason: stopReason(r.End.Reason), Usage: &usage,
	}
	for _, part := range r.Message.Parts {
		switch {
		case part.Call != nil:
			m.Content = append(m.Content, streamContent{Type: "tool_use", ID: part.Call.ID, Name: part.Call.Name, Input: asObject(part.Call.Args)})
		case part.Reasoning != "":
			m.Content = append(m.Content, streamContent{Type: "thinking", Thinking: part.Reasoning})
		case part.Text != "":
			m.Content = append(m.Content, streamContent{Type: "text", Text: part.Text})
		}
	}
	return m
}

// stopReason is the Messages API's word for why a reply ended.
func stopReason(reason string) string {
	switch reason {
	case llm.EndCalls:
		return "tool_use"
	case llm.EndLength:
		return "max_tokens"
	}
	return "end_turn"
}

// asObject keeps arguments that are not JSON as text, so that a line stays JSON.
func asObject(args string) json.RawMessage {
	if json.Valid([]byte(args)) {
		return json.RawMessage(args)
	}
	text, err := json.Marshal(map[string]string{"invalid_json": args})
	if err != nil {
		return json.RawMessage(`{}`)
	}
	return text
}

func (p *streamPrinter) end(o outcome) error {
	return printJSON(p.out, struct {
		Type       string    `json:"type"`
		Subtype    string    `json:"subtype"`
		IsError    bool      `json:"is_error"`
		Result     string    `json:"result"`
		ExitReason string    `json:"exit_reason"`
		Turns      int       `json:"num_turns"`
		DurationMS int64     `json:"duration_ms"`
		CostUSD    float64   `json:"total_cost_usd"`
		Usage      usageJSON `json:"usage"`
		SessionID  string    `json:"session_id"`
	}{"result", subtype(o), o.err != nil, o.result(), o.exit.Reason, o.steps, o.duration.Milliseconds(), o.costUSD, newUsage(o.usage), o.session})
}

func subtype(o outcome) string {
	switch o.exit.Reason {
	case "answered":
		return "success"
	case "step_limit":
		return "error_max_turns"
	case "cost_cap":
		return "error_max_budget_usd"
	}
	return "error_during_execution"
}
