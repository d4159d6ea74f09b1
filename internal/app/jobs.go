package app

import (
	"context"
	"errors"
	"fmt"

	"ml-intern/internal/config"
	"ml-intern/internal/job"
)

// JobError says of an error about the job of that id which one may be meant, if
// there is no such job.
func (a *App) JobError(ctx context.Context, id string, err error) error {
	if !errors.Is(err, job.ErrNotFound) {
		return err
	}
	jobs, _ := a.jobs.List(ctx) // those that can be seen
	ids := make([]string, len(jobs))
	for i, j := range jobs {
		ids[i] = j.ID
	}
	return fmt.Errorf("%w: job %q: %w%s; ml-intern jobs ls shows all", ErrUsage, id, job.ErrNotFound, config.DidYouMean(config.Nearest(id, ids)))
}
