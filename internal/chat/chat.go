// Package chat is a conversation with a person who stays: prompts that queue,
// words that reach a turn at work, questions, commands. It has no screen; the
// full-screen terminal and the line mode both show it.
//
// Its one rule: it shows what is saved and decides nothing that agent, session
// or app decide. agent.Run is the loop, app puts a session together.
package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// Options say which session to open; none begins a new one.
type Options struct {
	Resume   string // id of a session, or the beginning of one
	Continue bool   // the latest session of the workspace
	Fork     bool   // a copy of it
	ID       string // of app.NewID, for a new session; "" to be given one
}

// A Chat is a conversation. Its methods may be called from any goroutine. Close
// it.
type Chat struct {
	cfg     *config.Config // as the program was started, with the defaults of a chat
	updates chan Update
	out     chan parcel     // on the way there
	dirty   chan struct{}   // the state may have changed
	ctx     context.Context //nolint:containedctx // of the conversation, which outlives the call that opened it
	cancel  context.CancelCauseFunc
	closed  chan struct{} // nobody reads updates any more
	kick    chan struct{} // there may be something to do
	started chan struct{} // the program was opened, if it can be
	work    sync.WaitGroup
	closing sync.Once
	left    []string // see Left
	failed  error    // of Close

	// turn is held by whoever works with what follows: a turn, or a command that
	// changes the session.
	turn    chan struct{}
	app     *app.App          // nil until it can be opened; set with mu held
	conv    *app.Conversation // nil until the first prompt of a new session
	shown   int64             // the last event that was shown
	title   string            // of the session
	id      string            // that the next new session has, "" for any
	advised bool              // which ways there are to a model was said

	mu       sync.Mutex // of what follows
	state    State
	sent     State
	version  int // of sent
	queue    []session.Prompt
	steers   []session.Prompt
	choices  []session.Chose // that the session's log does not have yet
	over     session.Chose   // all that was chosen in this chat
	context  []string        // what the person's own commands printed, for the next prompt
	goOn     bool            // the next turn goes on where the log ends
	begun    bool            // a turn works or is about to
	stopped  bool            // the turn that is about to work is not wanted any more
	setMode  func(string) error
	endTurn  context.CancelCauseFunc         // nil while no turn works
	endWork  context.CancelCauseFunc         // nil while no command works that can be stopped
	endSleep context.CancelCauseFunc         // nil while no turn waits
	commands int                             // of the person's own, so far
	shells   map[int]context.CancelCauseFunc // those that run, by their number
	copies   int                             // that were taken from the clipboard, so far
	held     []*llm.Image                    // pictures that prompts may name and that are no files
	overhead int                             // tokens of system prompt and tools, about
	toolList []app.ToolLine

	watching sync.Mutex // of what follows
	watchOf  *app.App
	watcher  *app.JobWatch
}

// Open opens the conversation that the options name. Nothing is saved before
// the first prompt.
func Open(ctx context.Context, cfg *config.Config, opts Options) (*Chat, error) {
	own := *cfg
	if !own.IsSet("approve") {
		own.Approve = "ask"
	}
	if !own.IsSet("max_cost") {
		own.MaxCost = 0
	}
	given := session.Chose{Model: own.Model, Effort: own.Effort, Mode: own.Approve}
	if err := app.CheckChoice(&own, given); errors.Is(err, app.ErrUsage) { // a key that is missing can still come
		return nil, err
	}
	if err := app.CheckCompute(&own); err != nil {
		return nil, err
	}
	c := &Chat{
		cfg: &own, updates: make(chan Update), out: make(chan parcel), dirty: make(chan struct{}, 1), closed: make(chan struct{}),
		kick: make(chan struct{}, 1), started: make(chan struct{}), turn: make(chan struct{}, 1), id: opts.ID,
	}
	c.setPhase(Idle)
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	if opts.Resume != "" || opts.Continue {
		if err := c.reopen(c.ctx, opts); err != nil {
			c.cancel(nil)
			return nil, err
		}
	}
	c.work.Go(c.pump)
	c.work.Go(c.run)
	return c, nil
}

// Updates yields what happened, in order, until Close. It has one reader. A
// slow one slows the turn and loses nothing.
func (c *Chat) Updates() <-chan Update { return c.updates }

// Close ends the turn and gives the session back. Nothing that was saved is lost.
func (c *Chat) Close() error {
	c.closing.Do(func() {
		close(c.closed)
		c.cancel(app.ErrInterrupted)
		c.work.Wait()
		c.left, c.failed = c.leave(context.WithoutCancel(c.ctx))
		close(c.updates)
	})
	return c.failed
}

