package preflight

import (
	_ "embed"
	"encoding/json"
	"slices"
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
	SetEnv  []string         `json:"set_env"`
	Values  map[string]value `json:"env_values"` // that it sets variables to
	Texts   []text
	Columns []columnUse
	Picks   []columnUse // of splits
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
	Guarded bool // something catches what it raises
	Maybe   bool // it is in a branch that may not be taken
}

// last is the part of the name behind its last dot.
func (k call) last() string { return k.Name[strings.LastIndexByte(k.Name, '.')+1:] }

// arg is the argument by its keyword, or by its place if that is not negative.
func (k call) arg(place int, names ...string) value {
	for _, name := range names {
		if v, ok := k.Kw[name]; ok {
			return v
		}
	}
	if place >= 0 && place < len(k.Args) {
		return k.Args[place]
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
	Whole    bool     // of a data set: all splits
	Unsure   bool     // of which splits is not known
	Files    bool     // loaded from files that the call names
	Sure     bool     // path, configuration and revision are known
	Params   []string // of a function of the script
	VarKw    bool     // it takes any other arguments
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
		if slices.Contains(names, c.last()) {
			found = append(found, c)
		}
	}
	return found
}

// imports reports whether a module is imported.
func (f *facts) imports(modules ...string) bool {
	return slices.ContainsFunc(f.Imports, func(i imported) bool { return i.Level == 0 && slices.Contains(modules, i.top()) })
}

// says reports whether a text of the script is the word.
func (f *facts) says(word string) bool {
	return slices.ContainsFunc(f.Texts, func(t text) bool { return t.Text == word })
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
