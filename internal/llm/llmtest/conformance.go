package llmtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm"
)

// RunModel tests a Model that speaks chat completions or the Messages API. The
// models that newModel returns ask the server, with stall limits of about five
// seconds: more than a slow machine pauses, less than a test may take.
func RunModel(t *testing.T, newModel func(t *testing.T, s *Server) llm.Model) {
	t.Run("Replies", func(t *testing.T) { t.Parallel(); replies(t, newModel) })
	t.Run("Usage", func(t *testing.T) { t.Parallel(); usage(t, newModel) })
	t.Run("Random", func(t *testing.T) { t.Parallel(); randomTranscripts(t, newModel) })
	t.Run("Failures", func(t *testing.T) { t.Parallel(); failures(t, newModel) })
	t.Run("Transcript", func(t *testing.T) { t.Parallel(); transcript(t, newModel) })
	t.Run("Cancel", func(t *testing.T) { t.Parallel(); cancel(t, newModel) })
	t.Run("EarlyStop", func(t *testing.T) { t.Parallel(); earlyStop(t, newModel) })
}

// RunPings tests that a reply is given up when only signs of life come, and
// not when words do. The models have an idle limit of half a second.
func RunPings(t *testing.T, newModel func(t *testing.T, s *Server) llm.Model) {
	t.Run("DeadButPinging", func(t *testing.T) {
		t.Parallel()
		s := NewServer(Turn{Text: strings.Repeat("x", 100), Chunk: 10, StallAfter: 3, Ping: true})
		defer s.Close()
		if reply, err := Ask(t.Context(), newModel(t, s), Go()); !llm.Temporary(err) {
			t.Errorf("got %+v, %v", reply, err)
		}
	})
	t.Run("SlowButAlive", func(t *testing.T) {
		t.Parallel()
		s := NewServer(Turn{Text: strings.Repeat("x", 80), Chunk: 1, PaceMS: 80})
		defer s.Close()
		if reply, err := Ask(t.Context(), newModel(t, s), Go()); err != nil || len(reply.Message.Text()) != 80 {
			t.Errorf("got %+v, %v", reply, err)
		}
	})
}

// Ask collects the reply to one request. A stream that ends without an error
// and without an End is an error here.
func Ask(ctx context.Context, m llm.Model, req llm.Request) (llm.Reply, error) {
	var sum llm.Collector
	for c, err := range m.Stream(ctx, req) {
		if err != nil {
			return llm.Reply{}, err
		}
		sum.Add(c)
	}
	reply, whole := sum.Reply()
	if !whole {
		return reply, errors.New("the stream stopped without an end and without an error")
	}
	return reply, nil
}

// Go is the shortest request.
func Go() llm.Request {
	return llm.Request{Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: "go"}}}}}
}

const odd = "a\x00b \u2028 \U0001F9EA e\u0301 \ufeff \"q\" <tag> & \\u0041 \\n \r\n\t\x7f 日本語 data: [DONE]"

func manyCalls(n int) []TurnCall {
	calls := make([]TurnCall, n)
	for i := range calls {
		calls[i] = TurnCall{Name: fmt.Sprint("tool", i), Args: fmt.Sprintf(`{"i":%d,"s":"é"}`, i)}
	}
	return calls
}

