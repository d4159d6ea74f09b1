package bench_test

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"time"

	"ml-intern/internal/hub/hubserver"
)

// shares measures what it takes to share a session of 20,000 events, and to
// write it as a row to train on.
func (w *world) shares() []row {
	server, err := hubserver.Open(hubserver.Options{Dir: filepath.Join(w.dir, "shared"), User: "me"})
	if err != nil {
		w.Fatal(err)
	}
	h := httptest.NewServer(server)
	defer func() {
		h.Close()
		if err := server.Close(); err != nil {
			w.Error(err)
		}
	}()
	var rows []row
	for _, size := range []int{5_000_000, 100_000_000} {
		var peak, rowPeak []float64
		var took []time.Duration
		for range 3 {
			home := w.seed(13_334, 2*size, false) // of three events for two messages, of which one has the bytes
			began := time.Now()
			peak = append(peak, w.peakOfCommand(home, h.URL, "sessions", "share", "long", "--yes"))
			took = append(took, time.Since(began))
			rowPeak = append(rowPeak, w.peakOfCommand(home, h.URL, "sessions", "export", "long", "--format", "sft", "--outcome", "any", "-o", filepath.Join(home, "rows.jsonl")))
		}
		what := fmt.Sprintf("peak memory, sharing a session of 20,000 events (%d MB)", size/1_000_000)
		rows = append(rows, row{"", what, fmt.Sprintf("%.0f MB in %s, as a row to train on %.0f MB; n = %d", median(peak), median(took).Round(100*time.Millisecond), median(rowPeak), len(peak)), "100 MB", verdict(max(median(peak), median(rowPeak)), 100)})
	}
	return rows
}

// peakOfCommand runs the program with an account on the Hub, with an eye on the
// memory.
func (w *world) peakOfCommand(home, hub string, args ...string) (peak float64) {
	w.Helper()
	c := w.command(home, "http://127.0.0.1:1", w.ours.exe, args...)
	c.Env = append(c.Env, "HF_ENDPOINT="+hub, "HF_TOKEN=hf_anybody")
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		w.Fatal(err)
	}
	var watch sync.WaitGroup
	watch.Go(func() { peak = peakMemory(c.Process.Pid) })
	err := c.Wait()
	watch.Wait()
	if err != nil {
		w.Fatalf("%v ended with %v\n%s", args, err, out.String())
	}
	return peak
}
