//go:build !linux

package confine

import (
	"context"
	"errors"
	"syscall"
)

// A cell does not exist here: each command has walls of its own.
type cell struct{ files string }

func (*cell) end() {}

// Main refuses.
func Main() error { return errors.New("cells exist on Linux only") }

// Bare is for Linux.
func Bare(context.Context, ...string) (bool, error) { return false, ErrUnavailable }

// Enter does nothing here.
func (Rules) Enter(*syscall.SysProcAttr) {}

// Become refuses.
func Become(Rules, []string) error { return ErrUnavailable }

// GPUs are reached without leave here.
func GPUs() []string { return nil }

// Reasonable limits are none here.
func Reasonable() Limits { return Limits{} }

func (r Rules) machine() Rules { return r }
