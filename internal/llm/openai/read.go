package openai

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/wire"
)

var errStopped = errors.New("the caller stopped ranging")

// A reader turns one answer into chunks.
type reader struct {
	promptBytes int
	tools       []llm.ToolSpec
	alive       func() // is told of every piece
	hangUp      func() // gives the connection up
	yield       func(llm.Chunk, error) bool

	calls    calls
	think    thinker
	said     strings.Builder // the text, where calls may hide in it
	reasoned strings.Builder
	details  detailList
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
		FinishReason words      `json:"finish_reason"`
	} `json:"choices"`
	Usage lenient         `json:"usage"`
	Error json.RawMessage `json:"error"`
}

type wireDelta struct {
	Content          content     `json:"content"`
	ReasoningContent content     `json:"reasoning_content"`
	Reasoning        content     `json:"reasoning"`
	ReasoningDetails lenient     `json:"reasoning_details"`
	Refusal          words       `json:"refusal"`
	ToolCalls        []deltaCall `json:"tool_calls"`
}

// lenient is a field that is looked at later: a wrong type must not cost the
// rest of the piece.
type lenient = json.RawMessage

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
		WriteTokens  float64 `json:"cache_write_tokens"`
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
	if r.finish == "error" {
		return &llm.StatusError{Status: http.StatusBadGateway, Message: "the provider ended the reply with an error"}
	}
	if err := r.close(); err != nil {
		return err
	}
	return r.send(llm.Chunk{End: &llm.End{Reason: r.reason(), Usage: r.total()}})
}

// close sends what had to wait for the end: text that might have been a mark
// of reasoning, the provider's own record of the reasoning, and the calls.
func (r *reader) close() error {
	hidden, text := r.think.flush()
	if err := errors.Join(r.thought(hidden), r.text(text)); err != nil {
		return errStopped
	}
	list := r.calls.list(r.cutOff())
	if len(list) == 0 && len(r.tools) > 0 {
		if prose, found := textCalls(r.said.String(), r.tools); len(found) > 0 {
			if err := r.begunAgain(prose); err != nil {
				return err
			}
			r.calls.written = len(found)
			list = found
		}
	}
	if data := r.details.join(); data != "" {
		if err := r.send(llm.Chunk{Proof: &llm.Proof{Kind: details, Data: data}}); err != nil {
			return err
		}
	}
	for _, call := range list {
		r.outBytes += len(call.Args)
		if err := r.send(llm.Chunk{Call: &call}); err != nil {
			return err
		}
	}
	return nil
}

// cutOff reports whether the output limit ended the reply, in the words of
// several servers.
func (r *reader) cutOff() bool {
	switch strings.ToLower(r.finish) {
	case "length", "max_tokens", "model_length", "max_output_tokens":
		return true
	}
	return false
}

// begunAgain makes void what was sent, because calls were written in it, and
// sends what is left.
func (r *reader) begunAgain(prose string) error {
	for _, c := range []llm.Chunk{{Restart: true}, {Reasoning: r.reasoned.String()}, {Text: prose}} {
		if c.Restart || c.Reasoning != "" || c.Text != "" {
			if err := r.send(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *reader) send(c llm.Chunk) error {
	if !r.yield(c, nil) {
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
		data, err := io.ReadAll(io.LimitReader(br, wire.MaxEvent))
		if err != nil {
			return err
		}
		return r.event(data)
	}
	for event, err := range wire.Events(br) {
		if err != nil && r.finish != "" {
			return nil // all but the usage is there
		}
		if err != nil {
			return err
		}
		if bytes.Equal(event.Data, []byte("[DONE]")) {
			r.done = true
			r.drain(br)
			return nil
		}
		r.alive()
		if err := r.event(event.Data); err != nil {
			if _, cut := errors.AsType[*llm.TransportError](err); cut && r.finish != "" {
				return nil // all but the usage is there
			}
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
	var usage wireUsage
	if len(piece.Usage) > 0 && json.Unmarshal(piece.Usage, &usage) == nil && piece.Usage[0] == '{' {
		r.usage = &usage
	}
	choice := piece.Choices[0]
	if choice.FinishReason != "" && choice.FinishReason != "null" {
		r.finish = string(choice.FinishReason)
	}
	if choice.Message != nil {
		return r.delta(*choice.Message)
	}
	return r.delta(choice.Delta)
}

func (r *reader) delta(d wireDelta) error {
	reasoning := string(d.ReasoningContent)
	if reasoning == "" {
		reasoning = string(d.Reasoning) // servers in transition send both
	}
	if err := r.thought(reasoning); err != nil {
		return err
	}
	text := string(d.Content) + string(d.Refusal)
	if text != "" {
		var hidden string
		hidden, text = r.think.split(text)
		if err := r.thought(hidden); err != nil {
			return err
		}
	}
	if err := r.text(text); err != nil {
		return err
	}
	var pieces []json.RawMessage
	if json.Unmarshal(d.ReasoningDetails, &pieces) == nil {
		r.details.add(pieces)
	}
	for _, c := range d.ToolCalls {
		r.calls.add(c)
	}
	return nil
}

func (r *reader) thought(reasoning string) error {
	if reasoning == "" {
		return nil
	}
	r.outBytes += len(reasoning)
	if len(r.tools) > 0 {
		r.reasoned.WriteString(reasoning)
	}
	return r.send(llm.Chunk{Reasoning: reasoning})
}

func (r *reader) text(text string) error {
	if text == "" {
		return nil
	}
	r.outBytes += len(text)
	if len(r.tools) > 0 {
		r.said.WriteString(text)
	}
	return r.send(llm.Chunk{Text: text})
}

// reason is why the reply ended; what it holds counts more than what it says.
func (r *reader) reason() string {
	switch {
	case r.cutOff():
		return llm.EndLength
	case len(r.calls.all)+r.calls.written > 0:
		return llm.EndCalls
	case r.finish == "" || r.finish == "tool_calls" || r.finish == "function_call":
		return llm.EndStop
	}
	return r.finish
}

// maxTokens is more than any model reads or writes at once.
const maxTokens = 10_000_000

// total is the usage, estimated at four bytes a token if there was none, or
// one that cannot be.
func (r *reader) total() llm.Usage {
	u := r.usage
	if u == nil || u.PromptTokens <= 0 && u.CompletionTokens <= 0 || u.PromptTokens < 0 || u.CompletionTokens < 0 ||
		u.PromptTokens > maxTokens || u.CompletionTokens > maxTokens {
		return llm.Usage{Input: r.promptBytes / 4, Output: r.outBytes/4 + 1, Estimated: true}
	}
	read := max(u.PromptDetails.CachedTokens, u.CacheHits, 0)
	write := max(u.PromptDetails.WriteTokens, 0)
	if read+write > u.PromptTokens {
		read, write = 0, 0
	}
	return llm.Usage{Input: int(u.PromptTokens), Output: int(u.CompletionTokens), CacheRead: int(read), CacheWrite: int(write)}
}
