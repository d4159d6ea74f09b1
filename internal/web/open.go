package web

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"ml-intern/internal/chat"
)

// enter returns the room of a session, to be left again.
func (s *server) enter(id string) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[id]
	if r == nil {
		r = &room{id: id, log: s.Log, readers: make(map[*reader]bool), begun: make(chan struct{})}
		s.rooms[id] = r
	}
	r.refs++
	return r
}

func (s *server) leave(r *room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.refs--; r.refs == 0 {
		delete(s.rooms, r.id)
	}
}

// look is the room of a session that is open or read, nil for none.
func (s *server) look(id string) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rooms[id]
}

// all are the rooms that there are.
func (s *server) all() []*room {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*room
	for _, r := range s.rooms {
		all = append(all, r)
	}
	return all
}

// reserve keeps a place for one more open session.
func (s *server) reserve() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errClosing
	case s.open >= cmp.Or(s.MaxSessions, DefaultMaxSessions):
		f := fail(http.StatusTooManyRequests, "too_many", "%d sessions are open already", s.open)
		f.hint = "wait until one is done: it is closed when nobody has used it for a while; --max-sessions allows more"
		return f
	}
	s.open++
	return nil
}

func (s *server) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

var errClosing = fail(http.StatusServiceUnavailable, "ending", "the server is about to end")

// use lends the chat of a session to do something with, and opens it if need be.
func (s *server) use(id string, do func(*room, *chat.Chat) error) error {
	return s.lend(id, true, do)
}

// lend is use; with open false a session that is not open here is a conflict.
func (s *server) lend(id string, open bool, do func(*room, *chat.Chat) error) error {
	r := s.enter(id)
	defer s.leave(r)
	c, err := s.borrow(r, open)
	if err != nil {
		return err
	}
	defer func() {
		r.mu.Lock()
		r.users--
		r.used = time.Now()
		r.mu.Unlock()
	}()
	return do(r, c)
}

// borrow has the chat not closed until the caller gives it back.
func (s *server) borrow(r *room, open bool) (*chat.Chat, error) {
	r.life.Lock()
	defer r.life.Unlock()
	r.mu.Lock()
	c := r.chat
	r.mu.Unlock()
	if c == nil {
		if !open {
			return nil, fail(http.StatusConflict, "not_open", "session %s is not open here", r.id)
		}
		var err error
		if c, err = s.reopen(r); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users++
	r.used = time.Now()
	return c, nil
}

// reopen opens a session that exists; life is held.
func (s *server) reopen(r *room) (*chat.Chat, error) {
	first, err := s.library.Events(s.ctx, r.id, 0, 1)
	if err != nil {
		return nil, err
	}
	if len(first) == 0 || first[0].Opened == nil {
		return nil, noSession(r.id)
	}
	if parent := first[0].Opened.Parent; parent != "" {
		return nil, refused("session %s is a sub-agent's of session %s: say it there", r.id, parent)
	}
	cfg, err := s.For(first[0].Opened.Dir)
	if err != nil {
		return nil, err
	}
	if err := s.reserve(); err != nil {
		return nil, err
	}
	c, err := chat.Open(s.ctx, cfg, chat.Options{Resume: r.id})
	if err != nil {
		s.release()
		return nil, err
	}
	s.start(r, c)
	s.remember(r.id)
	return c, nil
}

// start has the room follow its chat; life is held.
func (s *server) start(r *room, c *chat.Chat) {
	s.mu.Lock()
	r.refs++ // the chat's
	s.mu.Unlock()
	told := make(chan struct{})
	r.mu.Lock()
	r.chat, r.told, r.used = c, told, time.Now()
	r.mu.Unlock()
	s.work.Go(func() { r.follow(c, told) })
}

// close closes the chat of a room and says what goes on without it; life is held.
func (s *server) close(r *room, keep bool) {
	r.mu.Lock()
	c, told := r.chat, r.told
	r.mu.Unlock()
	if c == nil {
		return
	}
	if !keep {
		s.forget(r.id) // first: who opens it next writes it down again
	}
	if err := c.Close(); err != nil {
		s.Log(fmt.Sprintf("close session %s: %v", r.id, err))
	}
	<-told // else its last state would come after the end
	r.mu.Lock()
	r.chat, r.state, r.sofar = nil, nil, partial{}
	r.unaskLocked()
	r.tellLocked(thing{kind: "state", data: encode(stateOf(nil))})
	r.mu.Unlock()
	for _, line := range c.Left() {
		s.Log(line)
	}
	s.release()
	s.leave(r)
}

// closeAll closes all sessions, side by side. Those that wait for jobs are taken
// up when the server is started again.
func (s *server) closeAll() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, r := range s.all() {
		wg.Go(func() {
			r.life.Lock()
			defer r.life.Unlock()
			s.close(r, true)
		})
	}
	wg.Wait()
	s.work.Wait()
}

// tend closes what nobody uses, until the server ends.
func (s *server) tend() {
	after := cmp.Or(s.IdleAfter, 10*time.Minute)
	tick := time.NewTicker(min(after/4, time.Minute))
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		for _, r := range s.all() {
			if r.life.TryLock() {
				if r.idle(after) {
					s.close(r, false)
				}
				r.life.Unlock()
			}
		}
	}
}

// idle reports whether nobody looked at or used the session for so long, and
// nothing in it is at work or waits.
func (r *room) idle(after time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.chat == nil || r.users > 0 || len(r.readers) > 0 || time.Since(r.used) < after || r.chat.Busy() {
		return false
	}
	return r.state == nil || r.state.Phase == chat.Idle && len(r.state.Queue) == 0
}

// begin opens a session with its first prompt.
func (s *server) begin(id, dir, prompt string, settle func(*chat.Chat) error) error {
	cfg, err := s.For(dir)
	if err != nil {
		return err
	}
	r := s.enter(id) // before there is a place for it, so that closeAll finds it
	defer s.leave(r)
	r.life.Lock()
	defer r.life.Unlock()
	if err := s.reserve(); err != nil {
		return err
	}
	c, err := chat.Open(s.ctx, cfg, chat.Options{ID: id})
	if err != nil {
		s.release()
		return err
	}
	s.start(r, c)
	if err = settle(c); err == nil {
		err = firstPrompt(c, prompt)
	}
	if err != nil {
		s.close(r, false)
		return err
	}
	select {
	case <-r.begun: // also if who asked is gone: what cannot begin must not stay open, for nobody sees it
	case <-s.ctx.Done():
		s.close(r, true)
		return errClosing
	}
	r.mu.Lock()
	err = r.ended
	r.mu.Unlock()
	if err != nil {
		s.close(r, false)
		var u *unsaid
		if errors.As(err, &u) && failureOf(u.Err).status == http.StatusInternalServerError {
			return refused("%s", u.Text)
		}
		return err
	}
	s.remember(id) // not before there is one: another server would forget it
	return nil
}
