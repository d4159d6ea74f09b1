package llm_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm"
)

func TestCollector(t *testing.T) {
	t.Parallel()
	call := func(id string) llm.Chunk { return llm.Chunk{Call: &llm.ToolCall{ID: id, Name: "f", Args: "{}"}} }
	proof := func(data string) llm.Chunk { return llm.Chunk{Proof: &llm.Proof{Kind: "k", Data: data}} }
	end := llm.Chunk{End: &llm.End{Reason: llm.EndStop, Usage: llm.Usage{Input: 1, Output: 2}}}
	tests := []struct {
		name   string
		chunks []llm.Chunk
		parts  string // JSON
		whole  bool
	}{
		{"nothing", nil, `null`, false},
		{"empty", []llm.Chunk{end}, `null`, true},
		{"text", []llm.Chunk{{Text: "a"}, {Text: "b"}, end}, `[{"text":"ab"}]`, true},
		{"no end", []llm.Chunk{{Text: "a"}}, `[{"text":"a"}]`, false},
		{
			"in order",
			[]llm.Chunk{{Reasoning: "r"}, {Reasoning: "s"}, {Text: "t"}, call("1"), call("2"), {Text: "u"}, {Reasoning: "v"}, end},
			`[{"reasoning":"rs"},{"text":"t"},{"call":{"id":"1","name":"f","args":"{}"}},{"call":{"id":"2","name":"f","args":"{}"}},{"text":"u"},{"reasoning":"v"}]`, true,
		},
		{
			"proofs",
			[]llm.Chunk{{Reasoning: "r"}, proof("1"), {Reasoning: "s"}, proof("2"), proof("3"), {Text: "t"}, proof("4"), end},
			`[{"reasoning":"r","proof":{"kind":"k","data":"1"}},{"reasoning":"s","proof":{"kind":"k","data":"2"}},{"proof":{"kind":"k","data":"3"}},{"text":"t"},{"proof":{"kind":"k","data":"4"}}]`, true,
		},
		{"notices are no part of it", []llm.Chunk{{Text: "a"}, {Notice: "slow"}, {Text: "b"}, end}, `[{"text":"ab"}]`, true},
		{"begun again", []llm.Chunk{{Text: "void"}, call("void"), {Restart: true}, {Text: "b"}, end}, `[{"text":"b"}]`, true},
		{"an end that became void", []llm.Chunk{{Text: "a"}, end, {Restart: true}, {Text: "b"}}, `[{"text":"b"}]`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var c llm.Collector
			for _, chunk := range tt.chunks {
				c.Add(chunk)
			}
			reply, whole := c.Reply()
			parts, err := json.Marshal(reply.Message.Parts)
			if err != nil || string(parts) != tt.parts || whole != tt.whole || reply.Message.Role != llm.Assistant {
				t.Errorf("got %s, whole %v, %v", parts, whole, err)
			}
			if whole && !reflect.DeepEqual(reply.End, *end.End) {
				t.Errorf("end %+v", reply.End)
			}
		})
	}
}

// Half a million chunks take about as long as copying them.
func TestCollectorIsLinear(t *testing.T) {
	t.Parallel()
	var c llm.Collector
	start := time.Now()
	for range 500_000 {
		c.Add(llm.Chunk{Text: "0123456789abcdef"})
	}
	reply, _ := c.Reply()
	if got := len(reply.Message.Text()); got != 8_000_000 {
		t.Errorf("%d bytes", got)
	}
	if took := time.Since(start); took > 20*time.Second { // quadratic is hours
		t.Errorf("it took %s", took)
	}
}

func TestMessageText(t *testing.T) {
	t.Parallel()
	m := llm.Message{Parts: []llm.Part{{Reasoning: "r"}, {Text: "a"}, {Call: &llm.ToolCall{ID: "1"}}, {Text: "b"}}}
	if m.Text() != "ab" || len(m.Calls()) != 1 || m.Calls()[0].ID != "1" {
		t.Errorf("text %q, calls %v", m.Text(), m.Calls())
	}
	if strings.Contains(m.Text(), "r") {
		t.Error("reasoning is not text")
	}
}
