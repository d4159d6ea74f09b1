package gitstore

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// rename waits a little for readers: Windows does not replace an open file.
func rename(from, to string) error {
	err := os.Rename(from, to)
	for try := 0; try < 50 && errors.Is(err, os.ErrPermission); try++ {
		time.Sleep(10 * time.Millisecond)
		err = os.Rename(from, to)
	}
	return err
}

// syncDir does nothing: Windows keeps names without being asked.
func syncDir(string) error { return nil }

func isFull(err error) bool {
	const handleDiskFull, diskFull = syscall.Errno(39), syscall.Errno(112)
	return errors.Is(err, handleDiskFull) || errors.Is(err, diskFull)
}
