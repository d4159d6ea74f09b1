package session

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Errors of a Store that callers act on.
var (
	ErrNotFound = errors.New("no such session")
	ErrBusy     = errors.New("the session is in use by another process")
	ErrConflict = errors.New("another process wrote to the session")
)

// A Store keeps event logs. Implementations are safe for concurrent use by
// several processes.
type Store interface {
	// Append saves the events, all of them or none, and is durable when it
	// returns. It fails with ErrConflict if a sequence number is taken, or
	// leaves a gap. An id has letters, digits, '-' and '_', 100 at most.
	Append(ctx context.Context, id string, events ...Event) error

	// Load yields the events after the sequence number, in order. A session
	// that does not exist has none.
	Load(ctx context.Context, id string, after int64) iter.Seq2[Event, error]

	// List returns the sessions, latest first.
	List(ctx context.Context) ([]Summary, error)

	// Delete removes a session, or fails with ErrNotFound.
	Delete(ctx context.Context, id string) error

	// Lease gives this process the session until release is called or the
	// process dies, or fails with ErrBusy.
	Lease(ctx context.Context, id string) (release func() error, err error)
}

// A Summary is a session as a list shows it.
type Summary struct {
	ID      string    `json:"id"`
	Dir     string    `json:"dir"`
	Title   string    `json:"title"` // what the person called it, else made of the first prompt
	Model   string    `json:"model"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	Steps   int       `json:"steps"`            // model replies
	State   string    `json:"state"`            // "answered", "failed: REASON", or "unfinished"
	Events  int64     `json:"events"`           // saved so far
	Parent  string    `json:"parent,omitempty"` // of a sub-agent: the session that it works for
	Caller  string    `json:"caller,omitempty"` // of the calls of another agent; see Opened
}

// Add folds one saved event into the summary.
func (s *Summary) Add(ev Event) {
	if s.Created.IsZero() {
		s.Created = ev.Time
	}
	s.Events = ev.Seq
	if ev.Renamed != nil {
		s.Title = ev.Renamed.Title
		return // nothing was worked on
	}
	s.Updated = ev.Time
	if !ev.Aside() {
		s.State = "unfinished"
	}
	switch {
	case ev.Opened != nil:
		s.ID, s.Dir, s.Model, s.Parent, s.Caller = ev.Opened.ID, ev.Opened.Dir, ev.Opened.Model, ev.Opened.Parent, ev.Opened.Caller
	case ev.Prompt != nil && s.Title == "":
		s.Title = Title(ev.Prompt.Text)
	case ev.Prompt != nil:
		s.Caller = "" // somebody goes on with it
	case ev.Reply != nil:
		s.Steps++
		if answers(ev) {
			s.State = "answered"
		}
	case ev.Failed != nil:
		s.State = "failed: " + ev.Failed.Reason
	}
}
