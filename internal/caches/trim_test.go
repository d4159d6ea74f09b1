package caches_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/caches"
)

// aged puts a file of a size that was last used so long ago.
func aged(t *testing.T, dir, path string, size int, ago time.Duration) {
	t.Helper()
	path = filepath.Join(dir, path)
	put(t, path, strings.Repeat("x", size))
	for at := path; at != dir; at = filepath.Dir(at) {
		when := time.Now().Add(-ago)
		if info, err := os.Stat(at); err == nil && at != path && info.ModTime().Before(when) {
			continue
		}
		if err := os.Chtimes(at, when, when); err != nil {
			t.Fatal(err)
		}
	}
}

func (c check) there(want bool, paths ...string) {
	c.Helper()
	for _, path := range paths {
		if _, err := os.Lstat(filepath.Join(c.dir, path)); errors.Is(err, fs.ErrNotExist) == want {
			c.Errorf("%s is there: %v, %v", path, !want, err)
		}
	}
}

const day = 24 * time.Hour

func shelf(t *testing.T) (caches.Caches, check) {
	t.Helper()
	c := caches.Caches{Dir: filepath.Join(t.TempDir(), "caches")}
	aged(t, c.Dir, "huggingface/hub/models--a--old/blobs/x", 400, 9*day)
	aged(t, c.Dir, "huggingface/hub/models--a--older/blobs/x", 100, 10*day)
	aged(t, c.Dir, "huggingface/hub/models--a--new/blobs/x", 300, 2*day)
	aged(t, c.Dir, "huggingface/trackio/runs.db", 500, 90*day)
	aged(t, c.Dir, "uv/archive-v0/a/x", 300, 60*day)
	aged(t, c.Dir, "uv/wheels-v5/b", 10, time.Hour) // it is used, as a whole
	aged(t, c.Dir, "torch/hub/checkpoints/resnet.pth", 200, 8*day)
	return c, check{t, c.Dir}
}

func free() bool { return false }

// What was not used for longest goes first, each model by itself, and what is used
// or is no cache stays.
func TestTrim(t *testing.T) {
	t.Parallel()
	c, is := shelf(t)
	if freed, err := c.Trim(t.Context(), 2000, free); freed != 0 || err != nil {
		t.Error(freed, err)
	}
	if freed, err := c.Trim(t.Context(), 900, free); freed != 500 || err != nil { // of 1310; 410 and a tenth must go
		t.Error(freed, err)
	}
	is.there(false, "huggingface/hub/models--a--old", "huggingface/hub/models--a--older")
	is.there(true, "huggingface/hub/models--a--new/blobs/x", "huggingface/trackio/runs.db", "uv/archive-v0/a/x", "torch/hub/checkpoints/resnet.pth")
	if freed, err := c.Trim(t.Context(), 1, free); freed != 500 || err != nil {
		t.Error(freed, err)
	}
	is.there(false, "huggingface/hub/models--a--new", "torch/hub/checkpoints/resnet.pth")
	is.there(true, "huggingface/trackio/runs.db", "uv/archive-v0/a/x", "uv/wheels-v5/b")
	left, err := os.ReadDir(c.Dir)
	if err != nil || len(left) != 3 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// While a command or a job may use the caches nothing goes; what a process that was
// killed had begun to remove does, later.
func TestTrimWhileUsed(t *testing.T) {
	t.Parallel()
	c, is := shelf(t)
	done, again := c.Use(t.Context()), c.Use(t.Context())
	done()
	for _, busy := range []func() bool{free, func() bool { return true }} {
		if freed, err := c.Trim(t.Context(), 1, busy); freed != 0 || err != nil {
			t.Error(freed, err)
		}
		is.there(true, "huggingface/hub/models--a--older/blobs/x")
		again()
	}
	put(t, filepath.Join(c.Dir, ".trash-20261127", "0", "x"), "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if freed, err := c.Trim(ctx, 1, free); freed != 0 || !errors.Is(err, context.Canceled) {
		t.Error(freed, err)
	}
	is.there(true, "huggingface/hub/models--a--older/blobs/x")
	if freed, err := c.Trim(t.Context(), 1, free); freed != 1000 || err != nil {
		t.Error(freed, err)
	}
	is.there(false, ".trash-20261127")
	if freed, err := (caches.Caches{Dir: filepath.Join(t.TempDir(), "none")}).Trim(t.Context(), 1, free); freed != 0 || err != nil {
		t.Error(freed, err)
	}
}

// A link that a command put in the place of a folder leads nobody out.
func TestTrimPlantedLinks(t *testing.T) {
	t.Parallel()
	c, is := shelf(t)
	outside := t.TempDir()
	aged(t, outside, "hub/models--a--mine/x", 1000, 90*day)
	for _, name := range []string{"huggingface", "torch"} {
		if err := errors.Join(os.RemoveAll(filepath.Join(c.Dir, name)), os.Symlink(outside, filepath.Join(c.Dir, name))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Trim(t.Context(), 1, free); err != nil {
		t.Error(err)
	}
	check{t, outside}.there(true, "hub/models--a--mine/x")
	is.there(true, "uv/wheels-v5/b")
}
