// Package shell says what a shell line runs, as far as reading it can tell:
// the commands behind pipes, substitutions, loops, functions and wrappers such
// as env or xargs, and the files that it writes by redirection.
//
// Its one rule: what it does not understand it calls unknown, and never leaves
// out. It helps to decide and to ask; what a command may do is held by the
// sandbox alone.
package shell

import (
	"path"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A Word is one word of a command. What is not Known depends on variables,
// patterns or other commands; its Text is how it stands in the line.
type Word struct {
	Text  string
	Known bool
}

// A Command is a program with its arguments. There is at least one word.
type Command []Word

// Program is the name of the program without its folder, "" if it is unknown.
func (c Command) Program() string {
	if !c[0].Known {
		return ""
	}
	return path.Base(c[0].Text)
}

// A Line is what a shell line runs and touches.
type Line struct {
	Commands []Command
	Writes   []Word   // files that redirections write to
	Reads    []Word   // files that redirections read
	Sets     []string // variables that are set, which may change what a command does
	Unknown  []string // why parts of the line cannot be told
}

// What is read of one line; what goes beyond is unknown.
const (
	maxBytes    = 64 << 10 // of all text that is parsed, nested scripts with it
	maxDepth    = 8        // of scripts in scripts: sh -c "sh -c …"
	maxNesting  = 5000     // of brackets
	maxCommands = 2000
)

// Parse reads a line.
func Parse(line string) Line {
	r := reader{left: maxBytes}
	r.script(line, 0)
	return r.line
}

// A reader gathers what a line runs.
type reader struct {
	line Line
	left int // bytes that may still be parsed

	names map[string]string // aliases of the line
}

func (r *reader) unknown(why string) {
	if len(r.line.Unknown) < maxCommands {
		r.line.Unknown = append(r.line.Unknown, why)
	}
}

// script reads a script, which may stand inside another.
func (r *reader) script(text string, depth int) {
	switch {
	case depth > maxDepth:
		r.unknown("scripts are nested too deeply to be looked through")
		return
	case len(text) > r.left:
		r.unknown("it is too long to be looked through")
		return
	case nesting(text) > maxNesting:
		r.unknown("it is nested too deeply to be looked through")
		return
	case strings.ContainsAny(text, "\x00\r"): // which shells read in different ways
		r.unknown("it holds a null byte or a carriage return")
		return
	}
	r.left -= len(text)
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		r.unknown("it cannot be read as a shell line: " + err.Error())
		return
	}
	w := walker{reader: r, depth: depth, input: map[*syntax.CallExpr]*Word{}}
	syntax.Walk(file, w.visit)
}

// nesting bounds how deeply the parser would have to descend: it counts what
// may open a level, wherever it stands.
func nesting(text string) int {
	n := 0
	for _, opening := range []string{"(", "{", "[", "`"} {
		n += strings.Count(text, opening)
	}
	return n
}

// A walker visits the nodes of one script.
type walker struct {
	*reader
	depth int
	input map[*syntax.CallExpr]*Word // what a here-document gives to a command
}

func (w walker) visit(node syntax.Node) bool {
	switch n := node.(type) {
	case *syntax.Stmt:
		w.rememberInput(n)
	case *syntax.CallExpr:
		w.call(n)
	case *syntax.DeclClause:
		w.declaration(n)
	case *syntax.Redirect:
		w.redirect(n)
	case *syntax.WordIter:
		w.set(n.Name)
	case *syntax.ParamExp:
		if n.Exp != nil && (n.Exp.Op == syntax.AssignUnset || n.Exp.Op == syntax.AssignUnsetOrNull) {
			w.set(n.Param)
		}
	}
	return true
}

func (w walker) set(name *syntax.Lit) {
	if name != nil {
		w.line.Sets = append(w.line.Sets, name.Value)
	}
}

func (w walker) rememberInput(s *syntax.Stmt) {
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok {
		return
	}
	for _, redir := range s.Redirs {
		switch redir.Op {
		case syntax.Hdoc, syntax.DashHdoc:
			w.input[call] = hereDocument(redir)
		case syntax.WordHdoc:
			text := read(redir.Word)
			w.input[call] = &text
		}
	}
}

