// Package diff draws unified diffs: numbers of lines, colours, and the words
// that changed in a line.
//
// Its one rule: every line that a diff adds, removes or keeps is shown, and all
// of one that is broken or none at all. It owns nothing and knows no files.
package diff

import (
	"fmt"
	"strconv"
	"strings"

	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/tui/style"
)

// Lines draws a unified diff of one or more files. Lines longer than the width
// go on in the next, below their text.
func Lines(unified string, width int, theme style.Theme) []string {
	d := drawer{width: max(width, 20)}
	d.read(style.Clean(unified))
	return theme.Lines(d.out)
}

// Stat counts the lines that a unified diff adds and removes.
func Stat(unified string) (added, removed int) {
	d := drawer{width: 80}
	d.read(unified)
	return d.added, d.removed
}

var hunkPattern = lazyregexp.New(`^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)$`)

type drawer struct {
	width          int
	out            []style.Line
	old, new       int // numbers of the next lines
	oldLeft        int // lines that the hunk still has
	newLeft        int
	gutter         int
	minus, plus    []string // changed lines that are not drawn yet
	added, removed int
	head           head
}

func (d *drawer) read(text string) {
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		if d.oldLeft > 0 || d.newLeft > 0 {
			if d.inHunk(l) {
				continue
			}
			d.oldLeft, d.newLeft = 0, 0
		}
		d.flush()
		d.outside(l)
	}
	d.flush()
	d.named()
	d.named()
}

// inHunk takes a line that the hunk counts; false if it is none.
func (d *drawer) inHunk(l string) bool {
	switch {
	case l == "" || l[0] == ' ':
		d.flush()
		d.line(' ', d.new, style.Line{style.Of(style.Text, style.Tabs(strings.TrimPrefix(l, " ")))}, style.Text)
		d.old, d.new, d.oldLeft, d.newLeft = d.old+1, d.new+1, d.oldLeft-1, d.newLeft-1
	case l[0] == '-' && d.oldLeft > 0:
		if len(d.plus) > 0 {
			d.flush()
		}
		d.minus, d.removed, d.oldLeft = append(d.minus, l[1:]), d.removed+1, d.oldLeft-1
	case l[0] == '+' && d.newLeft > 0:
		d.plus, d.added, d.newLeft = append(d.plus, l[1:]), d.added+1, d.newLeft-1
	case l[0] == '\\':
		d.note(l)
	default:
		return false
	}
	return true
}

// outside takes a line between hunks.
func (d *drawer) outside(l string) {
	switch m := hunkPattern.FindStringSubmatch(l); {
	case m != nil:
		d.named()
		d.hunk(m)
	case strings.HasPrefix(l, "diff --git ") || strings.HasPrefix(l, "--- ") && d.head.was:
		d.named()
		d.head.take(l)
	case d.head.take(l):
	case strings.HasPrefix(l, "\\"):
		d.note(l)
	default:
		d.named()
		d.add(style.Line{style.Of(style.Muted, style.Tabs(l))})
	}
}

// named draws the lines before the first hunk of a file as one. If they are no
// such lines they are drawn as they are.
func (d *drawer) named() {
	h := d.head
	d.head = head{}
	name, note := h.name()
	if name == "" {
		for _, l := range h.lines {
			d.add(style.Line{style.Of(style.Muted, style.Tabs(l))})
		}
		return
	}
	if len(d.out) > 0 {
		d.add(nil)
	}
	l := style.Line{{Text: name, Style: style.Style{Role: style.Heading, Attr: style.Bold}}}
	if note != "" {
		l = append(l, style.Of(style.Muted, "  "+note))
	}
	d.add(l)
}

func (d *drawer) note(l string) {
	d.flush()
	d.add(style.Line{style.Of(style.Muted, l)})
}

func (d *drawer) hunk(m []string) {
	number := func(s string, otherwise int) int {
		if n, err := strconv.Atoi(s); err == nil && n < 1e9 {
			return n
		}
		return otherwise
	}
	d.old, d.oldLeft = number(m[1], 0), number(m[2], 1)
	d.new, d.newLeft = number(m[3], 0), number(m[4], 1)
	d.gutter = max(3, len(strconv.Itoa(max(d.old+d.oldLeft, d.new+d.newLeft))))
	l := style.Line{style.Of(style.Rule, strings.Repeat(" ", d.gutter-1)+"⋯")}
	if m[5] != "" {
		l = append(l, style.Of(style.Muted, "  "+style.Tabs(m[5])))
	}
	d.add(l)
}

func (d *drawer) add(l style.Line) { d.out = append(d.out, style.Cut(l, d.width)...) }

// flush draws the lines that were changed together. Lines that stand at the
// same place and are alike show which words changed.
func (d *drawer) flush() {
	minus, plus := make([]style.Line, len(d.minus)), make([]style.Line, len(d.plus))
	for i, l := range d.minus {
		minus[i] = style.Line{style.Of(style.Bad, style.Tabs(l))}
	}
	for i, l := range d.plus {
		plus[i] = style.Line{style.Of(style.Good, style.Tabs(l))}
	}
	if len(minus) == len(plus) {
		for i := range minus {
			if a, b, alike := words(style.Tabs(d.minus[i]), style.Tabs(d.plus[i])); alike {
				minus[i], plus[i] = a, b
			}
		}
	}
	for _, l := range minus {
		d.line('-', d.old, l, style.Bad)
		d.old++
	}
	for _, l := range plus {
		d.line('+', d.new, l, style.Good)
		d.new++
	}
	d.minus, d.plus = nil, nil
}

// line draws a line with its number and sign.
func (d *drawer) line(sign byte, number int, l style.Line, role style.Role) {
	before := style.Line{style.Of(style.Muted, fmt.Sprintf("%*d ", d.gutter, number)), style.Of(role, string(sign)+" ")}
	for i, part := range style.Cut(l, d.width-d.gutter-3) {
		if i > 0 {
			before = style.Line{style.Of(style.Muted, strings.Repeat(" ", d.gutter+1)), style.Of(role, "  ")}
		}
		d.out = append(d.out, part.Indent(before...))
	}
}
