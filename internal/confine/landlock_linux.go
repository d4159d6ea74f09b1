package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rights on files that Landlock knows, by the version that brought them.
const (
	landlockRead  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	landlockWrite = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SYM |
		unix.LANDLOCK_ACCESS_FS_REFER | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	landlockNever = unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK
	landlockNodes = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	landlockFile  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV // those that a file can have
)

// landlockVersion is the version of Landlock in this kernel, 0 without it.
func landlockVersion() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// landlockLeast is the oldest version that is of use: before it, no file can be
// moved from one folder to another.
const landlockLeast = 2

// A landlock is a set of rules that threads can take on.
type landlock struct {
	fd      int
	handled uint64
}

// newLandlock makes the set: nothing is allowed yet. It judges TCP if offline,
// which takes version 4.
func newLandlock(version int, offline bool) (landlock, error) {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: landlockRead | landlockWrite | landlockNever}
	if offline {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if version < 3 {
		attr.Handled_access_fs &^= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if version >= 5 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if version >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	size := unsafe.Offsetof(attr.Quiet_access_fs)
	switch {
	case version < 4:
		size = unsafe.Offsetof(attr.Handled_access_net)
	case version < 6:
		size = unsafe.Offsetof(attr.Scoped)
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return landlock{}, fmt.Errorf("make Landlock rules: %w", errno)
	}
	return landlock{fd: int(fd), handled: attr.Handled_access_fs}, nil
}

// allow grants rights on path and all below it. A path that is not there, and a
// link, is passed over: nothing is granted.
func (l landlock) allow(path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil //nolint:nilerr // not there, or not ours to see
	}
	defer func() { _ = unix.Close(fd) }() // only a name
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		return nil
	case unix.S_IFDIR:
	default:
		rights &= landlockFile
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: rights & l.handled, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(l.fd), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("allow %s by Landlock: %w", path, errno)
	}
	return nil
}

// restrict puts the rules on this thread and on all that it starts, for good.
func (l landlock) restrict() error {
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(l.fd), 0, 0); errno != 0 {
		return fmt.Errorf("put on Landlock rules: %w", errno)
	}
	return nil
}

// allowRules grants what the rules say. What is hidden is left out by granting
// all that is beside it, so a file that appears beside it later is not granted
// either: Cells makes a new cell then.
func (l landlock) allowRules(r Rules, mounted bool) error {
	err := l.allowBeside("/", r)
	for _, path := range r.Hidden {
		if mounted { // it is an empty file now, which harms nobody
			err = errors.Join(err, l.allow(path, landlockRead))
		}
	}
	for _, path := range r.Readable {
		err = errors.Join(err, l.allow(path, landlockRead))
	}
	for _, path := range r.Writable {
		err = errors.Join(err, l.allow(path, landlockRead|landlockWrite))
	}
	for _, path := range []string{"/tmp", "/var/tmp"} {
		err = errors.Join(err, l.allow(path, landlockRead|landlockWrite))
	}
	return errors.Join(err, l.allow("/dev", landlockRead|landlockWrite|landlockNodes))
}

func (l landlock) allowBeside(dir string, r Rules) error {
	if !r.hidesBelow(dir) {
		return l.allow(dir, landlockRead)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil //nolint:nilerr // who cannot list it grants nothing
	}
	// Listing reaches down too: names of what is hidden are the mounts' to hide.
	if err := l.allow(dir, unix.LANDLOCK_ACCESS_FS_READ_DIR); err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if r.Hides(path) {
			continue
		}
		if err := l.allowBeside(path, r); err != nil {
			return err
		}
	}
	return nil
}

// hidesBelow reports whether something in dir is hidden that no writable or
// readable folder shows again.
func (r Rules) hidesBelow(dir string) bool {
	for _, h := range r.Hidden {
		if h != dir && within(dir, h) && longest(r.Writable, h) < 0 {
			return true
		}
	}
	return false
}
