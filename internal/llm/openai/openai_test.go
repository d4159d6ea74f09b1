package openai_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/llm/openai"
)

func client(s *llmtest.Server) *openai.Client {
	return &openai.Client{ID: "test/m", Model: "m", BaseURL: s.URL, APIKey: "sk-secret"}
}

func ask(ctx context.Context, m llm.Model, req llm.Request) (llm.Reply, error) {
	var sum llm.Collector
	for c, err := range m.Stream(ctx, req) {
		if err != nil {
			return llm.Reply{}, err
		}
		sum.Add(c)
	}
	reply, whole := sum.Reply()
	if !whole {
		return reply, errors.New("no end")
	}
	return reply, nil
}

func user(text string) llm.Message {
	return llm.Message{Role: llm.User, Parts: []llm.Part{{Text: text}}}
}

// Every dialect says the same in the end.
func TestDialects(t *testing.T) {
	t.Parallel()
	call := []llmtest.TurnCall{{Name: "f", Args: `{"a":"ü"}`}}
	two := []llmtest.TurnCall{{ID: "x", Name: "f", Args: `{"a":1}`}, {ID: "y", Name: "g", Args: `{"b":2}`}}
	tests := []struct {
		name   string
		turn   llmtest.Turn
		text   string
		calls  string // name args, …
		reason string
	}{
		{"text", llmtest.Turn{Text: "hello"}, "hello", "", "stop"},
		{"text in bytes", llmtest.Turn{Text: strings.Repeat("word ", 50), Chunk: 1}, strings.Repeat("word ", 50), "", "stop"},
		{"call", llmtest.Turn{Calls: call}, "", `f {"a":"ü"}`, "tool_calls"},
		{"arguments in bytes", llmtest.Turn{Calls: []llmtest.TurnCall{{Name: "f", Args: `{"a":"b"}`}}, ArgBytes: 1}, "", `f {"a":"b"}`, "tool_calls"},
		{"two calls, text before", llmtest.Turn{Text: "so", Calls: two, ArgBytes: 2}, "so", `f {"a":1}, g {"b":2}`, "tool_calls"},
		{"no index", llmtest.Turn{Calls: two, NoIndex: true}, "", `f {"a":1}, g {"b":2}`, "tool_calls"},
		{"no index, no id, arguments in bytes", llmtest.Turn{Calls: []llmtest.TurnCall{{ID: "none", Name: "f", Args: `{"a":1}`}}, NoIndex: true, ArgBytes: 1}, "", `f {"a":1}`, "tool_calls"},
		{"no arguments", llmtest.Turn{Calls: []llmtest.TurnCall{{Name: "f"}}}, "", `f {}`, "tool_calls"},
		{"wrong finish reason", llmtest.Turn{Calls: call, Finish: "stop"}, "", `f {"a":"ü"}`, "tool_calls"},
		{"no finish reason", llmtest.Turn{Text: "hello", Finish: "none"}, "hello", "", "stop"},
		{"no [DONE]", llmtest.Turn{Text: "hello", NoDone: true}, "hello", "", "stop"},
		{"no usage", llmtest.Turn{Text: "hello", NoUsage: true}, "hello", "", "stop"},
		{"cut by the limit", llmtest.Turn{Text: "hel", Finish: "length"}, "hel", "", "length"},
		{"not streamed", llmtest.Turn{Text: "hello", Calls: call, Whole: true}, "hello", `f {"a":"ü"}`, "tool_calls"},
		{"CRLF, comments, no blank after the colon", llmtest.Turn{Raw: ": ping\r\n\r\ndata:{\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\r\n\r\ndata:[DONE]\r\n\r\n"}, "hi", "", "stop"},
		{"no blank line at the end", llmtest.Turn{Raw: "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}"}, "hi", "", "stop"},
		{"event in two lines", llmtest.Turn{Raw: "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n"}, "hi", "", "stop"},
		{"arguments as an object", llmtest.Turn{Raw: `data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},"finish_reason":"stop"}]}` + "\n\n"}, "", `f {"a":1}`, "tool_calls"},
		{"name in every piece, nulls", llmtest.Turn{Raw: `data: {"choices":[{"delta":{"content":null,"tool_calls":[{"index":0,"id":"i","function":{"name":"f","arguments":"{"}}]}}]}` + "\n\n" +
			`data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"i","function":{"name":"f","arguments":"}"}}]},"finish_reason":"tool_calls"}],"error":null}` + "\n\n"}, "", `f {}`, "tool_calls"},
		{"every call has index 0", llmtest.Turn{Raw: `data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"i","function":{"name":"f","arguments":"{}"}}]}}]}` + "\n\n" +
			`data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"j","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}` + "\n\n"}, "", `f {}, g {}`, "tool_calls"},
		{"a line of 10 MB", llmtest.Turn{Text: strings.Repeat("x", 10<<20)}, strings.Repeat("x", 10<<20), "", "stop"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := llmtest.NewServer(tt.turn)
			defer s.Close()
			reply, err := ask(t.Context(), client(s), llm.Request{System: "s", Messages: []llm.Message{user("go")}})
			if err != nil {
				t.Fatal(err)
			}
			var calls []string
			for _, c := range reply.Message.Calls() {
				calls = append(calls, c.Name+" "+c.Args)
			}
			if got := strings.Join(calls, ", "); reply.Message.Text() != tt.text || got != tt.calls || reply.End.Reason != tt.reason {
				t.Errorf("got %.100q, calls %s, reason %s", reply.Message.Text(), got, reply.End.Reason)
			}
			if u := reply.End.Usage; u.Input == 0 || u.Estimated != (tt.turn.NoUsage || tt.turn.Raw != "") {
				t.Errorf("usage %+v", u)
			}
		})
	}
}

