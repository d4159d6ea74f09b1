package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/approval"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// authorize returns the calls that may run, after asking where the policy
// says so. It records a result for every other call.
func (t turn) authorize(ctx context.Context, calls []session.PendingCall) ([]llm.ToolCall, error) {
	verdicts, judged := make(map[string]approval.Decision), t.judged
	var open []approval.Request
	inLoop, rules := banned(t.session), t.session.Rules()
	for _, call := range calls {
		if inLoop(call.ToolCall) {
			verdicts[call.ID] = approval.Decision{Verdict: approval.Deny, Reason: loopReason}
			continue
		}
		req := approval.Request{Call: call.ToolCall, Impact: t.Tools.Impact(call.ToolCall), Rules: rules}
		judged[call.ID] = req.Impact
		decision, err := t.judge(ctx, req, call.Verdict)
		if err != nil {
			return nil, err
		}
		if decision.Verdict == approval.Ask {
			req.Reason, req.Remember, req.Show = decision.Reason, decision.Remember, t.Tools.Show(ctx, call.ToolCall)
			open = append(open, req)
			continue
		}
		verdicts[call.ID] = decision
	}
	if err := t.askPerson(ctx, open, verdicts); err != nil {
		return nil, err
	}
	for _, req := range open { // as the person may have changed them
		judged[req.Call.ID] = req.Impact
	}
	t.tellChanged()
	var allowed []llm.ToolCall
	for _, call := range t.fresh(calls) {
		d := verdicts[call.ID]
		if d.Verdict == approval.Allow {
			if err := t.setAside(call.ID, judged[call.ID].CostUSD); err != nil {
				d = approval.Decision{Verdict: approval.Deny, Reason: err.Error()}
			}
		}
		if d.Verdict == approval.Allow {
			allowed = append(allowed, call.ToolCall)
		} else if err := t.refuse(ctx, call.ID, "refused: "+d.Reason+t.said[call.ID]); err != nil {
			return nil, err
		}
	}
	return allowed, nil
}

// judge is what rules, mode and hooks say of a call, and what a person had said
// of it before the program stopped.
func (t turn) judge(ctx context.Context, req approval.Request, before string) (approval.Decision, error) {
	if before == approval.Deny {
		return approval.Decision{Verdict: approval.Deny, Reason: "a person said no"}, nil
	}
	d := t.Policy.Decide(req)
	if d.Verdict == approval.Deny {
		return d, nil
	}
	d, err := t.beforeTool(ctx, req, d)
	switch {
	case err != nil:
		return d, err
	case d.Verdict == approval.Ask && t.session.Opened().Parent != "":
		return approval.Decision{Verdict: approval.Deny, Reason: cannotAsk + d.Reason}, nil
	case d.Verdict == approval.Ask && before == approval.Allow:
		return approval.Decision{Verdict: approval.Allow}, nil
	case d.Verdict == approval.Allow && before == "" && !req.Impact.Grants.IsZero():
		decided := session.Decided{CallID: req.Call.ID, Verdict: approval.Allow, By: "policy", Grants: req.Impact.Grants}
		return d, t.emit(ctx, session.Event{Decided: &decided})
	}
	return d, nil
}

// askPerson puts the open questions to a person, all at once, and records the
// answers. A call whose arguments they changed is judged anew, and takes the
// place of the one that was asked about.
func (t turn) askPerson(ctx context.Context, open []approval.Request, verdicts map[string]approval.Decision) error {
	if len(open) == 0 {
		return nil
	}
	asked := session.Asked{Reason: open[0].Reason}
	for _, req := range open {
		asked.CallIDs = append(asked.CallIDs, req.Call.ID)
	}
	if err := t.emit(ctx, session.Event{Asked: &asked}); err != nil {
		return err
	}
	decisions, err := t.Approver.Approve(ctx, open)
	if err != nil {
		return fmt.Errorf("ask about %s (%s): %w", open[0].Call.Name, open[0].Reason, interruption(ctx, err))
	}
	if len(decisions) != len(open) {
		return fmt.Errorf("ask a person: %d answers to %d questions", len(decisions), len(open))
	}
	for i, d := range decisions {
		if d.Verdict != approval.Allow && d.Reason == "" {
			d.Reason = "a person said no"
		}
		by := "person"
		if d.Verdict != approval.Allow || d.Args == open[i].Call.Args {
			d.Args = ""
		}
		if d.Args != "" {
			if open[i], d, err = t.rejudge(ctx, open[i], d); err != nil {
				return err
			}
			if d.Verdict == approval.Deny {
				by = "policy"
			}
		}
		verdicts[open[i].Call.ID] = d
		if err := t.decided(ctx, open[i], d, by); err != nil {
			return err
		}
	}
	return nil
}

