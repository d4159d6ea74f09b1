package agent

import (
	"context"
	"errors"
	"fmt"
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
		{"bad_arguments", badArguments},
		{"cut_off", cutOff},
		{"empty_reply", emptyReply},
		{"unfinished_plan", unfinishedPlan},
		{"claims", claims},
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

// maxBadArgs is how many results in a row, of calls of one tool whose arguments
// were of no use, the guard takes before it speaks.
const maxBadArgs = 2

// badArguments minds calls whose arguments cannot be read, again and again.
func badArguments(s *session.Session) (string, error) {
	names := make(map[string]string) // call id -> tool, as they are met from the end
	var results []*session.Result
	name, row := "", 0
scan:
	for _, ev := range slices.Backward(s.Events()) {
		switch {
		case ev.Prompt != nil, ev.Note != nil && ev.Note.Guard == "bad_arguments":
			break scan
		case ev.Result != nil:
			results = append(results, ev.Result)
		case ev.Reply != nil:
			for _, c := range ev.Reply.Message.Calls() {
				names[c.ID] = c.Name
			}
			for _, r := range results {
				tool := names[r.CallID]
				if !r.BadArgs || name != "" && tool != name {
					break scan
				}
				name = tool
				row++
			}
			results = results[:0]
		}
		if row >= maxBadArgs {
			break
		}
	}
	if row < maxBadArgs {
		return "", nil
	}
	if s.Notes("bad_arguments") >= 2 {
		return "", fmt.Errorf("%w: the arguments of its calls to %s cannot be used, again and again", ErrLoop, name)
	}
	return fmt.Sprintf("The arguments of your calls to %s could not be used, %d times in a row. Send one JSON object that fits its schema. "+
		"If they are long, make them short: write a file in parts, with several calls.", name, row), nil
}

// cutOff lets a reply go on that the output limit has cut, and names the calls
// that were cut in half: they were not made.
func cutOff(s *session.Session) (string, error) {
	row := 0 // replies that were cut, one after another
	var last *session.Reply
	for _, ev := range slices.Backward(s.Events()) {
		if ev.Prompt != nil || last == nil && ev.Note != nil && ev.Note.Guard == "cut_off" {
			break
		}
		if ev.Reply == nil {
			continue
		}
		if ev.Reply.End.Reason != llm.EndLength {
			break
		}
		if last == nil {
			last = ev.Reply
		}
		row++
	}
	switch {
	case last == nil || len(last.Message.Calls()) > 0 && len(last.End.Dropped) == 0:
		return "", nil
	case row > maxCutOff:
		return "", fmt.Errorf("%w: its reply was cut off by the output limit %d times in a row", ErrEmpty, row)
	case len(last.End.Dropped) > 0:
		return fmt.Sprintf("Your reply was cut off by the output limit in the middle of %s: %s. It was not made. "+
			"Make it anew in smaller pieces: write a file in parts, with several calls.",
			plural(len(last.End.Dropped), "a call", "calls"), strings.Join(last.End.Dropped, ", ")), nil
	}
	return "Your reply was cut off by the output limit. Go on exactly where it stopped, without repeating anything.", nil
}

// maxCutOff is how many replies in a row may be cut off.
const maxCutOff = 3

// emptyReply asks once more when the model said nothing.
func emptyReply(s *session.Session) (string, error) {
	reply := lastReply(s)
	if reply == nil || !isEmpty(reply) {
		return "", nil
	}
	replies := 0
	for _, ev := range slices.Backward(s.Events()) {
		if ev.Prompt != nil {
			break
		}
		if ev.Reply == nil {
			continue
		}
		if replies++; replies == 2 {
			if isEmpty(ev.Reply) {
				return "", fmt.Errorf("%w: two empty replies", ErrEmpty)
			}
			break
		}
	}
	return "Your reply was empty. Go on with the work, or answer the person.", nil
}

func isEmpty(r *session.Reply) bool {
	return strings.TrimSpace(r.Message.Text()) == "" && len(r.Message.Calls()) == 0 && r.End.Reason != llm.EndLength
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
	for _, ev := range slices.Backward(s.Events()) {
		if ev.Notice == nil { // to the person, and no part of the conversation
			return ev.Reply
		}
	}
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf("%d %s", n, many)
}