func replies(t *testing.T, newModel func(*testing.T, *Server) llm.Model) {
	args, err := json.Marshal(map[string]string{"s": odd})
	if err != nil {
		t.Fatal(err)
	}
	strange := []TurnCall{{Name: "f", Args: string(args)}}
	for name, turn := range map[string]Turn{
		"text":                                {Text: "hello"},
		"text in pieces":                      {Text: strings.Repeat("word ", 50), Chunk: 3},
		"odd characters":                      {Text: odd, Reasoning: odd, Calls: strange},
		"odd characters in pieces":            {Text: odd, Reasoning: odd, Calls: strange, Chunk: 1, ArgBytes: 1},
		"characters cut by the network":       {Text: odd, Reasoning: odd, Calls: strange, Write: 1},
		"reasoning, text and calls":           {Reasoning: "hm", Text: "so", Calls: manyCalls(2)},
		"64 calls":                            {Calls: manyCalls(64), ArgBytes: 2},
		"64 calls, whole":                     {Calls: manyCalls(64), Whole: true},
		"a call without arguments":            {Calls: []TurnCall{{Name: "f"}}},
		"calls without ids":                   {Calls: []TurnCall{{ID: "none", Name: "f", Args: "{}"}, {ID: "none", Name: "f", Args: `{"a":1}`}}, ArgBytes: 1},
		"calls with one id":                   {Calls: []TurnCall{{ID: "x", Name: "f", Args: "{}"}, {ID: "x", Name: "g", Args: `{"a":1}`}}, ArgBytes: 1},
		"a late first byte":                   {Text: "hello", DelayMS: 500},
		"calls without index":                 {Calls: manyCalls(3), NoIndex: true},
		"calls without index and with one id": {Calls: []TurnCall{{ID: "x", Name: "f", Args: "{}"}, {ID: "x", Name: "f", Args: `{"a":1}`}}, NoIndex: true},
		"calls without index and ids":         {Calls: []TurnCall{{ID: "none", Name: "f", Args: `{"a":1}`}, {ID: "none", Name: "f", Args: `{"a":1}`}}, NoIndex: true},
		"arguments that are not JSON":         {Calls: []TurnCall{{Name: "f", Args: `{"a":`}}},
		"no finish_reason":                    {Text: "hello", Finish: "none"},
		"no [DONE]":                           {Text: "hello", NoDone: true},
		"no usage":                            {Text: "hello", NoUsage: true},
		"wrong finish_reason":                 {Calls: manyCalls(1), Finish: "stop"},
		"not streamed":                        {Text: odd, Reasoning: "hm", Calls: strange, Whole: true},
		"a late answer":                       {Text: "hello", DelayMS: 50},
		"10 MB in one line":                   {Text: "0123456789", Repeat: 10 << 20 / 10},
		"2 MB in pieces":                      {Text: "0123456789", Repeat: 2 << 20 / 10, Chunk: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := NewServer(turn)
			defer s.Close()
			reply, err := Ask(t.Context(), newModel(t, s), Go())
			if err != nil {
				t.Fatal(err)
			}
			check(t, turn, reply)
		})
	}
}

// usage is taken as it comes where it can be, and estimated where it cannot.
func usage(t *testing.T, newModel func(*testing.T, *Server) llm.Model) {
	for name, tt := range map[string]struct {
		count Count
		want  llm.Usage // zero for an estimate
	}{
		"plain":    {Count{In: 50, Out: 7}, llm.Usage{Input: 50, Output: 7}},
		"cached":   {Count{In: 50, Out: 7, Cached: 20, Written: 10}, llm.Usage{Input: 50, Output: 7, CacheRead: 20, CacheWrite: 10}},
		"zero":     {Count{}, llm.Usage{}},
		"negative": {Count{In: -5, Out: -7}, llm.Usage{}},
		"absurd":   {Count{In: 1 << 40, Out: 1 << 40}, llm.Usage{}},
	} {
		s := NewServer(Turn{Text: "hello", Usage: &tt.count})
		reply, err := Ask(t.Context(), newModel(t, s), Go())
		got := reply.End.Usage
		if tt.want == (llm.Usage{}) {
			if err != nil || !got.Estimated || got.Input <= 0 || got.Output <= 0 || got.Input > 1000 {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		} else if got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
		s.Close()
	}
}

// randomTranscripts sends transcripts of every shape that a session can have;
// the server refuses what a provider would.
func randomTranscripts(t *testing.T, newModel func(*testing.T, *Server) llm.Model) {
	s := NewServerFunc(func(int) (Turn, bool) { return Turn{Text: "ok"}, true })
	defer s.Close()
	m := newModel(t, s)
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 3))
		req := llm.Request{System: []string{"", "system"}[r.IntN(2)], Messages: RandomTranscript(r), MaxOutput: r.IntN(2) * 5000, Effort: []string{"", "high"}[r.IntN(2)]}
		for range 1 + r.IntN(3) {
			if _, err := Ask(t.Context(), m, req); err != nil {
				t.Fatalf("seed %d: %v\n%+v", seed, err, req.Messages)
			}
			req.Messages = append(req.Messages, RandomExchange(r, len(req.Messages))...)
			req.Messages = append(req.Messages, llm.Message{Role: llm.User, Parts: []llm.Part{{Text: "more"}}})
		}
	}
}

