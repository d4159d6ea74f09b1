package llmtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm"
)

// RunModel tests a Model that speaks chat completions. The models that
// newModel returns ask the server, with stall limits of about five seconds: more
// than a slow machine pauses, less than a test may take.
func RunModel(t *testing.T, newModel func(t *testing.T, s *Server) llm.Model) {
	t.Run("Replies", func(t *testing.T) { t.Parallel(); replies(t, newModel) })
	t.Run("Failures", func(t *testing.T) { t.Parallel(); failures(t, newModel) })
	t.Run("Transcript", func(t *testing.T) { t.Parallel(); transcript(t, newModel) })
	t.Run("Cancel", func(t *testing.T) { t.Parallel(); cancel(t, newModel) })
	t.Run("EarlyStop", func(t *testing.T) { t.Parallel(); earlyStop(t, newModel) })
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
		"5 MB in one line":                    {Text: "0123456789", Repeat: 5 << 20 / 10},
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
		"cut object":           {Turn{Raw: `{"choices":[{"message":{"content":"hel`}, nil, true},
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
		System: "the system " + odd,
		Tools:  []llm.ToolSpec{{Name: "f", Description: odd, Schema: json.RawMessage(`{"type":"object"}`)}},
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
	if prefix := bytes.TrimSuffix(seen[0].Body, []byte("]}")); !bytes.HasPrefix(seen[1].Body, prefix) {
		t.Errorf("the first request is not the beginning of the second:\n%s\n%s", seen[0].Body, seen[1].Body)
	}
	checkBody(t, seen[0].Body)
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
			if took := time.Since(canceled); took > 5*time.Second {
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
	for deadline := time.Now().Add(10 * time.Second); s.Seen()[0].Sent.IsZero(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the request goes on")
		}
	}
}
