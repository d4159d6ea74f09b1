package pdftext

import (
	"math"
	"strings"
)

// A matrix maps (x, y) to (ax+cy+e, bx+dy+f).
type matrix struct{ a, b, c, d, e, f float64 }

var unit = matrix{a: 1, d: 1}

// times is m first, then n.
func (m matrix) times(n matrix) matrix {
	return matrix{
		m.a*n.a + m.b*n.c, m.a*n.b + m.b*n.d,
		m.c*n.a + m.d*n.c, m.c*n.b + m.d*n.d,
		m.e*n.a + m.f*n.c + n.e, m.e*n.b + m.f*n.d + n.f,
	}
}

// state is what q saves and Q restores.
type state struct {
	ctm                          matrix
	font                         *font
	size                         float64
	char, word, stretch, leading float64
	rise                         float64
}

// A piece is text that was drawn in one go.
type piece struct {
	x, y, end float64 // along its own direction
	size      float64
	text      string
	bold      bool
	quarter   int // turns to the left
}

// A drawing goes through a page's stream and notes where text is.
type drawing struct {
	*pages
	state
	stack  []state
	text   matrix // of the next letter
	line   matrix // of the line's start
	pieces []piece
	size   int
	args   array
	forms  int // drawn so far
}

const maxStack = 256

func (d *drawing) draw(b []byte, resources dict, depth int) {
	if depth == 0 {
		d.ctm, d.stretch, d.text, d.line = unit, 1, unit, unit
	}
	l := lexer{b: b}
	for {
		v, ok := l.next()
		if !ok {
			return
		}
		op, isOp := v.(word)
		if !isOp {
			if len(d.args) < 4096 {
				d.args = append(d.args, v)
			}
			continue
		}
		if d.ops++; d.ops > maxOps {
			return
		}
		switch op {
		case "BI":
			skipPicture(&l)
		case "Do":
			d.form(resources, depth)
		case "Tf":
			d.state.font, d.state.size = nil, d.number(1)
			if n, ok := d.arg(0).(name); ok {
				d.state.font = d.pages.font(d.dict(resources["Font"])[n])
			}
		default:
			d.operate(op)
		}
		d.args = d.args[:0]
	}
}

// skipPicture goes past one that stands in the stream itself.
func skipPicture(l *lexer) {
	for at := l.at; at+3 < len(l.b); at++ {
		if l.b[at] == 'E' && l.b[at+1] == 'I' && space(l.b[at+2]) && at > 0 && space(l.b[at-1]) {
			l.at = at + 2
			return
		}
	}
	l.at = len(l.b)
}

func (d *drawing) arg(i int) any {
	if i < len(d.args) {
		return d.args[i]
	}
	return nil
}

func (d *drawing) number(i int) float64 {
	n, _ := d.arg(i).(float64)
	return n
}

func (d *drawing) matrix() matrix {
	return matrix{d.number(0), d.number(1), d.number(2), d.number(3), d.number(4), d.number(5)}
}

// operate follows the operators that place text.
func (d *drawing) operate(op word) {
	switch op {
	case "q":
		if len(d.stack) < maxStack {
			d.stack = append(d.stack, d.state)
		}
	case "Q":
		if n := len(d.stack); n > 0 {
			d.state, d.stack = d.stack[n-1], d.stack[:n-1]
		}
	case "cm":
		d.ctm = d.matrix().times(d.ctm)
	case "BT":
		d.text, d.line = unit, unit
	case "Tm":
		d.line = d.matrix()
		d.text = d.line
	case "Td":
		d.move(d.number(0), d.number(1))
	case "TD":
		d.leading = -d.number(1)
		d.move(d.number(0), d.number(1))
	case "T*":
		d.move(0, -d.leading)
	case "Tc":
		d.char = d.number(0)
	case "Tw":
		d.word = d.number(0)
	case "Tz":
		d.stretch = d.number(0) / 100
	case "TL":
		d.leading = d.number(0)
	case "Ts":
		d.rise = d.number(0)
	default:
		d.show(op)
	}
}

// show follows the operators that draw text.
func (d *drawing) show(op word) {
	switch op {
	case "Tj":
		d.write(d.arg(0))
	case "'":
		d.move(0, -d.leading)
		d.write(d.arg(0))
	case "\"":
		d.word, d.char = d.number(0), d.number(1)
		d.move(0, -d.leading)
		d.write(d.arg(2))
	case "TJ":
		list, _ := d.arg(0).(array)
		for _, v := range list {
			if shift, ok := v.(float64); ok {
				d.advance(-shift / 1000 * d.state.size * d.stretch)
				continue
			}
			d.write(v)
		}
	}
}

func (d *drawing) move(x, y float64) {
	d.line = matrix{1, 0, 0, 1, x, y}.times(d.line)
	d.text = d.line
}

func (d *drawing) advance(x float64) {
	d.text = matrix{1, 0, 0, 1, x, 0}.times(d.text)
}

// form draws what many pages share, or a picture of vectors with text.
func (d *drawing) form(resources dict, depth int) {
	n, _ := d.arg(0).(name)
	s, ok := d.get(d.dict(resources["XObject"])[n]).(stream)
	if !ok || d.name(s.dict["Subtype"]) != "Form" || depth > 8 || d.forms > 2000 {
		return
	}
	d.forms++
	saved, text, line := d.state, d.text, d.line
	below := d.stack
	d.stack = nil
	if m := d.array(s.dict["Matrix"]); len(m) == 6 {
		d.args = m
		d.ctm = d.matrix().times(d.ctm)
	}
	d.args = nil
	own := d.dict(s.dict["Resources"])
	if own == nil {
		own = resources
	}
	d.draw(d.decode(s), own, depth+1)
	d.state, d.text, d.line, d.stack = saved, text, line, below
}

// write notes a string at its place and moves on.
func (d *drawing) write(v any) {
	s, ok := v.(text)
	if !ok || d.state.font == nil || d.size > maxText || len(d.pieces) >= maxPiece {
		return
	}
	var b strings.Builder
	start := matrix{1, 0, 0, 1, 0, d.rise}.times(d.text).times(d.ctm)
	flush := func() {
		if b.Len() > 0 {
			d.piece(b.String(), start, d.text.times(d.ctm))
		}
		b.Reset()
	}
	d.state.font.each(s, func(out string, width float64, isSpace bool) {
		b.WriteString(out)
		step := width*d.state.size + d.char
		if isSpace {
			step += d.word
		}
		d.advance(step * d.stretch)
		if d.char > d.state.size*0.2 { // letters that are set wide apart are words apart
			flush()
			start = matrix{1, 0, 0, 1, 0, d.rise}.times(d.text).times(d.ctm)
		}
	})
	flush()
}

// piece turns a text's place so that it runs from left to right.
func (d *drawing) piece(s string, from, to matrix) {
	size := d.state.size * math.Hypot(from.c, from.d)
	p := piece{x: from.e, y: from.f, end: to.e, size: math.Abs(size), text: s, bold: d.state.font.bold}
	switch {
	case math.Abs(from.b) > math.Abs(from.a) && from.b > 0:
		p.quarter, p.x, p.y, p.end = 1, from.f, -from.e, to.f
	case math.Abs(from.b) > math.Abs(from.a):
		p.quarter, p.x, p.y, p.end = 3, -from.f, from.e, -to.f
	case from.a < 0:
		p.quarter, p.x, p.y, p.end = 2, -from.e, -from.f, -to.e
	}
	d.size += len(s)
	d.pieces = append(d.pieces, p)
}
