// Package agent is the loop: it asks the model, settles the tool calls that
// the model makes, and repeats until the model answers.
//
// Its one rule: what to do next is read from the session's log alone, so that
// a stop, a crash and a reconnect are one case. One prompt is a turn; one
// model call and the tools it calls are a step.
package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"

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
	ErrWindow   = errors.New("the conversation does not fit the model's context window")
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
	Models   []llm.Model // the first answers; each next one takes over when the one before is out of reach
	Retry    llm.RetryOptions
	Effort   string // how hard the models are to think, "" for their own default
	Tools    *tool.Router
	Policy   approval.Policy
	Approver Approver
	Ledger   *ledger.Account
	Guards   []Guard
	MaxSteps int                                                // of one turn
	Spill    func(callID, text string) (path string, err error) // keeps what is too long for a result
	Reason   func(error) string                                 // names an error for the Failed event
	Redact   func(text string) string                           // takes secrets out of prompts and errors; nil for none

	// Charges says what became of charges that are open, of those of which it
	// can say it. Nil means that no job costs anything.
	Charges func(ctx context.Context, open []tool.Charge) []tool.Charge

	Hooks    Hooks                                               // nil for none
	Remember func(rules []approval.Rule) (where string, _ error) // writes rules into the person's file
	// Checkpoint keeps the workspace's files as they are, session.BeforeWrite or
	// session.AfterTurn. Nil keeps nothing.
	Checkpoint func(ctx context.Context, when string) (session.Checkpointed, error)

	// Refresh brings Tools up to date, which may change between two turns only:
	// begins says that one begins now, and not that one goes on. It returns what
	// a person should know. Nil means that they never change.
	Refresh func(ctx context.Context, begins bool) []session.Notice

	// Inbox says what was said and set since, a steering Prompt or a Chose each,
	// in order. It is asked before each model call, and once more before a turn
	// ends with an answer. What it says is delivered when it is seen as an event.
	// Nil means that nobody speaks to a turn at work.
	Inbox func() []session.Event

	// News is what has changed in the files with instructions since the session
	// began, for the model, and what is left out of them, for the person; "" for
	// nothing. Nil means that nobody looks.
	News func(s *session.Session) (news, notice string)

	// Wake returns when there is something to look at in what a turn waits for,
	// or with the error that ended ctx. It shows how things stand meanwhile, and
	// may do so from several goroutines. Nil means that nobody waits here.
	Wake func(ctx context.Context, waits []session.Waiting, show func(session.Log)) error
}

// Run answers one prompt. It yields each event after saving it. An empty
// prompt goes on where the session's log ends, after a crash for instance. A
// caller that stops ranging ends the turn. A turn may also end without an answer
// or an error: then Session.Waiting says what it waits for, and Run goes on when
// that is there. See RunToAnswer.
func (a *Agent) Run(ctx context.Context, s *session.Session, prompt string) iter.Seq2[session.Event, error] {
	return a.RunPrompt(ctx, s, session.Prompt{Text: prompt})
}

// RunPrompt is Run for a prompt with what the person gives the model to read
// with it.
func (a *Agent) RunPrompt(ctx context.Context, s *session.Session, prompt session.Prompt) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		t := a.newTurn(s, yield)
		err := t.run(ctx, prompt)
		t.releaseRest()
		err = t.checkpointAfter(ctx, err)
		if err == nil || errors.Is(err, errStopped) {
			return
		}
		yield(a.failed(ctx, s, err))
	}
}

// failed records that a turn ended without an answer.
func (a *Agent) failed(ctx context.Context, s *session.Session, err error) (session.Event, error) {
	failed := session.Event{Failed: &session.Failed{Reason: a.Reason(err), Text: a.redacted(err.Error())}}
	failed, saveErr := s.Record(context.WithoutCancel(ctx), failed)
	if !errors.Is(err, errSave) { // else it says the same
		err = errors.Join(err, saveErr)
	}
	return failed, err
}

// A turn is one run of the loop.
type turn struct {
	*Agent
	session *session.Session
	yield   func(session.Event, error) bool

	holds map[string]hold   // by call id
	said  map[string]string // by call id: what hooks said of a call

	judged map[string]tool.Impact // by call id: as which a call was allowed

	overhead, overheadMost int // tokens of system prompt and tools, about and at most

	asked bool // a person asked for the summary
}

func (a *Agent) newTurn(s *session.Session, yield func(session.Event, error) bool) turn {
	t := turn{Agent: a, session: s, yield: yield, holds: make(map[string]hold), said: make(map[string]string), judged: make(map[string]tool.Impact)}
	t.overhead, t.overheadMost = a.overhead()
	return t
}

// A hold is what was set aside for a call.
type hold struct {
	usd    float64
	settle func(ledger.Amount)
}

// overhead estimates what every request holds besides the messages.
func (a *Agent) overhead() (tokens, most int) {
	add := func(s string) { tokens += llm.EstimateTokens(s); most += len(s) }
	add(a.System)
	for _, s := range a.Tools.Specs() {
		add(s.Name)
		add(s.Description)
		add(string(s.Schema))
		tokens, most = tokens+16, most+64
	}
	return tokens, most + 1000
}

