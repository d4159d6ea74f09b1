package confine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A command without namespaces has no socket of the internet that it could bind or
// connect: all that it gets are connected already. So for a server the watcher
// makes one on loopback that listens, and for a client one that leads there, and
// puts it in the place of the one that the command has. Options set on that one
// before are lost.

// backlog is what the kernel cuts to its own limit.
const backlog = 4096

// bind makes a server of a socket. What is no address of TCP the kernel binds, by
// Landlock's rules: it refuses TCP, and files where commands do not write.
func (w *watcher) bind(c call, fd int32, at uintptr, size uint64) error {
	raw, err := memory(c, at, int(min(size, maxAddress)))
	if err != nil {
		return err
	}
	if len(raw) < 2 {
		return unix.EINVAL
	}
	switch family := binary.NativeEndian.Uint16(raw); {
	case family == unix.AF_UNIX && w.rules.Network: // it has sockets of this machine by the watcher alone
		return w.bindLocal(c, fd, raw[2:])
	case family == unix.AF_INET && !w.rules.Network && len(raw) >= 8:
		return w.bindLoopback(c, fd, int(binary.BigEndian.Uint16(raw[2:])), net.IP(raw[4:8]))
	}
	return w.goOn(c)
}

// goOn lets the kernel make the call as it is: what is at its pointers may change,
// so only where every call is harmless.
func (w *watcher) goOn(c call) error {
	w.answer(outcome{id: c.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE})
	return errSettled
}

func (w *watcher) bindLoopback(c call, fd int32, port int, ip net.IP) error {
	if !ours(ip) {
		return unix.EADDRNOTAVAIL
	}
	return w.replace(c, fd, func(flags int) (int, error) {
		s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
		if err != nil {
			return -1, err
		}
		var st unix.Stat_t
		err = unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		if err == nil {
			err = unix.Bind(s, &unix.SockaddrInet4{Port: port, Addr: loopback})
		}
		if err == nil {
			err = unix.Listen(s, backlog)
		}
		if err == nil {
			err = unix.Fstat(s, &st)
		}
		if err != nil {
			return -1, errors.Join(err, unix.Close(s))
		}
		w.mu.Lock()
		w.served[st.Ino] = true
		w.mu.Unlock()
		return s, nil
	})
}

// connectLoopback leads to a server of the same command, or over a bridge.
func (w *watcher) connectLoopback(c call, fd int32, port int, ip net.IP) error {
	if !ours(ip) {
		return unix.ENETUNREACH
	}
	if !w.serves(port) && !(ip.IsLoopback() && slices.Contains(w.rules.Bridges, port)) {
		return unix.ECONNREFUSED
	}
	return w.replace(c, fd, func(flags int) (int, error) { return connected4(port, flags) })
}

// connected4 is a socket that is connected to a port of this machine.
func connected4(port, flags int) (int, error) {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = unix.Connect(s, &unix.SockaddrInet4{Port: port, Addr: loopback})
	if err == nil && flags&unix.O_NONBLOCK != 0 {
		err = unix.SetNonblock(s, true)
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(s))
	}
	return s, nil
}

// serves reports whether what listens on the port was made for this command.
func (w *watcher) serves(port int) bool {
	data, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		return false
	}
	const listening = "0A"
	local := fmt.Sprintf("0100007F:%04X", port) // 127.0.0.1 as this machine keeps it
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[1] != local || fields[3] != listening {
			continue
		}
		inode, err := strconv.ParseUint(fields[9], 10, 64)
		w.mu.Lock()
		found := err == nil && w.served[inode]
		w.mu.Unlock()
		if found {
			return true
		}
	}
	return false
}

// isServer reports whether the descriptor of the process is a server.
func (w *watcher) isServer(c call, fd int32) bool {
	var inode uint64
	name, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", c.pid, fd))
	if err != nil {
		return false
	}
	if _, err := fmt.Sscanf(name, "socket:[%d]", &inode); err != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.served[inode]
}

// ours reports whether it is an address of this machine.
func ours(ip net.IP) bool {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	addresses, _ := net.InterfaceAddrs()
	return slices.ContainsFunc(addresses, func(a net.Addr) bool {
		own, ok := a.(*net.IPNet)
		return ok && own.IP.Equal(ip)
	})
}

// replace puts what fresh makes, with the flags of a descriptor of the process that
// called, in the place of that one.
func (w *watcher) replace(c call, fd int32, fresh func(flags int) (int, error)) error {
	name, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", c.pid, fd))
	if err != nil {
		return unix.EBADF
	}
	if !strings.HasPrefix(name, "socket:") {
		return unix.ENOTSOCK
	}
	flags, err := flagsOf(c, fd)
	if err != nil {
		return err
	}
	s, err := fresh(flags & unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(s) }() // its copy was given
	return w.give(gift{id: c.id, flags: unix.SECCOMP_ADDFD_FLAG_SETFD, from: uint32(s), to: uint32(fd), attr: uint32(flags & unix.O_CLOEXEC)})
}

// dead gives a socket of this machine whose other end is closed: no connect leads
// it anywhere, so it needs no look at where a connect would.
func (w *watcher) dead(c call, kind uint64) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, int(kind&^unix.SOCK_CLOEXEC)|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_ = unix.Close(pair[1]) // is connected to nothing else
	return w.hand(c, pair[0], kind)
}

// nowhere is a socket of the internet that was connected, and is not any more.
func nowhere() (int, error) {
	l, err := newDoor()
	if err != nil {
		return -1, err
	}
	s, err := connected4(l.key().Port, 0)
	return s, errors.Join(err, l.Close())
}

// hand answers the call with a descriptor.
func (w *watcher) hand(c call, s int, kind uint64) error {
	defer func() { _ = unix.Close(s) }() // its copy was given
	if err := w.give(gift{id: c.id, flags: unix.SECCOMP_ADDFD_FLAG_SEND, from: uint32(s), attr: uint32(kind & unix.SOCK_CLOEXEC)}); err != nil {
		return err
	}
	return errSettled
}

// bindLocal makes a server of this machine at a path, by the rules for files.
func (w *watcher) bindLocal(c call, fd int32, raw []byte) error {
	name, _, _ := bytes.Cut(raw, []byte{0})
	if len(name) == 0 {
		return unix.EACCES // by an abstract name
	}
	dir, err := openOf(c, unix.AT_FDCWD, "", false)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(dir) }() // only a name
	return w.replace(c, fd, func(flags int) (int, error) {
		return w.within(func() (int, error) { return listening(dir, string(name), flags) })
	})
}

// listening is a socket at a path, which may be relative to dir: its name is as
// the program gave it.
func listening(dir int, name string, flags int) (int, error) {
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		return -1, err
	}
	if err = unix.Fchdir(dir); err == nil {
		err = unix.Bind(s, &unix.SockaddrUnix{Name: name})
	}
	if err == nil {
		err = unix.Listen(s, backlog)
	}
	if err = errors.Join(err, unix.Chdir("/")); err != nil {
		return -1, errors.Join(err, unix.Close(s))
	}
	return s, nil
}

// within calls f on a thread that has the walls of commands, one at a time: f may
// change the folder that this process is in.
func (w *watcher) within(f func() (int, error)) (s int, err error) {
	w.walled.Lock()
	defer w.walled.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked, so that the thread ends here
		if err = w.restrict(); err == nil {
			s, err = f()
		}
	}()
	<-done
	return s, err
}
