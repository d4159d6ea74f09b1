package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"ml-intern/internal/approval"
	"ml-intern/internal/hook"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// Hooks runs the person's programs that look on. It never fails: what goes
// wrong in a hook is part of its answer.
type Hooks interface {
	Fire(ctx context.Context, ev hook.Event) hook.Answer
}

// ErrHook ends a turn whose prompt a hook refused.
var ErrHook = errors.New("a hook refused the prompt")

// maxStops is how often in a turn hooks may send the model back to work.
const maxStops = 3

// fire asks the hooks, and tells the person what they say to them.
func (t turn) fire(ctx context.Context, ev hook.Event) (hook.Answer, error) {
	if t.Hooks == nil {
		return hook.Answer{}, nil
	}
	ev.Session = t.session.ID
	answer := t.Hooks.Fire(ctx, ev)
	if cause := context.Cause(ctx); cause != nil {
		return answer, cause
	}
	for _, text := range answer.Notices {
		if err := t.emit(ctx, session.Event{Notice: &session.Notice{Kind: "hook", Text: text}}); err != nil {
			return answer, err
		}
	}
	return answer, nil
}

// beforeTool lets the hooks have their say about a call that is not refused.
func (t turn) beforeTool(ctx context.Context, req approval.Request, d approval.Decision) (approval.Decision, error) {
	answer, err := t.fire(ctx, hook.Event{Name: hook.BeforeTool, Tool: req.Call.Name, CallID: req.Call.ID, Input: rawArgs(req.Call.Args)})
	if err != nil {
		return d, err
	}
	t.heard(req.Call.ID, answer.Context)
	return approval.WithHook(d, req, approval.Decision{Verdict: answer.Verdict, Reason: answer.Reason}), nil
}

// heard keeps what a hook adds for the model until the call has its result:
// nothing may stand between a call and that.
func (t turn) heard(callID, text string) {
	if text != "" {
		t.said[callID] += fromHook(text)
	}
}

func fromHook(text string) string { return "\n[a hook of the person says: " + text + "]" }

func rawArgs(args string) json.RawMessage {
	if json.Valid([]byte(args)) {
		return json.RawMessage(args)
	}
	return json.RawMessage("{}")
}

// afterTool shows the hooks what a call brought, and adds their words to it.
func (t turn) afterTool(ctx context.Context, call llm.ToolCall, res *tool.Output, out chan<- session.Event) {
	res.Text += t.said[call.ID]
	if t.Hooks == nil || ctx.Err() != nil {
		return
	}
	answer := t.Hooks.Fire(ctx, hook.Event{
		Name: hook.AfterTool, Session: t.session.ID, Tool: call.Name, CallID: call.ID, Input: rawArgs(call.Args),
		Response: &hook.Response{Text: res.Text, IsError: res.IsError},
	})
	if answer.Verdict == approval.Deny {
		res.Text += fromHook(answer.Reason)
	}
	if answer.Context != "" {
		res.Text += fromHook(answer.Context)
	}
	for _, text := range answer.Notices {
		select {
		case out <- session.Event{Log: &session.Log{CallID: call.ID, Line: text}}:
		case <-ctx.Done():
		}
	}
}

// atPrompt lets the hooks look at a prompt that nothing was done about yet.
func (t turn) atPrompt(ctx context.Context) error {
	prompt := t.freshPrompt()
	if prompt == nil || t.Hooks == nil || t.session.Opened().Parent != "" {
		return nil
	}
	answer, err := t.fire(ctx, hook.Event{Name: hook.Prompt, Prompt: prompt.Text})
	switch {
	case err != nil:
		return err
	case answer.Verdict == approval.Deny:
		return fmt.Errorf("%w: %s", ErrHook, answer.Reason)
	case answer.Context != "":
		return t.emit(ctx, session.Event{Note: &session.Note{Guard: "hook", Text: answer.Context}})
	}
	return nil
}

// freshPrompt is the prompt if the log ends with it, or with its refusal.
func (t turn) freshPrompt() *session.Prompt {
	for _, ev := range slices.Backward(t.session.Events()) {
		switch {
		case ev.Prompt != nil:
			return ev.Prompt
		case !ev.Aside() && ev.Failed == nil:
			return nil
		}
	}
	return nil
}

// atStop lets the hooks look at an answer, and reports whether they send the
// model back to work.
func (t turn) atStop(ctx context.Context) (goOn bool, err error) {
	stops := t.session.Notes(stopHook)
	if t.Hooks == nil || stops >= maxStops || t.session.Opened().Parent != "" {
		return false, nil
	}
	answer, err := t.fire(ctx, hook.Event{Name: hook.Stop, Answer: t.session.Answer(), Stopped: stops > 0})
	if err != nil || answer.Verdict != approval.Deny {
		return false, err
	}
	return true, t.emit(ctx, session.Event{Note: &session.Note{Guard: stopHook, Text: answer.Reason}})
}

const stopHook = "stop hook"
