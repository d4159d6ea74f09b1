package space

import "slices"

// Hardware is a machine that a Space or a job can have.
type Hardware struct {
	Name         string       `json:"name"`
	Pretty       string       `json:"prettyName"`
	CPU          string       `json:"cpu"`
	RAM          string       `json:"ram"`
	Disk         string       `json:"ephemeralStorage,omitempty"`
	Accelerator  *Accelerator `json:"accelerator"`
	CostMicroUSD int64        `json:"unitCostMicroUSD"`
	CostUSD      float64      `json:"unitCostUSD"`
	Unit         string       `json:"unitLabel"`
}

// An Accelerator is the part of a machine that computes fast.
type Accelerator struct {
	Type         string `json:"type"`
	Model        string `json:"model"`
	Quantity     string `json:"quantity"`
	VRAM         string `json:"vram"`
	Manufacturer string `json:"manufacturer"`
}

// Flavors lists the hardware that a Space can ask for.
func Flavors() []Hardware { return slices.Clone(flavors) }

func costs(flavor string) bool {
	return slices.ContainsFunc(flavors, func(h Hardware) bool { return h.Name == flavor && h.CostMicroUSD > 0 })
}

// flavors has what the Hub has, at about its prices: millionths of a dollar
// for each minute.
var flavors = []Hardware{
	cpu(FreeFlavor, "CPU basic", "2 vCPU", "16 GB", 0),
	cpu("cpu-upgrade", "CPU upgrade", "8 vCPU", "32 GB", 500),
	cpu("cpu-performance", "CPU performance", "32 vCPU", "256 GB", 31667),
	cpu("cpu-xl", "CPU XL", "16 vCPU", "124 GB", 16667),
	gpu("t4-small", "Nvidia T4 - small", "4 vCPU", "15 GB", "T4", "1", "16 GB", 6667),
	gpu("t4-medium", "Nvidia T4 - medium", "8 vCPU", "30 GB", "T4", "1", "16 GB", 10000),
	gpu("l4x1", "1x Nvidia L4", "8 vCPU", "30 GB", "L4", "1", "24 GB", 13333),
	gpu("l4x4", "4x Nvidia L4", "48 vCPU", "186 GB", "L4", "4", "96 GB", 63333),
	gpu("l40sx1", "1x Nvidia L40S", "8 vCPU", "62 GB", "L40S", "1", "48 GB", 30000),
	gpu("l40sx4", "4x Nvidia L40S", "48 vCPU", "382 GB", "L40S", "4", "192 GB", 138333),
	gpu("l40sx8", "8x Nvidia L40S", "192 vCPU", "1534 GB", "L40S", "8", "384 GB", 391667),
	gpu("a10g-small", "Nvidia A10G - small", "4 vCPU", "15 GB", "A10G", "1", "24 GB", 16667),
	gpu("a10g-large", "Nvidia A10G - large", "12 vCPU", "46 GB", "A10G", "1", "24 GB", 25000),
	gpu("a10g-largex2", "2x Nvidia A10G - large", "24 vCPU", "92 GB", "A10G", "2", "48 GB", 50000),
	gpu("a10g-largex4", "4x Nvidia A10G - large", "48 vCPU", "184 GB", "A10G", "4", "96 GB", 83333),
	gpu("a100-large", "Nvidia A100 - large", "12 vCPU", "142 GB", "A100", "1", "80 GB", 41667),
	gpu("a100x4", "4x Nvidia A100", "48 vCPU", "568 GB", "A100", "4", "320 GB", 166667),
	gpu("a100x8", "8x Nvidia A100", "96 vCPU", "1136 GB", "A100", "8", "640 GB", 333333),
	gpu("h200", "Nvidia H200", "23 vCPU", "256 GB", "H200", "1", "141 GB", 83333),
	gpu("h200x2", "2x Nvidia H200", "46 vCPU", "512 GB", "H200", "2", "282 GB", 166667),
	gpu("h200x4", "4x Nvidia H200", "92 vCPU", "1024 GB", "H200", "4", "564 GB", 333333),
	gpu("h200x8", "8x Nvidia H200", "184 vCPU", "2048 GB", "H200", "8", "1128 GB", 666667),
	gpu("rtx-pro-6000", "Nvidia RTX PRO 6000", "24 vCPU", "256 GB", "RTX PRO 6000", "1", "96 GB", 45833),
	gpu("rtx-pro-6000x2", "2x Nvidia RTX PRO 6000", "48 vCPU", "512 GB", "RTX PRO 6000", "2", "192 GB", 91667),
	gpu("rtx-pro-6000x4", "4x Nvidia RTX PRO 6000", "96 vCPU", "1024 GB", "RTX PRO 6000", "4", "384 GB", 183333),
	gpu("rtx-pro-6000x8", "8x Nvidia RTX PRO 6000", "192 vCPU", "2048 GB", "RTX PRO 6000", "8", "768 GB", 366667),
	gpu("zero-a10g", "ZeroGPU", "4 vCPU", "16 GB", "A100", "1", "40 GB", 0),
}

func cpu(name, pretty, cores, ram string, cost int64) Hardware {
	return Hardware{
		Name: name, Pretty: pretty, CPU: cores, RAM: ram, Disk: "50 GB",
		CostMicroUSD: cost, CostUSD: float64(cost) / 1e6, Unit: "minute",
	}
}

func gpu(name, pretty, cores, ram, model, n, vram string, cost int64) Hardware {
	h := cpu(name, pretty, cores, ram, cost)
	h.Accelerator = &Accelerator{"gpu", model, n, vram, "Nvidia"}
	return h
}
