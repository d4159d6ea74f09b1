package fetch

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func size(t *testing.T, dir string) (total int64) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if info, err := os.Stat(f); err == nil {
			total += info.Size()
		}
	}
	return total
}

// The cache stays within its limit though several processes write to it, and
// the oldest go first.
func TestSweep(t *testing.T) {
	t.Parallel()
	dir, limit := t.TempDir(), int64(1<<20)
	start := time.Now().Add(-time.Hour)
	stray := filepath.Join(dir, "aa", "new-1")
	if err := os.MkdirAll(filepath.Dir(stray), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stray, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(stray, start, start.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	key := func(p, i int) string { return fmt.Sprintf("%02x%d-%d", i, p, i) }
	var wg sync.WaitGroup
	for p := range 3 {
		wg.Go(func() {
			c := cache{dir: dir, limit: limit}
			for i := range 200 {
				c.save(key(p, i), &Response{Status: 200, Body: make([]byte, 10<<10), Time: start.Add(time.Duration(i) * time.Second)})
				if got := size(t, dir); got > limit {
					t.Errorf("the cache has %d bytes", got)
				}
			}
		})
	}
	wg.Wait()
	c := cache{dir: dir, limit: limit}
	c.save(key(0, 199), &Response{Status: 200, Body: make([]byte, 10<<10), Time: start.Add(200 * time.Second)})
	if c.load(key(0, 199)) == nil || c.load(key(0, 0)) != nil {
		t.Error("the wrong ones were removed")
	}
	if _, err := os.Stat(stray); err == nil {
		t.Error("an unfinished file stays for ever")
	}
	c.save("aahuge", &Response{Status: 200, Body: make([]byte, 900<<10), Time: time.Now()})
	if c.load("aahuge") != nil {
		t.Error("one answer takes the whole cache")
	}
}
