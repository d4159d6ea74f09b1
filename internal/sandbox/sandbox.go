// Package sandbox is the place where the agent's commands run and its files
// live: a folder on this machine.
//
// Its one rule: writes stay inside the workspace, and no secret of this
// process reaches a command. The kernel keeps commands to it (package confine)
// unless the person has said otherwise: Confinement says so, and policy asks a
// person accordingly.
package sandbox

import (
	"context"
	"io"
	"time"
)

// A Sandbox runs commands and holds files. Paths are absolute or relative to
// the workspace.
type Sandbox interface {
	Exec(ctx context.Context, cmd Command) (Output, error)

	// ReadFile returns a file of at most max bytes; a larger one is an error
	// that says its size.
	ReadFile(ctx context.Context, path string, max int64) ([]byte, error)

	// WriteFile replaces a file of the workspace, all of it or nothing. It says
	// what was kept of one that must not get lost.
	WriteFile(ctx context.Context, path string, data []byte) (Kept, error)

	// Resolve returns the absolute path, and whether it is inside the workspace.
	Resolve(path string) (abs string, inside bool)
}

// A Command is a shell line to run.
type Command struct {
	Line    string
	Timeout time.Duration     // 0 means none
	Log     func(line string) // shows output lines as they come; may be nil
	Raw     io.Writer         // gets the output as it comes, byte for byte; may be nil, must not fail

	// ID names this run, unique in the world. A sandbox elsewhere runs it once,
	// however often it is asked, and says what became of it; "" for a new run.
	ID string
}

// Output is what a command left.
type Output struct {
	Text     string // stdout and stderr as they came; head and tail if it was long
	Code     int    // exit status; 128+signal if a signal ended it
	TimedOut bool
	Seconds  float64
	Kept     []Kept   // what it overwrote or deleted and must not get lost
	Notes    []string // what confinement refused or undid, in sentences
}
