package format_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ml-intern/internal/dataset/format"
)

func rows(t *testing.T, lines ...string) (columns []string, out []map[string]any) {
	t.Helper()
	seen := map[string]bool{}
	for _, line := range lines {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		for name := range row {
			if !seen[name] {
				seen[name] = true
				columns = append(columns, name)
			}
		}
		out = append(out, row)
	}
	return columns, out
}

// short writes a verdict in a line: fits as what, renames, changes, what is missing.
func short(v format.Verdict) string {
	var b strings.Builder
	if v.Fits {
		b.WriteString("fits: ")
	}
	b.WriteString(v.Format)
	for _, r := range v.Rename {
		fmt.Fprintf(&b, "; %s->%s", r.From, r.To)
	}
	if len(v.Convert) > 0 {
		fmt.Fprintf(&b, "; convert %d", len(v.Convert))
	}
	if len(v.Missing) > 0 {
		b.WriteString("; lacks " + strings.Join(v.Missing, ", "))
	}
	return b.String()
}

const (
	sft  = format.SFT
	dpo  = format.DPO
	kto  = format.KTO
	grpo = format.GRPO
	rm   = format.Reward
)

func TestJudge(t *testing.T) {
	t.Parallel()
	const (
		user = `{"role":"user","content":"q"}`
		good = `{"role":"assistant","content":"good"}`
		bad  = `{"role":"assistant","content":"bad"}`
	)
	cases := []struct {
		name string
		row  string
		want map[format.Method]string
	}{
		{"messages", `{"messages":[` + user + `,` + good + `]}`, map[format.Method]string{
			sft: "fits: conversations (messages)", dpo: "; lacks prompt, chosen, rejected", kto: "; lacks prompt, completion, label",
			grpo: "conversations; convert 1", rm: "; lacks chosen, rejected",
		}},
		{"messages under another name, as text", `{"dialogue_v2":"[{\"role\":\"user\",\"content\":\"q\"}]"}`, map[format.Method]string{sft: "conversations (messages); dialogue_v2->messages; convert 1"}},
		{"ShareGPT", `{"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}]}`, map[format.Method]string{
			sft: "conversations (ShareGPT); conversations->messages; convert 1", grpo: "conversations; convert 2",
		}},
		{"Alpaca", `{"instruction":"i","input":"x","output":"o"}`, map[format.Method]string{
			sft: "instructions (Alpaca); instruction->prompt; output->completion; convert 1", grpo: "prompts; instruction->prompt",
			kto: "; instruction->prompt; output->completion; lacks label",
		}},
		{"prompt and completion", `{"prompt":"p","completion":"c"}`, map[format.Method]string{sft: "fits: prompt and completion", grpo: "fits: prompts"}},
		{"question and answer", `{"question":"q","answer":"a"}`, map[format.Method]string{
			sft: "prompt and completion; question->prompt; answer->completion", grpo: "prompts with a reference; question->prompt",
		}},
		{"a prompt of messages", `{"prompt":[` + user + `],"completion":"c"}`, map[format.Method]string{sft: "prompt and completion; convert 1", grpo: "fits: prompts"}},
		{"text", `{"text":"t"}`, map[format.Method]string{sft: "fits: text", grpo: "; lacks prompt"}},
		{"text of another name", `{"Article":"t","id":3}`, map[format.Method]string{sft: "text; Article->text"}},
		{"nothing of use", `{"x":1,"y":2}`, map[format.Method]string{sft: "; lacks messages, or prompt and completion, or text", grpo: "; lacks prompt"}},
		{"preferences", `{"prompt":"p","chosen":"a","rejected":"b"}`, map[format.Method]string{
			dpo: "fits: preferences with a prompt", kto: "fits: preferences with a prompt", rm: "fits: preferences", grpo: "fits: prompts",
		}},
		{"preferences under other names", `{"question":"p","response_j":"a","response_k":"b"}`, map[format.Method]string{
			dpo: "preferences with a prompt; response_j->chosen; response_k->rejected; question->prompt",
		}},
		{"preferences without a prompt", `{"chosen":"a","rejected":"b"}`, map[format.Method]string{dpo: "preferences; lacks prompt", rm: "fits: preferences"}},
		{"implicit prompt", `{"chosen":[` + user + `,` + good + `],"rejected":[` + user + `,` + bad + `]}`, map[format.Method]string{
			dpo: "fits: preferences with the prompt in both answers", rm: "fits: preferences",
		}},
		{"implicit prompt in texts", `{"chosen":"Human: hello there\n\nAssistant: good","rejected":"Human: hello there\n\nAssistant: bad"}`, map[format.Method]string{
			dpo: "fits: preferences with the prompt in both answers",
		}},
		{"prompt beside whole conversations", `{"prompt":"q","chosen":[` + user + `,` + good + `],"rejected":[` + user + `,` + bad + `]}`, map[format.Method]string{
			dpo: "fits: preferences with the prompt in both answers",
		}},
		{"prompt of text, answers of messages", `{"prompt":"q","chosen":[` + good + `],"rejected":[` + bad + `]}`, map[format.Method]string{
			dpo: "preferences with a prompt; convert 1",
		}},
		{"one half of preferences", `{"prompt":"q","chosen":"a"}`, map[format.Method]string{dpo: "; lacks rejected", rm: "; lacks rejected"}},
		{"only a prompt", `{"prompt":"q"}`, map[format.Method]string{dpo: "; lacks chosen, rejected", grpo: "fits: prompts", sft: "; lacks messages, or prompt and completion, or text"}},
		{"KTO", `{"prompt":"p","completion":"c","label":true}`, map[format.Method]string{kto: "fits: completions with a label"}},
		{"KTO with numbers", `{"prompt":"p","response":"c","label":1}`, map[format.Method]string{kto: "completions with a label; response->completion; convert 1"}},
		{"GRPO", `{"prompt":[` + user + `],"ground_truth":"4"}`, map[format.Method]string{grpo: "fits: prompts with a reference"}},
		{"GRPO with the answer in it", `{"prompt":[` + user + `,` + good + `]}`, map[format.Method]string{grpo: "prompts; convert 1"}},
	}
	for _, c := range cases {
		columns, data := rows(t, c.row)
		got := map[format.Method]string{}
		for _, v := range format.Judge(columns, data) {
			got[v.Method] = short(v)
		}
		for method, want := range c.want {
			if got[method] != want {
				t.Errorf("%s, %s: %q, want %q", c.name, method, got[method], want)
			}
		}
	}
}

