package confine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

var loopback = [4]byte{127, 0, 0, 1}

// outward gives a socket of the internet: one that is connected already, to the
// proxy if there is one, so it cannot be connected, bound or listened on any more.
func (w *watcher) outward(c call, kind uint64) error {
	s, err := w.proxied(int(kind) & unix.SOCK_NONBLOCK)
	if err != nil {
		return err
	}
	return w.hand(c, s, kind)
}

func (w *watcher) proxied(flags int) (int, error) {
	if w.door == nil {
		return nowhere()
	}
	s, err := connected4(w.door.Port, flags)
	if err != nil {
		return -1, unix.ENETUNREACH
	}
	if n, err := unix.Write(s, w.door.Secret); err != nil || n != len(w.door.Secret) {
		_ = unix.Close(s) // is of no use
		return -1, unix.ENETUNREACH
	}
	return s, nil
}

// maxAddress is the longest address of a socket.
const maxAddress = 128

// connect connects a socket of this machine to one in a folder that commands
// write. To the proxy, sockets of the internet are connected already.
func (w *watcher) connect(c call, fd int32, at uintptr, size uint64) error {
	raw, err := memory(c, at, int(min(size, maxAddress)))
	if err != nil {
		return err
	}
	if len(raw) < 2 {
		return unix.EINVAL
	}
	family := binary.NativeEndian.Uint16(raw)
	if w.rules.Network && family != unix.AF_UNIX {
		return w.goOn(c) // no socket of this machine is there that this could lead anywhere
	}
	switch family {
	case unix.AF_INET:
		if len(raw) < 8 {
			return unix.EINVAL
		}
		port, ip := int(binary.BigEndian.Uint16(raw[2:])), net.IP(raw[4:8])
		switch toProxy := w.door != nil && port == w.door.Port && [4]byte(raw[4:8]) == loopback; {
		case toProxy && w.isServer(c, fd): // it was bound to an address before
			return w.replace(c, fd, w.proxied)
		case toProxy:
			return nil // every socket is, from the beginning
		}
		return w.connectLoopback(c, fd, port, ip)
	case unix.AF_UNIX:
		name, _, _ := bytes.Cut(raw[2:], []byte{0})
		if len(name) == 0 {
			return unix.ECONNREFUSED // by an abstract name
		}
		return w.connectLocal(c, fd, string(name))
	}
	return unix.EACCES
}

func (w *watcher) connectLocal(c call, fd int32, name string) error {
	place, err := openOf(c, unix.AT_FDCWD, name, false)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(place) }() // only a name
	real, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", place))
	if err != nil || !w.rules.Writes(real) {
		return unix.EACCES
	}
	flags, err := flagsOf(c, fd)
	if err != nil {
		return err
	}
	s, err := dialed(place, flags&unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(s) }() // its copy was given
	return w.give(gift{id: c.id, flags: unix.SECCOMP_ADDFD_FLAG_SETFD, from: uint32(s), to: uint32(fd), attr: uint32(flags & unix.O_CLOEXEC)})
}

// dialed is a socket of the kind that listens at a place, connected to it.
func dialed(place, flags int) (int, error) {
	for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_SEQPACKET} {
		s, err := unix.Socket(unix.AF_UNIX, kind|flags|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return -1, err
		}
		err = unix.Connect(s, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d", place)})
		if err == nil {
			return s, nil
		}
		_ = unix.Close(s) // is connected to nothing
		if !errors.Is(err, unix.EPROTOTYPE) {
			return -1, err
		}
	}
	return -1, unix.EPROTOTYPE
}

// flagsOf are the flags of a descriptor of the process that called.
func flagsOf(c call, fd int32) (int, error) {
	info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", c.pid, fd))
	if err != nil {
		return 0, unix.EBADF
	}
	_, after, _ := strings.Cut(string(info), "flags:\t")
	text, _, _ := strings.Cut(after, "\n")
	flags, err := strconv.ParseInt(text, 8, 32)
	if err != nil {
		return 0, unix.EBADF
	}
	return int(flags), nil
}
