package tui

import (
	"strings"

	"ml-intern/internal/tui/diff"
	"ml-intern/internal/tui/highlight"
	"ml-intern/internal/tui/markdown"
	"ml-intern/internal/tui/style"
)

// growing is a reply that is drawn while it comes.
type growing struct {
	width, look int
	r           *markdown.Renderer
	taken       int // bytes of the text that the renderer has
}

// grow begins to draw Markdown, with room for an indent.
func grow(c *canvas) *growing {
	return &growing{width: c.width, look: c.look, r: markdown.New(max(c.width-4, 8), c.theme)}
}

// lines draws the text, which only ever grew since the last time.
func (g *growing) lines(text string) []string {
	g.r.Write(text[g.taken:])
	g.taken = len(text)
	return g.r.Lines()
}

// diff draws a unified diff.
func (c *canvas) diff(text string, indent int) []string {
	lines := diff.Lines(text, max(c.width-indent-1, 20), c.theme)
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = strings.Repeat(" ", indent) + line
	}
	return out
}

// code draws a script, long lines folded.
func (c *canvas) code(text, lang string, indent int) []string {
	s := highlight.New(lang)
	lead := plain(strings.Repeat(" ", indent))
	var out []string
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		for _, l := range style.Cut(s.Line(style.Tabs(line)), max(c.width-indent-1, 8)) {
			out = append(out, c.theme.Line(l.Indent(lead)))
		}
	}
	return out
}
