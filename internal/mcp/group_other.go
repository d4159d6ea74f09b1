//go:build !unix

package mcp

import "os/exec"

func group(*exec.Cmd) {}

// killGroup ends the program; what it started goes on.
func killGroup(c *exec.Cmd) error { return c.Process.Kill() }
