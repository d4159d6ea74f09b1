package confine

import (
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
	os.Exit(m.Run())
}
