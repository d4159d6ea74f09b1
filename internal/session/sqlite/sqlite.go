// Package sqlite is the default session.Store: one SQLite file for all
// sessions, safe with several processes.
//
// Its one rule: what Append has returned for survives a crash and a power
// cut. The write-ahead log is synced at every commit.
//
// One connection writes, and whoever holds the turn owns it; the others only
// read. The file belongs to SQLite, the lock files beside it to Lease.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"

	"github.com/go-json-experiment/json" // reads twice as fast as encoding/json, which resumes feel
	"github.com/gofrs/flock"

	"ml-intern/internal/session"
)

// A Store keeps sessions in one file. It is safe for concurrent use.
type Store struct {
	path   string
	leases string // folder of lock files
	db     *sql.DB

	turn   chan struct{} // holds a value while someone writes
	writer writer        // of whoever has the turn

	mu    sync.Mutex
	queue []*batch // waits to be committed
}

// Open opens the file, making it and its folder if needed.
func Open(ctx context.Context, path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open sessions: %w", err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder for sessions: %w", err)
	}
	if err := createPrivate(path); err != nil {
		return nil, fmt.Errorf("open sessions: %w", err)
	}
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		return nil, fmt.Errorf("open sessions: %w", err)
	}
	s := &Store{path: path, leases: filepath.Join(dir, "leases"), db: db, turn: make(chan struct{}, 1)}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open sessions in %s: %w", path, advise(path, err)), db.Close())
	}
	return s, nil
}

// createPrivate makes an empty file that only its owner may read: SQLite gives
// the log beside it the same mode.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func (s *Store) start(ctx context.Context) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	if err := migrate(ctx, conn, s.path); err != nil {
		return err
	}
	s.writer, err = newWriter(ctx, conn)
	return err
}

// Close waits for the write that is under way and closes the file.
func (s *Store) Close() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return errors.Join(s.writer.close(), s.db.Close())
}

// loadPage is how many bytes of events are read at once. No transaction is
// open while the caller works, and a long session never fills the memory.
const loadPage = 1 << 20

// Load implements session.Store. While the caller works on one page, the next
// is read.
func (s *Store) Load(ctx context.Context, id string, after int64) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		events, more, err := s.page(ctx, id, after)
		for {
			if err != nil {
				yield(session.Event{}, s.failure("load", id, err))
				return
			}
			var next []session.Event
			var nextMore bool
			var nextErr error
			var reading sync.WaitGroup
			if more {
				last := events[len(events)-1].Seq
				reading.Go(func() { next, nextMore, nextErr = s.page(ctx, id, last) })
			}
			for _, ev := range events {
				if !yield(ev, nil) {
					cancel()
					reading.Wait()
					return
				}
			}
			reading.Wait()
			if !more {
				return
			}
			events, more, err = next, nextMore, nextErr
		}
	}
}

// page reads the events after the sequence number, about loadPage bytes of
// them, and reports whether there may be more.
func (s *Store) page(ctx context.Context, id string, after int64) (page []session.Event, more bool, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT json FROM events WHERE session = ? AND seq > ? ORDER BY seq", id, after)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	lines, more, err := readLines(rows, loadPage)
	if err != nil {
		return nil, false, err
	}
	page, err = decode[session.Event](lines)
	return page, more, err
}

// readLines reads texts until they have limit bytes, and reports whether there
// may be more.
func readLines(rows *sql.Rows, limit int) (lines [][]byte, more bool, err error) {
	for rows.Next() {
		var line []byte
		if err := rows.Scan(&line); err != nil {
			return nil, false, err
		}
		lines = append(lines, line)
		if limit -= len(line); limit <= 0 {
			return lines, true, nil
		}
	}
	return lines, false, rows.Err()
}

// decode works on all cores: it is most of what a load costs.
func decode[T any](lines [][]byte) ([]T, error) {
	values := make([]T, len(lines))
	workers := min(runtime.GOMAXPROCS(0), len(lines)/64+1)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(lines) && errs[w] == nil; i += workers {
				if err := json.Unmarshal(lines[i], &values[i]); err != nil {
					errs[w] = fmt.Errorf("decode %.60q: %w", lines[i], err)
				}
			}
		})
	}
	wg.Wait()
	return values, errors.Join(errs...)
}

// List implements session.Store.
func (s *Store) List(ctx context.Context) ([]session.Summary, error) {
	list, err := s.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", advise(s.path, err))
	}
	return list, nil
}

func (s *Store) list(ctx context.Context) ([]session.Summary, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT summary FROM sessions ORDER BY updated DESC, id DESC")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	lines, _, err := readLines(rows, math.MaxInt)
	if err != nil {
		return nil, err
	}
	return decode[session.Summary](lines)
}

// Lease implements session.Store. The lock is the kernel's, so it is free as
// soon as its holder is dead. Lock files stay: to remove one could give two
// processes a lock of one name.
func (s *Store) Lease(ctx context.Context, id string) (release func() error, err error) {
	if err := errors.Join(ctx.Err(), checkID(id)); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.leases, 0o700); err != nil {
		return nil, fmt.Errorf("make folder for leases: %w", err)
	}
	lock := flock.New(filepath.Join(s.leases, id+".lock"), flock.SetPermissions(0o600))
	got, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock session %s: %w", id, err)
	}
	if !got {
		return nil, fmt.Errorf("lock session %s: %w", id, session.ErrBusy)
	}
	return lock.Unlock, nil
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

// checkID keeps ids from naming other files.
func checkID(id string) error {
	if !idPattern.MatchString(id) {
		return fmt.Errorf("%q is not a session id", strings.ToValidUTF8(id, "?"))
	}
	return nil
}

// failure says what was to be done with which session.
func (s *Store) failure(verb, id string, err error) error {
	return fmt.Errorf("%s session %s: %w", verb, id, advise(s.path, err))
}

var _ session.Store = (*Store)(nil)
