package agent

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"ml-intern/internal/approval"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// Calls runs calls that somebody else made than a model of ours, such as another
// agent: judged, paid and logged as those of a model are, as one step of the
// session. Their ids are made unique: the Reply event has those that the results
// have. Calls run side by side where those of one reply would.
func (a *Agent) Calls(ctx context.Context, s *session.Session, from string, calls []llm.ToolCall) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		t := turn{Agent: a, session: s, yield: yield, holds: make(map[string]hold), said: make(map[string]string), judged: make(map[string]tool.Impact)}
		err := t.runCalls(ctx, from, calls)
		t.releaseRest()
		if err != nil && !errors.Is(err, errStopped) {
			yield(a.failed(ctx, s, interruption(ctx, err)))
		}
	}
}

func (t turn) runCalls(ctx context.Context, from string, calls []llm.ToolCall) error {
	if err := t.chargeJobs(ctx); err != nil {
		return err
	}
	for _, call := range t.session.Pending() { // stopped, or waiting for something
		if err := t.drop(ctx, call, interrupted+"nobody waits for the result any more"); err != nil {
			return err
		}
	}
	reply := session.Reply{Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant}, End: llm.End{Reason: llm.EndCalls}}, Model: from}
	for _, call := range calls {
		reply.Message.Parts = append(reply.Message.Parts, llm.Part{Call: &call})
	}
	t.session.UniqueCalls(&reply.Reply)
	if err := t.emit(ctx, session.Event{Reply: &reply}); err != nil {
		return err
	}
	return t.settle(ctx)
}

// Refuser is the Approver where nobody can be asked and nobody comes back to
// decide: what would be asked is refused, with the reason.
type Refuser struct{ Hint string }

// Approve implements Approver.
func (r Refuser) Approve(_ context.Context, reqs []approval.Request) ([]approval.Decision, error) {
	decisions := make([]approval.Decision, len(reqs))
	for i, req := range reqs {
		decisions[i] = approval.Decision{Verdict: approval.Deny, Reason: fmt.Sprintf("a person would have to allow it, and nobody can be asked here: %s; %s", req.Reason, r.Hint)}
	}
	return decisions, nil
}
