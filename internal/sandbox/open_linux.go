package sandbox

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openNoWait opens a file to read and does not wait for a writer of a pipe. No
// link that only the kernel makes is followed, as those of /proc/self/fd are:
// what this process has open may have no name that could be judged.
func openNoWait(abs string) (*os.File, error) {
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	for {
		fd, err := unix.Openat2(unix.AT_FDCWD, abs, &how)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), abs), nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM): // an old kernel, or one that is watched
			return os.OpenFile(abs, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		default:
			return nil, &os.PathError{Op: "open", Path: abs, Err: err}
		}
	}
}

// realPath is where an open file is, as the kernel says it.
func realPath(f *os.File) (string, error) {
	return os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
}
