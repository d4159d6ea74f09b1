//go:build unix

package sandbox

import (
	"os"
	"os/exec"
	"syscall"
)

// shell returns the command for a shell line: bash where there is one, never a
// login shell, whose profile would cost more than most commands.
func shell(line string) *exec.Cmd {
	c := exec.Command("/bin/sh", "-c", line)
	if bash, err := exec.LookPath("bash"); err == nil {
		c = exec.Command(bash, "--norc", "--noprofile", "-c", line)
	}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(c.SysProcAttr)
	return c
}

// killGroup ends every process of the command's group.
func killGroup(c *exec.Cmd) {
	_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // ESRCH when all have ended
}

// exitStatus is the exit status as a shell would say it.
func exitStatus(s *os.ProcessState) int {
	if ws, ok := s.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return s.ExitCode()
}

// device is the disk that a file is on.
func device(info os.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Dev) //nolint:unconvert // of another type on other systems
	}
	return 0
}

// inode tells a file from another of the same name, size and time.
func inode(info os.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Ino) //nolint:unconvert // of another type on other systems
	}
	return 0
}

// links is how many names a file has.
func links(info os.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Nlink) //nolint:unconvert // of another type on other systems
	}
	return 1
}
