package style

import (
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// Width is how many cells the text takes: two for a wide letter or an emoji
// however many runes it is made of, none for a mark on the letter before it.
func Width(text string) int { return displaywidth.String(text) }

// Wrap breaks spans between words into lines of at most width cells. A word
// that is longer is cut. An end of line in the text is one in the result.
func Wrap(spans []Span, width int) []Line {
	w := wrapper{width: max(width, 1)}
	for _, s := range spans {
		w.add(s)
	}
	w.flush()
	if len(w.line) > 0 || len(w.lines) == 0 {
		w.end()
	}
	return w.lines
}

// A wrapper holds the line that grows, the spaces after it and the word that
// comes next, which may be made of several spans.
type wrapper struct {
	width         int
	lines         []Line
	line, gap     Line
	word          Line
	lineW, gapW   int
	wordW         int
	wideWord, any bool
}

func (w *wrapper) add(s Span) {
	text := Clean(s.Text)
	for text != "" {
		n := 0
		for n < len(text) && text[n] > ' ' && text[n] < 0x7f {
			n++
		}
		if n > 0 {
			n = w.ascii(text, n, s.Style)
			text = text[n:]
			continue
		}
		switch text[0] {
		case '\n':
			w.flush()
			w.end()
			text = text[1:]
		case ' ', '\t':
			w.flush()
			w.gap = append(w.gap, Span{" ", s.Style})
			w.gapW++
			text = text[1:]
		default:
			g := displaywidth.StringGraphemes(text)
			g.Next()
			w.grapheme(Span{g.Value(), s.Style}, g.Width())
			text = text[len(g.Value()):]
		}
	}
}

// ascii takes n letters, but not the last if a mark above ASCII follows it.
func (w *wrapper) ascii(text string, n int, s Style) int {
	if n < len(text) && text[n] >= 0x80 {
		if n--; n == 0 {
			g := displaywidth.StringGraphemes(text)
			g.Next()
			w.grapheme(Span{g.Value(), s}, g.Width())
			return len(g.Value())
		}
	}
	if w.wideWord {
		w.flush()
	}
	w.word = append(w.word, Span{text[:n], s})
	w.wordW += n
	return n
}

func (w *wrapper) grapheme(s Span, width int) {
	wide := width > 1
	closing := strings.Contains("、。，．！？：；）」』】》〉〕］｝”’…", s.Text)
	if (wide || w.wideWord) && !closing && width > 0 {
		w.flush()
	}
	w.wideWord = wide || closing && w.wideWord
	w.word = append(w.word, s)
	w.wordW += width
}

// flush puts the word on the line, or on the next.
func (w *wrapper) flush() {
	if len(w.word) == 0 {
		return
	}
	switch {
	case w.lineW+w.gapW+w.wordW <= w.width:
		w.line = append(append(w.line, w.gap...), w.word...)
		w.lineW += w.gapW + w.wordW
	case w.wordW <= w.width:
		if w.lineW > 0 {
			w.end()
		}
		w.line, w.lineW = append(w.line, w.word...), w.wordW
	default:
		w.long()
	}
	w.gap, w.gapW = w.gap[:0], 0
	w.word, w.wordW, w.wideWord = w.word[:0], 0, false
}

// long cuts a word that fits on no line. It begins on the line there is if
// that has room for a good part.
func (w *wrapper) long() {
	if w.lineW > 0 && w.width-w.lineW-w.gapW < w.width/2 {
		w.end()
	} else if w.lineW > 0 {
		w.line, w.lineW = append(w.line, w.gap...), w.lineW+w.gapW
	}
	for _, l := range cut(w.word, w.width, w.width-w.lineW) {
		if w.any {
			w.end()
		}
		w.line, w.lineW, w.any = append(w.line, l...), l.Width(), true
	}
	w.any = false
}

func (w *wrapper) end() {
	w.lines = append(w.lines, w.line)
	w.line, w.lineW = nil, 0
	w.gap, w.gapW = w.gap[:0], 0
}

// Cut breaks a line wherever width cells are full, between any two letters.
func Cut(l Line, width int) []Line {
	width = max(width, 1)
	return cut(l, width, width)
}

// cut has room for less on the first line. A letter that is wider than the
// width gets a line of its own.
func cut(l Line, width, room int) []Line {
	if l.Width() <= room {
		return []Line{l}
	}
	lines, line := []Line(nil), Line(nil)
	for _, s := range l {
		rest := s.Text
		for rest != "" {
			n, w := fits(rest, room)
			if n == 0 && (len(line) > 0 || len(lines) == 0 && room < width) {
				lines, line, room = append(lines, line), nil, width
				continue
			}
			if n == 0 {
				g := displaywidth.StringGraphemes(rest)
				g.Next()
				n, w = len(g.Value()), g.Width()
			}
			line = append(line, Span{rest[:n], s.Style})
			rest, room = rest[n:], room-w
		}
	}
	if len(line) > 0 || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// fits returns how many bytes of text fit in room cells, and their width.
func fits(text string, room int) (n, width int) {
	g := displaywidth.StringGraphemes(text)
	for g.Next() {
		w := g.Width()
		if width+w > room {
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
	first := Cut(l, max(width-1, 1))[0]
	if width == 1 || first.Width() > width-1 {
		first = nil
	}
	return first.Indent().with("…", l)
}

func (l Line) with(text string, like Line) Line {
	s := like[0].Style
	if len(l) > 0 {
		s = l[len(l)-1].Style
	}
	return append(l, Span{text, s})
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
