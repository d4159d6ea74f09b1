package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"ml-intern/internal/agent"
	"ml-intern/internal/app"
	"ml-intern/internal/session"
)

// answer answers one prompt, or goes on with an empty one, to the end: also
// through what it waits for. Whoever holds the turn calls it.
func (c *Chat) answer(prompt session.Prompt) {
	ctx, end := context.WithCancelCause(c.ctx)
	defer end(nil)
	if c.cfg.TimeBudget > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.cfg.TimeBudget, app.ErrTimeBudget)
		defer cancel()
	}
	c.mu.Lock()
	c.endTurn = end
	if c.stopped {
		c.stopped = false
		end(app.ErrInterrupted)
	}
	c.state.Interrupted = ""
	c.state.Turn++
	c.setPhase(Working)
	c.mu.Unlock()
	c.tell()
	var unsaid session.Prompt
	err := whole(func() (err error) {
		unsaid, err = c.turns(ctx, prompt)
		return err
	})
	c.giveBack(unsaid)
	c.ended(err, unsaid)
}

// turns makes the turns that one prompt takes. What did not become part of the
// session comes back.
func (c *Chat) turns(ctx context.Context, prompt session.Prompt) (unsaid session.Prompt, err error) {
	if ctx.Err() != nil { // it was stopped before it began
		return prompt, context.Cause(ctx)
	}
	begun, err := c.ready(ctx, prompt)
	if err != nil {
		return prompt, err
	}
	if begun {
		prompt = session.Prompt{}
	}
	if prompt.Text == "" && c.conv.Session.Sleeps() {
		if prompt, err = c.sleep(ctx); err != nil {
			return session.Prompt{}, err
		}
	}
	for {
		before := len(c.conv.Session.Events())
		err := c.show(c.conv.Say(ctx, prompt))
		if err != nil && prompt.Text != "" && !c.has(prompt, before) {
			return prompt, err
		}
		if err != nil || len(c.conv.Session.Waiting()) == 0 {
			return session.Prompt{}, err
		}
		if prompt, err = c.sleep(ctx); err != nil {
			return session.Prompt{}, err
		}
	}
}

// ready has the session to give the prompt to, and reports whether it began
// with it.
func (c *Chat) ready(ctx context.Context, prompt session.Prompt) (begun bool, err error) {
	if c.app == nil {
		if err := c.open(c.ctx); err != nil {
			return false, err
		}
	}
	if c.conv != nil {
		return false, c.settleChoices(ctx)
	}
	if prompt.Text == "" {
		return false, fmt.Errorf("%w: there is nothing to go on with yet", app.ErrUsage)
	}
	conv, err := c.app.Begin(c.ctx, cmp.Or(c.id, app.NewID()), prompt)
	if err != nil {
		// Begin has left parts of a session in the program: the next try has a new one.
		_ = c.app.Close() //nolint:errcheck // nothing is open in it
		c.setApp(nil)
		return false, err
	}
	c.adopt(conv)
	c.shown, c.id = 0, ""
	c.catchUp()
	c.describe()
	return true, nil
}

// settleChoices has the model and the effort that were chosen while a turn
// worked count.
func (c *Chat) settleChoices(ctx context.Context) error {
	c.mu.Lock()
	over := c.over
	c.mu.Unlock()
	if err := c.conv.Set(ctx, over); err != nil {
		return err
	}
	c.describe()
	return nil
}

// has reports whether the prompt is in the log, after the events that were there
// before: the same words may have been said earlier.
func (c *Chat) has(prompt session.Prompt, before int) bool {
	text := c.conv.Agent.Redact(prompt.Text)
	return slices.ContainsFunc(c.conv.Session.Events()[before:], func(ev session.Event) bool {
		return ev.Prompt != nil && ev.Prompt.Text == text
	})
}

// show passes on what happens in a turn, and returns what ended it.
func (c *Chat) show(events iter.Seq2[session.Event, error]) (failure error) {
	for ev, err := range events {
		if err != nil {
			failure = err
		}
		if ev.Seq > 0 {
			c.shown = ev.Seq
			c.heard(ev)
		}
		c.watch(ev)
		if ev.Seq > 0 || ev.Live() {
			c.emit(Update{Event: &ev})
		}
		c.tell()
	}
	return failure
}

// sleep waits for what the session waits for, or until the person speaks, and
// returns what they said. At the end of the chat it is left as it is: whoever opens
// the session next waits on.
func (c *Chat) sleep(turn context.Context) (session.Prompt, error) {
	c.mu.Lock()
	spoken := c.spoken()
	if !spoken {
		c.setPhase(Waiting)
		c.state.Waits = waits(c.conv.Session.Waiting())
	}
	c.mu.Unlock()
	c.tell()
	var err error
	if !spoken {
		c.tellEnd(Ended{Waits: true})
		err = c.rest(turn)
	}
	c.mu.Lock()
	c.state.Waits = nil
	if c.state.Phase == Waiting {
		c.setPhase(Working)
	}
	c.mu.Unlock()
	if err == nil && turn.Err() != nil {
		err = context.Cause(turn)
	}
	if err != nil {
		return session.Prompt{}, err
	}
	c.steersFirst()
	prompt, _ := c.next()
	c.tell()
	return prompt, nil
}

