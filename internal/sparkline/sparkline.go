// Package sparkline draws numbers in one line of blocks.
//
// Its one rule: what is no number leaves a hole, and any numbers draw. It owns
// nothing.
package sparkline

import "math"

// Draw shows the values in at most width characters, each the mean of its
// part, from the lowest to the highest of them. A part without a number is a
// space. Less than two values draw nothing.
func Draw(values []float64, width int) string {
	if len(values) < 2 || width < 1 {
		return ""
	}
	width = min(width, len(values))
	bars := []rune("▁▂▃▄▅▆▇█")
	parts := make([]float64, width)
	low, high := math.Inf(1), math.Inf(-1)
	for i := range parts {
		parts[i] = mean(values[i*len(values)/width : (i+1)*len(values)/width])
		if !math.IsNaN(parts[i]) {
			low, high = min(low, parts[i]), max(high, parts[i])
		}
	}
	line := make([]rune, width)
	for i, v := range parts {
		level := 0
		if high > low {
			level = int((v/2 - low/2) / (high/2 - low/2) * float64(len(bars)-1))
		}
		if line[i] = ' '; !math.IsNaN(v) {
			line[i] = bars[min(max(level, 0), len(bars)-1)]
		}
	}
	return string(line)
}

// mean is that of the numbers among the values; NaN if there is none.
func mean(values []float64) float64 {
	n := 0
	for _, v := range values {
		if finite(v) {
			n++
		}
	}
	if n == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, v := range values {
		if finite(v) {
			sum += v / float64(n)
		}
	}
	return sum
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
