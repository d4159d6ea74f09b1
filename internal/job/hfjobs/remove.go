package hfjobs

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"ml-intern/internal/job"
)

var _ job.Remover = (*Backend)(nil)

// left are the files of a job that are here: the copy of its log. Its disk went
// with it, and its page is the Hub's.
func (b *Backend) left(id string) []string {
	return []string{b.logPath(id, ".log"), b.logPath(id, ".json"), b.logPath(id, ".lock")}
}

// Leftover implements job.Remover.
func (b *Backend) Leftover(_ context.Context, id string) (int64, error) {
	if _, err := b.records().Get(id); err != nil {
		return 0, err
	}
	var sum int64
	for _, path := range b.left(id) {
		if info, err := os.Lstat(path); err == nil {
			sum += info.Size()
		}
	}
	return sum, nil
}

// Remove implements job.Remover.
func (b *Backend) Remove(ctx context.Context, id string) error {
	status, err := b.Status(ctx, id)
	if err != nil {
		return err
	}
	return b.records().Remove(status, func(job.Record) error {
		var errs []error
		for _, path := range b.left(id) {
			if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	})
}
