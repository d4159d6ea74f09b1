package confine

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// The test binary is its own cell.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == ConfinedCommand {
		if err := Main(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) >= 3 && os.Args[1] == "agent" { // runs a command until it is killed
		c := New(Rules{Writable: []string{os.Args[2]}}, "/proc/self/exe", ConfinedCommand)
		c.off = os.Args[3:]
		_, err := c.Run(context.Background(), Command{
			Path: "/bin/sh", Args: []string{"sh", "-c", "setsid sh -c 'while :; do date > alive; sleep 0.02; done' & sleep 600"},
			Dir: os.Args[2], Env: os.Environ(), Output: os.Stderr,
		})
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
