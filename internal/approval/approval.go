// Package approval decides which tool calls may run without a person.
//
// Its one rule: a Policy is pure. It judges by what it is given and does no
// I/O; asking a person is the Approver's work, running the call the agent's.
package approval

import (
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/llm"
	"ml-intern/internal/tool"
)

// A Request is one call to be judged.
type Request struct {
	Call   llm.ToolCall
	Impact tool.Impact
	Rules  []Rule // of this session, which the person gave as answers

	// What a person is told; set when they are to decide.
	Reason   string // why they are asked
	Show     string // the change or the script in full; "" if the arguments say it all
	Remember []Rule // what an answer for more than this call would allow; none if there is no such answer
}

// The verdicts.
const (
	Allow = "allow"
	Ask   = "ask"
	Deny  = "deny"
)

// How long an answer holds.
const (
	Once    = ""
	Session = "session" // for the rest of the session
	Always  = "always"  // until the person takes the rule out of their file
)

// A Decision is the outcome for one Request.
type Decision struct {
	Verdict  string // Allow, Deny, or, from a Policy only, Ask
	Reason   string // told to the person on Ask and to the model on Deny
	For      string // Once, Session or Always: what a person's yes is for
	ByRule   bool   // from a Policy: a rule or a hook asks, not the mode
	Remember []Rule // from a Policy that asks: what would have allowed it
	Args     string // from a person's yes: the arguments to run the call with; "" for those of the model
}

// A Policy judges requests by rules alone.
type Policy interface {
	Decide(Request) Decision
}

// A Mode is a Policy that goes by a call's impact.
type Mode string

// The modes.
const (
	Plan     Mode = "plan"   // only what reads may run
	AskFirst Mode = "ask"    // spending, publishing and reaching outside confinement ask
	Strict   Mode = "strict" // writing and running ask too
	Auto     Mode = "auto"   // nothing asks; what cannot be undone is refused
)

// Modes lists the modes from the most to the least careful.
func Modes() []Mode { return []Mode{Plan, Strict, AskFirst, Auto} }

// ParseMode returns the mode of that name.
func ParseMode(name string) (Mode, error) {
	if m := Mode(name); slices.Contains(Modes(), m) {
		return m, nil
	}
	names := make([]string, 0, len(Modes()))
	for _, m := range Modes() {
		names = append(names, string(m))
	}
	return "", fmt.Errorf("there is no approval mode %q; the modes are %s", name, strings.Join(names, ", "))
}

// Decide implements Policy.
func (m Mode) Decide(r Request) Decision {
	reads := r.Impact.Effect == tool.Reads
	switch {
	case m == Plan && !reads:
		return Decision{Verdict: Deny, Reason: fmt.Sprintf("in plan mode only reading is allowed, and %s %s", r.Call.Name, r.Impact.Effect)}
	case m == Auto:
		return auto(r)
	case !r.Impact.Grants.IsZero():
		return Decision{Verdict: Ask, Reason: asksFor(r.Impact.Grants)}
	case r.Impact.Outside != "":
		return Decision{Verdict: Ask, Reason: r.Impact.Outside}
	case reads:
		return Decision{Verdict: Allow}
	case r.Impact.Effect == tool.Spends:
		return Decision{Verdict: Ask, Reason: fmt.Sprintf("it may cost $%.2f", r.Impact.CostUSD)}
	case r.Impact.Effect == tool.Publishes:
		return Decision{Verdict: Ask, Reason: "it " + publishes(r.Impact)}
	case m == Strict:
		return Decision{Verdict: Ask, Reason: "it " + string(r.Impact.Effect)}
	}
	return Decision{Verdict: Allow}
}

// auto allows everything but what nobody could take back.
func auto(r Request) Decision {
	switch {
	case len(r.Impact.Grants.Paths)+len(r.Impact.Grants.Hosts) > 0: // a GPU holds nothing of the person's, and leads nowhere
		return Decision{Verdict: Deny, Reason: asksFor(r.Impact.Grants) + ", which only a person can give: run with --approve ask at a terminal"}
	case r.Impact.Deletes:
		return Decision{Verdict: Deny, Reason: "with --approve auto nothing is deleted beyond the workspace; a person must do that, or run with --approve ask at a terminal"}
	case r.Impact.Public:
		return Decision{Verdict: Deny, Reason: "with --approve auto nothing is made public; keep it private, or a person must run with --approve ask at a terminal"}
	case r.Impact.Recurring:
		return Decision{Verdict: Deny, Reason: "with --approve auto nothing is started that goes on by itself; run it once, or a person must run with --approve ask at a terminal"}
	}
	return Decision{Verdict: Allow}
}

func publishes(i tool.Impact) string {
	what := "publishes something"
	switch {
	case i.Deletes:
		what = "deletes something on the Hub"
	case i.Public:
		what = "makes something public"
	}
	if i.Object != "" {
		what += fmt.Sprintf(" (%.200s)", strings.ToValidUTF8(i.Object, "?"))
	}
	return what
}
