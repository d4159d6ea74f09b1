package tui

import (
	"fmt"
	"strings"
	"time"

	"ml-intern/internal/approval"
	"ml-intern/internal/chat"
	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// A record turns what happened into the transcript.
type record struct {
	transcript
	calls   map[string]*item // of the latest reply, by id
	runs    map[int]*item    // of commands of the person's own
	reply   *item            // that grows
	thought *item            // that grows
	first   int              // of the items of the reply that grows
	plan    []tool.PlanItem
	now     func() time.Time
}

func newRecord(now func() time.Time) *record {
	r := &record{now: now, calls: make(map[string]*item), runs: make(map[int]*item), first: -1}
	r.at = -1
	return r
}

// event adds what an event says.
func (r *record) event(ev session.Event) {
	switch {
	case ev.Chunk != nil:
		r.chunk(*ev.Chunk)
	case ev.Reply != nil:
		r.whole(*ev.Reply, ev.Time)
	case ev.Prompt != nil:
		r.settle()
		r.add(&item{kind: aPrompt, text: clean(ev.Prompt.Text), began: ev.Time, steer: ev.Prompt.Steer, shown: pictureWords(ev.Prompt.Pictures)})
	case ev.Failed != nil:
		r.failed(*ev.Failed)
	case ev.Opened != nil:
	default:
		if !r.callEvent(ev) {
			r.wordEvent(ev)
		}
	}
}

func pictureWords(pictures []*llm.Image) []string {
	var all []string
	for _, p := range pictures {
		all = append(all, cleanLine(p.String()))
	}
	return all
}

// failed says why a turn has no answer. What had come of one stays to be read.
func (r *record) failed(f session.Failed) {
	r.settle()
	if f.Reason == "interrupted" {
		r.add(&item{kind: aWord, text: "stopped"})
		return
	}
	r.add(&item{kind: aFailure, text: strings.TrimSpace(clean(f.Text))})
}

// notice adds a word of the program. What it repeats of the failure before it
// is left out.
func (r *record) notice(text string) {
	text = strings.TrimSpace(clean(text))
	if n := len(r.items); n > 0 {
		last := r.items[n-1]
		if last.kind == aWord && last.text == "stopped" && strings.Contains(text, "interrupted") {
			return
		}
		if rest, same := strings.CutPrefix(text, last.text); same && last.kind == aFailure {
			text = strings.TrimSpace(rest)
		}
	}
	if text != "" {
		r.add(&item{kind: aWord, text: text, open: strings.Count(text, "\n") < 8})
	}
}

// callEvent adds what an event says of a call.
func (r *record) callEvent(ev session.Event) bool {
	switch {
	case ev.Asked != nil:
		for _, id := range ev.Asked.CallIDs {
			r.of(id, func(it *item) { it.call.state, it.call.why = isAsked, cleanLine(ev.Asked.Reason) })
		}
	case ev.Decided != nil:
		r.of(ev.Decided.CallID, func(it *item) {
			if it.call.state = isPending; ev.Decided.Verdict == approval.Deny {
				it.call.state, it.call.why = isDenied, cleanLine(ev.Decided.Reason)
			}
			if ev.Decided.Args != "" {
				it.call.Args, it.call.edited = ev.Decided.Args, true
			}
		})
	case ev.Started != nil:
		r.of(ev.Started.CallID, func(it *item) {
			if it.call.state = isRunning; it.began.IsZero() {
				it.began = ev.Time
			}
		})
	case ev.Log != nil:
		r.of(ev.Log.CallID, func(it *item) { it.call.log(ev.Log.Line) })
	case ev.Waiting != nil:
		r.of(ev.Waiting.CallID, func(it *item) { it.call.state, it.call.waits = isWaiting, waitingFor(*ev.Waiting) })
	case ev.Result != nil:
		r.of(ev.Result.CallID, func(it *item) { it.call.settle(*ev.Result) })
		if ev.Result.Plan != nil {
			r.plan = ev.Result.Plan
		}
	default:
		return false
	}
	return true
}

// of changes the item of a call.
func (r *record) of(id string, change func(*item)) {
	if it := r.calls[id]; it != nil {
		change(it)
		it.changed()
	}
}

// wordEvent adds what is one line.
func (r *record) wordEvent(ev session.Event) {
	word := func(label, text string) {
		r.add(&item{kind: aWord, label: label, text: strings.TrimSpace(clean(text))})
	}
	switch {
	case ev.Note != nil:
		word("told the model", strings.TrimPrefix(ev.Note.Text, llm.NoteMark))
	case ev.Notice != nil:
		word("", ev.Notice.Text)
	case ev.Switched != nil:
		word("", fmt.Sprintf("%s takes over from %s: %s", ev.Switched.To, ev.Switched.From, ev.Switched.Reason))
	case ev.Compact != nil:
		word("", "the conversation was summarized to fit the model's window\n"+ev.Compact.Summary)
	case ev.Cleared != nil:
		word("", ev.Cleared.Words()+" to fit the model's window")
	case ev.Chose != nil:
		if n := len(r.items); n == 0 || r.items[n-1].kind != anAnswer || !r.items[n-1].chose { // else the command has said it
			word("", choseWords(*ev.Chose))
			r.items[len(r.items)-1].chose = true
		}
	case ev.Charged != nil:
		for _, c := range ev.Charged.Charges {
			word("", chargeWords(c))
		}
	}
}

// chunk grows the reply.
func (r *record) chunk(c llm.Chunk) {
	switch {
	case c.Restart:
		r.drop()
		r.add(&item{kind: aWord, text: "the model did not answer in full; asking again"})
	case c.Notice != "":
		r.add(&item{kind: aWord, text: cleanLine(c.Notice)})
	case c.Reasoning != "":
		if r.thought == nil {
			r.begin()
			r.thought = r.add(&item{kind: aThought, live: true, began: r.now()})
		}
		r.thought.say(c.Reasoning)
	case c.Text != "":
		r.thoughtOver()
		if r.reply == nil {
			if strings.TrimSpace(c.Text) == "" {
				return
			}
			r.begin()
			r.reply = r.add(&item{kind: aReply, live: true, began: r.now()})
		}
		r.reply.say(c.Text)
	case c.Call != nil:
		r.thoughtOver()
		r.begin()
		if c.Call.Name != "plan" {
			r.add(&item{kind: aCall, call: &call{ToolCall: *c.Call}})
		}
	}
}

func (r *record) thoughtOver() {
	if r.thought != nil {
		r.thought.settle(clean(r.thought.words.String()), r.now())
		r.thought = nil
	}
}

// begin remembers where the reply that grows begins.
func (r *record) begin() {
	if r.first < 0 {
		r.first = len(r.items)
	}
}

// drop takes away what had come of a reply that is void.
func (r *record) drop() {
	if r.first >= 0 {
		r.items = r.items[:min(r.first, len(r.items))]
		r.at = min(r.at, len(r.items)-1)
	}
	r.first, r.reply, r.thought = -1, nil, nil
}

// settle keeps what had come of a reply, which nothing will end.
func (r *record) settle() {
	r.thoughtOver()
	if r.reply != nil {
		r.reply.settle(r.reply.words.String(), r.now())
	}
	r.first, r.reply = -1, nil
}

// whole puts the reply that was saved in place of what had come of it. What was
// opened or drawn stays so.
func (r *record) whole(reply session.Reply, at time.Time) {
	var live []*item
	if r.first >= 0 {
		live = append(live, r.items[min(r.first, len(r.items)):]...)
	}
	like := func(k kind) *item { // the one that was drawn live
		for i, it := range live {
			if it.kind == k {
				live = append(live[:i], live[i+1:]...)
				return it
			}
		}
		return &item{kind: k, ended: at}
	}
	r.drop()
	clear(r.calls)
	for _, p := range reply.Message.Parts {
		switch {
		case p.Call != nil && p.Call.Name == "plan":
		case p.Call != nil:
			it := like(aCall)
			it.call = &call{ToolCall: *p.Call}
			it.changed()
			r.calls[p.Call.ID] = r.add(it)
		case strings.TrimSpace(p.Reasoning) != "":
			it := like(aThought)
			it.settle(clean(p.Reasoning), firstTime(it.ended, at))
			r.add(it)
		case strings.TrimSpace(p.Text) != "":
			it := like(aReply)
			it.settle(p.Text, at)
			r.add(it)
		}
	}
	if len(reply.End.Dropped) > 0 {
		r.add(&item{kind: aWord, text: "the model's output limit cut the reply off"})
	}
}

func firstTime(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

// ran adds what a command of the person's own brought.
func (r *record) ran(u chat.Ran) {
	it := r.runs[u.ID]
	if it == nil {
		it = r.add(&item{kind: aRun, live: true, text: clean(u.Command), began: r.now(), call: &call{}})
		r.runs[u.ID] = it
	}
	if u.Out {
		it.call.log(u.Line)
	}
	if u.Done {
		it.live, it.ended = false, r.now()
		if it.call.state = isDone; u.Code != 0 || u.Err != "" {
			it.call.state, it.call.summary, it.call.why = isFailed, fmt.Sprintf("exit status %d", u.Code), clean(u.Err)
		}
		switch {
		case u.Stopped:
			it.call.state, it.call.summary = isFailed, "stopped"
		case u.Err != "":
			it.call.summary = "could not be run"
		}
		delete(r.runs, u.ID)
	}
	it.changed()
}

// beat is what a command that says nothing is given as progress.
var beat = lazyregexp.New(`^… \d+ s$`)

// log keeps the last lines of what a call says.
func (k *call) log(line string) {
	for l := range strings.SplitSeq(strings.TrimRight(clean(line), "\n"), "\n") {
		if beat.MatchString(l) {
			continue // how long it runs is shown already
		}
		k.lines++
		k.logs = append(k.logs, cutBytes(l, 2000))
	}
	if len(k.logs) > keptLogs {
		k.logs = append([]string(nil), k.logs[len(k.logs)-keptLogs/2:]...)
	}
}

// settle takes the result of a call.
func (k *call) settle(res session.Result) {
	if k.state != isDenied {
		if k.state = isDone; res.IsError {
			k.state = isFailed
		}
	}
	k.summary, k.result = cleanLine(cutBytes(res.Summary, 400)), clean(res.Text)
	if res.Spent != nil {
		k.child = res.Spent.Session
	}
	k.full, k.seconds, k.logs = cleanLine(res.Full), res.Seconds, nil
}

// waitingFor names the jobs, and when the waiting ends.
func waitingFor(w session.Waiting) string {
	text := "waits for job "
	if len(w.Jobs) > 1 {
		text = "waits for jobs "
	}
	text += cleanLine(strings.Join(w.Jobs, ", "))
	if !w.Until.IsZero() {
		text += " until " + w.Until.Local().Format("15:04:05")
	}
	return text
}

// chargeWords says what a job costs.
func chargeWords(c tool.Charge) string {
	if c.Final {
		return fmt.Sprintf("job %s is over: it cost $%.2f", c.Job, c.USD)
	}
	return fmt.Sprintf("job %s may cost $%.2f", c.Job, c.USD)
}

// answered adds what a command brought. If it says what the event of a choice
// said just now, it takes the place of that.
func (r *record) answered(text string, chose bool) {
	if n := len(r.items); chose && n > 0 && r.items[n-1].kind == aWord && r.items[n-1].chose {
		r.items = r.items[:n-1]
	}
	r.add(&item{kind: anAnswer, text: text, chose: chose})
}

// sets reports whether a line is a command that changes a setting.
func sets(line string) bool {
	name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
	return value != "" && (name == "/model" || name == "/effort" || name == "/approve")
}

// choseWords says what the person set.
func choseWords(c session.Chose) string {
	var words []string
	for _, w := range []struct{ what, value string }{{"model", c.Model}, {"effort", c.Effort}, {"approval", c.Mode}} {
		if w.value != "" {
			words = append(words, w.what+" "+w.value)
		}
	}
	return "from here on: " + strings.Join(words, ", ")
}
