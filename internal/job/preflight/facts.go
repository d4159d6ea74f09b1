package preflight

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

//go:embed facts.py
var factsProgram string

// facts are what facts.py says about the script.
type facts struct {
	Python  string   `json:"python"` // the version that says so
	Stdlib  []string `json:"stdlib"`
	Header  *header  `json:"header"`
	Error   *flaw    `json:"error"`
	Deep    bool     `json:"deep"` // nested too deeply to be read whole
	Imports []imported
	Calls   []call
	Env     []envRead
	SetEnv  []string `json:"set_env"`
	Texts   []text
	Columns []columnUse
	Docs    []int
	Flags   struct{ Chdir bool }
}

// A header is the PEP 723 block of a script.
type header struct {
	Dependencies []string
	Python       string
	Own          bool   // names sources or indexes of its own
	Error        string // why it cannot be read
	Line         int
}

type flaw struct {
	Line int
	Text string
	Code string
}

type imported struct {
	Module, Name         string
	Level, Line          int
	Guarded, Conditional bool
}

// top is the outermost module.
func (i imported) top() string {
	top, _, _ := strings.Cut(i.Module, ".")
	return top
}

type envRead struct {
	Name string
	Line int
	How  string // must, wants, may (has a default) or asks
}

type text struct {
	Text string
	Line int
}

type columnUse struct {
	DS   value
	Name string
	Line int
}

// A call is one call in the script. Name is dotted from the module it was
// imported of, or begins with a dot for a method of Recv.
type call struct {
	ID      int
	Name    string
	Line    int
	Args    []value
	Kw      map[string]value
	Star    bool // further arguments that are not known
	Builtin bool
	Written []string // keywords as they stand there
	Recv    *value
	Guarded bool
}

// last is the part of the name behind its last dot.
func (c call) last() string { return c.Name[strings.LastIndexByte(c.Name, '.')+1:] }

// arg is the argument by its keyword, or by its place if that is not negative.
func (c call) arg(place int, names ...string) value {
	for _, name := range names {
		if v, ok := c.Kw[name]; ok {
			return v
		}
	}
	if place >= 0 && place < len(c.Args) {
		return c.Args[place]
	}
	return value{}
}

// A value is what is known of an expression. The zero value is no expression.
type value struct {
	Kind     string `json:"k"`
	ID       int
	V        any
	Name     string
	Of       json.RawMessage
	Items    []value
	Entries  map[string]value
	Path     string
	Split    string
	Revision string
	Line     int
	Ops      [][]any
	Whole    bool // of a data set: all splits
	Unsure   bool // of which splits is not known
	Files    bool // loaded from files that the call names
	Sure     bool // path, configuration and revision are known
}

func (v value) given() bool { return v.Kind != "" }

func (v value) text() string {
	s, _ := v.V.(string)
	return s
}

func (v value) number() (float64, bool) {
	n, ok := v.V.(float64)
	return n, ok
}

func (v value) isTrue() bool {
	b, _ := v.V.(bool)
	return b
}

// isFalse is what is known to be false or None.
func (v value) isFalse() bool { return v.Kind == "const" && (v.V == nil || v.V == false) }

// parts are the data sets of a value: itself, or those it was joined of.
func (v value) parts() []value {
	if v.Kind != "many" {
		return []value{v}
	}
	var all []value
	_ = json.Unmarshal(v.Of, &all) // of our own program
	return all
}

// made is the call that made a value.
func (f *facts) made(v value) (call, bool) {
	if v.Kind == "call" {
		for _, c := range f.Calls {
			if c.ID == v.ID {
				return c, true
			}
		}
	}
	return call{}, false
}

// named lists the calls whose last name is one of names.
func (f *facts) named(names ...string) []call {
	var found []call
	for _, c := range f.Calls {
		for _, name := range names {
			if c.last() == name {
				found = append(found, c)
				break
			}
		}
	}
	return found
}

