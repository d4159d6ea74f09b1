package anthropic_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/anthropic"
	"ml-intern/internal/llm/llmtest"
)

func client(s *llmtest.Server) *anthropic.Client {
	return &anthropic.Client{
		ID: "anthropic/m", Model: "m", BaseURL: s.URL, APIKey: "sk-secret", Images: true,
		Efforts: []string{"low", "medium", "high"}, Adaptive: true, FirstByte: 20 * time.Second, Idle: 20 * time.Second,
	}
}

func TestModel(t *testing.T) {
	t.Parallel()
	llmtest.RunModel(t, func(_ *testing.T, s *llmtest.Server) llm.Model { return client(s) })
}

func TestPings(t *testing.T) {
	t.Parallel()
	llmtest.RunPings(t, func(_ *testing.T, s *llmtest.Server) llm.Model {
		c := client(s)
		c.Idle = time.Second / 2
		return c
	})
}

// sent is a request as it arrived.
type sent struct {
	MaxTokens int `json:"max_tokens"`
	Thinking  *struct {
		Type   string
		Budget int `json:"budget_tokens"`
	}
	Output *struct{ Effort string } `json:"output_config"`
	Cache  json.RawMessage          `json:"cache_control"`
	System []struct {
		Cache json.RawMessage `json:"cache_control"`
	}
	Messages []struct {
		Role    string
		Content []struct{ Type, Text, Thinking, Signature, Data string }
	}
}

func seen(t *testing.T, s *llmtest.Server) []sent {
	t.Helper()
	var all []sent
	for _, r := range s.Seen() {
		var v sent
		if err := json.Unmarshal(r.Body, &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// The key goes in its own header, with the version, and blanks around it do not.
func TestHeaders(t *testing.T) {
	t.Setenv("ANTHROPIC_API_KEY", "sk-of-another") // the SDK must not look
	t.Setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
	s := llmtest.NewServer(llmtest.Turn{Text: "a"}, llmtest.Turn{Text: "b"})
	defer s.Close()
	for _, base := range []string{s.URL, strings.TrimSuffix(s.URL, "/v1") + "/"} {
		c := client(s)
		c.BaseURL, c.APIKey = base, " sk-secret\n"
		if _, err := llmtest.Ask(t.Context(), c, llmtest.Go()); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range s.Seen() {
		if r.Header.Get("X-Api-Key") != "sk-secret" || r.Header.Get("Anthropic-Version") == "" || r.Header.Get("Authorization") != "" {
			t.Errorf("headers %v", r.Header)
		}
	}
}

// Thinking comes with its signature and goes back with it; thinking of other
// providers does not.
func TestThinking(t *testing.T) {
	t.Parallel()
	s := llmtest.NewServer(
		llmtest.Turn{Reasoning: "hm", Signature: "c2ln", Calls: []llmtest.TurnCall{{Name: "f", Args: "{}"}}},
		llmtest.Turn{Text: "done"},
	)
	defer s.Close()
	c := client(s)
	req := llmtest.Go()
	reply, err := llmtest.Ask(t.Context(), c, req)
	if err != nil {
		t.Fatal(err)
	}
	first := reply.Message.Parts[0]
	if first.Reasoning != "hm" || first.Proof == nil || first.Proof.Data != "c2ln" {
		t.Fatalf("got %+v", first)
	}
	reply.Message.Parts = append([]llm.Part{
		{Proof: &llm.Proof{Kind: "anthropic.redacted", Data: "eA=="}},
		{Reasoning: "of another", Proof: &llm.Proof{Kind: "openrouter.details", Data: "[]"}},
		{Reasoning: "unsigned"},
	}, reply.Message.Parts...)
	req.Messages = append(req.Messages, reply.Message, result(reply.Message.Calls()[0].ID))
	if _, err := llmtest.Ask(t.Context(), c, req); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, b := range seen(t, s)[1].Messages[1].Content {
		kinds = append(kinds, b.Type+b.Thinking+b.Signature+b.Data)
	}
	if got := strings.Join(kinds, " "); got != "redacted_thinkingeA== thinkinghmc2ln tool_use" {
		t.Errorf("sent back %s", got)
	}
}

func result(id string) llm.Message {
	return llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: id, Text: "ok"}}}}
}

func refusal(message string) llmtest.Turn {
	body, err := json.Marshal(map[string]any{"type": "error", "error": map[string]string{"type": "invalid_request_error", "message": message}})
	if err != nil {
		panic(err)
	}
	return llmtest.Turn{Status: 400, Body: string(body)}
}

