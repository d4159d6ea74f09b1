package agent

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// A Guard reads the session before each model call. It returns a note for the
// model, "" when all is well, or an error to end the turn.
type Guard struct {
	Name  string
	Check func(*session.Session) (note string, err error)
}

// Errors with which guards end a turn.
var (
	ErrLoop  = errors.New("the model runs in circles")
	ErrEmpty = errors.New("the model gives no answer")
)

// Guards lists the guards in the order in which they are asked.
func Guards() []Guard {
	return []Guard{
		{"repetition", repetition},
		{"cut_off", cutOff},
		{"empty_reply", emptyReply},
		{"unfinished_plan", unfinishedPlan},
	}
}

// guard passes on what the first guard that minds has to say.
func (t turn) guard(ctx context.Context) error {
	for _, g := range t.Guards {
		note, err := g.Check(t.session)
		if err != nil {
			return err
		}
		if note != "" {
			return t.emit(ctx, session.Event{Note: &session.Note{Guard: g.Name, Text: note}})
		}
	}
	return nil
}

const (
	longestCycle = 5 // calls
	maxRepeats   = 3 // of a cycle, before the guard speaks
	maxWarnings  = 2 // notes in a turn, before it ends the turn
)

// repetition minds calls that are made again and again with the same result:
// one call, or a cycle of up to five. Polling whose result changes is not a
// loop. After a note only new evidence counts.
func repetition(s *session.Session) (string, error) {
	done := settled(s, longestCycle*maxRepeats)
	for period := 1; period <= longestCycle; period++ {
		if !cycles(done, period) {
			continue
		}
		if s.Notes("repetition") >= maxWarnings {
			return "", fmt.Errorf("%w: it was told %d times and goes on repeating the same calls with the same results", ErrLoop, maxWarnings)
		}
		return fmt.Sprintf("You made the same %s %d times in a row with the same results. Repeating it will not help: "+
			"change something, try another way, or tell the person what stops you.", plural(period, "call", "calls"), maxRepeats), nil
	}
	return "", nil
}

// cycles reports whether the latest entries are maxRepeats times the same
// period entries. The entries are latest first.
func cycles(done []uint64, period int) bool {
	n := period * maxRepeats
	if len(done) < n {
		return false
	}
	for i := period; i < n; i++ {
		if done[i] != done[i-period] {
			return false
		}
	}
	return true
}

// settled fingerprints the calls with their results since the last prompt or
// repetition note, latest first, up to limit of them. A call that was
// interrupted is no evidence: making it again is what it takes.
func settled(s *session.Session, limit int) []uint64 {
	results := make(map[string]string)
	var prints []uint64
	seed := maphash.MakeSeed()
	for _, ev := range slices.Backward(s.Events()) {
		switch {
		case ev.Prompt != nil, ev.Note != nil && ev.Note.Guard == "repetition":
			return prints
		case ev.Result != nil:
			results[ev.Result.CallID] = ev.Result.Text
		case ev.Reply != nil:
			for _, call := range slices.Backward(ev.Reply.Message.Calls()) {
				if strings.HasPrefix(results[call.ID], interrupted) {
					continue
				}
				prints = append(prints, maphash.Comparable(seed, [3]string{call.Name, call.Args, results[call.ID]}))
			}
		}
		if len(prints) >= limit {
			return prints
		}
	}
	return prints
}

// cutOff lets a reply go on that the output limit has cut.
func cutOff(s *session.Session) (string, error) {
	reply := lastReply(s)
	if reply == nil || reply.End.Reason != llm.EndLength || len(reply.Message.Calls()) > 0 {
		return "", nil
	}
	if s.Notes("cut_off") >= 3 {
		return "", fmt.Errorf("%w: its reply was cut off by the output limit %d times in a row", ErrEmpty, 4)
	}
	return "Your reply was cut off by the output limit. Go on exactly where it stopped, in smaller pieces.", nil
}

// emptyReply asks once more when the model said nothing.
func emptyReply(s *session.Session) (string, error) {
	reply := lastReply(s)
	if reply == nil || reply.Message.Text() != "" || len(reply.Message.Calls()) > 0 || reply.End.Reason == llm.EndLength {
		return "", nil
	}
	if s.Notes("empty_reply") >= 1 {
		return "", fmt.Errorf("%w: two empty replies", ErrEmpty)
	}
	return "Your reply was empty. Go on with the work, or answer the person.", nil
}

// unfinishedPlan minds an answer while the plan has open points, at most twice
// in a turn: the model may have its reasons.
func unfinishedPlan(s *session.Session) (string, error) {
	if !s.Answered() || lastReply(s) == nil || s.Notes("unfinished_plan") >= 2 {
		return "", nil
	}
	var open []string
	for _, item := range s.Plan() {
		if item.Status == "pending" || item.Status == "doing" {
			open = append(open, item.Text)
		}
	}
	if len(open) == 0 {
		return "", nil
	}
	return fmt.Sprintf("Your plan still has %s: %s. Finish it, or set the plan to what is true and tell the person why you stop.",
		plural(len(open), "open point", "open points"), strings.Join(open, "; ")), nil
}

// lastReply is the reply that the log ends with, nil if it ends otherwise.
func lastReply(s *session.Session) *session.Reply {
	events := s.Events()
	if len(events) == 0 {
		return nil
	}
	return events[len(events)-1].Reply
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf("%d %s", n, many)
}
