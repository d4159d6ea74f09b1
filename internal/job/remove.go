package job

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrRemoved means that what is asked for was there, and was removed because
// somebody asked for that.
var ErrRemoved = errors.New("what it left was removed")

// A Remover is a Backend that can remove what jobs have left where they ran:
// folders, logs, results that were not taken away. What is in OUTPUT_DIR on this
// machine is the person's and stays. So does what is known of the job, for its
// label must start nothing anew.
type Remover interface {
	// Leftover is how many bytes Remove would free, as far as that is known.
	Leftover(ctx context.Context, id string) (int64, error)

	// Remove removes what a job that is over has left. No link is followed out
	// of its folder. It may be called again.
	Remove(ctx context.Context, id string) error
}

// Gone says that what the job has left was removed, nil if it was not.
func (s Status) Gone() error {
	if s.Removed.IsZero() {
		return nil
	}
	return fmt.Errorf("job %s: %w on %s", s.ID, ErrRemoved, s.Removed.Local().Format(time.DateTime))
}

// Open says that a job is not over, and its folder in use.
func (s Status) Open() error {
	if s.Done() {
		return nil
	}
	return fmt.Errorf("job %s is %s: cancel it first", s.ID, s.State)
}

// Remove notes that what a job has left was removed, once that was done. Its end
// is remembered first, since nobody could find it out afterwards.
func (r Records) Remove(now Status, do func(rec Record) error) error {
	if err := now.Open(); err != nil {
		return fmt.Errorf("remove what a job has left: %w", err)
	}
	rec, err := r.Get(now.ID)
	if err != nil || !rec.Last.Removed.IsZero() {
		return err
	}
	rec.Last = now
	if err := r.Save(rec); err != nil {
		return err
	}
	if err := do(rec); err != nil {
		return fmt.Errorf("remove what job %s has left: %w", now.ID, err)
	}
	rec.Last.Removed = time.Now().UTC()
	return r.Save(rec)
}

var _ Remover = (*Set)(nil)

// remover is the backend of a job, as far as it can remove.
func (s *Set) remover(ctx context.Context, id string) (Remover, error) {
	m, _, err := s.knower(ctx, id)
	if err != nil {
		return nil, err
	}
	r, ok := m.Backend.(Remover)
	if !ok {
		return nil, fmt.Errorf("remove what job %s has left on %s: %w", id, m.name, errors.ErrUnsupported)
	}
	return r, nil
}

// Leftover implements Remover for those that do.
func (s *Set) Leftover(ctx context.Context, id string) (int64, error) {
	r, err := s.remover(ctx, id)
	if err != nil {
		return 0, err
	}
	return r.Leftover(ctx, id)
}

// Remove implements Remover likewise.
func (s *Set) Remove(ctx context.Context, id string) error {
	r, err := s.remover(ctx, id)
	if err != nil {
		return err
	}
	return r.Remove(ctx, id)
}
