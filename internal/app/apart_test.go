package app

import (
	"os"
	"path/filepath"
	"testing"

	"ml-intern/internal/config"
)

// What this process runs itself is not what a command left in the workspace.
func TestApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(path string) string {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700); err != nil { //nolint:gosec // it is a program
			t.Fatal(err)
		}
		return path
	}
	evil, cached, good := put("w/.venv/bin/smi"), put("ours/state/caches/uv/smi"), put("usr/smi")
	if err := os.MkdirAll(filepath.Join(dir, "linked"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(evil, filepath.Join(dir, "linked", "smi")); err != nil {
		t.Skip(err)
	}
	path := filepath.Dir(evil)
	for _, d := range []string{filepath.Dir(cached), filepath.Join(dir, "linked"), filepath.Dir(good)} {
		path += string(os.PathListSeparator) + d
	}
	cfg, err := config.Load([]string{"PATH=" + path, "HOME=" + filepath.Join(dir, "home"), "ML_INTERN_HOME=" + filepath.Join(dir, "ours")}, filepath.Join(dir, "w"))
	if err != nil {
		t.Fatal(err)
	}
	if got := apart(cfg, "smi"); got != good {
		t.Errorf("found %s", got)
	}
	if got := apart(cfg, "none"); filepath.Base(got) != "none" || below([]string{dir}, got) {
		t.Errorf("found %s", got)
	}
}
