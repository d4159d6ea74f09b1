//go:build !linux && !darwin

package confine

import (
	"context"
	"fmt"
	"runtime"
)

// Run refuses.
func (c *Cells) Run(context.Context, Command) (Result, error) {
	return Result{Code: -1}, fmt.Errorf("%w: %s has no walls that this program can put up; run it in WSL, or with --unconfined", ErrUnavailable, runtime.GOOS)
}

// Probe says that there are no walls.
func Probe(context.Context, ...string) []Layer {
	return []Layer{{Name: "commands", Level: "there are no walls on " + runtime.GOOS + ": run the program in WSL"}}
}
