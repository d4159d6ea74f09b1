// Package llmtest helps to test what stands on a model: Script plays a model
// from memory, Server plays a provider on loopback that speaks the true wire
// format and misbehaves on demand.
package llmtest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"ml-intern/internal/llm"
)

// Script is a Model that gives its replies in order and keeps the requests.
type Script struct {
	Replies  []Reply
	ID       string // "script" if empty
	Window   int    // tokens; 0 for none
	Output   int    // tokens of a reply; 0 for unknown
	Price    llm.Price
	Unpriced bool // the price is unknown
	Images   bool // it takes pictures

	// Next gives the reply number n, from 0, when Replies have none.
	Next func(n int, req llm.Request) Reply

	mu       sync.Mutex
	requests []llm.Request
}

// A Reply is the chunks of one reply, then an error if Err is set.
type Reply struct {
	Chunks []llm.Chunk
	Err    error
}

// Say is a reply of plain text.
func Say(text string) Reply {
	return Reply{Chunks: []llm.Chunk{{Text: text}, {End: &llm.End{Reason: llm.EndStop}}}}
}

// Call is a reply that calls one tool.
func Call(id, name, args string) Reply {
	return Calls(llm.ToolCall{ID: id, Name: name, Args: args})
}

// Calls is a reply that calls several tools.
func Calls(calls ...llm.ToolCall) Reply {
	var r Reply
	for _, c := range calls {
		r.Chunks = append(r.Chunks, llm.Chunk{Call: &c})
	}
	r.Chunks = append(r.Chunks, llm.Chunk{End: &llm.End{Reason: llm.EndCalls}})
	return r
}

// Info implements llm.Model.
func (s *Script) Info() llm.Info {
	info := llm.Info{ID: s.ID, ContextWindow: s.Window, MaxOutput: s.Output, Price: &s.Price, Images: s.Images}
	if s.ID == "" {
		info.ID = "script"
	}
	if s.Unpriced {
		info.Price = nil
	}
	return info
}

// Requests returns the requests so far.
func (s *Script) Requests() []llm.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Stream implements llm.Model.
func (s *Script) Stream(_ context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		s.mu.Lock()
		n := len(s.requests)
		req.Messages = slices.Clone(req.Messages)
		s.requests = append(s.requests, req)
		s.mu.Unlock()
		var reply Reply
		switch {
		case n < len(s.Replies):
			reply = s.Replies[n]
		case s.Next != nil:
			reply = s.Next(n, req)
		default:
			reply.Err = fmt.Errorf("the script has no reply %d", n+1)
		}
		for _, c := range reply.Chunks {
			if !yield(c, nil) {
				return
			}
		}
		if reply.Err != nil {
			yield(llm.Chunk{}, reply.Err)
		}
	}
}
