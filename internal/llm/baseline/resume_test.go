package baseline

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/llm"
)

var update = flag.Bool("update", false, "write the golden files")

const cut = "interrupted: the program stopped while this call ran; whether it did its work is unknown, so look before you repeat it"

// TestResume kills the session at every point of a good conversation, and once
// within every call, and wants the job to end as if nothing had happened.
func TestResume(t *testing.T) {
	t.Parallel()
	good := faked(t)
	want := good.say(prompt)
	for k := 1; k <= len(good.messages); k++ {
		b := resumed(t, good.messages[:k])
		if got := b.goOn(); got != want || b.reason != llm.EndStop {
			t.Errorf("cut after message %d: %s\n%s", k, b.reason, got)
		}
		repeated(t, b)
	}
	for k, m := range good.messages {
		if m.Role != llm.Tool {
			continue
		}
		for _, end := range []int{k + 1, len(good.messages)} {
			history := slices.Clone(good.messages[:end])
			history[k] = result(m.Parts[0].Result.CallID, cut, true)
			b := resumed(t, history)
			if got := b.goOn(); got != want || b.reason != llm.EndStop {
				t.Errorf("message %d interrupted, of %d: %s\n%s", k, end, b.reason, got)
			}
			repeated(t, b)
		}
	}
}

func result(id, text string, isError bool) llm.Message {
	return llm.Message{Role: llm.Tool, Parts: []llm.Part{{Result: &llm.ToolResult{CallID: id, Text: text, IsError: isError}}}}
}

// resumed is a bench on which the history has happened. Calls that have no
// result were interrupted.
func resumed(t *testing.T, history []llm.Message) *bench {
	b := faked(t)
	b.messages = slices.Clone(history)
	settled := map[string]bool{}
	for _, m := range history {
		for _, p := range m.Parts {
			if p.Result != nil && !strings.HasPrefix(p.Result.Text, "interrupted:") {
				settled[p.Result.CallID] = true
			}
		}
	}
	for i, m := range history {
		for _, c := range m.Calls() {
			if c.Name == "job_submit" && settled[c.ID] {
				b.submits[c.Args]++ // it must not be made again
			}
			if !settled[c.ID] && !answered(history[i:], c.ID) {
				b.messages = append(b.messages, result(c.ID, cut, true))
			}
		}
	}
	return b
}

func answered(history []llm.Message, id string) bool {
	return slices.ContainsFunc(history, func(m llm.Message) bool {
		return slices.ContainsFunc(m.Parts, func(p llm.Part) bool { return p.Result != nil && p.Result.CallID == id })
	})
}

// TestOddResults puts nonsense in place of every result: the model must come
// to an honest end.
func TestOddResults(t *testing.T) {
	t.Parallel()
	good := faked(t)
	good.say(prompt)
	for k, m := range good.messages {
		if m.Role != llm.Tool {
			continue
		}
		for _, odd := range []struct {
			text    string
			isError bool
		}{{"", false}, {"{}", false}, {"null", false}, {"[1,2]", false}, {"no such tool", true}, {"refused: not here", true}, {"{\"jobs\":null}\n\x00", true}, {strings.Repeat("x\n", 9000), true}} {
			history := slices.Clone(good.messages[:k+1])
			history[k] = result(m.Parts[0].Result.CallID, odd.text, odd.isError)
			b := resumed(t, history)
			b.goOn()
			if b.reason != llm.EndStop && b.reason != llm.EndFailed {
				t.Errorf("message %d as %.20q: ends as %s", k, odd.text, b.reason)
			}
			repeated(t, b)
		}
	}
}

// TestSameReply asks twice, and wants the same reply.
func TestSameReply(t *testing.T) {
	t.Parallel()
	good := faked(t)
	good.say(prompt)
	for k := 1; k < len(good.messages); k++ {
		if good.messages[k].Role != llm.Assistant {
			continue
		}
		again, _ := json.Marshal(ask(t, good.messages[:k]).Message)
		before, _ := json.Marshal(good.messages[k])
		if string(again) != string(before) {
			t.Fatalf("reply %d differs:\n%s\n%s", k, before, again)
		}
	}
}

// TestConversation keeps the whole conversation in view.
func TestConversation(t *testing.T) {
	t.Parallel()
	b := faked(t, change{call: "bash uv --version", text: "uv 0.9.1\nPython 3.12.1\ncores: 2\n[exit 0, 0.1 s]"},
		change{call: "job_wait ", text: waited("succeeded", "succeeded", "succeeded", "failed")})
	b.say(prompt)
	var out strings.Builder
	for _, m := range b.messages {
		for _, p := range m.Parts {
			switch {
			case p.Call != nil:
				fmt.Fprintf(&out, "  %s %s\n", p.Call.Name, shown(p.Call.Args))
			case p.Result != nil:
			default:
				fmt.Fprintf(&out, "\n%s: %s\n", m.Role, p.Text)
			}
		}
	}
	golden := filepath.Join("testdata", "conversation.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != out.String() {
		t.Errorf("the conversation has changed (write it with -update):\n%s", out.String())
	}
}

// shown leaves out the text of files.
func shown(args string) string {
	var file struct{ Path, Content string }
	if json.Unmarshal([]byte(args), &file) == nil && file.Content != "" {
		return file.Path
	}
	return args
}
