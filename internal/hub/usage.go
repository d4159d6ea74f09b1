package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// A Usage is what a job uses of its machine at the moment.
type Usage struct {
	CPUPercent  float64             `json:"cpu_usage_pct"` // 100 for each core
	MemoryBytes int64               `json:"memory_used_bytes"`
	MemoryTotal int64               `json:"memory_total_bytes"`
	GPUs        map[string]GPUUsage `json:"gpus"` // by their id
}

// GPUUsage is the same of a GPU.
type GPUUsage struct {
	Percent     float64 `json:"utilization"`
	MemoryBytes int64   `json:"memory_used_bytes"`
	MemoryTotal int64   `json:"memory_total_bytes"`
}

// JobUsage tells what a job that runs uses. The Hub says it as long as one
// listens; the first that it says is taken.
func (c *Client) JobUsage(ctx context.Context, namespace, id string) (u Usage, err error) {
	path, err := c.jobPath(ctx, namespace, id, "metrics")
	if err != nil {
		return u, fmt.Errorf("see what job %s uses: %w", id, err)
	}
	resp, err := c.do(ctx, call{method: "GET", path: path, limit: followLimit, header: http.Header{"Accept": {"text/event-stream"}}})
	if err != nil {
		return u, fmt.Errorf("see what job %s uses: %w", id, err)
	}
	defer resp.Body.Close()
	for ev, err := range events(resp.Body) {
		if err != nil {
			return u, fmt.Errorf("see what job %s uses: %w", id, plainError(resp.Request.URL, err))
		}
		if ev.name != "metric" {
			continue
		}
		if err := json.Unmarshal(ev.data, &u); err != nil {
			return u, fmt.Errorf("see what job %s uses: %w", id, err)
		}
		return u, nil
	}
	return u, fmt.Errorf("see what job %s uses: the Hub does not say it", id)
}
