package slurm

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
	// A folder that is not there has nothing; a link is not followed.
	out, err := b.run(ctx, "du -sk "+quote(b.root()+"/"+jobsDir+"/"+id)+" 2>/dev/null | cut -f1")
	if err != nil {
		return 0, fmt.Errorf("measure what job %s has left: %w", id, err)
	}
	kb, _ := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	return kb << 10, nil
}

// Remove implements job.Remover: the job's folder goes, and with the last of an
// array the array's.
func (b *Backend) Remove(ctx context.Context, id string) error {
	status, err := b.Status(ctx, id)
	if err != nil {
		return err
	}
	return b.records().Remove(status, func(rec job.Record) error {
		folders := []string{id}
		if last, err := b.lastOfArray(rec); err != nil {
			return err
		} else if last {
			folders = append(folders, head(rec))
		}
		_, err := b.run(ctx, "cd "+quote(b.root()+"/"+jobsDir)+" || exit\n"+
			"find "+quoteAll(folders)+" -type d ! -perm -700 -exec chmod u+rwx {} \\; 2>/dev/null\nrm -rf -- "+quoteAll(folders))
		return err
	})
}

// lastOfArray reports whether all the other tasks of the job's array were
// removed already.
func (b *Backend) lastOfArray(rec job.Record) (bool, error) {
	if rec.Kept[keptArray] == "" {
		return false, nil
	}
	all, err := b.records().All()
	for _, other := range all {
		if other.ID != rec.ID && other.Kept[keptArray] == rec.Kept[keptArray] && other.Last.Removed.IsZero() {
			return false, err
		}
	}
	return true, err
}
