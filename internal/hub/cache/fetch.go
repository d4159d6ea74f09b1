package cache

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"ml-intern/internal/hub"
)

// fetch brings a file into the cache. Rev is what it was asked for as.
func (f *folder) fetch(ctx context.Context, rev, path string, want hub.FileInfo, progress hub.Progress) (string, error) {
	if err := f.prepare(); err != nil {
		return "", err
	}
	if err := f.setRef(rev, want.Commit); err != nil {
		return "", err
	}
	return f.bring(ctx, path, want, progress)
}

// bring is fetch in a folder that is prepared.
func (f *folder) bring(ctx context.Context, path string, want hub.FileInfo, progress hub.Progress) (string, error) {
	pointer, blob := f.pointer(want.Commit, path), f.blob(want.ETag)
	if err := os.MkdirAll(filepath.Dir(pointer), 0o777); err != nil {
		return "", err
	}
	unlock, locked, err := f.lock(ctx, want.ETag)
	if err != nil {
		return "", err
	}
	defer unlock()
	if isWhole(pointer, want.Size) { // somebody else was quicker
		return pointer, nil
	}
	fresh := !isWhole(blob, want.Size)
	if fresh {
		if err := f.fill(ctx, path, want, locked, progress); err != nil {
			return "", err
		}
	} else {
		if locked { // what we had begun of it, and somebody else has finished
			os.Remove(blob + ".incomplete")
		}
		if progress != nil {
			progress(path, want.Size, want.Size)
		}
	}
	err = f.link(blob, pointer, fresh)
	if err != nil && isWhole(pointer, want.Size) {
		err = nil
	}
	return pointer, err
}

// fill downloads content to its place among the blobs. What an earlier attempt
// left is gone on with, if nobody else can be writing there.
func (f *folder) fill(ctx context.Context, path string, want hub.FileInfo, locked bool, progress hub.Progress) error {
	blob := f.blob(want.ETag)
	partial := blob + ".incomplete"
	if !locked {
		partial = blob + "." + random() + ".incomplete"
	}
	file, err := os.OpenFile(partial, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	err = f.cache.Client.Resume(ctx, f.repo, path, want, file, progress)
	err = errors.Join(err, file.Close())
	if err != nil {
		if !locked || errors.Is(err, hub.ErrDamaged) {
			os.Remove(partial)
		}
		return err
	}
	return os.Rename(partial, blob)
}
