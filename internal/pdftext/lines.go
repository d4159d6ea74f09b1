package pdftext

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Shares of a letter's size.
const (
	wordGap   = 0.17 // between words, at the least
	sameLine  = 0.55 // up or down: an index or an exponent
	backwards = 0.6  // to the left within a line: accents, kerning
	looseLine = 1.75 // between lines: a paragraph ends
)

// lines puts the pieces of a page together. Text that runs in another direction
// than most is left out: stamps in the margin.
func (d *drawing) lines() Page {
	direction := d.direction()
	var page Page
	var l assembled
	for _, p := range d.pieces {
		if p.quarter != direction {
			continue
		}
		if l.letters > 0 && !l.continues(p) {
			page = l.finish(page)
		}
		l.add(p)
	}
	return l.finish(page)
}

func (d *drawing) direction() int {
	var letters [4]int
	for _, p := range d.pieces {
		letters[p.quarter] += len(p.text)
	}
	most := 0
	for i, n := range letters {
		if n > letters[most] {
			most = i
		}
	}
	return most
}

// assembled is a line being put together.
type assembled struct {
	b             strings.Builder
	y, end, size  float64 // of its widest letters, and where it ended
	letters, bold int
	sized         map[float64]int
	above         float64 // y of the line before
	started       bool
}

// continues reports whether a piece belongs to the line.
func (l *assembled) continues(p piece) bool {
	size := max(l.size, p.size)
	if math.Abs(p.y-l.y) > sameLine*size {
		return false
	}
	if p.size < 0.8*l.size { // an index under an exponent
		return p.x > l.end-3*size
	}
	return p.x > l.end-backwards*size
}

func (l *assembled) add(p piece) {
	if l.letters == 0 {
		l.y, l.size, l.sized = p.y, p.size, map[float64]int{}
	}
	gap := p.x - l.end
	if l.letters > 0 && gap > wordGap*min(l.size, p.size) && !strings.HasPrefix(p.text, " ") && !strings.HasSuffix(l.b.String(), " ") {
		l.b.WriteByte(' ')
		if gap > 2.5*l.size { // columns of a table
			l.b.WriteString("  ")
		}
	}
	if p.size > l.size {
		l.y, l.size = p.y, p.size
	}
	l.b.WriteString(p.text)
	n := utf8.RuneCountInString(p.text)
	l.letters += max(n, 1)
	l.sized[math.Round(p.size*10)/10] += n
	if p.bold {
		l.bold += n
	}
	l.end = p.end
}

// finish adds the line to a page and begins another.
func (l *assembled) finish(page Page) Page {
	text := strings.TrimRight(strings.Map(printable, strings.ToValidUTF8(l.b.String(), "")), " ")
	if strings.TrimSpace(text) != "" {
		line := Line{Text: strings.TrimLeft(text, " "), Bold: 2*l.bold > l.letters}
		for size, n := range l.sized {
			if best := l.sized[line.Size]; n > best || (n == best && size > line.Size) {
				line.Size = size
			}
		}
		down := l.above - l.y
		line.Gap = l.started && (down > looseLine*max(l.size, 4) || down < -l.size)
		page = append(page, line)
		l.above, l.started = l.y, true
	}
	*l = assembled{above: l.above, started: l.started}
	return page
}

func printable(r rune) rune {
	switch {
	case r == '\t' || r == '\n' || r == '\r' || r == '\u00a0':
		return ' '
	case unicode.IsControl(r) || r == '\u00ad':
		return -1
	}
	return r
}
