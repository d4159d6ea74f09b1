package local

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/durable"
	"ml-intern/internal/job"
)

// A machine is what this one has, as far as it tells.
type machine struct {
	Words    string `json:"words"`
	MemoryMB int64  `json:"memory_mb"`
	GPUs     []gpu  `json:"gpus"`
}

// A gpu is one of NVIDIA's.
type gpu struct {
	Index    int    `json:"index"`
	Name     string `json:"name"`
	MemoryMB int64  `json:"memory_mb"`
	UUID     string `json:"uuid"`
}

const (
	machineFile = "machine.json"

	// machineAge is how long what the driver said is believed: asking takes it
	// a second on some machines.
	machineAge = time.Minute

	// gpuPatience is how long the driver may take.
	gpuPatience = 3 * time.Second

	thisMachine = "this machine"
)

// machine asks this machine, or remembers.
func (b Backend) machine(ctx context.Context) machine {
	path := filepath.Join(b.Dir, machineFile)
	if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()).Abs() < machineAge {
		var m machine
		if ok, err := folder(b.Dir).read(machineFile, &m); ok && err == nil {
			return m.seenBy(b.env())
		}
	}
	m := machine{MemoryMB: memoryMB(ctx), GPUs: b.gpus(ctx)}
	parts := []string{fmt.Sprintf("%d cores", runtime.NumCPU())}
	if model := field("/proc/cpuinfo", "model name"); model != "" {
		parts[0] += " (" + model + ")"
	}
	if m.MemoryMB > 0 {
		parts = append(parts, fmt.Sprintf("%.0f GB of memory", float64(m.MemoryMB)/(1<<10)))
	}
	m.Words = strings.Join(parts, ", ")
	if data, err := json.Marshal(m); err == nil {
		_ = durable.Replace(path, data) // it is asked again
	}
	return m.seenBy(b.env())
}

// seenBy is what an environment lets be seen of the machine.
func (m machine) seenBy(env []string) machine {
	m.GPUs = visible(m.GPUs, env)
	m.Words += ", " + gpuWords(m.GPUs)
	return m
}

// memoryMB is what programs can have together, 0 if unknown.
func memoryMB(ctx context.Context) int64 {
	kib, err := strconv.ParseInt(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"), 10, 64)
	total := kib << 10
	if err != nil {
		out, err := exec.CommandContext(ctx, "sysctl", "-n", "hw.memsize").Output() // macOS
		if err != nil {
			return 0
		}
		total, _ = strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	}
	// A container may have less.
	if data, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if most, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil {
			total = min(total, most)
		}
	}
	return total >> 20
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

// gpus lists the GPUs that NVIDIA's driver knows.
func (b Backend) gpus(ctx context.Context) (all []gpu) {
	ctx, cancel := context.WithTimeout(ctx, gpuPatience)
	defer cancel()
	out, err := exec.CommandContext(ctx, cmp.Or(b.NvidiaSMI, "nvidia-smi"),
		"--query-gpu=index,name,memory.total,uuid", "--format=csv,noheader,nounits").Output()
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return driverGPUs("/proc/driver/nvidia/gpus", "/dev")
	}
	if err != nil {
		return nil // no driver, or one that does not work
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSpace(line), ", ")
		index, err := strconv.Atoi(fields[0])
		if err != nil || len(fields) != 4 {
			continue
		}
		memory, _ := strconv.ParseInt(fields[2], 10, 64) // some do not say
		all = append(all, gpu{index, fields[1], memory, fields[3]})
	}
	return all
}

// driverGPUs lists them where only the driver is installed, less those that
// have no device here, as in a container. Their memory it does not tell.
func driverGPUs(proc, dev string) (all []gpu) {
	entries, _ := os.ReadDir(proc) // by PCI address, as CUDA is told to count
	for _, e := range entries {
		file := filepath.Join(proc, e.Name(), "information")
		if _, err := os.Stat(filepath.Join(dev, "nvidia"+field(file, "Device Minor"))); err == nil {
			all = append(all, gpu{Index: len(all), Name: field(file, "Model"), UUID: field(file, "GPU UUID")})
		}
	}
	return all
}

// visible leaves out the GPUs that somebody has hidden from this process.
func visible(all []gpu, env []string) []gpu {
	value, set := variable(env, "CUDA_VISIBLE_DEVICES")
	if !set {
		return all
	}
	chosen := strings.Split(value, ",")
	return slices.DeleteFunc(slices.Clone(all), func(g gpu) bool {
		return !slices.ContainsFunc(chosen, func(c string) bool {
			return c == strconv.Itoa(g.Index) || c != "" && strings.HasPrefix(g.UUID, c)
		})
	})
}

