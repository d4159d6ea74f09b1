// Package markdown draws Markdown as lines of a terminal while it arrives.
//
// Its one rule: what is finished is drawn once. A splitter cuts the text into
// pieces that no later text changes; only the last, open one is drawn again, and
// it has a limit, so a stream costs time by its length. The parser is
// goldmark's; the look is ours. A Renderer owns the text it was given and the
// lines it returned.
package markdown

import (
	"strings"

	"ml-intern/internal/tui/style"
)

// A Renderer draws one text that grows.
type Renderer struct {
	width int
	theme style.Theme

	source  []byte // all of it, for a new width
	partial []byte // the line that has no end yet
	split   splitter
	draw    drawer
	lines   []string
	fixed   int // of lines, those that stay
	fresh   bool
}

// New returns a Renderer for lines of at most width cells.
func New(width int, theme style.Theme) *Renderer {
	r := &Renderer{theme: theme}
	r.Resize(width)
	return r
}

// Render draws a whole text.
func Render(text string, width int, theme style.Theme) []string {
	r := New(width, theme)
	r.Write(text)
	return r.Lines()
}

// Resize draws the same text for another width.
func (r *Renderer) Resize(width int) {
	width = max(width, 8)
	if width == r.width {
		return
	}
	r.width = width
	r.Restyle(r.theme)
}

// Restyle draws the same text with another theme.
func (r *Renderer) Restyle(theme style.Theme) {
	source := r.source
	*r = Renderer{width: r.width, theme: theme}
	r.draw = drawer{width: r.width, parser: new(parsing), hyperlinks: theme.Links}
	r.Write(string(source))
}

// Write adds text at the end. Nothing is drawn yet.
func (r *Renderer) Write(text string) {
	r.source = append(r.source, text...)
	r.fresh = false
	for {
		i := strings.IndexByte(text, '\n')
		if i < 0 {
			break
		}
		r.partial = append(r.partial, text[:i]...)
		r.line(r.partial)
		r.partial = r.partial[:0]
		text = text[i+1:]
	}
	r.partial = append(r.partial, text...)
	for len(r.partial) > limit {
		n := breakAt(r.partial)
		r.line(r.partial[:n])
		r.partial = append(r.partial[:0], r.partial[n:]...)
	}
}

// line gives the splitter a whole line, in lengths that the parser can take.
func (r *Renderer) line(line []byte) {
	for len(line) > limit {
		n := breakAt(line)
		r.split.line(clean(line[:n]))
		r.split.cut()
		line = line[n:]
	}
	for l := range strings.SplitSeq(clean(line), "\n") {
		r.split.line(l)
	}
}

// clean leaves a \r at the end to the end of line it belongs to.
func clean(line []byte) string { return style.Clean(strings.TrimSuffix(string(line), "\r")) }

// breakAt is where a line of more than limit bytes is cut: at a space, or
// between two runes.
func breakAt(line []byte) int {
	for n := limit; n > limit/2; n-- {
		if line[n] == ' ' {
			return n
		}
	}
	n := limit
	for n > limit-4 && line[n]&0xc0 == 0x80 {
		n--
	}
	return n
}

// Lines returns all lines. They are the Renderer's: they hold until the next
// Write.
func (r *Renderer) Lines() []string {
	if r.fresh {
		return r.lines
	}
	r.draw.refs = r.split.refs
	r.lines = r.add(r.lines[:r.fixed], &r.draw, r.split.take())
	r.fixed = len(r.lines)
	open, draw := r.split, r.draw
	if tail := clean(r.partial); tail != "" && open.undecided(tail) {
		open.finish()
		open.done = append(open.done, piece{kind: letters, text: tail})
	} else {
		for l := range strings.SplitSeq(tail, "\n") {
			if l != "" {
				open.line(l)
			}
		}
		open.finish()
	}
	r.lines = r.add(r.lines, &draw, open.done)
	r.fresh = true
	return r.lines
}

func (r *Renderer) add(lines []string, d *drawer, pieces []piece) []string {
	for _, p := range pieces {
		for _, l := range d.piece(p) {
			for _, l := range style.Cut(l, r.width) { // for what is nested deeper than there is room
				lines = append(lines, r.theme.Line(l))
			}
		}
	}
	return lines
}