// Every failure has its class, keeps no key, and half a reply is never whole.
func TestFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		turn      llmtest.Turn
		is        error
		temporary bool
		text      string
	}{
		{"401", llmtest.Turn{Status: 401, Body: `{"error":{"message":"bad key","code":"invalid_api_key"}}`}, llm.ErrAuth, false, "bad key"},
		{"403", llmtest.Turn{Status: 403}, llm.ErrAuth, false, "scripted 403"},
		{"429", llmtest.Turn{Status: 429, RetryAfter: "7"}, nil, true, "scripted 429"},
		{"spent quota", llmtest.Turn{Status: 429, Body: `{"error":{"message":"pay","code":"insufficient_quota"}}`}, nil, false, "pay"},
		{"500", llmtest.Turn{Status: 500, Body: `{"error":"oh no"}`}, nil, true, "oh no"},
		{"529", llmtest.Turn{Status: 529}, nil, true, ""},
		{"a page", llmtest.Turn{Status: 502, Body: "<html><h1>Bad\n Gateway</h1></html>"}, nil, true, "Bad Gateway"},
		{"detail", llmtest.Turn{Status: 422, Body: `{"detail":[{"msg":"no such field"}]}`}, nil, false, "no such field"},
		{"too long, by code", llmtest.Turn{Status: 400, Body: `{"error":{"message":"x","code":"context_length_exceeded"}}`}, llm.ErrContextOverflow, false, ""},
		{"too long, vLLM", llmtest.Turn{Status: 400, Body: `{"object":"error","message":"This model's maximum context length is 100 tokens.","code":400}`}, llm.ErrContextOverflow, false, ""},
		{"too long, llama.cpp", llmtest.Turn{Status: 400, Body: `{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}`}, llm.ErrContextOverflow, false, ""},
		{"bad request", llmtest.Turn{Status: 400, Body: `{"error":{"message":"no such model"}}`}, nil, false, "no such model"},
		{"cut by a reset", llmtest.Turn{Text: strings.Repeat("x", 100), Chunk: 10, CutAfter: 3}, nil, true, ""},
		{"cut with an orderly end", llmtest.Turn{Raw: "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n"}, nil, true, "cut in the middle"},
		{"error in the stream", llmtest.Turn{Raw: "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\ndata: {\"error\":{\"message\":\"worker died\"}}\n\n"}, nil, true, "worker died"},
		{"an event cut in the middle", llmtest.Turn{Raw: "data: {\"choices\":[{\"delta\":{\"conte"}, nil, true, "read reply"},
		{"nothing at all", llmtest.Turn{Raw: "\n"}, nil, true, "cut in the middle"},
		{"silence", llmtest.Turn{Text: strings.Repeat("x", 100), Chunk: 10, StallAfter: 3}, nil, true, "fell silent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := llmtest.NewServer(tt.turn)
			defer s.Close()
			c := client(s)
			c.Idle = 200 * time.Millisecond
			_, err := ask(t.Context(), c, llm.Request{Messages: []llm.Message{user("go")}})
			if err == nil || llm.Temporary(err) != tt.temporary || (tt.is != nil && !errors.Is(err, tt.is)) {
				t.Fatalf("got %v, temporary %v", err, llm.Temporary(err))
			}
			if !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "sk-secret") {
				t.Errorf("the error says %q", err)
			}
			if e, ok := errors.AsType[*llm.StatusError](err); ok && tt.turn.RetryAfter == "7" && e.RetryAfter != 7*time.Second {
				t.Errorf("retry after %s", e.RetryAfter)
			}
		})
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	s := llmtest.NewServer()
	s.Close()
	_, err := ask(t.Context(), client(s), llm.Request{Messages: []llm.Message{user("go")}})
	if !llm.Temporary(err) {
		t.Errorf("got %v", err)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	s := llmtest.NewServer(llmtest.Turn{Text: "xxxxxxxxxx", Chunk: 1, StallAfter: 2})
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	start := time.Now()
	for _, err := range client(s).Stream(ctx, llm.Request{Messages: []llm.Message{user("go")}}) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			break
		}
		cancel()
	}
	cancel()
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

