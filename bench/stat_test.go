package bench_test

import (
	"fmt"
	"slices"
	"time"
)

// quantile returns the value below which the share q of the values lies.
func quantile[T time.Duration | float64](values []T, q float64) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func median[T time.Duration | float64](values []T) T { return quantile(values, 0.5) }

// best returns the round with the lowest median: what else the machine does
// can only add.
func best(rounds [][]time.Duration) []time.Duration {
	return slices.MinFunc(rounds, func(a, b []time.Duration) int { return int(median(a) - median(b)) })
}

func total(rounds [][]time.Duration) (n int) {
	for _, r := range rounds {
		n += len(r)
	}
	return n
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", milliseconds(d)) }

// A row is one line of the report.
type row struct {
	goal    string
	what    string
	figure  string
	target  string
	verdict string
}

// verdict is "met", or by how much the target is missed.
func verdict(figure, target float64) string {
	if figure <= target {
		return "met"
	}
	return fmt.Sprintf("missed by %.0f %%", 100*(figure/target-1))
}

// holds is the verdict on a goal that is met or not.
func holds(ok bool) string {
	if ok {
		return "met"
	}
	return "missed"
}
