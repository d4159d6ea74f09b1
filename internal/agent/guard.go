package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
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
			return t.emit(ctx, session.Event{Note: &session.Note{Guard: g.Name, Text: llm.NoteMark + note}})
		}
	}
	return nil
}

const (
	maxBadArgs = 2 // results in a row, of calls of one tool whose arguments were of no use
	maxCutOff  = 3 // replies in a row that the output limit has cut
)

// badArguments minds calls of one tool whose arguments cannot be used, one
// after the other. It speaks twice in a turn, then ends it.
func badArguments(s *session.Session) (string, error) {
	name, row := badRow(s.Events())
	if row < maxBadArgs {
		return "", nil
	}
	if s.Notes("bad_arguments") >= 2 {
		return "", fmt.Errorf("%w: told twice, it goes on calling %s with arguments that cannot be used", ErrLoop, name)
	}
	return fmt.Sprintf("The arguments of your calls to %s could not be used, %d times in a row, and nothing was done. "+
		"Send one small JSON object that fits the tool's schema. A long text goes in parts: write a file with several calls, "+
		"or with a heredoc in a shell command.", name, row), nil
}

// badRow counts the latest results, since the last prompt or note about them,
// of calls of one tool whose arguments were of no use.
func badRow(events []session.Event) (name string, row int) {
	var results []*session.Result // of the reply that is met next, latest first
	for _, ev := range slices.Backward(events) {
		switch {
		case ev.Prompt != nil, isNote(ev, "bad_arguments"):
			return name, row
		case ev.Result != nil && !ev.Result.BadArgs && len(results) == 0:
			return name, row
		case ev.Result != nil:
			results = append(results, ev.Result)
		case ev.Reply != nil:
			for _, r := range results {
				tool := toolOf(ev.Reply.Message.Calls(), r.CallID)
				if !r.BadArgs || row > 0 && tool != name {
					return name, row
				}
				name = tool
				row++
			}
			results = nil
		}
		if row >= maxBadArgs {
			return name, row
		}
	}
	return name, row
}

func toolOf(calls []llm.ToolCall, id string) string {
	for _, c := range calls {
		if c.ID == id {
			return c.Name
		}
	}
	return ""
}

// cutOff lets a reply go on that the output limit has cut, and names the calls
// that were cut in half: they were not made, though others of the same reply
// were.
func cutOff(s *session.Session) (string, error) {
	last, row := cutRow(s.Events())
	switch {
	case row == 0:
		return "", nil
	case row > maxCutOff:
		return "", fmt.Errorf("%w: its reply was cut off by the output limit %d times in a row", ErrEmpty, row)
	case len(last.End.Dropped) > 0:
		return fmt.Sprintf("Your reply was cut off by the output limit in the middle of %s: %s. Nothing of that was done. "+
			"Make it anew in smaller pieces: write a file in parts, with several calls.",
			plural(len(last.End.Dropped), "a call", "calls"), strings.Join(last.End.Dropped, ", ")), nil
	}
	return "Your reply was cut off by the output limit. Go on exactly where it stopped, without repeating anything.", nil
}

// cutRow returns the last reply and how many replies in a row, it among them,
// were cut off; none if it was whole, or the model has been told.
func cutRow(events []session.Event) (last *session.Reply, row int) {
	for _, ev := range slices.Backward(events) {
		switch {
		case ev.Prompt != nil, row == 0 && isNote(ev, "cut_off"):
			return last, row
		case ev.Reply != nil && !isCut(ev.Reply):
			return last, row
		case ev.Reply != nil:
			if row++; row == 1 {
				last = ev.Reply
			}
		}
	}
	return last, row
}

// isCut holds if something of the reply is missing. One whose calls are all
// there only ended with the wrong word.
func isCut(r *session.Reply) bool {
	return r.End.Reason == llm.EndLength && (len(r.End.Dropped) > 0 || len(r.Message.Calls()) == 0)
}

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
// in a turn and for the same plan: the model may have its reasons.
func unfinishedPlan(s *session.Session) (string, error) {
	if !s.Answered() || lastReply(s) == nil || s.Notes("unfinished_plan") >= maxPlanNotes {
		return "", nil
	}
	plan, told := planAndNotes(s.Events())
	if told >= maxPlanNotes {
		return "", nil
	}
	var open []string
	for _, item := range plan {
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

const maxPlanNotes = 2

// planAndNotes returns the plan as the model last set it, and how often it was
// told since that it is unfinished.
func planAndNotes(events []session.Event) (plan []tool.PlanItem, told int) {
	for _, ev := range slices.Backward(events) {
		switch {
		case ev.Result != nil && ev.Result.Plan != nil:
			return ev.Result.Plan, told
		case isNote(ev, "unfinished_plan"):
			told++
		}
	}
	return nil, told
}

// lastReply is the reply that the log ends with, nil if it ends otherwise.
func lastReply(s *session.Session) *session.Reply {
	for _, ev := range slices.Backward(s.Events()) {
		if !ev.Aside() {
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
