package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/agent"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// scripted runs replies against one tool and returns the notes of the guards.
func scripted(t *testing.T, replies []llmtest.Reply, tools ...tool.Tool) (s *session.Session, notes []string, err error) {
	t.Helper()
	a := newAgent(t, &llmtest.Script{Replies: replies}, tools...)
	a.MaxSteps = 100
	s = begin(t, openStore(t, t.TempDir()))
	err = run(t.Context(), a, s, "")
	for _, ev := range s.Events() {
		if ev.Note != nil {
			notes = append(notes, ev.Note.Guard+": "+ev.Note.Text)
		}
	}
	return s, notes, err
}

// Results that differ only in times and ids are the same; numbers that move one
// way are progress, and honest polling is not a loop.
func TestNearRepetition(t *testing.T) {
	t.Parallel()
	polled := []string{"0", "27210", "36454", "45770", "55138", "60000", "71002", "80001", "90009"}
	for name, tt := range map[string]struct {
		result func(n int) string
		loop   bool
	}{
		"times": {func(n int) string {
			return fmt.Sprintf("2026-11-25T10:%02d:00Z nothing new (took 0.%d s)", n, n%7)
		}, true},
		"ids": {func(n int) string {
			return fmt.Sprintf("request %x-%d: not found, pid %d", n*7919, n*31%17, 4000+n*13%11)
		}, true},
		"epoch":   {func(n int) string { return fmt.Sprintf("now %d: waiting", 1_764_060_000+n*30) }, true},
		"polling": {func(n int) string { return "bytes so far: " + polled[n%len(polled)] }, false},
		"steps":   {func(n int) string { return fmt.Sprintf("step %d/9000, loss 0.%d, 10:%02d:01", n*50, 99-n, n) }, false},
		"falling": {func(n int) string { return fmt.Sprintf("%d files left", 100-n) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, notes, err := scripted(t, repeat(8, "a"), say("a", tt.result))
			if (len(notes) > 0) != tt.loop || err != nil {
				t.Errorf("notes %q, %v", notes, err)
			}
		})
	}
}

// It says so, then refuses the call and no other, then ends the turn with what
// was repeated.
func TestRepetitionEscalates(t *testing.T) {
	t.Parallel()
	ran := map[string]int{}
	count := func(name string) tool.Tool {
		return tool.New(tool.Spec{Effect: tool.Reads, ToolSpec: llm.ToolSpec{Name: name}},
			func(_ context.Context, in struct {
				Path string `json:"path"`
			}, _ tool.Call,
			) (tool.Output, error) {
				ran[name+in.Path]++
				return tool.Output{Text: "same"}, nil
			})
	}
	var replies []llmtest.Reply
	for i := range 12 {
		args := []string{`{"path":"x"}`, `{ "path" : "x" }`}[i%2] // one call in two spellings
		replies = append(replies, llmtest.Call(fmt.Sprint(i), "a", args))
		if i == 7 {
			replies = append(replies, llmtest.Call("other", "a", `{"path":"y"}`))
		}
	}
	s, notes, err := scripted(t, replies, count("a"))
	if !errors.Is(err, agent.ErrLoop) || !strings.Contains(err.Error(), `{"path":"x"}`) {
		t.Errorf("got %v", err)
	}
	if len(notes) != 2 || ran["ax"] != 6 || ran["ay"] != 1 {
		t.Errorf("%d notes, runs %v: %s", len(notes), ran, kinds(s))
	}
	refusals := 0
	for _, ev := range s.Events() {
		if ev.Result != nil && strings.HasPrefix(ev.Result.Text, "refused: ") {
			refusals++
		}
	}
	if refusals < 3 {
		t.Errorf("%d refusals: %s", refusals, kinds(s))
	}
	checkTranscript(t, s.Messages())
}

