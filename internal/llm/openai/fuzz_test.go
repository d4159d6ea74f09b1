package openai_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/llm/openai"
)

// canned answers every request with the same bytes, as the network cuts them.
type canned struct {
	raw string
	cut func(io.Reader) io.Reader
}

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(c.cut(strings.NewReader(c.raw)))}, nil
}

// FuzzStream feeds the reader of streams anything at all: it must not break,
// must not take what was cut for whole, and must not care where the network
// cuts the bytes.
func FuzzStream(f *testing.F) {
	f.Add("data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
	f.Add("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":3,\"function\":{\"arguments\":7}}]}}]}\n\n")
	f.Add(": ping\r\n\r\ndata:{\"choices\":[{\"delta\":\ndata: {\"content\":null}}]}\r\n\r\ndata:[DONE]")
	f.Add("{\"choices\":[{\"message\":{\"content\":[{\"text\":\"x\"}]},\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":1.0}}")
	f.Add("data: {\"error\":{\"code\":400,\"message\":\"context size\"}}\n")
	f.Add("\ufeff<html>")
	f.Fuzz(func(t *testing.T, raw string) {
		ask := func(cut func(io.Reader) io.Reader) string {
			c := &openai.Client{BaseURL: "http://model", HTTP: &http.Client{Transport: canned{raw, cut}}}
			reply, err := llmtest.Ask(t.Context(), c, llmtest.Go())
			if err != nil {
				return err.Error()
			}
			if !strings.Contains(raw, "DONE") && !strings.Contains(strings.ToLower(raw), "finish_reason") && !strings.Contains(raw, "\\u") {
				t.Errorf("a cut reply was taken for whole: %+v", reply)
			}
			text, err := json.Marshal(reply)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		whole := ask(func(r io.Reader) io.Reader { return r })
		bytewise := ask(iotest.OneByteReader)
		last := ask(iotest.DataErrReader) // the end comes with the last bytes
		if whole != bytewise || whole != last {
			t.Errorf("the outcome depends on the network:\n%s\n%s\n%s", whole, bytewise, last)
		}
	})
}

// The reader's memory is bounded whatever a server sends.
func TestEndlessLine(t *testing.T) {
	t.Parallel()
	endless := func(io.Reader) io.Reader { return io.MultiReader(strings.NewReader("data: "), repeat{}) }
	c := &openai.Client{BaseURL: "http://model", HTTP: &http.Client{Transport: canned{cut: endless}}}
	if _, err := llmtest.Ask(t.Context(), c, llmtest.Go()); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("got %v", err)
	}
}

type repeat struct{}

func (repeat) Read(p []byte) (int, error) {
	return copy(p, bytes.Repeat([]byte("x"), len(p))), nil
}
