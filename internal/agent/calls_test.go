package agent_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"ml-intern/internal/agent"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// saying is a tool that only says something.
func saying(name string, effect tool.Effect) tool.Tool {
	return tool.New(tool.Spec{Effect: effect, ToolSpec: llm.ToolSpec{Name: name}}, func(context.Context, struct{}, tool.Call) (tool.Output, error) {
		return tool.Output{Text: name + " says"}, nil
	})
}

func specNames(req llm.Request) string {
	var names []string
	for _, s := range req.Tools {
		names = append(names, s.Name)
	}
	return strings.Join(names, " ")
}

// Tools that come in the middle of a turn are the model's from the next one on,
// and a person is told once.
func TestToolsChangeBetweenTurns(t *testing.T) {
	t.Parallel()
	model := &llmtest.Script{Replies: []llmtest.Reply{llmtest.Call("1", "own", "{}"), llmtest.Say("one"), llmtest.Say("two")}}
	a := newAgent(t, model, saying("own", tool.Reads))
	turns := 0
	a.Refresh = func(_ context.Context, begins bool) []session.Notice {
		if turns++; begins {
			a.Tools.Extend([]tool.Tool{saying("new", tool.Reads)})
		}
		return []session.Notice{{Kind: "mcp: x", Text: "x"}}
	}
	s := begin(t, openStore(t, t.TempDir()))
	if err := errors.Join(run(t.Context(), a, s, ""), run(t.Context(), a, s, "again")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, req := range model.Requests() {
		got = append(got, specNames(req))
	}
	if want := "[own own own new]"; fmt.Sprint(got) != want || turns != 2 {
		t.Errorf("%v in %d turns, want %s", got, turns, want)
	}
	if n := strings.Count(kinds(s), "notice"); n != 1 {
		t.Errorf("%d notices: %s", n, kinds(s))
	}
}

// settled runs the calls and returns the results by text.
func settled(ctx context.Context, a *agent.Agent, s *session.Session, calls ...llm.ToolCall) (results []string, err error) {
	for ev, e := range a.Calls(ctx, s, "other", calls) {
		if ev.Result != nil {
			results = append(results, ev.Result.Text)
		}
		err = errors.Join(err, e)
	}
	return results, err
}

// Calls of somebody else are judged, logged and answered as a model's are, and
// no model is asked.
func TestCalls(t *testing.T) {
	t.Parallel()
	model := &llmtest.Script{}
	runs := 0
	a := newAgent(t, model, saying("look", tool.Reads), counter("publish", tool.Publishes, false, &runs))
	a.Approver = agent.Refuser{Hint: "allow it"}
	s := begin(t, openStore(t, t.TempDir()))
	results, err := settled(t.Context(), a, s, llm.ToolCall{Name: "look", Args: "{}"}, llm.ToolCall{Name: "publish", Args: "{}"}, llm.ToolCall{Name: "nope", Args: "{}"})
	if err != nil || runs != 0 || len(model.Requests()) != 0 {
		t.Fatal(err, runs)
	}
	all := strings.Join(results, "\n")
	for _, want := range []string{"look says", "refused: a person would have to allow it, and nobody can be asked here: it publishes something; allow it", `there is no tool "nope"`} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in %s", want, all)
		}
	}
	if want := "reply asked decided:deny result started started result result"; kinds(s) != want {
		t.Errorf("%s, want %s", kinds(s), want)
	}
}

// Reads of one batch run side by side.
func TestCallsSideBySide(t *testing.T) {
	t.Parallel()
	var both sync.WaitGroup
	both.Add(2)
	meet := tool.New(tool.Spec{Effect: tool.Reads, ToolSpec: llm.ToolSpec{Name: "meet"}}, func(context.Context, struct{}, tool.Call) (tool.Output, error) {
		both.Done()
		both.Wait()
		return tool.Output{Text: "met"}, nil
	})
	a := newAgent(t, &llmtest.Script{}, meet)
	s := begin(t, openStore(t, t.TempDir()))
	if results, err := settled(t.Context(), a, s, llm.ToolCall{Name: "meet"}, llm.ToolCall{Name: "meet"}); err != nil || len(results) != 2 {
		t.Errorf("%v %v", results, err)
	}
}

// A call that was stopped is not run again by the next one.
func TestCallsStopped(t *testing.T) {
	t.Parallel()
	runs := 0
	ctx, cancel := context.WithCancel(t.Context())
	slow := tool.New(tool.Spec{Effect: tool.Reads, ToolSpec: llm.ToolSpec{Name: "slow"}}, func(ctx context.Context, _ struct{}, _ tool.Call) (tool.Output, error) {
		runs++
		cancel()
		<-ctx.Done()
		return tool.Output{}, ctx.Err()
	})
	a := newAgent(t, &llmtest.Script{}, slow, saying("look", tool.Reads))
	s := begin(t, openStore(t, t.TempDir()))
	if _, err := settled(ctx, a, s, llm.ToolCall{Name: "slow"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	results, err := settled(t.Context(), a, s, llm.ToolCall{Name: "look"})
	if err != nil || runs != 1 || len(results) != 2 || !strings.Contains(results[0], "nobody waits") || results[1] != "look says" {
		t.Errorf("%d runs, %v, %v", runs, results, err)
	}
}