// Stale thinking is left out once it is refused, and not sent again; a second
// refusal is a failure.
func TestStaleThinking(t *testing.T) {
	t.Parallel()
	stale := refusal("messages.1.content.0: Invalid `signature` in `thinking` block")
	s := llmtest.NewServer(stale, llmtest.Turn{Text: "one"}, llmtest.Turn{Text: "two"}, stale, stale)
	defer s.Close()
	c := client(s)
	req := llmtest.Go()
	req.Effort = "high"
	req.Messages = append(req.Messages, llm.Message{Role: llm.Assistant, Parts: []llm.Part{
		{Reasoning: "hm", Proof: &llm.Proof{Kind: "anthropic.signature", Data: "old"}}, {Call: &llm.ToolCall{ID: "1", Name: "f"}},
	}}, result("1"))
	for range 2 {
		reply, err := llmtest.Ask(t.Context(), c, req)
		if err != nil {
			t.Fatal(err)
		}
		req.Messages = append(req.Messages, reply.Message, llm.Message{Role: llm.User, Parts: []llm.Part{{Text: "more"}}})
	}
	for i, r := range seen(t, s) {
		has := strings.Contains(string(s.Seen()[i].Body), `"signature"`)
		if has != (i == 0) || (r.Thinking != nil) == (i == 1) {
			t.Errorf("request %d: old thinking sent %v, thinking %+v", i, has, r.Thinking)
		}
	}
	if _, err := llmtest.Ask(t.Context(), c, req); err == nil {
		t.Error("a refusal that leaves nothing to mend is no error")
	}
}

// A level that the model does not take steps down once, is remembered, and the
// person is told.
func TestEffort(t *testing.T) {
	t.Parallel()
	s := llmtest.NewServer(refusal("output_config.effort: high is not supported by this model"), llmtest.Turn{Text: "a"}, llmtest.Turn{Text: "b"})
	defer s.Close()
	c := client(s)
	req := llmtest.Go()
	req.Effort = "max"
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
	var levels []string
	for _, r := range seen(t, s) {
		levels = append(levels, r.Output.Effort)
	}
	if got := strings.Join(levels, " "); got != "high medium medium" || notices != 1 {
		t.Errorf("levels %s, %d notices", got, notices)
	}
}

// Older models get a budget below the limit of the reply.
func TestBudget(t *testing.T) {
	t.Parallel()
	s := llmtest.NewServer(llmtest.Turn{Text: "a"}, llmtest.Turn{Text: "b"}, llmtest.Turn{Text: "c"})
	defer s.Close()
	c := client(s)
	c.Adaptive = false
	for _, limit := range []int{32_000, 4000, 500} {
		req := llmtest.Go()
		req.Effort, req.MaxOutput = "high", limit
		if _, err := llmtest.Ask(t.Context(), c, req); err != nil {
			t.Fatal(err)
		}
	}
	got := seen(t, s)
	if got[0].Thinking.Budget != 20_000 || got[1].Thinking.Budget != 3000 || got[2].Thinking != nil {
		t.Errorf("budgets %+v %+v %+v", got[0].Thinking, got[1].Thinking, got[2].Thinking)
	}
}

// Errors inside the stream have the class that their status would give them.
func TestErrorsInTheStream(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]struct {
		temporary bool
		is        error
	}{
		"overloaded_error": {true, nil}, "rate_limit_error": {true, nil}, "api_error": {true, nil},
		"authentication_error": {false, llm.ErrAuth}, "billing_error": {false, llm.ErrCredit}, "request_too_large": {false, llm.ErrContextOverflow},
	} {
		s := llmtest.NewServer(llmtest.Turn{Raw: "event: message_start\ndata: {\"type\":\"message_start\"}\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"" + kind + "\",\"message\":\"x\"}}\n\n"})
		_, err := llmtest.Ask(t.Context(), client(s), llmtest.Go())
		if err == nil || llm.Temporary(err) != want.temporary || want.is != nil && !errors.Is(err, want.is) {
			t.Errorf("%s: %v", kind, err)
		}
		s.Close()
	}
	s := llmtest.NewServer(refusal("Your credit balance is too low to access the Anthropic API."))
	defer s.Close()
	if _, err := llmtest.Ask(t.Context(), client(s), llmtest.Go()); !errors.Is(err, llm.ErrCredit) {
		t.Errorf("spent credit: %v", err)
	}
}

