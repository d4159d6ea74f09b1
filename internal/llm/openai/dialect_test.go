package openai_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/llm/openai"
)

// sentBody is a request as it arrived.
func sentBody(t *testing.T, s *llmtest.Server, n int) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(s.Seen()[n].Body, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func refused(message string) llmtest.Turn {
	body, err := json.Marshal(map[string]any{"error": map[string]string{"message": message, "type": "invalid_request_error"}})
	if err != nil {
		panic(err)
	}
	return llmtest.Turn{Status: 400, Body: string(body)}
}

// What a server refuses by name is left out or named otherwise, once, and
// remembered.
func TestMending(t *testing.T) {
	t.Parallel()
	ok := llmtest.Turn{Text: "ok"}
	for name, tt := range map[string]struct {
		refusals []llmtest.Turn
		want     map[string]any // of the requests after; nil for absent
		notices  int
	}{
		"effort":          {[]llmtest.Turn{refused("Unsupported value: 'reasoning_effort' does not support 'xhigh'")}, map[string]any{"reasoning_effort": "high"}, 1},
		"effort, twice":   {[]llmtest.Turn{refused("reasoning_effort: bad"), refused("reasoning_effort: bad")}, map[string]any{"reasoning_effort": "low"}, 2},
		"no effort":       {[]llmtest.Turn{refused("Unrecognized request argument supplied: reasoning_effort"), refused("reasoning_effort"), refused("reasoning_effort")}, map[string]any{"reasoning_effort": nil}, 3},
		"limit":           {[]llmtest.Turn{refused("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")}, map[string]any{"max_tokens": nil, "max_completion_tokens": 500.0}, 1},
		"limit too large": {[]llmtest.Turn{refused("max_tokens is too large: 500. This model's maximum context length is 600")}, map[string]any{"max_tokens": 250.0, "max_completion_tokens": nil}, 1},
		"stream_options":  {[]llmtest.Turn{refused("stream_options: extra fields not permitted")}, map[string]any{"stream_options": nil}, 1},
		"cache key":       {[]llmtest.Turn{refused("unknown field prompt_cache_key")}, map[string]any{"prompt_cache_key": nil, "max_tokens": 500.0}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := llmtest.NewServer(append(tt.refusals, ok, ok)...)
			defer s.Close()
			c := client(s)
			c.Dialect.CacheKey = true
			c.Efforts = []string{"low", "medium", "high", "xhigh"}
			if name == "effort, twice" || name == "no effort" {
				c.Efforts = nil // low, medium, high
			}
			req := llmtest.Go()
			req.Effort, req.MaxOutput, req.Session = "xhigh", 500, "s"
			notices := 0
			for range 2 {
				for chunk, err := range c.Stream(t.Context(), req) {
					if err != nil {
						t.Fatal(err)
					}
					if chunk.Notice != "" {
						notices++
					}
				}
			}
			last := sentBody(t, s, len(s.Seen())-1)
			for key, want := range tt.want {
				if last[key] != want {
					t.Errorf("%s is %v, want %v", key, last[key], want)
				}
			}
			if notices != tt.notices || len(s.Seen()) != len(tt.refusals)+2 {
				t.Errorf("%d notices, %d requests", notices, len(s.Seen()))
			}
		})
	}
}

// A refusal that names nothing we could leave out is one, and so is the same
// one again and again.
func TestMendingEnds(t *testing.T) {
	t.Parallel()
	s := llmtest.NewServerFunc(func(int) (llmtest.Turn, bool) {
		return refused("reasoning_effort max_tokens stream_options prompt_cache_key reasoning_content cache_control"), true
	})
	defer s.Close()
	c := client(s)
	c.Dialect = openai.Dialect{CacheKey: true, CacheControl: true}
	req := llmtest.Go()
	req.Effort, req.MaxOutput, req.Session = "high", 500, "s"
	if _, err := llmtest.Ask(t.Context(), c, req); err == nil || len(s.Seen()) > 10 {
		t.Errorf("%v after %d requests", err, len(s.Seen()))
	}
}

