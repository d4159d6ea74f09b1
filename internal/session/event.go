// Package session is the memory of one conversation: an append-only log of
// events. The transcript for the model, the calls still to settle, the bill
// and the plan are computed from that log; nothing else is saved.
//
// A Session belongs to one goroutine, and by the Store's lease to one
// process, at a time.
package session

import (
	"time"

	"ml-intern/internal/approval"
	"ml-intern/internal/instruction"
	"ml-intern/internal/ledger"
	"ml-intern/internal/llm"
	"ml-intern/internal/tool"
)

// An Event is one thing that happened. Exactly one field after Time is set.
// The JSON form is public: it is what `--output events` prints.
type Event struct {
	Seq  int64     `json:"seq,omitempty"` // from 1; 0 for a live event, which is shown and not saved
	Time time.Time `json:"time"`

	Opened   *Opened    `json:"opened,omitempty"`   // the session began
	Prompt   *Prompt    `json:"prompt,omitempty"`   // the person spoke
	Note     *Note      `json:"note,omitempty"`     // the program spoke to the model
	Notice   *Notice    `json:"notice,omitempty"`   // the program spoke to the person
	Reserved *Reserved  `json:"reserved,omitempty"` // money was set aside for a model call
	Chunk    *llm.Chunk `json:"chunk,omitempty"`    // live: a piece of a reply
	Reply    *Reply     `json:"reply,omitempty"`    // the model's whole reply; settles what was reserved
	Settled  *Settled   `json:"settled,omitempty"`  // a model call brought no reply; settles what was reserved
	Switched *Switched  `json:"switched,omitempty"` // another model takes over for the rest of the turn
	Asked    *Asked     `json:"asked,omitempty"`    // a person must decide
	Decided  *Decided   `json:"decided,omitempty"`  // a call may run, or not
	Started  *Started   `json:"started,omitempty"`  // a tool is about to run
	Log      *Log       `json:"log,omitempty"`      // live: a tool's progress
	Waiting  *Waiting   `json:"waiting,omitempty"`  // a call has no result yet, and the turn ends if there is nothing else to do
	Result   *Result    `json:"result,omitempty"`   // a call is settled: it ran, was refused or was interrupted
	Charged  *Charged   `json:"charged,omitempty"`  // what jobs cost, seen outside a call
	Cleared  *Cleared   `json:"cleared,omitempty"`  // old results were shortened in the transcript
	Compact  *Compact   `json:"compact,omitempty"`  // the transcript so far was replaced by a summary
	Failed   *Failed    `json:"failed,omitempty"`   // the turn ended without an answer
	Chose    *Chose     `json:"chose,omitempty"`    // the person set something for the rest of the session

	Checkpointed *Checkpointed `json:"checkpointed,omitempty"` // the workspace's files were kept as they are
	Renamed      *Renamed      `json:"renamed,omitempty"`      // the person gave the session a title
}

// Opened says where a session lives and with what it began.
type Opened struct {
	ID      string `json:"id"`
	Dir     string `json:"dir"` // the workspace, absolute
	Model   string `json:"model"`
	Hub     string `json:"hub"`              // URL, or "local"
	Version string `json:"version"`          // of ml-intern
	Parent  string `json:"parent,omitempty"` // the session that this one works for, as a sub-agent
	Caller  string `json:"caller,omitempty"` // what another agent calls its tools by, such as "mcp": nobody talks in it
	Trace   string `json:"trace,omitempty"`  // the traceparent of who began it, if telemetry was sent

	Instructions []instruction.File `json:"instructions,omitempty"` // as they were when it began: they stay in what the model reads first
	Skills       string             `json:"skills,omitempty"`       // what it read of skills then; "" if there were none
}

// Prompt is what the person said.
type Prompt struct {
	Text    string `json:"text"`
	Steer   bool   `json:"steer,omitempty"`   // said to a turn at work, which goes on with it
	Context string `json:"context,omitempty"` // what they gave the model to read with it: what their own commands printed

	Pictures []*llm.Image `json:"pictures,omitempty"` // what they gave it to look at, as it was then
}

// Chose is what the person set for the rest of the session; "" leaves it as it
// was.
type Chose struct {
	Model  string `json:"model,omitempty"`
	Effort string `json:"effort,omitempty"` // DefaultEffort for the model's own
	Mode   string `json:"mode,omitempty"`   // of approval
}

// DefaultEffort is chosen to leave it to the model how hard it thinks.
const DefaultEffort = "default"

// Renamed is the title that the person gave the session.
type Renamed struct {
	Title string `json:"title"`
}

// Note is a word of the program to the model, from the named guard.
type Note struct {
	Guard string `json:"guard"`
	Text  string `json:"text"`
}

// Notice is a word of the program to the person, said once for its kind.
type Notice struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// What a model call is for.
const (
	ForStep    = "step"
	ForSummary = "summary"
)

// Reserved is saved before a model call starts. Until a Reply, Compact or
// Settled follows, its worst case counts as spent, so also after a crash.
type Reserved struct {
	For   string        `json:"for"` // ForStep or ForSummary
	Model string        `json:"model"`
	Worst ledger.Amount `json:"worst"`
}

// Reply is a model's whole reply, who gave it, and what it cost.
type Reply struct {
	llm.Reply
	Model string        `json:"model,omitempty"`
	Cost  ledger.Amount `json:"cost,omitzero"`
}

