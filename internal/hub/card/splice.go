package card

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// An entry is a key of the metadata and the line that it begins on.
type entry struct {
	key  string
	from int
}

var (
	errFlow  = errors.New("the metadata are written in braces; write one key a line")
	errLines = errors.New("the metadata have line ends of old Macs; save the file with others")
)

// splice puts an entry's text in the place of what a key has, or at the end.
// An empty text takes the entry out.
func (c Card) splice(key, text string) (Card, error) {
	if !c.Found() {
		return c.begin(text), nil
	}
	if strings.Contains(strings.ReplaceAll(c.meta, "\r\n", ""), "\r") {
		return c, errLines
	}
	entries, err := entriesOf(normal(c.meta))
	if err != nil {
		return c, err
	}
	lines := strings.SplitAfter(c.meta, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	from, to := len(lines), len(lines)
	for i, e := range entries {
		if e.key != key {
			continue
		}
		from, to = e.from, len(lines)
		if i+1 < len(entries) {
			to = entries[i+1].from
		}
		for to > from+1 && isBetween(lines[to-1]) {
			to--
		}
	}
	if text != "" && to-from == 1 && strings.Count(text, "\n") == 1 {
		text = strings.TrimSuffix(text, "\n") + comment(lines[from]) + "\n"
	}
	text = strings.ReplaceAll(text, "\n", c.lineEnd())
	c.meta = strings.Join(lines[:from], "") + text + strings.Join(lines[to:], "")
	return c, nil
}

// isBetween holds for lines that belong to what follows.
func isBetween(line string) bool {
	return strings.TrimSpace(line) == "" || line[0] == '#'
}

// comment is what stands behind the value of a line, with the blanks before
// it, "" if nothing.
func comment(line string) string {
	line = strings.TrimRight(line, "\r\n")
	quote := byte(0)
	for i := 0; i < len(line); i++ {
		switch b := line[i]; {
		case quote == '"' && b == '\\':
			i++
		case quote != 0:
			if b == quote {
				quote = 0
			}
		case (b == '"' || b == '\'') && (i == 0 || strings.IndexByte(" [{,:", line[i-1]) >= 0):
			quote = b
		case b == '#' && i > 0 && (line[i-1] == ' ' || line[i-1] == '\t'):
			return line[len(strings.TrimRight(line[:i], " \t")):]
		}
	}
	return ""
}

// lineEnd is how the card ends its lines.
func (c Card) lineEnd() string {
	if strings.HasSuffix(c.head, "\r\n") {
		return "\r\n"
	}
	return "\n"
}

// begin puts metadata before a text that has none.
func (c Card) begin(text string) Card {
	body, end, mark := c.body, "\n", ""
	if strings.HasPrefix(body, bom) {
		mark, body = bom, strings.TrimPrefix(body, bom)
	}
	if first, _ := cutLine(body); strings.HasSuffix(first, "\r\n") {
		end = "\r\n"
	}
	return Card{head: mark + "---" + end, meta: strings.ReplaceAll(text, "\n", end), tail: "---" + end, body: body}
}

// entriesOf finds the lines on which keys stand, from 0.
func entriesOf(meta []byte) (out []entry, err error) {
	defer recoverYAML(&err)
	file, err := parser.ParseBytes(meta, 0)
	if err != nil {
		return nil, unreadableYAML(err)
	}
	if len(file.Docs) > 1 {
		return nil, errors.New("the metadata are more than one document")
	}
	for _, doc := range file.Docs {
		switch body := doc.Body.(type) {
		case *ast.MappingNode:
			if body.IsFlowStyle {
				return nil, errFlow
			}
			for _, v := range body.Values {
				out = append(out, entryAt(v))
			}
		case *ast.MappingValueNode:
			out = append(out, entryAt(body))
		}
	}
	return out, nil
}

func entryAt(v *ast.MappingValueNode) entry {
	token := v.Key.GetToken()
	return entry{key: token.Value, from: token.Position.Line - 1}
}
