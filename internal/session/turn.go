package session

import (
	"fmt"
	"slices"
	"time"

	"ml-intern/internal/llm"
	"ml-intern/internal/tool"
)

// A PendingCall is a call of the last reply that has no result.
type PendingCall struct {
	llm.ToolCall
	Verdict string        // "allow" or "deny" once decided
	Started bool          // it ran, or was about to, when the log ends
	Began   time.Time     // when it started first
	Waits   *tool.Waiting // it waits, and does not run
	Worst   float64       // dollars that were set aside for it
	Wrote   string        // its arguments as the model wrote them, if a person changed them
}

// A turn is what the log says of the work since the last prompt.
type turn struct {
	pending []PendingCall // of the last reply, in order
	steps   int           // replies since the last prompt
	notes   map[string]int
	model   string          // that took over in this turn; "" for none
	calls   int             // of the last reply
	notices map[string]bool // kinds that the person was told

	checkpoint string // when the last one was made, "" for none since the prompt
	unsettled  bool   // what the last turn left is not recorded

	compactions int // since the last reply
	refusals    int // compactions since the last reply that followed a refusal
}

func (t *turn) add(ev Event) {
	switch {
	case ev.Prompt != nil && ev.Prompt.Steer: // the turn goes on, with what it may still take
	case ev.Prompt != nil:
		t.steps, t.notes, t.model, t.checkpoint = 0, nil, "", ""
	case ev.Notice != nil:
		if t.notices == nil {
			t.notices = make(map[string]bool)
		}
		t.notices[ev.Notice.Kind] = true
	case ev.Checkpointed != nil:
		t.checkpoint, t.unsettled = ev.Checkpointed.When, ev.Checkpointed.When == BeforeWrite
		if ev.Checkpointed.Target != "" {
			t.checkpoint = "" // a rewind's, which is none for the turn's calls
		}
	case ev.Switched != nil:
		t.model, t.compactions, t.refusals = ev.Switched.To, 0, 0
	case ev.Compact != nil && ev.Compact.Asked: // not for want of room
	case ev.Compact != nil:
		t.compactions++
		if ev.Compact.Refused > 0 {
			t.refusals++
		}
	case ev.Note != nil:
		if t.notes == nil {
			t.notes = make(map[string]int)
		}
		t.notes[ev.Note.Guard]++
	case ev.Reply != nil:
		t.reply(ev.Reply.Message.Calls())
	case ev.Decided != nil:
		if p := t.find(ev.Decided.CallID); p >= 0 {
			t.pending[p].decide(*ev.Decided)
		}
	case ev.Started != nil:
		if p := t.find(ev.Started.CallID); p >= 0 {
			t.pending[p].start(ev)
		}
	case ev.Waiting != nil:
		if p := t.find(ev.Waiting.CallID); p >= 0 {
			t.pending[p].Waits = &ev.Waiting.Waiting
		}
	case ev.Result != nil:
		if p := t.find(ev.Result.CallID); p >= 0 {
			t.pending = append(t.pending[:p:p], t.pending[p+1:]...)
		}
	}
}

func (p *PendingCall) decide(d Decided) {
	p.Verdict = d.Verdict
	if d.Args != "" && d.Args != p.Args {
		p.Wrote, p.Args = p.Args, d.Args
	}
}

func (p *PendingCall) start(ev Event) {
	if !p.Started {
		p.Began = ev.Time
	}
	p.Started, p.Waits, p.Worst = true, nil, ev.Started.WorstUSD
}

func (t *turn) reply(calls []llm.ToolCall) {
	t.steps++
	t.compactions, t.refusals, t.calls, t.pending = 0, 0, len(calls), nil
	for _, call := range calls {
		t.pending = append(t.pending, PendingCall{ToolCall: call})
	}
}

func (t *turn) find(callID string) int {
	for i, p := range t.pending {
		if p.ID == callID {
			return i
		}
	}
	return -1
}

// Pending lists the calls of the last reply that have no result, in order.
// The caller must not change it.
func (t *turn) Pending() []PendingCall { return t.pending }

// Began is when a pending call first began; zero if it did not.
func (t *turn) Began(callID string) time.Time {
	if p := t.find(callID); p >= 0 {
		return t.pending[p].Began
	}
	return time.Time{}
}

// Waiting lists what the turn waits for. It is nil if a call is pending that
// does not wait: then there is something to do.
func (t *turn) Waiting() []Waiting {
	var waits []Waiting
	for _, p := range t.pending {
		if p.Waits == nil {
			return nil
		}
		waits = append(waits, Waiting{p.ID, *p.Waits})
	}
	return waits
}

// Sleeps reports whether the log ends with a turn that waits, which nobody has
// stopped since: to go on with it is to wait on, and costs nothing.
func (s *Session) Sleeps() bool {
	for _, ev := range slices.Backward(s.events) {
		if !ev.Aside() {
			return ev.Failed == nil && len(s.Waiting()) > 0
		}
	}
	return false
}

// Steps counts the replies since the last prompt.
func (t *turn) Steps() int { return t.steps }

// Model is the id of the model that took over in this turn, "" for none.
func (t *turn) Model() string { return t.model }

// Calls counts the calls of the last reply.
func (t *turn) Calls() int { return t.calls }

// Noticed reports whether the person was told a notice of the kind.
func (t *turn) Noticed(kind string) bool { return t.notices[kind] }

// Checkpointed reports whether the files are kept as they were before this turn
// changed any.
func (t *turn) Checkpointed() bool { return t.checkpoint == BeforeWrite }

// Unsettled reports whether a turn may have changed files since the last
// checkpoint.
func (t *turn) Unsettled() bool { return t.unsettled }

// Compactions counts the compactions since the last reply, and those of them
// that followed a refusal of the provider.
func (t *turn) Compactions() (all, refused int) { return t.compactions, t.refusals }

// Notes counts the notes of the guard since the last prompt.
func (t *turn) Notes(guard string) int { return t.notes[guard] }

// An idSet has the ids of all calls of a log, as far as it has read it. A log
// that is resumed is read when the first reply comes.
type idSet struct {
	ids  map[string]bool
	read int // events
}

func (c *idSet) update(events []Event) {
	if c.ids == nil {
		c.ids = make(map[string]bool)
	}
	for _, ev := range events[c.read:] {
		if ev.Reply == nil {
			continue
		}
		for _, call := range ev.Reply.Message.Calls() {
			c.ids[call.ID] = true
		}
	}
	c.read = len(events)
}

// UniqueCalls gives every call of the reply an id that no other call of the
// session has: providers leave ids out and use them twice.
func (s *Session) UniqueCalls(reply *llm.Reply) {
	s.callIDs.update(s.events)
	mine := make(map[string]bool)
	taken := func(id string) bool { return s.callIDs.ids[id] || mine[id] }
	for i, p := range reply.Message.Parts {
		if p.Call == nil {
			continue
		}
		if id := p.Call.ID; id == "" || taken(id) {
			call := *p.Call
			call.ID = fmt.Sprintf("call_%d_%d", len(s.events)+1, i)
			for taken(call.ID) {
				call.ID += "x"
			}
			reply.Message.Parts[i].Call = &call
		}
		mine[reply.Message.Parts[i].Call.ID] = true
	}
}
