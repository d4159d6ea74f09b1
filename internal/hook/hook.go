// Package hook runs the person's own programs before and after tools, prompts
// and stops. They are told what happens as JSON and may answer in JSON.
//
// Its one rule: a hook that fails, in whatever way, denies the call that it
// was to look at, and ends nothing else. The format is the one that Claude
// Code's hooks made common, so that a program written for those works here.
package hook

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// The events.
const (
	BeforeTool = "PreToolUse"
	AfterTool  = "PostToolUse"
	Prompt     = "UserPromptSubmit"
	Stop       = "Stop"
)

// Events lists the events.
func Events() []string { return []string{BeforeTool, AfterTool, Prompt, Stop} }

// The verdicts of an Answer; "" is no opinion.
const (
	allow = "allow"
	ask   = "ask"
	deny  = "deny"
)

// DefaultTimeout is how long a hook may take that says nothing about it.
const DefaultTimeout = 30 * time.Second

// A Hook is one program.
type Hook struct {
	Event   string
	Matcher string // names of tools, as a pattern such as "write|edit"; "" or "*" for all
	Command string // a shell line
	Timeout time.Duration
	Check   func() error // why the hook may no longer run; nil for no reason
}

// An Event is what a hook is told.
type Event struct {
	Name     string          `json:"hook_event_name"`
	Session  string          `json:"session_id"`
	Dir      string          `json:"cwd"`
	Mode     string          `json:"permission_mode,omitempty"`
	Tool     string          `json:"tool_name,omitempty"`
	CallID   string          `json:"tool_use_id,omitempty"`
	Input    json.RawMessage `json:"tool_input,omitempty"`
	Response *Response       `json:"tool_response,omitempty"`
	Prompt   string          `json:"prompt,omitempty"`
	Answer   string          `json:"last_assistant_message,omitempty"`
	Stopped  bool            `json:"stop_hook_active,omitempty"` // a hook has sent the model back before
}

// A Response is the result of a call.
type Response struct {
	Text    string `json:"text"`
	IsError bool   `json:"is_error"`
}

// An Answer is what the hooks of an event say together.
type Answer struct {
	Verdict string   // "allow", "ask" or "deny"; "" for no opinion
	Reason  string   // of that verdict
	Context string   // for the model
	Notices []string // for the person
}

// A Runner runs hooks in the workspace.
type Runner struct {
	Hooks []Hook
	Dir   string   // the workspace
	Mode  string   // of approval
	Env   []string // of the person's own session
}

// Fire runs the hooks of the event one after another. The most careful verdict
// counts; after a no, the others are not asked.
func (r Runner) Fire(ctx context.Context, ev Event) Answer {
	ev.Dir, ev.Mode = r.Dir, r.Mode
	var all Answer
	for _, h := range r.Hooks {
		if h.Event != ev.Name || !h.matches(ev.Tool) {
			continue
		}
		one, err := r.run(ctx, h, ev)
		if err != nil {
			one = failed(h, ev, err)
		}
		all.add(one)
		if all.Verdict == deny || ctx.Err() != nil {
			break
		}
	}
	return all
}

// failed is the answer of a hook that broke.
func failed(h Hook, ev Event, err error) Answer {
	text := fmt.Sprintf("the hook %q of %s failed: %v", shorten(h.Command), h.Event, err)
	if ev.Name == BeforeTool {
		return Answer{Verdict: deny, Reason: text + "; the person must mend or remove it"}
	}
	return Answer{Notices: []string{text}}
}

func shorten(s string) string {
	if runes := []rune(s); len(runes) > 80 {
		return string(runes[:79]) + "…"
	}
	return s
}

func (a *Answer) add(b Answer) {
	rank := map[string]int{allow: 1, ask: 2, deny: 3}
	if rank[b.Verdict] > rank[a.Verdict] {
		a.Verdict, a.Reason = b.Verdict, b.Reason
	}
	if b.Context != "" {
		a.Context = strings.TrimPrefix(a.Context+"\n"+b.Context, "\n")
	}
	a.Notices = append(a.Notices, b.Notices...)
}

// matches reports whether the hook is for the tool. Names match as a whole and
// in any case; the matcher was checked when it was read.
func (h Hook) matches(tool string) bool {
	if tool == "" || h.Matcher == "" || h.Matcher == "*" {
		return true
	}
	re, err := regexp.Compile("(?i)^(?:" + h.Matcher + ")$")
	return err != nil || re.MatchString(tool) // one that cannot be read looks at everything
}
