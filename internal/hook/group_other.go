//go:build !unix

package hook

import (
	"context"
	"os/exec"
)

// shell runs a line.
func shell(ctx context.Context, line string) *exec.Cmd {
	return exec.CommandContext(ctx, "cmd", "/C", line)
}

// killGroup ends the program; what it started goes on.
func killGroup(c *exec.Cmd) error { return c.Process.Kill() }
