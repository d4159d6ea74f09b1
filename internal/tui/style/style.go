// Package style is text with a meaning that becomes lines of a terminal: roles
// instead of colours, widths in cells, and text from outside made harmless.
//
// Its one rule: what Theme.Line returns holds no control of a terminal but the
// theme's own, whatever the text was. Callers own their spans and lines, a
// Theme is a value, and nothing here knows Markdown, code or a screen.
package style

import "strings"

// A Role is what a piece of text is for. A Theme says how that looks.
type Role uint8

// The roles.
const (
	Text    Role = iota
	Heading      // of a section
	Accent       // the one colour that catches the eye
	Muted        // of less weight than the text
	Rule         // lines that are drawn: of tables, quotes, plots
	Link         // an address, or what leads to one
	Code         // in a line of text
	Good         // added, done
	Bad          // removed, failed
	Warn         // needs a look
	Added        // words that are new in a changed line
	Removed      // words that are gone from it
	Keyword      // of code, as all that follow
	String
	Number
	Comment
	Function
	Type
	Constant
	roles
)

// An Attr is how letters are drawn, whatever their colour.
type Attr uint8

// The attributes, which add up.
const (
	Bold Attr = 1 << iota
	Italic
	Underline
	Strike
	Faint
	Reverse
)

// A Style is how a span looks, and where it leads.
type Style struct {
	Role Role
	Attr Attr
	Link string // an address: made a hyperlink if the theme has them
}

// A Span is text of one style, without ends of lines.
type Span struct {
	Text string
	Style
}

// A Line is what stands on one line of the screen.
type Line []Span

// Of returns a span of a role.
func Of(role Role, text string) Span { return Span{Text: text, Style: Style{Role: role}} }

// Plain is the text of the line.
func (l Line) Plain() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.Text)
	}
	return b.String()
}

// With returns the line with the attributes added to all of it.
func (l Line) With(a Attr) Line {
	out := make(Line, len(l))
	for i, s := range l {
		s.Attr |= a
		out[i] = s
	}
	return out
}

// Indent puts prefix before the line.
func (l Line) Indent(prefix ...Span) Line {
	return append(append(make(Line, 0, len(prefix)+len(l)), prefix...), l...)
}