// RandomTranscript is a transcript as a session makes it: it begins with the
// person's words, and every call has its result.
func RandomTranscript(r *rand.Rand) []llm.Message {
	messages := []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: "go"}}}}
	for range r.IntN(8) {
		messages = append(messages, RandomExchange(r, len(messages))...)
		for range r.IntN(3) {
			messages = append(messages, llm.Message{Role: llm.User, Parts: []llm.Part{{Text: "note"}}})
		}
	}
	if messages[len(messages)-1].Role == llm.Assistant {
		messages = append(messages, llm.Message{Role: llm.User, Parts: []llm.Part{{Text: "go on"}}})
	}
	return messages
}

// RandomExchange is a reply of the model, number n of the transcript, with the
// results of its calls.
func RandomExchange(r *rand.Rand, n int) []llm.Message {
	reply := llm.Message{Role: llm.Assistant}
	if r.IntN(2) == 0 {
		reply.Parts = append(reply.Parts, llm.Part{Reasoning: "hm", Proof: []*llm.Proof{
			nil, {Kind: "anthropic.signature", Data: "c2ln"}, {Kind: "openrouter.details", Data: `[{"type":"reasoning.text","text":"hm"}]`}, {Kind: "other", Data: "x"},
		}[r.IntN(4)]})
	}
	if r.IntN(4) == 0 {
		reply.Parts = append(reply.Parts, llm.Part{Proof: &llm.Proof{Kind: "anthropic.redacted", Data: "eA=="}})
	}
	if text := []string{"", " ", "so", odd}[r.IntN(4)]; text != "" {
		reply.Parts = append(reply.Parts, llm.Part{Text: text})
	}
	var results []llm.Message
	for i := range r.IntN(4) {
		id := []string{fmt.Sprintf("call_%d_%d", n, i), fmt.Sprintf("odd id.%d/%d ü", n, i)}[r.IntN(2)]
		reply.Parts = append(reply.Parts, llm.Part{Call: &llm.ToolCall{ID: id, Name: "f", Args: []string{"", "{}", `{"a":1}`, "[1]", "{half", "null"}[r.IntN(6)]}})
		result := llm.ToolResult{CallID: id, Text: []string{"", "ok", odd}[r.IntN(3)], IsError: r.IntN(2) == 0}
		if r.IntN(3) == 0 {
			result.Image = &llm.Image{MediaType: "image/png", Data: PNG(2, 2)}
		}
		results = append(results, llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &result}}})
	}
	if len(reply.Parts) == 0 {
		reply.Parts = []llm.Part{{Text: "nothing"}}
	}
	return append([]llm.Message{reply}, results...)
}

func check(t *testing.T, turn Turn, reply llm.Reply) {
	t.Helper()
	if got := reply.Message.Text(); got != turn.text() {
		t.Errorf("text %.100q, want %.100q", got, turn.text())
	}
	var reasoning string
	for _, p := range reply.Message.Parts {
		reasoning += p.Reasoning
	}
	if reasoning != turn.Reasoning {
		t.Errorf("reasoning %.100q, want %.100q", reasoning, turn.Reasoning)
	}
	calls := reply.Message.Calls()
	if len(calls) != len(turn.Calls) {
		t.Fatalf("%d calls, want %d: %+v", len(calls), len(turn.Calls), calls)
	}
	for i, want := range turn.Calls {
		if want.Args == "" {
			want.Args = "{}"
		}
		if calls[i].Name != want.Name || calls[i].Args != want.Args {
			t.Errorf("call %d is %+v, want %+v", i, calls[i], want)
		}
	}
	reason := llm.EndStop
	if len(turn.Calls) > 0 {
		reason = llm.EndCalls
	}
	if reply.Message.Role != llm.Assistant || reply.End.Reason != reason {
		t.Errorf("role %s, end %s, want %s", reply.Message.Role, reply.End.Reason, reason)
	}
	if u := reply.End.Usage; u.Output <= 0 || u.Input <= 0 || u.Estimated != turn.NoUsage {
		t.Errorf("usage %+v", u)
	}
}

