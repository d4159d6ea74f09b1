package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"ml-intern/internal/agent"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// provider plays a model with a true window: it counts the tokens of every
// request in its own way and refuses what does not fit.
type provider struct {
	window  int
	tokens  func(text string) int
	summary func(req llm.Request) llmtest.Reply
	step    func(n int) llmtest.Reply

	steps, summaries, refused, largest int
}

func (p *provider) next(_ int, req llm.Request) llmtest.Reply {
	size := p.count(req)
	p.largest = max(p.largest, size)
	if size+req.MaxOutput > p.window {
		p.refused++
		return llmtest.Reply{Err: &llm.StatusError{Status: 400, Code: "context_length_exceeded", Message: "too long"}}
	}
	var reply llmtest.Reply
	if last := req.Messages[len(req.Messages)-1]; last.Role == llm.User && strings.Contains(last.Text(), "# Open questions") {
		p.summaries++
		reply = p.summary(req)
	} else {
		p.steps++
		reply = p.step(p.steps)
	}
	for i, c := range reply.Chunks {
		if c.End != nil {
			end := *c.End
			end.Usage = llm.Usage{Input: size, Output: 50}
			reply.Chunks[i].End = &end
		}
	}
	return reply
}

func (p *provider) count(req llm.Request) int {
	text := req.System
	for _, s := range req.Tools {
		text += s.Name + s.Description + string(s.Schema)
	}
	for _, m := range req.Messages {
		data, err := json.Marshal(m)
		if err != nil {
			panic(err)
		}
		text += string(data)
	}
	return p.tokens(text)
}

func fourBytes(text string) int { return len(text) / 4 }

// big is a reading tool with results of so many bytes, each different.
func big(size int) tool.Tool {
	var count atomic.Int64
	return tool.New(tool.Spec{Effect: tool.Reads, ToolSpec: llm.ToolSpec{Name: "big"}},
		func(context.Context, struct{}, tool.Call) (tool.Output, error) {
			n := count.Add(1)
			line := fmt.Sprintf("row %d: some words and numbers %d, 3.14159\n", n, n*n)
			return tool.Output{Text: strings.Repeat(line, size/len(line)+1), Facts: []tool.Fact{{Kind: "Jobs", Name: "job-1", Text: fmt.Sprint("seen ", n)}}}, nil
		})
}

func summarize(text string) func(llm.Request) llmtest.Reply {
	return func(llm.Request) llmtest.Reply { return llmtest.Say(text) }
}

// A session of 300 steps whose every result is 100 KB comes to its answer in a
// window of 32k, whatever the summaries are like.
func TestLongSessionInASmallWindow(t *testing.T) {
	t.Parallel()
	for name, summary := range map[string]func(llm.Request) llmtest.Reply{
		"good":  summarize("# Decisions\n- use trees: they were better\n# Open questions\n- none\n# Summary\nRead many rows."),
		"empty": summarize(""),
		"failing": func(llm.Request) llmtest.Reply {
			return llmtest.Reply{Err: &llm.StatusError{Status: 400, Message: "no"}}
		},
		"a call":  func(llm.Request) llmtest.Reply { return llmtest.Call("x", "big", "{}") },
		"endless": summarize(strings.Repeat("words without end ", 20_000)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &provider{window: 32_000, tokens: fourBytes, summary: summary, step: func(n int) llmtest.Reply {
				if n > 300 {
					return llmtest.Say("done")
				}
				return llmtest.Call(fmt.Sprint("c", n), "big", "{}")
			}}
			a := newAgent(t, &llmtest.Script{Window: 32_000, Next: p.next}, big(100_000))
			a.MaxSteps = 400
			store := openStore(t, t.TempDir())
			s := begin(t, store)
			if err := run(t.Context(), a, s, ""); err != nil {
				t.Fatal(err)
			}
			cleared, compacted := strings.Count(kinds(s), "cleared"), strings.Count(kinds(s), "compact")
			t.Logf("%d clears, %d summaries, %d refused, largest request %d", cleared, compacted, p.refused, p.largest)
			if s.Answer() != "done" || s.Steps() != 301 || cleared+compacted > 100 || compacted > 20 || p.refused > 0 {
				t.Errorf("answer %q after %d steps", s.Answer(), s.Steps())
			}
			checkTranscript(t, s.Messages())
			if first := s.Messages()[0].Text(); first != "go" {
				t.Errorf("the first message is %q", first)
			}
			text := s.Messages()[1].Text()
			if !strings.Contains(text, "job-1: seen ") || name == "good" && !strings.Contains(text, "use trees") {
				t.Errorf("the state is lost: %s", text)
			}
			again, err := session.Open(t.Context(), store, "s")
			if err != nil || !reflect.DeepEqual(again.Messages(), s.Messages()) {
				t.Errorf("a new process has another transcript: %v", err)
			}
		})
	}
}

