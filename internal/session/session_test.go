package session_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"testing"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// memory is a Store for one session that is never damaged.
type memory struct {
	session.Store
	events []session.Event
}

func (m *memory) Append(_ context.Context, _ string, evs ...session.Event) error {
	for _, ev := range evs {
		if ev.Seq != int64(len(m.events))+1 {
			return session.ErrConflict
		}
		m.events = append(m.events, ev)
	}
	return nil
}

func (m *memory) Load(context.Context, string, int64) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		for _, ev := range m.events {
			if !yield(ev, nil) {
				return
			}
		}
	}
}

// randomLog records what could happen in any order, with crashes in between.
func randomLog(t *testing.T, r *rand.Rand, store *memory) *session.Session {
	t.Helper()
	s, err := session.New(t.Context(), store, session.Opened{ID: "s"}, "first")
	if err != nil {
		t.Fatal(err)
	}
	record := func(ev session.Event) {
		if _, err := s.Record(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	for range r.IntN(40) {
		switch pending := s.Pending(); {
		case len(pending) > 0 && r.IntN(4) > 0: // results come in any order
			id := pending[r.IntN(len(pending))].ID
			record(session.Event{Started: &session.Started{CallID: id}})
			record(session.Event{Result: &session.Result{CallID: id, Output: tool.Output{Text: "done " + id}}})
		case r.IntN(5) == 0:
			prompt := session.Prompt{Text: "next"}
			if r.IntN(2) == 0 {
				prompt.Pictures = []*llm.Image{{Name: "a.png", MediaType: "image/png", Data: []byte("a")}, {Name: "lost.png", MediaType: "image/png"}}
			}
			record(session.Event{Prompt: &prompt})
		case r.IntN(6) == 0 && len(pending) == 0 && len(s.Messages()) > 2:
			keep := 1 + r.IntN(len(s.Messages()))
			for keep < len(s.Messages()) && s.Messages()[keep].Role == llm.Tool {
				keep++
			}
			record(session.Event{Compact: &session.Compact{State: "state", Summary: "summary", Keep: keep, Longest: r.IntN(3) * 5}})
		case r.IntN(8) == 0 && len(pending) == 0:
			cleared := session.Cleared{Pictures: r.IntN(len(s.Messages()) + 5)}
			for _, m := range s.Messages() {
				if m.Role == llm.Tool && r.IntN(2) == 0 {
					cleared.Results = append(cleared.Results, session.ClearedResult{CallID: m.Parts[0].Result.CallID, Text: "cleared"})
				}
			}
			record(session.Event{Cleared: &cleared})
		case r.IntN(8) == 0:
			record(session.Event{Switched: &session.Switched{From: "a", To: "b"}})
		default:
			reply := llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Reasoning: "a long thought"}, {Text: "so it is"}}}, End: llm.End{Usage: llm.Usage{Input: r.IntN(3) * 50, Output: 10}}}
			for range r.IntN(4) { // ids that providers leave out or use again
				reply.Message.Parts = append(reply.Message.Parts, llm.Part{Call: &llm.ToolCall{ID: []string{"", "a", "b"}[r.IntN(3)], Name: "f"}})
			}
			s.UniqueCalls(&reply)
			record(session.Event{Reply: &session.Reply{Reply: reply}})
		}
	}
	return s
}

// Whatever the log holds, the transcript is one that providers accept, and a
// new process computes the same from it.
func TestTranscriptsAreValid(t *testing.T) {
	t.Parallel()
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		store := &memory{}
		s := randomLog(t, r, store)
		if problem := invalid(s.Messages()); problem != "" {
			t.Fatalf("seed %d: %s\n%+v", seed, problem, s.Messages())
		}
		again, err := session.Open(t.Context(), store, "s")
		if err != nil {
			t.Fatal(err)
		}
		tokens, whole := again.Tokens()
		if was, wasWhole := s.Tokens(); tokens != was || whole != wasWhole || !reflect.DeepEqual(again.Bill(), s.Bill()) {
			t.Fatalf("seed %d: a new process counts %d tokens, not %d, or has another bill", seed, tokens, was)
		}
		if !reflect.DeepEqual(again.Messages(), s.Messages()) || !reflect.DeepEqual(again.Pending(), s.Pending()) || again.Steps() != s.Steps() {
			t.Fatalf("seed %d: a new process computes something else", seed)
		}
	}
}

// invalid says what a provider would refuse in a transcript.
func invalid(messages []llm.Message) string {
	if messages[0].Role != llm.User || messages[0].Text() != "first" {
		return "it does not begin with the first prompt"
	}
	open := map[string]bool{}
	for i, m := range messages {
		if len(m.Parts) == 0 {
			return fmt.Sprintf("message %d is empty", i)
		}
		if m.Role != llm.Tool && len(open) > 0 {
			return fmt.Sprintf("message %d comes before the results of %v", i, open)
		}
		for _, p := range m.Parts {
			switch {
			case p.Call != nil && (p.Call.ID == "" || open[p.Call.ID]):
				return fmt.Sprintf("message %d has a call with the id %q twice, or without", i, p.Call.ID)
			case p.Call != nil:
				open[p.Call.ID] = true
			case p.Result != nil && !open[p.Result.CallID]:
				return fmt.Sprintf("message %d has a result without its call", i)
			case p.Result != nil:
				delete(open, p.Result.CallID)
			}
		}
	}
	if len(open) > 0 {
		return fmt.Sprintf("it ends without the results of %v", open)
	}
	return ""
}

func TestAnswered(t *testing.T) {
	t.Parallel()
	reply := func(reason string, parts ...llm.Part) session.Event {
		return session.Event{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: parts}, End: llm.End{Reason: reason}}}}
	}
	text := llm.Part{Text: "yes"}
	for name, tt := range map[string]struct {
		ev   session.Event
		want bool
	}{
		"text":             {reply(llm.EndStop, text), true},
		"text and a call":  {reply(llm.EndCalls, text, llm.Part{Call: &llm.ToolCall{ID: "1"}}), false},
		"cut off":          {reply(llm.EndLength, text), false},
		"gave up":          {reply(llm.EndFailed, text), false},
		"nothing":          {reply(llm.EndStop), false},
		"only reasoning":   {reply(llm.EndStop, llm.Part{Reasoning: "hm"}), false},
		"a word in filter": {reply("content_filter", text), true},
		"a failed turn":    {session.Event{Failed: &session.Failed{Reason: "error"}}, false},
		"a note":           {session.Event{Note: &session.Note{Guard: "x", Text: "y"}}, false},
	} {
		s, err := session.New(t.Context(), &memory{}, session.Opened{ID: "s"}, "go")
		if err != nil {
			t.Fatal(err)
		}
		if s.Answered() {
			t.Fatal("a new session is answered")
		}
		if _, err := s.Record(t.Context(), tt.ev); err != nil {
			t.Fatal(err)
		}
		if s.Answered() != tt.want {
			t.Errorf("%s: answered %v", name, s.Answered())
		}
	}
}