// hereDocument is the text of a here-document, which is as it stands if its
// delimiter is quoted.
func hereDocument(redir *syntax.Redirect) *Word {
	if redir.Hdoc == nil {
		return &Word{"", true}
	}
	delimiter, quoted := redir.Word.Parts, true
	if len(delimiter) == 1 {
		lit, ok := delimiter[0].(*syntax.Lit)
		quoted = !ok || strings.Contains(lit.Value, `\`)
	}
	var b strings.Builder
	known := true
	for _, part := range redir.Hdoc.Parts {
		lit, ok := part.(*syntax.Lit)
		switch {
		case !ok:
			known = false
		case quoted:
			b.WriteString(lit.Value)
		default:
			b.WriteString(strings.NewReplacer(`\\`, `\`, `\$`, `$`, "\\`", "`", "\\\n", "").Replace(lit.Value))
		}
	}
	return &Word{b.String(), known}
}

func (w walker) call(n *syntax.CallExpr) {
	for _, a := range n.Assigns {
		w.set(a.Name)
	}
	if len(n.Args) == 0 {
		return
	}
	words := make([]Word, len(n.Args))
	for i, arg := range n.Args {
		words[i] = read(arg)
	}
	w.command(words, w.input[n], w.depth)
}

// declaration is export, declare and their kin, which set variables.
func (w walker) declaration(n *syntax.DeclClause) {
	words := []Word{{n.Variant.Value, true}}
	for _, a := range n.Args {
		switch {
		case a.Name != nil && !a.Naked:
			w.set(a.Name)
			words = append(words, Word{a.Name.Value + "=…", false})
		case a.Name != nil:
			words = append(words, Word{a.Name.Value, true})
		case a.Value != nil:
			words = append(words, read(a.Value))
		}
	}
	w.add(words)
}

func (r *reader) add(words []Word) {
	if len(r.line.Commands) >= maxCommands {
		r.unknown("it runs more commands than are looked at")
		return
	}
	r.line.Commands = append(r.line.Commands, words)
}

func (w walker) redirect(n *syntax.Redirect) {
	if n.Word == nil {
		return
	}
	target := read(n.Word)
	switch n.Op {
	case syntax.Hdoc, syntax.DashHdoc, syntax.WordHdoc, syntax.DplIn:
		return
	case syntax.RdrIn:
		if target.Known && !strings.HasPrefix(target.Text, "/dev/tcp/") && !strings.HasPrefix(target.Text, "/dev/udp/") {
			w.line.Reads = append(w.line.Reads, target)
			return
		}
	case syntax.DplOut:
		if target.Known && strings.Trim(target.Text, "0123456789-") == "" {
			return
		}
	}
	if target.Known && harmless(target.Text) {
		return
	}
	w.line.Writes = append(w.line.Writes, target)
}

// harmless reports whether writing to the path changes nothing.
func harmless(path string) bool {
	switch path {
	case "/dev/null", "/dev/stdout", "/dev/stderr":
		return true
	}
	n, ok := strings.CutPrefix(path, "/dev/fd/")
	return ok && n != "" && strings.Trim(n, "0123456789") == ""
}

// read takes the quotes off a word.
func read(word *syntax.Word) Word {
	var b strings.Builder
	known := true
	for _, part := range word.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			known = known && !expands(p.Value)
			b.WriteString(unescape(p.Value))
		case *syntax.SglQuoted:
			known = known && !(p.Dollar && strings.Contains(p.Value, `\`))
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			for _, inner := range p.Parts {
				lit, ok := inner.(*syntax.Lit)
				known = known && ok
				if ok {
					b.WriteString(unescapeQuoted(lit.Value))
				} else {
					b.WriteString("$…")
				}
			}
		default:
			known = false
			b.WriteString("$…")
		}
	}
	return Word{b.String(), known}
}

// expands reports whether the shell makes something else of an unquoted text:
// names of files, several words, or somebody's home folder. The person's own,
// ~/, stays as it is: who reads the path knows what it is.
func expands(s string) bool {
	if strings.HasPrefix(s, "~") && !strings.HasPrefix(s, "~/") {
		return true
	}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '*', '?', '[':
			return true
		case '{':
			if i+1 == len(s) || s[i+1] != '}' {
				return true
			}
		}
	}
	return false
}

func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
			if s[i] == '\n' {
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unescapeQuoted(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\$`, `$`, "\\`", "`", "\\\n", "").Replace(s)
}
