//go:build unix

package checkpoint_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/checkpoint"
)

// workspaceOf makes a workspace of n files of text, of 2 KB on average, 25 in a
// folder, written a while ago.
func workspaceOf(tb testing.TB, n int) string {
	tb.Helper()
	dir := tb.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	old := time.Now().Add(-time.Hour)
	words := []string{"import", "return", "self", "loss", "model", "for", "in", "range", "(x)", "=", "0.1", "\n    ", "def", "train", "batch"}
	for i := range n {
		folder := filepath.Join(dir, fmt.Sprintf("p%02d", i/1000), fmt.Sprintf("m%02d", i/25%40))
		if i%25 == 0 {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				tb.Fatal(err)
			}
		}
		size := int(200 + random.ExpFloat64()*1800)
		text := make([]byte, 0, size+16)
		text = fmt.Appendf(text, "# file %d\n", i)
		for len(text) < size {
			text = append(append(text, words[random.IntN(len(words))]...), ' ')
		}
		path := filepath.Join(folder, fmt.Sprintf("file_%03d.py", i))
		if err := os.WriteFile(path, text, 0o644); err != nil {
			tb.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

func BenchmarkTake(b *testing.B) {
	dir := workspaceOf(b, 50_000)
	time.Sleep(200 * time.Millisecond)
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			s := open(b, dir)
			b.StartTimer()
			end := cpu(b)
			taken := take(b, s, checkpoint.Before)
			end()
			b.ReportMetric(float64(taken.Counts.Bytes)/1e6, "MB")
			b.ReportMetric(float64(taken.Added)/1e6, "packed-MB")
		}
	})
	b.Run("again", func(b *testing.B) {
		s := open(b, dir)
		take(b, s, checkpoint.Before)
		for b.Loop() {
			end := cpu(b)
			take(b, s, checkpoint.After)
			end()
		}
	})
	b.Run("one changed", func(b *testing.B) {
		s := open(b, dir)
		take(b, s, checkpoint.Before)
		for b.Loop() {
			b.StopTimer()
			write(b, dir, "p00/m00/file_000.py", fmt.Sprint(time.Now()))
			b.StartTimer()
			take(b, s, checkpoint.After)
		}
	})
}

// cpu reports what processor time an operation took: on a machine that does
// other things, too, it says more than the clock.
func cpu(b *testing.B) func() {
	var before, after syscall.Rusage
	_ = syscall.Getrusage(0, &before)
	return func() {
		_ = syscall.Getrusage(0, &after)
		ns := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
		b.ReportMetric(float64(ns)/1e6, "cpu-ms")
	}
}
