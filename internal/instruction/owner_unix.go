//go:build unix

package instruction

import (
	"io/fs"
	"os"
	"syscall"
)

// ours reports whether a file belongs to who runs the program, to the system, or
// to whom its folder belongs that nobody else writes to.
func ours(file fs.FileInfo, dir string) bool {
	of := func(info fs.FileInfo) int {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			return int(stat.Uid)
		}
		return -1
	}
	owner := of(file)
	if owner == os.Geteuid() || owner == 0 {
		return true
	}
	folder, err := os.Stat(dir)
	return err == nil && owner == of(folder) && folder.Mode().Perm()&0o002 == 0
}
