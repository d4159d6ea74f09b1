//go:build !linux

package confine

import (
	"context"
	"errors"
	"net"
	"os"
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

// A Way does not exist here.
type Way struct{ Inside *os.File }

// Way refuses.
func (*Rules) Way(int, ...int) (*Way, error) { return nil, ErrUnavailable }

// Serve does nothing here.
func (*Way) Serve([]int, func(net.Listener), func(net.Listener, int)) {}

// Close does nothing here.
func (*Way) Close() {}

// GPUs are reached without leave here.
func GPUs() []string { return nil }

// Reasonable limits are none here.
func Reasonable() Limits { return Limits{} }

func (r Rules) machine() Rules { return r }

// Machine knows none here.
func Machine() (hidden, readable []string) { return nil, nil }
