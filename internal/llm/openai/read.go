package openai

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"ml-intern/internal/llm"
)

var errStopped = errors.New("the caller stopped ranging")

// A reader turns one answer into chunks.
type reader struct {
	promptBytes int
	hangUp      func() // gives the connection up
	yield       func(llm.Chunk, error) bool

	calls    calls
	finish   string // the last finish_reason
	usage    *wireUsage
	outBytes int
	done     bool // [DONE] came
}

// The answer, whole or in pieces. Fields of all dialects stand side by side.
type wireReply struct {
	Choices [1]struct { // one was asked for
		Delta        wireDelta  `json:"delta"`
		Message      *wireDelta `json:"message"`
		FinishReason string     `json:"finish_reason"`
	} `json:"choices"`
	Usage *wireUsage      `json:"usage"`
	Error json.RawMessage `json:"error"`
}

type wireDelta struct {
	Content          content     `json:"content"`
	ReasoningContent content     `json:"reasoning_content"`
	Reasoning        content     `json:"reasoning"`
	Refusal          string      `json:"refusal"`
	ToolCalls        []deltaCall `json:"tool_calls"`
}

// content is text by the book, and a list of parts from some servers.
type content string

func (c *content) UnmarshalJSON(data []byte) error {
	switch {
	case data[0] == '"' && bytes.IndexByte(data, '\\') < 0 && utf8.Valid(data):
		*c = content(data[1 : len(data)-1]) // the most of a stream, at no further cost
		return nil
	case data[0] != '[':
		return json.Unmarshal(data, (*string)(c))
	}
	var parts []struct {
		Text string `json:"text"`
	}
	err := json.Unmarshal(data, &parts)
	for _, p := range parts {
		*c += content(p.Text)
	}
	return err
}

// Counts are floats because some servers write 12.0.
type wireUsage struct {
	PromptTokens     float64 `json:"prompt_tokens"`
	CompletionTokens float64 `json:"completion_tokens"`
	PromptDetails    struct {
		CachedTokens float64 `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	CacheHits float64 `json:"prompt_cache_hit_tokens"` // DeepSeek's name for the same
}

// read reads the answer to its end, streamed or not, by what it looks like:
// servers are wrong about the content type. Without a reason to finish or
// [DONE], the end is a cut.
func (r *reader) read(body io.Reader) error {
	if err := r.pieces(bufio.NewReaderSize(body, 64<<10)); err != nil {
		return err
	}
	if !r.done && r.finish == "" {
		return &llm.TransportError{Err: errors.New("the reply was cut in the middle")}
	}
	for _, call := range r.calls.list() {
		r.outBytes += len(call.Args)
		if !r.yield(llm.Chunk{Call: &call}, nil) {
			return errStopped
		}
	}
	if !r.yield(llm.Chunk{End: &llm.End{Reason: r.reason(), Usage: r.total()}}, nil) {
		return errStopped
	}
	return nil
}

func (r *reader) pieces(br *bufio.Reader) error {
	switch b, err := first(br); {
	case errors.Is(err, io.EOF):
		return nil // an empty stream is cut
	case err != nil:
		return err
	case b == '<':
		return &llm.StatusError{Status: http.StatusOK, Message: "it is a web page, not a reply: is the address that of the API?"}
	case b == '{':
		data, err := io.ReadAll(io.LimitReader(br, maxEvent))
		if err != nil {
			return err
		}
		return r.event(data)
	}
	for data, err := range events(br) {
		if err != nil && r.finish != "" {
			return nil // all but the usage is there
		}
		if err != nil {
			return err
		}
		if bytes.Equal(data, []byte("[DONE]")) {
			r.done = true
			r.drain(br)
			return nil
		}
		if err := r.event(data); err != nil {
			return err
		}
	}
	return nil
}

// drain reads what follows the end, which is nothing: a connection serves the
// next request only if the end of the answer has been seen. A server that
// leaves the answer open loses the connection.
func (r *reader) drain(br *bufio.Reader) {
	hurry := time.AfterFunc(drainTime, r.hangUp)
	defer hurry.Stop()
	_, _ = io.CopyN(io.Discard, br, 4096)
}

// drainTime is several round trips to most servers.
const drainTime = 100 * time.Millisecond

// event takes one piece of the answer, or the whole of one that is not streamed.
func (r *reader) event(data []byte) error {
	var piece wireReply
	if err := json.Unmarshal(data, &piece); err != nil {
		return &llm.TransportError{Err: fmt.Errorf("read reply: %w in %.200q", err, data)}
	}
	if len(piece.Error) > 0 && !bytes.Equal(piece.Error, []byte("null")) {
		return inStream(data)
	}
	if piece.Usage != nil {
		r.usage = piece.Usage
	}
	choice := piece.Choices[0]
	if choice.FinishReason != "" {
		r.finish = choice.FinishReason
	}
	if choice.Message != nil {
		return r.delta(*choice.Message)
	}
	return r.delta(choice.Delta)
}

func (r *reader) delta(d wireDelta) error {
	text := string(d.Content) + d.Refusal
	reasoning := string(d.ReasoningContent)
	if reasoning == "" {
		reasoning = string(d.Reasoning) // servers in transition send both
	}
	r.outBytes += len(text) + len(reasoning)
	if reasoning != "" && !r.yield(llm.Chunk{Reasoning: reasoning}, nil) {
		return errStopped
	}
	if text != "" && !r.yield(llm.Chunk{Text: text}, nil) {
		return errStopped
	}
	for _, c := range d.ToolCalls {
		r.calls.add(c)
	}
	return nil
}

// reason is why the reply ended; what it holds counts more than what it says.
func (r *reader) reason() string {
	switch {
	case r.finish == "length":
		return llm.EndLength
	case len(r.calls.all) > 0:
		return llm.EndCalls
	case r.finish == "" || r.finish == "tool_calls" || r.finish == "function_call":
		return llm.EndStop
	}
	return r.finish
}

// total is the usage, estimated at four bytes a token if there was none.
func (r *reader) total() llm.Usage {
	if r.usage == nil || r.usage.PromptTokens == 0 && r.usage.CompletionTokens == 0 {
		return llm.Usage{Input: r.promptBytes / 4, Output: r.outBytes / 4, Estimated: true}
	}
	return llm.Usage{
		Input:     int(r.usage.PromptTokens),
		Output:    int(r.usage.CompletionTokens),
		CacheRead: int(max(r.usage.PromptDetails.CachedTokens, r.usage.CacheHits)),
	}
}