// run is the loop.
func (t turn) run(ctx context.Context, prompt session.Prompt) error {
	if err := t.chargeJobs(ctx); err != nil {
		return err
	}
	if prompt.Text != "" {
		if err := t.checkpointLate(ctx); err != nil {
			return err
		}
		if err := t.begin(ctx, prompt); err != nil {
			return err
		}
	}
	if err := t.tellInstructions(ctx); err != nil {
		return err
	}
	if err := t.tellRedacted(ctx); err != nil {
		return err
	}
	if err := t.refresh(ctx, prompt.Text != ""); err != nil {
		return err
	}
	t.overhead, t.overheadMost = t.Agent.overhead()
	if err := t.atPrompt(ctx); err != nil {
		return err
	}
	before := t.session.Steps()
	for {
		if err := t.settle(ctx); err != nil {
			return err
		}
		if err := t.hear(ctx); err != nil {
			return err
		}
		if len(t.session.Waiting()) > 0 {
			return nil
		}
		if err := t.guard(ctx); err != nil {
			return err
		}
		if t.session.Answered() {
			if goOn, err := t.stops(ctx, before); err != nil || !goOn {
				return err
			}
			continue
		}
		if t.session.Steps() >= t.MaxSteps {
			return fmt.Errorf("%w: %d steps without an answer", ErrSteps, t.MaxSteps)
		}
		t.session.UseModel(t.model().Info().ID)
		if err := t.compact(ctx); err != nil {
			return err
		}
		if err := t.think(ctx); err != nil {
			return err
		}
	}
}

// stops ends a turn that has its answer, unless hooks send the model back.
func (t turn) stops(ctx context.Context, before int) (goOn bool, err error) {
	if t.session.Steps() > before {
		if goOn, err = t.atStop(ctx); goOn || err != nil {
			return goOn, err
		}
	}
	return false, t.chargeJobs(ctx)
}

// begin records the prompt, after settling what an earlier turn left behind.
func (t turn) begin(ctx context.Context, prompt session.Prompt) error {
	for _, call := range t.session.Pending() {
		text := interrupted + "the person stopped this turn and said something else"
		if call.Waits != nil {
			text = "the person spoke before what you waited for was there; it goes on, so wait again if you still need it"
		}
		if err := t.drop(ctx, call, text); err != nil {
			return err
		}
	}
	prompt = prompt.Redacted(t.redacted)
	return t.emit(ctx, session.Event{Prompt: &prompt})
}

// hear delivers what was said and set since the last step. Words of the person
// end a wait, as a prompt does.
func (t turn) hear(ctx context.Context) error {
	if t.Inbox == nil {
		return nil
	}
	for _, ev := range t.Inbox() {
		if ev.Prompt == nil {
			if err := t.emit(ctx, ev); err != nil {
				return err
			}
			continue
		}
		if err := t.begin(ctx, *ev.Prompt); err != nil {
			return err
		}
		if err := t.tellRedacted(ctx); err != nil {
			return err
		}
		if err := t.atPrompt(ctx); err != nil {
			return err
		}
	}
	return nil
}

// think makes one model call. When the provider says that the transcript is
// too long after all, it is compacted and sent once more; when the model is
// out of reach, the next one takes over.
func (t turn) think(ctx context.Context) error {
	if err := t.tellMoney(ctx); err != nil {
		return err
	}
	if err := t.tellPictures(ctx); err != nil {
		return err
	}
	shown := false
	req := llm.Request{Messages: t.session.Messages(), Effort: t.Effort}
	reply, err := t.ask(ctx, session.ForStep, req, func(c llm.Chunk) error {
		shown = shown || c.Text != "" || c.Reasoning != ""
		if c.End != nil {
			return nil // the Reply event says it, once it is saved
		}
		return t.emit(ctx, session.Event{Chunk: &c})
	})
	switch {
	case errors.Is(err, llm.ErrContextOverflow):
		if err := t.shrink(ctx, err); err != nil {
			return err
		}
		return t.voidShown(ctx, shown)
	case err != nil && ctx.Err() == nil && !errors.Is(err, errStopped):
		if err := t.failover(ctx, err); err != nil {
			return err
		}
		return t.voidShown(ctx, shown)
	case err != nil:
		return err
	}
	dropHalfCalls(&reply.Reply)
	t.session.UniqueCalls(&reply.Reply)
	if err := t.emit(ctx, session.Event{Reply: &reply}); err != nil {
		return err
	}
	if err := t.tellMoney(ctx); err != nil {
		return err
	}
	if reply.End.Reason == llm.EndFailed && len(reply.Message.Calls()) == 0 {
		return ErrGaveUp
	}
	return nil
}

// voidShown tells the reader that the pieces of a reply so far are void.
func (t turn) voidShown(ctx context.Context, shown bool) error {
	if !shown {
		return nil
	}
	return t.emit(ctx, session.Event{Chunk: &llm.Chunk{Restart: true}})
}

// dropHalfCalls takes out the calls whose arguments the output limit has cut
// off. A guard tells the model which.
func dropHalfCalls(reply *llm.Reply) {
	if reply.End.Reason != llm.EndLength {
		return
	}
	reply.Message.Parts = slices.DeleteFunc(reply.Message.Parts, func(p llm.Part) bool {
		if p.Call == nil || json.Valid([]byte(p.Call.Args)) {
			return false
		}
		reply.End.Dropped = append(reply.End.Dropped, p.Call.Name)
		return true
	})
}

// interruption puts the reason why ctx ended in front of an error that only
// says that it did.
func interruption(ctx context.Context, err error) error {
	if errors.Is(err, errStopped) || errors.Is(err, errSave) {
		return err // nobody can be shown anything any more
	}
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
