package remote

import "golang.org/x/sys/unix"

// hide keeps what this process has in memory from others of the same user.
// Where that cannot be, they could read it before, too.
func hide() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
