package hub

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// DownloadFile saves a file of a repository as dst. The file is there when it
// is whole, not before; what an earlier call left unfinished is gone on with.
func (c *Client) DownloadFile(ctx context.Context, repo RepoID, rev, path, dst string) (FileInfo, error) {
	info, err := c.Stat(ctx, repo, rev, path)
	if err != nil {
		return FileInfo{}, err
	}
	if err := os.MkdirAll(filepath.Dir(dst), 0o777); err != nil {
		return FileInfo{}, fmt.Errorf("download %s: %w", path, err)
	}
	root, err := os.OpenRoot(filepath.Dir(dst))
	if err != nil {
		return FileInfo{}, fmt.Errorf("download %s: %w", path, err)
	}
	defer root.Close()
	want := info
	want.Commit = cmp.Or(info.Commit, rev)
	if err := c.save(ctx, saving{root, filepath.Base(dst), repo, path, nil}, want); err != nil {
		return FileInfo{}, fmt.Errorf("download %s of %s: %w", path, repo, err)
	}
	return info, nil
}

// SnapshotOptions say what to download of a repository.
type SnapshotOptions struct {
	Revision string                 // main if ""
	Dir      string                 // is made if it is not there
	Match    func(path string) bool // which files; all if nil. See Filter
	Workers  int                    // files at a time; 8 if 0
	Progress Progress
}

// Snapshot downloads the files of one revision into a folder and returns its
// commit. Files that are there with the right content are left alone; files
// that the repository does not have are, too. Nothing is written outside the
// folder, whatever the repository calls its files and wherever links lead.
func (c *Client) Snapshot(ctx context.Context, repo RepoID, opts SnapshotOptions) (string, error) {
	info, err := c.RepoInfo(ctx, repo, opts.Revision)
	if err == nil {
		err = info.checkSHA()
	}
	if err != nil {
		return "", err
	}
	var files []Entry
	for e, err := range c.ListTree(ctx, repo, TreeOptions{Revision: info.SHA, Recursive: true}) {
		if err != nil {
			return "", err
		}
		if !e.Dir && (opts.Match == nil || opts.Match(e.Path)) {
			if err := CheckPath(e.Path); err != nil {
				return "", fmt.Errorf("download %s: %w", repo, err)
			}
			files = append(files, e)
		}
	}
	if err := os.MkdirAll(opts.Dir, 0o777); err != nil {
		return "", fmt.Errorf("download %s: %w", repo, err)
	}
	root, err := os.OpenRoot(opts.Dir)
	if err != nil {
		return "", fmt.Errorf("download %s: %w", repo, err)
	}
	defer root.Close()
	err = inParallel(ctx, cmp.Or(opts.Workers, 8), files, func(ctx context.Context, e Entry) error {
		want := e.File(info.SHA)
		return c.save(ctx, saving{root, filepath.FromSlash(e.Path), repo, e.Path, opts.Progress}, want)
	})
	if err != nil {
		return "", fmt.Errorf("download %s: %w", repo, err)
	}
	return info.SHA, nil
}

// inParallel does all the work, a few pieces at a time. The first failure ends
// the rest and is returned.
func inParallel[T any](ctx context.Context, workers int, work []T, do func(context.Context, T) error) error {
	if workers <= 0 {
		workers = 4
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan T)
	var wg sync.WaitGroup
	for range min(workers, len(work)) {
		wg.Go(func() {
			for piece := range queue {
				if err := do(ctx, piece); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, piece := range work {
		select {
		case queue <- piece:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(queue)
	wg.Wait()
	return context.Cause(ctx)
}

// A saving is one file on its way to the disk.
type saving struct {
	root *os.Root
	name string // in root
	repo RepoID
	path string // in the repository

	progress Progress
}

// save brings a file to the disk, unless it is there.
func (c *Client) save(ctx context.Context, s saving, want FileInfo) error {
	if s.has(want) {
		return nil
	}
	dir := filepath.Dir(s.name)
	if dir != "." {
		if err := s.root.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	// The name stands for the file and its content: whoever else writes there
	// writes the same bytes at the same places.
	id := sha256.Sum256([]byte(s.name + "\x00" + want.ETag))
	partial := filepath.Join(dir, "."+hex.EncodeToString(id[:16])+".incomplete")
	if err := c.fill(ctx, s, partial, want); err != nil {
		if errors.Is(err, ErrDamaged) {
			s.root.Remove(partial) // empty by now
		}
		return err
	}
	err := s.root.Rename(partial, s.name)
	if errors.Is(err, fs.ErrNotExist) && s.has(want) { // another process was quicker
		return nil
	}
	return err
}

// has reports whether the file is there with the content that is wanted.
func (s saving) has(want FileInfo) bool {
	h := newHash(want)
	info, err := s.root.Lstat(s.name)
	if err != nil || h == nil || !info.Mode().IsRegular() || info.Size() != want.Size {
		return false
	}
	f, err := s.root.Open(s.name)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = io.Copy(h, f)
	return err == nil && hex.EncodeToString(h.Sum(nil)) == want.ETag
}

// syncedSize is from which size a file is brought to the disk before it gets
// its name. Smaller ones are quicker fetched again than synced: has reads them.
const syncedSize = 1 << 20

// fill downloads what a partial file lacks.
func (c *Client) fill(ctx context.Context, s saving, partial string, want FileInfo) (err error) {
	file, err := s.root.OpenFile(partial, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := c.Resume(ctx, s.repo, s.path, want, file, s.progress); err != nil || want.Size < syncedSize {
		return err
	}
	return file.Sync()
}
