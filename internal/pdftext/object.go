package pdftext

import (
	"bytes"
	"strconv"
)

// The objects of a PDF as Go values: float64, bool, nil, and these.
type (
	name   string
	text   string // a string object, its bytes
	array  []any
	dict   map[name]any
	ref    int
	word   string // a bare word: an operator, obj, stream …
	stream struct {
		dict dict
		raw  []byte
	}
)

// A lexer reads objects. It never fails: what it cannot read it skips.
type lexer struct {
	b     []byte
	at    int
	depth int
}

const maxNesting = 64

func space(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

func delimiter(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return true
	}
	return false
}

func (l *lexer) skipSpace() {
	for l.at < len(l.b) {
		switch c := l.b[l.at]; {
		case space(c):
			l.at++
		case c == '%':
			for l.at < len(l.b) && l.b[l.at] != '\n' && l.b[l.at] != '\r' {
				l.at++
			}
		default:
			return
		}
	}
}

// next returns the next object or word, ok only if there is one. References
// are read where refs may be: not in the streams of pages.
func (l *lexer) next() (object any, ok bool) {
	l.skipSpace()
	if l.at >= len(l.b) {
		return nil, false
	}
	switch c := l.b[l.at]; c {
	case '/':
		l.at++
		return l.name(), true
	case '(':
		l.at++
		return l.literal(), true
	case '<':
		l.at++
		if l.at < len(l.b) && l.b[l.at] == '<' {
			l.at++
			return l.dict(), true
		}
		return l.hex(), true
	case '[':
		l.at++
		return l.array(), true
	case '>', ']', ')', '{', '}':
		l.at++
		if c == '>' && l.at < len(l.b) && l.b[l.at] == '>' {
			l.at++
			return word(">>"), true
		}
		return word(c), true
	}
	return l.bare(), true
}

func (l *lexer) bare() any {
	start := l.at
	for l.at < len(l.b) && !space(l.b[l.at]) && !delimiter(l.b[l.at]) {
		l.at++
	}
	w := l.b[start:l.at]
	if c := w[0]; c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' {
		if n, ok := parseNumber(w); ok {
			return n
		}
	}
	switch string(w) {
	case "true":
		return true
	case "false":
		return false
	case "null":
		return nil
	}
	return word(w)
}

// parseNumber takes the numbers that writers of PDF make, such as -.5 and 4. too.
func parseNumber(w []byte) (float64, bool) {
	value, scale, negative := 0.0, 0.0, false
	for i, c := range w {
		switch {
		case c == '-' && i == 0:
			negative = true
		case c == '+' && i == 0:
		case c == '.' && scale == 0:
			scale = 1
		case c >= '0' && c <= '9':
			value = value*10 + float64(c-'0')
			scale *= 10
		case c == '-': // 12-34 of a broken writer
			return value, true
		default:
			return 0, false
		}
	}
	if scale > 1 {
		value /= scale
	}
	if negative {
		value = -value
	}
	return value, true
}

func (l *lexer) name() name {
	start, escaped := l.at, false
	for l.at < len(l.b) && !space(l.b[l.at]) && !delimiter(l.b[l.at]) {
		escaped = escaped || l.b[l.at] == '#'
		l.at++
	}
	w := l.b[start:l.at]
	if !escaped {
		return name(w)
	}
	var out []byte
	for i := 0; i < len(w); i++ {
		if w[i] == '#' && i+2 < len(w) {
			if n, err := strconv.ParseUint(string(w[i+1:i+3]), 16, 8); err == nil {
				out = append(out, byte(n))
				i += 2
				continue
			}
		}
		out = append(out, w[i])
	}
	return name(out)
}

func (l *lexer) literal() text {
	var out []byte
	for depth := 1; l.at < len(l.b); l.at++ {
		c := l.b[l.at]
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				l.at++
				return text(out)
			}
		case '\\':
			out = l.escape(out)
			continue
		}
		out = append(out, c)
	}
	l.at = min(l.at, len(l.b)) // an escape may end the file
	return text(out)
}

// escape reads what follows a backslash and leaves l.at on its last byte.
func (l *lexer) escape(out []byte) []byte {
	l.at++
	if l.at >= len(l.b) {
		return out
	}
	switch c := l.b[l.at]; c {
	case 'n':
		return append(out, '\n')
	case 'r':
		return append(out, '\r')
	case 't':
		return append(out, '\t')
	case 'b', 'f':
		return append(out, ' ')
	case '\r':
		if l.at+1 < len(l.b) && l.b[l.at+1] == '\n' {
			l.at++
		}
		return out
	case '\n':
		return out
	default:
		if c < '0' || c > '7' {
			return append(out, c)
		}
	}
	n := 0
	for i := 0; i < 3 && l.at < len(l.b) && l.b[l.at] >= '0' && l.b[l.at] <= '7'; i++ {
		n = n*8 + int(l.b[l.at]-'0')
		l.at++
	}
	l.at--
	return append(out, byte(n))
}

func (l *lexer) hex() text {
	end := bytes.IndexByte(l.b[l.at:], '>')
	if end < 0 {
		end = len(l.b) - l.at
	}
	digits := l.b[l.at : l.at+end]
	l.at = min(l.at+end+1, len(l.b))
	return text(unhex(digits))
}

func unhex(digits []byte) []byte {
	var out []byte
	half, high := false, byte(0)
	for _, c := range digits {
		var n byte
		switch {
		case c >= '0' && c <= '9':
			n = c - '0'
		case c >= 'a' && c <= 'f':
			n = c - 'a' + 10
		case c >= 'A' && c <= 'F':
			n = c - 'A' + 10
		default:
			continue
		}
		if half {
			out = append(out, high<<4|n)
		}
		high, half = n, !half
	}
	if half {
		out = append(out, high<<4)
	}
	return out
}

func (l *lexer) array() array {
	var a array
	if l.depth >= maxNesting {
		return nil
	}
	l.depth++
	defer func() { l.depth-- }()
	for {
		v, ok := l.next()
		if !ok || v == word("]") {
			return a
		}
		a = fold(append(a, v))
	}
}

// fold makes a reference of the last three values "12 0 R".
func fold(a array) array {
	n := len(a)
	if n < 3 || a[n-1] != word("R") {
		return a
	}
	number, ok := a[n-3].(float64)
	if _, generation := a[n-2].(float64); !ok || !generation {
		return a
	}
	return append(a[:n-3], ref(number))
}

func (l *lexer) dict() dict {
	if l.depth >= maxNesting {
		return nil
	}
	d := dict{}
	var pairs array
	l.depth++
	defer func() { l.depth-- }()
	for {
		v, ok := l.next()
		if !ok || v == word(">>") || v == word("endobj") {
			break
		}
		pairs = fold(append(pairs, v))
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		key, ok := pairs[i].(name)
		if !ok { // out of step: go on with the next name
			i--
			continue
		}
		d[key] = pairs[i+1]
	}
	return d
}
