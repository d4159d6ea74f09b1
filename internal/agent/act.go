package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/approval"
	"ml-intern/internal/ledger"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// interrupted begins the result of a call whose outcome is unknown.
const interrupted = "interrupted: "

// settle gives every pending call its result: the call is run, finished after
// a crash, refused, or reported as interrupted.
func (t turn) settle(ctx context.Context) error {
	fresh, err := t.resume(ctx)
	if err != nil {
		return err
	}
	calls, err := t.authorize(ctx, fresh)
	if err != nil {
		return err
	}
	for i, batch := range t.Tools.Batches(calls) {
		if i > 0 {
			if batch, err = t.unmoved(ctx, batch); err != nil {
				return err
			}
		}
		if err := t.runBatch(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// unmoved returns the calls that still reach what they were allowed to: an
// earlier call of the same reply may have led a path elsewhere. What rules and
// mode allow as it is now runs all the same.
func (t turn) unmoved(ctx context.Context, calls []llm.ToolCall) ([]llm.ToolCall, error) {
	var same []llm.ToolCall
	for _, call := range calls {
		before, now := t.judged[call.ID], t.Tools.Impact(call)
		if now.Outside == before.Outside && slices.Equal(now.Paths, before.Paths) ||
			t.Policy.Decide(approval.Request{Call: call, Impact: now, Rules: t.session.Rules()}).Verdict == approval.Allow {
			same = append(same, call)
			continue
		}
		if hold, held := t.holds[call.ID]; held {
			hold.settle(ledger.Amount{})
			delete(t.holds, call.ID)
		}
		if err := t.refuse(ctx, call.ID, "refused: "+movedReason+t.said[call.ID]); err != nil {
			return nil, err
		}
	}
	return same, nil
}

const movedReason = "what it names leads elsewhere than when it was allowed, because of a call before it; make it again, by itself"

// resume deals with calls that had started when the log ends, which only a
// crash or a stop leaves behind: those that repeat nothing are finished, the
// others are never run again. It returns the calls that have not started.
func (t turn) resume(ctx context.Context) (fresh []session.PendingCall, err error) {
	t.tellChanged() // of what began before
	var again []llm.ToolCall
	for _, call := range t.session.Pending() {
		switch {
		case !call.Started:
			fresh = append(fresh, call)
		case t.Tools.Resumable(call.ToolCall):
			again = append(again, call.ToolCall)
		default:
			text := interrupted + "the program stopped while this call ran; whether it did its work is unknown, so look before you repeat it"
			if err := t.drop(ctx, call, text); err != nil {
				return nil, err
			}
		}
	}
	for _, batch := range t.Tools.Batches(again) {
		if err := t.runBatch(ctx, batch); err != nil {
			return nil, err
		}
	}
	return fresh, nil
}

// setAside reserves the worst case of a call that costs money, as it was judged
// by, until its result is there.
func (t turn) setAside(callID string, usd float64) error {
	if usd <= 0 {
		return nil
	}
	settle, err := t.Ledger.Reserve(ledger.Amount{USD: usd})
	if err == nil {
		t.holds[callID] = hold{usd, settle}
	}
	return err
}

// release settles what was set aside for a call with what it cost. Of a call
// that began before this turn the bill has the worst case already.
func (t turn) release(r session.Result) {
	actual := ledger.Amount{USD: r.CostUSD + t.session.Due(r.Charges)}
	if hold, held := t.holds[r.CallID]; held {
		hold.settle(actual)
		delete(t.holds, r.CallID)
		return
	}
	for _, call := range t.session.Pending() {
		if call.ID == r.CallID {
			actual.USD -= call.Worst
		}
	}
	t.Ledger.Spend(actual)
}

// releaseRest books the calls that a stop left without a result at their
// worst, as their session's bill does.
func (t turn) releaseRest() {
	for _, call := range t.session.Pending() {
		if hold, held := t.holds[call.ID]; held && call.Started {
			hold.settle(ledger.Amount{USD: call.Worst})
			delete(t.holds, call.ID)
		}
	}
	for _, hold := range t.holds { // they never began
		hold.settle(ledger.Amount{})
	}
}

// chargeJobs books what jobs of earlier calls cost that have ended since.
func (t turn) chargeJobs(ctx context.Context) error {
	open := t.session.OpenJobs()
	if len(open) == 0 || t.Charges == nil {
		return nil
	}
	charges := slices.DeleteFunc(t.Charges(ctx, open), func(c tool.Charge) bool {
		return slices.Contains(open, c) // nothing new
	})
	if len(charges) == 0 {
		return nil
	}
	t.Ledger.Spend(ledger.Amount{USD: t.session.Due(charges)})
	return t.emit(ctx, session.Event{Charged: &session.Charged{Charges: charges}})
}

// drop settles a call that will not be finished. If it had begun, what it did is
// unknown, and its worst case is on the bill; of a call that leaves something
// to be found by its label, until that is found or is nowhere.
func (t turn) drop(ctx context.Context, call session.PendingCall, text string) error {
	text += changedWords(call)
	out := tool.Output{Text: text, IsError: true, Summary: text, CostUSD: call.Worst}
	if call.Worst > 0 && t.Tools.Resumable(call.ToolCall) {
		out.CostUSD, out.Charges = 0, []tool.Charge{{Label: t.label(call.ID), USD: call.Worst}}
	}
	return t.emit(ctx, session.Event{Result: &session.Result{CallID: call.ID, Output: out}})
}

// label is the name of a call that is unique in the world.
func (t turn) label(callID string) string { return t.session.ID + "/" + callID }

// refuse settles a call without running it.
func (t turn) refuse(ctx context.Context, callID, text string) error {
	return t.emit(ctx, session.Event{Result: &session.Result{
		CallID: callID, Output: tool.Output{Text: text, IsError: true, Summary: text},
	}})
}

// runBatch runs the calls side by side and returns when all have returned.
// Each start is saved first, so that no call ever starts twice.
func (t turn) runBatch(ctx context.Context, calls []llm.ToolCall) error {
	if err := t.checkpointBefore(ctx, calls); err != nil {
		return err
	}
	var starts []session.Event
	for _, call := range calls {
		starts = append(starts, session.Event{Started: t.start(call)})
	}
	if err := t.emitAll(ctx, starts); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	out := make(chan session.Event) // drained to the end, so a send never hangs
	limit := t.resultBytes()
	var wg sync.WaitGroup
	for i, call := range calls {
		started := starts[i].Started
		with := tool.Call{ID: t.label(call.ID), Args: call.Args, WorstUSD: started.WorstUSD, Again: started.Again, Since: t.session.Began(call.ID), Granted: t.session.Granted(call.ID)}
		wg.Go(func() { t.runCall(ctx, call, with, limit, out) })
	}
	go func() { wg.Wait(); close(out) }()
	defer func() { // stop what still runs, wait for it, and keep what it brought
		cancel()
		for ev := range out {
			if ev.Result != nil {
				t.release(*ev.Result)
				_ = t.record(ctx, ev) // the turn has its error already
			}
		}
	}()
	if err := t.follow(ctx, calls, out); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// quiet is how long running calls may be silent before a sign of life is shown.
const quiet = time.Second

// follow passes on what the running calls send, and says how long they have
// been running whenever they are silent.
func (t turn) follow(ctx context.Context, calls []llm.ToolCall, out <-chan session.Event) error {
	start := time.Now()
	ticker := time.NewTicker(quiet)
	defer ticker.Stop()
	running := slices.Clone(calls)
	for {
		var ev session.Event
		select {
		case next, more := <-out:
			if !more {
				return nil
			}
			ev = next
			if ev.Result != nil {
				t.release(*ev.Result)
				running = slices.DeleteFunc(running, func(c llm.ToolCall) bool { return c.ID == ev.Result.CallID })
			}
			if ev.Waiting != nil {
				running = slices.DeleteFunc(running, func(c llm.ToolCall) bool { return c.ID == ev.Waiting.CallID })
			}
			ticker.Reset(quiet)
		case <-ticker.C:
			if len(running) == 0 {
				continue
			}
			ev.Log = &session.Log{CallID: running[0].ID, Line: fmt.Sprintf("… %.0f s", time.Since(start).Seconds())}
		}
		if err := t.emit(ctx, ev); err != nil {
			return err
		}
	}
}

// runCall runs one call and sends its progress and its result, or that it waits.
// A call that a stop cut short sends none if it can be finished later.
func (t turn) runCall(ctx context.Context, call llm.ToolCall, with tool.Call, limit int, out chan<- session.Event) {
	start := time.Now()
	var mu sync.Mutex
	over := false // a tool may leave something behind that goes on logging
	with.Log = func(line string) {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			select {
			case out <- session.Event{Log: &session.Log{CallID: call.ID, Line: line}}:
			case <-ctx.Done(): // nobody may be listening any more
			}
		}
	}
	res := t.Tools.Run(ctx, call.Name, with)
	mu.Lock()
	over = true
	mu.Unlock()
	if cause := context.Cause(ctx); cause != nil && res.IsError {
		if t.Tools.Resumable(call) {
			return
		}
		res.Text = fmt.Sprintf("%s%v\n%s", interrupted, cause, res.Text)
	}
	if res.Waits != nil {
		if t.Tools.Resumable(call) {
			out <- session.Event{Waiting: &session.Waiting{CallID: call.ID, Waiting: *res.Waits}}
			return
		}
		res = tool.Output{Text: "this call cannot wait: what it began is unknown", IsError: true} // a defect of the tool
	}
	t.afterTool(ctx, call, &res, out)
	result := session.Result{CallID: call.ID, Output: res, Seconds: time.Since(start).Seconds()}
	if err := t.limit(&result, limit); err != nil {
		result.Text += fmt.Sprintf("\n[the whole result could not be kept: %v]", err)
	}
	out <- session.Event{Result: &result}
}

// start is the event of a call that begins. One that began before has what was
// set aside for it then.
func (t turn) start(call llm.ToolCall) *session.Started {
	for _, p := range t.session.Pending() {
		if p.ID == call.ID && p.Started {
			return &session.Started{CallID: call.ID, Again: true, WorstUSD: p.Worst}
		}
	}
	return &session.Started{CallID: call.ID, WorstUSD: t.holds[call.ID].usd}
}

// The size of a tool result as the model sees it, in bytes. What is longer is
// kept in a file, so that no result can fill the context window.
const (
	resultLimit   = 30_000
	smallestLimit = 2_000
)

// resultBytes is how long a result may be: less where the window is small or
// where one reply made many calls, whose results stand side by side.
func (t turn) resultBytes() int {
	limit := resultLimit
	if window := t.model().Info().ContextWindow; window > 0 { // about 3 bytes a token
		limit = min(limit, window*3/10)
		limit = min(limit, window*3/2/max(t.session.Calls(), 1)) // half the window for all
	}
	return max(limit, smallestLimit)
}

// limit cuts the result to its limit and keeps the whole in a file.
func (t turn) limit(r *session.Result, limit int) error {
	r.Text = strings.ToValidUTF8(r.Text, "\uFFFD") // as it will be read back from the log
	if len(r.Text) <= limit {
		return nil
	}
	full := r.Text
	head, tail := full[:session.RuneStart(full, limit*2/3)], full[session.RuneStart(full, len(full)-limit*3/10):]
	left := len(full) - len(head) - len(tail)
	path, err := t.Spill(r.CallID, full)
	if err != nil {
		r.Text = fmt.Sprintf("%s\n[… %d bytes left out …]\n%s", head, left, tail)
		return err
	}
	r.Full = path
	r.Text = fmt.Sprintf("%s\n[… %d bytes left out; the whole result is in %s …]\n%s", head, left, path, tail)
	return nil
}
