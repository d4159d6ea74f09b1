package chat

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"ml-intern/internal/approval"
)

// An Ask is a question to a person about calls of one step. The turn goes on
// when it is answered, or stopped.
type Ask struct {
	Requests []approval.Request

	edit   func(i int, args string) (approval.Request, error)
	once   sync.Once
	answer chan []approval.Decision // of one
}

// Answer gives one decision for each request. Only the first answer counts.
func (a *Ask) Answer(decisions []approval.Decision) {
	a.once.Do(func() { a.answer <- decisions })
}

// Edited is request i with other arguments, as it would be judged: with its
// cost and what it reaches, and the change or script in full. It fails if the
// tool would not take the arguments, or the policy refuses such a call. Put the
// arguments into the Decision to allow it.
func (a *Ask) Edited(i int, args string) (approval.Request, error) {
	if a.edit == nil || i < 0 || i >= len(a.Requests) {
		return approval.Request{}, errors.New("this call cannot be changed")
	}
	return a.edit(i, args)
}

// asker is the agent.Approver that asks the person of a conversation.
type asker struct{ chat *Chat }

// Approve implements agent.Approver.
func (a asker) Approve(ctx context.Context, reqs []approval.Request) ([]approval.Decision, error) {
	c := a.chat
	ag := c.conv.Agent
	ask := &Ask{Requests: reqs, answer: make(chan []approval.Decision, 1)}
	ask.edit = func(i int, args string) (approval.Request, error) {
		call := reqs[i].Call
		call.Args = args
		if err := ag.Tools.Check(call); err != nil {
			return approval.Request{}, err
		}
		changed, judged, err := ag.Changed(reqs[i], args)
		switch {
		case err != nil:
			return approval.Request{}, err
		case judged.Verdict == approval.Deny:
			return approval.Request{}, fmt.Errorf("refused: %s", judged.Reason)
		}
		changed.Reason, changed.Remember, changed.Show = reqs[i].Reason, judged.Remember, ag.Tools.Show(ctx, changed.Call)
		if judged.Verdict == approval.Ask {
			changed.Reason = judged.Reason
		}
		return changed, nil
	}
	return c.put(ctx, ask)
}

// put puts a question to the person and waits for the answer.
func (c *Chat) put(ctx context.Context, ask *Ask) (decisions []approval.Decision, err error) {
	c.mu.Lock()
	c.setPhase(Asking)
	c.mu.Unlock()
	c.tell()
	c.emit(Update{Ask: ask})
	select {
	case decisions = <-ask.answer:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	c.mu.Lock()
	if c.state.Phase == Asking {
		c.setPhase(Working)
	}
	c.mu.Unlock()
	c.tell()
	return decisions, err
}
