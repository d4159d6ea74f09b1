package openai

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"ml-intern/internal/llm"
)

var errStopped = errors.New("the caller stopped ranging")

// maxEvent is the longest event that is read: beyond it a server is broken.
const maxEvent = 64 << 20

// A reader turns one answer into chunks.
type reader struct {
	body        io.Reader
	promptBytes int
	yield       func(llm.Chunk, error) bool

	calls    calls
	finish   string // the last finish_reason
	usage    *wireUsage
	outBytes int
	done     bool // [DONE] came
}

// The answer, whole or in pieces. Fields of all dialects stand side by side.
type wireReply struct {
	Choices []struct {
		Delta        wireDelta  `json:"delta"`
		Message      *wireDelta `json:"message"`
		FinishReason string     `json:"finish_reason"`
	} `json:"choices"`
	Usage *wireUsage      `json:"usage"`
	Error json.RawMessage `json:"error"`
}

type wireDelta struct {
	Content          *string     `json:"content"`
	ReasoningContent string      `json:"reasoning_content"`
	Reasoning        string      `json:"reasoning"`
	Refusal          string      `json:"refusal"`
	ToolCalls        []deltaCall `json:"tool_calls"`
}

type wireUsage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	PromptDetails    struct {
		CachedTokens int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

// read reads the answer to its end. Without a reason to finish or [DONE], the
// end is a cut.
func (r *reader) read(whole bool) error {
	if err := r.events(whole); err != nil {
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

func (r *reader) events(whole bool) error {
	if whole {
		data, err := io.ReadAll(io.LimitReader(r.body, maxEvent))
		if err != nil {
			return err
		}
		return r.event(data)
	}
	for data, err := range events(r.body) {
		if err != nil {
			return err
		}
		if bytes.Equal(data, []byte("[DONE]")) {
			r.done = true
			return nil
		}
		if err := r.event(data); err != nil {
			return err
		}
	}
	return nil
}

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
	for _, choice := range piece.Choices {
		delta := choice.Delta
		if choice.Message != nil {
			delta = *choice.Message
		}
		if choice.FinishReason != "" {
			r.finish = choice.FinishReason
		}
		if err := r.delta(delta); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) delta(d wireDelta) error {
	text := d.Refusal
	if d.Content != nil {
		text = *d.Content + text
	}
	reasoning := d.ReasoningContent
	if reasoning == "" {
		reasoning = d.Reasoning
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
	return llm.Usage{Input: r.usage.PromptTokens, Output: r.usage.CompletionTokens, CacheRead: r.usage.PromptDetails.CachedTokens}
}

// events yields the data of each server-sent event. The slice is valid until
// the next one.
func events(body io.Reader) func(yield func([]byte, error) bool) {
	return func(yield func([]byte, error) bool) {
		br := bufio.NewReaderSize(body, 64<<10)
		var data []byte
		for {
			line, err := readLine(br)
			if value, ok := bytes.CutPrefix(line, []byte("data:")); ok {
				if len(data) > 0 {
					data = append(data, '\n')
				}
				data = append(data, bytes.TrimPrefix(value, []byte(" "))...)
			}
			if (len(line) == 0 || err != nil) && len(data) > 0 {
				if !yield(data, nil) {
					return
				}
				data = data[:0]
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// readLine reads a line without its end, LF or CRLF. The slice is valid until
// the next read.
func readLine(br *bufio.Reader) ([]byte, error) {
	line, err := br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		long := bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			line, err = br.ReadSlice('\n')
			if long = append(long, line...); len(long) > maxEvent {
				return nil, fmt.Errorf("read reply: an event is longer than %d MB", maxEvent>>20)
			}
		}
		line = long
	}
	return bytes.TrimRight(line, "\r\n"), err
}
