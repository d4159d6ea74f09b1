// Package durable writes files that are there after a power cut.
//
// Its one rule: under a file's name is what was there before or all that is new,
// never a part, and when the call has returned, what is new. It owns nothing.
package durable

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// Replace writes a file for its owner alone. Its folder must exist.
func Replace(path string, data []byte) error {
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, ".new-*") // 0600
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return SyncDir(dir)
}

// SyncDir makes the names in a folder last. Windows has no way to, and does so
// itself.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
