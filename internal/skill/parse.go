package skill

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// parse reads a SKILL.md that lies in a folder of that name: what it says of
// itself, and its text. What can be lived with is a warning.
func parse(data []byte, folder string) (s Skill, body string, err error) {
	if len(data) > maxText {
		return s, "", fmt.Errorf("SKILL.md has more than %s", bytesOf(maxText))
	}
	if bytes.IndexByte(data, 0) >= 0 {
		return s, "", errors.New("SKILL.md is no text: it holds NUL")
	}
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
	if !utf8.ValidString(text) {
		s.warn("SKILL.md is not UTF-8: bytes that are not were left out")
		text = strings.ToValidUTF8(text, "")
	}
	head, body, err := split(text)
	if err != nil {
		return s, "", err
	}
	fields, err := frontmatter(head)
	if errors.Is(err, errReference) {
		return s, "", err
	}
	if err != nil { // others read such files, too
		s.warn("its frontmatter is not valid YAML (%s): read line by line", oneLine(cut(firstLine(err.Error()), 120)))
		fields = lines(head)
	}
	return s, strings.TrimSpace(clean(body)), s.fill(fields, folder)
}

func (s *Skill) warn(format string, args ...any) {
	s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// split cuts the frontmatter off.
func split(text string) (head, body string, err error) {
	first, rest, _ := strings.Cut(text, "\n")
	if strings.TrimRight(first, " \t") != "---" {
		return "", "", errors.New("SKILL.md has no frontmatter: its first line must be ---")
	}
	at := 0
	for line := range strings.Lines(rest) {
		if strings.TrimRight(line, " \t\n") == "---" {
			return rest[:at], rest[at+len(line):], nil
		}
		if at += len(line); at > maxHead {
			return "", "", fmt.Errorf("the frontmatter of SKILL.md is not closed with --- within %s", bytesOf(maxHead))
		}
	}
	return "", "", errors.New("the frontmatter of SKILL.md is not closed with ---")
}

// fill takes over what the frontmatter says.
func (s *Skill) fill(fields map[string]string, folder string) error {
	short := func(key string) string {
		text := oneLine(fields[key])
		if utf8.RuneCountInString(text) > maxShort {
			s.warn("%s is longer than %d characters: it was cut", key, maxShort)
			text = cut(text, maxShort)
		}
		return text
	}
	s.License, s.Compatibility, s.AllowedTools = short("license"), short("compatibility"), short("allowed-tools")
	s.Manual = strings.EqualFold(oneLine(fields["disable-model-invocation"]), "true")
	s.Name = oneLine(fields["name"])
	switch {
	case isName(s.Name) && s.Name != folder:
		s.warn("its name is %s, and its folder's %s", s.Name, oneLine(cut(folder, maxName)))
	case isName(s.Name):
	case isName(folder):
		if s.Name == "" {
			s.warn("it has no name: that of its folder is taken")
		} else {
			s.warn("its name %q is none of at most %d letters a to z, digits and single hyphens: that of its folder is taken", cut(s.Name, maxName), maxName)
		}
		s.Name = folder
	default:
		return fmt.Errorf("neither its name %q nor that of its folder has at most %d letters a to z, digits and single hyphens", cut(s.Name, maxName), maxName)
	}
	s.Description = oneLine(fields["description"])
	if s.Description == "" {
		return errors.New("it has no description, by which a model would choose it")
	}
	if utf8.RuneCountInString(s.Description) > maxDescription {
		s.warn("its description is longer than %d characters: it was cut", maxDescription)
		s.Description = string([]rune(s.Description)[:maxDescription-1]) + "…"
	}
	return nil
}

// errReference is the error of anchors and aliases, by which a short text becomes
// a huge one. No skill needs them.
var errReference = errors.New("the frontmatter of SKILL.md has anchors or aliases, which are not read")

// frontmatter reads the pairs of a YAML mapping. Lists are joined by blanks, and
// mappings left out.
func frontmatter(head string) (fields map[string]string, err error) {
	defer func() {
		if p := recover(); p != nil { // of the parser
			fields, err = nil, fmt.Errorf("read frontmatter: %v", p)
		}
	}()
	if strings.Count(head, "[")+strings.Count(head, "{") > maxNested || strings.Count(head, "- ") > 4*maxNested {
		return nil, errors.New("it is nested too deeply") // the parser takes long over such
	}
	file, err := parser.ParseBytes([]byte(head), 0)
	if err != nil {
		return nil, err
	}
	fields = make(map[string]string)
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		refs := &references{}
		ast.Walk(refs, doc.Body)
		if refs.found {
			return nil, errReference
		}
		var pairs []*ast.MappingValueNode
		switch n := doc.Body.(type) {
		case *ast.MappingNode:
			pairs = n.Values
		case *ast.MappingValueNode:
			pairs = []*ast.MappingValueNode{n}
		case *ast.NullNode, *ast.CommentGroupNode:
		default:
			return nil, errors.New("it is no list of keys with values")
		}
		for _, p := range pairs {
			if key := p.Key.GetToken().Value; fields[key] == "" {
				fields[key] = scalar(p.Value)
			}
		}
	}
	return fields, nil
}

// references looks for anchors and aliases.
type references struct{ found bool }

// Visit implements ast.Visitor.
func (r *references) Visit(n ast.Node) ast.Visitor {
	switch n.Type() {
	case ast.AnchorType, ast.AliasType, ast.MergeKeyType:
		r.found = true
	}
	if r.found {
		return nil
	}
	return r
}

// maxNested is how many lists and mappings in one line a frontmatter may begin.
const maxNested = 100

func scalar(n ast.Node) string {
	switch n := n.(type) {
	case nil, *ast.NullNode, *ast.MappingNode, *ast.MappingValueNode:
		return ""
	case *ast.LiteralNode:
		return n.Value.Value
	case *ast.StringNode:
		return n.Value
	case *ast.TagNode:
		return scalar(n.Value)
	case *ast.SequenceNode:
		var all []string
		for _, v := range n.Values {
			all = append(all, scalar(v))
		}
		return strings.Join(all, " ")
	}
	return n.GetToken().Value
}

// lines reads what is not YAML as people meant it: KEY: TEXT, where the text may
// hold anything, and go on in lines that are indented.
func lines(head string) map[string]string {
	fields := make(map[string]string)
	at := ""
	for line := range strings.Lines(head) {
		line = strings.TrimRight(line, " \t\n")
		key, value, ok := strings.Cut(line, ":")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case line[0] == ' ' || line[0] == '\t' || line[0] == '-':
			if at != "" {
				fields[at] = strings.TrimSpace(fields[at] + " " + strings.TrimSpace(line))
			}
		case ok && !strings.ContainsAny(key, " \t"):
			if _, twice := fields[key]; twice {
				at = ""
				continue
			}
			at = key
			fields[at] = strings.TrimLeft(unquoted(strings.TrimSpace(value)), "|>")
			if fields[at] == "-" || fields[at] == "+" { // of a block
				fields[at] = ""
			}
		}
	}
	return fields
}

func unquoted(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}
