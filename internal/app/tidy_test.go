package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What commands left in protected places is kept for a while, and not without
// bound: the newest stays.
func TestTidyAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name string, ago time.Duration) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Join(path, "hooks"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "hooks", "pre-commit"), []byte(strings.Repeat("x", 100)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Now().Add(-ago), time.Now().Add(-ago)); err != nil {
			t.Fatal(err)
		}
	}
	put("20260101-000000.000000", 31*24*time.Hour)
	for day := 1; day < 6; day++ {
		put(fmt.Sprintf("2026110%d-000000.000000", day), time.Hour)
	}
	if err := tidyAside(dir, 350); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 3 || !strings.HasPrefix(left[0].Name(), "20261103") {
		t.Errorf("left %v, %v", left, err)
	}
}
