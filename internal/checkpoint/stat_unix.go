//go:build unix

package checkpoint

import (
	"io/fs"
	"os"
	"syscall"
)

// linkOf reports whether a file is the very one that looks like this.
func linkOf(info fs.FileInfo, st stat) bool {
	sys, ok := info.Sys().(*syscall.Stat_t)
	return ok && sys.Ino == st.ino && uint64(sys.Dev) == st.dev //nolint:unconvert // its type is the system's
}

// sameDisk reports whether a file of one folder could have a second name in
// the other. Both exist.
func sameDisk(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA != nil || errB != nil {
		return true // whoever uses them will be told
	}
	sysA, okA := infoA.Sys().(*syscall.Stat_t)
	sysB, okB := infoB.Sys().(*syscall.Stat_t)
	return !okA || !okB || sysA.Dev == sysB.Dev
}