func TestConversation(t *testing.T) {
	t.Parallel()
	_, data := rows(t,
		`{"m":null}`,
		`{"m":[{"role":"system","content":"s"},{"role":"user","content":"q"},{"role":"assistant","content":"","tool_calls":[{"name":"f"}]},{"role":"tool","content":"4","tool_call_id":"1"}]}`,
		`{"m":[{"role":"user","content":"q","name":"x"},{"role":"assistant","content":"a"}]}`)
	c := format.Conversation("m", data)
	if c == nil || fmt.Sprint(c.Roles) != "[assistant system tool user]" || fmt.Sprint(c.Keys) != "[content name role tool_call_id tool_calls]" ||
		!c.Tools || c.LastRole != "tool" || c.Example["tool_calls"] == nil {
		t.Errorf("got %+v", c)
	}
	for _, row := range []string{`{"m":"text"}`, `{"m":[1]}`, `{"m":[{"a":"b"}]}`, `{"m":{"role":"user"}}`, `{"m":[]}`, `{"n":1}`} {
		if _, data := rows(t, row); format.Conversation("m", data) != nil {
			t.Errorf("%s is a conversation", row)
		}
	}
}

func TestNoRows(t *testing.T) {
	t.Parallel()
	for _, v := range format.Judge([]string{"prompt", "chosen", "rejected"}, nil) {
		if v.Method == dpo && v.Format == "" {
			t.Errorf("by the names alone: %+v", v)
		}
	}
	if got := len(format.Judge(nil, nil)); got != 5 {
		t.Errorf("%d verdicts", got)
	}
}
