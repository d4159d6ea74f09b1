package openai_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/llm/openai"
)

func client(s *llmtest.Server) *openai.Client {
	return &openai.Client{ID: "test/m", Model: "m", BaseURL: s.URL, APIKey: "sk-secret"}
}

func user(text string) llm.Message {
	return llm.Message{Role: llm.User, Parts: []llm.Part{{Text: text}}}
}

func TestModel(t *testing.T) {
	t.Parallel()
	llmtest.RunModel(t, func(_ *testing.T, s *llmtest.Server) llm.Model {
		return &openai.Client{Model: "m", BaseURL: s.URL, APIKey: "sk-secret", FirstByte: 20 * time.Second, Idle: 20 * time.Second}
	})
}

func TestPings(t *testing.T) {
	t.Parallel()
	llmtest.RunPings(t, func(_ *testing.T, s *llmtest.Server) llm.Model {
		return &openai.Client{Model: "m", BaseURL: s.URL, Idle: time.Second / 2}
	})
}

const done = `data: {"choices":[{"finish_reason":"tool_calls"}]}` + "\n\n"

// piece is an event with one piece of a call.
func piece(call string) string {
	return `data: {"choices":[{"delta":{"tool_calls":[` + call + "]}}]}\n\n"
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
		{"events without blank lines", llmtest.Turn{Raw: "data: {\"choices\":[{\"delta\":{\"content\":\"h\"}}]}\ndata: {\"choices\":[{\"delta\":{\"content\":\"i\"},\"finish_reason\":\"stop\"}]}\ndata: [DONE]\n"}, "hi", "", "stop"},
		{"a byte order mark, other fields", llmtest.Turn{Raw: "\ufeffevent: chunk\nid: 7\nretry: 1\ndata: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n"}, "hi", "", "stop"},
		{"content in parts", llmtest.Turn{Raw: `data: {"choices":[{"delta":{"content":[{"type":"text","text":"h"},{"type":"text","text":"i"}]},"finish_reason":"stop"}]}` + "\n\n"}, "hi", "", "stop"},
		{"an object called a stream", llmtest.Turn{Raw: `{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}`}, "hi", "", "stop"},
		{"a new id in every piece", llmtest.Turn{Raw: piece(`{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}`) + piece(`{"index":0,"id":"b","function":{"arguments":"}"}}`) + done}, "", "f {}", "tool_calls"},
		{"pieces of two calls mixed", llmtest.Turn{Raw: piece(`{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}`) + piece(`{"index":1,"id":"b","function":{"name":"g","arguments":"{"}}`) +
			piece(`{"index":0,"function":{"arguments":"}"}}`) + piece(`{"index":1,"function":{"arguments":"}"}}`) + done}, "", "f {}, g {}", "tool_calls"},
		{"mixed, one index, two ids", llmtest.Turn{Raw: piece(`{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}`) + piece(`{"index":0,"id":"b","function":{"name":"g","arguments":"{"}}`) +
			piece(`{"index":0,"id":"a","function":{"arguments":"}"}}`) + piece(`{"index":0,"id":"b","function":{"arguments":"}"}}`) + done}, "", "f {}, g {}", "tool_calls"},
		{"name repeated, no index, no id", llmtest.Turn{Raw: piece(`{"function":{"name":"f","arguments":"{\"a\""}}`) + piece(`{"function":{"name":"f","arguments":":1}"}}`) + piece(`{"function":{"name":"f","arguments":"{}"}}`) + done}, "", `f {"a":1}, f {}`, "tool_calls"},
		{"a line of 10 MB", llmtest.Turn{Text: strings.Repeat("x", 10<<20)}, strings.Repeat("x", 10<<20), "", "stop"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := llmtest.NewServer(tt.turn)
			defer s.Close()
			reply, err := llmtest.Ask(t.Context(), client(s), llm.Request{System: "s", Messages: []llm.Message{user("go")}})
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
		{"too long, SGLang", llmtest.Turn{Status: 400, Body: `{"object":"error","message":"The input (9 tokens) is longer than the model's context length (8 tokens).","code":400}`}, llm.ErrContextOverflow, false, ""},
		{"too long, in the stream", llmtest.Turn{Raw: "data: {\"error\":{\"code\":400,\"message\":\"x\",\"type\":\"exceed_context_size_error\"}}\n\n"}, llm.ErrContextOverflow, false, ""},
		{"the key in the answer", llmtest.Turn{Status: 401, Body: `{"error":"the key sk-secret is wrong"}`}, llm.ErrAuth, false, "(the key)"},
		{"refused in the stream", llmtest.Turn{Raw: "data: {\"error\":{\"code\":429,\"message\":\"slow down\"}}\n\n"}, nil, true, "slow down"},
		{"a page for an answer", llmtest.Turn{Raw: "<!doctype html><title>Welcome</title>"}, nil, false, "web page"},
		{"an empty refusal", llmtest.Turn{Status: 503, Body: " "}, nil, true, "Service Unavailable"},
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
			if tt.turn.StallAfter > 0 {
				c.Idle = 200 * time.Millisecond
			}
			_, err := llmtest.Ask(t.Context(), c, llm.Request{Messages: []llm.Message{user("go")}})
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
	_, err := llmtest.Ask(t.Context(), client(s), llm.Request{Messages: []llm.Message{user("go")}})
	if !llm.Temporary(err) {
		t.Errorf("got %v", err)
	}
}

// A key goes to its own host only, and what is refused is not asked for again.
func TestRedirects(t *testing.T) {
	t.Parallel()
	s := llmtest.NewServer(llmtest.Turn{Text: "ok"})
	defer s.Close()
	other := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	for _, status := range []int{301, 302, 303, 307, 308} {
		first := httptest.NewServer(http.RedirectHandler(other+"/chat/completions", status))
		_, err := llmtest.Ask(t.Context(), &openai.Client{Model: "m", BaseURL: first.URL, APIKey: "sk-secret"}, llmtest.Go())
		if err == nil || llm.Temporary(err) || len(s.Seen()) > 0 || !strings.Contains(err.Error(), "localhost") {
			t.Errorf("%d: err %v, %d requests", status, err, len(s.Seen()))
		}
		first.Close()
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", s)
	mux.Handle("/old/", http.RedirectHandler("/v1/chat/completions", http.StatusTemporaryRedirect))
	moved := httptest.NewServer(mux)
	defer moved.Close()
	reply, err := llmtest.Ask(t.Context(), &openai.Client{Model: "m", BaseURL: moved.URL + "/old", APIKey: "sk-secret"}, llmtest.Go())
	if err != nil || reply.Message.Text() != "ok" || s.Seen()[0].Header.Get("Authorization") != "Bearer sk-secret" {
		t.Errorf("on its own host: %v, %v", reply, err)
	}
}

// An address that cannot be one is said to be, once.
func TestAddressesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "localhost:8000", "127.0.0.1:8000/v1", "ftp://host/v1", "http://", "://"} {
		_, err := llmtest.Ask(t.Context(), &openai.Client{Model: "m", BaseURL: base}, llmtest.Go())
		if err == nil || llm.Temporary(err) || !strings.Contains(err.Error(), "http://") {
			t.Errorf("%q: %v", base, err)
		}
	}
}

