package confine

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Reasonable limits: a command cannot take the machine with it, and no honest
// one meets them.
func Reasonable() Limits {
	var info unix.Sysinfo_t
	l := Limits{Processes: max(4096, 64*uint64(runtime.NumCPU()))}
	if unix.Sysinfo(&info) == nil { // else without
		l.Memory = info.Totalram * uint64(info.Unit)
	}
	return l
}
