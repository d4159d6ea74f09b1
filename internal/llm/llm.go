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

// NoteMark begins what the program says to the model in the person's place.
const NoteMark = "[ml-intern] "

// A Message is one entry of the transcript that a model reads.
type Message struct {
	Role  Role   `json:"role"`
	Parts []Part `json:"parts"`
}

// A Part holds exactly one of its fields, except that Proof stands beside the
// Reasoning it belongs to, or alone for reasoning that the provider hides.
type Part struct {
	Text      string      `json:"text,omitempty"`
	Image     *Image      `json:"image,omitempty"`
	Reasoning string      `json:"reasoning,omitempty"`
	Proof     *Proof      `json:"proof,omitempty"`
	Call      *ToolCall   `json:"call,omitempty"`
	Result    *ToolResult `json:"result,omitempty"`
}

// A Proof is what a provider wants back, unread, with the reasoning it belongs
// to: a signature, or the reasoning itself encrypted. A provider sends back the
// kinds that are its own and leaves out all others.
type Proof struct {
	Kind string `json:"kind"` // names the provider's format, such as "anthropic.signature"
	Data string `json:"data"`
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
	Image   *Image `json:"image,omitempty"`
	IsError bool   `json:"is_error,omitempty"`
}

// A ToolSpec describes a tool to the model.
type ToolSpec struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"schema"` // JSON Schema of the arguments
}

// A Request is everything a model needs for one reply. Requests of one turn are
// prefixes of each other: System and Tools never change inside it, and messages
// are added at the end. From turn to turn only tools at the end of the list come
// and go.
type Request struct {
	System   string
	Messages []Message
	Tools    []ToolSpec

	// What follows may differ from request to request, and seldom does.
	Effort    string // how hard to think: one of Efforts; "" leaves it to the model
	MaxOutput int    // tokens of the reply at most; 0 for the model's own limit
	Session   string // names the session to providers that group or cache by it; may be ""
}

// Efforts lists the levels of effort, least first. A provider maps a level
// that it lacks to the nearest one below.
func Efforts() []string {
	return []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}
}

// Info is what the program must know about a model.
type Info struct {
	ID            string // as the person writes it: openai/NAME, builtin/baseline, …
	ContextWindow int    // tokens; 0 means there is no limit worth watching
	MaxOutput     int    // tokens of one reply; 0 when unknown
	Price         *Price // nil when unknown; the zero Price is free
	Images        bool   // it takes pictures
}

// Price is what a model costs, in US dollars per million tokens. Cached tokens
// whose price is 0 cost as much as others.
type Price struct {
	Input, Output         float64
	CacheRead, CacheWrite float64

	// Long is the price of requests of more than LongFrom tokens, nil if there
	// is none of its own.
	Long     *Price
	LongFrom int
}

// USD is the price of the usage. A nil Price costs nothing.
func (p *Price) USD(u Usage) float64 {
	if p == nil {
		return 0
	}
	if p.Long != nil && u.Input > p.LongFrom {
		return p.Long.USD(u)
	}
	read, write := p.CacheRead, p.CacheWrite
	if read == 0 {
		read = p.Input
	}
	if write == 0 {
		write = p.Input
	}
	plain := max(u.Input-u.CacheRead-u.CacheWrite, 0)
	return (float64(plain)*p.Input + float64(u.CacheRead)*read + float64(u.CacheWrite)*write + float64(u.Output)*p.Output) / 1e6
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
