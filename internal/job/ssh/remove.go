package ssh

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"ml-intern/internal/job"
)

var _ job.Remover = (*Backend)(nil)

// Leftover implements job.Remover.
func (b *Backend) Leftover(ctx context.Context, id string) (int64, error) {
	rec, err := b.records().Get(id)
	if err != nil || !rec.Last.Removed.IsZero() {
		return 0, err
	}
	text, err := b.call(ctx, nil, "size", id)
	if err != nil {
		return 0, fmt.Errorf("measure what job %s has left: %w", id, err)
	}
	kb, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("measure what job %s has left: %s says %.40q", id, b.Host, text)
	}
	return kb << 10, nil
}

// Remove implements job.Remover: the folder on the machine goes.
func (b *Backend) Remove(ctx context.Context, id string) error {
	status, err := b.Status(ctx, id)
	if err != nil {
		return err
	}
	return b.records().Remove(status, func(job.Record) error {
		text, err := b.call(ctx, nil, "remove", id)
		if err == nil && strings.TrimSpace(text) != "removed" {
			err = fmt.Errorf("%s says: %s", b.Host, clip(strings.TrimSpace(text), 300))
		}
		return err
	})
}
