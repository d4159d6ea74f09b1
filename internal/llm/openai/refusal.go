package openai

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/wire"
)

// maxRefusal is how much of an error's body is read.
const maxRefusal = 64 << 10

// refusal is the error of an answer that is not 200.
func refusal(res *http.Response, answer io.Reader, key string) error {
	body, err := io.ReadAll(io.LimitReader(answer, maxRefusal))
	e := parseError(wire.Hide(body, key))
	if e.Message == "" {
		e.Message = http.StatusText(res.StatusCode)
		if err != nil {
			e.Message += ", and its reason was cut off"
		}
	}
	e.Status = res.StatusCode
	e.RetryAfter = wire.RetryAfter(res.Header, time.Now())
	if overflows(e) {
		e.Code = "context_length_exceeded"
	}
	if takesNoTools(e) {
		e.Message = "this model, or the server as it was started, takes no tools, and nothing works without; take another model or start the server with tool calling: " + e.Message
	}
	return e
}

// inStream is an error that came as an event of an answer that had begun. One
// without a status of its own is the server's failure, which may pass.
func inStream(data []byte) error {
	e := parseError(data)
	if overflows(e) {
		e.Status, e.Code = http.StatusBadRequest, "context_length_exceeded"
	}
	if e.Status < 400 || e.Status > 599 {
		e.Status = http.StatusBadGateway
	}
	return e
}

// parseError reads the shapes that servers give their errors: {"error":
// {"message","type","code"}}, {"error":"text"}, {"detail":…}, {"message":…},
// and pages.
func parseError(body []byte) *llm.StatusError {
	var shape struct {
		Error   json.RawMessage `json:"error"`
		Detail  json.RawMessage `json:"detail"`
		Message string          `json:"message"`
		Type    string          `json:"type"`
		Code    any             `json:"code"`
	}
	e := &llm.StatusError{}
	if json.Unmarshal(body, &shape) != nil {
		e.Message = wire.Clip(pageTitle(body))
		return e
	}
	if json.Unmarshal(shape.Error, &e.Message) == nil && e.Message != "" {
		e.Message = wire.Clip(e.Message)
		return e
	}
	if len(shape.Error) > 0 && shape.Error[0] == '{' {
		inner := parseError(shape.Error)
		return inner
	}
	e.Message = shape.Message
	if e.Message == "" && len(shape.Detail) > 0 {
		if json.Unmarshal(shape.Detail, &e.Message) != nil {
			e.Message = string(shape.Detail)
		}
	}
	switch code := shape.Code.(type) {
	case string:
		e.Code = code
	case float64:
		e.Status = int(code)
	}
	if e.Code == "" {
		e.Code = shape.Type
	}
	e.Message = wire.Clip(e.Message)
	return e
}

var title = lazyregexp.New(`(?is)<(title|h1)[^>]*>(.*?)</`)

// pageTitle is what a web page says of itself, or the text if it is none.
func pageTitle(body []byte) string {
	if m := title.FindSubmatch(body); m != nil {
		return string(m[2])
	}
	return string(body)
}

// overflows recognizes a transcript that is too long. OpenAI says so by code,
// llama.cpp by type. The others have only words for it, in a refusal of the
// request; these cover vLLM and SGLang ("maximum context length", "maximum
// model length", "longer than the model's context length"), Ollama ("exceeds
// the context length"), LM Studio ("context length"), TGI ("inputs tokens +
// max_new_tokens must be <="), and what the router passes on from Anthropic
// ("prompt is too long", "exceed context limit") and Bedrock ("input is too
// long").
func overflows(e *llm.StatusError) bool {
	switch e.Code {
	case "context_length_exceeded", "exceed_context_size_error", "string_above_max_length":
		return true
	}
	switch e.Status {
	case 0, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
	default:
		return false
	}
	text := strings.ToLower(e.Message)
	if strings.Contains(text, "max_tokens") && strings.Contains(text, "too large") {
		return false // the limit of the reply is, which can be mended
	}
	return slices.ContainsFunc([]string{
		"context length", "context size", "context window", "context limit", "maximum model length",
		"prompt is too long", "input is too long", "`max_new_tokens` must be <=",
	}, func(words string) bool { return strings.Contains(text, words) })
}
