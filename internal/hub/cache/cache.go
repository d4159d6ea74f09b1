// Package cache keeps files of a Hub where huggingface_hub, the Python client,
// keeps them: in the same folder and layout, under the same locks. What either
// program has fetched is there for the other.
//
// Its one rule: a name in the cache stands for whole content. Files are written
// under another name and renamed when their size and hash are right, so
// processes of both kinds may work at once and be killed at any moment. Nothing
// is synced: what a crash of the machine empties has the wrong size, and is
// fetched again.
//
// The folder belongs to everybody. A Cache only says where it is.
package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/lazyregexp"
)

// ErrNotCached says that something is not in the cache, and that the Hub could
// not or must not be asked.
var ErrNotCached = errors.New("not in the cache")

// A Cache is a folder of downloaded files and the Hub that they come from.
type Cache struct {
	Client   *hub.Client
	Dir      string
	Offline  bool          // ask the Hub nothing
	NoLinks  bool          // copy files into snapshots instead of linking them
	Patience time.Duration // for a Hub that is slow to say what is new, if there is a copy; 10 s if 0
}

var commitHash = lazyregexp.New(`^[0-9a-f]{40}$`)

// File returns the path of a file of a repository on this machine, after it has
// been fetched if need be. A file of a commit that is there costs no request,
// one of a branch a question whether it has changed. A Hub that cannot be
// reached, or does not want to answer, leaves what was fetched last; so does a
// cache that can only be read.
func (c *Cache) File(ctx context.Context, repo hub.RepoID, rev, path string, progress hub.Progress) (string, error) {
	f, rev, err := c.open(repo, rev)
	if err == nil {
		err = checkPath(path)
	}
	if err != nil {
		return "", fmt.Errorf("download %s: %w", path, err)
	}
	name, err := f.file(ctx, rev, path, progress)
	if err != nil {
		return "", fmt.Errorf("download %s of %s: %w", path, repo, err)
	}
	return name, nil
}

func (f *folder) file(ctx context.Context, rev, path string, progress hub.Progress) (string, error) {
	there, local := f.find(rev, path)
	if local == nil && commitHash.MatchString(rev) || f.cache.Offline {
		return there, local
	}
	info, err := f.stat(ctx, rev, path, local == nil)
	switch {
	case err == nil:
	case ctx.Err() != nil || local != nil || answersFor(err, "EntryNotFound", "RevisionNotFound"):
		return "", err
	default:
		return there, nil
	}
	if !isWhole(f.pointer(info.Commit, path), info.Size) {
		name, err := f.fetch(ctx, rev, path, info, progress)
		if _, ours := errors.AsType[*fs.PathError](err); ours && local == nil && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
			return there, nil // what is new cannot be kept
		}
		return name, err
	}
	_ = f.setRef(rev, info.Commit) // the cache may be one that can only be read
	return f.pointer(info.Commit, path), nil
}

// stat asks what a file is now. That it does not exist is remembered.
func (f *folder) stat(ctx context.Context, rev, path string, hurry bool) (hub.FileInfo, error) {
	ctx, cancel := f.cache.patience(ctx, hurry)
	defer cancel()
	info, err := f.cache.Client.Stat(ctx, f.repo, rev, path)
	if e, ok := errors.AsType[*hub.Error](err); ok && e.Code == "EntryNotFound" && commitHash.MatchString(e.Commit) {
		_ = f.markMissing(rev, e.Commit, path) // a note that spares questions, no more
	}
	if err != nil {
		return info, err
	}
	return info, checkInfo(info)
}

// patience limits a question whose answer can be done without.
func (c *Cache) patience(ctx context.Context, hurry bool) (context.Context, context.CancelFunc) {
	if !hurry {
		return context.WithCancel(ctx)
	}
	d := c.Patience
	if d <= 0 {
		d = 10 * time.Second
	}
	return context.WithTimeout(ctx, d)
}

// checkInfo makes sure that what the server says can be names of files.
func checkInfo(info hub.FileInfo) error {
	switch {
	case !commitHash.MatchString(info.Commit):
		return errors.New("the server does not say of which commit the file is: it is no Hub")
	case !etagName.MatchString(info.ETag):
		return fmt.Errorf("the server's tag %q of the file cannot be its name in the cache", info.ETag)
	}
	return nil
}

var etagName = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9_=+@-]{0,199}$`)

// answersFor reports whether the error is an answer of the Hub with one of the
// codes.
func answersFor(err error, codes ...string) bool {
	e, ok := errors.AsType[*hub.Error](err)
	for _, code := range codes {
		if ok && e.Code == code {
			return true
		}
	}
	return false
}

// Find returns a file that is in the cache, and asks nobody. It is
// hub.ErrNotFound if the repository is known not to have it, else ErrNotCached.
func (c *Cache) Find(repo hub.RepoID, rev, path string) (string, error) {
	f, rev, err := c.open(repo, rev)
	if err == nil {
		err = checkPath(path)
	}
	if err == nil {
		path, err = f.find(rev, path)
	}
	if err != nil {
		return "", fmt.Errorf("find file of %s: %w", repo, err)
	}
	return path, nil
}

// find looks a file up by what is on the disk.
func (f *folder) find(rev, path string) (string, error) {
	commit := f.commit(rev)
	if commit == "" {
		return "", fmt.Errorf("revision %s: %w", rev, ErrNotCached)
	}
	if name := f.pointer(commit, path); isWhole(name, -1) && !(isWhole(name, 0) && f.emptied(commit, path)) {
		return name, nil
	}
	if exists(f.missing(commit, path)) {
		return "", fmt.Errorf("%s in %s: %w", path, commit, hub.ErrNotFound)
	}
	return "", fmt.Errorf("%s in %s: %w", path, commit, ErrNotCached)
}

// emptied reports whether a file that has nothing in it should have: the
// machine crashed before it was on the disk. Only then is the listing read,
// which can be long.
func (f *folder) emptied(commit, path string) bool {
	tree, _ := f.readTree(commit)
	return tree[path].Size > 0
}

// checkPath refuses names that lead out of a folder on any system.
func checkPath(path string) error {
	if err := hub.CheckPath(path); err != nil {
		return err
	}
	for part := range strings.SplitSeq(path, "/") {
		if len(part) > 1 && part[1] == ':' {
			return fmt.Errorf("path %q in repository: %s begins as a drive of Windows does", path, part)
		}
	}
	if !filepath.IsLocal(filepath.FromSlash(path)) {
		return fmt.Errorf("path %q in repository: cannot be a file here", path)
	}
	return nil
}
