//go:build linux || darwin

package checkpoint

import (
	"errors"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"
)

// A folder is an open directory. All that is done in it goes through its
// descriptor, so that nobody who moves folders about leads the walk elsewhere.
type folder struct{ fd int }

func openFolder(path string) (folder, error) {
	fd, err := again(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) })
	return folder{fd}, err
}

// sub opens a folder below, never by a symbolic link.
func (f folder) sub(name string) (folder, error) {
	fd, err := again(func() (int, error) {
		return unix.Openat(f.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	return folder{fd}, err
}

func (f folder) close() { _ = unix.Close(f.fd) } // it was only read

// names lists what is in the folder, sorted. The buffer is for the system's
// answers.
func (f folder) names(buf []byte) ([]string, error) {
	var names []string
	for {
		n, err := again(func() (int, error) { return unix.ReadDirent(f.fd, buf) })
		if err != nil {
			return nil, err
		}
		if n <= 0 {
			slices.Sort(names)
			return names, nil
		}
		if names == nil {
			names = make([]string, 0, n/32) // as many as such answers have
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

// stat looks at a name without following a link.
func (f folder) stat(name string) (stat, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(f.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return stat{}, err
	}
	return newStat(&st), nil
}

func (f folder) self() (stat, error) {
	var st unix.Stat_t
	err := unix.Fstat(f.fd, &st)
	return newStat(&st), err
}

func newStat(st *unix.Stat_t) stat {
	s := stat{
		perm: fs.FileMode(st.Mode & 0o777), size: st.Size,
		mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(),
		ino: st.Ino, dev: uint64(st.Dev), //nolint:unconvert // its type is the system's
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		s.kind = File
	case unix.S_IFDIR:
		s.kind = Folder
	case unix.S_IFLNK:
		s.kind = Symlink
	}
	return s
}

func (f folder) readlink(name string) (string, error) {
	for buf := make([]byte, 512); ; buf = make([]byte, 2*len(buf)) {
		n, err := unix.Readlinkat(f.fd, name, buf)
		if err != nil || n < len(buf) {
			return string(buf[:max(n, 0)]), err
		}
	}
}

// read appends the bytes of a file, limit of them and one, to buf. It neither follows a
// link nor waits for the other end of a pipe.
func (f folder) read(name string, limit int64, buf []byte) ([]byte, stat, error) {
	fd, err := again(func() (int, error) {
		return unix.Openat(f.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return buf, stat{}, err
	}
	defer func() { _ = unix.Close(fd) }() // it was only read
	start := len(buf)
	for int64(len(buf)-start) <= limit {
		buf = slices.Grow(buf, 512)
		n, err := again(func() (int, error) { return unix.Read(fd, buf[len(buf):cap(buf)]) })
		if err != nil {
			return buf[:start], stat{}, err
		}
		full := n == cap(buf)-len(buf)
		if buf = buf[:len(buf)+max(n, 0)]; !full {
			break // what is short ends the file
		}
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return buf, newStat(&st), err
}

// link gives a file a second name outside.
func (f folder) link(name, to string) error { return unix.Linkat(f.fd, name, unix.AT_FDCWD, to, 0) }

// adopt gives a file outside a second name in the folder.
func (f folder) adopt(from, name string) error {
	return unix.Linkat(unix.AT_FDCWD, from, f.fd, name, 0)
}

// again repeats a call that a signal interrupted.
func again(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
