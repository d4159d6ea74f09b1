package markup

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"text/template/parse"
)

// maxDepth bounds templates that use each other: one that uses itself must end.
const maxDepth = 100

// A filler fills one page.
type filler struct {
	set   *Set
	out   io.Writer
	vars  []variable
	depth int
}

type variable struct {
	name string
	v    reflect.Value
}

// call fills a template, which sees no variables but its data.
func (f *filler) call(name string, dot reflect.Value) error {
	tree := f.set.trees[name]
	if tree == nil {
		return fmt.Errorf("there is no template %s", name)
	}
	if f.depth == maxDepth {
		return fmt.Errorf("template %s: templates use each other without an end", name)
	}
	inner := &filler{set: f.set, out: f.out, vars: []variable{{"$", dot}}, depth: f.depth + 1}
	if err := inner.list(tree.Root, dot); err != nil {
		return fmt.Errorf("template %s: %w", name, err)
	}
	return nil
}

// list fills nodes. What they declare ends with them.
func (f *filler) list(l *parse.ListNode, dot reflect.Value) error {
	if l == nil {
		return nil
	}
	defer func(n int) { f.vars = f.vars[:n] }(len(f.vars))
	for _, n := range l.Nodes {
		if err := f.node(n, dot); err != nil {
			return err
		}
	}
	return nil
}

func (f *filler) node(node parse.Node, dot reflect.Value) error {
	switch n := node.(type) {
	case *parse.TextNode:
		_, err := f.out.Write(n.Text)
		return err
	case *parse.ActionNode:
		return f.show(n, dot)
	case *parse.TemplateNode:
		data, err := f.pipe(n.Pipe, dot)
		if err != nil {
			return err
		}
		return f.call(n.Name, data)
	}
	defer func(n int) { f.vars = f.vars[:n] }(len(f.vars))
	switch n := node.(type) {
	case *parse.IfNode:
		return f.choose(&n.BranchNode, dot, false)
	case *parse.WithNode:
		return f.choose(&n.BranchNode, dot, true)
	case *parse.RangeNode:
		return f.each(n, dot)
	}
	return fmt.Errorf("%.60q is not known here", node)
}

// choose fills one branch or the other; with has the first see the value.
func (f *filler) choose(n *parse.BranchNode, dot reflect.Value, with bool) error {
	v, err := f.pipe(n.Pipe, dot)
	switch {
	case err != nil:
		return err
	case !truth(v):
		return f.list(n.ElseList, dot)
	case with:
		dot = v
	}
	return f.list(n.List, dot)
}

func (f *filler) show(n *parse.ActionNode, dot reflect.Value) error {
	v, err := f.pipe(n.Pipe, dot)
	if err != nil || len(n.Pipe.Decl) > 0 {
		return err
	}
	text, err := escape(v, f.set.places[n])
	if err != nil {
		return fmt.Errorf("%.60q: %w", n, err)
	}
	_, err = io.WriteString(f.out, text)
	return err
}

// each fills nodes for every element of a list. Its variables are the number
// and the element, or the element alone.
func (f *filler) each(n *parse.RangeNode, dot reflect.Value) error {
	names := n.Pipe.Decl
	plain := *n.Pipe
	plain.Decl = nil
	v, err := f.pipe(&plain, dot)
	if err != nil {
		return err
	}
	if v = under(v); v.IsValid() && v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return fmt.Errorf("%.60q: a %v is no list", n.Pipe, v.Type())
	}
	if !truth(v) {
		return f.list(n.ElseList, dot)
	}
	for i := range v.Len() {
		values := []reflect.Value{reflect.ValueOf(i), v.Index(i)}
		outer := len(f.vars)
		for at, name := range names {
			f.vars = append(f.vars, variable{name.Ident[0], values[2-len(names)+at]})
		}
		if err := f.list(n.List, v.Index(i)); err != nil {
			return err
		}
		f.vars = f.vars[:outer]
	}
	return nil
}

// pipe computes a value, and declares what is set to it.
func (f *filler) pipe(p *parse.PipeNode, dot reflect.Value) (reflect.Value, error) {
	var v reflect.Value
	if p == nil {
		return v, nil
	}
	if len(p.Cmds) != 1 || p.IsAssign {
		return v, fmt.Errorf("%.60q: pipelines and assignments are not known here", p)
	}
	v, err := f.command(p.Cmds[0], dot)
	if err != nil {
		return v, fmt.Errorf("%.60q: %w", p, err)
	}
	for _, name := range p.Decl {
		f.vars = append(f.vars, variable{name.Ident[0], v})
	}
	return v, nil
}

func (f *filler) command(c *parse.CommandNode, dot reflect.Value) (reflect.Value, error) {
	id, isCall := c.Args[0].(*parse.IdentifierNode)
	if !isCall {
		if len(c.Args) > 1 {
			return reflect.Value{}, errors.New("a value takes no arguments")
		}
		return f.operand(c.Args[0], dot)
	}
	var args []reflect.Value
	for _, n := range c.Args[1:] {
		v, err := f.operand(n, dot)
		if err != nil {
			return v, err
		}
		args = append(args, v)
	}
	return f.set.apply(id.Ident, args)
}

// operand computes an argument.
func (f *filler) operand(node parse.Node, dot reflect.Value) (reflect.Value, error) {
	switch n := node.(type) {
	case *parse.DotNode:
		return dot, nil
	case *parse.FieldNode:
		return fields(dot, n.Ident)
	case *parse.VariableNode:
		for _, v := range slices.Backward(f.vars) {
			if v.name == n.Ident[0] {
				return fields(v.v, n.Ident[1:])
			}
		}
	case *parse.PipeNode:
		return f.pipe(n, dot)
	case *parse.IdentifierNode:
		return f.set.apply(n.Ident, nil)
	case *parse.StringNode:
		return reflect.ValueOf(n.Text), nil
	case *parse.NumberNode:
		if n.IsInt {
			return reflect.ValueOf(int(n.Int64)), nil
		}
	case *parse.BoolNode:
		return reflect.ValueOf(n.True), nil
	}
	return reflect.Value{}, fmt.Errorf("%.60q is not known here", node)
}

func (s *Set) apply(name string, args []reflect.Value) (reflect.Value, error) {
	if f, theirs := s.funcs[name]; theirs {
		return apply(f, args)
	}
	return builtin(name, args)
}
