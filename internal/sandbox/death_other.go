//go:build unix && !linux

package sandbox

import "syscall"

// dieWithParent does nothing here: only Linux can do that.
func dieWithParent(*syscall.SysProcAttr) {}
