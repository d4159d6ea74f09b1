package acp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/coder/acp-go-sdk"

	"ml-intern/internal/app"
	"ml-intern/internal/chat"
)

// A thread is one open session of the editor. What the chat tells is shown by
// one goroutine, follow, which has the fields of the record for itself.
type thread struct {
	chat     *chat.Chat
	wire     *wire
	id       sdk.SessionId
	cwd      string        // as the editor says
	replay   bool          // the editor wants what was before
	shown    chan struct{} // what was before is on its way
	looking  sync.Once
	models   []chat.Item
	side     sync.WaitGroup // of what follow starts
	withdraw func()         // the question that is open; follow's

	rec *record

	mu      sync.Mutex
	state   chat.State
	offered bool                // the editor knows the session
	early   []sdk.SessionUpdate // until it does
	open    *turn               // the prompt that is being answered
	closed  bool
}

// A turn is a prompt of the editor on its way to its answer.
type turn struct {
	given    bool // to the chat
	heard    bool // it is in the log, or a command has begun its turn
	after    int  // that turn is one after this; 0 if it begins with a prompt
	shell    bool // a command of the person's own
	unsure   bool // a command of the chat, which may begin a turn or not
	canceled bool
	over     chan ended // of one
}

// ended is how a turn came out.
type ended struct {
	stop sdk.StopReason
	err  error
}

func newThread(w *wire, c *chat.Chat, id, cwd string, replay bool) *thread {
	t := &thread{chat: c, wire: w, id: sdk.SessionId(id), cwd: cwd, replay: replay, shown: make(chan struct{})}
	t.rec = newRecord(t.update, func(path string) ([]byte, error) { return c.ReadFile(path, maxBefore) })
	return t
}

// update shows one thing, once the editor knows the session.
func (t *thread) update(u sdk.SessionUpdate) {
	t.mu.Lock()
	if !t.offered {
		t.early = append(t.early, u)
		t.mu.Unlock()
		return
	}
	t.mu.Unlock()
	_ = t.wire.tell(sdk.ClientMethodSessionUpdate, sdk.SessionNotification{SessionId: t.id, Update: u}) // who is gone sees it in session/load
}

// know lets updates go to the editor, which knows the session.
func (t *thread) know() {
	for {
		t.mu.Lock()
		if len(t.early) == 0 {
			t.offered = true
			t.mu.Unlock()
			return
		}
		u := t.early[0]
		t.early = t.early[1:]
		t.mu.Unlock()
		_ = t.wire.tell(sdk.ClientMethodSessionUpdate, sdk.SessionNotification{SessionId: t.id, Update: u}) // as in update
	}
}

// offer says what the person can type, once the session is open.
func (t *thread) offer() {
	t.know()
	var list []sdk.AvailableCommand
	for _, c := range t.chat.Commands() {
		if slices.Contains(elsewhere(), c.Name) {
			continue
		}
		cmd := sdk.AvailableCommand{Name: strings.TrimPrefix(c.Name, "/"), Description: c.Help}
		if c.Args != "" {
			cmd.Input = &sdk.AvailableCommandInput{Unstructured: &sdk.UnstructuredCommandInput{Hint: c.Args}}
		}
		list = append(list, cmd)
	}
	t.update(sdk.SessionUpdate{AvailableCommandsUpdate: &sdk.SessionAvailableCommandsUpdate{AvailableCommands: list}})
}

// elsewhere are commands that the editor has itself, or that change to another
// session, which its thread is not.
func elsewhere() []string {
	return []string{"/new", "/resume", "/sessions", "/fork", "/quit", "/theme", "/memory", "/help"}
}

// word tells the person something that is no part of the conversation.
func (t *thread) word(text string) { t.update(said("\n\n" + quoted(text))) }

func quoted(text string) string {
	return "> " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n> ") + "\n\n"
}

func (t *thread) dir() string { return t.chat.Now().Dir }

// busy reports whether something is at work that closing it would stop. What only
// waits is found again.
func (t *thread) busy() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open != nil || t.chat.Busy() && t.state.Phase != chat.Waiting
}