// The key never leaves its host, and is in no error.
func TestKeyStays(t *testing.T) {
	t.Parallel()
	s := llmtest.NewServer(llmtest.Turn{Text: "no"}, llmtest.Turn{Status: 401, Body: `{"error":{"type":"authentication_error","message":"bad key sk-secret"}}`})
	defer s.Close()
	other := httptest.NewServer(http.RedirectHandler(strings.Replace(s.URL, "127.0.0.1", "localhost", 1)+"/messages", http.StatusTemporaryRedirect))
	defer other.Close()
	c := client(s)
	c.BaseURL = other.URL
	if _, err := llmtest.Ask(t.Context(), c, llmtest.Go()); err == nil || llm.Temporary(err) || len(s.Seen()) > 0 {
		t.Errorf("a redirect: %v, %d requests", err, len(s.Seen()))
	}
	s2 := llmtest.NewServer(llmtest.Turn{Status: 401, Body: `{"error":{"type":"authentication_error","message":"bad key sk-secret"}}`})
	defer s2.Close()
	if _, err := llmtest.Ask(t.Context(), client(s2), llmtest.Go()); !errors.Is(err, llm.ErrAuth) || strings.Contains(err.Error(), "sk-secret") {
		t.Errorf("got %v", err)
	}
}

// Pictures go as blocks, in prompts and in results, and are left out once the
// provider has refused one: it would be refused for ever.
func TestPictures(t *testing.T) {
	t.Parallel()
	bad := llmtest.Turn{Status: 400, Body: `{"type":"error","error":{"type":"invalid_request_error","message":"messages.0.content.1.image.source.base64: Could not process image"}}`}
	s := llmtest.NewServer(llmtest.Turn{Text: "a"}, bad, llmtest.Turn{Text: "b"}, llmtest.Turn{Text: "c"})
	defer s.Close()
	c := client(s)
	picture := &llm.Image{Name: "a.png", MediaType: "image/png", Data: llmtest.PNG(3, 2)}
	req := llm.Request{Messages: []llm.Message{
		{Role: llm.User, Parts: []llm.Part{{Text: "see"}, {Image: picture}, {Image: &llm.Image{Name: "b.png", MediaType: "image/png"}}}},
		{Role: llm.Assistant, Parts: []llm.Part{{Call: &llm.ToolCall{ID: "1", Name: "read", Args: "{}"}}}},
		{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: "1", Text: "ok", Image: picture}}}},
	}}
	for range 3 {
		if _, err := llmtest.Ask(t.Context(), c, req); err != nil {
			t.Fatal(err)
		}
		req.Messages = append(req.Messages, llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: "so"}}}, llm.Message{Role: llm.User, Parts: []llm.Part{{Text: "more"}}})
	}
	seen := s.Seen()
	first := string(seen[0].Body)
	block := `{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBOR`
	if strings.Count(first, block) != 2 || !strings.Contains(first, "[the picture b.png, which is not kept any more]") {
		t.Errorf("sent %s", first)
	}
	if len(seen) != 4 || !strings.Contains(string(seen[1].Body), block) || strings.Contains(string(seen[2].Body)+string(seen[3].Body), block) ||
		!strings.Contains(string(seen[3].Body), "[the picture a.png, which this model cannot see]") {
		t.Errorf("%d requests after a refusal", len(seen))
	}
}

// The test's server refuses what the provider refuses.
func TestServerChecksPictures(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		picture llm.Image
		want    string
	}{
		"kind":  {llm.Image{MediaType: "image/bmp", Data: llmtest.PNG(1, 1)}, "media_type"},
		"lie":   {llm.Image{MediaType: "image/jpeg", Data: llmtest.PNG(1, 1)}, "appears to be a image/png"},
		"wide":  {llm.Image{MediaType: "image/png", Data: llmtest.PNG(8001, 1)}, "dimensions exceed"},
		"bytes": {llm.Image{MediaType: "image/png", Data: append(llmtest.PNG(1, 1), make([]byte, 4<<20)...)}, "5 MB maximum"},
		"torn":  {llm.Image{MediaType: "image/png", Data: llmtest.PNG(1, 1)[:12]}, "could not process image"},
	} {
		body, err := json.Marshal(map[string]any{"model": "m", "max_tokens": 1, "messages": []any{map[string]any{"role": "user", "content": []any{
			map[string]any{"type": "image", "source": map[string]any{"type": "base64", "media_type": tt.picture.MediaType, "data": tt.picture.Data}},
		}}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := llmtest.CheckMessages(body); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