// Each dialect says the same in its own way.
func TestDialectsOfRequests(t *testing.T) {
	t.Parallel()
	s := llmtest.NewServerFunc(func(int) (llmtest.Turn, bool) { return llmtest.Turn{Text: "ok"}, true })
	defer s.Close()
	req := llm.Request{System: "sys", Messages: llmtest.Go().Messages, Tools: twoTools, Effort: "max", MaxOutput: 9, Session: strings.Repeat("s", 300)}
	for _, d := range []openai.Dialect{
		{}, {EffortInObject: true, CacheControl: true}, {NewLimitName: true, CacheKey: true}, {SessionHeader: "X-HF-Session-id"},
	} {
		c := client(s)
		c.Dialect = d
		if _, err := llmtest.Ask(t.Context(), c, req); err != nil {
			t.Fatal(err)
		}
	}
	if b := sentBody(t, s, 0); b["reasoning_effort"] != "high" || b["max_tokens"] != 9.0 || b["prompt_cache_key"] != nil {
		t.Errorf("plain: %v", b)
	}
	if b := sentBody(t, s, 1); b["reasoning"].(map[string]any)["effort"] != "high" || b["cache_control"] == nil || bytes.Count(s.Seen()[1].Body, []byte("ephemeral")) != 3 {
		t.Errorf("OpenRouter: %s", s.Seen()[1].Body)
	}
	if b := sentBody(t, s, 2); b["max_completion_tokens"] != 9.0 || !strings.HasPrefix(b["prompt_cache_key"].(string), "ml-intern-") {
		t.Errorf("OpenAI: %v", b)
	}
	if got := s.Seen()[3].Header.Get("X-HF-Session-id"); len(got) != 256 {
		t.Errorf("the router's session is %q", got)
	}
}

// Reasoning details come in pieces and go back whole, and reasoning of other
// providers does not; a server that refuses them is not sent them again.
func TestReasoningDetails(t *testing.T) {
	t.Parallel()
	piece := func(d string) string {
		return `data: {"choices":[{"delta":{"reasoning":"x","reasoning_details":[` + d + `]}}]}` + "\n\n"
	}
	s := llmtest.NewServer(
		llmtest.Turn{Raw: piece(`{"type":"reasoning.text","index":0,"text":"he"}`) + piece(`{"type":"reasoning.text","index":0,"text":"llo"}`) +
			piece(`{"type":"reasoning.text","index":0,"signature":"sig"}`) + piece(`{"type":"reasoning.encrypted","index":1,"data":"zz"}`) +
			`data: {"choices":[{"delta":{"tool_calls":[{"id":"1","function":{"name":"bash","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}` + "\n\n"},
		refused("Invalid signature in reasoning_details"), llmtest.Turn{Text: "ok"}, llmtest.Turn{Text: "ok"},
	)
	defer s.Close()
	c, req := client(s), llmtest.Go()
	reply, err := llmtest.Ask(t.Context(), c, req)
	if err != nil {
		t.Fatal(err)
	}
	reply.Message.Parts = append([]llm.Part{{Reasoning: "y", Proof: &llm.Proof{Kind: "anthropic.signature", Data: "secret"}}}, reply.Message.Parts...)
	req.Messages = append(req.Messages, reply.Message, llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: "1", Text: "ok"}}}})
	for range 2 {
		if _, err := llmtest.Ask(t.Context(), c, req); err != nil {
			t.Fatal(err)
		}
	}
	want := `"reasoning_details":[{"index":0,"signature":"sig","text":"hello","type":"reasoning.text"},{"data":"zz","index":1,"type":"reasoning.encrypted"}]`
	for i, has := range []bool{false, true, false, false} {
		if body := string(s.Seen()[i].Body); strings.Contains(body, want) != has || strings.Contains(body, "secret") {
			t.Errorf("request %d: %s", i, body)
		}
	}
}

// Pictures go as links with data; those of tools follow the last result.
func TestPictures(t *testing.T) {
	t.Parallel()
	s := llmtest.NewServer(llmtest.Turn{Text: "a"}, llmtest.Turn{Text: "b"}, llmtest.Turn{Text: "c"})
	defer s.Close()
	png := &llm.Image{MediaType: "image/png", Data: llmtest.PNG(3, 2)}
	call := func(id string) llm.Part { return llm.Part{Call: &llm.ToolCall{ID: id, Name: "read"}} }
	result := func(id string, i *llm.Image) llm.Message {
		return llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: id, Text: "ok", Image: i}}}}
	}
	req := llm.Request{Messages: []llm.Message{
		{Role: llm.User, Parts: []llm.Part{{Text: "see"}, {Image: png}}},
		{Role: llm.Assistant, Parts: []llm.Part{call("1"), call("2"), call("3")}},
		result("1", png), result("2", nil), result("3", png),
	}}
	sees := client(s)
	sees.Images = true
	for _, c := range []*openai.Client{sees, client(s), sees} {
		if _, err := llmtest.Ask(t.Context(), c, req); err != nil {
			t.Fatal(err)
		}
		req.Messages = append(req.Messages, llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: "so"}}}, llm.Message{Role: llm.User, Parts: []llm.Part{{Text: "more"}}})
	}
	first, blind := string(s.Seen()[0].Body), string(s.Seen()[1].Body)
	if strings.Count(first, "data:image/png;base64,iVBOR") != 3 || strings.Contains(blind, "iVBOR") || !strings.Contains(blind, `"content":"see\n[the picture, which this model cannot see]"`) {
		t.Errorf("sent\n%s\n%s", first, blind)
	}
	if !bytes.HasPrefix(s.Seen()[2].Body, []byte(first[:strings.LastIndex(first, "]")])) {
		t.Error("a request is not the beginning of the next")
	}
}

