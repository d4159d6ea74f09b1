package openai_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"testing"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/openai"
)

// forced makes the model call a tool: a small one would rather talk.
type forced struct{ tool string }

func (f forced) RoundTrip(req *http.Request) (*http.Response, error) {
	var body map[string]any
	err := json.NewDecoder(req.Body).Decode(&body)
	_ = req.Body.Close() // it was read
	if err != nil {
		return nil, err
	}
	body["tool_choice"] = map[string]any{"type": "function", "function": map[string]any{"name": f.tool}}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	return http.DefaultTransport.RoundTrip(req)
}

// TestLlama talks to a real server: scripts/test-llama starts one.
func TestLlama(t *testing.T) {
	url := os.Getenv("LLAMA_BASE_URL")
	if url == "" {
		t.Skip("this is `make test-llama`")
	}
	ask := func(t *testing.T, c *openai.Client, r llm.Request) (text string, texts int, calls []llm.ToolCall, end *llm.End) {
		for chunk, err := range c.Stream(t.Context(), r) {
			if err != nil {
				t.Fatal(err)
			}
			if chunk.Text != "" {
				text, texts = text+chunk.Text, texts+1
			}
			if chunk.Call != nil {
				calls = append(calls, *chunk.Call)
			}
			if chunk.End != nil {
				end = chunk.End
			}
		}
		t.Logf("%q in %d chunks, calls %+v, end %+v", text, texts, calls, end)
		return text, texts, calls, end
	}
	t.Run("text", func(t *testing.T) {
		_, texts, _, end := ask(t, &openai.Client{Model: "local", BaseURL: url}, llm.Request{
			Messages: []llm.Message{user("Name three colours.")}, MaxOutput: 40,
		})
		if texts < 2 || end == nil {
			t.Errorf("%d chunks of text, end %v", texts, end)
		}
	})
	t.Run("forced call", func(t *testing.T) {
		_, _, calls, end := ask(t, &openai.Client{Model: "local", BaseURL: url, HTTP: &http.Client{Transport: forced{"weather"}}}, llm.Request{
			Messages:  []llm.Message{user("What is the weather in Oslo?")},
			Tools:     []llm.ToolSpec{{Name: "weather", Description: "The weather of a city", Schema: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string","maxLength":20}},"required":["city"]}`)}},
			MaxOutput: 60,
		})
		if len(calls) != 1 || end == nil || !json.Valid([]byte(calls[0].Args)) {
			t.Errorf("calls %+v, end %v", calls, end)
		}
	})
}