// What happens after the reason to finish takes nothing from the reply.
func TestTroubleAfterTheEnd(t *testing.T) {
	t.Parallel()
	call := []llmtest.TurnCall{{Name: "f", Args: "{}"}}
	for name, turn := range map[string]llmtest.Turn{
		"reset": {Calls: call, CutAfter: 2},
		"stall": {Calls: call, StallAfter: 2},
		"end":   {Calls: call, EndAfter: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := llmtest.NewServer(turn)
			defer s.Close()
			c := client(s)
			if c.Idle = time.Minute; name == "stall" {
				c.Idle = 2 * time.Second
			}
			reply, err := llmtest.Ask(t.Context(), c, llmtest.Go())
			if err != nil || len(reply.Message.Calls()) != 1 || !reply.End.Usage.Estimated {
				t.Errorf("got %+v, %v", reply, err)
			}
		})
	}
}

// One connection serves all requests of a session, and one that the server
// leaves open after [DONE] holds nobody up.
func TestConnections(t *testing.T) {
	t.Parallel()
	var fresh atomic.Int32
	counted := func(h http.HandlerFunc) *httptest.Server {
		server := httptest.NewUnstartedServer(h)
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				fresh.Add(1)
			}
		}
		server.Start()
		return server
	}
	s := llmtest.NewServerFunc(func(int) (llmtest.Turn, bool) { return llmtest.Turn{Text: "ok", Chunk: 1}, true })
	defer s.Close()
	server := counted(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r)
		time.Sleep(5 * time.Millisecond) // the end of the answer comes after its last event
	})
	defer server.Close()
	for range 5 {
		if _, err := llmtest.Ask(t.Context(), &openai.Client{Model: "m", BaseURL: server.URL}, llmtest.Go()); err != nil {
			t.Fatal(err)
		}
	}
	if n := fresh.Load(); n > 4 { // a slow machine may lose some
		t.Errorf("5 requests took %d connections", n)
	}
	open := counted(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, piece(`{"id":"1","function":{"name":"f"}}`)+"data: [DONE]\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	defer open.Close()
	defer open.CloseClientConnections()
	start := time.Now()
	reply, err := llmtest.Ask(t.Context(), &openai.Client{Model: "m", BaseURL: open.URL}, llmtest.Go())
	if took := time.Since(start); err != nil || len(reply.Message.Calls()) != 1 || took > 50*time.Second { // silence is waited for for longer
		t.Errorf("got %+v, %v after %s", reply, err, took)
	}
}

