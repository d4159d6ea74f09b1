package session

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/tool"
)

// A Session is one conversation: its log, and the transcript that grows with
// it. It belongs to one goroutine at a time.
type Session struct {
	ID     string
	store  Store
	events []Event
	transcript
	turn
	biller
	callIDs idSet
}

// New begins a session with its first prompt. Both are saved together, so that
// a session that exists can always go on.
func New(ctx context.Context, store Store, opened Opened, prompt string) (*Session, error) {
	return Begin(ctx, store, opened, Prompt{Text: prompt})
}

// Begin is New for a prompt with what the person gives the model to read with
// it.
func Begin(ctx context.Context, store Store, opened Opened, prompt Prompt) (*Session, error) {
	s := &Session{ID: opened.ID, store: store}
	if err := s.RecordAll(ctx, []Event{{Opened: &opened}, {Prompt: &prompt}}); err != nil {
		return nil, err
	}
	return s, nil
}

// Open loads a session, or fails with ErrNotFound.
func Open(ctx context.Context, store Store, id string) (*Session, error) {
	s := &Session{ID: id, store: store}
	for ev, err := range store.Load(ctx, id, 0) {
		if err != nil {
			return nil, fmt.Errorf("load session %s: %w", id, err)
		}
		s.add(ev)
	}
	if len(s.events) == 0 {
		return nil, fmt.Errorf("session %s: %w", id, ErrNotFound)
	}
	return s, nil
}

// Record numbers the event, saves it and adds it to the log. A live event
// passes through unsaved.
func (s *Session) Record(ctx context.Context, ev Event) (Event, error) {
	if ev.Live() {
		ev.Time = time.Now().UTC()
		return ev, nil
	}
	evs := []Event{ev}
	err := s.RecordAll(ctx, evs)
	return evs[0], err
}

// RecordAll numbers the events in place and saves them, all of them or none.
// None of them may be live.
func (s *Session) RecordAll(ctx context.Context, evs []Event) error {
	now := time.Now().UTC()
	for i := range evs {
		evs[i].Time, evs[i].Seq = now, int64(len(s.events)+i)+1
	}
	if err := s.store.Append(ctx, s.ID, evs...); err != nil {
		return err
	}
	for _, ev := range evs {
		s.add(ev)
		if ev.Result != nil && ev.Result.Saved != nil {
			ev.Result.Saved()
		}
	}
	return nil
}

func (s *Session) add(ev Event) {
	if len(s.events) == cap(s.events) { // append alone would copy a long log five times
		s.events = slices.Grow(s.events, len(s.events)+64)
	}
	s.events = append(s.events, ev)
	s.transcript.add(ev)
	s.turn.add(ev)
	s.biller.add(ev)
}

// Until returns the session as it was after the event, to look at or to copy:
// it has no store. Money that was set aside last, for a model call whose reply
// comes later, is not in it.
func (s *Session) Until(seq int64) *Session {
	events := s.events[:min(max(seq, 1), int64(len(s.events)))]
	for len(events) > 1 && events[len(events)-1].Reserved != nil {
		events = events[:len(events)-1]
	}
	past := &Session{ID: s.ID}
	for _, ev := range events {
		past.add(ev)
	}
	return past
}

// Events returns the log in order. The caller must not change it.
func (s *Session) Events() []Event { return s.events }

// Opened says where the session lives.
func (s *Session) Opened() Opened {
	if len(s.events) == 0 || s.events[0].Opened == nil {
		return Opened{ID: s.ID}
	}
	return *s.events[0].Opened
}

// Answered reports whether the last prompt has its answer, or there was none.
func (s *Session) Answered() bool {
	for _, ev := range slices.Backward(s.events) {
		switch {
		case ev.Aside():
		case ev.Reply != nil:
			return answers(ev)
		case ev.Opened != nil:
			return true
		default:
			return false
		}
	}
	return true
}

// answers reports whether the event is a model's whole answer.
func answers(ev Event) bool { return ev.Reply.Answers() }

// Answers reports whether it is the whole answer: text, no calls, not cut off,
// not giving up.
func (r *Reply) Answers() bool {
	m := r.Message
	end := r.End.Reason
	return len(m.Calls()) == 0 && end != llm.EndLength && end != llm.EndFailed && m.Text() != ""
}

// Answer is the text of the last reply, with the pieces before it that the
// output limit had cut off.
func (s *Session) Answer() string {
	text, found := "", false
	for _, ev := range slices.Backward(s.events) {
		switch {
		case ev.Reply != nil:
			if found && (ev.Reply.End.Reason != llm.EndLength || len(ev.Reply.Message.Calls()) > 0) {
				return text
			}
			text, found = ev.Reply.Message.Text()+text, true
		case found && (ev.Prompt != nil || ev.Result != nil || ev.Compact != nil):
			return text
		}
	}
	return text
}

// FullResult is the file that holds the whole result of a call, "" if all of
// it was in the transcript.
func (s *Session) FullResult(callID string) string {
	for _, ev := range slices.Backward(s.events) {
		if ev.Result != nil && ev.Result.CallID == callID {
			return ev.Result.Full
		}
	}
	return ""
}

// Plan is the plan as the model last set it.
func (s *Session) Plan() []tool.PlanItem {
	for _, ev := range slices.Backward(s.events) {
		if ev.Result != nil && ev.Result.Plan != nil {
			return ev.Result.Plan
		}
	}
	return nil
}

// Artifacts lists what the session left behind, in order, each once.
func (s *Session) Artifacts() []tool.Artifact {
	var all []tool.Artifact
	for _, ev := range s.events {
		if ev.Result == nil {
			continue
		}
		for _, a := range ev.Result.Artifacts {
			if !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	return all
}
