package hubserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	keepAlive   = 30 * time.Second // between signs of life in a stream without events
	streamPoll  = 500 * time.Millisecond
	streamStall = 30 * time.Second // for a client that does not read
)

// A stream is an answer of server-sent events, which goes on until what it
// tells of is over, the client leaves, or the server ends.
type stream struct {
	server *Server
	x      *exchange
	conn   *http.ResponseController
	spoken time.Time
}

func (s *Server) stream(x *exchange) *stream {
	x.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	x.Header().Set("Cache-Control", "no-cache, no-transform")
	x.Header().Set("X-Accel-Buffering", "no")
	st := &stream{s, x, http.NewResponseController(x), time.Now()}
	st.patience()
	x.WriteHeader(http.StatusOK)
	_ = st.conn.Flush() // a client that is gone is noticed at wait
	return st
}

// patience gives the client a while to take what is sent next.
func (st *stream) patience() { _ = st.conn.SetWriteDeadline(time.Now().Add(streamStall)) }

// send writes an event; wait sends it on its way.
func (st *stream) send(v any) error { return st.sendAs("", v) }

// sendAs is send for an event that has a name.
func (st *stream) sendAs(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	st.patience()
	st.spoken = time.Now()
	if name != "" {
		name = "event: " + name + "\n"
	}
	if _, err := fmt.Fprintf(st.x, "%sdata: %s\n\n", name, data); err != nil {
		return http.ErrAbortHandler // nobody is there to be told
	}
	return nil
}

// close ends the stream. The connection may serve other requests, which have
// all the time that they need.
func (st *stream) close() {
	_ = st.conn.Flush() // a client that is gone cannot be told
	_ = st.conn.SetWriteDeadline(time.Time{})
}

// wait lets some time pass until it is worth looking for more, and says now
// and then that the server is still there. It returns false when there is
// nobody to go on for.
func (st *stream) wait() bool {
	if st.x.Method == http.MethodHead {
		return false
	}
	if time.Since(st.spoken) >= keepAlive {
		st.patience()
		st.spoken = time.Now()
		fmt.Fprint(st.x, ": keep-alive\n\n") // a client that is gone is noticed below
	}
	if st.conn.Flush() != nil {
		return false
	}
	t := time.NewTimer(streamPoll)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-st.x.Context().Done():
	case <-st.server.ending:
	}
	return false
}

// A logEvent is a line of a log, as the Hub sends it.
type logEvent struct {
	Data string `json:"data"`
	Time string `json:"timestamp"`
}

const eventTime = "2006-01-02T15:04:05.000000000Z"

func newLogEvent(at time.Time, text string) logEvent {
	return logEvent{text, at.UTC().Format(eventTime)}
}
