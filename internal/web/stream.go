package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"ml-intern/internal/session"
)

const (
	aliveEvery = 15 * time.Second // a word, so that who is gone is noticed
	lookEvery  = time.Second      // at a session that another process works in
	page       = 200              // events that are read at once
)

// events streams a session: all that was saved, then what happens.
func (s *server) events(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	after, err := afterOf(r)
	if err != nil {
		return err
	}
	if err := s.exists(r, id); err != nil {
		return err
	}
	if !s.admit() {
		return fail(http.StatusTooManyRequests, "too_many", "%d streams are open already: close pages that nobody looks at", maxStreams)
	}
	defer s.dismiss()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	room := s.enter(id)
	defer s.leave(room)
	rd, now := room.join()
	defer room.leave(rd)
	st := &stream{w: w, c: http.NewResponseController(w), last: after}
	st.load = func(after int64) ([]session.Event, error) { return s.readSome(r.Context(), id, after, page) }
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.streams, cancel)()
	_ = st.run(ctx, room, rd, now) // who is gone comes again
	return nil
}

// afterOf is the number of the last event that the reader has.
func afterOf(r *http.Request) (int64, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("after")
	}
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, bad("after must be the number of an event, not %.60q", text)
	}
	return n, nil
}

func (s *server) admit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers >= maxStreams {
		return false
	}
	s.readers++
	return true
}

func (s *server) dismiss() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers--
}

// A stream is what one reader is told. It never tells a saved event twice, and
// leaves none out: the queue may have less or more than the store.
type stream struct {
	w    io.Writer
	c    *http.ResponseController                   // of w
	load func(after int64) ([]session.Event, error) // a page of what is saved
	buf  bytes.Buffer
	last int64 // saved event that was told
}

func (st *stream) run(ctx context.Context, room *room, rd *reader, now []thing) error {
	if err := st.history(); err != nil {
		return err
	}
	st.message("caught_up", 0, []byte("{}"))
	if err := st.tell(now); err != nil {
		return err
	}
	alive, look := time.NewTicker(aliveEvery), time.NewTicker(lookEvery)
	defer alive.Stop()
	defer look.Stop()
	for {
		select {
		case <-rd.wake:
			all, ok := room.take(rd)
			if !ok {
				return errSlow
			}
			if err := st.tell(all); err != nil {
				return err
			}
		case <-look.C:
			if !room.isOpen() {
				if err := st.history(); err != nil {
					return err
				}
			}
		case <-alive.C:
			st.buf.WriteString(": keep-alive\n\n")
			if err := st.flush(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errSlow = fmt.Errorf("the reader is too slow")

func (r *room) isOpen() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.chat != nil
}

// history tells what is saved and was not told.
func (st *stream) history() error {
	for {
		events, err := st.load(st.last)
		if err != nil {
			return err
		}
		for _, ev := range events {
			st.message("event", ev.Seq, encode(ev))
			st.last = ev.Seq
			if st.buf.Len() > 256<<10 {
				if err := st.flush(); err != nil {
					return err
				}
			}
		}
		if len(events) < page {
			return st.flush()
		}
	}
}

// maxReading is how many streams read the store at once: each needs a connection.
const maxReading = 8

func (s *server) readSome(ctx context.Context, id string, after int64, most int) ([]session.Event, error) {
	select {
	case s.reading <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.reading }()
	return s.library.Events(ctx, id, after, most)
}

// tell tells things of the queue, in order.
func (st *stream) tell(all []thing) error {
	for _, t := range all {
		switch {
		case t.live && t.at < st.last, t.seq > 0 && t.seq <= st.last:
			continue // told, or over
		case t.seq > 0 && (t.kind == "" || t.seq > st.last+1):
			if err := st.history(); err != nil {
				return err
			}
		case t.kind == goneKind:
			return io.EOF
		default:
			st.message(t.kind, t.seq, t.data)
			st.last = max(st.last, t.seq)
		}
	}
	return st.flush()
}

// goneKind is the kind of the last thing of a session that was removed.
const goneKind = "gone"

func (st *stream) message(kind string, seq int64, data []byte) {
	if seq > 0 {
		fmt.Fprintf(&st.buf, "id: %d\n", seq)
	}
	fmt.Fprintf(&st.buf, "event: %s\ndata: %s\n\n", kind, data)
}

func (st *stream) flush() error {
	if st.buf.Len() == 0 {
		return nil
	}
	if err := st.c.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err := st.w.Write(st.buf.Bytes())
	st.buf.Reset()
	if err != nil {
		return err
	}
	return st.c.Flush()
}
