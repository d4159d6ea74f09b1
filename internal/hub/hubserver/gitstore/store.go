// Package gitstore keeps repositories in a folder: git objects with their true
// ids, large files by their sha256, and for each repository one small state
// file that names its branches.
//
// Its one rule: content is on disk, whole and under its own hash, before
// anything names it. The rename of a state file is the only step that readers
// and crashes can see, so a repository is always as before a change or as
// after it. Several processes may open one folder; a change holds the lock of
// its repository.
//
// Objects and large files are shared by all repositories and are never
// changed. Who may read what is not decided here, except that a revision names
// only commits of its own repository.
package gitstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// What went wrong, for errors.Is.
var (
	ErrNoRepo     = errors.New("repository not found")
	ErrNoRevision = errors.New("revision not found")
	ErrNoEntry    = errors.New("entry not found")
	ErrNoLarge    = errors.New("large file not found")
	ErrExists     = errors.New("already exists")
	ErrParent     = errors.New("the branch has moved on")
	ErrInvalid    = errors.New("not valid")
	ErrFull       = errors.New("no space left")
)

const layoutVersion = "1\n"

// tempAge is after how long an abandoned upload is thrown away.
const tempAge = 24 * time.Hour

// A Store is an open folder.
type Store struct {
	dir   string
	packs packs
}

// Open opens a folder, and makes it if it is not there.
func Open(dir string) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{dir: abs}
	for _, sub := range []string{"objects", "large", "repos", "moved", "locks", "tmp", "parts", "packs", "claims"} {
		if err := os.MkdirAll(s.path(sub), 0o700); err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
	}
	version, err := os.ReadFile(s.path("version"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = s.replace(s.path("version"), []byte(layoutVersion))
	case err == nil && string(version) != layoutVersion:
		err = fmt.Errorf("the folder %s has layout %q; this program knows %q", abs, strings.TrimSpace(string(version)), strings.TrimSpace(layoutVersion))
	}
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := s.readPacks(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, s.sweep()
}

// Secret returns a key that belongs to the folder, and is made at first use.
func (s *Store) Secret() ([]byte, error) {
	l := flock.New(s.path("locks", "secret.lock"))
	if err := l.Lock(); err != nil {
		return nil, fmt.Errorf("lock the secret of the store: %w", err)
	}
	defer l.Close()
	text, err := os.ReadFile(s.path("secret"))
	if err == nil {
		key, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil || len(key) != 32 {
			return nil, fmt.Errorf("read the secret of the store: %s is damaged; delete it", s.path("secret"))
		}
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the secret of the store: %w", err)
	}
	key := make([]byte, 32)
	rand.Read(key)
	return key, s.replace(s.path("secret"), []byte(hex.EncodeToString(key)+"\n"))
}

func (s *Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

func (s *Store) temp() (*os.File, error) {
	f, err := os.CreateTemp(s.path("tmp"), "new-*")
	return f, full(err)
}

// replace puts data at path in one step.
func (s *Store) replace(path string, data []byte) error {
	f, err := s.temp()
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed, as it should
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), full(err))
	}
	if err := rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), full(err))
	}
	return syncDir(filepath.Dir(path))
}

// lock takes the lock of that name from all other goroutines and processes.
func (s *Store) lock(ctx context.Context, name string) (unlock func(), err error) {
	l := flock.New(s.path("locks", strings.ReplaceAll(name, "/", "--")+".lock"))
	if _, err := l.TryLockContext(ctx, 3*time.Millisecond); err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return func() { _ = l.Close() }, nil
}

// full makes every way of a disk to say that it is full one error.
func full(err error) error {
	if err != nil && isFull(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