// What is too big is shortened, and nothing is fatal: a huge prompt, one huge
// result after another, many calls at once, huge arguments.
func TestOversized(t *testing.T) {
	t.Parallel()
	args := fmt.Sprintf(`{"x":%q}`, strings.Repeat("y", 200_000))
	many := make([]llm.ToolCall, 64)
	for i := range many {
		many[i] = llm.ToolCall{ID: fmt.Sprint("m", i), Name: "big", Args: "{}"}
	}
	for name, tt := range map[string]struct {
		prompt string
		step   llmtest.Reply
	}{
		"prompt":    {strings.Repeat("a long story ", 40_000), llmtest.Call("1", "big", "{}")},
		"many":      {"go", llmtest.Calls(many...)},
		"arguments": {"go", llmtest.Call("1", "big", args)},
		"text":      {"go", llmtest.Reply{Chunks: []llm.Chunk{{Text: strings.Repeat("much ", 60_000)}, {Call: &llm.ToolCall{ID: "1", Name: "big", Args: "{}"}}, {End: &llm.End{Reason: llm.EndCalls}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &provider{window: 32_000, tokens: fourBytes, summary: summarize("short"), step: func(n int) llmtest.Reply {
				if n > 3 {
					return llmtest.Say("done")
				}
				r := tt.step
				r.Chunks = append([]llm.Chunk(nil), r.Chunks...)
				return r
			}}
			a := newAgent(t, &llmtest.Script{Window: 32_000, Next: p.next}, big(100_000))
			s, err := session.New(t.Context(), openStore(t, t.TempDir()), session.Opened{ID: "s"}, tt.prompt)
			if err != nil {
				t.Fatal(err)
			}
			a.Guards = nil
			if err := run(t.Context(), a, s, ""); err != nil {
				t.Fatal(err)
			}
			checkTranscript(t, s.Messages())
			t.Logf("%s; refused %d, largest %d", kinds(s), p.refused, p.largest)
			if s.Answer() != "done" || p.refused > 0 {
				t.Errorf("answer %q, %d refused", s.Answer(), p.refused)
			}
		})
	}
}

// A window that is smaller than the catalogue says: the refusal compacts once
// and goes on; a provider that refuses everything ends the turn, exit 1, with
// the session as it was.
func TestOverflow(t *testing.T) {
	t.Parallel()
	steps := func(n int) llmtest.Reply {
		if n > 40 {
			return llmtest.Say("done")
		}
		return llmtest.Call(fmt.Sprint("c", n), "big", "{}")
	}
	for name, tt := range map[string]struct {
		window int
		err    error
	}{
		"smaller than known": {40_000, nil},
		"refuses everything": {10, agent.ErrWindow},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &provider{window: tt.window, tokens: fourBytes, summary: summarize("# Summary\nshort"), step: steps}
			a := newAgent(t, &llmtest.Script{Window: 128_000, Next: p.next}, big(20_000))
			a.MaxSteps = 100
			s := begin(t, openStore(t, t.TempDir()))
			err := run(t.Context(), a, s, "")
			t.Logf("%v; %d refused, %d summaries", err, p.refused, p.summaries)
			if !errors.Is(err, tt.err) || p.refused > 12 {
				t.Errorf("got %v after %d refusals", err, p.refused)
			}
			if tt.err == nil && s.Answer() != "done" {
				t.Errorf("answer %q", s.Answer())
			}
			checkTranscript(t, s.Messages())
		})
	}
}