// Left says, after Close, what goes on all the same and how to go on with the
// session: lines for a terminal that has no screen any more.
func (c *Chat) Left() []string { return c.left }

// leave ends what belongs to the session, closes it, and says what goes on.
func (c *Chat) leave(ctx context.Context) (lines []string, err error) {
	if c.app == nil {
		return nil, nil
	}
	if c.conv != nil {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		s := c.conv.Session
		if s.Answered() {
			if err := c.app.End(ctx, s); err != nil {
				lines = append(lines, fmt.Sprintf("end the session's sandboxes: %v", err))
			}
		}
		lines = append(lines, c.app.Left(ctx, s)...)
		if shared, err := c.app.ShareByItself(ctx, s.ID); err != nil {
			lines = append(lines, err.Error())
		} else if shared != "" {
			lines = append(lines, shared)
		}
		lines = append(lines, fmt.Sprintf("session %s; go on with: ml-intern --resume %s", s.ID, s.ID))
		c.conv.OnNotify(nil, func(text string) { lines = append(lines, text) }, true) // which is over when it is closed
		err = c.conv.Close()
		c.conv = nil
	}
	err = errors.Join(err, c.app.Close())
	c.setApp(nil)
	c.mu.Lock()
	c.setMode, c.toolList = nil, nil
	c.mu.Unlock()
	return lines, err
}

// A parcel is an update on its way, with the state that it came in.
type parcel struct {
	Update
	state   State
	version int // of the state; 0 if that was shown before
}

// emit shows an update, unless nobody looks any more. It waits for the reader.
func (c *Chat) emit(u Update) {
	p := parcel{Update: u}
	p.state, p.version = c.changed()
	select {
	case c.out <- p:
	case <-c.closed:
	}
}

// pump passes updates on, each after the state that it came in. Whoever changes
// nothing but the state need not wait for the reader.
func (c *Chat) pump() {
	send := func(u Update) {
		select {
		case c.updates <- u:
		case <-c.closed:
		}
	}
	latest := 0
	for {
		var p parcel
		select {
		case p = <-c.out:
		case <-c.dirty:
			p.state, p.version = c.changed()
		case <-c.closed:
			return
		}
		if p.version > latest {
			latest = p.version
			send(Update{State: &p.state})
		}
		if p.Update != (Update{}) {
			send(p.Update)
		}
	}
}

func (c *Chat) notice(format string, args ...any) {
	c.emit(Update{Notice: fmt.Sprintf(format, args...)})
}

// run is the conversation: turns, one after the other.
func (c *Chat) run() {
	c.turn <- struct{}{}
	c.showSession()
	if c.app == nil {
		err := whole(func() error {
			if err := c.open(c.ctx); err != nil {
				return err
			}
			c.lookAround()
			return nil
		})
		if err != nil {
			c.notice("%s", explain(err, false))
		}
	}
	close(c.started)
	c.tell() // which Hub and which model there are
	<-c.turn
	for c.ctx.Err() == nil {
		prompt, ok := c.next()
		if !ok {
			select {
			case <-c.kick:
			case <-c.ctx.Done():
			}
			continue
		}
		c.turn <- struct{}{}
		c.answer(prompt)
		<-c.turn
	}
}

// lookAround says which model there is for a first prompt, if nobody has named
// one and there is no key to choose one by.
func (c *Chat) lookAround() {
	cfg := c.newConfig()
	if cfg.Model != "" || c.app.DefaultModel() != "" {
		return
	}
	found := app.Look(c.ctx, cfg)
	if found.Model == "" {
		c.advised = true
		c.notice("%s\n/model lists what can be taken; /login logs in", explain(found.NoModel(), false))
		return
	}
	c.mu.Lock()
	c.cfg.Model, c.state.Model = found.Model, found.Model
	c.mu.Unlock()
	c.notice("the model is %s: %s", found.Model, found.Why)
}

// explain says what went wrong, and what can be done about it here, where there
// may be something to go on with.
func explain(err error, begun bool) string {
	exit := app.Classify(err)
	text := strings.TrimPrefix(err.Error(), app.ErrUsage.Error()+": ") // nobody gave a flag
	if hint := here(exit); hint != "" && (begun || exit.Reason != "error") {
		text += "\n" + hint
	}
	return text
}

