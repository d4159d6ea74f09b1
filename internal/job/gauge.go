package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
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

// GPUQuery is what nvidia-smi is asked on a machine where nobody of ours is but
// a script: VisibleGPUs reads the answer.
const GPUQuery = "--query-gpu=index,uuid,name,utilization.gpu,memory.used,memory.total"

// VisibleGPUs are those of nvidia-smi's answer that CUDA_VISIBLE_DEVICES names,
// by index or the beginning of an UUID, in the order of the answer. What the
// driver does not tell of its work counts as busy, so that nothing is said of it.
func VisibleGPUs(answer, visible string) []GPUGauge {
	given := strings.FieldsFunc(visible, func(r rune) bool { return r == ',' || r == ' ' })
	var all []GPUGauge
	for line := range strings.Lines(answer) {
		f := strings.Split(strings.TrimSpace(line), ", ")
		if len(f) != 6 || !slices.ContainsFunc(given, func(id string) bool {
			return id == f[0] || strings.HasPrefix(id, "GPU-") && strings.HasPrefix(f[1], id)
		}) {
			continue
		}
		g := GPUGauge{Name: f[2], Busy: 1}
		if percent, err := strconv.ParseFloat(f[3], 64); err == nil {
			g.Busy = percent / 100
		}
		g.MemoryMB, _ = strconv.ParseInt(f[4], 10, 64) // 0 if it is not told
		g.MemoryTotalMB, _ = strconv.ParseInt(f[5], 10, 64)
		all = append(all, g)
	}
	return all
}
