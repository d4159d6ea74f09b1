package session

import (
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/tool"
)

// A State is what a summary must not lose, computed from the log: the person's
// words, the plan, facts that tools have left, and the money. Decisions and
// open questions are the model's own, kept from one summary to the next.
type State struct {
	Prompts   []string // after the first, which stays in the transcript
	Plan      []tool.PlanItem
	Facts     []tool.Fact // the latest of each kind and name, in order of first mention
	Decisions []string
	Questions []string
	Bill      Bill
}

// State computes the state of the session.
func (s *Session) State() State {
	state := State{Plan: s.Plan(), Bill: s.Bill()}
	at := make(map[[2]string]int)
	first := true
	for _, ev := range s.events {
		switch {
		case ev.Prompt != nil && first:
			first = false
		case ev.Prompt != nil:
			state.Prompts = append(state.Prompts, ev.Prompt.Text)
		case ev.Compact != nil:
			state.Decisions, state.Questions = ev.Compact.Decisions, ev.Compact.Questions
		case ev.Result != nil:
			for _, f := range ev.Result.Facts {
				key := [2]string{f.Kind, f.Name}
				if i, known := at[key]; known {
					state.Facts[i] = f
					continue
				}
				at[key] = len(state.Facts)
				state.Facts = append(state.Facts, f)
			}
		}
	}
	return state
}

// Limits of a rendered state.
const (
	maxStatePrompt  = 1000 // bytes of one later prompt
	maxStatePrompts = 10   // the latest
	maxStateFacts   = 40   // of a kind, the latest
)

// Text is the state for the model, of about limit bytes at most.
func (s State) Text(limit int) string {
	var b strings.Builder
	list := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(&b, "%s:\n", title)
		for _, line := range lines {
			fmt.Fprintf(&b, "- %s\n", line)
		}
	}
	b.WriteString("Goal: the first message, in the person's words.\n")
	prompts := make([]string, 0, maxStatePrompts)
	for _, p := range s.Prompts[max(len(s.Prompts)-maxStatePrompts, 0):] {
		prompts = append(prompts, headAndTail(p, maxStatePrompt))
	}
	list("The person said later", prompts)
	plan := make([]string, len(s.Plan))
	for i, item := range s.Plan {
		plan[i] = fmt.Sprintf("[%s] %s", item.Status, item.Text)
	}
	list("Plan", plan)
	list("Decisions", s.Decisions)
	for _, kind := range kinds(s.Facts) {
		var lines []string
		for _, f := range s.Facts {
			if f.Kind == kind {
				lines = append(lines, f.Name+": "+f.Text)
			}
		}
		list(kind, lines[max(len(lines)-maxStateFacts, 0):])
	}
	list("Open questions", s.Questions)
	fmt.Fprintf(&b, "Spent so far: %s", s.Bill.Words())
	return headAndTail(b.String(), limit)
}

func kinds(facts []tool.Fact) []string {
	var all []string
	for _, f := range facts {
		if !slices.Contains(all, f.Kind) {
			all = append(all, f.Kind)
		}
	}
	return all
}

// Words says in short what the session cost.
func (b Bill) Words() string {
	text := fmt.Sprintf("$%.2f", b.Cost.USD)
	if b.Cost.Tokens > 0 {
		text += fmt.Sprintf(" and %d tokens of models of unknown price", b.Cost.Tokens)
	}
	return text
}
