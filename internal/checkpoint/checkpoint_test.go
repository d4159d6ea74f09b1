package checkpoint_test

import (
	"os"
	"path/filepath"
	"testing"

	"ml-intern/internal/checkpoint"
)

func open(tb testing.TB, dir string) checkpoint.Store {
	tb.Helper()
	s, err := checkpoint.Open(filepath.Join(tb.TempDir(), "checkpoints"), dir)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func take(tb testing.TB, s checkpoint.Store, kind string) checkpoint.Taken {
	tb.Helper()
	taken, err := s.Take(tb.Context(), "s", kind)
	if err != nil {
		tb.Fatal(err)
	}
	return taken
}

func write(tb testing.TB, dir, rel, text string) {
	tb.Helper()
	path := filepath.Join(dir, rel)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
}
