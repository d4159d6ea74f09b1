package confine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// chmod changes the mode of a file that commands write.
func (w *watcher) chmod(c call, dir int32, name uintptr, mode uint32, flags int) error {
	fd, err := w.file(c, dir, name, flags)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // only a name
	return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode)
}

// utimes changes the times of one.
func (w *watcher) utimes(c call, dir int32, name, times uintptr, flags int) error {
	set := []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
	if times != 0 {
		raw, err := memory(c, times, 4*8)
		if err != nil || len(raw) < 4*8 {
			return unix.EFAULT
		}
		for i := range set {
			sec, nsec := binary.NativeEndian.Uint64(raw[16*i:]), binary.NativeEndian.Uint64(raw[16*i+8:])
			set[i] = unix.Timespec{Sec: int64(sec), Nsec: int64(nsec)}
		}
	}
	fd, err := w.file(c, dir, name, flags)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // only a name
	return unix.UtimesNanoAt(fd, "", set, unix.AT_EMPTY_PATH)
}

// file opens a file that the rules let commands write, wherever its name leads, to
// name it only. Without a name it is the descriptor dir itself.
func (w *watcher) file(c call, dir int32, name uintptr, flags int) (int, error) {
	path := ""
	if name != 0 {
		raw, err := memory(c, name, unix.PathMax)
		if err != nil {
			return -1, err
		}
		text, _, ended := bytes.Cut(raw, []byte{0})
		if !ended {
			return -1, unix.ENAMETOOLONG
		}
		path = string(text)
		if path == "" && flags&unix.AT_EMPTY_PATH == 0 {
			return -1, unix.ENOENT
		}
	}
	fd, err := openOf(c, dir, path, flags&unix.AT_SYMLINK_NOFOLLOW != 0)
	if err != nil {
		return -1, err
	}
	real, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil || !w.rules.Writes(filepath.Clean(real)) {
		_ = unix.Close(fd) // only a name
		return -1, unix.EPERM
	}
	return fd, nil
}

// openOf opens a path as the process that called would, to name it only.
func openOf(c call, dir int32, path string, link bool) (int, error) {
	at := fmt.Sprintf("/proc/%d/fd/%d", c.pid, dir)
	if dir == unix.AT_FDCWD {
		at = fmt.Sprintf("/proc/%d/cwd", c.pid)
	}
	if filepath.IsAbs(path) {
		at = "/"
	}
	from, err := unix.Open(at, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil || path == "" {
		return from, err
	}
	defer func() { _ = unix.Close(from) }() // only a name
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	if link {
		how.Flags |= unix.O_NOFOLLOW
	}
	return unix.Openat2(from, path, how)
}
