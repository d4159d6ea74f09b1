//go:build !linux

package confine

import (
	"context"
	"errors"
)

// A cell does not exist here.
type cell struct{ files string }

func (*cell) end() {}

// Run refuses.
func (c *Cells) Run(context.Context, Command) (Result, error) {
	return Result{Code: -1}, ErrUnavailable
}

// Main refuses.
func Main() error { return errors.New("cells exist on Linux only") }

// Become refuses.
func Become(Rules, []string) error { return ErrUnavailable }

// Probe says that there are no walls.
func Probe(context.Context, ...string) []Layer {
	return []Layer{{Name: "commands", Level: ErrUnavailable.Error()}}
}

// GPUs are reached without leave here.
func GPUs() []string { return nil }

// Reasonable limits are none here.
func Reasonable() Limits { return Limits{} }

func (r Rules) machine() Rules { return r }