// Settled closes a reservation without a reply: the call failed or was stopped.
type Settled struct {
	For   string        `json:"for"`
	Model string        `json:"model"`
	Usage llm.Usage     `json:"usage"` // estimated from what had come
	Cost  ledger.Amount `json:"cost,omitzero"`
}

// Switched says why another model takes over.
type Switched struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Reason string `json:"reason"`
}

// Asked names the calls that wait for a person.
type Asked struct {
	CallIDs []string `json:"call_ids"`
	Reason  string   `json:"reason"`
}

// Decided is the verdict on one call: "allow" or "deny".
type Decided struct {
	CallID  string `json:"call_id"`
	Verdict string `json:"verdict"`
	By      string `json:"by"` // "policy", "person" or "guard"
	Reason  string `json:"reason,omitempty"`
	Args    string `json:"args,omitempty"` // of the call, as the person changed them; "" as the model wrote them

	For    string          `json:"for,omitempty"`   // approval.Session or approval.Always: a yes to more than this call
	Rules  []approval.Rule `json:"rules,omitempty"` // what that yes allows
	Grants tool.Grants     `json:"grants,omitzero"` // what a yes opened beyond confinement
}

// Started is saved before a tool runs, so that no call starts twice.
type Started struct {
	CallID   string  `json:"call_id"`
	Again    bool    `json:"again,omitempty"`     // resumed after a crash; only for calls that repeat nothing
	WorstUSD float64 `json:"worst_usd,omitempty"` // set aside until the result is there
}

// Waiting says for what a call waits. It begins again, with Started, when there
// is something to look at.
type Waiting struct {
	CallID string `json:"call_id"`
	tool.Waiting
}

// Log is one line of a running tool's progress.
type Log struct {
	CallID string `json:"call_id"`
	Line   string `json:"line"`
}

// Result settles a call. Every call has exactly one.
type Result struct {
	CallID string `json:"call_id"`
	tool.Output
	Full    string  `json:"full,omitempty"`    // file with the whole text, when Text is only its head and tail
	Seconds float64 `json:"seconds,omitempty"` // how long the tool ran
}

// Charged books what jobs cost that earlier calls have started.
type Charged struct {
	Charges []tool.Charge `json:"charges"`
}

// When a checkpoint was made.
const (
	BeforeWrite = "before" // before the turn's first call that may change files, or before files were brought back
	AfterTurn   = "after"  // when the turn had ended, or files had been brought back
)

// Checkpointed says that the workspace's files were kept as they are. What
// differs between one AfterTurn and the next BeforeWrite is not the session's
// doing.
type Checkpointed struct {
	When    string         `json:"when"`             // BeforeWrite or AfterTurn
	ID      string         `json:"id"`               // the same as another one's when nothing had changed
	Target  string         `json:"target,omitempty"` // of a BeforeWrite: the checkpoint whose files were to be brought back, "" before a turn's call
	Files   int            `json:"files"`
	Bytes   int64          `json:"bytes"`
	Large   int            `json:"large,omitempty"`    // files held by a clone or a second name
	Unheld  int            `json:"unheld,omitempty"`   // large files known by size and time only
	LeftOut map[string]int `json:"left_out,omitempty"` // by reason; a folder counts once
	Seconds float64        `json:"seconds,omitempty"`
}

// Cleared puts short texts in place of bulky results.
type Cleared struct {
	Results  []ClearedResult `json:"results"`
	Pictures int             `json:"pictures,omitempty"` // those of prompts are left out of so many first messages of the transcript
}

// ClearedResult is what stands in place of one result.
type ClearedResult struct {
	CallID string `json:"call_id"`
	Text   string `json:"text"`
}

// Compact replaces everything before the message number Keep of the
// transcript, except the first prompt, by State and Summary.
type Compact struct {
	State     string   `json:"state"`               // what the program knows by itself: see Session.State
	Summary   string   `json:"summary"`             // what the model wrote, or a digest
	Decisions []string `json:"decisions,omitempty"` // put back at every later compaction
	Questions []string `json:"questions,omitempty"` // open ones, likewise
	Keep      int      `json:"keep"`
	Longest   int      `json:"longest,omitempty"` // bytes that one part of what is kept may have; 0 for no limit
	Refused   int      `json:"refused,omitempty"` // tokens that the provider had refused as too many
	Asked     bool     `json:"asked,omitempty"`   // by the person, between two turns

	Model string        `json:"model,omitempty"` // that wrote the summary
	Usage llm.Usage     `json:"usage"`
	Cost  ledger.Amount `json:"cost,omitzero"`
}

// Failed ends a turn. Reason is one of the exit reasons that the command line
// documents, Text is for people.
type Failed struct {
	Reason string `json:"reason"`
	Text   string `json:"text"`
}

// Live reports whether the event is shown only and never saved.
func (e Event) Live() bool { return e.Chunk != nil || e.Log != nil }

// Aside reports whether the event is no part of the conversation: the model
// is not told, and nothing waits for it.
func (e Event) Aside() bool {
	return e.Notice != nil || e.Charged != nil || e.Checkpointed != nil || e.Renamed != nil || e.Chose != nil ||
		e.Compact != nil && e.Compact.Asked || e.Reserved != nil && e.Reserved.For == ForSummary || e.Settled != nil && e.Settled.For == ForSummary
}
