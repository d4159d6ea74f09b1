package redact_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/redact"
	"ml-intern/internal/secret"
)

// said is a model that says chunks, and keeps what it was asked.
type said struct {
	chunks []llm.Chunk
	err    error
	asked  llm.Request
}

func (s *said) Info() llm.Info { return llm.Info{ID: "test"} }

func (s *said) Stream(_ context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	s.asked = req
	return func(yield func(llm.Chunk, error) bool) {
		for _, c := range s.chunks {
			if !yield(c, nil) {
				return
			}
		}
		if s.err != nil {
			yield(llm.Chunk{}, s.err)
		}
	}
}

const (
	value = "correct-horse-battery"
	shape = "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH"
)

// reply is what comes of the chunks.
func reply(t *testing.T, chunks ...llm.Chunk) llm.Reply {
	t.Helper()
	var sum llm.Collector
	chunks = append(chunks, llm.Chunk{End: &llm.End{Reason: llm.EndStop}})
	for c, err := range redact.Model(&said{chunks: chunks}, secret.New(value)).Stream(t.Context(), llm.Request{}) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Text == "" && c.Reasoning == "" && c.Call == nil && c.Proof == nil && c.End == nil && !c.Restart && c.Notice == "" {
			t.Error("an empty chunk")
		}
		sum.Add(c)
	}
	r, whole := sum.Reply()
	if !whole {
		t.Error("the end is missing")
	}
	return r
}

// pieces are chunks of a text, a byte each.
func pieces(text string, chunk func(string) llm.Chunk) (all []llm.Chunk) {
	for i := range len(text) {
		all = append(all, chunk(text[i:i+1]))
	}
	return all
}

func text(s string) llm.Chunk      { return llm.Chunk{Text: s} }
func reasoning(s string) llm.Chunk { return llm.Chunk{Reasoning: s} }

func TestReply(t *testing.T) {
	t.Parallel()
	proof := llm.Chunk{Proof: &llm.Proof{Kind: "k", Data: "d"}}
	call := llm.Chunk{Call: &llm.ToolCall{ID: "1", Name: "write", Args: `{"a":"` + value + ` ` + shape + `"}`}}
	r := reply(t, slices.Concat(pieces("I think", reasoning), []llm.Chunk{proof}, pieces("it is "+shape+" and hf_", text), []llm.Chunk{call}, pieces("bye "+value, text))...)
	parts := r.Message.Parts
	if len(parts) != 4 {
		t.Fatalf("%+v", parts)
	}
	if parts[0].Reasoning != "I think" || parts[0].Proof == nil || parts[1].Text != "it is [redacted] and hf_" || parts[3].Text != "bye [redacted]" {
		t.Errorf("%+v", parts)
	}
	if got := parts[2].Call.Args; got != `{"a":"[redacted] `+shape+`"}` {
		t.Error(got)
	}
	r = reply(t, slices.Concat(pieces("I think "+value, reasoning), []llm.Chunk{proof}, pieces(" more", reasoning), []llm.Chunk{proof})...)
	if parts = r.Message.Parts; len(parts) != 1 || parts[0].Reasoning != "I think [redacted] more" || parts[0].Proof != nil {
		t.Errorf("%+v", parts)
	}
	if !strings.Contains(call.Call.Args, value) {
		t.Error("the chunk of the model itself was changed")
	}
}

// An attempt that is made again leaves nothing of the one before, and one that
// fails says so.
func TestRestartAndFailure(t *testing.T) {
	t.Parallel()
	if r := reply(t, text("correct-horse-"), llm.Chunk{Restart: true}, text("battery")); r.Message.Text() != "battery" {
		t.Error(r.Message.Text())
	}
	boom := errors.New("boom")
	var got error
	for _, err := range redact.Model(&said{chunks: []llm.Chunk{text("hf_")}, err: boom}, secret.New()).Stream(t.Context(), llm.Request{}) {
		got = err
	}
	if !errors.Is(got, boom) {
		t.Error(got)
	}
	for range redact.Model(&said{chunks: pieces("a b c", text)}, secret.New()).Stream(t.Context(), llm.Request{}) {
		break // the caller stops
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	m := &said{chunks: []llm.Chunk{{End: &llm.End{}}}}
	req := llm.Request{System: "s " + value, Messages: []llm.Message{
		{Role: llm.User, Parts: []llm.Part{{Text: "t " + shape}}},
		{Role: llm.Assistant, Parts: []llm.Part{{Reasoning: "r " + value, Proof: &llm.Proof{}}, {Call: &llm.ToolCall{Args: value}}}},
		{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{Text: "x " + value}}, {Text: "pad_token=<pad>"}}},
	}}
	for range redact.Model(m, secret.New(value)).Stream(t.Context(), req) {
		continue
	}
	a := m.asked.Messages
	if m.asked.System != "s [redacted]" || a[0].Parts[0].Text != "t [redacted]" || a[1].Parts[0].Reasoning != "r [redacted]" || a[1].Parts[0].Proof != nil ||
		a[1].Parts[1].Call.Args != "[redacted]" || a[2].Parts[0].Result.Text != "x [redacted]" || a[2].Parts[1].Text != "pad_token=<pad>" {
		t.Errorf("%+v", m.asked)
	}
	if req.Messages[2].Parts[0].Result.Text != "x "+value || req.Messages[1].Parts[1].Call.Args != value || req.Messages[0].Parts[0].Text != "t "+shape {
		t.Error("the transcript itself was changed")
	}
}
