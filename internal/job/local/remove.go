package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ml-intern/internal/job"
)

var _ job.Remover = Backend{}

// A removal is removed.json.
type removal struct {
	At time.Time `json:"at"`
}

// lasting are the files of a job's folder that say what became of it.
func lasting() []string { return []string{specFile, startedFile, doneFile, removedFile, lockFile} }

// An Environment is what uv has installed for jobs of the same requirements.
type Environment struct {
	Name  string
	Bytes int64     // with what it shares with uv's cache
	Used  time.Time // when a job was given it last
}

// Leftover implements job.Remover.
func (b Backend) Leftover(_ context.Context, id string) (int64, error) {
	f, err := b.find(id)
	if err != nil {
		return 0, err
	}
	return bytesBelow(string(f), lasting()...)
}

// bytesBelow is what the files below a folder have, but for some at its top.
func bytesBelow(dir string, but ...string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Dir(path) == dir && slices.Contains(but, d.Name()) {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // it may be going at this moment
		return sum, fmt.Errorf("measure %s: %w", dir, err)
	}
	return sum, nil
}

// Remove implements job.Remover.
func (b Backend) Remove(ctx context.Context, id string) error {
	status, err := b.Status(ctx, id)
	if err != nil {
		return err
	}
	if err := status.Open(); err != nil {
		return fmt.Errorf("remove what a job has left: %w", err)
	}
	if err := b.empty(id); err != nil {
		return fmt.Errorf("remove what job %s has left: %w", id, err)
	}
	if !status.Removed.IsZero() {
		return nil
	}
	return b.folder(id).write(removedFile, removal{time.Now().UTC()})
}

// empty removes all of a job's folder but what says what became of it. A root
// is left by no link.
func (b Backend) empty(id string) error {
	jobs, err := os.OpenRoot(filepath.Join(b.Dir, jobsDir))
	if err != nil {
		return err
	}
	defer jobs.Close()
	root, err := jobs.OpenRoot(id)
	if err != nil {
		return err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	errs := []error{err}
	for _, e := range entries {
		if !slices.Contains(lasting(), e.Name()) {
			errs = append(errs, root.RemoveAll(e.Name()))
		}
	}
	return errors.Join(errs...)
}
