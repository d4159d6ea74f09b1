package job

import (
	"context"
	"errors"
	"fmt"
)

// A Gauge is how the machine of a running job is at the moment.
type Gauge struct {
	GPUs      []GPUGauge // those that the job has
	DiskFree  int64      // bytes, where its results are
	DiskTotal int64      // 0 if unknown
}

// A GPUGauge is one GPU of a Gauge.
type GPUGauge struct {
	Name          string
	Busy          float64 // share of the time, 0 to 1
	MemoryMB      int64   // in use
	MemoryTotalMB int64   // 0 if unknown
}

// A Gauger is a Backend that can say how a job's machine is. What is not known
// is errors.ErrUnsupported.
type Gauger interface {
	Gauge(ctx context.Context, id string) (Gauge, error)
}

// Gauge implements Gauger for those that do.
func (s *Set) Gauge(ctx context.Context, id string) (Gauge, error) {
	m, _, err := s.knower(ctx, id)
	if err != nil {
		return Gauge{}, err
	}
	g, ok := m.Backend.(Gauger)
	if !ok {
		return Gauge{}, fmt.Errorf("gauge the machine of job %s: %w", id, errors.ErrUnsupported)
	}
	return g.Gauge(ctx, id)
}
