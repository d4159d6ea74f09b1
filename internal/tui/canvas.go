package tui

import (
	"strings"
	"time"

	"ml-intern/internal/tui/style"
)

// A canvas is what items are drawn on: how wide it is, how roles look, and
// what time it is.
type canvas struct {
	width int
	theme style.Theme
	look  int // counts changes of the theme
	now   time.Time
	frame int  // of what moves
	busy  bool // what runs really does
}

// spans of the roles that most lines are made of.
func plain(text string) style.Span  { return style.Of(style.Text, text) }
func muted(text string) style.Span  { return style.Of(style.Muted, text) }
func accent(text string) style.Span { return style.Of(style.Accent, text) }
func good(text string) style.Span   { return style.Of(style.Good, text) }
func bad(text string) style.Span    { return style.Of(style.Bad, text) }
func warn(text string) style.Span   { return style.Of(style.Warn, text) }

func bold(s style.Span) style.Span {
	s.Attr |= style.Bold
	return s
}

func italic(s style.Span) style.Span {
	s.Attr |= style.Italic
	return s
}

// spinner is a mark that moves while something runs.
func (c *canvas) spinner() string {
	frames := []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}
	return frames[c.frame%len(frames)]
}

// draw is one line, cut to the width.
func (c *canvas) draw(spans ...style.Span) string {
	return c.theme.Line(style.Truncate(shown(spans), c.width))
}

// shown is the line with signs in place of what a terminal would obey, so that
// its width is the one that is drawn.
func shown(spans []style.Span) style.Line {
	for i := range spans {
		spans[i].Text = strings.ReplaceAll(style.Clean(spans[i].Text), "\n", " ")
	}
	return spans
}

// sides draws one text at the left and one at the right end of a line. Where
// both do not fit, the left one is shortened, and below a limit the right one
// is left out.
func (c *canvas) sides(left style.Line, right ...style.Span) string {
	left, r := shown(left), shown(right)
	w := r.Width()
	if w == 0 || w+12 > c.width {
		return c.draw(left...)
	}
	left = style.Pad(style.Truncate(left, c.width-w-2), c.width-w, -1)
	return c.theme.Line(append(left[:len(left):len(left)], r...))
}

// wrap folds plain text to what is right of an indent.
func (c *canvas) wrap(text string, indent int) []string {
	lines := style.Wrap([]style.Span{plain(text)}, max(c.width-indent-1, 4))
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = l.Plain()
	}
	return out
}

// hang draws text with a mark before its first line and the others below it.
func (c *canvas) hang(indent int, mark style.Span, lines []string, like style.Span) []string {
	out := make([]string, 0, len(lines))
	for i, line := range lines {
		lead := style.Line{plain(strings.Repeat(" ", indent)), mark, plain(" ")}
		if i > 0 || mark.Text == "" {
			lead = style.Line{plain(strings.Repeat(" ", indent+cells(mark.Text)+1))}
		}
		like.Text = line
		out = append(out, c.draw(append(lead, like)...))
	}
	return out
}

// block draws lines of output behind a bar.
func (c *canvas) block(lines []string) []string {
	out := make([]string, 0, len(lines))
	for _, line := range lines {
		out = append(out, c.draw(plain("    "), style.Of(style.Rule, "│ "), muted(line)))
	}
	return out
}

// limited cuts what nobody reads in a terminal.
func limited(lines []string, n int) []string {
	if len(lines) <= n {
		return lines
	}
	more := len(lines) - n
	return append(lines[:n:n], "… "+plural(more, "more line"))
}