// A key goes to its own host only.
func TestRedirectToAnotherHost(t *testing.T) {
	t.Parallel()
	reached := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
	first := httptest.NewServer(http.RedirectHandler(strings.Replace(other.URL, "127.0.0.1", "localhost", 1)+"/v1/chat/completions", http.StatusTemporaryRedirect))
	defer first.Close()
	c := &openai.Client{BaseURL: first.URL, APIKey: "sk-secret"}
	_, err := ask(t.Context(), c, llm.Request{Messages: []llm.Message{user("go")}})
	if err == nil || reached {
		t.Errorf("err %v, reached %v", err, reached)
	}
}

// The bytes of a request are the beginning of the next one's, whatever the
// client remembers, and the same as a new client's.
func TestRequestsArePrefixes(t *testing.T) {
	t.Parallel()
	s := llmtest.NewServerFunc(func(int) (llmtest.Turn, bool) { return llmtest.Turn{Text: "ok"}, true })
	defer s.Close()
	tools := []llm.ToolSpec{{Name: "f", Description: "<do & it>", Schema: json.RawMessage(`{"type":"object"}`)}}
	c := client(s)
	messages := []llm.Message{user("one")}
	send := func(c *openai.Client) string {
		if _, err := ask(t.Context(), c, llm.Request{System: "sys", Messages: messages, Tools: tools}); err != nil {
			t.Fatal(err)
		}
		seen := s.Seen()
		return string(seen[len(seen)-1].Body)
	}
	before := send(c)
	add := func(m ...llm.Message) { messages = append(messages, m...) }
	steps := []func(){
		func() {
			add(llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Reasoning: "hm"}, {Call: &llm.ToolCall{ID: "1", Name: "f", Args: "{bad"}}}},
				llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: "1", Text: "<r>"}}}})
		},
		func() { add(llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: "done"}}}, user("two")) },
	}
	for _, step := range steps {
		step()
		after := send(c)
		if prefix := strings.TrimSuffix(before, "]}"); !strings.HasPrefix(after, prefix) {
			t.Errorf("not a prefix:\n%s\n%s", before, after)
		}
		if fresh := send(client(s)); fresh != after {
			t.Errorf("a new client sends other bytes:\n%s\n%s", fresh, after)
		}
		if !json.Valid([]byte(after)) {
			t.Errorf("not JSON: %s", after)
		}
		before = after
	}
	// A result that takes a placeholder's place, and a compaction, are seen.
	messages = append([]llm.Message(nil), messages...)
	messages[2] = llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: "1", Text: "other"}}}}
	if got := send(c); got != send(client(s)) || !strings.Contains(got, "other") {
		t.Errorf("a replaced message was not seen: %s", got)
	}
	messages = []llm.Message{user("summary")}
	if got := send(c); got != send(client(s)) || strings.Contains(got, "other") {
		t.Errorf("a compaction was not seen: %s", got)
	}
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	for suffix, ok := range map[string]bool{"": true, "/": true, "/v1": true, "/v1/": true, "/v1/chat/completions": true, "/v2": false} {
		s := llmtest.NewServer(llmtest.Turn{Text: "ok"})
		c := client(s)
		c.BaseURL = strings.TrimSuffix(s.URL, "/v1") + suffix
		if _, err := ask(t.Context(), c, llm.Request{Messages: []llm.Message{user("go")}}); (err == nil) != ok {
			t.Errorf("%q: %v", suffix, err)
		}
		s.Close()
	}
}

func BenchmarkStep(b *testing.B) {
	s := llmtest.NewServerFunc(func(int) (llmtest.Turn, bool) { return llmtest.Turn{Text: "ok"}, true })
	defer s.Close()
	c := client(s)
	for _, kb := range []int{50, 700, 4000} {
		b.Run(fmt.Sprintf("history=%dKB", kb), func(b *testing.B) {
			var messages []llm.Message
			for range kb {
				messages = append(messages, user(strings.Repeat("0123456789abcde\n", 64)))
			}
			for b.Loop() {
				messages = append(messages, user("more"))
				if _, err := ask(b.Context(), c, llm.Request{Messages: messages}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLongReply(b *testing.B) {
	s := llmtest.NewServerFunc(func(int) (llmtest.Turn, bool) {
		return llmtest.Turn{Text: strings.Repeat("0123456789abcdef", 50_000), Chunk: 16}, true
	})
	defer s.Close()
	for b.Loop() {
		if _, err := ask(b.Context(), client(s), llm.Request{Messages: []llm.Message{user("go")}}); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzStream(f *testing.F) {
	f.Add("data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
	f.Add("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":3,\"function\":{\"arguments\":7}}]}}]}\n\n")
	f.Fuzz(func(t *testing.T, raw string) {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, raw)
		}))
		defer srv.Close()
		reply, err := ask(t.Context(), &openai.Client{BaseURL: srv.URL}, llm.Request{})
		if err == nil && !strings.Contains(raw, "DONE") && !strings.Contains(raw, "finish_reason") {
			t.Errorf("a cut reply was taken for whole: %+v", reply)
		}
	})
}
