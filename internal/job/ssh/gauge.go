package ssh

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

// gaugeAge is how old what is told of the machine may be: one question serves
// all its jobs.
const gaugeAge = 30 * time.Second

// gauges are how the machine was, for each of its jobs.
type gauges struct {
	turn chan struct{} // full while somebody asks or reads
	jobs map[string]job.Gauge
	err  error
	at   time.Time
}

// Gauge implements job.Gauger: the disk of the jobs' folders, and the GPUs that
// the job was given.
func (b *Backend) Gauge(ctx context.Context, id string) (job.Gauge, error) {
	if _, err := b.records().Get(id); err != nil {
		return job.Gauge{}, err
	}
	g := b.state().gauges
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-ctx.Done():
		return job.Gauge{}, context.Cause(ctx)
	}
	if g.at.IsZero() || time.Since(g.at) > gaugeAge {
		text, err := b.call(ctx, nil, "gauge")
		if ctx.Err() != nil {
			return job.Gauge{}, context.Cause(ctx)
		}
		g.jobs, g.err, g.at = readGauges(text), err, time.Now()
	}
	m, ok := g.jobs[id]
	if g.err == nil && !ok {
		return m, fmt.Errorf("gauge the machine of job %s: it does not run there: %w", id, errors.ErrUnsupported)
	}
	return m, g.err
}

// readGauges reads what the shim says: "disk FREE TOTAL" in KB, a line of
// nvidia-smi for each GPU, and "job ID GPU,GPU" for each job. What cannot be
// read is unknown.
func readGauges(text string) map[string]job.Gauge {
	all := map[string]job.Gauge{}
	var free, total int64
	gpus := map[string]job.GPUGauge{}
	for line := range strings.Lines(text) {
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch fields := strings.Fields(rest); {
		case kind == "disk" && len(fields) == 2:
			free, total = kilobytes(fields[0]), kilobytes(fields[1])
		case kind == "gpu":
			if index, gpu, ok := readGPU(rest); ok {
				gpus[index] = gpu
			}
		case kind == "job" && len(fields) > 0:
			all[fields[0]] = jobGauge(free, total, gpus, strings.Join(fields[1:], ","))
		}
	}
	return all
}

func jobGauge(free, total int64, gpus map[string]job.GPUGauge, given string) job.Gauge {
	m := job.Gauge{DiskFree: free, DiskTotal: total}
	indices := strings.FieldsFunc(given, func(r rune) bool { return r == ',' })
	slices.Sort(indices)
	for _, index := range indices {
		if gpu, ok := gpus[index]; ok {
			m.GPUs = append(m.GPUs, gpu)
		}
	}
	return m
}

// readGPU reads "INDEX, NAME, BUSY, USED, TOTAL". What the driver does not tell
// of its work counts as busy, so that nothing is said of it.
func readGPU(line string) (index string, g job.GPUGauge, ok bool) {
	f := strings.Split(line, ", ")
	if len(f) != 5 {
		return "", g, false
	}
	percent, err := strconv.ParseFloat(strings.TrimSpace(f[2]), 64)
	if err != nil {
		percent = 100
	}
	g = job.GPUGauge{Name: f[1], Busy: percent / 100}
	g.MemoryMB, _ = strconv.ParseInt(strings.TrimSpace(f[3]), 10, 64) // 0 if it is not told
	g.MemoryTotalMB, _ = strconv.ParseInt(strings.TrimSpace(f[4]), 10, 64)
	return strings.TrimSpace(f[0]), g, true
}

func kilobytes(text string) int64 {
	kb, _ := strconv.ParseInt(text, 10, 64) // 0 is unknown
	return kb << 10
}
