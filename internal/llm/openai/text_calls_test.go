package openai_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
)

var twoTools = []llm.ToolSpec{
	{Name: "bash", Schema: json.RawMessage(`{"type":"object","properties":{"command":{"type":"string"},"timeout_s":{"type":"integer"}}}`)},
	{Name: "read", Schema: json.RawMessage(`{"type":"object","properties":{"path":{"type":"string"}}}`)},
}

// stream is an answer of these pieces of text.
func stream(pieces ...string) llmtest.Turn {
	var b strings.Builder
	for _, p := range pieces {
		text, err := json.Marshal(p)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(&b, "data: {\"choices\":[{\"delta\":{\"content\":%s}}]}\n\n", text)
	}
	return llmtest.Turn{Raw: b.String() + "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n"}
}

// Calls that small models write as text are calls; what only looks like one is
// text.
func TestCallsInText(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, prose, calls string }{
		"Hermes":             {"I look.\n<tool_call>\n{\"name\": \"bash\", \"arguments\": {\"command\": \"ls\"}}\n</tool_call>", "I look.", `bash {"command": "ls"}`},
		"two, text after":    {`<tool_call>{"name":"bash","arguments":{"command":"ls"}}</tool_call><tool_call>{"name":"read","arguments":"{\"path\":\"x\"}"}</tool_call> so`, "so", `bash {"command":"ls"}, read {"path":"x"}`},
		"unclosed":           {`<tool_call>{"name":"bash","arguments":{}}`, "", `bash {}`},
		"Qwen3-Coder":        {"<tool_call>\n<function=bash>\n<parameter=command>\nls -l\n</parameter>\n<parameter=timeout_s>\n5\n</parameter>\n</function>\n</tool_call>", "", `bash {"command":"ls -l","timeout_s":5}`},
		"function alone":     {`<function=read>{"path": "a"}</function>`, "", `read {"path": "a"}`},
		"Mistral":            {`[TOOL_CALLS][{"name": "read", "arguments": {"path": "a"}}]`, "", `read {"path": "a"}`},
		"Mistral, new":       {`[TOOL_CALLS]read[ARGS]{"path": "a"}`, "", `read {"path": "a"}`},
		"Llama":              {`<|python_tag|>{"name": "read", "parameters": {"path": "a"}}`, "", `read {"path": "a"}`},
		"Granite":            {`<|tool_call|>[{"name": "read", "arguments": {"path": "a"}}]`, "", `read {"path": "a"}`},
		"DeepSeek":           {"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>read\n```json\n{\"path\": \"a\"}\n```<｜tool▁call▁end｜>", "<｜tool▁calls▁begin｜>", `read {"path": "a"}`},
		"bare":               {` {"name": "read", "arguments": {"path": "a"}} `, "", `read {"path": "a"}`},
		"bare in a fence":    {"```json\n{\"name\": \"read\", \"parameters\": {\"path\": \"a\"}}\n```", "", `read {"path": "a"}`},
		"OpenAI's own":       {`{"type":"function","function":{"name":"read","arguments":"{}"}}`, "", `read {}`},
		"half":               {`<tool_call>{"name": "bash", "arguments": {"command": "l`, "", `bash {"name": "bash", "arguments": {"command": "l`},
		"a tool of no one":   {`<tool_call>{"name": "fly", "arguments": {}}</tool_call>`, "", `fly {}`},
		"bare, of no one":    {`{"name": "Ada", "arguments": {}}`, `{"name": "Ada", "arguments": {}}`, ""},
		"bare, no arguments": {`{"name": "read"}`, `{"name": "read"}`, ""},
		"JSON as an answer":  {`{"accuracy": 0.9}`, `{"accuracy": 0.9}`, ""},
		"shown, not meant":   {"Write it so:\n```\n<tool_call>{\"name\":\"bash\",\"arguments\":{}}</tool_call>\n```\n", "Write it so:\n```\n<tool_call>{\"name\":\"bash\",\"arguments\":{}}</tool_call>\n```\n", ""},
		"talked about":       {"The mark <tool_call> begins a call.", "The mark <tool_call> begins a call.", ""},
		"many empty marks":   {strings.Repeat("<tool_call>", 2000), strings.Repeat("<tool_call>", 2000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			half := len(tt.text) / 2
			for _, turn := range []llmtest.Turn{stream(tt.text), stream(tt.text[:half], tt.text[half:])} {
				s := llmtest.NewServer(turn)
				req := llmtest.Go()
				req.Tools = twoTools
				reply, err := llmtest.Ask(t.Context(), client(s), req)
				s.Close()
				if err != nil {
					t.Fatal(err)
				}
				var calls []string
				for _, c := range reply.Message.Calls() {
					calls = append(calls, c.Name+" "+c.Args)
				}
				if got := strings.Join(calls, ", "); got != tt.calls || reply.Message.Text() != tt.prose {
					t.Errorf("got %.200q, %s", reply.Message.Text(), got)
				}
				if (reply.End.Reason == llm.EndCalls) != (tt.calls != "") {
					t.Errorf("ended with %s", reply.End.Reason)
				}
			}
		})
	}
}

// Without tools in the request, text is text.
func TestNoToolsNoCalls(t *testing.T) {
	t.Parallel()
	s := llmtest.NewServer(stream(`<tool_call>{"name":"bash","arguments":{}}</tool_call>`))
	defer s.Close()
	if reply, err := llmtest.Ask(t.Context(), client(s), llmtest.Go()); err != nil || len(reply.Message.Calls()) > 0 {
		t.Errorf("got %+v, %v", reply, err)
	}
}

// Reasoning between marks at the start is reasoning, however it is cut.
func TestThinkMarks(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		pieces          []string
		reasoning, text string
	}{
		"whole":        {[]string{"<think>hm</think>\n\nyes"}, "hm", "yes"},
		"cut":          {[]string{"\n<th", "ink>h", "m</", "think", ">", "yes"}, "hm", "yes"},
		"no mark":      {[]string{"<", "thin", "g> is a tag"}, "", "<thing> is a tag"},
		"later":        {[]string{"yes <think>no</think>"}, "", "yes <think>no</think>"},
		"never closed": {[]string{"<think>hm, ", "so </thi"}, "hm, so </thi", ""},
		"a less-than":  {[]string{"<think>1 < 2 </ x</think>ok"}, "1 < 2 </ x", "ok"},
	} {
		s := llmtest.NewServer(stream(tt.pieces...))
		reply, err := llmtest.Ask(t.Context(), client(s), llmtest.Go())
		s.Close()
		reasoning := ""
		for _, p := range reply.Message.Parts {
			reasoning += p.Reasoning
		}
		if err != nil || reasoning != tt.reasoning || reply.Message.Text() != tt.text {
			t.Errorf("%s: got %q, %q, %v", name, reasoning, reply.Message.Text(), err)
		}
	}
}
