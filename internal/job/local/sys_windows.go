package local

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"time"
)

const supported = false

var errUnsupported = errors.New("jobs on this machine need a Unix system; on Windows run ml-intern inside WSL")

// RunShim fails: there is no job on Windows to run it for.
func RunShim(context.Context, string) error { return errUnsupported }

func lockExclusive(context.Context, string) (func(), error) { return nil, errUnsupported }
func lockHolder(string) (int, error)                        { return 0, errUnsupported }
func holdFile(string, int) (*os.File, bool)                 { return nil, false }
func wake(int) error                                        { return errUnsupported }

// UnusedEnvironments lists nothing: no job runs here.
func (Backend) UnusedEnvironments(context.Context, time.Duration) ([]Environment, error) {
	return nil, nil
}

// RemoveEnvironment fails: there is none.
func (Backend) RemoveEnvironment(context.Context, string, time.Duration) error { return errUnsupported }

func detached(argv []string) *exec.Cmd { return exec.Command(argv[0], argv[1:]...) }
