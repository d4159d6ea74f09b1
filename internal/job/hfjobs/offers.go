package hfjobs

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/job"
)

// How long the Hub's list of hardware is believed: for who looks, and for who
// pays.
const (
	offersFor = 10 * time.Minute
	pricesFor = 20 * time.Second
)

// Offers implements job.Backend.
func (b *Backend) Offers(ctx context.Context) ([]job.Offer, error) {
	return b.offersSince(ctx, offersFor)
}

// offersSince lists the hardware as it was so long ago at most.
func (b *Backend) offersSince(ctx context.Context, age time.Duration) ([]job.Offer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.offers != nil && time.Since(b.offersAt) < age {
		return slices.Clone(b.offers), nil
	}
	ctx, stop := context.WithTimeout(ctx, askLimit)
	defer stop()
	all, err := b.Hub.JobHardware(ctx)
	if err != nil {
		return nil, b.plainly(err, b.Namespace)
	}
	offers := make([]job.Offer, len(all))
	for i, h := range all {
		offers[i] = offerOf(h)
	}
	slices.SortStableFunc(offers, job.ByPrice)
	b.offers, b.offersAt = offers, time.Now()
	return slices.Clone(offers), nil
}

// choose is the hardware for a spec.
func (b *Backend) choose(ctx context.Context, spec job.Spec) (job.Offer, error) {
	offers, err := b.offersSince(ctx, pricesFor)
	if err != nil {
		return job.Offer{}, err
	}
	if spec.Flavor != "" && !slices.ContainsFunc(offers, func(o job.Offer) bool { return o.Flavor == spec.Flavor }) {
		names := make([]string, len(offers))
		for i, o := range offers {
			names[i] = o.Flavor
		}
		return job.Offer{}, fmt.Errorf("the Hub has no hardware %q: it has %s", spec.Flavor, strings.Join(names, ", "))
	}
	return job.Choose(offers, spec)
}

// offerOf reads hardware as the Hub describes it, in words for people.
func offerOf(h hub.Hardware) job.Offer {
	o := job.Offer{
		Flavor: h.Name, Note: h.Pretty, CPUs: int(amount(h.CPU)), MemoryMB: int64(amount(h.RAM) * 1024),
		FreeGPUs: -1, FreeCPUs: -1, Queued: -1, DefaultLimitS: int(defaultTimeLimit / time.Second), Ephemeral: true,
	}
	if a := h.Accelerator; a != nil {
		if a.Type == "gpu" {
			o.GPU, o.GPUs = a.Model, max(int(amount(a.Quantity)), 1)
			o.GPUMemoryMB = int64(amount(a.VRAM) * 1024 / float64(o.GPUs)) // the Hub adds them up
		} else { // nothing that runs CUDA
			o.Note += " (" + a.Quantity + " " + a.Model + ")"
		}
	}
	perHour := map[string]float64{"second": 3600, "minute": 60, "hour": 1}[h.Unit]
	o.USDPerHour = float64(h.CostMicroUSD) / 1e6 * perHour
	o.PriceUnknown = perHour == 0 || h.CostMicroUSD < 0
	if o.PriceUnknown {
		o.USDPerHour = 0
	}
	return o
}

// amount is the number that a text such as "46 GB" begins with, in GB if it
// names a unit; 0 if there is none.
func amount(text string) float64 {
	number, unit, _ := strings.Cut(strings.TrimSpace(text), " ")
	n, err := strconv.ParseFloat(strings.ReplaceAll(number, ",", ""), 64)
	if err != nil || n < 0 {
		return 0
	}
	switch strings.ToUpper(strings.TrimSpace(unit)) {
	case "MB":
		return n / 1024
	case "TB":
		return n * 1024
	}
	return n
}

// inWords is hardware for people.
func inWords(o job.Offer) string {
	var words []string
	if o.GPUs > 0 {
		gpu := fmt.Sprintf("%d %s", o.GPUs, o.GPU)
		if o.GPUMemoryMB > 0 {
			gpu += fmt.Sprintf(" of %d GB", o.GPUMemoryMB/1024)
		}
		words = append(words, gpu)
	}
	if o.CPUs > 0 {
		words = append(words, fmt.Sprintf("%d CPUs", o.CPUs))
	}
	if o.MemoryMB > 0 {
		words = append(words, fmt.Sprintf("%d GB of memory", o.MemoryMB/1024))
	}
	if words == nil {
		return o.Flavor
	}
	return o.Flavor + ": " + strings.Join(words, ", ")
}
