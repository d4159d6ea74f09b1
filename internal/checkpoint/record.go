package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/lazyregexp"
)

// A record says that a session had a checkpoint. All of it is in its name, so
// that it is there or not.
type record struct {
	session string
	when    int64 // ns
	kind    string
	id      Hash
	path    string
}

var idPattern = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9_-]{0,119}$`)

func (s Store) writeRecord(session, kind string, id Hash) error {
	if !idPattern.MatchString(session) || !idPattern.MatchString(kind) {
		return fmt.Errorf("%q is not a session id", session)
	}
	dir := s.path("records", session)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(dir, recordName(time.Now().UnixNano(), kind, id)), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), syncFolder(dir))
}

func recordName(when int64, kind string, id Hash) string {
	return fmt.Sprintf("%020d.%s.%s", when, kind, id)
}

// records lists what is recorded, oldest first. It fails if it cannot list all:
// what nobody is known to need is removed.
func (s Store) records() ([]record, error) {
	sessions, err := readFolder(s.path("records"))
	var all []record
	for _, session := range sessions {
		names, errNames := readFolder(s.path("records", session))
		err = errors.Join(err, errNames)
		for _, name := range names {
			if r, ok := parseRecord(name); ok {
				r.session, r.path = session, s.path("records", session, name)
				all = append(all, r)
			}
		}
	}
	slices.SortFunc(all, oldestFirst)
	return all, err
}

func oldestFirst(a, b record) int {
	return strings.Compare(filepath.Base(a.path), filepath.Base(b.path))
}

func parseRecord(name string) (record, bool) {
	parts := strings.Split(name, ".")
	if len(parts) != 3 {
		return record{}, false
	}
	when, err := strconv.ParseInt(parts[0], 10, 64)
	id, errID := ParseHash(parts[2])
	return record{when: when, kind: parts[1], id: id}, err == nil && errID == nil
}

// readFolder names what is in a folder: nothing if there is none.
func readFolder(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// Has reports whether the session's checkpoint is still there.
func (s Store) Has(session string, id Hash) bool {
	all, err := s.records()
	return err == nil && slices.ContainsFunc(all, func(r record) bool { return r.session == session && r.id == id })
}

// Copy gives a session the checkpoints of another: it was copied from it.
func (s Store) Copy(ctx context.Context, from, to string) error {
	unlock, err := s.share(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	all, err := s.records()
	if err != nil {
		return err
	}
	if !idPattern.MatchString(to) {
		return fmt.Errorf("%q is not a session id", to)
	}
	dir := s.path("records", to)
	for _, r := range all {
		if r.session != from {
			continue
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(r.path)), nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Forget removes a session's checkpoints, and what only they had.
func (s Store) Forget(ctx context.Context, session string) error {
	if !idPattern.MatchString(session) {
		return fmt.Errorf("%q is not a session id", session)
	}
	dir := s.path("records", session)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("forget checkpoints: %w", err)
	}
	return s.collect(ctx)
}