// A model with a smaller window that takes over compacts before it is asked.
func TestSmallerModelTakesOver(t *testing.T) {
	t.Parallel()
	large := &provider{window: 200_000, tokens: fourBytes, summary: summarize("x"), step: func(n int) llmtest.Reply {
		if n > 12 {
			return llmtest.Reply{Err: &llm.StatusError{Status: 402, Message: "no credit"}}
		}
		return llmtest.Call(fmt.Sprint("c", n), "big", "{}")
	}}
	small := &provider{window: 32_000, tokens: fourBytes, summary: summarize("# Summary\nmuch was read"), step: func(int) llmtest.Reply { return llmtest.Say("done") }}
	first := &llmtest.Script{ID: "large", Window: 200_000, Next: large.next}
	second := &llmtest.Script{ID: "small", Window: 32_000, Next: small.next}
	a := newAgent(t, first, big(100_000))
	a.Models = append(a.Models, second)
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	if s.Answer() != "done" || small.refused != 0 || s.Model() != "small" {
		t.Errorf("answer %q by %q, %d refused", s.Answer(), s.Model(), small.refused)
	}
	if !strings.Contains(kinds(s), "switched") {
		t.Errorf("the log does not say so: %s", kinds(s))
	}
}

// The summary request is the beginning of the request before it, with the same
// system prompt and tools, so that the provider reads it from its cache.
func TestSummaryRequestKeepsThePrefix(t *testing.T) {
	t.Parallel()
	p := &provider{window: 30_000, tokens: fourBytes, summary: summarize("# Summary\nx"), step: func(n int) llmtest.Reply {
		if n > 60 {
			return llmtest.Say("done")
		}
		return llmtest.Call(fmt.Sprint("c", n), "small", "{}")
	}}
	script := &llmtest.Script{Window: 30_000, Next: p.next}
	n := 0
	small := tool.New(tool.Spec{Effect: tool.Reads, ToolSpec: llm.ToolSpec{Name: "small"}}, func(context.Context, struct{}, tool.Call) (tool.Output, error) {
		n++
		return tool.Output{Text: strings.Repeat(fmt.Sprint("word ", n, " "), 180)}, nil // below what is worth clearing
	})
	a := newAgent(t, script, small)
	a.System, a.MaxSteps, a.Guards = "the system", 100, nil
	if err := run(t.Context(), a, begin(t, openStore(t, t.TempDir())), ""); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for i, req := range script.Requests() {
		last := req.Messages[len(req.Messages)-1]
		if !strings.Contains(last.Text(), "# Open questions") {
			continue
		}
		seen++
		before := script.Requests()[i-1]
		if req.System != before.System || len(req.Tools) != len(before.Tools) {
			t.Error("system prompt or tools differ")
		}
		for j, m := range req.Messages[:len(req.Messages)-1] {
			if want := before.Messages[j]; j < len(before.Messages) && fmt.Sprintf("%+v", m.Parts[0]) != fmt.Sprintf("%+v", want.Parts[0]) && m.Parts[0].Result == nil {
				t.Fatalf("request %d differs from the one before at message %d", i, j)
			}
		}
	}
	if seen == 0 {
		t.Error("nothing was summarized")
	}
}

// A reply that the output limit cuts goes on where it stopped, as one answer;
// of the calls in it only whole ones run.
func TestCutOffReplies(t *testing.T) {
	t.Parallel()
	cut := func(chunks ...llm.Chunk) llmtest.Reply {
		return llmtest.Reply{Chunks: append(chunks, llm.Chunk{End: &llm.End{Reason: llm.EndLength}})}
	}
	runs := 0
	script := &llmtest.Script{Replies: []llmtest.Reply{
		cut(llm.Chunk{Call: &llm.ToolCall{ID: "1", Name: "count", Args: "{}"}}, llm.Chunk{Call: &llm.ToolCall{ID: "2", Name: "write", Args: `{"content":"half`}}),
		cut(llm.Chunk{Text: "The first half, "}), llmtest.Say("the second half."),
	}}
	a := newAgent(t, script, counter("count", tool.Reads, false, &runs))
	s := begin(t, openStore(t, t.TempDir()))
	if err := run(t.Context(), a, s, ""); err != nil {
		t.Fatal(err)
	}
	if runs != 1 || s.Answer() != "The first half, the second half." {
		t.Errorf("%d runs, answer %q; %s", runs, s.Answer(), kinds(s))
	}
	checkTranscript(t, s.Messages())
}
