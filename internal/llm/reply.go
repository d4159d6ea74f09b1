package llm

import "strings"

// A Chunk is one piece of a streamed reply. Exactly one field is set.
type Chunk struct {
	Text      string    `json:"text,omitempty"`
	Reasoning string    `json:"reasoning,omitempty"`
	Proof     *Proof    `json:"proof,omitempty"`   // ends the reasoning before it, or stands for hidden reasoning
	Call      *ToolCall `json:"call,omitempty"`    // sent once, when its arguments are complete
	End       *End      `json:"end,omitempty"`     // always the last chunk
	Restart   bool      `json:"restart,omitempty"` // the attempt failed and is made again: the chunks so far are void
	Notice    string    `json:"notice,omitempty"`  // no part of the reply: tells the person what is done about a failure
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

	// Dropped names the tools of calls that the output limit cut in half. The
	// calls are not in the message.
	Dropped []string `json:"dropped,omitempty"`
}

// Usage counts the tokens of one reply.
type Usage struct {
	Input      int  `json:"input"`                 // all of the request, cached or not
	Output     int  `json:"output"`                // reasoning included
	CacheRead  int  `json:"cache_read,omitempty"`  // part of Input that came from a cache
	CacheWrite int  `json:"cache_write,omitempty"` // part of Input that was put into a cache
	Estimated  bool `json:"estimated,omitempty"`   // the provider sent no usage, or one that cannot be
}

// Add returns the sum of two usages.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		Input:      u.Input + v.Input,
		Output:     u.Output + v.Output,
		CacheRead:  u.CacheRead + v.CacheRead,
		CacheWrite: u.CacheWrite + v.CacheWrite,
		Estimated:  u.Estimated || v.Estimated,
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
	case chunk.Proof != nil:
		c.prove(chunk.Proof)
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

// prove puts the proof beside the reasoning that came just before it.
func (c *Collector) prove(p *Proof) {
	c.flush()
	if n := len(c.parts); n > 0 && c.parts[n-1].Reasoning != "" && c.parts[n-1].Proof == nil {
		c.parts[n-1].Proof = p
		return
	}
	c.parts = append(c.parts, Part{Proof: p})
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
