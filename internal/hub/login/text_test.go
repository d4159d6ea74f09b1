package login_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// findText names a file of the folder that holds one of the texts, if any.
func findText(t *testing.T, dir string, texts ...string) (found string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, text := range texts {
			if strings.Contains(string(data), text) || strings.Contains(path, text) {
				found = path
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
