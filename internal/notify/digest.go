package notify

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// A place is where in the log something stands that is told.
type place struct {
	Seq  int64 `json:"seq"`
	Part int   `json:"part,omitempty"` // of several things in one event
}

func (p place) after(q place) bool { return p.Seq > q.Seq || p.Seq == q.Seq && p.Part > q.Part }

// A placed message stands somewhere in the log.
type placed struct {
	Message
	at place
}

// A digest reads a session's log, in order, and finds in it what is told.
type digest struct {
	id, model, dir string
	redact         func(string) string // before anything is cut: half a secret is none that can be seen

	names map[string]llm.ToolCall // by id, of the last reply
	open  map[int64][]string      // calls that still wait for a person, by the event that asked
	told  map[string]bool         // ids of news of jobs

	answer *session.Event // the last reply, if it is an answer and nothing came after it
	begun  string         // pieces of it that the output limit cut off
}

func newDigest(id string, redact func(string) string) *digest {
	if redact == nil {
		redact = func(s string) string { return s }
	}
	return &digest{id: id, redact: redact, names: make(map[string]llm.ToolCall), open: make(map[int64][]string), told: make(map[string]bool)}
}

// add reads one event, and returns what is to be told now.
func (d *digest) add(ev session.Event) []placed {
	if ev.Aside() {
		return nil
	}
	var out []placed
	switch {
	case ev.Opened != nil:
		d.model, d.dir = ev.Opened.Model, ev.Opened.Dir
	case ev.Prompt != nil && !ev.Prompt.Steer:
		out = d.rest() // the turn before is over for sure
	case ev.Reply != nil:
		d.reply(ev)
		return nil
	case ev.Asked != nil:
		out = d.asked(ev)
	case ev.Decided != nil:
		d.close(ev.Decided.CallID)
	case ev.Result != nil:
		d.close(ev.Result.CallID)
		out = d.jobs(ev)
	case ev.Failed != nil:
		out = d.failed(ev)
	}
	d.answer, d.begun = nil, ""
	return out
}

func (d *digest) reply(ev session.Event) {
	calls := ev.Reply.Message.Calls()
	clear(d.names)
	for _, call := range calls {
		d.names[call.ID] = call
	}
	if ev.Reply.Model != "" {
		d.model = ev.Reply.Model
	}
	d.answer = nil
	switch {
	case ev.Reply.Answers():
		d.answer = &ev
	case ev.Reply.End.Reason == llm.EndLength && len(calls) == 0:
		d.begun += ev.Reply.Message.Text()
	default:
		d.begun = ""
	}
}

// rest is what the log ends with when no turn works: its answer.
func (d *digest) rest() []placed {
	if d.answer == nil {
		return nil
	}
	ev, text := *d.answer, d.begun+d.answer.Reply.Message.Text()
	d.answer, d.begun = nil, ""
	return []placed{d.message(ev, 0, TurnComplete, Success, "Turn complete", text)}
}

func (d *digest) message(ev session.Event, part int, kind, severity, title, text string) placed {
	at := place{ev.Seq, part}
	return placed{Message{
		ID: messageID(d.id, fmt.Sprintf("%d-%d", ev.Seq, part)), Event: kind, Severity: severity, Title: title, Text: text,
		Session: d.id, Model: d.model, Dir: d.dir, Time: ev.Time,
	}, at}
}

// messageID names a message of a session, and no other one in the world.
func messageID(id, what string) string { return "msg_" + id + "_" + what }

// saidID is that of what the model said by a call.
func saidID(id, callID string) string {
	h := fnv.New128a()
	h.Write([]byte(callID))
	return messageID(id, "said-"+hex.EncodeToString(h.Sum(nil)))
}

// maxArgs is how much of a call's arguments is told, in letters.
const maxArgs = 300

func (d *digest) asked(ev session.Event) []placed {
	d.open[ev.Seq] = slices.Clone(ev.Asked.CallIDs)
	var names, lines []string
	for _, id := range ev.Asked.CallIDs {
		call := d.names[id]
		if call.Name == "" {
			call.Name = "a call"
		}
		if !slices.Contains(names, call.Name) {
			names = append(names, call.Name)
		}
		lines = append(lines, "- "+call.Name+": `"+shorten(strings.ReplaceAll(oneLine(d.redact(call.Args)), "`", "'"), maxArgs)+"`")
	}
	title := "Approval required: " + strings.Join(names, ", ")
	text := fmt.Sprintf("1 call waits for a person: %s.", ev.Asked.Reason)
	if n := len(ev.Asked.CallIDs); n != 1 {
		text = fmt.Sprintf("%d calls wait for a person. The first: %s.", n, ev.Asked.Reason)
	}
	text += "\n" + strings.Join(lines, "\n") + "\nDecide where the session works; if it has ended: `ml-intern --resume " + d.id + " --approve ask`"
	return []placed{d.message(ev, 0, ApprovalRequired, Warning, title, text)}
}

// close notes that a call waits for nobody any more.
func (d *digest) close(callID string) {
	for seq, calls := range d.open {
		if calls = slices.DeleteFunc(calls, func(id string) bool { return id == callID }); len(calls) == 0 {
			delete(d.open, seq)
		} else {
			d.open[seq] = calls
		}
	}
}

// A question is not told any more when it has its answer, nor anything that is
// so old that nobody waits for it.
func (d *digest) stale(m placed) bool {
	return m.Event == ApprovalRequired && d.open[m.at.Seq] == nil || time.Since(m.Time) > maxAge
}

// maxAge is how old may be what is told after a restart.
const maxAge = 24 * time.Hour

// failed tells of a turn that ended without an answer. That it waits for a
// person was told, and who stopped it knows.
func (d *digest) failed(ev session.Event) []placed {
	switch ev.Failed.Reason {
	case "approval", "interrupted":
		return nil
	}
	text := shorten(d.redact(ev.Failed.Text), maxError) + "\nGo on with: `ml-intern --resume " + d.id + "`"
	return []placed{d.message(ev, 0, Failed, Error, "Turn failed: "+ev.Failed.Reason, text)}
}

func (d *digest) jobs(ev session.Event) []placed {
	var out []placed
	for i, n := range ev.Result.News {
		if d.told[n.ID] {
			continue
		}
		d.told[n.ID] = true
		name := n.Job
		if n.Name != "" {
			name = n.Name + " (" + n.Job + ")"
		}
		switch n.Kind {
		case "finished":
			out = append(out, d.message(ev, i, JobFinished, Success, "Job over: "+name, n.Text))
		case "failed":
			out = append(out, d.message(ev, i, JobFailed, Error, "Job failed: "+name, n.Text))
		default:
			out = append(out, d.message(ev, i, JobWarning, Warning, "Job warning: "+name, n.Text))
		}
	}
	return out
}
