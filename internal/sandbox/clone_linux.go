package sandbox

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// clone makes a file that shares its blocks with another until one of the two
// is written, where the file system can.
func clone(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // only read
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())), dst.Close())
	if err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}
