package paper

import "strings"

// A flow is Markdown being written: white space collapses, and blocks stand
// apart.
type flow struct {
	b      strings.Builder
	space  bool // white space came before what is next
	breaks int  // line breaks before what is next
	fresh  bool // the mark of a list item was just written
}

// text writes running text.
func (f *flow) text(s string) {
	for s != "" {
		i := strings.IndexAny(s, " \t\r\n\u00a0\u200b")
		if i != 0 {
			word := s
			if i > 0 {
				word = s[:i]
			}
			f.word(word)
			s = s[len(word):]
			continue
		}
		if strings.HasPrefix(s, "\u200b") {
			s = s[len("\u200b"):]
			continue
		}
		f.space = true
		s = strings.TrimLeft(s, " \t\r\n\u00a0")
	}
}

// word writes text that is kept as it is, after the white space before it.
func (f *flow) word(s string) {
	f.flush()
	f.b.WriteString(s)
	f.fresh = false
}

// flush writes the white space that is due.
func (f *flow) flush() {
	switch {
	case f.b.Len() == 0 || f.fresh:
	case f.breaks > 0:
		f.b.WriteString("\n\n"[:f.breaks])
	case f.space:
		f.b.WriteByte(' ')
	}
	f.space, f.breaks = false, 0
}

// block ends a paragraph, line a line.
func (f *flow) block() { f.breaks = 2 }
func (f *flow) line()  { f.breaks = max(f.breaks, 1) }

// item begins an item of a list.
func (f *flow) item(mark string) {
	f.fresh = false
	f.line()
	f.word(mark)
	f.fresh = true
}

// paragraph writes a block of its own.
func (f *flow) paragraph(s string) {
	if s = strings.TrimSpace(s); s != "" {
		f.block()
		f.word(s)
		f.block()
	}
}

// oneLine is what was written, in one line.
func (f *flow) oneLine() string { return strings.Join(strings.Fields(f.b.String()), " ") }
