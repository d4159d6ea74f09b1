package style

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Clean makes text from outside harmless: ends of lines become \n, tabs stay,
// colours are dropped, and whatever else could control a terminal or turn the
// order of letters around is shown instead of obeyed.
func Clean(text string) string {
	if harmless(text) {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	for i := 0; i < len(text); {
		if n := colour(text[i:]); n > 0 {
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\r' && i+1 < len(text) && text[i+1] == '\n':
		case r == '\r', r == '\u2028', r == '\u2029', r == '\u0085':
			b.WriteByte('\n')
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r >= 0xe0020 && r <= 0xe007f && flag(text[:i]):
			b.WriteRune(r)
		default:
			b.WriteString(shown(r))
		}
		i += n
	}
	return b.String()
}

// Flat is Clean for what must stay on one line.
func Flat(text string) string {
	if harmless(text) && !strings.ContainsAny(text, "\n\t") {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		return r
	}, Clean(text))
}

// harmless is the fast answer for most text.
func harmless(text string) bool {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c >= ' ' && c < 0x7f || c == '\n' || c == '\t':
		case c < utf8.RuneSelf:
			return false
		default:
			r, n := utf8.DecodeRuneInString(text[i:])
			if r == utf8.RuneError && n == 1 || r >= 0xe0000 && r < 0xe0100 || odd(r) {
				return false
			}
			i += n - 1
		}
	}
	return true
}

// odd reports whether a rune above ASCII is not shown as it is.
func odd(r rune) bool {
	switch {
	case r < 0xa0, r == 0xad, r == 0x61c, r == 0x180e:
		return true
	case r < 0x200b:
		return false
	case r == 0x200b, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0xfeff, r >= 0xfff9 && r <= 0xfffb:
		return true
	}
	return r >= 0x1d173 && r <= 0x1d17a || r >= 0xe0000 && r < 0xe0100
}

// shown is what stands for a rune.
func shown(r rune) string {
	switch {
	case r < ' ':
		return string('\u2400' + r)
	case r == 0x7f:
		return "\u2421"
	case r == 0xad, r == 0x200b, r == 0x200e, r == 0x200f, r == 0x61c, r == 0x2060, r == 0xfeff, r == 0x180e:
		return "" // marks that show nothing and turn nothing around
	case r >= 0x80 && odd(r):
		return fmt.Sprintf("‹U+%04X›", r)
	}
	return string(r)
}

// colour returns the length of the sequence that text begins with if all it
// does is to colour text or to erase the rest of a line.
func colour(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	for i := 2; i < len(text) && i < 64; i++ {
		switch c := text[i]; {
		case c >= '0' && c <= '9' || c == ';' || c == ':':
		case c == 'm' || c == 'K':
			return i + 1
		default:
			return 0
		}
	}
	return 0
}

// flag reports whether text ends in a flag of a region: a black flag and the
// tags that name it.
func flag(text string) bool {
	text = strings.TrimRightFunc(text, func(r rune) bool { return r >= 0xe0020 && r < 0xe007f })
	return strings.HasSuffix(text, "\U0001f3f4")
}

// TabStop is how far the stops of tabs in code are from each other.
const TabStop = 4

// Tabs returns a line of code with its tabs as spaces.
func Tabs(line string) string {
	if !strings.Contains(line, "\t") {
		return line
	}
	var b strings.Builder
	col := 0
	for i, part := range strings.Split(line, "\t") {
		if i > 0 {
			n := TabStop - col%TabStop
			b.WriteString(strings.Repeat(" ", n))
			col += n
		}
		b.WriteString(part)
		col += Width(part)
	}
	return b.String()
}
