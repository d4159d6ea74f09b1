package series

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// BenchmarkLog reads what a run of Trainer prints, bars included.
func BenchmarkLog(b *testing.B) {
	var lines []string
	size := 0
	for i := range 1000 {
		line := fmt.Sprintf("{'loss': %.4f, 'grad_norm': 1.25, 'learning_rate': 4.9e-05, 'epoch': %.2f}", 2-float64(i)/1000, float64(i)/100)
		switch i % 4 {
		case 1:
			line = fmt.Sprintf(" %d%%|%s| %d/1000 [00:10<00:12,  4.50it/s]", i/10, strings.Repeat("█", i/100), i)
		case 2:
			line = fmt.Sprintf("2026-11-26 18:00:00,123 INFO train.py:12 step=%d loss=1.5", i)
		case 3:
			line = "Some weights of the model were not used when initializing, and that is expected 2.0"
		}
		lines = append(lines, line)
		size += len(line) + 1
	}
	b.SetBytes(int64(size))
	for b.Loop() {
		var s Set
		var l Log
		for _, line := range lines {
			l.Line(line, time.Time{}, s.Add)
		}
	}
}
