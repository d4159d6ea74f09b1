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
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json" // reads twice as fast as encoding/json, which resumes feel
	"github.com/gofrs/flock"

	"ml-intern/internal/lazyregexp"
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
		return nil, fmt.Errorf("make folder for sessions: %w", advise(path, err))
	}
	if err := createPrivate(path); err != nil {
		return nil, fmt.Errorf("open sessions: %w", advise(path, err))
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

// maxAhead is how much text is read ahead of the caller, about, in bytes.
const maxAhead = 4 << 20

// loadPage is how many events are read at once. No transaction is open while
// the caller works, and little of a long session is in memory twice.
const loadPage = 256

// separator stands between the events of a page: JSON has none of it.
const separator = "\x1e"

// selectPage gives the events after a sequence number as one text: a row each
// would take as long to read as the events take to decode.
const selectPage = `SELECT count(*), max(seq), group_concat(json, char(30)) FROM
	(SELECT seq, json FROM events WHERE session = ? AND seq > ? ORDER BY seq LIMIT ?)`

// selectSummaries gives the summaries as one text, the newest first.
const selectSummaries = `SELECT group_concat(summary, char(30)) FROM
	(SELECT summary FROM sessions ORDER BY updated DESC, id DESC)`

// A page is some events, or why they could not be had.
type page struct {
	events []session.Event
	size   int // of their text, in bytes
	err    error
}

// Load implements session.Store. While the caller works on one page, the next
// are read and decoded, on all cores, as long as they are small.
func (s *Store) Load(ctx context.Context, id string, after int64) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		reader, cancel := context.WithCancel(ctx)
		pages := make(chan chan page, runtime.GOMAXPROCS(0))
		free := newBudget(maxAhead)
		var reading sync.WaitGroup
		defer reading.Wait()
		defer free.end()
		defer cancel()
		reading.Go(func() {
			defer close(pages)
			s.read(reader, id, after, pages, free)
		})
		for next := range pages {
			p := <-next
			if p.err != nil {
				yield(session.Event{}, s.failure("load", id, p.err))
				return
			}
			for i, ev := range p.events {
				p.events[i] = session.Event{} // whoever streams keeps no more than one
				if !yield(ev, nil) {
					return
				}
			}
			free.give(p.size)
		}
		if ctx.Err() != nil {
			yield(session.Event{}, s.failure("load", id, ctx.Err()))
		}
	}
}

// read sends the pages in order, each as a channel that will have it, until
// they end, one fails or the context is done.
func (s *Store) read(ctx context.Context, id string, after int64, pages chan<- chan page, free *budget) {
	for {
		next := make(chan page, 1)
		texts, last, more, err := s.readPage(ctx, id, after)
		if err != nil {
			next <- page{err: err}
		} else {
			go func() {
				events, err := decode[session.Event](texts)
				if err == nil {
					err = s.withPictures(ctx, id, events)
				}
				next <- page{events, len(texts), err}
			}()
		}
		select {
		case pages <- next:
		case <-ctx.Done():
			return
		}
		if !more {
			return
		}
		after = last
		free.take(len(texts))
	}
}

// readPage reads the events after the sequence number, and reports the number
// of the last and whether there may be more.
func (s *Store) readPage(ctx context.Context, id string, after int64) (texts string, last int64, more bool, err error) {
	var n int
	var seq sql.NullInt64
	var all sql.NullString
	err = s.db.QueryRowContext(ctx, selectPage, id, after, loadPage).Scan(&n, &seq, &all)
	return all.String, seq.Int64, err == nil && n == loadPage, err
}

// decode decodes texts with separators between them. Many are decoded on all
// cores: it is most of what a load costs.
func decode[T any](texts string) ([]T, error) {
	if texts == "" {
		return nil, nil
	}
	lines := strings.Split(texts, separator)
	values := make([]T, len(lines))
	workers := min(runtime.GOMAXPROCS(0), len(lines)/(2*loadPage)+1)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			var line []byte
			for i := w; i < len(lines) && errs[w] == nil; i += workers {
				line = append(line[:0], lines[i]...)
				if err := json.Unmarshal(line, &values[i]); err != nil {
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
	var texts sql.NullString
	err := s.db.QueryRowContext(ctx, selectSummaries).Scan(&texts)
	list, bad := decode[session.Summary](texts.String)
	if err := errors.Join(err, bad); err != nil {
		return nil, fmt.Errorf("list sessions: %w", advise(s.path, err))
	}
	return list, nil
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
	soon, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()
	got, err := lock.TryLockContext(soon, leaseWait/20)
	if err != nil && soon.Err() == nil || ctx.Err() != nil {
		return nil, fmt.Errorf("lock session %s: %w", id, err)
	}
	if !got {
		return nil, fmt.Errorf("lock session %s: %w", id, session.ErrBusy)
	}
	return lock.Unlock, nil
}

// leaseWait is how long a process that was killed may need to be gone, or one
// that only looks whether the session is in use.
const leaseWait = time.Second

var idPattern = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

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
