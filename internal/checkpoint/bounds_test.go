package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A workspace beyond the bounds is given up, and not looked at again at once.
func TestTooLarge(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.TempDir(), dir)
	if err != nil {
		t.Fatal(err)
	}
	// Folders in folders beyond the bound are left out, not followed for ever.
	deep := dir
	for i := range maxDepth + 20 {
		deep = filepath.Join(deep, "d")
		if err := os.Mkdir(deep, 0o700); err != nil {
			t.Skipf("no more than %d folders in each other: %v", i, err)
		}
	}
	taken, err := s.Take(t.Context(), "s", Before)
	if err != nil || taken.Counts.LeftOut[reasonDeep] != 1 {
		t.Errorf("%+v %v", taken.Counts, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "many"), 0o700); err != nil {
		t.Fatal(err)
	}
	one := filepath.Join(dir, "many", "one")
	if err := os.WriteFile(one, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range maxFiles {
		if i%60_000 == 0 { // a file has no more names than that
			one = filepath.Join(dir, "many", fmt.Sprint("one", i))
			if err := os.WriteFile(one, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Link(one, filepath.Join(dir, "many", fmt.Sprint(i))); err != nil {
			t.Skip(err)
		}
	}
	for range 2 {
		start := time.Now()
		if _, err := s.Take(t.Context(), "s", Before); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v", err)
		}
		if took := time.Since(start); took > 2*maxWait {
			t.Errorf("it took %v to give up", took)
		}
	}
	if !s.gaveUp() {
		t.Error("it is looked at again each time")
	}
}
