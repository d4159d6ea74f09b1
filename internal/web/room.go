package web

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"ml-intern/internal/chat"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// A room is a session as its readers see it, whether or not it is open here.
type room struct {
	id   string
	refs int // of who is in it; the server's mu
	log  func(line string)

	life sync.Mutex // held by who opens or closes the chat

	mu      sync.Mutex    // of what follows
	chat    *chat.Chat    // nil while the session is not open here
	told    chan struct{} // closed when all is shown that the chat has told
	users   int           // requests at work with the chat
	used    time.Time     // when somebody last did something here
	readers map[*reader]bool
	state   *chat.State   // nil while it is not open here
	last    int64         // of the events that were shown
	sofar   partial       // of the reply that comes
	ask     *question     // that is open
	ended   error         // of the first prompt, if it did not become part of the session
	begun   chan struct{} // closed when the first prompt is in the session, or is not going to be

	// Of the goroutine that follows the chat.
	texts joined
}

// A question is an Ask of the chat that waits for an answer.
type question struct {
	*chat.Ask
	id   int
	data json.RawMessage
}

// partial is what came of a reply, for readers that come in its middle.
type partial struct{ reasoning, text string }

// maxPartial bounds it, in bytes.
const maxPartial = 1 << 20

func (p *partial) add(c llm.Chunk) {
	if c.Restart {
		*p = partial{}
	}
	if len(p.text)+len(p.reasoning) < maxPartial {
		p.reasoning += c.Reasoning
		p.text += c.Text
	}
}

// A thing is one message of a stream. One that is live counts only between two
// saved events.
type thing struct {
	kind string
	data []byte
	seq  int64 // of a saved event, else 0
	live bool
	at   int64 // of one that is live: the saved event before it
}

// maxWaiting bounds what waits for a reader.
const (
	maxWaiting      = 1000
	maxWaitingBytes = 8 << 20
)

// A reader is a stream's queue. Whoever reads too slowly loses it.
type reader struct {
	wake  chan struct{}
	queue []thing // the room's mu
	bytes int
	lost  bool
}

// join has a reader told what happens from now on, and returns what is open now.
func (r *room) join() (*reader, []thing) {
	rd := &reader{wake: make(chan struct{}, 1)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readers[rd] = true
	r.used = time.Now()
	now := []thing{{kind: "state", data: encode(stateOf(r.state))}}
	if r.sofar.reasoning != "" {
		now = append(now, r.liveEvent(session.Event{Time: time.Now().UTC(), Chunk: &llm.Chunk{Reasoning: r.sofar.reasoning}}))
	}
	if r.sofar.text != "" {
		now = append(now, r.liveEvent(session.Event{Time: time.Now().UTC(), Chunk: &llm.Chunk{Text: r.sofar.text}}))
	}
	if r.ask != nil {
		now = append(now, thing{kind: "ask", data: r.ask.data})
	}
	return rd, now
}

func (r *room) leave(rd *reader) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.readers, rd)
	r.used = time.Now()
}

// take takes what waits for a reader; not ok if it lost some of it.
func (r *room) take(rd *reader) (all []thing, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all, rd.queue, rd.bytes = rd.queue, nil, 0
	return all, !rd.lost
}

func (r *room) liveEvent(ev session.Event) thing {
	return thing{kind: "event", data: encode(ev), live: true, at: r.last}
}

// tell tells all readers one thing. It waits for none.
func (r *room) tell(t thing) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tellLocked(t)
}

func (r *room) tellLocked(t thing) {
	for rd := range r.readers {
		if rd.bytes += len(t.data); rd.lost || len(rd.queue) >= maxWaiting || rd.bytes > maxWaitingBytes {
			rd.lost, rd.queue = true, nil
		} else {
			rd.queue = append(rd.queue, t)
		}
		select {
		case rd.wake <- struct{}{}:
		default:
		}
	}
}

// follow shows what the chat tells, to its end.
func (r *room) follow(c *chat.Chat, told chan<- struct{}) {
	defer close(told)
	for {
		select {
		case u, ok := <-c.Updates():
			if !ok {
				return
			}
			r.show(u)
		case <-r.texts.due():
			r.flush()
		}
	}
}

// show shows one update of the chat. A panic is one update that is not shown, not
// the end of all sessions.
func (r *room) show(u chat.Update) {
	defer func() {
		if p := recover(); p != nil {
			r.log(fmt.Sprintf("an update of session %s could not be shown: %v\n%.2000s", r.id, p, debug.Stack()))
		}
	}()
	if u.Event != nil && r.texts.take(*u.Event) {
		if r.texts.idle() {
			r.flush()
		}
		return
	}
	r.flush()
	switch {
	case u.State != nil:
		r.stateNow(*u.State)
	case u.Ask != nil:
		r.question(u.Ask)
	case u.Opened != nil:
		r.opened(*u.Opened)
	case u.Event != nil:
		r.event(*u.Event)
	case u.Ran != nil:
		r.tell(thing{kind: "ran", data: encode(ranOf(*u.Ran))})
	case u.Notice != "":
		r.tell(thing{kind: "notice", data: encode(map[string]string{"text": u.Notice})})
	case u.Ended != nil:
		r.turnOver(*u.Ended)
	}
}

// flush shows the texts and lines that were kept to be shown together.
func (r *room) flush() {
	for _, ev := range r.texts.all() {
		r.event(ev)
	}
}

func (r *room) event(ev session.Event) {
	data := encode(ev)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case ev.Chunk != nil:
		r.sofar.add(*ev.Chunk)
	case ev.Seq > 0:
		r.last = ev.Seq
		if ev.Reply != nil || ev.Settled != nil || ev.Failed != nil {
			r.sofar = partial{}
		}
	}
	r.tellLocked(thing{kind: "event", data: data, seq: ev.Seq, live: ev.Seq == 0, at: r.last})
	if ev.Seq > 0 {
		r.beginLocked(nil)
	}
}

// beginLocked says how the first prompt came out.
func (r *room) beginLocked(err error) {
	select {
	case <-r.begun:
	default:
		r.ended = err
		close(r.begun)
	}
}

// opened says that there may be events that this room did not see.
func (r *room) opened(o chat.Opened) {
	if len(o.Events) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = o.Events[len(o.Events)-1].Seq
	r.tellLocked(thing{kind: "", seq: r.last})
	r.beginLocked(nil)
}

func (r *room) stateNow(now chat.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Phase != chat.Asking {
		r.unaskLocked()
	}
	if r.state == nil || r.state.Phase != now.Phase {
		r.used = time.Now()
	}
	r.state = &now
	r.tellLocked(thing{kind: "state", data: encode(stateOf(&now))})
}

func (r *room) turnOver(e chat.Ended) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tellLocked(thing{kind: "ended", data: encode(endedOf(e))})
	if e.Unsaid {
		r.beginLocked(&unsaid{e})
	}
}

// unsaid is the error of a first prompt that did not become part of a session.
type unsaid struct{ chat.Ended }

func (u *unsaid) Error() string { return u.Text }
func (u *unsaid) Unwrap() error { return u.Err }

// encode is what is told; it can be written, being made here.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