// rejudge is what rules, mode and hooks say of a call that a person allowed with
// other arguments: what they refuse stays refused.
func (t turn) rejudge(ctx context.Context, req approval.Request, d approval.Decision) (approval.Request, approval.Decision, error) {
	d.Args = t.redacted(d.Args)
	changed, by, err := t.Changed(req, d.Args)
	if err == nil && by.Verdict != approval.Deny {
		by, err = t.beforeTool(ctx, changed, by)
		if err != nil {
			return req, d, err
		}
	}
	if err != nil {
		by = approval.Decision{Verdict: approval.Deny, Reason: err.Error()}
	}
	changed.Remember = by.Remember
	if by.Verdict == approval.Deny {
		d.Verdict, d.Reason, d.For = approval.Deny, "a person changed the arguments, and as they are now: "+by.Reason, approval.Once
	}
	return changed, d, nil
}

// Changed is a request with other arguments, and what the policy says of it.
func (a *Agent) Changed(req approval.Request, args string) (approval.Request, approval.Decision, error) {
	if !json.Valid([]byte(args)) {
		return req, approval.Decision{}, errors.New("the arguments are not JSON")
	}
	req.Call.Args = args
	req.Impact = a.Tools.Impact(req.Call)
	return req, a.Policy.Decide(req), nil
}

// fresh are the calls as the log has them now.
func (t turn) fresh(calls []session.PendingCall) []session.PendingCall {
	now := slices.Clone(calls)
	for i := range now {
		for _, p := range t.session.Pending() {
			if p.ID == now[i].ID {
				now[i] = p
			}
		}
	}
	return now
}

// decided records a person's answer. A yes for always is written into their
// file as well; if that fails, it holds for the session.
func (t turn) decided(ctx context.Context, req approval.Request, d approval.Decision, by string) error {
	ev := session.Decided{CallID: req.Call.ID, Verdict: d.Verdict, By: by, Reason: d.Reason, Args: d.Args}
	if d.Verdict == approval.Allow {
		ev.Grants = req.Impact.Grants
		if len(req.Remember) > 0 && d.For != approval.Once {
			ev.For, ev.Rules = d.For, req.Remember
		}
	}
	notice := ""
	if ev.For == approval.Always {
		where, err := t.remember(ev.Rules)
		if err != nil {
			ev.For, notice = approval.Session, fmt.Sprintf("the rule holds for this session only: %v", err)
		}
		for _, u := range ev.Rules {
			if err == nil {
				notice += fmt.Sprintf("from now on: %s (in %s)\n", u, where)
			}
		}
	}
	if err := t.emit(ctx, session.Event{Decided: &ev}); err != nil || notice == "" {
		return err
	}
	return t.emit(ctx, session.Event{Notice: &session.Notice{Kind: "rule", Text: strings.TrimSpace(notice)}})
}

func (t turn) remember(rules []approval.Rule) (where string, err error) {
	if t.Remember == nil {
		return "", errors.New("there is no file for rules")
	}
	return t.Remember(rules)
}

// Nobody is the Approver of a run without a person: every question stops the
// turn, to be decided when the session is resumed.
type Nobody struct{}

// Approve implements Approver.
func (Nobody) Approve(context.Context, []approval.Request) ([]approval.Decision, error) {
	return nil, ErrApproval
}