// Words and pictures of a prompt keep their order; one that is lost is named.
func TestPicturesOfPrompt(t *testing.T) {
	t.Parallel()
	s := llmtest.NewServer(llmtest.Turn{Text: "a"})
	defer s.Close()
	c := client(s)
	c.Images = true
	parts := []llm.Part{
		{Text: "one"},
		{Image: &llm.Image{Name: "a.png", MediaType: "image/png", Data: llmtest.PNG(3, 2)}},
		{Text: "two"},
		{Image: &llm.Image{Name: "b.png", MediaType: "image/png"}},
	}
	req := llm.Request{Messages: []llm.Message{{Role: llm.User, Parts: parts}}}
	if _, err := llmtest.Ask(t.Context(), c, req); err != nil {
		t.Fatal(err)
	}
	body := string(s.Seen()[0].Body)
	for _, next := range []string{`"text":"one"`, "data:image/png;base64,iVBOR", `"text":"two"`, "[the picture b.png, which is not kept any more]"} {
		i := strings.Index(body, next)
		if i < 0 {
			t.Fatalf("no %s in its place: %s", next, s.Seen()[0].Body)
		}
		body = body[i:]
	}
}

// A server that refuses pictures is asked again without them, and not sent them
// again; the person is told. What else is refused is none of that.
func TestRefusedPictures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		text   string
	}{
		{400, "At most 0 image(s) may be provided in one prompt."},
		{404, "No endpoints found that support image input"},
		{500, "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"},
		{400, "Invalid content type. image_url is only supported by certain models."},
	} {
		s := llmtest.NewServer(llmtest.Turn{Status: tt.status, Body: fmt.Sprintf(`{"error":{"message":%q}}`, tt.text)}, llmtest.Turn{Text: "a"}, llmtest.Turn{Text: "b"})
		c := client(s)
		c.Images = true
		req := llm.Request{Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: "see"}, {Image: &llm.Image{Name: "a.png", MediaType: "image/png", Data: llmtest.PNG(3, 2)}}}}}}
		notice := ""
		for range 2 {
			for chunk, err := range c.Stream(t.Context(), req) {
				if err != nil {
					t.Fatal(err)
				}
				notice += chunk.Notice
			}
		}
		if seen := s.Seen(); len(seen) != 3 || !strings.Contains(string(seen[0].Body), "image_url") ||
			strings.Contains(string(seen[1].Body)+string(seen[2].Body), "image_url") || !strings.Contains(notice, tt.text[:20]) {
			t.Errorf("%s: %d requests, notice %q", tt.text, len(seen), notice)
		}
		s.Close()
	}
	s := llmtest.NewServer(refused("At most 0 image(s) may be provided"), llmtest.Turn{Text: "a"})
	defer s.Close()
	if _, err := llmtest.Ask(t.Context(), client(s), llmtest.Go()); err == nil || len(s.Seen()) != 1 {
		t.Errorf("a request without pictures was made again: %v", err)
	}
}

// A model without tools is said to be one.
func TestNoToolSupport(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"registry.ollama.ai/library/gemma:2b does not support tools",
		`"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set`,
		"No endpoints found that support tool use.",
		"tools param requires --jinja flag",
	} {
		s := llmtest.NewServer(refused(text))
		_, err := llmtest.Ask(t.Context(), client(s), llm.Request{Messages: llmtest.Go().Messages, Tools: twoTools})
		if err == nil || !strings.Contains(err.Error(), "takes no tools") || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v", err)
		}
		s.Close()
	}
}
