package agent_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/agent"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// say is a read-only tool whose results come from a function of its run.
func say(name string, text func(run int) string) tool.Tool {
	n := 0
	return tool.New(tool.Spec{Effect: tool.Reads, ToolSpec: llm.ToolSpec{Name: name}},
		func(context.Context, struct{}, tool.Call) (tool.Output, error) {
			n++
			return tool.Output{Text: text(n)}, nil
		})
}

func repeat(n int, names ...string) []llmtest.Reply {
	var replies []llmtest.Reply
	for i := range n {
		replies = append(replies, llmtest.Call(fmt.Sprint(i), names[i%len(names)], "{}"))
	}
	return append(replies, llmtest.Say("done"))
}

func TestRepetition(t *testing.T) {
	same := func(int) string { return "same" }
	counted := func(n int) string { return fmt.Sprint("run ", n) }
	tests := []struct {
		name    string
		replies []llmtest.Reply
		result  func(int) string
		notes   int
		err     error
	}{
		{"twice is no loop", repeat(2, "a"), same, 0, nil},
		{"three times is", repeat(3, "a"), same, 1, nil},
		{"polling that changes is no loop", repeat(20, "a"), counted, 0, nil},
		{"a cycle of two", repeat(6, "a", "b"), same, 1, nil},
		{"a cycle of three", repeat(9, "a", "b", "c"), same, 1, nil},
		{"after a note only new evidence counts", repeat(5, "a"), same, 1, nil},
		{"interrupted calls are no evidence", repeat(9, "a"), func(int) string { return "interrupted: the program stopped" }, 0, nil},
		{"it escalates and stops", repeat(20, "a"), same, 2, agent.ErrLoop},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := newAgent(t, &llmtest.Script{Replies: tt.replies}, say("a", tt.result), say("b", tt.result), say("c", tt.result))
			s := begin(t, openStore(t, t.TempDir()))
			err := run(t.Context(), a, s, "")
			if !errors.Is(err, tt.err) {
				t.Errorf("err %v, want %v", err, tt.err)
			}
			if got := strings.Count(kinds(s), "note"); got != tt.notes {
				t.Errorf("%d notes, want %d: %s", got, tt.notes, kinds(s))
			}
		})
	}
}

func TestUnfinishedPlan(t *testing.T) {
	t.Parallel()
	plan := tool.New(tool.Spec{Effect: tool.Reads, ToolSpec: llm.ToolSpec{Name: "plan"}},
		func(context.Context, struct{}, tool.Call) (tool.Output, error) {
			return tool.Output{Text: "ok", Plan: []tool.PlanItem{{Text: "train", Status: "done"}, {Text: "publish", Status: "pending"}}}, nil
		})
	a := newAgent(t, &llmtest.Script{Replies: []llmtest.Reply{
		llmtest.Call("1", "plan", "{}"), llmtest.Say("done!"), llmtest.Say("really"), llmtest.Say("leave me alone"),
	}}, plan)
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	if got, want := kinds(s), "reply started result reply note reply note reply"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	note := ""
	for _, ev := range s.Events() {
		if ev.Note != nil {
			note = ev.Note.Text
		}
	}
	if !strings.Contains(note, "publish") || strings.Contains(note, "train") {
		t.Errorf("the note names the wrong points: %s", note)
	}
}

func TestTwoEmptyRepliesFail(t *testing.T) {
	t.Parallel()
	empty := llmtest.Reply{Chunks: []llm.Chunk{{End: &llm.End{Reason: llm.EndStop}}}}
	s := begin(t, openStore(t, t.TempDir()))
	err := run(t.Context(), newAgent(t, &llmtest.Script{Replies: []llmtest.Reply{empty, empty}}), s, "")
	if !errors.Is(err, agent.ErrEmpty) {
		t.Errorf("err %v", err)
	}
}

// A result that is too long is cut on entry, and kept whole in a file.
func TestLongResult(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("äöü", 50_000)
	a := newAgent(t, &llmtest.Script{Replies: repeat(1, "a")}, say("a", func(int) string { return long }))
	kept := ""
	a.Spill = func(_, text string) (string, error) { kept = text; return "/kept", nil }
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	got := s.Messages()[2].Parts[0].Result.Text
	if len(got) > 31_000 || !strings.Contains(got, "/kept") || strings.ContainsRune(got, '\uFFFD') || kept != long {
		t.Errorf("the result has %d bytes; the file %d", len(got), len(kept))
	}
}

// A long session on a small window is compacted, keeps its first prompt, and
// goes on to its answer with every transcript well formed.
func TestCompaction(t *testing.T) {
	t.Parallel()
	script := &compacting{Script: llmtest.Script{Replies: repeat(60, "a"), Window: 4000}}
	a := newAgent(t, script, say("a", func(n int) string { return fmt.Sprint(n, strings.Repeat(" words", 100)) }))
	a.MaxSteps = 100
	store := openStore(t, t.TempDir())
	s := begin(t, store)
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	n := strings.Count(kinds(s), "compact")
	if n == 0 || n > 20 || s.Messages()[0].Parts[0].Text != "go" {
		t.Errorf("%d compactions; first message %q", n, s.Messages()[0].Parts[0].Text)
	}
	for _, messages := range script.seen {
		checkTranscript(t, messages)
	}
	reopened, err := session.Open(t.Context(), store, s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(reopened.Messages()) != len(s.Messages()) {
		t.Errorf("reopened with %d messages, had %d", len(reopened.Messages()), len(s.Messages()))
	}
}

// compacting answers summary requests with a summary, and the others in order.
type compacting struct {
	llmtest.Script
	seen [][]llm.Message
}

func (c *compacting) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Chunk, error] {
	c.seen = append(c.seen, slices.Clone(req.Messages))
	last := req.Messages[len(req.Messages)-1].Parts[0].Text
	if strings.Contains(last, "replaces everything above") {
		return func(yield func(llm.Chunk, error) bool) {
			_ = yield(llm.Chunk{Text: "summary"}, nil) && yield(llm.Chunk{End: &llm.End{Reason: llm.EndStop}}, nil)
		}
	}
	return c.Script.Stream(ctx, req)
}
