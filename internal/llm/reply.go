package llm

import "strings"

// A Chunk is one piece of a streamed reply. Exactly one field is set.
type Chunk struct {
	Text      string    `json:"text,omitempty"`
	Reasoning string    `json:"reasoning,omitempty"`
	Call      *ToolCall `json:"call,omitempty"`    // sent once, when its arguments are complete
	End       *End      `json:"end,omitempty"`     // always the last chunk
	Restart   bool      `json:"restart,omitempty"` // the attempt failed and is made again: the chunks so far are void
}

// Why a reply ended.
const (
	EndStop   = "stop"       // the model had no more to say
	EndCalls  = "tool_calls" // the model waits for tool results
	EndLength = "length"     // the output limit cut the reply off
	EndFailed = "failed"     // the model says that it could not do what was asked
)

// End closes a reply.
type End struct {
	Reason string `json:"reason"` // one of the above, or a provider's own word
	Usage  Usage  `json:"usage"`
}

// Usage counts the tokens of one reply.
type Usage struct {
	Input     int  `json:"input"` // all of the request, cached or not
	Output    int  `json:"output"`
	CacheRead int  `json:"cache_read,omitempty"` // part of Input that came from a cache
	Estimated bool `json:"estimated,omitempty"`  // the provider sent no usage
}

// Add returns the sum of two usages.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		Input:     u.Input + v.Input,
		Output:    u.Output + v.Output,
		CacheRead: u.CacheRead + v.CacheRead,
		Estimated: u.Estimated || v.Estimated,
	}
}

// A Reply is a model's whole answer to one Request.
type Reply struct {
	Message Message `json:"message"`
	End     End     `json:"end"`
}

// A Collector adds up the chunks of one reply in linear time. The zero
// Collector is ready to use.
type Collector struct {
	parts     []Part
	text      strings.Builder
	reasoning strings.Builder
	end       *End
}

// Add takes the next chunk.
func (c *Collector) Add(chunk Chunk) {
	switch {
	case chunk.Restart:
		*c = Collector{}
	case chunk.End != nil:
		c.end = chunk.End
	case chunk.Call != nil:
		c.flush()
		c.parts = append(c.parts, Part{Call: chunk.Call})
	case chunk.Text != "":
		if c.reasoning.Len() > 0 {
			c.flush()
		}
		c.text.WriteString(chunk.Text)
	case chunk.Reasoning != "":
		if c.text.Len() > 0 {
			c.flush()
		}
		c.reasoning.WriteString(chunk.Reasoning)
	}
}

// Reply returns the reply, and false if its end never came.
func (c *Collector) Reply() (Reply, bool) {
	c.flush()
	reply := Reply{Message: Message{Role: Assistant, Parts: c.parts}}
	if c.end == nil {
		return reply, false
	}
	reply.End = *c.end
	return reply, true
}

func (c *Collector) flush() {
	if c.reasoning.Len() > 0 {
		c.parts = append(c.parts, Part{Reasoning: c.reasoning.String()})
		c.reasoning.Reset()
	}
	if c.text.Len() > 0 {
		c.parts = append(c.parts, Part{Text: c.text.String()})
		c.text.Reset()
	}
}
