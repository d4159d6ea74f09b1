// Package checkpoint keeps the files of a workspace as they were before a turn
// changed them, and brings them back.
//
// Its one rule: what a person did since is never overwritten without their
// word. It works on files alone, and never touches what a version control
// keeps: neither its index nor its objects.
//
// A Store owns one folder, which several processes may share: packs of
// objects named by the hash of their bytes, the records that say which tree of
// objects a session had when, second names of large files, and a cache of what
// files looked like. What is written is written under another name first, so
// that a crash leaves a store that is as it was.
package checkpoint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// What the stores below a folder may take, in bytes, and each of them for large
// files beside that.
const (
	DefaultQuota = 5 << 30
	DefaultSpare = 15 << 30
)

// The kinds of a record: how the workspace was before a turn wrote anything, and
// what the turn left. What differs between an After and the next Before is not
// the session's doing.
const (
	Before = "before"
	After  = "after"
)

// ErrQuota says that there is no room for a checkpoint, even without all that
// may be removed.
var ErrQuota = errors.New("checkpoints have no room left")

// A Store keeps the checkpoints of one workspace. It has no state: everything
// is in its folder.
type Store struct {
	Dir   string // the workspace: absolute, no symbolic link
	Home  string // the store's own folder
	Holds string // where large files have second names: on the workspace's disk
	Quota int64  // bytes that the packs of all stores beside this one may take
	Spare int64  // bytes of large files that are held and that the workspace has no more

	// Skip names absolute folders that others write to: they are left out. It
	// is asked before each walk, and may be nil.
	Skip func(ctx context.Context) []string

	// Live reports whether somebody works in the session, so that its newest
	// checkpoint stays. Nil means that nobody does.
	Live func(session string) bool

	// Elsewhere finds a large file of that size and time that somebody else has
	// kept, "" if there is none. It may be nil.
	Elsewhere func(rel string, size int64, mtime time.Time) string
}

// Open returns the store of a workspace, in the folder home of all stores. Where
// home is on another disk, large files have their second names in the workspace,
// below .ml-intern: but not if it came with a link there, for what is in that
// folder and not known is removed.
func Open(home, dir string) (Store, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return Store{}, fmt.Errorf("open workspace: %w", err)
	}
	s := at(home, real)
	if err := os.MkdirAll(s.Home, 0o700); err != nil {
		return Store{}, fmt.Errorf("make folder for checkpoints: %w", err)
	}
	own := filepath.Join(real, ".ml-intern")
	if inside := filepath.Join(own, "checkpoints"); !sameDisk(s.Home, real) && !isLink(own) && !isLink(inside) {
		s.Holds = inside
	}
	return s, nil
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// Find returns the store of a workspace that may be gone. It fails if there is
// no store.
func Find(home, dir string) (Store, error) {
	if s, err := Open(home, dir); err == nil {
		return s, s.prepare()
	}
	s := at(home, dir)
	_, err := os.Stat(s.Home)
	return s, err
}

func at(home, real string) Store {
	sum := sha256.Sum256([]byte(real))
	s := Store{Dir: real, Home: filepath.Join(home, hex.EncodeToString(sum[:8])), Quota: DefaultQuota, Spare: DefaultSpare}
	s.Holds = s.path("large")
	return s
}

func (s Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.Home}, parts...)...)
}

// A Taken checkpoint.
type Taken struct {
	ID      Hash // of its tree; the same when nothing has changed
	Counts  Counts
	Added   int64 // bytes that the store grew by
	Seconds float64
}

