package job_test

import (
	"testing"

	"ml-intern/internal/job"
)

func TestFitsByName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		has, need string
		fits      bool
	}{
		{"A10G", "NVIDIA A10G", true},
		{"NVIDIA A10G", "a10g", true},
		{"NVIDIA H100 80GB HBM3", "h100", true},
		{"A10G", "NVIDIA", true},
		{"A10G", "A100", false},
	} {
		err := job.Offer{GPUs: 1, GPU: c.has}.Fits(job.Hardware{GPU: c.need})
		if (err == nil) != c.fits {
			t.Errorf("%s for %s: %v", c.has, c.need, err)
		}
	}
}

// Of two that cost the same, one with a GPU that is free goes first, however
// the need says that it is for one.
func TestCheapestIsFree(t *testing.T) {
	t.Parallel()
	offers := []job.Offer{{Flavor: "busy", GPUs: 4, GPU: "A100", FreeCPUs: -1}, {Flavor: "idle", GPUs: 4, GPU: "A100", FreeGPUs: 1, FreeCPUs: -1}}
	for _, need := range []job.Hardware{{GPUs: 1}, {GPU: "A100"}, {GPUMemoryMB: 40 << 10}} {
		if o, err := job.Cheapest(offers, need); err != nil || o.Flavor != "idle" {
			t.Errorf("%+v gets %q, %v", need, o.Flavor, err)
		}
	}
}
