package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"ml-intern/internal/session"
)

// Pictures stand in a table of their own, each once in a session, and their
// events name them by their hashes: the log stays small, and what is written
// with an event is there when the event is. They go with their session.
const (
	addPicture  = "INSERT OR IGNORE INTO pictures (session, sha256, data) VALUES (?, ?, ?)"
	findPicture = "SELECT data FROM pictures WHERE session = ? AND sha256 = ?"
)

// keepPictures writes the pictures of an event.
func (w writer) keepPictures(ctx context.Context, id string, ev session.Event) error {
	for _, p := range ev.Pictures() {
		if p.Data == nil {
			continue
		}
		if _, err := w.conn.ExecContext(ctx, addPicture, id, p.Bare().SHA256, p.Data); err != nil {
			return err
		}
	}
	return nil
}

// withPictures puts the data of their pictures into the events. One that is not
// there has none: a session lives without its pictures.
func (s *Store) withPictures(ctx context.Context, id string, events []session.Event) error {
	for _, ev := range events {
		for _, p := range ev.Pictures() {
			if p.Data != nil || p.SHA256 == "" {
				continue
			}
			err := s.db.QueryRowContext(ctx, findPicture, id, p.SHA256).Scan(&p.Data)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return fmt.Errorf("read %s: %w", p, err)
			}
		}
	}
	return nil
}
