package style

import (
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// Width is how many cells the text takes: two for a wide letter or an emoji
// however many runes it is made of, none for a mark on the letter before it.
func Width(text string) int { return displaywidth.String(text) }

// Width is how many cells the line takes.
func (l Line) Width() int {
	if len(l) == 1 {
		return Width(l[0].Text)
	}
	return Width(l.Plain())
}

// A joined is the text of spans in one, as letters may be made of runes of two
// spans. Such a letter belongs to the first of them.
type joined struct {
	text  string
	spans []Span
	ends  []int // of each span in the text
}

func join(spans []Span) joined {
	j := joined{spans: spans, ends: make([]int, len(spans))}
	if len(spans) == 1 {
		j.text = spaced(spans[0].Text)
		j.ends[0] = len(j.text)
		return j
	}
	var b strings.Builder
	for i, s := range spans {
		b.WriteString(spaced(s.Text))
		j.ends[i] = b.Len()
	}
	j.text = b.String()
	for i, end := range j.ends {
		if i > 0 && end < j.ends[i-1] {
			j.ends[i] = j.ends[i-1]
		}
		if end = j.ends[i]; end > 0 && end < len(j.text) && j.text[end] >= 0x80 {
			j.ends[i] = j.whole(i)
		}
	}
	return j
}

// spaced is clean, with spaces for tabs, whose width nobody knows.
func spaced(text string) string { return strings.ReplaceAll(Clean(text), "\t", " ") }

// whole moves the end of a span behind the letter that it would cut.
func (j joined) whole(i int) int {
	at := 0
	if i > 0 {
		at = j.ends[i-1]
	}
	g := displaywidth.StringGraphemes(j.text[at:])
	for at < j.ends[i] && g.Next() {
		at += len(g.Value())
	}
	return max(at, j.ends[i])
}

// slice is a part of the text as a line.
func (j joined) slice(from, to int) Line {
	var l Line
	start := 0
	for i, end := range j.ends {
		if a, b := max(start, from), min(end, to); a < b {
			l = append(l, Span{j.text[a:b], j.spans[i].Style})
		}
		if start = end; start >= to {
			break
		}
	}
	return l
}

// Wrap breaks spans between words into lines of at most width cells. A word
// that is longer is cut. An end of line in the text is one in the result.
func Wrap(spans []Span, width int) []Line {
	w := wrapper{joined: join(spans), width: max(width, 1)}
	for at := 0; at < len(w.text); {
		switch c := w.text[at]; {
		case c == '\n':
			w.end()
			at++
			w.from, w.to = at, at
		case c == ' ' && !w.marked(at):
			at++
			w.gap++
		default:
			end, cells := w.word(at)
			w.put(at, end, cells)
			at = end
		}
	}
	if w.to > w.from || len(w.lines) == 0 {
		w.end()
	}
	return w.lines
}

// A wrapper holds the line that grows: the text from from to to.
type wrapper struct {
	joined
	width    int
	lines    []Line
	from, to int
	cells    int // of the line
	gap      int // spaces after it
}

// marked reports whether a mark stands on the letter.
func (w *wrapper) marked(at int) bool {
	if at+1 == len(w.text) || w.text[at+1] < 0x80 {
		return false
	}
	g := displaywidth.StringGraphemes(w.text[at:])
	return g.Next() && len(g.Value()) > 1
}

// word returns where the word ends, and its width. Lines may break before and
// after every wide letter, but not before a sign that closes something.
func (w *wrapper) word(at int) (end, cells int) {
	wide := false
	for end = at; end < len(w.text) && (end == at || w.text[end] > ' '); {
		n := 0
		for !wide && end+n+1 < len(w.text) && w.text[end+n] > ' ' && w.text[end+n] < 0x7f && w.text[end+n+1] < 0x80 {
			n++
		}
		if n > 0 {
			end, cells = end+n, cells+n
			continue
		}
		g := displaywidth.StringGraphemes(w.text[end:])
		g.Next()
		letter := g.Width() > 1
		closing := strings.Contains("、。，．！？：；）」』】》〉〕］｝”’…", g.Value())
		if end > at && (letter || wide) && !closing && g.Width() > 0 {
			return end, cells
		}
		wide = letter || closing && wide
		end, cells = end+len(g.Value()), cells+g.Width()
	}
	return end, cells
}

// put adds a word to the line, or to the next.
func (w *wrapper) put(at, end, cells int) {
	switch {
	case w.cells+w.gap+cells <= w.width:
		w.cells += w.gap + cells
	case cells <= w.width:
		if w.to > w.from {
			w.end()
		}
		w.from, w.cells = at, cells
	default:
		w.long(at, end)
	}
	w.to, w.gap = end, 0
}

// long cuts a word that fits on no line. It begins on the line there is if
// that has room for a good part.
func (w *wrapper) long(at, end int) {
	room := w.width - w.cells - w.gap
	if room < w.width/2 || room < 2 {
		if w.to > w.from {
			w.end()
		}
		w.from, room = at, w.width
	}
	for {
		n, cells := fits(w.text[at:end], room)
		w.to, w.cells = at+n, w.width-room+cells
		if at += n; at >= end {
			return
		}
		w.end()
		w.from, room = at, w.width
	}
}

func (w *wrapper) end() {
	w.lines = append(w.lines, w.slice(w.from, w.to))
	w.cells, w.gap = 0, 0
}

// Cut breaks a line wherever width cells are full, between any two letters.
func Cut(l Line, width int) []Line {
	if width = max(width, 1); l.Width() <= width {
		return []Line{l}
	}
	j := join(l)
	var lines []Line
	for at := 0; at < len(j.text); {
		n, _ := fits(j.text[at:], width)
		lines = append(lines, j.slice(at, at+n))
		at += n
	}
	return lines
}

// fits returns how many bytes of text fit in room cells, and their width; one
// letter fits always.
func fits(text string, room int) (n, width int) {
	g := displaywidth.StringGraphemes(text)
	for g.Next() {
		w := g.Width()
		if n > 0 && width+w > room {
			return n, width
		}
		n, width = n+len(g.Value()), width+w
	}
	return n, width
}

// Truncate shortens a line to width cells; its last is then an ellipsis.
func Truncate(l Line, width int) Line {
	if l.Width() <= width {
		return l
	}
	if width < 1 {
		return nil
	}
	first := Line{}
	if width > 1 {
		if first = Cut(l, width-1)[0]; first.Width() > width-1 {
			first = nil
		}
	}
	dots := Span{Text: "…"}
	if len(first) > 0 {
		dots.Style = first[len(first)-1].Style
	}
	return append(first[:len(first):len(first)], dots)
}

// Pad fills a line with spaces up to width cells: behind it, before it if
// align is positive, on both sides if it is zero.
func Pad(l Line, width, align int) Line {
	n := width - l.Width()
	if n <= 0 {
		return l
	}
	left := 0
	switch {
	case align > 0:
		left = n
	case align == 0:
		left = n / 2
	}
	out := l
	if left > 0 {
		out = out.Indent(Span{Text: strings.Repeat(" ", left)})
	}
	if n > left {
		out = append(out[:len(out):len(out)], Span{Text: strings.Repeat(" ", n-left)})
	}
	return out
}
