// Package tool defines a Tool, what a call may change, and the Router that
// finds and runs it.
//
// Its one rule: whatever goes wrong inside a tool becomes that call's result.
// Deciding whether a call may run is package approval's work.
package tool

import (
	"context"
	"slices"
	"time"

	"ml-intern/internal/llm"
)

// An Effect says what a call can change. Policies judge by it.
type Effect string

// The effects, from harmless to costly.
const (
	Reads     Effect = "reads"     // looks only; may run beside other reads, and again after a crash
	Writes    Effect = "writes"    // changes files of the workspace
	Executes  Effect = "executes"  // runs a program
	Spends    Effect = "spends"    // costs money
	Publishes Effect = "publishes" // changes something that others see, such as a Hub repository
)

// An Impact is what one call may change, said before it runs.
type Impact struct {
	Effect    Effect  `json:"effect"`
	Outside   string  `json:"outside,omitempty"`   // the reach beyond confinement, in words; "" if there is none
	Public    bool    `json:"public,omitempty"`    // makes something visible to everyone
	Deletes   bool    `json:"deletes,omitempty"`   // removes something that is not a workspace file
	Recurring bool    `json:"recurring,omitempty"` // goes on by itself
	CostUSD   float64 `json:"cost_usd,omitempty"`  // at worst; 0 when free
	Object    string  `json:"object,omitempty"`    // what is published, opened or deleted, for the person who decides

	// What rules may name.
	Shell   string   `json:"shell,omitempty"`   // the shell line that it runs
	Argv    []string `json:"argv,omitempty"`    // the program that it runs without a shell, with its arguments
	Paths   []string `json:"paths,omitempty"`   // absolute: files and folders that it reads or changes
	Hosts   []string `json:"hosts,omitempty"`   // other machines that it reaches, by name
	Repo    string   `json:"repo,omitempty"`    // on the Hub
	Secrets []string `json:"secrets,omitempty"` // that it gives away, by name

	Grants Grants `json:"grants,omitzero"` // what it asks for beyond confinement
}

// Grants are single exceptions from confinement, which a person gives.
type Grants struct {
	Paths []string `json:"paths,omitempty"` // absolute
	Hosts []string `json:"hosts,omitempty"`
	GPU   bool     `json:"gpu,omitempty"` // the accelerators of this machine
}

// IsZero reports whether nothing is granted.
func (g Grants) IsZero() bool { return len(g.Paths) == 0 && len(g.Hosts) == 0 && !g.GPU }

// Names lists what is granted, in words.
func (g Grants) Names() []string {
	names := slices.Concat(g.Paths, g.Hosts)
	if g.GPU {
		names = append(names, "the GPUs of this machine")
	}
	return names
}

// A Spec describes a tool to the model and to the policy.
type Spec struct {
	llm.ToolSpec
	Effect Effect

	// Impact judges one call by its arguments, which are valid JSON but may
	// not fit the schema. Nil means that Effect says it all.
	Impact func(args string) Impact

	// Show is what a person should see before the call runs, in full: the
	// change to a file, the script. Nil means that the arguments say it all.
	Show func(ctx context.Context, args string) string

	// Resumable says that running a call again with the same ID finishes
	// what a crash interrupted and repeats nothing: a job is found by its
	// label, a commit by its content. Reads are resumable by nature.
	Resumable bool

	// ResumableCall says the same of one call, by its arguments. It may be nil.
	ResumableCall func(args string) bool
}

// A Call is one request to run a tool.
type Call struct {
	ID   string            // unique in the world: session id and call id
	Args string            // JSON
	Log  func(line string) // shows progress to the person; never nil

	WorstUSD float64 // that is set aside for it; it may cost no more
	Again    bool    // it began before, and a crash or a stop cut it short, or it waited

	Since time.Time // when it first began

	Granted Grants // what a yes to this very call opened; it opens nothing else
}

// Output is what a tool returns.
type Output struct {
	Text      string     `json:"text"`               // for the model
	IsError   bool       `json:"is_error,omitempty"` // the work failed, though the tool did its part
	BadArgs   bool       `json:"bad_args,omitempty"` // the arguments were of no use, and nothing was done
	Summary   string     `json:"summary,omitempty"`  // one line for the person
	Artifacts []Artifact `json:"artifacts,omitempty"`
	Plan      []PlanItem `json:"plan,omitempty"`  // the whole plan, when the call set it
	Facts     []Fact     `json:"facts,omitempty"` // what a summary of the conversation must keep
	Image     *llm.Image `json:"image,omitempty"` // for the model to see, beside Text
	CostUSD   float64    `json:"cost_usd,omitempty"`
	Spent     *Spent     `json:"spent,omitempty"` // by a session of its own, which the account has booked already
	Charges   []Charge   `json:"charges,omitempty"`
	News      []JobNews  `json:"news,omitempty"` // of jobs, for people who are told elsewhere

	// Waits says that the call is not over and has no result yet: the turn ends,
	// and the call runs again when there is something to look at. Only a call
	// that may be resumed can wait.
	Waits *Waiting `json:"-"`

	// Saved is called once the result is in the session's log, if it is there.
	Saved func() `json:"-"`
}

// Waiting is what a call waits for that has no result yet.
type Waiting struct {
	Jobs  []string  `json:"jobs"`           // ids
	Until time.Time `json:"until,omitzero"` // it is over then, whatever happened; zero for no limit
}

// A Charge is what a job costs that goes on after the call that started it. A
// later charge of the same label takes the place of an earlier one.
type Charge struct {
	Label string  `json:"label"`           // the ID of the call that submitted it
	Job   string  `json:"job,omitempty"`   // its id; "" if nobody knows yet whether there is one
	USD   float64 `json:"usd"`             // so far at worst: if it is not final, as if the job ran to its limit
	Final bool    `json:"final,omitempty"` // the job is over
}

// Spent is what a session cost that worked for a call: a sub-agent.
type Spent struct {
	Session string    `json:"session"`
	Calls   int       `json:"calls"` // of models, that were answered
	Usage   llm.Usage `json:"usage"`
	USD     float64   `json:"usd"`
	Tokens  int       `json:"unpriced_tokens,omitempty"`
}

// A Fact is something that must outlive a summary of the conversation: a job
// and its state, a file that was written. A later fact of the same kind and
// name takes its place.
type Fact struct {
	Kind string `json:"kind"` // as a heading: "Jobs", "Files written", …
	Name string `json:"name"`
	Text string `json:"text"`
}

// The kinds of JobNews.
const (
	NewsFinished = "finished"
	NewsFailed   = "failed"
	NewsWarning  = "warning"
)

// JobNews is something that happened to a job. It may be said by several calls,
// with the same id.
type JobNews struct {
	ID   string `json:"id"`
	Job  string `json:"job"`
	Name string `json:"name,omitempty"`
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// An Artifact is something that a call left behind and a person may want.
type Artifact struct {
	Kind   string `json:"kind"` // "model", "file", "job", …
	URL    string `json:"url,omitempty"`
	Path   string `json:"path,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
}

// A PlanItem is one point of the model's plan.
type PlanItem struct {
	Text   string `json:"text"`
	Status string `json:"status"` // "pending", "doing", "done" or "dropped"
}

// A Tool is one thing that the model can do.
type Tool interface {
	Spec() Spec

	// Run does the work. An error is told to the model like an Output with
	// IsError: it never ends the turn.
	Run(ctx context.Context, call Call) (Output, error)
}