// close ends the chat, and returns what goes on without it. Who waits for an
// answer gets none.
func (t *thread) close() []string {
	t.mu.Lock()
	t.closed = true // no prompt begins any more
	t.mu.Unlock()
	err := t.chat.Close()
	t.mu.Lock()
	p := t.open
	t.mu.Unlock()
	if p != nil {
		t.finish(p, ended{stop: sdk.StopReasonCancelled})
	}
	lines := t.chat.Left()
	if err != nil {
		lines = append(lines, "close the session: "+err.Error())
	}
	return lines
}

// follow shows what the chat tells, to its end.
func (t *thread) follow() {
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	defer t.side.Wait()
	t.withdraw = func() {}
	defer func() { t.withdraw() }()
	for {
		var live <-chan time.Time
		if t.rec.growing() {
			live = beat.C
		}
		select {
		case u, ok := <-t.chat.Updates():
			if !ok {
				return
			}
			t.take(u)
		case <-live:
			t.rec.grown()
		}
	}
}

// beatEvery is how often the output of what runs is shown.
const beatEvery = 150 * time.Millisecond

// take shows one update of the chat. A panic is one update that is not shown, not
// the end of all sessions.
func (t *thread) take(u chat.Update) {
	defer func() {
		if p := recover(); p != nil {
			t.wire.log(fmt.Sprintf("an update could not be shown: %v\n%.2000s", p, debug.Stack()))
		}
	}()
	switch {
	case u.State != nil:
		if u.State.Phase != chat.Asking { // no question is open any more
			t.withdraw()
		}
		t.stateNow(*u.State)
	case u.Ask != nil:
		asked := t.rec.questions(u.Ask.Requests)
		ctx, cancel := context.WithCancelCause(t.wire.ctx)
		t.withdraw = func() { cancel(errWithdrawn) }
		t.side.Go(func() {
			defer cancel(nil)
			t.ask(ctx, u.Ask, asked)
		})
	case u.Opened != nil:
		t.opened(*u.Opened)
	case u.Event != nil:
		t.heard(u)
		t.rec.event(*u.Event)
	case u.Ran != nil:
		t.rec.ran(*u.Ran)
		t.ran(*u.Ran)
	case u.Notice != "":
		t.notice(u.Notice)
	case u.Ended != nil:
		t.turnOver(*u.Ended)
	}
}

// opened shows what was before, if the editor wants it.
func (t *thread) opened(o chat.Opened) {
	select {
	case <-t.shown:
		return
	default:
	}
	defer close(t.shown)
	wanted := t.replay && len(o.Events) > 0 && o.ID == string(t.id) && same(o.Events[0].Opened.Dir, t.cwd) // else it is refused
	if wanted {
		t.know() // by the id that it asked for
	}
	t.rec.replay(o.Events, wanted)
}

// notice shows a word of the program. What a turn's end says again is left to
// that.
func (t *thread) notice(text string) {
	t.mu.Lock()
	working := t.state.Phase != chat.Idle && t.state.Phase != ""
	t.mu.Unlock()
	if working {
		t.rec.hold(text)
		return
	}
	t.rec.say(text)
}

// stateNow shows what changed of how things stand.
func (t *thread) stateNow(now chat.State) {
	t.mu.Lock()
	before := t.state
	t.state = now
	t.mu.Unlock()
	if before.Phase == "" {
		return // session/new and session/load say it
	}
	if now.Mode != before.Mode {
		t.update(sdk.SessionUpdate{CurrentModeUpdate: &sdk.SessionCurrentModeUpdate{CurrentModeId: sdk.SessionModeId(now.Mode)}})
	}
	if now.Mode != before.Mode || now.Model != before.Model && before.Model != "" || now.Effort != before.Effort {
		t.side.Go(func() { // it asks the chat, which waits for who reads its updates
			t.update(sdk.SessionUpdate{ConfigOptionUpdate: &sdk.SessionConfigOptionUpdate{ConfigOptions: t.options()}})
		})
	}
	if now.Title != before.Title {
		t.update(sdk.SessionUpdate{SessionInfoUpdate: &sdk.SessionSessionInfoUpdate{Title: sdk.Ptr(now.Title)}})
	}
	if now.Window > 0 && (now.Context != before.Context || now.Spent != before.Spent) {
		t.update(sdk.SessionUpdate{UsageUpdate: &sdk.SessionUsageUpdate{
			Used: now.Context, Size: now.Window, Cost: &sdk.Cost{Amount: now.Spent.USD, Currency: "USD"},
		}})
	}
	if now.Retry != "" && now.Retry != before.Retry {
		t.rec.say(now.Retry)
	}
}