// failures must be errors of the right class, and never a whole answer.
func failures(t *testing.T, newModel func(*testing.T, *Server) llm.Model) {
	text := Turn{Text: strings.Repeat("x", 100), Chunk: 10}
	after := func(set func(*Turn)) Turn {
		turn := text
		set(&turn)
		return turn
	}
	for name, tt := range map[string]struct {
		turn      Turn
		is        error
		temporary bool
	}{
		"no key":               {Turn{Status: 401}, llm.ErrAuth, false},
		"not allowed":          {Turn{Status: 403}, llm.ErrAuth, false},
		"bad request":          {Turn{Status: 400}, nil, false},
		"no credit":            {Turn{Status: 402}, llm.ErrCredit, false},
		"no such model":        {Turn{Status: 404}, nil, false},
		"overloaded":           {Turn{Status: 529}, nil, true},
		"unavailable":          {Turn{Status: 503, RetryAfter: "3"}, nil, true},
		"too long in words":    {Turn{Status: 400, Body: `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 213462 tokens > 200000 maximum"}}`}, llm.ErrContextOverflow, false},
		"too long":             {Turn{Status: 400, Body: `{"error":{"message":"x","code":"context_length_exceeded"}}`}, llm.ErrContextOverflow, false},
		"too large":            {Turn{Status: 413}, llm.ErrContextOverflow, false},
		"too many":             {Turn{Status: 429, RetryAfter: "3"}, nil, true},
		"no quota":             {Turn{Status: 429, Body: `{"error":{"message":"x","code":"insufficient_quota"}}`}, nil, false},
		"broken":               {Turn{Status: 500}, nil, true},
		"a page":               {Turn{Status: 502, Body: "<html>"}, nil, true},
		"reset":                {after(func(t *Turn) { t.CutAfter = 3 }), nil, true},
		"reset before the end": {after(func(t *Turn) { t.CutAfter = 10 }), nil, true},
		"ended early":          {after(func(t *Turn) { t.EndAfter = 3 }), nil, true},
		"ended in a call":      {Turn{Calls: manyCalls(2), ArgBytes: 1, EndAfter: 4}, nil, true},
		"stalled":              {after(func(t *Turn) { t.StallAfter = 3 }), nil, true},
		"nothing":              {Turn{Hang: true}, nil, true},
		"error in the stream":  {after(func(t *Turn) { t.ErrorAfter = 3 }), nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := NewServer(tt.turn)
			defer s.Close()
			reply, err := Ask(t.Context(), newModel(t, s), Go())
			if err == nil {
				t.Fatalf("no error, but %+v", reply)
			}
			if llm.Temporary(err) != tt.temporary || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("got %v, temporary %v; want %v, temporary %v", err, llm.Temporary(err), tt.is, tt.temporary)
			}
			e, ok := errors.AsType[*llm.StatusError](err)
			if tt.turn.Status != 0 && (!ok || e.Status != tt.turn.Status || tt.turn.RetryAfter != "" && e.RetryAfter != 3*time.Second) {
				t.Errorf("got %#v, want status %d", e, tt.turn.Status)
			}
		})
	}
}

// transcript sends every kind of message and checks that they arrive, and that
// a request is the beginning of the next.
func transcript(t *testing.T, newModel func(*testing.T, *Server) llm.Model) {
	s := NewServer(Turn{Text: "one"}, Turn{Text: "two"})
	defer s.Close()
	m := newModel(t, s)
	req := llm.Request{
		MaxOutput: 77,
		System:    "the system " + odd,
		Tools:     []llm.ToolSpec{{Name: "f", Description: odd, Schema: json.RawMessage(`{"type":"object"}`)}},
		Messages: []llm.Message{
			{Role: llm.User, Parts: []llm.Part{{Text: odd}}},
			{Role: llm.Assistant, Parts: []llm.Part{
				{Reasoning: "hm"},
				{Text: "I look"},
				{Call: &llm.ToolCall{ID: "1", Name: "f", Args: `{"a":1}`}},
				{Call: &llm.ToolCall{ID: "2", Name: "f", Args: `{not json`}},
			}},
			{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: "1", Text: odd}}}},
			{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: "2", Text: "bad arguments", IsError: true}}}},
		},
	}
	for _, want := range []string{"one", "two"} {
		reply, err := Ask(t.Context(), m, req)
		if err != nil || reply.Message.Text() != want {
			t.Fatalf("got %v, %v", reply, err)
		}
		req.Messages = append(req.Messages, reply.Message, llm.Message{Role: llm.User, Parts: []llm.Part{{Text: "more"}}})
	}
	seen := s.Seen()
	// The Messages wire may still add to the last message.
	prefix := seen[0].Body[:bytes.LastIndex(seen[0].Body, []byte("bad arguments"))]
	if !bytes.HasPrefix(seen[1].Body, prefix) {
		t.Errorf("the first request is not the beginning of the second:\n%s\n%s", seen[0].Body, seen[1].Body)
	}
	if !bytes.Contains(seen[0].Body, []byte(`_tokens":77`)) {
		t.Errorf("the limit of the reply is missing: %s", seen[0].Body)
	}
	if seen[0].Header.Get("Anthropic-Version") == "" {
		checkBody(t, seen[0].Body)
	}
}

