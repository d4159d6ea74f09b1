package slurm

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"

	"ml-intern/internal/job"
)

var _ job.Peeker = (*Backend)(nil)

// Peek implements job.Peeker. Where the cluster shares the workspace, the files
// are here.
func (b *Backend) Peek(ctx context.Context, id string, known map[string]job.Mark) (pieces []job.Piece, err error) {
	rec, err := b.records().Get(id)
	if err == nil {
		err = rec.Last.Gone()
	}
	if err == nil && b.Host == "" {
		err = errors.ErrUnsupported
	}
	if err != nil {
		return nil, fmt.Errorf("peek at the metrics of job %s: %w", id, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var in bytes.Buffer
	if err := job.WritePeek(&in, known); err != nil {
		return nil, err
	}
	dir := quote(b.root() + "/" + jobsDir + "/" + id + "/" + outputDir)
	err = b.stream(ctx, job.PeekShell+"peek "+dir, &in, func(r *bufio.Reader) error {
		pieces, err = job.ReadPeek(r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("peek at the metrics of job %s: %w", id, err)
	}
	return pieces, nil
}
