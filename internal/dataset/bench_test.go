package dataset_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"ml-intern/internal/dataset"
)

// BenchmarkInspect reads a mixed CSV whole and reports rows per second and
// the most memory held. Its size is DATASET_BENCH_MB, 30 if unset:
//
//	DATASET_BENCH_MB=300 go test -run - -bench Inspect -benchtime 1x ./internal/dataset
func BenchmarkInspect(b *testing.B) {
	mb := 30
	if s := os.Getenv("DATASET_BENCH_MB"); s != "" {
		if _, err := fmt.Sscan(s, &mb); err != nil {
			b.Fatal(err)
		}
	}
	path := filepath.Join(b.TempDir(), "big.csv")
	n := bigTable(b, path, mb<<20)
	b.SetBytes(int64(mb) << 20)
	for b.Loop() {
		peak := peakHeap(func() {
			p, err := dataset.Inspect(b.Context(), path, dataset.Options{MaxBytes: 1 << 40, Target: "label"})
			if err != nil || p.Rows != n {
				b.Fatalf("profile %+v, error %v", p, err)
			}
		})
		b.ReportMetric(float64(peak)/1e6, "peak-MB")
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// TestMemoryIsBounded reads a table whose every cell is new, which is what
// would make counting hold it all.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 20 MB")
	}
	path := filepath.Join(t.TempDir(), "big.csv")
	bigTable(t, path, 20<<20)
	peak := peakHeap(func() {
		if _, err := dataset.Inspect(t.Context(), path, dataset.Options{}); err != nil {
			t.Error(err)
		}
	})
	if peak > 100e6 {
		t.Errorf("held %d MB", peak/1e6)
	}
}

// bigTable writes about size bytes and returns how many rows that took.
func bigTable(t testing.TB, path string, size int) (rows int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	written, _ := fmt.Fprintln(w, "id,amount,city,when,note,label")
	for written < size {
		i := rows
		n, _ := fmt.Fprintf(w, "u%08d,%d.%02d,city %d,2024-%02d-%02d,\"note %d, with some words in it\",%d\n",
			i, i*7919%100003, i%100, i*31%977, i%12+1, i%28+1, i, i%3)
		written += n
		rows++
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// peakHeap runs f and returns the most heap seen in use meanwhile, over what
// was in use before.
func peakHeap(f func()) uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, peak := m.HeapInuse, m.HeapInuse
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	for {
		select {
		case <-done:
			return peak - before
		case <-time.After(10 * time.Millisecond):
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
		}
	}
}
