// Package markup fills templates of HTML.
//
// It reads the syntax of html/template and escapes as that does, byte for byte
// (a test holds both against each other), but for what it refuses. It is here
// because the standard library's looks methods up by name, and a program with
// that in it keeps every exported method of every type: seven megabytes of ours.
//
// Its one rule: what a template shows is escaped for the place where it stands,
// and a place that is not known to be safe is an error when the template is
// read: scripts, comments, attributes that run or style something, attributes
// without double quotes. Values are fields, never methods. A Set owns nothing
// that changes.
package markup

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"slices"
	"text/template/parse"
)

// HTML is markup that is known to be safe. Between tags it is shown as it is.
type HTML string

// CSS is a style sheet that is known to be safe.
type CSS string

// URL is an address of which the scheme is known to be safe.
type URL string

// Funcs are the functions that templates may call, by name. Each returns one value.
type Funcs map[string]any

// A Set is templates that may use each other.
type Set struct {
	trees  map[string]*parse.Tree
	places map[*parse.ActionNode]place // of what is shown
	funcs  map[string]reflect.Value
}

// Read reads the templates of files, which go by the files' names, and those
// that are defined in them.
func Read(files fs.FS, pattern string, funcs Funcs) (*Set, error) {
	names, err := fs.Glob(files, pattern)
	if err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	texts := make(map[string]string)
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read template: %w", err)
		}
		texts[path.Base(name)] = string(text)
	}
	return New(texts, funcs)
}

// New reads the templates of texts, which go by the names there, and those that
// are defined in them.
func New(texts map[string]string, funcs Funcs) (*Set, error) {
	s := &Set{trees: make(map[string]*parse.Tree), places: make(map[*parse.ActionNode]place), funcs: make(map[string]reflect.Value)}
	known := map[string]any{"and": nil, "or": nil, "not": nil, "len": nil, "eq": nil, "lt": nil, "gt": nil} // see builtin
	for name := range known {
		known[name] = builtin
	}
	for name, f := range funcs {
		known[name] = f
		v := reflect.ValueOf(f)
		if v.Kind() != reflect.Func || v.Type().NumOut() != 1 || v.Type().IsVariadic() {
			return nil, fmt.Errorf("read templates: %s is no function of a fixed number of arguments and one result", name)
		}
		s.funcs[name] = v
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		trees, err := parse.Parse(name, texts[name], "", "", known)
		if err != nil {
			return nil, fmt.Errorf("read templates: %w", err)
		}
		for defined, tree := range trees {
			if s.trees[defined] != nil {
				return nil, fmt.Errorf("read templates: there are two of %s", defined)
			}
			s.trees[defined] = tree
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.trees)) {
		if err := s.find(s.trees[name]); err != nil {
			return nil, fmt.Errorf("read template %s: %w", name, err)
		}
	}
	return s, nil
}

// Write fills the template with the data.
func (s *Set) Write(w io.Writer, name string, data any) error {
	f := &filler{set: s, out: w}
	return f.call(name, reflect.ValueOf(data))
}
