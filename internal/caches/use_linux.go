package caches

import (
	"io/fs"
	"syscall"
	"time"
)

// lastUse is when a file was read or written. Most disks note the first time in a
// day that one is read. A folder is read by whoever looks around, as Trim does.
func lastUse(info fs.FileInfo) time.Time {
	used := info.ModTime()
	if st, ok := info.Sys().(*syscall.Stat_t); ok && !info.IsDir() {
		if read := time.Unix(st.Atim.Unix()); read.After(used) {
			used = read
		}
	}
	return used
}
