//go:build !linux

package sandbox

import (
	"os"
	"path/filepath"
)

func openNoWait(abs string) (*os.File, error) {
	info, err := os.Stat(abs)
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil, &os.PathError{Op: "open", Path: abs, Err: os.ErrInvalid}
	}
	return os.Open(abs)
}

// realPath is where an open file is, as far as its name still says it.
func realPath(f *os.File) (string, error) { return filepath.EvalSymlinks(f.Name()) }
