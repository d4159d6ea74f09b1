package confine

import (
	"errors"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A watcher makes the calls of a bare cell that its filter cannot judge, because
// what counts is in memory or behind a name. It copies the arguments once, makes
// the call itself, by the rules, and hands the outcome over: what a command
// changes meanwhile is not looked at again.
type watcher struct {
	fd    int // -1 before there is one
	rules Rules
	door  *key // nil without a proxy

	restrict func() error // puts the walls of commands on a thread
	walled   sync.Mutex   // see within

	mu     sync.Mutex
	served map[uint64]bool // sockets on which the command serves, by inode

	stop    *os.File // ends run when it is closed
	stopped *os.File
}

// A call is one that waits for the watcher; as the kernel writes it.
type call struct {
	id    uint64
	pid   uint32 // thread
	flags uint32
	data  struct {
		nr   int32
		arch uint32
		at   uint64
		args [6]uint64
	}
}

// An outcome is the watcher's answer; as the kernel reads it.
type outcome struct {
	id    uint64
	val   int64
	error int32
	flags uint32
}

// A gift is a descriptor for the process that called; as the kernel reads it.
type gift struct {
	id    uint64
	flags uint32
	from  uint32
	to    uint32
	attr  uint32
}

func (w *watcher) open() (err error) {
	w.stopped, w.stop, err = os.Pipe()
	return err
}

// run answers until close.
func (w *watcher) run() {
	var calls sync.WaitGroup
	defer calls.Wait()
	for {
		polled := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}, {Fd: int32(w.stopped.Fd())}}
		_, err := unix.Poll(polled, -1)
		switch {
		case err != nil && !errors.Is(err, unix.EINTR), polled[1].Revents != 0, polled[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0:
			return
		case polled[0].Revents&unix.POLLIN == 0:
			continue
		}
		var c call
		if w.ioctl(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&c)) == nil { // else it was killed meanwhile
			calls.Go(func() { w.settle(c, w.judge(c)) })
		}
	}
}

// close ends run, which then is to be waited for.
func (w *watcher) close() error { return w.stop.Close() }

func (w *watcher) release() error {
	if w.fd < 0 {
		return w.stopped.Close()
	}
	return errors.Join(w.stopped.Close(), unix.Close(w.fd))
}

func (w *watcher) ioctl(request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(w.fd), request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// errSettled says that a call was answered already.
var errSettled = errors.New("settled")

// settle answers with 0 or the error.
func (w *watcher) settle(c call, err error) {
	if errors.Is(err, errSettled) {
		return
	}
	o := outcome{id: c.id}
	if err != nil {
		o.error = -int32(unix.EPERM)
		if errno, ok := errors.AsType[unix.Errno](err); ok {
			o.error = -int32(errno)
		}
	}
	w.answer(o)
}

func (w *watcher) answer(o outcome) {
	_ = w.ioctl(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&o)) // ENOENT: it was killed meanwhile
}

func (w *watcher) give(g gift) error {
	return w.ioctl(unix.SECCOMP_IOCTL_NOTIF_ADDFD, unsafe.Pointer(&g))
}

func (w *watcher) judge(c call) error {
	a := c.data.args
	switch uintptr(c.data.nr) {
	case unix.SYS_SOCKET:
		if a[0] == unix.AF_UNIX {
			return w.dead(c, a[1])
		}
		return w.outward(c, a[1])
	case unix.SYS_BIND:
		return w.bind(c, int32(a[0]), uintptr(a[1]), a[2])
	case unix.SYS_CONNECT:
		return w.connect(c, int32(a[0]), uintptr(a[1]), a[2])
	case unix.SYS_FCHMOD:
		return w.chmod(c, int32(a[0]), 0, uint32(a[1]), 0)
	case unix.SYS_FCHMODAT:
		return w.chmod(c, int32(a[0]), uintptr(a[1]), uint32(a[2]), 0)
	case unix.SYS_FCHMODAT2:
		return w.chmod(c, int32(a[0]), uintptr(a[1]), uint32(a[2]), int(a[3]))
	case unix.SYS_UTIMENSAT:
		return w.utimes(c, int32(a[0]), uintptr(a[1]), uintptr(a[2]), int(a[3]))
	case chmodHere:
		return w.chmod(c, unix.AT_FDCWD, uintptr(a[0]), uint32(a[1]), 0)
	}
	return unix.ENOSYS
}

// memory copies from the process that called, up to n bytes.
func memory(c call, at uintptr, n int) ([]byte, error) {
	buf := make([]byte, n)
	got := 0
	for got < n { // page by page: the next one may not be there
		step := min(n-got, os.Getpagesize()-int((at+uintptr(got))%uintptr(os.Getpagesize())))
		local := []unix.Iovec{{Base: &buf[got]}}
		local[0].SetLen(step)
		read, err := unix.ProcessVMReadv(int(c.pid), local, []unix.RemoteIovec{{Base: at + uintptr(got), Len: step}}, 0)
		if err != nil || read == 0 {
			if got > 0 {
				break
			}
			return nil, unix.EFAULT
		}
		got += read
	}
	return buf[:got], nil
}