func gpuWords(all []gpu) string {
	if len(all) == 0 {
		return "no NVIDIA GPU"
	}
	var words []string
	for _, kind := range kinds(all) {
		words = append(words, fmt.Sprintf("%d × %s", len(kind), kind[0].Name))
	}
	return strings.Join(words, ", ")
}

// kinds groups equal GPUs.
func kinds(all []gpu) (groups [][]gpu) {
	for _, g := range all {
		i := slices.IndexFunc(groups, func(k []gpu) bool { return k[0].Name == g.Name && k[0].MemoryMB == g.MemoryMB })
		if i < 0 {
			groups = append(groups, nil)
			i = len(groups) - 1
		}
		groups[i] = append(groups[i], g)
	}
	return groups
}

// An offered part of the machine: all of it, less GPUs of other kinds.
type offered struct {
	job.Offer
	gpus []gpu
}

// offers lists the machine once for each kind of GPU. It costs nothing.
func (b Backend) offers(m machine) (all []offered) {
	groups := kinds(m.GPUs)
	for i, kind := range append(groups, nil)[:max(len(groups), 1)] {
		o := offered{gpus: kind, Offer: job.Offer{
			Flavor: thisMachine, Note: m.Words, CPUs: b.slots(), MemoryMB: m.MemoryMB,
			GPUs: len(kind), DefaultLimitS: int(defaultTimeLimit.Seconds()),
		}}
		if len(kind) > 0 {
			o.GPU, o.GPUMemoryMB = kind[0].Name, kind[0].MemoryMB
		}
		if i > 0 {
			o.Flavor += ", " + o.GPU
		}
		all = append(all, o)
	}
	return all
}

// Offers implements job.Backend: this machine, with what is free of it.
func (b Backend) Offers(ctx context.Context) ([]job.Offer, error) {
	used, err := b.inUse()
	if err != nil {
		return nil, fmt.Errorf("look at what is in use: %w", err)
	}
	queue, err := fileNames(filepath.Join(b.Dir, queueDir))
	if err != nil {
		return nil, fmt.Errorf("look at the queue: %w", err)
	}
	var all []job.Offer
	for _, o := range b.offers(b.machine(ctx)) {
		o.FreeCPUs, o.Queued = max(o.CPUs-len(used.CPUs), 0), len(queue)
		for _, g := range o.gpus {
			if !slices.Contains(used.GPUs, g.Index) {
				o.FreeGPUs++
			}
		}
		all = append(all, o.Offer)
	}
	return all, nil
}

// inUse is what jobs that are not done have, a moment ago.
func (b Backend) inUse() (used grant, err error) {
	ids, err := fileNames(filepath.Join(b.Dir, grantedDir))
	for _, id := range ids {
		if g, err := b.grantOf(id); err == nil && !b.folder(id).has(doneFile) {
			used = used.add(g)
		}
	}
	return used, err
}

// asksGPU reports whether a job asked for a GPU, by its hardware or by the
// variable that tells a library which of them to take.
func asksGPU(n need, spec job.Spec) bool {
	for _, name := range []string{"CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"} {
		if spec.Env[name] != "" {
			return true
		}
	}
	return n.GPUs > 0
}

// need is what the spec's hardware comes to here. A flavor is all of it; a GPU
// that the job was told by its environment to use is not kept for it alone.
func (b Backend) need(m machine, spec job.Spec) (need, error) {
	all := b.offers(m)
	plain := make([]job.Offer, len(all))
	for i, o := range all {
		plain[i] = o.Offer
	}
	best, err := job.Choose(plain, spec)
	if err != nil {
		return need{}, fmt.Errorf("%w; there is: %s", err, m.Words)
	}
	o := all[slices.IndexFunc(all, func(o offered) bool { return o.Flavor == best.Flavor })]
	n := need{CPUs: max(spec.CPUs, 1), Slots: b.slots(), MemoryMB: spec.MemoryMB, MachineMB: m.MemoryMB, GPUs: spec.GPUs}
	if spec.GPU != "" || spec.GPUMemoryMB > 0 {
		n.GPUs = max(n.GPUs, 1)
	}
	if spec.Flavor != "" {
		n.CPUs, n.MemoryMB, n.GPUs = o.CPUs, 0, o.GPUs
	}
	if _, told := spec.Env["CUDA_VISIBLE_DEVICES"]; told {
		n.GPUs = 0
	}
	if n.GPUs > 0 {
		for _, g := range o.gpus {
			n.Among = append(n.Among, g.Index)
		}
	}
	return n, nil
}
