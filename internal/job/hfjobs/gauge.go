package hfjobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"ml-intern/internal/job"
)

var _ job.Gauger = (*Backend)(nil)

const (
	gaugeLimit = 15 * time.Second // of one question

	// gaugePace is how long the Hub, which counts questions, is left alone after
	// one: of many jobs each is asked for so much the less often.
	gaugePace = 3 * time.Second
	gaugeOver = 15 * time.Minute // who was not asked for is not counted any more
)

// gauged is when jobs were asked for what they use.
type gauged struct {
	mu  sync.Mutex
	at  map[string]time.Time // asked for by somebody
	due map[string]time.Time // then the Hub may be asked
	cpu map[string]bool      // it has no GPU, so there is nothing to ask
}

// may reports whether the Hub may be asked for a job now, and counts that.
func (g *gauged) may(id string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.at == nil {
		g.at, g.due, g.cpu = map[string]time.Time{}, map[string]time.Time{}, map[string]bool{}
	}
	if g.cpu[id] {
		return false
	}
	g.at[id] = now
	maps.DeleteFunc(g.at, func(_ string, at time.Time) bool { return now.Sub(at) > gaugeOver })
	if now.Before(g.due[id]) {
		return false
	}
	g.due[id] = now.Add(time.Duration(len(g.at)) * gaugePace)
	return true
}

func (g *gauged) noGPU(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cpu[id] = true
	delete(g.at, id)
}

// Gauge implements job.Gauger: the GPUs of a job that runs, as the Hub sees
// them. Of its disk the Hub says nothing.
func (b *Backend) Gauge(ctx context.Context, id string) (job.Gauge, error) {
	var m job.Gauge
	rec, err := b.records().Get(id)
	if err != nil {
		return m, err
	}
	if rec.Ref == "" || rec.Last.State != job.Running || !b.gauged.may(id, time.Now()) {
		return m, fmt.Errorf("gauge the machine of job %s now: %w", id, errors.ErrUnsupported)
	}
	ctx, stop := context.WithTimeout(ctx, gaugeLimit)
	defer stop()
	u, err := b.Hub.JobUsage(ctx, rec.Kept[keptNamespace], rec.Ref)
	if err != nil {
		return m, err
	}
	for _, name := range slices.Sorted(maps.Keys(u.GPUs)) {
		gpu := u.GPUs[name]
		m.GPUs = append(m.GPUs, job.GPUGauge{Name: name, Busy: gpu.Percent / 100, MemoryMB: gpu.MemoryBytes >> 20, MemoryTotalMB: gpu.MemoryTotal >> 20})
	}
	if len(m.GPUs) == 0 {
		b.gauged.noGPU(id)
	}
	return m, nil
}
