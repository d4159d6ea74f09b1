package local

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/job"
)

// hardware says in words what this machine is: cores, memory, GPUs, as far as
// it tells.
func hardware(ctx context.Context) string {
	parts := []string{fmt.Sprintf("%d cores", runtime.NumCPU())}
	if model := field("/proc/cpuinfo", "model name"); model != "" {
		parts[0] += " (" + model + ")"
	}
	if kib, err := strconv.ParseInt(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		parts = append(parts, fmt.Sprintf("%.0f GB of memory", float64(kib)/(1<<20)))
	}
	return strings.Join(append(parts, gpus(ctx)), ", ")
}

// Offers implements job.Backend: this machine, which costs nothing.
func (b Backend) Offers(ctx context.Context) ([]job.Offer, error) {
	return []job.Offer{{
		Flavor: "this machine", Note: hardware(ctx), CPUs: b.slots(), FreeGPUs: -1, FreeCPUs: -1, Queued: -1,
		DefaultLimitS: int(defaultTimeLimit.Seconds()),
	}}, nil
}

// field is the value of the first line of that name.
func field(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return "" // not on this system
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// gpuPatience is how long the driver may take to say what it has.
const gpuPatience = 3 * time.Second

// gpus lists the GPUs that NVIDIA's driver knows.
func gpus(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, gpuPatience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu=name", "--format=csv,noheader").Output()
	names := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || names[0] == "" {
		return "no NVIDIA GPU"
	}
	return fmt.Sprintf("%d × %s", len(names), names[0])
}
