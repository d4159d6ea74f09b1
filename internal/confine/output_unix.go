//go:build unix

package confine

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// Leftover passes on what is in a pipe when the time to read from it is over:
// a reader that was late loses nothing of what a command printed in time. It
// waits for nobody, and reads no more than a pipe holds.
func Leftover(to io.Writer, pipe *os.File) error {
	if err := pipe.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	raw, err := pipe.SyscallConn()
	if err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for range 1 << 20 / len(buf) {
		var n int
		var failed error
		if err := raw.Read(func(fd uintptr) bool {
			for n, failed = syscall.Read(int(fd), buf); errors.Is(failed, syscall.EINTR); {
				n, failed = syscall.Read(int(fd), buf)
			}
			return true
		}); err != nil || n <= 0 {
			return err // empty, or nobody writes any more
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return err
		}
	}
	return nil
}
