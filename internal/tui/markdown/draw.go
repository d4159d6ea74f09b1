package markdown

import (
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"

	"ml-intern/internal/tui/highlight"
	"ml-intern/internal/tui/style"
)

// A parsing is the parser, made when the first text needs it: goldmark costs
// more to set up than a short reply costs to draw.
type parsing struct{ parser parser.Parser }

func (p *parsing) parse(source []byte, refs []reference) ast.Node {
	if p.parser == nil {
		p.parser = goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.TaskList, extension.Linkify)).Parser()
	}
	ctx := parser.NewContext()
	for _, r := range refs {
		ctx.AddReference(parser.NewReference([]byte(r.label), []byte(r.address), nil))
	}
	return p.parser.Parse(text.NewReader(source), parser.WithContext(ctx))
}

// A drawer turns pieces into lines. Copying it copies where it stands.
type drawer struct {
	width  int
	parser *parsing
	refs   []reference

	hyperlinks bool
	any        bool
	before     kind
	scanner    *highlight.Scanner
	columns    []int // widths of the table that goes on
}

// piece returns the lines of a piece, with the empty line before it if there
// should be one.
func (d *drawer) piece(p piece) []style.Line {
	var lines []style.Line
	switch p.kind {
	case codeOpen:
		d.scanner = highlight.New(p.text)
		lines = []style.Line{}
	case code:
		lines = d.code(p.text)
	case codeEnd:
	case verbatim:
		for l := range strings.SplitSeq(p.text, "\n") {
			lines = append(lines, d.preformatted(style.Line{style.Of(style.Code, style.Tabs(l))})...)
		}
	case letters:
		lines = style.Wrap([]style.Span{style.Of(style.Text, p.text)}, d.width)
	case table, item:
		lines = d.blocks(p)
	case itemMore:
		lines = d.itemMore(p)
	default:
		d.columns = nil
		lines = d.blocks(p)
	}
	if lines == nil && p.kind != codeEnd {
		return nil
	}
	if d.gap(p) {
		lines = append([]style.Line{nil}, lines...)
	}
	d.before, d.any = p.kind, true
	return lines
}

func (d *drawer) gap(p piece) bool {
	if !d.any || p.more || p.kind == code || p.kind == codeEnd {
		return false
	}
	return p.gap || p.kind == heading || p.kind == table || p.kind == codeOpen || d.before == table || d.before == codeEnd
}

// code draws one line of a fence. The scanner that the lines before left is
// not changed for those who copied the drawer.
func (d *drawer) code(text string) []style.Line {
	s := *d.scanner
	line := s.Line(style.Tabs(text))
	d.scanner = &s
	return d.preformatted(line)
}

// preformatted is cut where it is too long, and stands in a little.
func (d *drawer) preformatted(line style.Line) []style.Line {
	lines := style.Cut(line, d.width-2)
	for i, l := range lines {
		lines[i] = l.Indent(style.Of(style.Text, "  "))
	}
	return lines
}

// itemMore draws the rest of an item as what it is, below the item.
func (d *drawer) itemMore(p piece) []style.Line {
	var b strings.Builder
	for l := range strings.SplitSeq(p.text, "\n") {
		for n := 0; n < p.indent && strings.HasPrefix(l, " "); n++ {
			l = l[1:]
		}
		b.WriteString(l + "\n")
	}
	p.text = b.String()
	return d.blocks(p)
}

// blocks parses a piece and draws what is in it.
func (d *drawer) blocks(p piece) []style.Line {
	source := []byte(p.text)
	if hard(source) {
		return style.Wrap([]style.Span{style.Of(style.Text, p.text)}, d.width)
	}
	b := block{drawer: d, source: source, piece: p}
	doc := d.parser.parse(source, d.refs)
	if p.kind != itemMore {
		return b.children(doc, d.width)
	}
	return indented(b.children(doc, inside(d.width, p.indent)), strings.Repeat(" ", p.indent), "")
}

// A block draws the nodes of one piece.
type block struct {
	*drawer
	source []byte
	piece  piece
	depth  int // of lists in lists
}

// children draws the blocks in a node below each other.
func (b *block) children(n ast.Node, width int) []style.Line {
	var lines []style.Line
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		more := b.node(c, width)
		if more == nil {
			continue
		}
		if lines != nil && (c.HasBlankPreviousLines() || apart(c) || c.PreviousSibling() != nil && apart(c.PreviousSibling())) {
			lines = append(lines, nil)
		}
		lines = append(lines, more...)
	}
	return lines
}

