package job

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// An Offer is hardware that a backend has, and what it costs.
type Offer struct {
	Backend string `json:"backend,omitempty"` // of a Set
	Flavor  string `json:"flavor"`            // as Hardware.Flavor names it
	Note    string `json:"note,omitempty"`    // for people: a queue's name, a version

	CPUs     int   `json:"cpus,omitempty"`
	MemoryMB int64 `json:"memory_mb,omitempty"`

	GPUs        int    `json:"gpus,omitempty"`
	GPU         string `json:"gpu,omitempty"`
	GPUMemoryMB int64  `json:"gpu_memory_mb,omitempty"` // of each; 0 if unknown

	FreeGPUs int `json:"free_gpus"` // -1 if unknown
	FreeCPUs int `json:"free_cpus"` // -1 if unknown
	Queued   int `json:"queued"`    // jobs that wait for it; -1 if unknown

	USDPerHour   float64 `json:"usd_per_hour"`
	PriceUnknown bool    `json:"price_unknown,omitempty"` // nobody can say; USDPerHour is 0

	DefaultLimitS int  `json:"default_limit_s,omitempty"` // time limit in seconds if a job names none
	MaxLimitS     int  `json:"max_limit_s,omitempty"`     // longest time limit in seconds; 0 if there is none
	Ephemeral     bool `json:"ephemeral,omitempty"`       // the disk is gone when the job ends
}

// Fits says why the offer does not do for the need, nil if it does.
func (o Offer) Fits(need Hardware) error {
	if pin := need.Pin; pin.Flavor != "" && (o.PriceUnknown || o.USDPerHour > pin.USDPerHour+1e-9) {
		return fmt.Errorf("it does not cost the $%.2f an hour that were quoted, but %s", pin.USDPerHour, o.price())
	}
	if need.Flavor != "" {
		if need.Flavor != o.Flavor {
			return fmt.Errorf("it is %s, not %s", o.Flavor, need.Flavor)
		}
		return nil
	}
	switch {
	case need.CPUs > o.CPUs && o.CPUs > 0:
		return fmt.Errorf("it has %d CPUs, not %d", o.CPUs, need.CPUs)
	case need.MemoryMB > o.MemoryMB && o.MemoryMB > 0:
		return fmt.Errorf("it has %d MB of memory, not %d", o.MemoryMB, need.MemoryMB)
	case need.GPU == "" && need.GPUMemoryMB == 0 && need.GPUs == 0:
		return nil
	case max(need.GPUs, 1) > o.GPUs:
		return fmt.Errorf("it has %d GPUs, not %d", o.GPUs, max(need.GPUs, 1))
	case !strings.Contains(plain(o.GPU), plain(need.GPU)):
		return fmt.Errorf("its GPU is %s, not %s", o.GPU, need.GPU)
	case need.GPUMemoryMB > o.GPUMemoryMB && o.GPUMemoryMB > 0:
		return fmt.Errorf("its GPU has %d MB, not %d", o.GPUMemoryMB, need.GPUMemoryMB)
	}
	return nil
}

// plain is a name of hardware less its spelling: A10G, a10g and "NVIDIA A10G".
func plain(name string) string {
	return strings.NewReplacer(" ", "", "-", "", "_", "", "nvidia", "").Replace(strings.ToLower(name))
}

// Choose is the offer that a job gets: the Cheapest of those where it may run
// for as long as it asks for. It is what quotes a job and what places it.
func Choose(offers []Offer, spec Spec) (Offer, error) {
	var long []Offer
	var short []string
	for _, o := range offers {
		limit, most := cmp.Or(spec.TimeLimit, seconds(o.DefaultLimitS)), seconds(o.MaxLimitS)
		if most > 0 && limit > most {
			short = append(short, fmt.Sprintf("%s: jobs may run for %s, not %s", o.Flavor, most, limit))
			continue
		}
		long = append(long, o)
	}
	offer, err := Cheapest(long, spec.Hardware)
	if err != nil && len(short) > 0 {
		err = fmt.Errorf("%w; %s", err, strings.Join(short, "; "))
	}
	return offer, err
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// Cheapest is the offer that fits the need and costs least; of those, one
// without GPUs if none is needed, and one that is free before one that is not.
func Cheapest(offers []Offer, need Hardware) (Offer, error) {
	if pin := need.Pin.Flavor; pin != "" {
		offers = slices.DeleteFunc(slices.Clone(offers), func(o Offer) bool { return o.Flavor != pin })
		if len(offers) == 0 {
			return Offer{}, fmt.Errorf("%s, which was quoted, cannot be had any more: ask again for what there is", pin)
		}
	}
	var fit []Offer
	var why []string
	for _, o := range offers {
		if err := o.Fits(need); err != nil {
			why = append(why, o.Flavor+": "+err.Error())
			continue
		}
		fit = append(fit, o)
	}
	if len(fit) == 0 {
		return Offer{}, fmt.Errorf("no hardware here fits the job: %s", strings.Join(why, "; "))
	}
	return slices.MinFunc(fit, func(a, b Offer) int {
		return cmp.Or(ByPrice(a, b), compareBool(a.idles(need), b.idles(need)), compareBool(a.full(need), b.full(need)))
	}), nil
}

// ByPrice puts what costs less first, and last what nobody knows the price of.
func ByPrice(a, b Offer) int {
	return cmp.Or(compareBool(a.PriceUnknown, b.PriceUnknown), cmp.Compare(a.USDPerHour, b.USDPerHour))
}

// idles reports whether the offer has GPUs that the job does not ask for.
func (o Offer) idles(need Hardware) bool {
	return o.GPUs > 0 && need.GPUs == 0 && need.GPU == "" && need.GPUMemoryMB == 0
}

// full reports whether the job would have to wait, as far as is known.
func (o Offer) full(need Hardware) bool {
	gpus := need.GPUs
	if need.GPU != "" || need.GPUMemoryMB > 0 {
		gpus = max(gpus, 1)
	}
	return o.FreeGPUs >= 0 && o.FreeGPUs < gpus || o.FreeCPUs >= 0 && o.FreeCPUs < need.CPUs || o.Queued > 0
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
