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

const (
	gaugeAge = time.Minute // of what is told, at most

	// staleGauge is how old a job's note of its GPUs may be: it writes one a
	// minute, and the clocks of a cluster agree, since munge wants that.
	staleGauge = 5 * time.Minute
)

// Gauge implements job.Gauger: the disk that the cluster shares, where results
// are, and the GPUs as the job's batch script has noted them. Slurm is not asked.
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
	m, err := b.disk(ctx, dir)
	gpus, gpuErr := b.gpus(ctx, id)
	if m.GPUs = gpus[id]; len(m.GPUs) > 0 {
		return m, nil
	}
	return m, errors.Join(err, gpuErr)
}

// gpus reads what all jobs that are not done have noted of their GPUs, with one
// question.
func (b *Backend) gpus(ctx context.Context, id string) (map[string][]job.GPUGauge, error) {
	after := time.Time{}
	if b.live.add(b.unfinished, id) {
		after = time.Now()
	}
	return b.gauges.get(ctx, gaugeAge/2, after, func(ctx context.Context) (map[string][]job.GPUGauge, error) {
		files := ""
		for _, id := range b.live.list() {
			files += " " + id + "/" + gaugeFile
		}
		out, err := b.run(ctx, "date +%s\ncd "+quote(b.root()+"/"+jobsDir)+" && grep -H ''"+files+" /dev/null 2>/dev/null\n:")
		if err != nil {
			return nil, fmt.Errorf("read what jobs say of their GPUs: %w", err)
		}
		return parseGauges(out), nil
	})
}

// parseGauges reads the time, and lines of ID/gauge:LINE, as grep shows files:
// "look TIME VISIBLE", and then one of nvidia-smi for each GPU of the node.
func parseGauges(out string) map[string][]job.GPUGauge {
	first, rest, _ := strings.Cut(out, "\n")
	now := parseSeconds(strings.TrimSpace(first))
	visible, answers := map[string]string{}, map[string]string{}
	for line := range strings.Lines(rest) {
		id, note, ok := strings.Cut(line, "/"+gaugeFile+":")
		kind, text, _ := strings.Cut(note, " ")
		switch {
		case !ok:
		case kind == "look":
			at, given, _ := strings.Cut(strings.TrimSpace(text), " ")
			if now.Sub(parseSeconds(at)).Abs() < staleGauge {
				visible[id] = given
			}
		case kind == "gpu":
			answers[id] += text
		}
	}
	all := map[string][]job.GPUGauge{}
	for id, given := range visible {
		if gpus := job.VisibleGPUs(answers[id], given); len(gpus) > 0 {
			all[id] = gpus
		}
	}
	return all
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
