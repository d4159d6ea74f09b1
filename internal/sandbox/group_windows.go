package sandbox

import (
	"os"
	"os/exec"
)

// shell returns the command for a shell line.
func shell(line string) *exec.Cmd { return exec.Command("cmd", "/C", line) }

// killGroup ends the command. Its children are ended by issue 7's job objects.
func killGroup(c *exec.Cmd) { _ = c.Process.Kill() }

func exitStatus(s *os.ProcessState) int { return s.ExitCode() }

// device is the disk that a file is on: all count as one.
func device(os.FileInfo) uint64 { return 0 }

// inode is not known.
func inode(os.FileInfo) uint64 { return 0 }

// links counts each name as a file.
func links(os.FileInfo) uint64 { return 1 }
