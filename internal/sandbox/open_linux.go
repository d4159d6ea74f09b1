package sandbox

import (
	"fmt"
	"os"
	"syscall"
)

// openNoWait opens a file to read and does not wait for a writer of a pipe.
func openNoWait(abs string) (*os.File, error) {
	return os.OpenFile(abs, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// realPath is where an open file is, as the kernel says it.
func realPath(f *os.File) (string, error) {
	return os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
}
