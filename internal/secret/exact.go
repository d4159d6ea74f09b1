package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
)

// minValue is the length below which a value is no secret, in bytes.
const minValue = 8

// exact finds values and what they look like encoded. The zero exact finds none.
type exact struct {
	seen    []uint64             // a bit for each hash of three first bytes
	byStart map[[3]byte][]string // longest first
	longest int
}

func newExact(values []string) exact {
	e := exact{}
	known := map[string]bool{}
	for _, v := range values {
		v = strings.TrimSpace(v)
		if len(v) < minValue {
			continue
		}
		for _, form := range forms(v) {
			if len(form) < minValue || known[form] {
				continue
			}
			known[form] = true
			e.add(form)
		}
	}
	for _, list := range e.byStart {
		slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	}
	return e
}

func (e *exact) add(form string) {
	if e.seen == nil {
		e.seen, e.byStart = make([]uint64, 1<<10), map[[3]byte][]string{}
	}
	h := hash(form[0], form[1], form[2])
	e.seen[h>>6] |= 1 << (h & 63)
	start := [3]byte{form[0], form[1], form[2]}
	e.byStart[start] = append(e.byStart[start], form)
	e.longest = max(e.longest, len(form))
}

func hash(a, b, c byte) uint32 {
	return (uint32(a) | uint32(b)<<8 | uint32(c)<<16) * 2654435761 >> 16
}

// forms lists a value as it is, as it stands in JSON, in HTML, in addresses, in
// hexadecimal digits, and in base64, wherever it begins there.
func forms(v string) []string {
	all := []string{v, url.QueryEscape(v), url.PathEscape(v), hex.EncodeToString([]byte(v)), strings.ToUpper(hex.EncodeToString([]byte(v)))}
	all = append(all, lowerEscapes(all[1]), lowerEscapes(all[2]))
	for _, escape := range []bool{true, false} {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(escape)
		if enc.Encode(v) == nil {
			inner := strings.TrimSuffix(b.String(), "\n")
			inner = inner[1 : len(inner)-1]
			all = append(all, inner, strings.ReplaceAll(inner, "/", `\/`)) // as PHP writes it
		}
	}
	all = append(all, html.EscapeString(v), strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(v))
	for before := range 3 {
		padded := append(make([]byte, before), v...)
		from, to := (before*8+5)/6, len(padded)*8/6 // what is of the value alone
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			all = append(all, enc.EncodeToString(padded)[from:to])
		}
	}
	return all
}

func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(string(b[i+1:i+3])))
		}
	}
	return string(b)
}

// scan adds the places from the byte at from on. In a text that is not final it
// returns where one may begin that the text cuts, else its length.
func (e *exact) scan(text string, from int, final bool, spans []span) ([]span, int) {
	hold := len(text)
	if e.longest == 0 {
		return spans, hold
	}
	for i := from; i+2 < len(text); i++ {
		h := hash(text[i], text[i+1], text[i+2])
		if e.seen[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		for _, form := range e.byStart[[3]byte{text[i], text[i+1], text[i+2]}] {
			if strings.HasPrefix(text[i:], form) {
				spans = append(spans, span{i, i + len(form)})
				break
			}
			if !final && strings.HasPrefix(form, text[i:]) {
				hold = min(hold, i)
			}
		}
	}
	if !final {
		hold = min(hold, e.tail(text, from))
	}
	return spans, hold
}

// tail is where one of the last two bytes may begin a value.
func (e *exact) tail(text string, from int) int {
	for i := max(from, len(text)-2); i < len(text); i++ {
		for start := range e.byStart {
			if strings.HasPrefix(string(start[:]), text[i:]) {
				return i
			}
		}
	}
	return len(text)
}
