package pdftext

import (
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf16"

	"ml-intern/internal/lazyregexp"
)

// A font says what its codes stand for and how wide they are, in thousandths of
// the size.
type font struct {
	wide    bool // two bytes a code
	codes   [256]string
	unicode map[uint16]string // by the font's own table, which wins
	widths  map[uint16]float64
	usual   float64 // width of the others
	bold    bool
	scale   float64 // of widths
	left    int     // entries of its tables that are still read
}

const (
	maxEntries = 1 << 18 // of one font's tables
	maxFonts   = 5000    // read for one file
)

// font reads a font of a page's resources.
func (p *pages) font(v any) *font {
	if r, ok := v.(ref); ok {
		if known := p.fonts[r]; known != nil {
			return known
		}
		f := p.readFont(p.dict(r))
		p.fonts[r] = f
		return f
	}
	return p.readFont(p.dict(v)) // rare, and not kept
}

var heavy = lazyregexp.New(`(?i)bold|black|heavy|semibold|demi|-medi|cmbx|sfbx|cmssbx|ecbx|bx\d`)

func (p *pages) readFont(d dict) *font {
	f := &font{widths: map[uint16]float64{}, unicode: map[uint16]string{}, usual: 500, scale: 0.001, left: maxEntries}
	if p.fontsRead++; p.fontsRead > maxFonts {
		return f
	}
	f.bold = heavy.MatchString(string(p.name(d["BaseFont"])))
	if s, ok := p.get(d["ToUnicode"]).(stream); ok {
		f.readCMap(p.decode(s))
	}
	if p.name(d["Subtype"]) == "Type0" {
		f.wide = true
		p.descendant(f, d)
		return f
	}
	descriptor := p.dict(d["FontDescriptor"])
	if w, ok := p.get(descriptor["MissingWidth"]).(float64); ok && w > 0 {
		f.usual = w
	}
	first := p.integer(d["FirstChar"])
	for i, w := range p.array(d["Widths"]) {
		if n, ok := p.get(w).(float64); ok && first+i >= 0 && first+i < 256 {
			f.widths[uint16(first+i)] = n
		}
	}
	if p.name(d["Subtype"]) == "Type3" {
		if m := p.array(d["FontMatrix"]); len(m) == 6 {
			if x, ok := p.get(m[0]).(float64); ok && x != 0 {
				f.scale = x
			}
		}
	}
	p.encoding(f, d, descriptor)
	return f
}

// encoding finds what single bytes stand for: by the name of an encoding, by
// differences from one, or by the font's own program.
func (p *pages) encoding(f *font, d, descriptor dict) {
	switch e := p.get(d["Encoding"]).(type) {
	case name:
		f.codes = simpleCodes(e)
	case dict:
		f.codes = simpleCodes(p.name(e["BaseEncoding"]))
		if e["BaseEncoding"] == nil {
			p.builtIn(f, descriptor)
		}
		code := 0
		for _, v := range p.array(e["Differences"]) {
			switch v := p.get(v).(type) {
			case float64:
				code = int(v)
			case name:
				if code >= 0 && code < 256 {
					f.codes[code] = glyph(p.glyphs, string(v), byte(code))
				}
				code++
			}
		}
	default:
		f.codes = simpleCodes("")
		if p.name(d["Subtype"]) == "TrueType" {
			f.codes = simpleCodes("WinAnsiEncoding")
		}
		p.builtIn(f, descriptor)
	}
}

var dup = lazyregexp.New(`dup\s+(\d{1,3})\s*/([A-Za-z0-9._]+)\s+put`)

// builtIn reads the encoding in the clear part of a Type 1 font's program, the
// one that fonts of TeX have.
func (p *pages) builtIn(f *font, descriptor dict) {
	s, ok := p.get(descriptor["FontFile"]).(stream)
	if !ok {
		return
	}
	program := p.decode(s)
	if n := p.integer(s.dict["Length1"]); n > 0 && n < len(program) {
		program = program[:n]
	}
	for _, m := range dup.FindAllSubmatch(program, 256) {
		if code, err := strconv.Atoi(string(m[1])); err == nil && code < 256 {
			f.codes[code] = glyph(p.glyphs, string(m[2]), byte(code))
		}
	}
}

