package chat

import (
	"time"

	"ml-intern/internal/ledger"
	"ml-intern/internal/session"
)

// An Update is one thing to show. Exactly one field is set.
type Update struct {
	Event  *session.Event // saved, or live: a Chunk or a Log
	Ask    *Ask           // a person must decide
	State  *State         // how things stand; sent whenever it changed
	Opened *Opened        // another session is shown from now on
	Ran    *Ran           // a command of the person's own, "!ls"
	Notice string         // a word of the program to the person that is no event
	Ring   string         // what the terminal is to be sent, so that it shows a notification
	Ended  *Ended         // a turn is over, or waits
}

// Ended says that nothing works on a prompt any more: it has its answer, it
// failed, or the turn waits for jobs and goes on by itself.
type Ended struct {
	Turn   int    // turns are counted from 1; a turn that waits and goes on is one
	Waits  bool   // for jobs
	Err    error  // nil if it has its answer, or waits
	Text   string // what went wrong, and what can be done about it here; a Notice may say the same
	Unsaid bool   // the prompt is not in the session: it is the first of the queue again
}

// Opened says that a session is shown from now on, with all that was before.
type Opened struct {
	ID     string // "" until the first prompt of a new one is said
	Events []session.Event
}

// Ran is how a command stands that the person runs themselves. Its lines come
// one by one; the last Update of it is Done and has the exit status.
type Ran struct {
	ID      int    // the same in all updates of one command
	Command string // as it was typed, without the "!"
	Line    string // one line of output, as it stands
	Out     bool   // there is such a line, which may be empty
	Done    bool
	Stopped bool   // by the person, when Done
	Code    int    // its exit status, when Done
	Err     string // why it could not be run, "" if it was
}

// A Phase is what a conversation does.
type Phase string

// The phases.
const (
	Idle     Phase = "idle"
	Working  Phase = "working"
	Waiting  Phase = "waiting" // for jobs; no model call is made
	Asking   Phase = "asking"  // a person must decide
	Stopping Phase = "stopping"
)

// A State is how things stand.
type State struct {
	Phase        Phase
	Turn         int       // how many turns began
	Since        time.Time // when the phase began
	Session      string    // "" until the first prompt is said
	Title        string
	Dir          string
	Model        string
	Effort       string // "" for the model's own default
	Mode         string // of approval
	Confinement  string // in a word or two; "UNCONFINED" if commands are not
	Hub          string // an address, or "local"
	Context      int    // tokens of the transcript, about; 0 unknown
	Window       int    // that fit the model; 0 unknown
	Spent        ledger.Amount
	Cap          ledger.Amount
	Running      float64  // dollars of what runs, at its limit; part of Spent
	Queue        []string // prompts that wait for the end of the turn, in order
	Held         bool     // the queue waits for the person: the last turn failed or was stopped
	Steers       []string // said now, and not yet delivered
	Waits        []string // what the turn waits for, in words
	Retry        string   // "429, again in 12 s"; "" for none
	Interrupted  string   // why the last turn has no answer, "" if it has; /retry goes on with it
	CommandsBusy int      // commands of the person's own that run
}
