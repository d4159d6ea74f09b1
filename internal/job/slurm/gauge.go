package slurm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/job"
)

var _ job.Gauger = (*Backend)(nil)

// gaugeAge is how old what is told of the disk may be.
const gaugeAge = time.Minute

// Gauge implements job.Gauger: the disk that the cluster shares, where results
// are. What a node's GPUs do only a step on that node could say, one for each
// job and minute; that is too much to ask of Slurm.
func (b *Backend) Gauge(ctx context.Context, id string) (job.Gauge, error) {
	rec, err := b.records().Get(id)
	if err != nil {
		return job.Gauge{}, err
	}
	if rec.Last.State != job.Running {
		return job.Gauge{}, fmt.Errorf("gauge the disk of job %s: it does not run: %w", id, errors.ErrUnsupported)
	}
	dir := b.root()
	if b.Host == "" {
		dir = rec.Spec.Dir
	}
	disk, err := b.disk(ctx, dir)
	return disk, err
}

// disk measures where a folder is. One that was asked for lately is not asked
// for again, and of those that were there are few: workspaces.
func (b *Backend) disk(ctx context.Context, dir string) (job.Gauge, error) {
	of, _ := b.disks.LoadOrStore(dir, &cached[job.Gauge]{})
	return of.(*cached[job.Gauge]).get(ctx, gaugeAge, time.Time{}, func(ctx context.Context) (job.Gauge, error) { //nolint:forcetypeassert // there is nothing else in it
		out, err := b.run(ctx, "df -Pk "+quote(dir)+" | tail -n 1")
		m, ok := parseDisk(out)
		if err == nil && !ok {
			err = errNoAnswer
		}
		if err != nil {
			return m, fmt.Errorf("ask how full the disk of %s is: %w", dir, err)
		}
		return m, nil
	})
}

// parseDisk reads df's line of a file system, whose names may have blanks: its
// numbers are those before the percentage.
func parseDisk(line string) (m job.Gauge, ok bool) {
	fields := strings.Fields(line)
	at := slices.IndexFunc(fields, func(f string) bool { return strings.HasSuffix(f, "%") })
	if at < 4 {
		return m, false
	}
	total, err := strconv.ParseInt(fields[at-3], 10, 64)
	free, err2 := strconv.ParseInt(fields[at-1], 10, 64)
	return job.Gauge{DiskFree: free << 10, DiskTotal: total << 10}, err == nil && err2 == nil
}
