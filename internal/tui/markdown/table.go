package markdown

import (
	"strings"

	east "github.com/yuin/goldmark/extension/ast"

	"ml-intern/internal/tui/style"
)

// narrow is the width below which a column is not readable any more.
const narrow = 7

// A grid is a table: its first row is the head.
type grid struct {
	rows  [][]style.Line
	align []int // for style.Pad
	wide  []int // of each column, as wide as its widest cell
}

func (b *block) table(n *east.Table, width int) []style.Line {
	g := b.grid(n)
	columns := b.columns
	if !b.piece.more {
		columns = fit(g.wide, width-3*(len(g.wide)-1))
	}
	if b.piece.kind == table {
		b.columns = columns
	}
	if columns == nil {
		return g.records(width, b.piece.more)
	}
	return g.draw(columns, b.piece.more)
}

func (b *block) grid(n *east.Table) grid {
	var g grid
	for _, a := range n.Alignments {
		switch a {
		case east.AlignRight:
			g.align = append(g.align, 1)
		case east.AlignCenter:
			g.align = append(g.align, 0)
		default:
			g.align = append(g.align, -1)
		}
	}
	g.wide = make([]int, len(g.align))
	for row := n.FirstChild(); row != nil; row = row.NextSibling() {
		cells := make([]style.Line, len(g.align))
		i := 0
		for cell := row.FirstChild(); cell != nil && i < len(cells); cell = cell.NextSibling() {
			s := style.Style{}
			if row.Kind() == east.KindTableHeader {
				s.Attr = style.Bold
			}
			cells[i] = b.inline(cell, s)
			for _, l := range style.Wrap(cells[i], 10_000) {
				g.wide[i] = max(g.wide[i], l.Width())
			}
			i++
		}
		g.rows = append(g.rows, cells)
	}
	return g
}

// fit gives columns that are wider than their share what is left when the
// others have what they need; nil if one would be too narrow.
func fit(wide []int, room int) []int {
	columns := make([]int, len(wide))
	left := len(wide)
	for again := true; again; {
		again = false
		for i, w := range wide {
			if columns[i] == 0 && w <= room/max(left, 1) {
				columns[i], room, left, again = max(w, 1), room-max(w, 1), left-1, true
			}
		}
	}
	for i := range columns {
		if columns[i] > 0 {
			continue
		}
		if columns[i] = room / left; columns[i] < narrow {
			return nil
		}
		room, left = room-columns[i], left-1
	}
	if room < 0 {
		return nil
	}
	return columns
}

// draw shows rows with lines between the columns, and between the rows if
// some cell needs several lines.
func (g grid) draw(columns []int, more bool) []style.Line {
	rows := make([][]style.Line, len(g.rows))
	tall := false
	for i, cells := range g.rows {
		rows[i] = g.row(cells, columns)
		tall = tall || i > 0 && len(rows[i]) > 1
	}
	var out []style.Line
	for i, lines := range rows {
		if i == 0 && more {
			continue
		}
		if i == 1 && !more || i > 0 && tall {
			out = append(out, between(columns, i == 1))
		}
		out = append(out, lines...)
	}
	return out
}

func between(columns []int, head bool) style.Line {
	sign, cross := "─", "─┼─"
	if !head {
		sign, cross = "┈", "┈┼┈"
	}
	parts := make([]string, len(columns))
	for i, w := range columns {
		parts[i] = strings.Repeat(sign, w)
	}
	return style.Line{style.Of(style.Rule, strings.Join(parts, cross))}
}

func (g grid) row(cells []style.Line, columns []int) []style.Line {
	wrapped := make([][]style.Line, len(cells))
	tall := 1
	for i, c := range cells {
		wrapped[i] = style.Wrap(c, columns[i])
		tall = max(tall, len(wrapped[i]))
	}
	lines := make([]style.Line, tall)
	for y := range lines {
		for i := range cells {
			var cell style.Line
			if y < len(wrapped[i]) {
				cell = wrapped[i][y]
			}
			if i > 0 {
				lines[y] = append(lines[y], style.Of(style.Rule, " │ "))
			}
			lines[y] = append(lines[y], style.Pad(cell, columns[i], g.align[i])...)
		}
	}
	return lines
}

// records shows each row as lines "head: cell", for where the columns have no
// room beside each other.
func (g grid) records(width int, more bool) []style.Line {
	var out []style.Line
	for i, cells := range g.rows[1:] {
		if i > 0 || more {
			out = append(out, nil)
		}
		for j, c := range cells {
			head := g.rows[0][j]
			if len(c) == 0 {
				continue
			}
			spans := append(head.Indent(), style.Of(style.Muted, ": "))
			for k, l := range style.Wrap(append(spans, c...), inside(width, 2)) {
				if k > 0 {
					l = l.Indent(style.Of(style.Text, "  "))
				}
				out = append(out, l)
			}
		}
	}
	if len(g.rows) == 1 {
		for _, head := range g.rows[0] {
			out = append(out, style.Wrap(head, width)...)
		}
	}
	return out
}
