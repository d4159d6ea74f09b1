package webpage

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

const (
	maxColumns  = 60
	maxRowSpan  = 500
	maxCell     = 2000     // bytes
	maxRepeated = 64 << 10 // bytes of cells that are repeated because they span others
)

// table writes a table as one of Markdown, or block by block if it is there
// for the layout of the page.
func (r *renderer) table(n *html.Node) {
	rows := rowsOf(n)
	if isLayout(n, rows) {
		for _, row := range rows {
			for c := row.FirstChild; c != nil; c = c.NextSibling {
				r.walk(c)
				r.flush()
			}
		}
		return
	}
	if caption := find(n, atom.Caption); caption != nil {
		if s := line(r.apart(caption), maxCell); s != "" {
			r.block(s)
		}
	}
	g := &grid{}
	for _, row := range rows {
		g.begin()
		for c := row.FirstChild; c != nil; c = c.NextSibling {
			if c.DataAtom == atom.Td || c.DataAtom == atom.Th {
				g.add(r.cell(c), span(c, "colspan", maxColumns), span(c, "rowspan", maxRowSpan))
			}
		}
		g.end()
	}
	if s := g.String(); s != "" {
		r.block(s)
	}
}

// rowsOf lists the rows of a table, without those of tables in its cells.
func rowsOf(n *html.Node) (rows []*html.Node) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		switch c.DataAtom {
		case atom.Tr:
			rows = append(rows, c)
		case atom.Thead, atom.Tbody, atom.Tfoot:
			rows = append(rows, rowsOf(c)...)
		}
	}
	return rows
}

// isLayout reports whether a table holds no table of facts.
func isLayout(n *html.Node, rows []*html.Node) bool {
	if role := attr(n, "role"); role == "presentation" || role == "none" {
		return true
	}
	for c := range n.Descendants() {
		switch c.DataAtom {
		case atom.Table, atom.Pre, atom.H1, atom.H2, atom.H3, atom.Form:
			return true
		}
	}
	for _, row := range rows {
		cells := 0
		for c := row.FirstChild; c != nil; c = c.NextSibling {
			if c.DataAtom == atom.Td || c.DataAtom == atom.Th {
				cells++
			}
		}
		if cells > 1 {
			return false
		}
	}
	return true
}

// cell is the text of a cell in one line.
func (r *renderer) cell(n *html.Node) string {
	return strings.ReplaceAll(line(r.apart(n), maxCell), "|", `\|`)
}

func span(n *html.Node, name string, most int) int {
	v, err := strconv.Atoi(strings.TrimSpace(attr(n, name)))
	if err != nil || v < 1 {
		return 1
	}
	return min(v, most)
}

// A grid is a table row by row. A cell that spans others is repeated in them,
// so that each row can be read alone.
type grid struct {
	rows     [][]string
	row      []string
	below    []hanging // by column
	repeated int
}

// hanging is a cell that reaches into the next rows.
type hanging struct {
	text string
	rows int
}

func (g *grid) begin() { g.row = nil }

// fill takes the cells that reach into the row at this place.
func (g *grid) fill() {
	for i := len(g.row); i < len(g.below) && g.below[i].rows > 0; i++ {
		g.below[i].rows--
		g.row = append(g.row, g.repeat(g.below[i].text))
	}
}

func (g *grid) repeat(s string) string {
	if g.repeated += len(s); g.repeated > maxRepeated {
		return ""
	}
	return s
}

func (g *grid) add(s string, columns, rows int) {
	g.fill()
	for i := range columns {
		if len(g.row) == maxColumns {
			return
		}
		at := len(g.row)
		for len(g.below) <= at {
			g.below = append(g.below, hanging{})
		}
		g.below[at] = hanging{s, rows - 1}
		if i > 0 {
			s = g.repeat(s)
		}
		g.row = append(g.row, s)
	}
}

func (g *grid) end() {
	g.fill()
	for i := len(g.row); i < len(g.below); i++ { // beyond the cells of a short row
		if g.below[i].rows > 0 {
			g.below[i].rows--
		}
	}
	if len(g.row) > 0 {
		g.rows = append(g.rows, g.row)
	}
}

// String is the grid as a table of Markdown. Its first row is the head.
func (g *grid) String() string {
	width := 0
	empty := true
	for _, row := range g.rows {
		width = max(width, len(row))
		for _, cell := range row {
			empty = empty && cell == ""
		}
	}
	if empty {
		return ""
	}
	var b strings.Builder
	for i, row := range g.rows {
		if b.Len() > maxText {
			break
		}
		b.WriteString("|")
		for x := range max(len(row), min(width, 1)) {
			b.WriteString(" " + row[x] + " |")
		}
		if i == 0 {
			b.WriteString(strings.Repeat("  |", width-len(row)) + "\n|" + strings.Repeat(" --- |", width))
		}
		b.WriteString("\n")
	}
	return strings.TrimRight(b.String(), "\n")
}
