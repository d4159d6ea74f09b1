package approval_test

import (
	"strings"
	"testing"

	"ml-intern/internal/approval"
	"ml-intern/internal/llm"
	"ml-intern/internal/tool"
)

// The whole table of docs/approval.md.
func TestModes(t *testing.T) {
	t.Parallel()
	impacts := map[string]tool.Impact{
		"read":            {Effect: tool.Reads},
		"read outside":    {Effect: tool.Reads, Outside: "it reads /etc/x"},
		"write":           {Effect: tool.Writes},
		"run":             {Effect: tool.Executes},
		"run unconfined":  {Effect: tool.Executes, Outside: "it runs a command"},
		"spend":           {Effect: tool.Spends, CostUSD: 3},
		"publish":         {Effect: tool.Publishes},
		"publish openly":  {Effect: tool.Publishes, Public: true},
		"delete":          {Effect: tool.Publishes, Deletes: true},
		"schedule a job":  {Effect: tool.Spends, Recurring: true},
		"free, recurring": {Effect: tool.Executes, Recurring: true},
	}
	want := map[approval.Mode]string{
		approval.Plan:     "read:allow, read outside:ask, rest:deny",
		approval.Strict:   "read:allow, rest:ask",
		approval.AskFirst: "read:allow, write:allow, run:allow, free, recurring:allow, rest:ask",
		approval.Auto:     "publish openly:deny, delete:deny, schedule a job:deny, free, recurring:deny, rest:allow",
	}
	for mode, table := range want {
		for name, impact := range impacts {
			verdict := ""
			for entry := range strings.SplitSeq(strings.ReplaceAll(table, "free, recurring", "free recurring"), ", ") {
				who, v, _ := strings.Cut(entry, ":")
				if who == strings.ReplaceAll(name, "free, recurring", "free recurring") || who == "rest" && verdict == "" {
					verdict = v
				}
			}
			got := mode.Decide(approval.Request{Call: llm.ToolCall{Name: "x"}, Impact: impact})
			if got.Verdict != verdict {
				t.Errorf("mode %s, %s: got %s, want %s", mode, name, got.Verdict, verdict)
			}
			if got.Verdict != approval.Allow && got.Reason == "" {
				t.Errorf("mode %s, %s: %s without a reason", mode, name, got.Verdict)
			}
		}
	}
}

func TestParseMode(t *testing.T) {
	t.Parallel()
	if m, err := approval.ParseMode("ask"); err != nil || m != approval.AskFirst {
		t.Errorf("got %v, %v", m, err)
	}
	if _, err := approval.ParseMode("yolo"); err == nil || !strings.Contains(err.Error(), "plan, strict, ask, auto") {
		t.Errorf("got %v", err)
	}
}
