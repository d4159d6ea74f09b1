// Package agent is the loop: it asks the model, settles the tool calls that
// the model makes, and repeats until the model answers.
//
// Its one rule: what to do next is read from the session's log alone, so that
// a stop, a crash and a reconnect are one case. One prompt is a turn; one
// model call and the tools it calls are a step.
package agent

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"ml-intern/internal/approval"
	"ml-intern/internal/ledger"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
)

// Errors that end a turn without an answer.
var (
	ErrSteps    = errors.New("the step limit is reached")
	ErrGaveUp   = errors.New("the model reports that it could not do what was asked")
	ErrApproval = errors.New("a person must decide")
)

var (
	errStopped = errors.New("the caller stopped ranging") // unwinds a turn
	errSave    = errors.New("save event")
)

// An Approver asks a person about several calls at once. It blocks until the
// answers or the end of ctx, and returns one decision for each request. With
// nobody to ask it fails with ErrApproval.
type Approver interface {
	Approve(ctx context.Context, reqs []approval.Request) ([]approval.Decision, error)
}

// An Agent is the fixed parts of the loop. It holds no state of a session and
// is safe for concurrent use by several.
type Agent struct {
	System   string
	Model    llm.Model
	Tools    *tool.Router
	Policy   approval.Policy
	Approver Approver
	Ledger   *ledger.Account
	Guards   []Guard
	MaxSteps int                                                // of one turn
	Spill    func(callID, text string) (path string, err error) // keeps what is too long for a result
	Reason   func(error) string                                 // names an error for the Failed event
}

// Run answers one prompt. It yields each event after saving it. An empty
// prompt goes on where the session's log ends, after a crash for instance. A
// caller that stops ranging ends the turn.
func (a *Agent) Run(ctx context.Context, s *session.Session, prompt string) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		t := turn{a, s, yield}
		err := t.run(ctx, prompt)
		if err == nil || errors.Is(err, errStopped) {
			return
		}
		failed := session.Event{Failed: &session.Failed{Reason: a.Reason(err), Text: err.Error()}}
		failed, saveErr := s.Record(context.WithoutCancel(ctx), failed)
		if !errors.Is(err, errSave) { // else it says the same
			err = errors.Join(err, saveErr)
		}
		yield(failed, err)
	}
}

// A turn is one run of the loop.
type turn struct {
	*Agent
	session *session.Session
	yield   func(session.Event, error) bool
}

// run is the loop.
func (t turn) run(ctx context.Context, prompt string) error {
	if prompt != "" {
		if err := t.begin(ctx, prompt); err != nil {
			return err
		}
	}
	for {
		if err := t.settle(ctx); err != nil {
			return err
		}
		if err := t.guard(ctx); err != nil {
			return err
		}
		if t.session.Answered() {
			return nil
		}
		if t.session.Steps() >= t.MaxSteps {
			return fmt.Errorf("%w: %d steps without an answer", ErrSteps, t.MaxSteps)
		}
		if err := t.compact(ctx); err != nil {
			return err
		}
		if err := t.think(ctx); err != nil {
			return err
		}
	}
}

// begin records the prompt, after settling what an earlier turn left behind.
func (t turn) begin(ctx context.Context, prompt string) error {
	for _, call := range t.session.Pending() {
		if err := t.refuse(ctx, call.ID, interrupted+"the person stopped this turn and said something else"); err != nil {
			return err
		}
	}
	return t.emit(ctx, session.Event{Prompt: &session.Prompt{Text: prompt}})
}

// think makes one model call. When the provider says that the transcript is
// too long after all, it is compacted and sent once more.
func (t turn) think(ctx context.Context) error {
	reply, err := t.ask(ctx, t.session.Messages(), func(c llm.Chunk) error {
		return t.emit(ctx, session.Event{Chunk: &c})
	})
	if errors.Is(err, llm.ErrContextOverflow) {
		return t.shrink(ctx, err)
	}
	if err != nil {
		return err
	}
	t.session.UniqueCalls(&reply)
	if err := t.emit(ctx, session.Event{Reply: &reply}); err != nil {
		return err
	}
	if reply.End.Reason == llm.EndFailed && len(reply.Message.Calls()) == 0 {
		return ErrGaveUp
	}
	return nil
}

// ask sends the messages to the model, with money set aside for the worst
// case, and returns the whole reply or an error: never half a reply.
func (t turn) ask(ctx context.Context, messages []llm.Message, show func(llm.Chunk) error) (llm.Reply, error) {
	info := t.Model.Info()
	settle, err := t.Ledger.Reserve(worstCase(info, t.session.Tokens()))
	if err != nil {
		return llm.Reply{}, err
	}
	var spent ledger.Amount
	defer func() { settle(spent) }()
	var sum llm.Collector
	req := llm.Request{System: t.System, Messages: messages, Tools: t.Tools.Specs()}
	for chunk, err := range t.Model.Stream(ctx, req) {
		if err != nil {
			return llm.Reply{}, fmt.Errorf("ask model %s: %w", info.ID, interruption(ctx, err))
		}
		sum.Add(chunk)
		if err := show(chunk); err != nil {
			return llm.Reply{}, err
		}
	}
	reply, whole := sum.Reply()
	if !whole {
		return llm.Reply{}, fmt.Errorf("ask model %s: the reply was cut in the middle: %w", info.ID, llm.ErrUnreachable)
	}
	spent = Price(info, reply.End.Usage)
	return reply, nil
}

// Price is what the usage cost: dollars, or tokens if the price is unknown.
func Price(info llm.Info, u llm.Usage) ledger.Amount {
	if info.Price == nil {
		return ledger.Amount{Tokens: u.Input + u.Output}
	}
	return ledger.Amount{USD: info.Price.USD(u)}
}

// defaultMaxOutput is assumed of a model whose output limit is unknown.
const defaultMaxOutput = 32_000

func worstCase(info llm.Info, tokens int) ledger.Amount {
	output := info.MaxOutput
	if output == 0 {
		output = defaultMaxOutput
	}
	return Price(info, llm.Usage{Input: tokens, Output: output})
}

// interruption puts the reason why ctx ended in front of an error that only
// says that it did.
func interruption(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// emit saves an event, then shows it. What happened is saved even if ctx has
// ended since.
func (t turn) emit(ctx context.Context, ev session.Event) error {
	ev, err := t.session.Record(context.WithoutCancel(ctx), ev)
	if err != nil {
		return fmt.Errorf("%w: %w", errSave, err)
	}
	if !t.yield(ev, nil) {
		return errStopped
	}
	return nil
}

// emitAll saves several events at once, then shows them.
func (t turn) emitAll(ctx context.Context, evs []session.Event) error {
	if err := t.session.RecordAll(context.WithoutCancel(ctx), evs); err != nil {
		return fmt.Errorf("%w: %w", errSave, err)
	}
	for _, ev := range evs {
		if !t.yield(ev, nil) {
			return errStopped
		}
	}
	return nil
}
