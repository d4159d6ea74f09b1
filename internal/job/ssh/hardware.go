package ssh

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/job"
)

// factsTime is how old what is known of the machine may be when a job is
// submitted.
const factsTime = time.Minute

// idleMB is the memory that a GPU nobody uses may have in use. The shim has the
// same figure.
const idleMB = 1024

// A machine is what one is and how busy.
type machine struct {
	cpus, used, waiting int // CPUs; those of our jobs; jobs that wait
	memoryMB            int64
	load                float64
	system, host, model string
	uv, python          string
	lacks               []string
	gpus                []gpu
}

// A gpu is one of the machine's.
type gpu struct {
	name     string
	memoryMB int64
	free     bool
}

// A known is the machine as it was a short time ago.
type known struct {
	turn    chan struct{} // full while somebody asks or reads
	machine machine
	at      time.Time
}

// machine returns what the machine is, as it was no longer ago than age.
func (b *Backend) machine(ctx context.Context, age time.Duration) (machine, error) {
	k := b.state().facts
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return machine{}, context.Cause(ctx)
	}
	if !k.at.IsZero() && time.Since(k.at) < age {
		return k.machine, nil
	}
	text, err := b.call(ctx, nil, "facts")
	if err != nil {
		return machine{}, err
	}
	m := readFacts(text)
	if m.cpus == 0 {
		return m, fmt.Errorf("%s does not say what it is: %q", b.Host, clip(text, 200))
	}
	k.machine, k.at = m, time.Now()
	return m, nil
}

// readFacts reads what the shim says of the machine, line by line.
func readFacts(text string) machine {
	var m machine
	var gpus [][]string
	held := map[string]bool{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		number, _ := strconv.ParseInt(value, 10, 64) // 0 if it is no number
		switch name {
		case "cpus":
			m.cpus = int(number)
		case "used":
			m.used = int(number)
		case "waiting":
			m.waiting = int(number)
		case "memory":
			m.memoryMB = number >> 10
		case "load":
			m.load, _ = strconv.ParseFloat(value, 64) // likewise
		case "system":
			m.system = value
		case "host":
			m.host = value
		case "model":
			m.model = value
		case "uv":
			m.uv = value
		case "python":
			m.python = value
		case "lacks":
			m.lacks = append(m.lacks, value)
		case "gpu":
			gpus = append(gpus, strings.Split(value, ","))
		case "held":
			for _, index := range strings.Split(value, ",") {
				held[index] = true
			}
		}
	}
	for _, fields := range gpus {
		if len(fields) != 4 {
			continue // a driver that complains
		}
		memory, _ := strconv.ParseInt(strings.TrimSpace(fields[2]), 10, 64) // 0 is unknown
		used, _ := strconv.ParseInt(strings.TrimSpace(fields[3]), 10, 64)
		m.gpus = append(m.gpus, gpu{strings.TrimSpace(fields[1]), memory, used < idleMB && !held[strings.TrimSpace(fields[0])]})
	}
	return m
}

// words are the machine for people.
func (m machine) words() string {
	text := fmt.Sprintf("%d cores", m.cpus)
	if m.model != "" {
		text += " (" + m.model + ")"
	}
	if m.memoryMB > 0 {
		text += fmt.Sprintf(", %.0f GB of memory", float64(m.memoryMB)/1024)
	}
	if len(m.gpus) == 0 {
		return text + ", no NVIDIA GPU, " + m.system
	}
	counts := map[string]int{}
	var names []string
	for _, g := range m.gpus {
		if counts[g.name]++; counts[g.name] == 1 {
			names = append(names, g.name)
		}
	}
	for _, name := range names {
		text += fmt.Sprintf(", %d × %s", counts[name], name)
	}
	return text + ", " + m.system
}

// Offers implements job.Backend: the machine without its GPUs, and one, or all,
// of each type of GPU.
func (b *Backend) Offers(ctx context.Context) ([]job.Offer, error) {
	m, err := b.machine(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("ask %s what it has: %w", b.Host, err)
	}
	return b.offers(m), nil
}

func (b *Backend) offers(m machine) []job.Offer {
	busy := max(m.used, int(math.Round(m.load)))
	cpu := job.Offer{
		Flavor: "cpu", Note: m.host + ": " + m.words(), CPUs: m.cpus, MemoryMB: m.memoryMB,
		FreeCPUs: max(0, m.cpus-busy), Queued: m.waiting, USDPerHour: b.USDPerHour,
		DefaultLimitS: int(defaultTimeLimit.Seconds()),
	}
	all := []job.Offer{cpu}
	var names []string
	for _, g := range m.gpus {
		if !slices.Contains(names, g.name) {
			names = append(names, g.name)
		}
	}
	for _, name := range names {
		o := cpu
		o.GPU = name
		for _, g := range m.gpus {
			if g.name == name {
				o.GPUs, o.GPUMemoryMB = o.GPUs+1, g.memoryMB
				if g.free {
					o.FreeGPUs++
				}
			}
		}
		if o.GPUs > 1 {
			one := o
			one.GPUs, one.FreeGPUs, one.Flavor = 1, min(o.FreeGPUs, 1), flavor(name, 1)
			all = append(all, one)
		}
		o.Flavor = flavor(name, o.GPUs)
		all = append(all, o)
	}
	return all
}

// flavor is a name without spaces: nvidia-a100-sxm4-80gb-x4.
func flavor(name string, count int) string {
	return fmt.Sprintf("%s-x%d", strings.ToLower(strings.Join(strings.Fields(name), "-")), count)
}

// A need is what of the machine a job gets.
type need struct {
	cpus        int
	gpus        int
	gpu         string
	gpuMemoryMB int64
	memoryMB    int64
}

// choose finds what the job gets, or says why it cannot be had.
func (b *Backend) choose(m machine, spec job.Spec) (need, error) {
	hw := spec.Hardware
	o, err := job.Choose(b.offers(m), spec)
	if err != nil {
		return need{}, err
	}
	n := need{cpus: max(hw.CPUs, 1), gpus: hw.GPUs, gpu: hw.GPU, gpuMemoryMB: hw.GPUMemoryMB, memoryMB: hw.MemoryMB}
	switch {
	case hw.Flavor != "":
		n = need{cpus: max(hw.CPUs, 1), gpus: o.GPUs, gpu: o.GPU, memoryMB: hw.MemoryMB}
	case hw.GPU != "" || hw.GPUMemoryMB > 0:
		n.gpus = max(hw.GPUs, 1)
	}
	n.cpus = min(n.cpus, m.cpus)
	return n, nil
}

// words are what a job gets, for people.
func (n need) words(m machine) string {
	text := fmt.Sprintf("%s: %d of %d cores", m.host, n.cpus, m.cpus)
	if m.model != "" {
		text += " (" + m.model + ")"
	}
	if n.gpus > 0 {
		name := n.gpu
		for _, g := range m.gpus {
			if strings.Contains(plain(g.name), plain(n.gpu)) {
				name = g.name
				break
			}
		}
		text += fmt.Sprintf(", %d × %s", n.gpus, name)
	}
	return text
}

// plain is a GPU's name less its spelling.
func plain(name string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", "-", "", "_", "").Replace(name))
}
