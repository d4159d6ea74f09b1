// Package llm is the vocabulary of a conversation with a language model:
// messages, tool calls, the chunks of a streamed reply, and the Model
// interface that every provider implements.
//
// Its one rule: it imports only the standard library, so that every other
// package may import it.
package llm

import (
	"context"
	"encoding/json"
	"iter"
)

// A Role says who wrote a message.
type Role string

// The roles.
const (
	User      Role = "user"
	Assistant Role = "assistant"
	Tool      Role = "tool"
)

// A Message is one entry of the transcript that a model reads.
type Message struct {
	Role  Role   `json:"role"`
	Parts []Part `json:"parts"`
}

// A Part holds exactly one of its fields.
type Part struct {
	Text      string      `json:"text,omitempty"`
	Reasoning string      `json:"reasoning,omitempty"`
	Call      *ToolCall   `json:"call,omitempty"`
	Result    *ToolResult `json:"result,omitempty"`
}

// A ToolCall is the model's request to run one tool.
type ToolCall struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Args string `json:"args"` // as the model wrote it: may not be valid JSON
}

// A ToolResult is what the model is told about one ToolCall.
type ToolResult struct {
	CallID  string `json:"call_id"`
	Text    string `json:"text"`
	IsError bool   `json:"is_error,omitempty"`
}

// A ToolSpec describes a tool to the model.
type ToolSpec struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"schema"` // JSON Schema of the arguments
}

// A Request is everything a model needs for one reply.
type Request struct {
	System   string
	Messages []Message
	Tools    []ToolSpec
}

// Info is what the program must know about a model.
type Info struct {
	ID            string // as the person writes it: openai/NAME, builtin/baseline, …
	ContextWindow int    // tokens; 0 means there is no limit worth watching
	MaxOutput     int    // tokens of one reply; 0 when unknown
	Price         *Price // nil when unknown
}

// Price is what a model costs, in US dollars per million tokens.
type Price struct{ Input, Output float64 }

// USD is the price of the usage. A nil Price costs nothing.
func (p *Price) USD(u Usage) float64 {
	if p == nil {
		return 0
	}
	return (float64(u.Input)*p.Input + float64(u.Output)*p.Output) / 1e6
}

// A Model answers requests. Implementations are safe for concurrent use.
type Model interface {
	Info() Info

	// Stream yields one reply as it is produced and stops at the first
	// error. A reply is whole only if its last chunk is an End: a stream
	// that just stops was cut. A caller that stops ranging cancels the
	// request.
	Stream(ctx context.Context, req Request) iter.Seq2[Chunk, error]
}

// Calls lists the tool calls of the message.
func (m Message) Calls() []ToolCall {
	var calls []ToolCall
	for _, p := range m.Parts {
		if p.Call != nil {
			calls = append(calls, *p.Call)
		}
	}
	return calls
}

// Text joins the text parts of the message.
func (m Message) Text() string {
	var text string
	for _, p := range m.Parts {
		text += p.Text
	}
	return text
}
