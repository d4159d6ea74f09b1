package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// patience is how long to wait for other processes, which write for
// milliseconds.
const patience = 10 * time.Second

// dsn names the file and what every connection needs. The write-ahead log is a
// property of the file and set once, when it is made.
func dsn(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/folder
	}
	query := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", patience.Milliseconds()),
		"synchronous(FULL)", // sync the log at every commit
		"fullfsync(1)",      // on macOS, down to the disk
	}}
	return "file://" + (&url.URL{Path: path}).EscapedPath() + "?" + query.Encode()
}

// steps are the changes that lead from each version of the schema to the next.
// The version of a file is how many of them it has had. Append, never edit.
func steps() []string {
	return []string{
		`CREATE TABLE events (
			session TEXT NOT NULL,
			seq     INTEGER NOT NULL,
			json    TEXT NOT NULL,
			PRIMARY KEY (session, seq)
		) WITHOUT ROWID;
		CREATE TABLE sessions (
			id      TEXT PRIMARY KEY,
			updated INTEGER NOT NULL, -- nanoseconds since 1970
			summary TEXT NOT NULL     -- JSON, kept by session.Summary.Add
		) WITHOUT ROWID;`,
		`CREATE TABLE texts ( -- what sessions are found by; see session.Event.Findable
			id      INTEGER PRIMARY KEY,
			session TEXT NOT NULL,
			owner   TEXT NOT NULL, -- the session, or the one that it works for
			kind    TEXT NOT NULL,
			text    TEXT NOT NULL
		);
		CREATE INDEX texts_session ON texts (session);
		CREATE INDEX texts_artifact ON texts (owner) WHERE kind = 'artifact';
		CREATE VIRTUAL TABLE words USING fts5 (text, content = 'texts', content_rowid = 'id', tokenize = 'trigram');
		CREATE TRIGGER texts_added AFTER INSERT ON texts BEGIN
			INSERT INTO words (rowid, text) VALUES (new.id, new.text);
		END;
		CREATE TRIGGER texts_removed AFTER DELETE ON texts BEGIN
			INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
		END;
		CREATE INDEX sessions_latest ON sessions (updated DESC, id DESC) WHERE json_extract(summary, '$.parent') IS NULL;
		INSERT INTO texts (session, owner, kind, text)
			SELECT session, session, 'prompt', substr(json_extract(json, '$.prompt.text'), 1, 32768) FROM events
			WHERE json GLOB '{"seq":*,"time":"*","prompt":{*' AND json_valid(json);
		INSERT INTO texts (session, owner, kind, text)
			SELECT session, session, 'answer', substr(t, 1, 32768) FROM (
				SELECT session, (SELECT group_concat(json_extract(value, '$.text'), '') FROM json_each(events.json, '$.reply.message.parts')) AS t FROM events
				WHERE json GLOB '{"seq":*,"time":"*","reply":{*' AND json_valid(json) AND instr(json, '"call":{') = 0)
			WHERE t <> '';
		INSERT INTO texts (session, owner, kind, text)
			SELECT session, session, 'artifact', a FROM (
				SELECT session, (SELECT group_concat(coalesce(json_extract(value, '$.url'), '') || char(10) || coalesce(json_extract(value, '$.path'), ''), char(10))
					FROM json_each(events.json, '$.result.artifacts')) AS a FROM events
				WHERE json GLOB '{"seq":*,"time":"*","result":{*' AND json_valid(json) AND instr(json, '"artifacts":[') > 0)
			WHERE a <> '';
		UPDATE texts SET owner = (SELECT json_extract(summary, '$.parent') FROM sessions WHERE id = session)
			WHERE session IN (SELECT id FROM sessions WHERE json_extract(summary, '$.parent') IS NOT NULL);`,
		`CREATE TABLE pictures ( -- of the events, which name them by their hashes; older events hold their own
			session TEXT NOT NULL,
			sha256  TEXT NOT NULL,
			data    BLOB NOT NULL,
			PRIMARY KEY (session, sha256)
		);`,
	}
}

var errNewer = errors.New("it was written by a newer ml-intern")

// migrate brings the file to the newest schema. A file that has it costs one
// read. Otherwise one process at a time works, held by a lock of its own:
// SQLite does not let others wait while it changes the kind of log.
func migrate(ctx context.Context, conn *sql.Conn, path string) error {
	if version, err := schemaVersion(ctx, conn); err != nil || version == len(steps()) {
		return err
	}
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, 5*time.Millisecond); err != nil {
		return fmt.Errorf("lock the file: %w", err)
	}
	err := migrateLocked(ctx, conn)
	return errors.Join(err, lock.Unlock())
}

func schemaVersion(ctx context.Context, conn *sql.Conn) (version int, err error) {
	err = conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	if err == nil && version > len(steps()) {
		err = fmt.Errorf("%w (schema %d, this one knows %d)", errNewer, version, len(steps()))
	}
	return version, err
}

func migrateLocked(ctx context.Context, conn *sql.Conn) error {
	version, err := schemaVersion(ctx, conn)
	if err != nil {
		return err
	}
	if version == 0 {
		if err := claim(ctx, conn); err != nil {
			return err
		}
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	for _, step := range steps()[version:] {
		if _, err := tx.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("change the schema: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(steps()))); err != nil {
		return err
	}
	return tx.Commit()
}

var errForeign = errors.New("it is the database of another program")

// claim makes an empty file ours, and no other.
func claim(ctx context.Context, conn *sql.Conn) error {
	var tables int
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	if tables > 0 {
		return errForeign
	}
	_, err := conn.ExecContext(ctx, "PRAGMA journal_mode = WAL")
	return err
}

// advise adds to an error about the file what a person can do.
func advise(path string, err error) error {
	switch {
	case errors.Is(err, errNewer):
		return fmt.Errorf("%w; nothing was changed: update ml-intern, or set ML_INTERN_HOME to another folder", err)
	case errors.Is(err, errForeign):
		return fmt.Errorf("%w; nothing was changed: move it away, or set ML_INTERN_HOME to another folder", err)
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	switch {
	case ok:
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w; change the permissions, or set ML_INTERN_HOME to a folder that can be written", err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w; make room, or set ML_INTERN_HOME to a folder on another disk", err)
	default:
		return err
	}
	if e.Code() == sqlite3.SQLITE_IOERR_SHMSIZE { // the file beside the log cannot grow
		return fmt.Errorf("the disk of %s is full: %w; make room: all that was saved before is there", path, err)
	}
	switch e.Code() & 0xff { // the rest of the code is detail
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("the file %s is damaged: %w; move it and %[1]s-wal away together to begin anew, or mend a copy with sqlite3's .recover", path, err)
	case sqlite3.SQLITE_BUSY:
		return fmt.Errorf("another process has kept %s locked for %s: %w", path, patience, err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("the disk of %s is full: %w; nothing of this was saved, all that was saved before is there", path, err)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("the disk of %s fails: %w; nothing of this was saved", path, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%s or its folder cannot be written: %w; change the permissions, or set ML_INTERN_HOME to another folder", path, err)
	}
	return err
}