// One tool with one error is a loop whatever its arguments; other errors are not.
func TestSameError(t *testing.T) {
	t.Parallel()
	fails := func(text func(n int) string) tool.Tool {
		n := 0
		return tool.New(tool.Spec{Effect: tool.Reads, ToolSpec: llm.ToolSpec{Name: "a"}},
			func(context.Context, struct {
				N int `json:"n"`
			}, tool.Call,
			) (tool.Output, error) {
				n++
				return tool.Output{}, errors.New(text(n))
			})
	}
	var replies []llmtest.Reply
	for i := range 6 {
		replies = append(replies, llmtest.Call(fmt.Sprint(i), "a", fmt.Sprintf(`{"n":%d}`, i)))
	}
	replies = append(replies, llmtest.Say("done"))
	if _, notes, _ := scripted(t, replies, fails(func(n int) string { return fmt.Sprintf("attempt %d: connection refused", n) })); len(notes) != 1 {
		t.Errorf("one error: %q", notes)
	}
	if _, notes, _ := scripted(t, replies, fails(func(n int) string { return "cannot open file " + strings.Repeat("x", n) })); len(notes) != 0 {
		t.Errorf("different errors: %q", notes)
	}
}

// The vectors of the program that we replace: two in a row of one tool.
func TestBadArguments(t *testing.T) {
	t.Parallel()
	write := tool.New(tool.Spec{Effect: tool.Writes, ToolSpec: llm.ToolSpec{Name: "write"}},
		func(context.Context, struct {
			Path string `json:"path"`
		}, tool.Call,
		) (tool.Output, error) {
			return tool.Output{Text: "ok"}, nil
		})
	runs := 0
	bad := func(id int) llmtest.Reply { return llmtest.Call(fmt.Sprint(id), "write", `{"path": "half`) }
	good := func(id int) llmtest.Reply {
		return llmtest.Call(fmt.Sprint(id), "write", fmt.Sprintf(`{"path":"%d"}`, id))
	}
	other := func(id int) llmtest.Reply { return llmtest.Call(fmt.Sprint(id), "bash", `{"half`) }
	for name, tt := range map[string]struct {
		replies []llmtest.Reply
		notes   int
		err     error
	}{
		"two":             {[]llmtest.Reply{bad(1), bad(2), llmtest.Say("done")}, 1, nil},
		"one":             {[]llmtest.Reply{bad(1), llmtest.Say("done")}, 0, nil},
		"two tools":       {[]llmtest.Reply{bad(1), other(2), llmtest.Say("done")}, 0, nil},
		"one in between":  {[]llmtest.Reply{bad(1), good(2), bad(3), llmtest.Say("done")}, 0, nil},
		"again and again": {[]llmtest.Reply{bad(1), bad(2), bad(3), bad(4), bad(5), bad(6), bad(7), bad(8), bad(9), bad(10)}, 2, agent.ErrLoop},
	} {
		s, notes, err := scripted(t, tt.replies, write, counter("bash", tool.Reads, false, &runs))
		n := 0
		for _, note := range notes {
			if strings.HasPrefix(note, "bad_arguments: ") {
				n++
			}
		}
		if n != tt.notes || !errors.Is(err, tt.err) || tt.err == nil && err != nil {
			t.Errorf("%s: notes %q, %v, %s", name, notes, err, kinds(s))
		}
	}
}

// A call that the limit cut is named, also when others of the reply ran; and
// only cut-offs in a row add up.
func TestCutOffNotes(t *testing.T) {
	t.Parallel()
	runs := 0
	count := counter("count", tool.Reads, false, &runs)
	cut := func(id string, chunks ...llm.Chunk) llmtest.Reply {
		return llmtest.Reply{Chunks: append(chunks, llm.Chunk{Call: &llm.ToolCall{ID: id, Name: "write", Args: `{"content":"ha`}}, llm.Chunk{End: &llm.End{Reason: llm.EndLength}})}
	}
	_, notes, err := scripted(t, []llmtest.Reply{
		cut("1"), cut("2", llm.Chunk{Call: &llm.ToolCall{ID: "3", Name: "count", Args: "{}"}}), llmtest.Say("done"),
	}, count)
	if err != nil || len(notes) != 2 || runs != 1 || !strings.Contains(notes[1], "write") {
		t.Errorf("notes %q, %d runs, %v", notes, runs, err)
	}
	_, _, err = scripted(t, []llmtest.Reply{cut("1"), cut("2"), cut("3"), cut("4"), llmtest.Say("done")}, count)
	if !errors.Is(err, agent.ErrEmpty) {
		t.Errorf("four in a row: %v", err)
	}
	var replies []llmtest.Reply
	for i := range 5 {
		replies = append(replies, cut(fmt.Sprint("c", i)), llmtest.Call(fmt.Sprint("d", i), "count", fmt.Sprintf(`{"i":%d}`, i)))
	}
	if _, _, err := scripted(t, append(replies, llmtest.Say("done")), count); err != nil {
		t.Errorf("five that are not in a row: %v", err)
	}
}

