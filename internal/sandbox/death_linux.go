package sandbox

import "syscall"

// dieWithParent ends the shell when the thread that started it ends, so that a
// killed agent leaves no command behind. runGroup keeps that thread.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
