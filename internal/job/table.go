package job

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Table is hardware as a table, a line each, "?" for what is unknown.
func Table(offers []Offer) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "BACKEND\tFLAVOR\tCPUS\tMEMORY\tGPUS\tFREE\tQUEUE\tUSD/H\tLIMIT\tNOTE")
	for _, o := range offers {
		fmt.Fprintln(w, strings.Join([]string{
			o.Backend, o.Flavor, known(o.CPUs, o.CPUs > 0), size(o.MemoryMB), o.gpus(), o.free(), known(o.Queued, o.Queued >= 0),
			o.price(), o.limit(), o.note(),
		}, "\t"))
	}
	_ = w.Flush() // into memory
	return strings.TrimRight(b.String(), "\n")
}

func known(n int, ok bool) string {
	if !ok {
		return "?"
	}
	return fmt.Sprint(n)
}

func size(mb int64) string {
	if mb == 0 {
		return "?"
	}
	return fmt.Sprintf("%d GB", (mb+512)>>10)
}

func (o Offer) gpus() string {
	if o.GPUs == 0 {
		return "-"
	}
	return fmt.Sprintf("%d x %s %s", o.GPUs, o.GPU, size(o.GPUMemoryMB))
}

// free is what is free of what the hardware is taken for.
func (o Offer) free() string {
	if o.GPUs > 0 {
		return known(o.FreeGPUs, o.FreeGPUs >= 0)
	}
	return known(o.FreeCPUs, o.FreeCPUs >= 0)
}

func (o Offer) price() string {
	switch {
	case o.PriceUnknown:
		return "?"
	case o.USDPerHour == 0:
		return "free"
	}
	return fmt.Sprintf("%.2f", o.USDPerHour)
}

func (o Offer) limit() string {
	if o.DefaultLimitS == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3g h", float64(o.DefaultLimitS)/3600)
}

func (o Offer) note() string {
	if o.Ephemeral {
		return strings.TrimSpace("disk is lost at the end " + o.Note)
	}
	return o.Note
}
