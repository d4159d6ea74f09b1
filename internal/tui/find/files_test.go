package find_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"ml-intern/internal/tui/find"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		".gitignore": "*.bin\n/build\nlogs/\n!keep.bin\n", "train.py": "", "data/a.csv": "", "data/x.bin": "", "data/keep.bin": "", "build/out": "", "sub/build/in": "",
		"logs/l": "", ".git/config": "", "sub/.gitignore": "secret*\n", "sub/secret.txt": "", "sub/open.txt": "", "node_modules/m/x.js": "",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	got := find.Files(t.Context(), dir)
	slices.Sort(got)
	want := []string{".gitignore", "data/", "data/a.csv", "data/keep.bin", "out", "sub/", "sub/.gitignore", "sub/build/", "sub/build/in", "sub/open.txt", "train.py"}
	if !slices.Equal(got, want) {
		t.Errorf("files %q", got)
	}
}