// cancel stops the turn, whether or not a prompt waits for it. It waits for
// nothing.
func (t *thread) cancel() {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.open
	if p != nil {
		p.canceled = true
	}
	waited := p != nil && p.given && !p.heard && t.chat.Unqueue() != "" // first: a turn that is stopped gives its prompt back
	t.chat.Stop()
	if p != nil && (waited || p.shell || !p.given || p.unsure && !p.heard) {
		t.finishLocked(p, ended{stop: sdk.StopReasonCancelled})
	}
}

// heard notes that the prompt has become part of the session.
func (t *thread) heard(u chat.Update) {
	ev := u.Event
	if ev.Prompt == nil || ev.Prompt.Steer {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open != nil && t.open.given {
		t.open.heard = true
	}
}

// ran notes the end of a command of the person's own.
func (t *thread) ran(r chat.Ran) {
	t.mu.Lock()
	p := t.open
	t.mu.Unlock()
	if p != nil && p.shell && r.Done {
		t.finish(p, ended{stop: sdk.StopReasonEndTurn})
	}
}

// turnOver answers the prompt whose turn it was. What went wrong with no prompt
// that waits is shown.
func (t *thread) turnOver(e chat.Ended) {
	t.mu.Lock()
	p := t.open
	mine := p != nil && (p.heard || e.Unsaid || p.after > 0 && e.Turn >= p.after)
	canceled := p != nil && p.canceled
	waits := p != nil && p.given && !mine && e.Err != nil && !canceled
	waiting := t.state.Waits
	t.mu.Unlock()
	t.rec.settle(e.Text)
	if e.Unsaid {
		t.chat.Unqueue() // the editor says it again, or not
	}
	switch {
	case e.Waits:
		t.rec.say("It waits for " + strings.Join(waiting, "; ") + " and goes on by itself; no model is asked meanwhile.")
	case e.Err != nil && !mine && app.Classify(e.Err).Reason != "interrupted":
		t.rec.say(e.Text)
	}
	if waits { // it was held back with the rest
		t.chat.Say("")
	}
	if mine {
		stop, err := t.rec.outcome(e, canceled)
		t.finish(p, ended{stop, err})
	}
}

// finish answers a prompt, once.
func (t *thread) finish(p *turn, how ended) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finishLocked(p, how)
}

func (t *thread) finishLocked(p *turn, how ended) {
	if t.open == p {
		t.open = nil
		p.over <- how
	}
}

// prompt takes a prompt in the order in which it came, so that no cancel goes
// ahead of it, and answers it beside others.
func (s *server) prompt(params json.RawMessage) (func(context.Context) (answer, error), error) {
	p, err := read[sdk.PromptRequest](params)
	if err != nil {
		return nil, err
	}
	t, err := s.thread(p.SessionId)
	if err != nil {
		return nil, err
	}
	said, err := spoken(p.Prompt, t.dir())
	if err != nil {
		return nil, err
	}
	mine := &turn{over: make(chan ended, 1)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, closedSession(p.SessionId)
	}
	if t.open != nil {
		return nil, &sdk.RequestError{Code: codeRefused, Message: "this session answers a prompt already: wait for it, or cancel it"}
	}
	t.open = mine
	return func(ctx context.Context) (answer, error) {
		t.say(mine, said)
		select {
		case how := <-mine.over:
			return answer{result: sdk.PromptResponse{StopReason: how.stop}}, how.err
		case <-ctx.Done():
		}
		t.cancel()
		how := <-mine.over // a stop is quick
		if errors.Is(context.Cause(ctx), errCanceled) {
			return answer{}, errCanceled
		}
		return answer{result: sdk.PromptResponse{StopReason: how.stop}}, how.err
	}, nil
}
