// Package redact keeps secrets out of the traffic with a model: out of what it
// is sent, and out of its reply, as it is streamed.
//
// Its one rule: a request stays a prefix of the next one, for the same text is
// always redacted in the same way. It owns nothing.
package redact

import (
	"context"
	"iter"
	"slices"

	"ml-intern/internal/llm"
	"ml-intern/internal/secret"
)

// Model is m without secrets in its requests and replies. The arguments of a
// call are as the model wrote them, but for the values that r knows: all that the
// model could have a key from was redacted, and a made-up one may be what a
// test file needs.
func Model(m llm.Model, r *secret.Redactor) llm.Model { return model{m, r} }

type model struct {
	llm.Model
	r *secret.Redactor
}

// Stream implements llm.Model.
func (m model) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		s := &stream{r: m.r, text: m.r.Stream(), reasoning: m.r.Stream(), yield: yield}
		for c, err := range m.Model.Stream(ctx, m.request(req)) {
			if err != nil {
				yield(llm.Chunk{}, err)
				return
			}
			if !s.pass(c) {
				return
			}
		}
	}
}

// A stream passes one reply on.
type stream struct {
	r               *secret.Redactor
	text, reasoning *secret.Stream
	changed         bool // the reasoning of this attempt
	yield           func(llm.Chunk, error) bool
}

// pass takes a chunk, and reports whether more is wanted. What is held back goes
// before anything else does.
func (s *stream) pass(c llm.Chunk) bool {
	switch {
	case c.Restart:
		s.text.End()
		s.reasoning.End()
		s.changed = false
	case c.Text != "":
		if !s.endReasoning() {
			return false
		}
		c.Text = s.text.Next(c.Text)
		return c.Text == "" || s.yield(c, nil)
	case c.Reasoning != "":
		if !s.endText() {
			return false
		}
		return s.think(s.reasoning.Next(c.Reasoning))
	default:
		if !s.endText() || !s.endReasoning() {
			return false
		}
	}
	if c.Call != nil {
		call := *c.Call
		call.Args = s.r.Values(call.Args)
		c.Call = &call
	}
	if c.Proof != nil && s.changed { // it is of what the model thought, and that is not there any more
		return true
	}
	return s.yield(c, nil)
}

// think passes reasoning on.
func (s *stream) think(text string) bool {
	s.changed = s.changed || s.reasoning.Found()
	return text == "" || s.yield(llm.Chunk{Reasoning: text}, nil)
}

func (s *stream) endText() bool {
	if !s.text.Held() {
		s.text.End()
		return true
	}
	return s.yield(llm.Chunk{Text: s.text.End()}, nil)
}

func (s *stream) endReasoning() bool {
	return s.think(s.reasoning.End())
}

// request redacts what a model is sent. Messages that hold no secret stay the
// same ones.
func (m model) request(req llm.Request) llm.Request {
	req.System = m.r.Text(req.System)
	req.Messages = slices.Clone(req.Messages)
	for i, msg := range req.Messages {
		req.Messages[i] = m.message(msg)
	}
	return req
}

func (m model) message(msg llm.Message) llm.Message {
	parts := make([]llm.Part, 0, len(msg.Parts))
	for _, p := range msg.Parts {
		p.Text = m.r.Text(p.Text)
		if text := m.r.Text(p.Reasoning); text != p.Reasoning {
			p.Reasoning, p.Proof = text, nil
		}
		if p.Call != nil {
			call := *p.Call
			call.Args = m.r.Values(call.Args)
			p.Call = &call
		}
		if p.Result != nil {
			result := *p.Result
			result.Text = m.r.Text(result.Text)
			p.Result = &result
		}
		parts = append(parts, p)
	}
	msg.Parts = parts
	return msg
}
