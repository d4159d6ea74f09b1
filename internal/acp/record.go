package acp

import (
	"fmt"
	"slices"
	"strings"

	sdk "github.com/coder/acp-go-sdk"

	"ml-intern/internal/app"
	"ml-intern/internal/approval"
	"ml-intern/internal/chat"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// A record turns what happened into updates for the editor. It belongs to one
// goroutine.
type record struct {
	show func(sdk.SessionUpdate)
	read func(path string) ([]byte, error) // a file as the tools read it
	dir  string

	calls     map[string]*call // of the latest reply, by id
	runs      map[int]*call    // commands of the person's own
	replaying bool
	streamed  bool   // of the reply that comes, something is shown
	midText   bool   // what was shown last is text, which a line did not end
	held      string // a word that the end of the turn may say again
	refused   bool   // the latest reply was withheld
	cutOff    bool   // or ended at the output limit
}

func newRecord(show func(sdk.SessionUpdate), read func(path string) ([]byte, error)) *record {
	r := &record{read: read, calls: make(map[string]*call), runs: make(map[int]*call)}
	r.show = func(u sdk.SessionUpdate) {
		c := u.AgentMessageChunk
		r.midText = c != nil && c.Content.Text != nil && !strings.HasSuffix(c.Content.Text.Text, "\n")
		show(u)
	}
	return r
}

func said(text string) sdk.SessionUpdate { return sdk.UpdateAgentMessageText(text) }

// say shows words of the program.
func (r *record) say(text string) {
	r.settle("")
	r.aside(text)
}

// aside shows words that are not the model's, apart from its own.
func (r *record) aside(text string) {
	lead := ""
	if r.midText {
		lead = "\n\n"
	}
	r.show(said(lead + quoted(text)))
}

// hold keeps a word until it is known whether the end of the turn says the same.
func (r *record) hold(text string) {
	r.settle("")
	r.held = text
}

// settle shows the word that was held, unless it is the one that is said now.
func (r *record) settle(now string) {
	text := r.held
	if r.held = ""; text != "" && text != now {
		r.aside(text)
	}
}

// replay takes in what was before, and shows it if it is wanted.
func (r *record) replay(events []session.Event, shown bool) {
	show := r.show
	if !shown {
		r.show = func(sdk.SessionUpdate) {}
	}
	r.replaying = true
	for _, ev := range events {
		r.event(ev)
	}
	r.replaying, r.streamed, r.show = false, false, show
}

// event shows what an event says.
func (r *record) event(ev session.Event) {
	r.settle("")
	switch {
	case ev.Opened != nil:
		r.dir = ev.Opened.Dir
	case ev.Prompt != nil && r.replaying:
		r.show(sdk.UpdateUserMessageText(ev.Prompt.Text))
	case ev.Chunk != nil:
		r.chunk(*ev.Chunk)
	case ev.Reply != nil:
		r.reply(*ev.Reply)
	case ev.Failed != nil && r.replaying:
		r.aside(ev.Failed.Text)
	default:
		if !r.callEvent(ev) {
			r.wordEvent(ev)
		}
	}
}

// chunk shows a piece of a reply as it comes.
func (r *record) chunk(c llm.Chunk) {
	switch {
	case c.Restart:
		if r.streamed {
			r.aside("The model did not answer in full and is asked again: what it said last does not count.")
		}
		r.streamed = false
	case c.Reasoning != "":
		r.streamed = true
		r.show(sdk.UpdateAgentThoughtText(c.Reasoning))
	case c.Text != "":
		r.text(c.Text)
	}
}

// text shows what the model says, apart from what it said in the reply before.
func (r *record) text(text string) {
	if !r.streamed && r.midText {
		text = "\n\n" + text
	}
	r.streamed = true
	r.show(said(text))
}

// reply shows what of a reply was not shown as it came, and its calls.
func (r *record) reply(reply session.Reply) {
	r.refused, r.cutOff = slices.Contains(refusals(), reply.End.Reason), reply.End.Reason == llm.EndLength
	clear(r.calls)
	whole := !r.streamed
	for _, p := range reply.Message.Parts {
		switch {
		case p.Call != nil:
			r.begin(*p.Call)
		case whole && strings.TrimSpace(p.Reasoning) != "":
			r.show(sdk.UpdateAgentThoughtText(p.Reasoning))
		case whole && strings.TrimSpace(p.Text) != "":
			r.text(p.Text)
		}
	}
	r.streamed = false
	if len(reply.End.Dropped) > 0 {
		r.aside("The model's output limit cut the reply off.")
	}
}

// refusals are the words of providers for a reply that was withheld.
func refusals() []string { return []string{"refusal", "content_filter"} }

// wordEvent shows what is a line.
func (r *record) wordEvent(ev session.Event) {
	word := func(format string, args ...any) { r.aside(fmt.Sprintf(format, args...)) }
	switch {
	case ev.Notice != nil:
		word("%s", ev.Notice.Text)
	case ev.Switched != nil:
		word("%s takes over from %s: %s", ev.Switched.To, ev.Switched.From, ev.Switched.Reason)
	case ev.Compact != nil:
		word("The conversation was summarized to fit the model's window.")
	case ev.Charged != nil:
		for _, c := range ev.Charged.Charges {
			if c.Final {
				word("job %s is over: it cost $%.2f", c.Job, c.USD)
			}
		}
	}
}

// plan shows the model's plan.
func (r *record) plan(items []tool.PlanItem) {
	entries := []sdk.PlanEntry{}
	for _, i := range items {
		e := sdk.PlanEntry{Content: i.Text, Priority: sdk.PlanEntryPriorityMedium, Status: sdk.PlanEntryStatusPending}
		switch i.Status {
		case "dropped":
			continue
		case "doing":
			e.Status = sdk.PlanEntryStatusInProgress
		case "done":
			e.Status = sdk.PlanEntryStatusCompleted
		}
		entries = append(entries, e)
	}
	r.show(sdk.UpdatePlan(entries...))
}

// outcome is how the editor is told that a turn is over.
func (r *record) outcome(e chat.Ended, canceled bool) (sdk.StopReason, error) {
	exit := app.Classify(e.Err)
	switch {
	case exit.Reason == "interrupted" || canceled:
		return sdk.StopReasonCancelled, nil //nolint:nilerr // a stop is no failure
	case r.refused && (e.Err == nil || exit.Reason == "guard" || exit.Reason == "gave_up"):
		return sdk.StopReasonRefusal, nil
	case r.cutOff && exit.Reason == "guard":
		return sdk.StopReasonMaxTokens, nil
	case exit.Reason == "step_limit":
		return sdk.StopReasonMaxTurnRequests, nil
	case e.Err != nil:
		what, hint, _ := strings.Cut(e.Text, "\n")
		return "", told(exit, what, hint)
	}
	return sdk.StopReasonEndTurn, nil
}

// questions are the calls of a step that a person must decide.
func (r *record) questions(reqs []approval.Request) []question {
	list := make([]question, len(reqs))
	for i, req := range reqs {
		list[i] = question{req, r.asked(req)}
	}
	return list
}
