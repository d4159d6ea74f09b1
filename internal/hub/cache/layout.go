package cache

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"ml-intern/internal/hub"
)

// A folder is what the cache has of one repository.
type folder struct {
	cache *Cache
	repo  hub.RepoID
	dir   string
}

// open returns the folder of a repository, which need not be there yet, and
// the revision that is meant.
func (c *Cache) open(repo hub.RepoID, rev string) (*folder, string, error) {
	if rev == "" {
		rev = "main"
	}
	if repo.Type == "" {
		repo.Type = hub.Model
	}
	if err := repo.Check(); err != nil {
		return nil, "", err
	}
	if err := checkPath(rev); err != nil { // it becomes a file in refs
		return nil, "", fmt.Errorf("revision: %w", err)
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, "", fmt.Errorf("find the cache: %w", err)
	}
	return &folder{c, repo, filepath.Join(dir, folderName(repo))}, rev, nil
}

func folderName(repo hub.RepoID) string {
	return string(repo.Type) + "s--" + strings.ReplaceAll(repo.String(), "/", "--")
}

func (f *folder) snapshot(commit string) string { return filepath.Join(f.dir, "snapshots", commit) }

// pointer is where a program reads a file.
func (f *folder) pointer(commit, path string) string {
	return filepath.Join(f.snapshot(commit), filepath.FromSlash(path))
}

func (f *folder) missing(commit, path string) string {
	return filepath.Join(f.dir, ".no_exist", commit, filepath.FromSlash(path))
}

func (f *folder) blob(etag string) string { return filepath.Join(f.dir, "blobs", etag) }

func (f *folder) refPath(rev string) string {
	return filepath.Join(f.dir, "refs", filepath.FromSlash(rev))
}

// commit is the commit that a revision was when it was last looked at, "" if
// it never was.
func (f *folder) commit(rev string) string {
	if commitHash.MatchString(rev) {
		return rev
	}
	text, err := os.ReadFile(f.refPath(rev))
	commit := strings.TrimSpace(string(text))
	if err != nil || !commitHash.MatchString(commit) {
		return ""
	}
	return commit
}

// setRef notes the commit of a branch or tag, if that is news.
func (f *folder) setRef(rev, commit string) error {
	if rev == commit || f.commit(rev) == commit {
		return nil
	}
	return replace(f.refPath(rev), []byte(commit))
}

// markMissing notes that a commit has no such file.
func (f *folder) markMissing(rev, commit, path string) error {
	name := f.missing(commit, path)
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), f.setRef(rev, commit))
}

// prepare makes the folders that a download needs.
func (f *folder) prepare() error {
	for _, dir := range []string{filepath.Join(f.dir, "blobs"), f.locks()} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	tag := filepath.Join(filepath.Dir(f.dir), "CACHEDIR.TAG")
	if !exists(tag) {
		_ = replace(tag, []byte(cacheTag)) // for backup programs; nothing depends on it
	}
	return nil
}

const cacheTag = `Signature: 8a477f597d28d172789f06886806bc55
# This folder is a cache of downloads from the Hugging Face Hub.
# Backup programs may leave it out: see https://bford.info/cachedir/
`

func (f *folder) locks() string {
	return filepath.Join(filepath.Dir(f.dir), ".locks", filepath.Base(f.dir))
}

// lock keeps other processes, Python's too, from fetching the same content.
// Where files cannot be locked it reports so, and the work goes on: a lock
// spares work, whole files do not depend on it.
func (f *folder) lock(ctx context.Context, etag string) (unlock func(), locked bool, err error) {
	l := flock.New(filepath.Join(f.locks(), etag+".lock"),
		flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o664))
	locked, err = l.TryLockContext(ctx, 20*time.Millisecond)
	if ctx.Err() != nil {
		return nil, false, context.Cause(ctx)
	}
	return func() { _ = l.Close() }, locked && err == nil, nil
}

// link makes content readable under its name in a snapshot.
func (f *folder) link(blob, pointer string, fresh bool) error {
	target, err := filepath.Rel(filepath.Dir(pointer), blob)
	if err != nil {
		return err
	}
	if !f.cache.NoLinks {
		err := os.Symlink(target, pointer)
		if err == nil {
			return nil
		}
		if errors.Is(err, fs.ErrExist) { // of no use, or it would not have come to this
			other := beside(pointer)
			if err = os.Symlink(target, other); err == nil {
				return renameOrRemove(other, pointer)
			}
		}
	}
	if fresh { // no other snapshot has it: one copy is enough
		return os.Rename(blob, pointer)
	}
	return copyFile(blob, pointer)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	temp := beside(to)
	out, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		os.Remove(temp)
		return err
	}
	return renameOrRemove(temp, to)
}

// replace puts a small file in place in one step.
func replace(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	temp := beside(path)
	if err := os.WriteFile(temp, data, 0o666); err != nil {
		os.Remove(temp)
		return err
	}
	return renameOrRemove(temp, path)
}

// beside is a name in the same folder for what is not whole yet. It is short: a
// file's own name may be as long as one can be.
func beside(path string) string {
	return filepath.Join(filepath.Dir(path), "."+random()+".tmp")
}

func renameOrRemove(temp, path string) error {
	if err := os.Rename(temp, path); err != nil {
		os.Remove(temp)
		return err
	}
	return nil
}

func random() string {
	b := make([]byte, 4)
	rand.Read(b)
	return hex.EncodeToString(b)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// isWhole reports whether there is a file of that size; of any, below 0.
func isWhole(path string, size int64) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && (size < 0 || info.Size() == size)
}
