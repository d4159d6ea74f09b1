//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const supported = true

var errUnsupported = errors.New("jobs on this machine need a Unix system")

// lockExclusive takes the lock at path, which is held for moments only, and
// waits for it. It holds between goroutines as between processes.
func lockExclusive(ctx context.Context, path string) (unlock func(), err error) {
	file, err := holdLock(ctx, path, 0)
	return func() { _ = file.Close() }, err
}

// holdLock is lockExclusive for a lock that goes with a file: it is held until
// every process that has inherited the file has ended or closed it. The flag is
// how else to open it.
func holdLock(ctx context.Context, path string, flag int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|flag, 0o600)
	if err != nil {
		return nil, err
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 20*time.Millisecond) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(err, file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), file.Close())
		case <-time.After(wait):
		}
	}
}

// A job's lock is a record lock: unlike flock it can be looked at without
// being taken, tells who holds it, and does not pass to child processes.

// lockHolder returns the process that holds the lock at path: 0 for none, -1
// for one of another PID namespace.
func lockHolder(path string) (int, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer file.Close()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK}
	if err := syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &lock); err != nil {
		return 0, fmt.Errorf("read lock: %w", err)
	}
	switch {
	case lock.Type == syscall.F_UNLCK:
		return 0, nil
	case lock.Pid <= 0:
		return -1, nil
	}
	return int(lock.Pid), nil
}

// takeLock takes the lock at path, until this process closes any file it has
// opened there; ok is false if another process has it.
func takeLock(path string) (file *os.File, ok bool, err error) {
	file, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, err
	}
	err = syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK})
	switch {
	case err == nil:
		return file, true, nil
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EACCES):
		return nil, false, file.Close()
	}
	return nil, false, errors.Join(fmt.Errorf("lock job: %w", err), file.Close())
}

// holdFile takes a lock on the file at path until it is closed; ok is false if
// somebody has it. The flag is how else to open it.
func holdFile(path string, flag int) (file *os.File, ok bool) {
	file, err := os.OpenFile(path, os.O_RDWR|flag, 0o600)
	if err != nil {
		return nil, false
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil, false
	}
	return file, true
}

// wake tells a shim to look for its grant.
func wake(pid int) error { return syscall.Kill(pid, syscall.SIGUSR1) }

// detached returns a command that starts argv in a session of its own and ends
// at once, so that argv belongs to nobody who could take it along or would have
// to collect it. What argv reads is the command's fourth file.
func detached(argv []string) *exec.Cmd {
	c := exec.Command("/bin/sh", append([]string{"-c", `"$@" <&3 3<&- &`, "sh"}, argv...)...)
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.Dir = "/"
	return c
}