// imports reports whether a module is imported.
func (f *facts) imports(modules ...string) bool {
	for _, i := range f.Imports {
		for _, m := range modules {
			if i.Level == 0 && i.top() == m {
				return true
			}
		}
	}
	return false
}

// mentions reports whether a text of the script holds the words.
func (f *facts) mentions(words ...string) bool {
	for _, t := range f.Texts {
		for _, w := range words {
			if strings.Contains(t.Text, w) {
				return true
			}
		}
	}
	return false
}

// analyse lets Python read the script.
func (c *check) analyse(ctx context.Context) {
	if c.world.Python == nil {
		c.note(CodeUnchecked, "there is no Python here to read the script with, so it was not checked")
		return
	}
	request, err := json.Marshal(map[string]any{
		"path": filepath.Base(c.Spec.Script), "source": c.source, "args": c.Spec.Args, "env": c.Spec.Env,
	})
	if err != nil {
		c.note(CodeUnchecked, "the script was not checked: %v", err)
		return
	}
	out, err := c.world.Python.Run(ctx, Program{Code: factsProgram, Input: request, Version: c.wantedPython()})
	var f facts
	if err == nil {
		err = json.Unmarshal(out, &f)
	}
	switch {
	case errors.Is(err, ErrNoPython):
		c.note(CodeUnchecked, "there is no Python here to read the script with, so it was not checked")
		return
	case err != nil:
		c.note(CodeUnchecked, "the script was not checked: Python did not read it: %v", err)
		return
	}
	if f.Header != nil && f.Header.Error != "" {
		c.add(Finding{Code: CodePackages, Severity: Error, Line: f.Header.Line, Sentence: "the PEP 723 header is not TOML: " + f.Header.Error, Fix: "write it as in https://peps.python.org/pep-0723/"})
	}
	if f.Error != nil {
		c.add(c.syntax(&f))
		return
	}
	if f.Deep {
		c.note(CodeUnchecked, "the script is nested too deeply to be read whole")
	}
	if f.Imports == nil && f.Deep {
		return
	}
	c.facts = &f
}

var versionWanted = regexp.MustCompile(`requires-python\s*=\s*["']([^"'\n]+)["']`)

// wantedPython is the version that the job asks for, as uv understands it.
func (c *check) wantedPython() string {
	if c.Spec.Python != "" {
		return c.Spec.Python
	}
	if m := versionWanted.FindSubmatch(c.source); m != nil {
		return string(m[1])
	}
	return ""
}

// syntax tells a mistake from what only a newer Python understands.
func (c *check) syntax(f *facts) Finding {
	e := f.Error
	found := Finding{Code: CodeSyntax, Severity: Error, Line: e.Line, Sentence: fmt.Sprintf("the script is not Python: %s: %s", e.Text, e.Code), Fix: "correct the line"}
	switch {
	case strings.HasPrefix(e.Code, "!") || strings.HasPrefix(e.Code, "%"):
		found.Fix = "take the notebook's line out; packages belong into the PEP 723 header or the job's dependencies"
	case strings.Contains(e.Text, "tab") || strings.Contains(e.Text, "indent"):
		found.Fix = "indent with spaces alone"
	}
	if newer.MatchString(e.Code) && !c.sameVersion(f.Python) {
		found.Severity = Warning
		found.Sentence += fmt.Sprintf(" (says Python %s; what runs the job may be newer)", f.Python)
		found.Fix = "say which Python the job gets, or write it so that this one reads it"
	}
	return found
}

// newer is what later versions of Python have added to the language.
var newer = regexp.MustCompile(`\b[fFtTrR]{1,2}["']|^(match|case|type|except|with|async with|def|class)\b`)

// sameVersion reports whether the job is known to run in this Python.
func (c *check) sameVersion(have string) bool {
	want := c.wantedPython()
	if want == "" {
		return !c.Remote
	}
	return have == want || strings.HasPrefix(have, want+".")
}

// scriptDir is the script's folder in the workspace, with slashes.
func (c *check) scriptDir() string {
	return cmp.Or(path.Dir(filepath.ToSlash(c.Spec.Script)), ".")
}