func checkBody(t *testing.T, body []byte) {
	t.Helper()
	var sent struct {
		Stream   bool
		Messages []struct {
			Role       string
			Content    *string
			ToolCallID string `json:"tool_call_id"`
			ToolCalls  []struct {
				ID       string
				Function struct{ Name, Arguments string }
			} `json:"tool_calls"`
		}
		Tools []struct {
			Function struct{ Name, Description string }
		}
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		t.Fatal(err)
	}
	var roles []string
	for _, m := range sent.Messages {
		roles = append(roles, m.Role)
		for _, c := range m.ToolCalls {
			if args := map[string]any{}; json.Unmarshal([]byte(c.Function.Arguments), &args) != nil {
				t.Errorf("arguments that are no object: %s", c.Function.Arguments)
			}
		}
	}
	if got := strings.Join(roles, " "); got != "system user assistant tool tool" {
		t.Fatalf("roles %s", got)
	}
	if m := sent.Messages[3]; m.ToolCallID != "1" || *m.Content != odd {
		t.Errorf("result %+v", m)
	}
	if c := sent.Messages[2].ToolCalls; len(c) != 2 || c[0].Function.Arguments != `{"a":1}` || !strings.Contains(c[1].Function.Arguments, "not json") {
		t.Errorf("calls %+v", c)
	}
	if len(sent.Tools) != 1 || sent.Tools[0].Function.Description != odd || !sent.Stream {
		t.Errorf("tools %+v, stream %v", sent.Tools, sent.Stream)
	}
}

// cancel stops requests at three moments, and each must end at once: long
// before a stall limit.
func cancel(t *testing.T, newModel func(*testing.T, *Server) llm.Model) {
	for name, turn := range map[string]Turn{
		"before the first byte": {Hang: true},
		"in the middle":         {Text: strings.Repeat("x", 100), Chunk: 1, StallAfter: 5},
		"in a call":             {Calls: manyCalls(1), ArgBytes: 1, StallAfter: 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := NewServer(turn)
			defer s.Close()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var canceled time.Time
			time.AfterFunc(50*time.Millisecond, func() { canceled = time.Now(); stop() })
			_, err := Ask(ctx, newModel(t, s), Go())
			if !errors.Is(err, context.Canceled) || llm.Temporary(err) {
				t.Fatalf("got %v", err)
			}
			if took := time.Since(canceled); took > 30*time.Second {
				t.Errorf("it took %s to stop", took)
			}
		})
	}
	s := NewServer(Turn{Text: "x"})
	defer s.Close()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Ask(ctx, newModel(t, s), Go()); !errors.Is(err, context.Canceled) || len(s.Seen()) > 0 {
		t.Errorf("canceled before it began: %v, %d requests", err, len(s.Seen()))
	}
}

// earlyStop leaves the loop and expects that the request ends with it.
func earlyStop(t *testing.T, newModel func(*testing.T, *Server) llm.Model) {
	s := NewServer(Turn{Text: strings.Repeat("x", 100), Chunk: 1, StallAfter: 5}, Turn{Text: "next"})
	defer s.Close()
	m := newModel(t, s)
	for range m.Stream(t.Context(), Go()) {
		break
	}
	if reply, err := Ask(t.Context(), m, Go()); err != nil || reply.Message.Text() != "next" {
		t.Errorf("got %v, %v", reply, err)
	}
	for deadline := time.Now().Add(time.Minute); s.Seen()[0].Sent.IsZero(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the request goes on")
		}
	}
}
