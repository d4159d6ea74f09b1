package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"ml-intern/internal/session"
)

// A batch is the events of one Append.
type batch struct {
	id     string
	events []session.Event
	lines  []string   // the events in JSON, without the data of their pictures
	saved  chan error // gets the outcome, once
}

// Append implements session.Store. Appends that would wait for each other are
// committed together, so that one sync of the disk serves them all. Once its
// turn has come, an append is no longer canceled: it is saved or fails.
func (s *Store) Append(ctx context.Context, id string, events ...session.Event) error {
	if err := errors.Join(ctx.Err(), checkID(id)); err != nil || len(events) == 0 {
		return err
	}
	b := &batch{id: id, events: events, saved: make(chan error, 1)}
	for _, ev := range events {
		line, err := json.Marshal(ev.Bare())
		if err != nil {
			return fmt.Errorf("encode event %d of session %s: %w", ev.Seq, id, err)
		}
		b.lines = append(b.lines, string(line))
	}
	if err := s.save(ctx, b); err != nil {
		return s.failure("append to", id, err)
	}
	return nil
}

// save puts the batch in the queue and commits the queue, if nobody else does.
func (s *Store) save(ctx context.Context, b *batch) error {
	s.mu.Lock()
	s.queue = append(s.queue, b)
	s.mu.Unlock()
	select {
	case s.turn <- struct{}{}:
		s.mu.Lock()
		queue := s.queue
		s.queue = nil
		s.mu.Unlock()
		s.writer.commit(context.WithoutCancel(ctx), queue)
		<-s.turn
	case err := <-b.saved:
		return err
	case <-ctx.Done():
		if s.withdraw(b) {
			return context.Cause(ctx)
		}
	}
	return <-b.saved
}

// withdraw takes the batch out of the queue, unless it is being committed.
func (s *Store) withdraw(b *batch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.queue, b)
	if i < 0 {
		return false
	}
	s.queue = slices.Delete(s.queue, i, i+1)
	return true
}

// Delete implements session.Store.
func (s *Store) Delete(ctx context.Context, id string) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return s.failure("delete", id, context.Cause(ctx))
	}
	if err := s.writer.delete(ctx, id); err != nil {
		return s.failure("delete", id, err)
	}
	return nil
}

// A writer is the connection that writes, with its statements prepared.
type writer struct {
	conn                                      *sql.Conn
	begin, end, undo, summary, insert, upsert *sql.Stmt
}

func newWriter(ctx context.Context, conn *sql.Conn) (writer, error) {
	var errs []error
	prepare := func(text string) *sql.Stmt {
		stmt, err := conn.PrepareContext(ctx, text)
		errs = append(errs, err)
		return stmt
	}
	w := writer{
		conn:    conn,
		begin:   prepare("BEGIN IMMEDIATE"), // waits for other processes here, and never in the middle
		end:     prepare("COMMIT"),
		undo:    prepare("ROLLBACK"),
		summary: prepare("SELECT summary FROM sessions WHERE id = ?"),
		insert:  prepare("INSERT INTO events (session, seq, json) VALUES (?, ?, ?)"),
		upsert:  prepare("INSERT INTO sessions (id, updated, summary) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET updated = ?2, summary = ?3"),
	}
	return w, errors.Join(errs...)
}

// close finalizes the statements, which database/sql does not do for those of
// one connection: with one of them open, SQLite would leave its log behind.
func (w writer) close() error {
	for _, stmt := range []*sql.Stmt{w.begin, w.end, w.undo, w.summary, w.insert, w.upsert} {
		_ = stmt.Close() // repeats the error of the last use
	}
	if err := w.conn.Close(); !errors.Is(err, sql.ErrConnDone) { // closed before
		return err
	}
	return nil
}

// update runs f in a transaction.
func (w writer) update(ctx context.Context, f func() error) error {
	if _, err := w.begin.ExecContext(ctx); err != nil {
		return err
	}
	err := f()
	if err == nil {
		_, err = w.end.ExecContext(ctx)
	}
	if err != nil {
		_, _ = w.undo.ExecContext(ctx) // SQLite may have done it already
	}
	return err
}

// commit saves the batches in one transaction and tells each its outcome. A
// batch that conflicts with the log has written nothing and harms no other.
func (w writer) commit(ctx context.Context, queue []*batch) {
	outcomes := make([]error, len(queue))
	err := w.update(ctx, func() error {
		for i, b := range queue {
			if err := w.append(ctx, b); errors.Is(err, session.ErrConflict) {
				outcomes[i] = err
			} else if err != nil {
				return err
			}
		}
		return nil
	})
	for i, b := range queue {
		if outcomes[i] == nil {
			outcomes[i] = err
		}
		b.saved <- outcomes[i]
	}
}

// addText is not prepared: it would read the index of words, which a store that
// is only read can do without.
const addText = "INSERT INTO texts (session, owner, kind, text) VALUES (?, ?, ?, ?)"

// append writes the events, or fails with ErrConflict before it writes any.
func (w writer) append(ctx context.Context, b *batch) error {
	summary, err := w.load(ctx, b.id)
	if err != nil {
		return err
	}
	for i, ev := range b.events {
		if next := summary.Events + 1 + int64(i); ev.Seq != next {
			return fmt.Errorf("%w: event %d came where %d is next", session.ErrConflict, ev.Seq, next)
		}
	}
	for i, ev := range b.events {
		if _, err := w.insert.ExecContext(ctx, b.id, ev.Seq, b.lines[i]); err != nil {
			return err
		}
		summary.Add(ev)
		if err := w.keepPictures(ctx, b.id, ev); err != nil {
			return err
		}
		if kind, text := ev.Findable(); text != "" {
			if _, err := w.conn.ExecContext(ctx, addText, b.id, cmp.Or(summary.Parent, b.id), kind, text); err != nil {
				return err
			}
		}
	}
	text, err := json.Marshal(summary)
	if err != nil {
		return fmt.Errorf("encode summary: %w", err)
	}
	_, err = w.upsert.ExecContext(ctx, b.id, summary.Updated.UnixNano(), string(text))
	return err
}

func (w writer) load(ctx context.Context, id string) (session.Summary, error) {
	summary := session.Summary{ID: id}
	var text string
	err := w.summary.QueryRowContext(ctx, id).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return summary, nil
	}
	if err != nil {
		return summary, err
	}
	if err := json.Unmarshal([]byte(text), &summary); err != nil {
		return summary, fmt.Errorf("decode summary: %w", err)
	}
	return summary, nil
}

func (w writer) delete(ctx context.Context, id string) error {
	return w.update(ctx, func() error {
		res, err := w.conn.ExecContext(ctx, "DELETE FROM sessions WHERE id = ?", id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, session.ErrNotFound)
		}
		for _, table := range []string{"events", "texts", "pictures"} {
			if _, err = w.conn.ExecContext(ctx, "DELETE FROM "+table+" WHERE session = ?", id); err != nil {
				return err
			}
		}
		return nil
	})
}
