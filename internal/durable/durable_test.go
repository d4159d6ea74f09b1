package durable_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"ml-intern/internal/durable"
)

// Who reads while others write sees one of the texts whole, and no other file is
// left in the folder, also of a write that failed.
func TestReplace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "record")
	var writers sync.WaitGroup
	for n := range 4 {
		writers.Go(func() {
			for range 20 {
				if err := durable.Replace(path, []byte(strings.Repeat(strconv.Itoa(n), 10_000))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 100 {
		data, err := os.ReadFile(path)
		if err == nil && (len(data) != 10_000 || strings.Trim(string(data), string(data[:1])) != "") {
			t.Fatalf("a part: %d bytes", len(data))
		}
	}
	writers.Wait()
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.Replace(filepath.Join(dir, "folder"), []byte("x")); err == nil {
		t.Error("a folder was replaced")
	}
	if err := durable.Replace(filepath.Join(dir, "nowhere", "x"), nil); err == nil {
		t.Error("a file was made in no folder")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read it: %v, %v", info, err)
	}
}
