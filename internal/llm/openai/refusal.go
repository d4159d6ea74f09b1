package openai

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/llm"
)

// maxRefusal is how much of an error's body is read.
const maxRefusal = 64 << 10

// refusal is the error of an answer that is not 200.
func refusal(res *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
	if err != nil && len(body) == 0 {
		body = []byte(http.StatusText(res.StatusCode))
	}
	e := parseError(body)
	e.Status = res.StatusCode
	e.RetryAfter = retryAfter(res.Header, time.Now())
	if overflows(e) {
		e.Code = "context_length_exceeded"
	}
	return e
}

// inStream is an error that came as an event of an answer that had begun. One
// without a status of its own is the server's failure, which may pass.
func inStream(data []byte) error {
	e := parseError(data)
	if e.Status < 400 {
		e.Status = http.StatusBadGateway
	}
	if overflows(e) {
		e.Status, e.Code = http.StatusBadRequest, "context_length_exceeded"
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
		e.Message = clip(string(body))
		return e
	}
	if json.Unmarshal(shape.Error, &e.Message) == nil && e.Message != "" {
		e.Message = clip(e.Message)
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
	e.Message = clip(e.Message)
	return e
}

// clip is one line of a message that fits a screen.
func clip(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "") + "…"
	}
	return s
}

// overflows recognizes a transcript that is too long. Servers that follow the
// reference say so by code or type; vLLM and others have only words for it, of
// which these are the ones that their sources use.
func overflows(e *llm.StatusError) bool {
	switch e.Code {
	case "context_length_exceeded", "exceed_context_size_error", "string_above_max_length":
		return true
	}
	if e.Status != http.StatusBadRequest && e.Status != http.StatusRequestEntityTooLarge && e.Status != http.StatusUnprocessableEntity {
		return false
	}
	text := strings.ToLower(e.Message)
	for _, words := range []string{"maximum context length", "context size", "context window", "exceeds the available context"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

// retryAfter reads how long the server asks to wait: milliseconds, seconds or
// a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 {
		return time.Duration(ms * float64(time.Millisecond))
	}
	value := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(value, 64); err == nil && s > 0 {
		return time.Duration(s * float64(time.Second))
	}
	if at, err := http.ParseTime(value); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}
