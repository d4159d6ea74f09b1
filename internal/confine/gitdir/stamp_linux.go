//go:build linux

package gitdir

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// A stamp changes when a folder's list does: the time of change is the kernel's to
// set, and no program's.
type stamp struct {
	dev, ino uint64
	at       unix.Timespec
}

func (s stamp) when() time.Time { return time.Unix(s.at.Unix()) }

func stampOf(dir string) (stamp, error) {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return stamp{}, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return stamp{}, fmt.Errorf("look at %s: it is no folder", dir)
	}
	return stamp{st.Dev, st.Ino, st.Ctim}, nil
}

// changed is when a file last changed, a time that no program can set; zero for
// none.
func changed(path string) time.Time {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return time.Time{}
	}
	return time.Unix(st.Ctim.Unix())
}