// A caller that takes its time is no stall of the server's.
func TestSlowCaller(t *testing.T) {
	t.Parallel()
	s := llmtest.NewServer(llmtest.Turn{Text: strings.Repeat("x", 200_000), Chunk: 20_000})
	defer s.Close()
	c := client(s)
	c.FirstByte, c.Idle = time.Minute, 2*time.Second
	n := 0
	for _, err := range c.Stream(t.Context(), llmtest.Go()) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			time.Sleep(3 * time.Second)
		}
	}
	if n != 11 {
		t.Errorf("%d chunks", n)
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
		if _, err := llmtest.Ask(t.Context(), c, llm.Request{System: "sys", Messages: messages, Tools: tools}); err != nil {
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
	messages[2].Parts[0].Result.Text = "written over" // nobody should, and it is seen
	if got := send(c); got != send(client(s)) || !strings.Contains(got, "written over") {
		t.Errorf("a message that was written over was not seen: %s", got)
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
		if _, err := llmtest.Ask(t.Context(), c, llm.Request{Messages: []llm.Message{user("go")}}); (err == nil) != ok {
			t.Errorf("%q: %v", suffix, err)
		}
		s.Close()
	}
}

// played starts a server that reads requests and sends the same answer to all.
func played(b *testing.B, turn llmtest.Turn) *openai.Client {
	b.Helper()
	recorded := httptest.NewRecorder()
	s := llmtest.NewServer(turn)
	s.ServeHTTP(recorded, httptest.NewRequest(http.MethodPost, "/v1/chat/completions", nil))
	s.Close()
	answer := recorded.Body.Bytes()
	quick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(answer)
	}))
	b.Cleanup(quick.Close)
	return &openai.Client{Model: "m", BaseURL: quick.URL}
}

// BenchmarkStep is one more request of a session that has grown.
func BenchmarkStep(b *testing.B) {
	for _, kb := range []int{50, 700, 4000} {
		b.Run(fmt.Sprintf("history=%dKB", kb), func(b *testing.B) {
			c := played(b, llmtest.Turn{Text: "ok"})
			var messages []llm.Message
			for range kb {
				messages = append(messages, user(strings.Repeat("0123456789abcde\n", 64)))
			}
			for b.Loop() {
				messages = append(messages, user("more"))
				if _, err := llmtest.Ask(b.Context(), c, llm.Request{Messages: messages}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLongReply reads 800 KB in 50,000 chunks.
func BenchmarkLongReply(b *testing.B) {
	c := played(b, llmtest.Turn{Text: strings.Repeat("0123456789abcdef", 50_000), Chunk: 16})
	for b.Loop() {
		if _, err := llmtest.Ask(b.Context(), c, llmtest.Go()); err != nil {
			b.Fatal(err)
		}
	}
}

// A long history that is sent at once has the same bytes as one that has grown.
func TestLongHistoryAtOnce(t *testing.T) {
	t.Parallel()
	s := llmtest.NewServerFunc(func(int) (llmtest.Turn, bool) { return llmtest.Turn{Text: "ok"}, true })
	defer s.Close()
	var messages []llm.Message
	for i := range 800 {
		id := fmt.Sprint("c", i)
		messages = append(messages, user("question "+id),
			llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Call: &llm.ToolCall{ID: id, Name: "f", Args: `{"n":1}`}}}},
			llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: id, Text: strings.Repeat("é\n", i%40)}}}})
	}
	tools := []llm.ToolSpec{{Name: "f", Schema: json.RawMessage(`{"type":"object"}`)}}
	ask := func(c *openai.Client, n int) {
		if _, err := llmtest.Ask(t.Context(), c, llm.Request{System: "s", Tools: tools, Messages: messages[:n]}); err != nil {
			t.Fatal(err)
		}
	}
	grown := &openai.Client{Model: "m", BaseURL: s.URL}
	for n := 300; n <= len(messages); n += 300 {
		ask(grown, n)
	}
	ask(&openai.Client{Model: "m", BaseURL: s.URL}, len(messages))
	seen := s.Seen()
	if a, b := seen[len(seen)-2].Body, seen[len(seen)-1].Body; !bytes.Equal(a, b) {
		t.Errorf("%d bytes, and %d at once", len(a), len(b))
	}
}