// descendant reads the widths of a font of two bytes.
func (p *pages) descendant(f *font, d dict) {
	fonts := p.array(d["DescendantFonts"])
	if len(fonts) == 0 {
		return
	}
	inner := p.dict(fonts[0])
	f.bold = f.bold || heavy.MatchString(string(p.name(inner["BaseFont"])))
	f.usual = 1000
	if w, ok := p.get(inner["DW"]).(float64); ok {
		f.usual = w
	}
	list := p.array(inner["W"])
	for i := 0; i+1 < len(list); {
		first := p.integer(list[i])
		if widths, ok := p.get(list[i+1]).(array); ok {
			for n, w := range widths {
				f.widths[uint16(first+n)], _ = p.get(w).(float64)
			}
			i += 2
			continue
		}
		if i+2 >= len(list) {
			return
		}
		last := min(p.integer(list[i+1]), 1<<16-1)
		w, _ := p.get(list[i+2]).(float64)
		for n := max(first, 0); n <= last && f.left > 0; n++ {
			f.widths[uint16(n)] = w
			f.left--
		}
		i += 3
	}
}

// readCMap reads the table from codes to text.
func (f *font) readCMap(b []byte) {
	l := lexer{b: b}
	var args array
	for {
		v, ok := l.next()
		if !ok {
			return
		}
		switch v {
		case word("begincodespacerange"), word("beginbfchar"), word("beginbfrange"):
			args = args[:0]
		case word("endbfchar"):
			for i := 0; i+1 < len(args); i += 2 {
				f.stands(code(args[i]), args[i+1], 0)
			}
		case word("endbfrange"):
			for i := 0; i+2 < len(args); i += 3 {
				f.standRange(code(args[i]), code(args[i+1]), args[i+2])
			}
		default:
			args = append(args, v)
		}
	}
}

func (f *font) standRange(first, last int, to any) {
	list, isList := to.(array)
	for n := first; n <= last && f.left > 0; n++ {
		f.left--
		switch {
		case !isList:
			f.stands(n, to, n-first)
		case n-first < len(list):
			f.stands(n, list[n-first], 0)
		}
	}
}

func code(v any) int {
	s, _ := v.(text)
	n := 0
	for i := range min(len(s), 2) {
		n = n<<8 | int(s[i])
	}
	return n
}

// stands notes what a code stands for: a text of UTF-16, its last unit moved on.
func (f *font) stands(code int, to any, on int) {
	s, ok := to.(text)
	if !ok || len(s)%2 != 0 || len(s) == 0 || len(s) > 64 {
		return
	}
	units := make([]uint16, len(s)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16([]byte(s[2*i:]))
	}
	units[len(units)-1] += uint16(on)
	f.unicode[uint16(code)] = plain.Replace(string(utf16.Decode(units)))
}

// plain takes ligatures apart and drops what means no text.
var plain = strings.NewReplacer("ﬀ", "ff", "ﬁ", "fi", "ﬂ", "fl", "ﬃ", "ffi", "ﬄ", "ffl", "ﬅ", "st", "ﬆ", "st", "\x00", "", "\ufffd", "", "\u00ad", "-")

// each calls do for every code of a string.
func (f *font) each(s text, do func(text string, width float64, isSpace bool)) {
	step := 1
	if f.wide {
		step = 2
	}
	for i := 0; i+step <= len(s); i += step {
		c := uint16(s[i])
		if f.wide {
			c = c<<8 | uint16(s[i+1])
		}
		width, ok := f.widths[c]
		if !ok {
			width = f.usual
		}
		out, ok := f.unicode[c]
		if !ok && !f.wide {
			out = f.codes[c]
		}
		do(out, width*f.scale, !f.wide && c == ' ')
	}
}
