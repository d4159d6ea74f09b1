package ssh

import (
	"context"
	"fmt"
	"io"
	"strings"

	"ml-intern/internal/job"
)

var _ job.Peeker = (*Backend)(nil)

// Peek implements job.Peeker. A job that does not run yet has no metrics.
func (b *Backend) Peek(ctx context.Context, id string, known map[string]job.Mark) ([]job.Piece, error) {
	rec, err := b.records().Get(id)
	if err == nil {
		err = rec.Last.Gone()
	}
	if err != nil {
		return nil, err
	}
	text, err := b.call(ctx, func(w io.Writer) error { return job.WritePeek(w, known) }, "peek", id)
	if err != nil {
		return nil, fmt.Errorf("peek at the metrics of job %s: %w", id, err)
	}
	return job.ReadPeek(strings.NewReader(text))
}
