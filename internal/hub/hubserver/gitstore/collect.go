package gitstore

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"

	"ml-intern/internal/hub"
)

// Collection is safe while servers run, by two rules. A change of a repository
// holds the collector's lock, shared; the collector takes it alone to read
// which repositories there are, and for each file that it removes. And a large
// file that is about to be named is made new again (KeepLarge), so that it is
// not old when the collector comes to it.

const collectLock = "collect"

// hold keeps the collector out.
func (s *Store) hold(ctx context.Context) (release func(), err error) {
	l := flock.New(s.path("locks", collectLock+".lock"))
	if _, err := l.TryRLockContext(ctx, 3*time.Millisecond); err != nil {
		return nil, fmt.Errorf("lock the store: %w", err)
	}
	return func() { _ = l.Close() }, nil
}

// sweep removes what uploads that never ended have left behind.
func (s *Store) sweep() error {
	for _, sub := range []string{"tmp", "parts"} {
		entries, err := os.ReadDir(s.path(sub))
		if err != nil {
			return fmt.Errorf("sweep store: %w", err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > tempAge {
				os.RemoveAll(s.path(sub, e.Name())) // the next start tries again
			}
		}
	}
	return nil
}

// Collected is what Collect took away.
type Collected struct {
	Files int
	Bytes int64
}

// Collect removes uploads that never ended, and large files that have been
// there for a day and that no commit names. If anything of a repository cannot
// be read it removes no large file: what is not seen might be needed.
func (s *Store) Collect(ctx context.Context) (Collected, error) {
	var out Collected
	if err := s.sweep(); err != nil {
		return out, err
	}
	old, err := s.oldLarge()
	if err != nil || len(old) == 0 {
		return out, err
	}
	tips, err := s.allTips(ctx)
	if err != nil {
		return out, err
	}
	if err := s.unmark(ctx, tips, old); err != nil {
		return out, err
	}
	for _, oid := range slices.Sorted(maps.Keys(old)) {
		size, err := s.dropLarge(ctx, oid)
		if err != nil {
			return out, err
		}
		if size >= 0 {
			out.Files++
			out.Bytes += size
		}
	}
	return out, nil
}

// oldLarge lists the large files that may be collected if nothing names them.
func (s *Store) oldLarge() (map[string]bool, error) {
	old := map[string]bool{}
	err := filepath.WalkDir(s.path("large"), func(_ string, d fs.DirEntry, err error) error {
		if missing(err) {
			return nil
		}
		if err != nil || d.IsDir() || !isHex(d.Name(), 64) {
			return err
		}
		info, err := d.Info()
		if err == nil && time.Since(info.ModTime()) > tempAge {
			old[d.Name()] = true
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("collect large files: %w", err)
	}
	return old, nil
}

// allTips is what the refs of all repositories lead to, at one moment: a
// repository that is moved meanwhile must not be missed.
func (s *Store) allTips(ctx context.Context) ([]string, error) {
	unlock, err := s.lock(ctx, collectLock)
	if err != nil {
		return nil, err
	}
	defer unlock()
	tips := map[string]bool{}
	for _, typ := range []hub.RepoType{hub.Model, hub.Dataset, hub.Space} {
		repos, err := s.Repos(typ)
		if err != nil {
			return nil, fmt.Errorf("collect large files: %w", err)
		}
		for _, repo := range repos {
			for _, id := range repo.Refs {
				tips[id] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(tips)), nil
}

// unmark takes out of old what the commits name.
func (s *Store) unmark(ctx context.Context, tips []string, old map[string]bool) error {
	seen := map[string]bool{}
	for c, err := range s.History(tips...) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = s.unmarkTree(c.Tree, seen, old)
		}
		if err != nil {
			return fmt.Errorf("collect large files: %w", err)
		}
		if len(old) == 0 {
			return nil
		}
	}
	return nil
}

func (s *Store) unmarkTree(oid string, seen, old map[string]bool) error {
	if seen[oid] {
		return nil
	}
	seen[oid] = true
	data, err := s.read(kindTree, oid)
	if err != nil {
		return err
	}
	entries, err := ParseTree(data)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Dir() {
			if err := s.unmarkTree(e.OID, seen, old); err != nil {
				return err
			}
			continue
		}
		if seen[e.OID] {
			continue
		}
		seen[e.OID] = true
		f, err := s.File(e.OID)
		if err != nil {
			return err
		}
		if f.Large != nil {
			delete(old, f.Large.OID)
		}
	}
	return nil
}

// dropLarge removes a file, unless somebody has wanted it meanwhile. It
// returns the size, below 0 if the file stays.
func (s *Store) dropLarge(ctx context.Context, oid string) (int64, error) {
	unlock, err := s.lock(ctx, collectLock)
	if err != nil {
		return -1, err
	}
	defer unlock()
	info, err := os.Stat(s.largePath(oid))
	if err != nil || time.Since(info.ModTime()) <= tempAge {
		return -1, nil
	}
	if err := os.Remove(s.largePath(oid)); err != nil {
		return -1, nil // one who reads it, on Windows; the next time
	}
	return info.Size(), nil
}