// apart reports whether a block always has space around it.
func apart(n ast.Node) bool {
	switch n.Kind() {
	case ast.KindFencedCodeBlock, ast.KindCodeBlock, east.KindTable:
		return true
	}
	return false
}

func (b *block) node(n ast.Node, width int) []style.Line {
	switch n := n.(type) {
	case *ast.Heading:
		return style.Wrap(b.heading(n), width)
	case *ast.Paragraph, *ast.TextBlock:
		return style.Wrap(b.inline(n, style.Style{}), width)
	case *ast.ThematicBreak:
		return []style.Line{{style.Of(style.Rule, strings.Repeat("─", width))}}
	case *ast.Blockquote:
		bar := style.Of(style.Rule, "│ ")
		return prefixed(b.children(n, inside(width, 2)), bar, bar)
	case *ast.List:
		return b.list(n, width)
	case *ast.FencedCodeBlock:
		return b.fenced(n, string(n.Language(b.source)), width)
	case *ast.CodeBlock:
		return b.fenced(n, "", width)
	case *ast.HTMLBlock:
		text := strings.TrimRight(b.raw(n), "\n")
		if n.HasClosure() {
			text += "\n" + strings.TrimRight(string(n.ClosureLine.Value(b.source)), "\n")
		}
		return style.Wrap([]style.Span{style.Of(style.Muted, text)}, width)
	case *east.Table:
		return b.table(n, width)
	}
	return b.children(n, width)
}

func (b *block) heading(n *ast.Heading) []style.Span {
	s := style.Style{Role: style.Heading, Attr: style.Bold}
	switch {
	case n.Level == 1:
		s.Attr |= style.Underline
	case n.Level > 2:
		s.Role = style.Text
	}
	return b.inline(n, s)
}

// inside is the width of what stands in by n cells. What is nested deeper than
// the screen is wide does not get narrower.
func inside(width, n int) int { return max(width-n, 12) }

func (b *block) list(n *ast.List, width int) []style.Line {
	var lines []style.Line
	number := n.Start
	if b.depth == 0 && b.piece.kind == item && b.piece.number >= 0 {
		number = b.piece.number
	}
	b.depth++
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		mark := []string{"• ", "◦ ", "▪ "}[(b.depth-1)%3]
		if n.IsOrdered() {
			mark = strconv.Itoa(number) + string(n.Marker) + " "
			number++
		}
		inner := b.children(c, inside(width, style.Width(mark)))
		if inner == nil {
			inner = []style.Line{nil}
		}
		if lines != nil && c.HasBlankPreviousLines() {
			lines = append(lines, nil)
		}
		lines = append(lines, indented(inner, strings.Repeat(" ", style.Width(mark)), mark)...)
	}
	b.depth--
	return lines
}

// indented puts first before the first line and rest before the others.
func indented(lines []style.Line, rest, first string) []style.Line {
	if rest == "" {
		return lines
	}
	if first == "" {
		first = rest
	}
	return prefixed(lines, style.Of(style.Muted, first), style.Of(style.Text, rest))
}

func prefixed(lines []style.Line, first, rest style.Span) []style.Line {
	for i, l := range lines {
		if i == 0 {
			lines[i] = l.Indent(first)
		} else {
			lines[i] = l.Indent(rest)
		}
	}
	return lines
}

// fenced draws code that stands in something else, or is only indented.
func (b *block) fenced(n ast.Node, lang string, width int) []style.Line {
	s := highlight.New(lang)
	lines := []style.Line{}
	for l := range strings.Lines(strings.TrimRight(b.raw(n), "\n")) {
		for _, l := range style.Cut(s.Line(style.Tabs(strings.TrimSuffix(l, "\n"))), inside(width, 2)) {
			lines = append(lines, l.Indent(style.Of(style.Text, "  ")))
		}
	}
	return lines
}

// raw is the text of a block as it is.
func (b *block) raw(n ast.Node) string {
	var out strings.Builder
	for i := range n.Lines().Len() {
		seg := n.Lines().At(i)
		out.Write(seg.Value(b.source))
	}
	return out.String()
}
