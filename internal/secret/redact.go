package secret

import (
	"slices"
	"strings"
)

// Redacted stands where a secret was.
const Redacted = "[redacted]"

// A Redactor takes secrets out of texts: what has the shape of a key, and the
// values that it was given, also as JSON, addresses, hexadecimal digits and
// base64 write them. The zero Redactor goes by shapes alone. It is safe for concurrent use.
type Redactor struct {
	values exact
	pieces exact // the values without what may cut them; see Find
}

// New returns a Redactor that knows the values of secrets. Those of less than 8
// bytes are in too many other words, and are left alone.
func New(values ...string) *Redactor {
	r := &Redactor{values: newExact(values)}
	r.pieces = r.values.squeezed()
	return r
}

// A span is a secret in a text.
type span struct{ begin, end int }

// Text returns the text without its secrets.
func (r *Redactor) Text(text string) string { return r.replace(text, Redacted) }

// Values returns the text without the values that the Redactor was given; what
// only looks like a key stays.
func (r *Redactor) Values(text string) string {
	spans, _ := r.values.scan(text, 0, true, nil)
	if len(spans) == 0 {
		return text
	}
	return cut(text, 0, len(text), merge(spans, 0), Redacted)
}

// Holds reports whether a text holds a secret.
func (r *Redactor) Holds(text string) bool {
	spans, _ := r.scan(text, 0, true)
	return len(spans) > 0
}

func (r *Redactor) replace(text, by string) string {
	spans, _ := r.scan(text, 0, true)
	if len(spans) == 0 {
		return text
	}
	return cut(text, 0, len(text), spans, by)
}

// cut is the text from one place to another, with something else in the places
// of the spans, which are in order and apart.
func cut(text string, from, to int, spans []span, by string) string {
	var b strings.Builder
	for _, s := range spans {
		if s.begin < from || s.begin >= to {
			continue
		}
		b.WriteString(text[from:s.begin])
		b.WriteString(by)
		from = s.end
	}
	if from < to {
		b.WriteString(text[from:to])
	}
	return b.String()
}

// scan finds the secrets of a text that begin at from or later, in order. Of a
// text that is not final it returns from where on more must come to tell.
func (r *Redactor) scan(text string, from int, final bool) (spans []span, hold int) {
	spans, hold = scanShapes(text, from, final)
	var held int
	if spans, held = r.values.scan(text, from, final, spans); held < hold {
		hold = held
	}
	return merge(spans, from), hold
}

// merge puts spans in order and joins those that overlap.
func merge(spans []span, from int) []span {
	if len(spans) == 0 {
		return nil
	}
	slices.SortFunc(spans, func(a, b span) int { return a.begin - b.begin })
	out := spans[:0]
	for _, s := range spans {
		switch {
		case s.begin < from:
		case len(out) > 0 && s.begin < out[len(out)-1].end:
			out[len(out)-1].end = max(out[len(out)-1].end, s.end)
		default:
			out = append(out, s)
		}
	}
	return out
}

// watched says of each byte whether a key may be told by it. Most are none, and
// a text is gone through in one quick pass.
var watched = makeWatched()

func makeWatched() (t [256]bool) {
	for c := range shapes {
		t[c] = true
	}
	for _, c := range []byte("J :=") {
		t[c] = true
	}
	return t
}

// sight is how far before a place it is looked for what stands there.
const sight = 128

// scanShapes finds what has the shape of a key.
func scanShapes(text string, from int, final bool) (spans []span, hold int) {
	hold = len(text)
	note := func(begin, end int, found outcome) {
		switch {
		case begin < from || found == no:
		case found == more:
			hold = min(hold, begin)
		default:
			spans = append(spans, span{begin, end})
		}
	}
	for i := max(0, from-sight); i < len(text); i++ {
		c := text[i]
		if !watched[c] {
			continue
		}
		switch c {
		case ' ':
			note(bearer(text, i, final))
		case ':', '=':
			note(assigned(text, i, final))
		case 'J':
			if i >= 2 && text[i-2:i] == "ey" {
				end, found := webToken(text, i-2, final)
				note(i-2, end, found)
			}
		default:
			if c == '-' && (i == 0 || text[i-1] != '-' || i == from) {
				end, found := privateKey(text, i, final)
				note(i, end, found)
			}
			for _, s := range shapes[c] {
				start := i + 1 - len(s.mark)
				if start >= 0 && text[start:i+1] == s.mark {
					end, found := s.at(text, start, final)
					note(start, end, found)
				}
			}
		}
	}
	if !final {
		hold = min(hold, beginning(text, from))
	}
	return spans, hold
}

// beginning is where the end of a text may be the first bytes of a mark.
func beginning(text string, from int) int {
	for i := max(from, len(text)-12); i < len(text); i++ {
		if !boundary(text, i) {
			continue
		}
		tail := text[i:]
		if strings.HasPrefix("eyJ", tail) {
			return i
		}
		for _, list := range shapes {
			for _, s := range list {
				if len(tail) < len(s.mark) && strings.HasPrefix(s.mark, tail) {
					return i
				}
			}
		}
	}
	return len(text)
}