// spoken reports whether the person has said something that no turn has heard; mu
// is held.
func (c *Chat) spoken() bool { return len(c.queue) > 0 || len(c.steers) > 0 }

// errChosen ends a sleep for as long as it takes to save what the person set.
var errChosen = fmt.Errorf("the person set something: %w", agent.ErrSpoken)

// rest is sleep without the words about it. What the person sets meanwhile is saved
// at once: the sleep may be long, and whoever wakes the session after a kill has to
// keep to it.
func (c *Chat) rest(turn context.Context) error {
	for {
		if err := c.saveChoices(); err != nil {
			return err
		}
		cause, err := c.restOnce(turn)
		if !errors.Is(cause, errChosen) {
			return err
		}
	}
}

// restOnce also says what ended it, nil if that was nobody.
func (c *Chat) restOnce(turn context.Context) (cause, err error) {
	ctx, end := context.WithCancelCause(context.WithoutCancel(turn))
	defer end(nil)
	defer context.AfterFunc(turn, func() {
		if c.ctx.Err() != nil {
			end(agent.ErrSpoken) // it is no failure of the turn
		}
		end(context.Cause(turn))
	})()
	c.mu.Lock()
	c.endSleep = end
	switch {
	case c.spoken():
		end(agent.ErrSpoken)
	case len(c.choices) > 0:
		end(errChosen)
	}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.endSleep = nil
	}()
	err = c.show(c.conv.Agent.Sleep(ctx, c.conv.Session))
	if err == nil {
		cause = context.Cause(ctx)
	}
	return cause, err
}

// steersFirst makes prompts of words that no turn has heard.
func (c *Chat) steersFirst() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.steers {
		c.steers[i].Steer = false
	}
	c.queue = append(c.steers, c.queue...)
	c.steers = nil
}

// ended says how the turn ended, and gives back what did not become part of the
// session. After a failure, what waits is held back.
func (c *Chat) ended(err error, unsaid session.Prompt) {
	begun := unsaid.Text == "" && c.conv != nil // there is something to go on with
	c.steersFirst()
	if c.conv != nil {
		if saveErr := c.saveChoices(); saveErr != nil && err == nil {
			err = saveErr
		}
	}
	switch {
	case err == nil || c.ctx.Err() != nil:
	case !begun && errors.Is(err, app.ErrInterrupted) && unsaid.Text != "":
		c.notice("stopped before it was said: an empty prompt sends it")
	case c.advised && errors.Is(err, app.ErrNoModel): // how to mend that stands above
		c.notice("%v yet: /model lists what can be taken; /login logs in", app.ErrNoModel)
	default:
		c.notice("%s", explain(err, begun))
	}
	c.mu.Lock()
	c.endTurn, c.begun = nil, false
	c.state.Retry, c.state.Waits = "", nil
	if err != nil {
		if begun || c.conv != nil && !c.conv.Session.Answered() { // else there is nothing that /retry could go on with
			c.state.Interrupted = err.Error()
		}
		c.state.Held = len(c.queue) > 0
	}
	c.setPhase(Idle)
	c.describeNow() // who sees that it is over sees what it cost
	c.mu.Unlock()
	c.tell()
	end := Ended{Err: err, Unsaid: unsaid.Text != ""}
	if err != nil {
		end.Text = explain(err, begun)
	}
	c.tellEnd(end)
}

// tellEnd says that nothing works on the prompt any more.
func (c *Chat) tellEnd(end Ended) {
	c.mu.Lock()
	end.Turn = c.state.Turn
	c.mu.Unlock()
	c.emit(Update{Ended: &end})
}

// saveChoices records what was chosen and no turn has recorded.
func (c *Chat) saveChoices() error {
	c.mu.Lock()
	choices := c.choices
	c.mu.Unlock()
	for _, chose := range choices {
		ev, err := c.conv.Session.Record(context.WithoutCancel(c.ctx), session.Event{Chose: &chose})
		if err != nil {
			return fmt.Errorf("save what was chosen: %w", err)
		}
		c.heard(ev)
		c.shown = ev.Seq
		c.emit(Update{Event: &ev})
	}
	return nil
}

// waits says in words what a turn waits for.
func waits(list []session.Waiting) []string {
	var all []string
	for _, w := range list {
		text := strings.Join(w.Jobs, ", ")
		if len(w.Jobs) == 1 {
			text = "job " + text
		} else {
			text = "jobs " + text
		}
		if !w.Until.IsZero() {
			text += " until " + w.Until.Local().Format("15:04:05")
		}
		all = append(all, text)
	}
	return all
}