// An answer that names what nothing made is questioned once.
func TestClaims(t *testing.T) {
	t.Parallel()
	published := tool.New(tool.Spec{Effect: tool.Reads, ToolSpec: llm.ToolSpec{Name: "publish"}},
		func(context.Context, struct {
			Path string `json:"path"`
		}, tool.Call,
		) (tool.Output, error) {
			return tool.Output{Text: `{"url":"https://hub/me/iris","repo":"me/iris","files":["model.pkl"]}`}, nil
		})
	for answer, want := range map[string]string{
		"The model was published to https://hub/me/iris.":                      "",
		"I published it as me/iris and saved `out/model.pkl`.":                 "",
		"I saved the weights in `weights/best.safetensors`.":                   "weights/best.safetensors",
		"The model was uploaded to `me/other`.":                                "me/other",
		"It is available at https://huggingface.co/me/none now.":               "https://huggingface.co/me/none",
		"You could look at https://huggingface.co/docs and me/other.":          "",
		"I did not save `x.csv`, and nothing was published to `me/other`.":     "",
		"Done. Precision went from 0.8 to 0.9, e.g. on/off data.":              "",
		"I wrote it like this:\n```\nopen('made/up.json')\n```\n":              "",
		"Wrote the report to report.md, which you asked for as final.parquet.": "report.md",
	} {
		_, notes, err := scripted(t, []llmtest.Reply{llmtest.Call("1", "publish", `{"path":"final.parquet"}`), llmtest.Say(answer), llmtest.Say("I stand by it.")}, published)
		got := ""
		if len(notes) > 0 {
			got = notes[0]
		}
		if err != nil || (got == "") != (want == "") || !strings.Contains(got, want) || len(notes) > 1 {
			t.Errorf("%q: notes %q, %v", answer, notes, err)
		}
	}
}

// An honest session of many distinct calls is left alone, and the guards cost
// little however long the log is.
func TestHonestWork(t *testing.T) {
	t.Parallel()
	s := begin(t, openStore(t, t.TempDir()))
	var evs []session.Event
	for i := range 3000 {
		id := fmt.Sprint("c", i)
		args, err := json.Marshal(map[string]string{"command": fmt.Sprint("python step.py ", i)})
		if err != nil {
			t.Fatal(err)
		}
		evs = append(evs,
			session.Event{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Call: &llm.ToolCall{ID: id, Name: "bash", Args: string(args)}}}}}}},
			session.Event{Result: &session.Result{CallID: id, Output: tool.Output{Text: strings.Repeat(fmt.Sprint("line ", i, "\n"), 50)}}})
	}
	if err := s.RecordAll(t.Context(), evs); err != nil {
		t.Fatal(err)
	}
	best := time.Hour // of many, for a machine that has other work too
	for range 20 {
		start := time.Now()
		for _, g := range agent.Guards() {
			if note, err := g.Check(s); note != "" || err != nil {
				t.Fatalf("%s: %q, %v", g.Name, note, err)
			}
		}
		best = min(best, time.Since(start))
	}
	if best > 50*time.Millisecond { // a hundred times what it takes
		t.Errorf("the guards take %s", best)
	}
}
