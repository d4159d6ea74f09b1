package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/job"
)

const (
	busy = 0.05 // of the time; a GPU that does less is idle

	// A disk is nearly full if its share is free and no more than plenty, or
	// next to nothing.
	plenty  = 50 << 30
	nothing = 1 << 30
)

// gauge looks at the machine of a job.
func (g *group) gauge(ctx context.Context, j *watched) (found bool) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	m, err := g.measure(ctx, j)
	if err != nil {
		return false // it may be unsupported, or the job has just ended
	}
	if low, free := diskLow(m, g.limits.DiskShare); low {
		found = j.say(DiskLow, fmt.Sprintf("%s: the disk of its results is nearly full: %s of %s are free", j.title(), size(free), size(m.DiskTotal)), "")
	} else if m.DiskTotal > 0 && float64(free) > 2*g.limits.DiskShare*float64(m.DiskTotal) {
		j.page.over(DiskLow)
	}
	return j.judgeGPUs(m.GPUs, g.limits.Idle) || found
}

func (g *group) measure(ctx context.Context, j *watched) (job.Gauge, error) {
	if j.status.PID > 0 {
		if g.w.Gauge != nil {
			return g.w.Gauge(ctx, j.status)
		}
		return Machine(ctx, j.status)
	}
	if asked, ok := g.w.Backend.(job.Gauger); ok {
		return asked.Gauge(ctx, j.id)
	}
	return job.Gauge{}, errors.ErrUnsupported
}

func diskLow(m job.Gauge, share float64) (low bool, free int64) {
	if m.DiskTotal <= 0 {
		return false, 0
	}
	return m.DiskFree < nothing || m.DiskFree < plenty && float64(m.DiskFree) < share*float64(m.DiskTotal), m.DiskFree
}

// judgeGPUs says if GPUs have done nothing for a while.
func (j *watched) judgeGPUs(gpus []job.GPUGauge, limit time.Duration) bool {
	if len(j.idle) != len(gpus) {
		j.idle = make([]time.Time, len(gpus))
	}
	idle, longest, memory := 0, time.Duration(0), int64(0)
	for i, gpu := range gpus {
		switch {
		case gpu.Busy > busy:
			j.idle[i] = time.Time{}
			continue
		case j.idle[i].IsZero():
			j.idle[i] = time.Now()
		}
		if since := time.Since(j.idle[i]); since >= limit {
			idle++
			longest = max(longest, since)
			memory = max(memory, gpu.MemoryMB)
		}
	}
	if idle == 0 {
		if !slices.ContainsFunc(j.idle, func(t time.Time) bool { return !t.IsZero() }) {
			j.page.over(GPUIdle)
		}
		return false
	}
	which := fmt.Sprintf("%d of its %d GPUs have", idle, len(gpus))
	if len(gpus) == 1 {
		which = "its GPU has"
	}
	return j.say(GPUIdle, fmt.Sprintf("%s: %s done next to nothing for %s, with %s of memory in use", j.title(), which, rough(longest), size(memory<<20)), "")
}

func size(bytes int64) string {
	if bytes < 1<<30 {
		return fmt.Sprintf("%d MB", bytes>>20)
	}
	return fmt.Sprintf("%.1f GB", float64(bytes)/(1<<30))
}

// Machine gauges this machine for one of its jobs: the disk of its results, and
// the GPUs that its process was given.
func Machine(ctx context.Context, status job.Status) (job.Gauge, error) {
	return Asking("nvidia-smi")(ctx, status)
}

// Asking is Machine, with that program as nvidia-smi.
func Asking(smi string) func(context.Context, job.Status) (job.Gauge, error) {
	return func(ctx context.Context, status job.Status) (job.Gauge, error) { return gauge(ctx, smi, status) }
}

func gauge(ctx context.Context, smi string, status job.Status) (job.Gauge, error) {
	var m job.Gauge
	var err error
	if m.DiskFree, m.DiskTotal, err = disk(status.OutputDir); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return m, fmt.Errorf("measure the disk of %s: %w", status.OutputDir, err)
	}
	visible, ok := given(status.PID)
	if !ok {
		return m, nil
	}
	gpus, err := nvidia(ctx, smi)
	if err != nil {
		return m, nil //nolint:nilerr // without a driver there are no GPUs
	}
	for i, g := range gpus {
		if visible == nil || contains(visible, i, g.uuid) {
			m.GPUs = append(m.GPUs, g.GPUGauge)
		}
	}
	return m, nil
}

// given are the GPUs that a process may use, nil for all. Only a job that was
// given some is looked at: others may leave them alone.
func given(pid int) (visible []string, ok bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return nil, false
	}
	for _, entry := range strings.Split(string(data), "\x00") {
		if list, found := strings.CutPrefix(entry, "CUDA_VISIBLE_DEVICES="); found {
			visible = strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
			return visible, len(visible) > 0 && visible[0] != "-1"
		}
	}
	return nil, false
}

func contains(visible []string, index int, uuid string) bool {
	for _, v := range visible {
		if v == strconv.Itoa(index) || strings.HasPrefix(v, "GPU-") && strings.HasPrefix(uuid, v) {
			return true
		}
	}
	return false
}

type nvidiaGPU struct {
	uuid string
	job.GPUGauge
}

// nvidia asks the driver's own program.
func nvidia(ctx context.Context, smi string) ([]nvidiaGPU, error) {
	out, err := exec.CommandContext(ctx, smi, "--query-gpu=uuid,name,utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits").Output()
	if err != nil {
		return nil, fmt.Errorf("ask nvidia-smi: %w", err)
	}
	var gpus []nvidiaGPU
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), ", ")
		if len(f) != 5 {
			continue
		}
		used, err := strconv.ParseFloat(f[2], 64)
		if err != nil {
			used = 100 // not told: then nothing is said of it
		}
		g := nvidiaGPU{uuid: f[0], GPUGauge: job.GPUGauge{Name: f[1], Busy: used / 100}}
		g.MemoryMB, _ = strconv.ParseInt(f[3], 10, 64)
		g.MemoryTotalMB, _ = strconv.ParseInt(f[4], 10, 64)
		gpus = append(gpus, g)
	}
	return gpus, nil
}
