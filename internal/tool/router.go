package tool

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"ml-intern/internal/llm"
)

// A Router holds the tools of one session by name.
type Router struct {
	// Redact takes secrets out of all that tools say, before anybody sees or
	// keeps it; nil for nothing to take out.
	Redact func(text string) string

	byName map[string]Tool
	specs  []llm.ToolSpec
}

// NewRouter returns a Router of the given tools.
func NewRouter(tools ...Tool) (*Router, error) {
	r := &Router{byName: make(map[string]Tool)}
	for _, t := range tools {
		spec := t.Spec()
		if _, dup := r.byName[spec.Name]; dup {
			return nil, fmt.Errorf("two tools are named %q", spec.Name)
		}
		r.byName[spec.Name] = t
		r.specs = append(r.specs, spec.ToolSpec)
	}
	return r, nil
}

// Tool returns the tool of that name.
func (r *Router) Tool(name string) (Tool, bool) {
	t, ok := r.byName[name]
	return t, ok
}

// Specs lists the tools as the model sees them, always in the same order.
func (r *Router) Specs() []llm.ToolSpec { return r.specs }

// Impact says what the call may change. A call that cannot run, because its
// tool is unknown or its arguments are not JSON, changes nothing.
func (r *Router) Impact(call llm.ToolCall) Impact {
	t, ok := r.byName[call.Name]
	args := call.Args
	if strings.TrimSpace(args) == "" {
		args = "{}" // as the tool will read it
	}
	if !ok || !json.Valid([]byte(args)) {
		return Impact{Effect: Reads}
	}
	spec := t.Spec()
	if spec.Impact == nil {
		return Impact{Effect: spec.Effect}
	}
	return spec.Impact(args)
}

// Check reports what is wrong with a call's arguments, as far as that can be
// known before it runs.
func (r *Router) Check(call llm.ToolCall) error {
	t, ok := r.byName[call.Name].(interface{ check(args string) error })
	if !ok {
		return nil
	}
	return t.check(call.Args)
}

// Show is what a person should see before the call runs, besides its
// arguments; "" for nothing.
func (r *Router) Show(ctx context.Context, call llm.ToolCall) string {
	t, ok := r.byName[call.Name]
	if !ok || t.Spec().Show == nil || !json.Valid([]byte(call.Args)) {
		return ""
	}
	return t.Spec().Show(ctx, call.Args)
}

// Resumable reports whether a call that a crash interrupted may run again.
func (r *Router) Resumable(call llm.ToolCall) bool {
	t, ok := r.byName[call.Name]
	if !ok {
		return true
	}
	s := t.Spec()
	return s.Resumable || s.Effect == Reads || s.ResumableCall != nil && s.ResumableCall(call.Args)
}

// Run runs one call. What goes wrong is told to the model, not to the caller.
func (r *Router) Run(ctx context.Context, name string, call Call) (out Output) {
	if r.Redact != nil {
		log := call.Log
		call.Log = func(line string) { log(r.Redact(line)) }
		defer func() { r.clean(&out) }()
		if strings.Contains(call.Args, redacted) {
			return failure(redactedArgs)
		}
	}
	defer func() {
		if p := recover(); p != nil {
			out = failure(fmt.Sprintf("the tool %s broke: %v (a defect of ml-intern, not of your call)", name, p))
			call.Log(string(debug.Stack()))
		}
	}()
	t, ok := r.byName[name]
	if !ok {
		out := failure(fmt.Sprintf("there is no tool %q; the tools are %s", name, strings.Join(r.names(), ", ")))
		out.BadArgs = true
		return out
	}
	out, err := t.Run(ctx, call)
	if err != nil {
		return failure(err.Error())
	}
	return out
}

// redacted stands where a secret was. A call that holds it would act on that in
// the place of the secret: write it over the person's key, say.
const (
	redacted     = "[redacted]"
	redactedArgs = "the arguments hold " + redacted + ", which stands where a secret was taken out, so nothing was done: " +
		"leave the secret where it is and name its variable or its file, or change only what is around it"
)

// clean takes secrets out of an output.
func (r *Router) clean(out *Output) {
	out.Text, out.Summary = r.Redact(out.Text), r.Redact(out.Summary)
	out.Facts, out.Plan = slices.Clone(out.Facts), slices.Clone(out.Plan)
	for i := range out.Facts {
		out.Facts[i].Text = r.Redact(out.Facts[i].Text)
	}
	for i := range out.Plan {
		out.Plan[i].Text = r.Redact(out.Plan[i].Text)
	}
}

func failure(text string) Output { return Output{Text: text, IsError: true, Summary: firstLine(text)} }

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func (r *Router) names() []string {
	names := make([]string, 0, len(r.specs))
	for _, s := range r.specs {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return names
}

// Batches splits calls into groups to run together: neighbouring reads share
// a batch, everything else runs alone and in order.
func (r *Router) Batches(calls []llm.ToolCall) [][]llm.ToolCall {
	var batches [][]llm.ToolCall
	for i, call := range calls {
		joins := i > 0 && r.Impact(call).Effect == Reads && r.Impact(calls[i-1]).Effect == Reads
		if joins {
			batches[len(batches)-1] = append(batches[len(batches)-1], call)
		} else {
			batches = append(batches, []llm.ToolCall{call})
		}
	}
	return batches
}
