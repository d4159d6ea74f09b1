package tool

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"ml-intern/internal/llm"
)

// A Router holds the tools of one session by name. It is safe for concurrent
// use.
type Router struct {
	// Redact takes secrets out of all that tools say, before anybody sees or
	// keeps it; nil for nothing to take out.
	Redact func(text string) string

	own *shelf

	mu  sync.RWMutex
	all *shelf // own and those that Extend added; replaced, never changed
}

// A shelf is a set of tools.
type shelf struct {
	byName map[string]Tool
	specs  []llm.ToolSpec
}

func (s *shelf) add(t Tool) {
	spec := t.Spec()
	s.byName[spec.Name] = t
	s.specs = append(s.specs, spec.ToolSpec)
}

// NewRouter returns a Router of the given tools.
func NewRouter(tools ...Tool) (*Router, error) {
	own := &shelf{byName: make(map[string]Tool)}
	for _, t := range tools {
		if _, dup := own.byName[t.Spec().Name]; dup {
			return nil, fmt.Errorf("two tools are named %q", t.Spec().Name)
		}
		own.add(t)
	}
	return &Router{own: own, all: own}, nil
}

// Extend puts tools behind those that NewRouter was given, in place of what it
// added before. A tool whose name is taken is left out: none takes the place of
// another. It belongs between two turns, since requests of one turn are prefixes
// of each other.
func (r *Router) Extend(tools []Tool) {
	all := &shelf{byName: maps.Clone(r.own.byName), specs: slices.Clip(r.own.specs)}
	for _, t := range tools {
		if _, taken := all.byName[t.Spec().Name]; !taken {
			all.add(t)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = all
}

func (r *Router) now() *shelf {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.all
}

// Tool returns the tool of that name.
func (r *Router) Tool(name string) (Tool, bool) {
	t, ok := r.now().byName[name]
	return t, ok
}

// Specs lists the tools as the model sees them, always in the same order.
func (r *Router) Specs() []llm.ToolSpec { return r.now().specs }

// Impact says what the call may change. A call that cannot run, because its
// tool is unknown or its arguments are not JSON, changes nothing.
func (r *Router) Impact(call llm.ToolCall) Impact {
	t, ok := r.Tool(call.Name)
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
	t, ok := r.now().byName[call.Name].(interface{ check(args string) error })
	if !ok {
		return nil
	}
	return t.check(call.Args)
}

// Show is what a person should see before the call runs, besides its
// arguments; "" for nothing.
func (r *Router) Show(ctx context.Context, call llm.ToolCall) string {
	t, ok := r.Tool(call.Name)
	if !ok || t.Spec().Show == nil || !json.Valid([]byte(call.Args)) {
		return ""
	}
	return t.Spec().Show(ctx, call.Args)
}

// Resumable reports whether a call that a crash interrupted may run again.
func (r *Router) Resumable(call llm.ToolCall) bool {
	t, ok := r.Tool(call.Name)
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
	t, ok := r.Tool(name)
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
	if out.Image != nil {
		named := *out.Image
		named.Name = r.Redact(named.Name)
		out.Image = &named
	}
	out.Facts, out.Plan, out.News = slices.Clone(out.Facts), slices.Clone(out.Plan), slices.Clone(out.News)
	for i := range out.Facts {
		out.Facts[i].Text = r.Redact(out.Facts[i].Text)
	}
	for i := range out.Plan {
		out.Plan[i].Text = r.Redact(out.Plan[i].Text)
	}
	for i := range out.News {
		out.News[i].Text = r.Redact(out.News[i].Text)
	}
}

func failure(text string) Output { return Output{Text: text, IsError: true, Summary: firstLine(text)} }

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func (r *Router) names() []string {
	specs := r.Specs()
	names := make([]string, 0, len(specs))
	for _, s := range specs {
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
