package confine

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// securebits: the user id 0 means nothing, and nobody changes that.
const noRoot = 1<<0 | 1<<1 | 1<<2 | 1<<3 // NOROOT, NO_SETUID_FIXUP, each locked

// lastCapability is above all that kernels know; the kernel refuses the rest.
const lastCapability = 63

// dropCapabilities takes from this thread, and what it starts, all that the
// namespace gave it. Without a namespace (bare) it may lack the right to bar the
// way to more; no new privileges, which every thread gets too, bars it then.
func dropCapabilities(bare bool) error {
	for c := range uintptr(lastCapability + 1) {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) && !(bare && errors.Is(err, unix.EPERM)) {
			return fmt.Errorf("drop capability %d for good: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, noRoot, 0, 0, 0); err != nil && !(bare && errors.Is(err, unix.EPERM)) {
		return fmt.Errorf("take the power from user id 0: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}

// spare is how many threads the helper may have beyond what a command may: it
// must not fail because a command has taken all.
const spare = 64

// limit sets the limits of this process, which its children have.
func limit(l Limits) error {
	if l.Processes > 0 {
		l.Processes += spare
	}
	for _, r := range []struct {
		resource int
		n        uint64
	}{
		{unix.RLIMIT_DATA, l.Memory},
		{unix.RLIMIT_NPROC, l.Processes},
		{unix.RLIMIT_FSIZE, l.FileSize},
		{unix.RLIMIT_NOFILE, l.Files},
	} {
		if r.n == 0 {
			continue
		}
		var old unix.Rlimit
		if err := unix.Getrlimit(r.resource, &old); err != nil {
			return fmt.Errorf("read limit: %w", err)
		}
		n := min(r.n, old.Max)
		if err := unix.Setrlimit(r.resource, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return fmt.Errorf("set limit %d to %d: %w", r.resource, n, err)
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	return nil
}

// narrow takes the helper's own spare off the number of processes, for the moment
// in which a command starts, which inherits it.
func narrow(l Limits) (widen func(), err error) {
	var mine unix.Rlimit
	if l.Processes == 0 {
		return func() {}, nil
	}
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &mine); err != nil {
		return nil, fmt.Errorf("read limit: %w", err)
	}
	its := unix.Rlimit{Cur: min(l.Processes, mine.Cur), Max: mine.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NPROC, &its); err != nil {
		return nil, fmt.Errorf("limit processes to %d: %w", its.Cur, err)
	}
	return func() { _ = unix.Setrlimit(unix.RLIMIT_NPROC, &mine) }, nil // the kernel allows what it had
}

// loopbackUp lets the processes of the cell reach each other on 127.0.0.1.
func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open socket: %w", err)
	}
	defer func() { _ = unix.Close(s) }() // nothing was sent
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("name the loopback: %w", err)
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(request))); errno != 0 {
		return fmt.Errorf("bring the loopback up: %w", errno)
	}
	return nil
}
