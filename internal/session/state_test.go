package session_test

import (
	"strings"
	"testing"

	"ml-intern/internal/ledger"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

func record(t *testing.T, s *session.Session, evs ...session.Event) {
	t.Helper()
	for _, ev := range evs {
		if _, err := s.Record(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
}

func newSession(t *testing.T) *session.Session {
	t.Helper()
	s, err := session.New(t.Context(), &memory{}, session.Opened{ID: "s"}, "first words")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func reply(id string, cost ledger.Amount, parts ...llm.Part) session.Event {
	return session.Event{Reply: &session.Reply{
		Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: parts}, End: llm.End{Reason: llm.EndStop, Usage: llm.Usage{Input: 10, Output: 5}}},
		Model: id, Cost: cost,
	}}
}

// The state holds what a summary must not lose, the latest of each.
func TestState(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	record(t, s,
		reply("m", ledger.Amount{USD: 0.25}, llm.Part{Call: &llm.ToolCall{ID: "1", Name: "job_submit"}}),
		session.Event{Result: &session.Result{CallID: "1", Output: tool.Output{
			Plan:  []tool.PlanItem{{Text: "train", Status: "doing"}},
			Facts: []tool.Fact{{Kind: "Jobs", Name: "j1", Text: "running"}, {Kind: "Files written", Name: "train.py", Text: "new"}},
		}}},
		session.Event{Compact: &session.Compact{Summary: "x", Decisions: []string{"trees"}, Questions: []string{"which seed?"}, Keep: 1}},
		session.Event{Prompt: &session.Prompt{Text: "also try boosting"}},
		reply("m", ledger.Amount{USD: 0.5}, llm.Part{Call: &llm.ToolCall{ID: "2", Name: "job_wait"}}),
		session.Event{Result: &session.Result{CallID: "2", Output: tool.Output{Facts: []tool.Fact{{Kind: "Jobs", Name: "j1", Text: "succeeded; accuracy 0.9"}}}}},
	)
	got := s.State().Text(10_000)
	want := `Goal: the first message, in the person's words.
The person said later:
- also try boosting
Plan:
- [doing] train
Decisions:
- trees
Jobs:
- j1: succeeded; accuracy 0.9
Files written:
- train.py: new
Open questions:
- which seed?
Spent so far: $0.75`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if short := s.State().Text(100); len(short) > 200 {
		t.Errorf("%d bytes in 100", len(short))
	}
}

// What a crash leaves open counts at its worst, on the line of its model.
func TestBill(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	reserve := func(purpose, model string, usd float64) session.Event {
		return session.Event{Reserved: &session.Reserved{For: purpose, Model: model, Worst: ledger.Amount{USD: usd}}}
	}
	record(t, s,
		reserve(session.ForStep, "a", 2), reply("a", ledger.Amount{USD: 0.5}),
		reserve(session.ForStep, "a", 2), session.Event{Settled: &session.Settled{For: session.ForStep, Model: "a"}},
		reserve(session.ForStep, "a", 2), // a crash
		reserve(session.ForSummary, "a", 1), session.Event{Compact: &session.Compact{Model: "a", Cost: ledger.Amount{USD: 0.25}}},
		reserve(session.ForStep, "b", 4),                                         // another,
		session.Event{Compact: &session.Compact{Summary: "digest, of no model"}}, // which this does not settle
	)
	want := []struct {
		purpose, name string
		calls         int
		cost, open    float64
	}{{session.ForStep, "a", 3, 2.5, 2}, {session.ForSummary, "a", 1, 0.25, 0}, {session.ForStep, "b", 1, 4, 4}}
	for range 2 { // to ask changes nothing
		bill := s.Bill()
		if bill.Cost.USD != 6.75 || len(bill.Lines) != len(want) {
			t.Fatalf("%+v", bill)
		}
		for i, w := range want {
			if l := bill.Lines[i]; l.For != w.purpose || l.Name != w.name || l.Calls != w.calls || l.Cost.USD != w.cost || l.Open.USD != w.open {
				t.Errorf("line %d is %+v, want %+v", i, l, w)
			}
		}
	}
}

// A part is shortened, never broken: arguments stay JSON, characters whole.
func TestShorten(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 500)
	m := llm.Message{Role: llm.Assistant, Parts: []llm.Part{
		{Reasoning: long, Proof: &llm.Proof{Kind: "k", Data: "d"}},
		{Reasoning: "short"},
		{Text: long},
		{Call: &llm.ToolCall{ID: "1", Name: "f", Args: `{"a":"` + long + `"}`}},
		{Image: &llm.Image{MediaType: "image/png"}},
		{Result: &llm.ToolResult{CallID: "1", Text: long, Image: &llm.Image{}}},
	}}
	for limit := range 300 {
		short := session.Shorten(m, limit)
		size := 0
		for _, p := range short.Parts {
			text := p.Text
			if p.Result != nil {
				text = p.Result.Text
			}
			if strings.Contains(text, "\ufffd") || !strings.Contains(strings.ToValidUTF8(text, "?"), text) {
				t.Fatalf("limit %d breaks a character: %q", limit, text)
			}
			size = max(size, len(text))
		}
		if size > limit+80 {
			t.Fatalf("limit %d leaves %d bytes", limit, size)
		}
	}
	if len(m.Parts) != 6 || m.Parts[2].Text != long {
		t.Error("the message itself was changed")
	}
}

// The provider's count is taken when it can be, and estimates learn from it.
func TestTokens(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	if n, whole := s.Tokens(); n <= 0 || whole {
		t.Errorf("%d tokens, whole %v, before any count", n, whole)
	}
	text := strings.Repeat("some words of a text ", 1000)
	turn := func(input int) {
		record(t, s, session.Event{Reply: &session.Reply{Reply: llm.Reply{
			Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: "ok"}}},
			End:     llm.End{Usage: llm.Usage{Input: input, Output: 2}},
		}}}, session.Event{Prompt: &session.Prompt{Text: text}})
	}
	turn(100)
	first, _ := s.Tokens()
	turn(100 + 2*first) // twice what was estimated
	second, whole := s.Tokens()
	if !whole || second < 100+2*first+first*3/2 {
		t.Errorf("the estimate does not learn: %d, then %d", first, second)
	}
	if most, _ := s.MostTokens(); most < second {
		t.Errorf("at most %d, about %d", most, second)
	}
}
