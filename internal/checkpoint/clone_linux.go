package checkpoint

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// clone makes a file outside that shares its blocks with one of the folder
// until one of the two is written, where the file system can.
func (f folder) clone(name, to string) error {
	src, err := unix.Openat(f.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(src) }() // only read
	return cloneTo(src, unix.AT_FDCWD, to)
}

// copyIn makes a file of the folder that shares its blocks with one outside.
func (f folder) copyIn(from, name string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // only read
	return cloneTo(int(src.Fd()), f.fd, name)
}

func cloneTo(src, dir int, name string) error {
	dst, err := unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(unix.IoctlFileClone(dst, src), unix.Close(dst))
	if err != nil {
		return errors.Join(err, unix.Unlinkat(dir, name, 0))
	}
	return nil
}