// here is what a person in a chat can do about an error.
func here(exit app.Exit) string {
	switch exit.Reason {
	case "interrupted", "time_budget", "step_limit":
		return "/retry goes on"
	case "unreachable":
		return "/retry goes on when the model answers again; /model takes another"
	case "credit", "context":
		return "go on with another model: /model ID, then /retry; or /new"
	case "guard", "gave_up", "error", "approval", "hook":
		return "say what to do instead, or /retry"
	case "cost_cap":
		return "go on with a higher cap: ml-intern --continue --max-cost USD"
	case "usage":
		return ""
	}
	return exit.Hint
}

// newConfig is the configuration of the next session: App changes it.
func (c *Chat) newConfig() *config.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	cfg := *c.cfg
	cfg.Model = cmp.Or(c.over.Model, cfg.Model)
	cfg.Approve = cmp.Or(c.over.Mode, cfg.Approve)
	switch c.over.Effort {
	case "":
	case session.DefaultEffort:
		cfg.Effort = ""
	default:
		cfg.Effort = c.over.Effort
	}
	return &cfg
}

// open opens the program for a new session. What the person chose holds in it
// too, and is recorded when it begins.
func (c *Chat) open(ctx context.Context) error {
	a, err := app.New(ctx, c.newConfig())
	if err != nil {
		return err
	}
	c.setApp(a)
	c.mu.Lock()
	c.choices = nil
	if chose := (session.Chose{Effort: c.over.Effort, Mode: c.over.Mode}); chose != (session.Chose{}) {
		c.choices = []session.Chose{chose}
	}
	c.mu.Unlock()
	c.describe()
	return nil
}

// reopen opens the program with a session that exists.
func (c *Chat) reopen(ctx context.Context, opts Options) error {
	cfg := *c.cfg
	a, err := app.New(ctx, &cfg)
	if err != nil {
		return err
	}
	conv, err := resume(ctx, a, opts)
	if err != nil {
		return errors.Join(err, a.Close())
	}
	c.take(a, conv)
	return nil
}

// take makes the session the one that is shown.
func (c *Chat) take(a *app.App, conv *app.Conversation) {
	c.setApp(a)
	c.adopt(conv)
	c.shown = 0
	c.mu.Lock()
	c.over, c.choices = conv.Session.Chosen(), nil
	c.mu.Unlock()
	c.describe()
}

func resume(ctx context.Context, a *app.App, opts Options) (conv *app.Conversation, err error) {
	id := opts.Resume
	if id == "" {
		if id, err = a.Latest(ctx); err != nil {
			return nil, err
		}
	}
	if opts.Fork {
		return a.Fork(ctx, id, "")
	}
	return a.Resume(ctx, id, "")
}

// adopt has the conversation speak to this person.
func (c *Chat) adopt(conv *app.Conversation) {
	c.conv, c.title = conv, titleOf(conv.Session)
	c.countCopies(conv.Session.Events())
	conv.Agent.Approver = asker{c}
	conv.Listen(c.inbox)
	conv.OnNotify(func(sequence string) { c.emit(Update{Ring: sequence}) }, func(text string) { c.notice("%s", text) }, true)
	c.mu.Lock()
	c.setMode, c.toolList, c.overhead = conv.SetMode, conv.Tools(), conv.Agent.Overhead()
	c.mu.Unlock()
}

// setApp notes the program of the session; whoever holds the turn calls it.
func (c *Chat) setApp(a *app.App) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.app = a
}

// program is the program of the session, for whoever does not hold the turn;
// nil if there is none.
func (c *Chat) program() *app.App {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.app
}

// showSession shows a session from its beginning: whoever holds the turn calls
// it.
func (c *Chat) showSession() {
	opened := &Opened{}
	if c.conv != nil {
		opened.ID, opened.Events = c.conv.Session.ID, c.conv.Session.Events()
		opened.Events = opened.Events[:len(opened.Events):len(opened.Events)]
		c.shown = int64(len(opened.Events))
	}
	sleeps := c.conv != nil && c.conv.Session.Sleeps()
	unanswered := c.conv != nil && !sleeps && !c.conv.Session.Answered()
	c.mu.Lock()
	c.goOn = sleeps // nothing is spent by that
	if c.state.Interrupted = ""; unanswered {
		c.state.Interrupted = "the last prompt has no answer yet"
	}
	c.mu.Unlock()
	c.describe()
	c.emit(Update{Opened: opened})
	if unanswered {
		c.notice("the last prompt has no answer yet: /retry goes on with it")
	}
	c.tell()
}

// catchUp shows the events of the session that were not shown.
func (c *Chat) catchUp() {
	events := c.conv.Session.Events()
	for _, ev := range events[min(c.shown, int64(len(events))):] {
		c.shown = ev.Seq
		c.emit(Update{Event: &ev})
	}
}
