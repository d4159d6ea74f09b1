// Package sqlite is the default session.Store: one SQLite file for all
// sessions, safe with several processes.
//
// Its one rule: what Append has returned for survives a crash and a power
// cut. The write-ahead log is synced at every commit.
package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/gofrs/flock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"ml-intern/internal/session"
)

// A Store keeps sessions in one file. It is safe for concurrent use.
type Store struct {
	db     *sql.DB
	leases string // folder of lock files

	mu   sync.Mutex
	held map[string]bool
}

// Open opens the file, making it and its folder if needed.
func Open(ctx context.Context, path string) (*Store, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder for sessions: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open sessions: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open sessions: %w", err)
	}
	query := url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)"},
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("open sessions: %w", err)
	}
	s := &Store{db: db, leases: filepath.Join(dir, "leases"), held: make(map[string]bool)}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(describe(path, err), db.Close())
	}
	return s, nil
}

const schema = `
CREATE TABLE events (
	session TEXT NOT NULL,
	seq     INTEGER NOT NULL,
	json    TEXT NOT NULL,
	PRIMARY KEY (session, seq)
) WITHOUT ROWID;
CREATE TABLE sessions (
	id      TEXT PRIMARY KEY,
	updated INTEGER NOT NULL, -- nanoseconds since 1970
	summary TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_updated ON sessions (updated DESC);
PRAGMA user_version = 1;`

// schemaVersion is what this program reads and writes.
const schemaVersion = 1

var errNewer = errors.New("it was written by a newer ml-intern")

func (s *Store) migrate(ctx context.Context) error {
	var version int
	if err := s.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version == schemaVersion {
		return nil
	}
	tx, err := s.db.BeginTx(ctx, nil) // immediate: one process migrates, the others wait
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	switch {
	case version == schemaVersion:
		return nil
	case version > schemaVersion:
		return fmt.Errorf("%w (schema %d, this one knows %d)", errNewer, version, schemaVersion)
	}
	if _, err := tx.ExecContext(ctx, schema); err != nil {
		return err
	}
	return tx.Commit()
}

// describe says what a person can do about a file that cannot be used.
func describe(path string, err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	switch {
	case errors.Is(err, errNewer):
		return fmt.Errorf("open sessions in %s: %w; nothing was changed: update ml-intern, or set ML_INTERN_HOME to another folder", path, err)
	case ok && (e.Code()&0xff == sqlite3.SQLITE_NOTADB || e.Code()&0xff == sqlite3.SQLITE_CORRUPT):
		return fmt.Errorf("open sessions in %s: the file is damaged: %w; move it away to begin anew, nothing was changed", path, err)
	}
	return fmt.Errorf("open sessions in %s: %w", path, err)
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Append implements session.Store.
func (s *Store) Append(ctx context.Context, id string, events ...session.Event) error {
	if err := checkID(id); err != nil {
		return err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("append to session %s: %w", id, err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := appendEvents(ctx, tx, id, events); err != nil {
		return fmt.Errorf("append to session %s: %w", id, err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("append to session %s: %w", id, err)
	}
	return nil
}

func appendEvents(ctx context.Context, tx *sql.Tx, id string, events []session.Event) error {
	summary, err := loadSummary(ctx, tx, id)
	if err != nil {
		return err
	}
	for _, ev := range events {
		if ev.Seq != summary.Events+1 {
			return fmt.Errorf("%w: event %d comes after %d", session.ErrConflict, ev.Seq, summary.Events)
		}
		line, err := json.Marshal(ev)
		if err != nil {
			return fmt.Errorf("encode event: %w", err)
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO events (session, seq, json) VALUES (?, ?, ?)", id, ev.Seq, string(line)); err != nil {
			return err
		}
		summary.Add(ev)
	}
	text, err := json.Marshal(summary)
	if err != nil {
		return fmt.Errorf("encode summary: %w", err)
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO sessions (id, updated, summary) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET updated = ?2, summary = ?3",
		id, summary.Updated.UnixNano(), string(text))
	return err
}

func loadSummary(ctx context.Context, tx *sql.Tx, id string) (session.Summary, error) {
	summary := session.Summary{ID: id}
	var text string
	err := tx.QueryRowContext(ctx, "SELECT summary FROM sessions WHERE id = ?", id).Scan(&text)
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

// loadPage is how many events are read at once, so that no read transaction
// stays open while the caller works.
const loadPage = 500

// Load implements session.Store.
func (s *Store) Load(ctx context.Context, id string, after int64) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		for {
			page, err := s.page(ctx, id, after)
			if err != nil {
				yield(session.Event{}, err)
				return
			}
			for _, ev := range page {
				if !yield(ev, nil) {
					return
				}
				after = ev.Seq
			}
			if len(page) < loadPage {
				return
			}
		}
	}
}

func (s *Store) page(ctx context.Context, id string, after int64) ([]session.Event, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT json FROM events WHERE session = ? AND seq > ? ORDER BY seq LIMIT ?", id, after, loadPage)
	if err != nil {
		return nil, fmt.Errorf("load session %s: %w", id, err)
	}
	defer rows.Close()
	var events []session.Event
	for rows.Next() {
		var line sql.RawBytes
		if err := rows.Scan(&line); err != nil {
			return nil, fmt.Errorf("load session %s: %w", id, err)
		}
		var ev session.Event
		if err := json.Unmarshal(line, &ev); err != nil {
			return nil, fmt.Errorf("decode event %d of session %s: %w", after+int64(len(events))+1, id, err)
		}
		events = append(events, ev)
	}
	return events, rows.Err()
}

// List implements session.Store.
func (s *Store) List(ctx context.Context) ([]session.Summary, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT summary FROM sessions ORDER BY updated DESC, id DESC")
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	defer rows.Close()
	var list []session.Summary
	for rows.Next() {
		var text sql.RawBytes
		if err := rows.Scan(&text); err != nil {
			return nil, fmt.Errorf("list sessions: %w", err)
		}
		var summary session.Summary
		if err := json.Unmarshal(text, &summary); err != nil {
			return nil, fmt.Errorf("decode summary: %w", err)
		}
		list = append(list, summary)
	}
	return list, rows.Err()
}

// Delete implements session.Store.
func (s *Store) Delete(ctx context.Context, id string) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("delete session %s: %w", id, err)
	}
	defer func() { _ = tx.Rollback() }()
	res, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE id = ?", id)
	if err != nil {
		return fmt.Errorf("delete session %s: %w", id, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("delete session %s: %w", id, session.ErrNotFound))
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM events WHERE session = ?", id); err != nil {
		return fmt.Errorf("delete session %s: %w", id, err)
	}
	return tx.Commit()
}

// Lease implements session.Store. The lock is the kernel's, so it is free as
// soon as its holder is dead.
func (s *Store) Lease(_ context.Context, id string) (release func() error, err error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.leases, 0o700); err != nil {
		return nil, fmt.Errorf("make folder for leases: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[id] {
		return nil, session.ErrBusy
	}
	lock := flock.New(filepath.Join(s.leases, id+".lock"), flock.SetPermissions(0o600))
	got, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock session: %w", err)
	}
	if !got {
		return nil, session.ErrBusy
	}
	s.held[id] = true
	return func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.held, id)
		return lock.Unlock()
	}, nil
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

// checkID keeps ids from naming other files.
func checkID(id string) error {
	if !idPattern.MatchString(id) {
		return fmt.Errorf("%q is not a session id", id)
	}
	return nil
}

var _ session.Store = (*Store)(nil)
