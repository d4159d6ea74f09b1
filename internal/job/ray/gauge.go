package ray

import (
	"context"
	"errors"
	"fmt"

	"ml-intern/internal/job"
)

var _ job.Gauger = Backend{}

// Gauge implements job.Gauger: the disk of the job's node, and the GPUs that Ray
// has given the job, as its shim has noted them a minute ago at most.
func (b Backend) Gauge(ctx context.Context, id string) (job.Gauge, error) {
	rec, err := b.records().Get(id)
	if err != nil {
		return job.Gauge{}, err
	}
	if rec.Last.State != job.Running {
		return job.Gauge{}, fmt.Errorf("gauge the machine of job %s: it does not run: %w", id, errors.ErrUnsupported)
	}
	var noted struct {
		Free    int64  `json:"free"`
		Total   int64  `json:"total"`
		Visible string `json:"visible"` // CUDA_VISIBLE_DEVICES
		GPUs    string `json:"gpus"`    // what nvidia-smi said
	}
	found, _, err := b.shimFile(ctx, rec, "gauge.json", &noted)
	switch {
	case err != nil:
		return job.Gauge{}, err
	case !found:
		return job.Gauge{}, fmt.Errorf("gauge the machine of job %s: it has noted nothing: %w", id, errors.ErrUnsupported)
	}
	return job.Gauge{GPUs: job.VisibleGPUs(noted.GPUs, noted.Visible), DiskFree: noted.Free, DiskTotal: noted.Total}, nil
}
