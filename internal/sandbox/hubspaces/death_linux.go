package hubspaces

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends the program when the thread that started it ends: a
// server that was killed leaves none behind.
func dieWithParent(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
