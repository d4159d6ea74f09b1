package paper

import "strings"

// A grid is a table being read, cell by cell.
type grid struct {
	rows  [][]string
	row   []string
	carry []carried // by column, what spans down from rows above
}

type carried struct {
	left int
	text string
}

const maxSpan = 100 // of rows or columns; more is a slip

// cell adds a cell to the row. What spans rows is said in each of them.
func (g *grid) cell(text string, columns, rows int) {
	g.spanned()
	text = inCell(text)
	for i := range min(max(columns, 1), maxSpan) {
		for len(g.carry) <= len(g.row) {
			g.carry = append(g.carry, carried{})
		}
		if i > 0 {
			text = ""
		}
		g.carry[len(g.row)] = carried{left: min(max(rows, 1), maxSpan) - 1, text: text}
		g.row = append(g.row, text)
	}
}

// spanned fills the columns that rows above reach into.
func (g *grid) spanned() {
	for len(g.row) < len(g.carry) && g.carry[len(g.row)].left > 0 {
		c := &g.carry[len(g.row)]
		c.left--
		g.row = append(g.row, c.text)
	}
}

func (g *grid) endRow() {
	g.spanned()
	if len(g.row) > 0 {
		g.rows = append(g.rows, g.row)
	}
	g.row = nil
}

// inCell makes text fit a cell of a Markdown table. A bar in a formula becomes
// its name, since an escaped bar means another sign in LaTeX.
func inCell(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if !strings.Contains(text, "|") {
		return text
	}
	parts := strings.Split(text, "$")
	for i, part := range parts {
		if i%2 == 1 && i < len(parts)-1 {
			part = strings.ReplaceAll(part, `\|`, `\Vert `)
			parts[i] = strings.ReplaceAll(part, "|", `\vert `)
		} else {
			parts[i] = strings.ReplaceAll(part, "|", `\|`)
		}
	}
	return strings.Join(parts, "$")
}

// markdown is the table without its empty rows and columns.
func (g *grid) markdown() string {
	width := 0
	for _, row := range g.rows {
		width = max(width, len(row))
	}
	used := make([]bool, width)
	for _, row := range g.rows {
		for i, cell := range row {
			used[i] = used[i] || cell != ""
		}
	}
	var b strings.Builder
	lines := 0
	for _, row := range g.rows {
		if strings.Join(row, "") == "" {
			continue
		}
		b.WriteByte('|')
		columns := 0
		for i, use := range used {
			if !use {
				continue
			}
			columns++
			b.WriteByte(' ')
			if i < len(row) {
				b.WriteString(row[i])
			}
			b.WriteString(" |")
		}
		b.WriteByte('\n')
		if lines++; lines == 1 {
			b.WriteString("|" + strings.Repeat(" --- |", columns) + "\n")
		}
	}
	return b.String()
}
