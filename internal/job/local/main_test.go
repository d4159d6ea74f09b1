//go:build unix

package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"ml-intern/internal/confine"
	"ml-intern/internal/job"
	"ml-intern/internal/job/local"
)

// TestMain lets the test program be the other programs of these tests: the
// shim, and an agent that submits the job in its arguments.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "job-shim" {
		if err := local.RunShim(context.Background(), os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 2 && os.Args[1] == confine.ConfinedCommand {
		if err := confine.Main(); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 3 && os.Args[1] == confine.ConfinedCommand {
		var rules confine.Rules
		data, err := os.ReadFile(os.Args[2])
		if err == nil {
			err = json.Unmarshal(data, &rules)
		}
		fmt.Fprintln(os.Stderr, errors.Join(err, confine.Become(rules, os.Args[3:])))
		os.Exit(1)
	}
	if len(os.Args) == 4 && os.Args[1] == "agent" {
		var spec job.Spec
		err := json.Unmarshal([]byte(os.Args[3]), &spec)
		if err == nil {
			_, err = local.Backend{Dir: os.Args[2], Shim: shim(), Slots: 2}.Submit(context.Background(), spec)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// shim starts this program as a shim. The race detector, where it is on, would
// wait a second at the end of every process.
func shim() []string { return []string{"env", noRaceWait, self(), "job-shim"} }

const noRaceWait = "GORACE=atexit_sleep_ms=0"

func self() string {
	program, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return program
}

// newBackend returns a backend of its own with two slots.
func newBackend(t *testing.T) local.Backend {
	t.Helper()
	return local.Backend{Dir: filepath.Join(t.TempDir(), "state"), Shim: shim(), Slots: 2}
}