// Take keeps the workspace as it is, and records it for the session. When there
// is no room, the oldest checkpoints go first.
func (s Store) Take(ctx context.Context, session, kind string) (Taken, error) {
	start := time.Now()
	if err := s.prepare(); err != nil {
		return Taken{}, err
	}
	if s.gaveUp() {
		return Taken{}, fmt.Errorf("keep the workspace as it is: %w, as it was minutes ago", ErrTooLarge)
	}
	taken, holds, err := s.take(ctx, session, kind)
	for _, goal := range []int64{s.Quota / 2, 0} {
		if !errors.Is(err, ErrQuota) {
			break
		}
		if err := s.prune(ctx, goal); err != nil {
			return Taken{}, err
		}
		taken, holds, err = s.take(ctx, session, kind)
	}
	if errors.Is(err, ErrTooLarge) {
		_ = replaceFile(s.path("gave-up"), nil) // else it is tried again next time
	}
	if err != nil {
		return Taken{}, fmt.Errorf("keep the workspace as it is: %w", err)
	}
	if kind == After && s.hasBulk() {
		err = s.collect(ctx) // nobody waits now
	}
	if taken.Added > 0 {
		err = errors.Join(err, s.prune(ctx, s.Quota), s.release(ctx, holds))
	}
	taken.Seconds = time.Since(start).Seconds()
	return taken, err
}

// patience is how long a workspace that was too large is not read again.
const patience = 10 * time.Minute

// gaveUp reports whether the workspace was too large a short while ago: to find
// that out again each turn would keep the person waiting.
func (s Store) gaveUp() bool {
	info, err := os.Stat(s.path("gave-up"))
	return err == nil && time.Since(info.ModTime()) < patience
}

func (s Store) take(ctx context.Context, session, kind string) (taken Taken, holds map[Hash]bool, err error) {
	unlock, err := s.share(ctx)
	if err != nil {
		return Taken{}, nil, err
	}
	defer unlock()
	w, names, err := s.walker(ctx, false)
	if err != nil {
		return Taken{}, nil, err
	}
	defer w.pack.drop()
	_, taken.ID, err = w.walk(ctx)
	if err != nil {
		return Taken{}, w.holds, err
	}
	if taken.Added, err = w.pack.finish(); err != nil {
		return Taken{}, w.holds, err
	}
	taken.Counts = w.counts
	if w.record.news {
		if taken.Added > 0 {
			names, err = packNames(s.path("packs"))
		}
		err = errors.Join(err, w.record.cache(w.before).save(s.path("cache"), names))
	}
	return taken, w.holds, errors.Join(err, s.writeRecord(session, kind, taken.ID))
}

// walker returns what a walk needs, and the names of the packs that are there.
func (s Store) walker(ctx context.Context, look bool) (*walker, []string, error) {
	names, err := packNames(s.path("packs"))
	if err != nil {
		return nil, nil, err
	}
	w := &walker{store: s, look: look, skip: s.skipped(ctx), before: loadCache(s.path("cache"), names)}
	room := int64(1) << 62
	if !look {
		if room, err = s.room(); err != nil {
			return nil, nil, err
		}
	}
	open := sync.OnceValue(func() *packs { // most walks find nothing new
		ps, err := openPacks(s.path("packs"))
		if err != nil {
			return &packs{}
		}
		return ps
	})
	w.pack = newPacker(s.path("packs"), func(h Hash) bool { return look || open().has(h) })
	w.pack.room = room
	return w, names, nil
}

// skipped is the set of paths that others write to.
func (s Store) skipped(ctx context.Context) map[string]bool {
	if s.Skip == nil {
		return nil
	}
	set := make(map[string]bool)
	for _, dir := range s.Skip(ctx) {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			dir = real
		}
		if rel, err := filepath.Rel(s.Dir, dir); err == nil && filepath.IsLocal(rel) {
			set[filepath.ToSlash(rel)] = true
		}
	}
	return set
}

func (s Store) prepare() error {
	for _, part := range []string{"packs", "records", "large"} {
		if err := os.MkdirAll(s.path(part), 0o700); err != nil {
			return fmt.Errorf("make folder for checkpoints: %w", err)
		}
	}
	return nil
}

// share locks the store beside others, and waits while one removes things,
// which is short.
func (s Store) share(ctx context.Context) (unlock func(), err error) {
	lock := flock.New(s.path("lock"), flock.SetPermissions(0o600))
	if _, err := lock.TryRLockContext(ctx, 5*time.Millisecond); err != nil {
		return nil, fmt.Errorf("lock checkpoints: %w", err)
	}
	return func() { _ = lock.Unlock() }, nil // it closes the file, which unlocks it in any case
}

// replaceFile writes a file that is there whole or not at all.
func replaceFile(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "new-*.tmp")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name()) // else collect does
	}
	return err
}
