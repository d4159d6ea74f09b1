// Package remote is a sandbox on another machine: the server that runs there,
// and the client that is a sandbox.Sandbox here.
//
// Its one rule: a command has an ID that the client gives it, and runs at most
// once under it. An answer that got lost is looked up, never asked for again by
// running the command; output goes on from the byte where it was cut off. A
// server that was started anew says so, and runs nothing that was meant for the
// one before it.
//
// The server owns its commands and what they printed, in bounded memory; files
// are its sandbox's. The protocol is in docs/design/007-remote-sandbox.md.
package remote

import (
	"errors"
	"time"

	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/sandbox"
)

// Protocol is the version of what client and server say to each other.
const Protocol = 1

// SecretVariable is the variable of the environment in which a server finds its
// secret.
const SecretVariable = "ML_INTERN_SANDBOX_SECRET"

// The headers of the protocol. Authorization is left to whatever stands before
// the server, such as the Hub before a private Space.
const (
	secretHeader   = "X-Sandbox-Authorization"
	instanceHeader = "X-Sandbox-Instance"
)

// Bounds of what is said in one request or answer.
const (
	maxRequest = 1 << 20   // bytes of a command
	maxFile    = 64 << 20  // bytes of a file
	maxAnswer  = 1 << 20   // bytes of JSON
	maxEvent   = 256 << 10 // bytes of a line of a stream
	maxPiece   = 32 << 10  // bytes of output in an event
	maxEntries = 10_000    // of a folder
	maxWords   = 4096      // bytes of an error

	// LongestCommand is how long a command may run that names no time.
	LongestCommand = 24 * time.Hour

	pulse = 5 * time.Second // between signs of life in a stream
)

// What went wrong, for errors.Is.
var (
	// ErrRestarted says that the sandbox was started anew: what ran is over,
	// and what was not on a disk of its own is gone.
	ErrRestarted = errors.New("the sandbox was started anew: its files and what ran in it are gone; set it up again")

	// ErrRefused says that the server did not take the secret.
	ErrRefused = errors.New("the sandbox does not know this secret")

	// ErrAway says that nobody answers for the sandbox.
	ErrAway = errors.New("the sandbox does not answer")
)

// codes of a refusal, for the client to branch on.
const (
	codeRestarted = "restarted"
	codeSecret    = "unauthorized"
	codeNotFound  = "not_found"
)

var idPattern = lazyregexp.New(`^[A-Za-z0-9_-]{1,128}$`)

// order is the body that starts a command.
type order struct {
	Line      string `json:"line"`
	TimeoutMS int64  `json:"timeout_ms,omitempty"`
}

// event is a line of a command's stream: a piece of its output and where that
// begins, its end, or a sign of life.
type event struct {
	From int64  `json:"from"`
	Data []byte `json:"data,omitempty"`
	Exit *exit  `json:"exit,omitempty"`
}

// exit is how a command ended.
type exit struct {
	Code     int            `json:"code"`
	TimedOut bool           `json:"timed_out,omitempty"`
	Canceled bool           `json:"canceled,omitempty"`
	Seconds  float64        `json:"seconds"`
	Error    string         `json:"error,omitempty"` // it could not be run
	Kept     []sandbox.Kept `json:"kept,omitempty"`
}

// About is what a server says of itself.
type About struct {
	Protocol int     `json:"protocol"`
	Version  string  `json:"version"`
	Instance string  `json:"instance"` // another one after every start
	Dir      string  `json:"dir"`      // the workspace
	Running  int     `json:"running"`  // commands
	IdleS    float64 `json:"idle_s"`   // since it was last used; 0 while a command runs
}

// An Entry is a file of a folder.
type Entry struct {
	Name string `json:"name"`
	Dir  bool   `json:"dir,omitempty"`
	Size int64  `json:"size"`
}

// listing is the answer to a question for a folder.
type listing struct {
	Entries []Entry `json:"entries"`
	More    int     `json:"more,omitempty"` // that are left out
}

// refusal is the body of an answer that is not a success.
type refusal struct {
	Code  string `json:"code"`
	Error string `json:"error"`
}
