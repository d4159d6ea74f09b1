package baseline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"ml-intern/internal/llm"
)

// work is one run of the steps: what the transcript holds, and what the steps
// have made of it so far.
type work struct {
	ask    request
	last   string // what the person said last
	tools  map[string]bool
	past   []made // calls of the present request, in order
	at     int    // past[at:] are not used by a step yet
	prompt int    // past[:prompt] are from before the last message of a person
	total  int    // calls in the whole transcript
	step   int
	news   []string // found out since the last reply, to be told with the next

	facts
}

// made is a call with its result.
type made struct {
	name, args string
	result     *llm.ToolResult
}

// need is the error of a step that cannot go on without the calls.
type need struct {
	say   string
	calls []llm.ToolCall
}

func (n *need) Error() string { return fmt.Sprintf("%d calls are needed first", len(n.calls)) }

// end is the error of a step that ends the job.
type end struct {
	text   string
	failed bool
}

func (e *end) Error() string { return e.text }

func failed(format string, args ...any) error {
	return &end{text: fmt.Sprintf(format, args...), failed: true}
}

// replay reads the transcript: the person's request, as later messages have
// changed it, and the calls made since it last changed.
func replay(req llm.Request) *work {
	w := &work{tools: make(map[string]bool)}
	for _, t := range req.Tools {
		w.tools[t.Name] = true
	}
	byID := make(map[string]int)
	for _, m := range req.Messages {
		if text := m.Text(); m.Role == llm.User && !isNote(text) {
			w.last = text
			if w.ask.merge(parse(text)) {
				w.past = nil
				clear(byID)
			}
			w.prompt = len(w.past)
		}
		for _, p := range m.Parts {
			switch {
			case p.Call != nil:
				w.total++
				byID[p.Call.ID] = len(w.past)
				w.past = append(w.past, made{name: p.Call.Name, args: p.Call.Args})
			case p.Result != nil:
				if i, ok := byID[p.Result.CallID]; ok {
					w.past[i].result = p.Result
				}
			}
		}
	}
	return w
}

// isNote spots what the program's guards say in the person's place.
func isNote(text string) bool { return strings.HasPrefix(text, llm.NoteMark) }

// unsettled holds for a result that does not say how the call ended.
func unsettled(r *llm.ToolResult) bool {
	return r == nil || strings.HasPrefix(r.Text, "interrupted:")
}

func refused(r *llm.ToolResult) bool { return r.IsError && strings.HasPrefix(r.Text, "refused:") }

// A wish is a call that a step wants made.
type wish struct {
	tool string
	args any
	// until tells a result worth having from one that calls for the same call
	// again; nil takes every result.
	until func(*llm.ToolResult) bool
}

// attempt returns the calls' results, errors among them, from the transcript.
// If one is not there, it returns a need for those that are not.
//
// A call counts from where the steps before have got to, with two exceptions.
// A command must come after the files written before it among the wishes. A
// job counts wherever it is, so that none is ever submitted twice.
func (w *work) attempt(say string, wishes ...wish) ([]*llm.ToolResult, error) {
	results := make([]*llm.ToolResult, len(wishes))
	var missing []llm.ToolCall
	reached, from := w.at, w.at
	for i, wish := range wishes {
		if !w.tools[wish.tool] {
			return nil, failed("I need the tool %s for this, and this session does not have it. %s", wish.tool, w.soFar())
		}
		args := marshal(wish.args)
		start := w.at
		switch wish.tool {
		case "bash":
			start = from
		case "job_submit":
			start = 0
		}
		at := w.find(wish, args, start)
		if wish.tool == "write" && at < 0 {
			from = len(w.past)
		} else if wish.tool == "write" {
			from = max(from, at+1)
		}
		if at < 0 {
			missing = append(missing, llm.ToolCall{Name: wish.tool, Args: args})
			continue
		}
		results[i], reached = w.past[at].result, max(reached, at+1)
	}
	if len(missing) > 0 {
		return nil, &need{say: strings.Join(append(w.news, say), "\n"), calls: missing}
	}
	w.at, w.news = reached, nil
	for i, r := range results {
		if refused(r) {
			return nil, failed("I stop here: %s was not allowed (%s). %s", wishes[i].tool, strings.TrimSpace(strings.TrimPrefix(r.Text, "refused:")), w.soFar())
		}
	}
	return results, nil
}

// find returns the index of the first call from start on that fulfils the
// wish, -1 if there is none. What was refused before the person's last message
// is asked again.
func (w *work) find(wish wish, args string, start int) int {
	for i := start; i < len(w.past); i++ {
		m := w.past[i]
		if m.name != wish.tool || m.args != args || unsettled(m.result) || (i < w.prompt && refused(m.result)) {
			continue
		}
		if wish.until == nil || wish.until(m.result) {
			return i
		}
	}
	return -1
}

// must is attempt for calls without which the job cannot go on. An error from
// before the person's last message does not count: they may have mended it.
func (w *work) must(say string, wishes ...wish) ([]*llm.ToolResult, error) {
	for i := range wishes {
		wishes[i] = wishes[i].anew(w)
	}
	results, err := w.attempt(say, wishes...)
	if err != nil {
		return nil, err
	}
	for i, r := range results {
		if r.IsError {
			return nil, failed("I could not go on: %s failed.\n%s\n%s", wishes[i].tool, tail(r.Text, 15), w.soFar())
		}
	}
	return results, nil
}

// anew makes the call again if it failed before the person's last message.
func (v wish) anew(w *work) wish {
	v.until = w.fresh(v.until)
	return v
}

// fresh passes over errors from before the person's last message.
func (w *work) fresh(until func(*llm.ToolResult) bool) func(*llm.ToolResult) bool {
	old := make(map[*llm.ToolResult]bool)
	for _, m := range w.past[:w.prompt] {
		old[m.result] = true
	}
	return func(r *llm.ToolResult) bool {
		return !(r.IsError && old[r]) && (until == nil || until(r))
	}
}

// tell has something said with the next reply.
func (w *work) tell(format string, args ...any) {
	w.news = append(w.news, fmt.Sprintf(format, args...))
}

// plan returns the call that brings the plan up to date, and whether it needs
// to be.
func (w *work) plan(ended *end) (llm.ToolCall, bool) {
	type item struct {
		Text   string `json:"text"`
		Status string `json:"status"`
	}
	var items []item
	for i, s := range steps {
		if s.title == "" || (s.publishes && w.ask.Repo == "") {
			continue
		}
		status := "pending"
		switch {
		case i < w.step, ended != nil && !ended.failed:
			status = "done"
		case ended != nil:
			status = "dropped"
		case i == w.step:
			status = "doing"
		}
		items = append(items, item{s.title, status})
	}
	call := llm.ToolCall{Name: "plan", Args: marshal(map[string]any{"items": items})}
	latest := ""
	for _, m := range w.past {
		if m.name == "plan" {
			latest = m.args
		}
	}
	if latest == "" && ended != nil {
		return call, false // nothing was begun
	}
	return call, w.tools["plan"] && latest != call.Args
}

// marshal writes arguments, always in the same way.
func marshal(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "{}" // the steps only pass what can be written
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// tail returns the last n lines of a text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
