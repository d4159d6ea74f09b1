package style

import "strings"

// A Theme says how each role looks. The zero Theme draws text alone.
type Theme struct {
	Links bool // the terminal knows hyperlinks (OSC 8)

	codes [roles]string // parameters of SGR
	attrs bool
	tags  bool
}

// Dark is for light letters on a dark ground.
func Dark() Theme {
	return Theme{Links: true, attrs: true, codes: [roles]string{
		Heading: rgb(0x8a, 0xb4, 0xf8), Accent: rgb(0x8a, 0xb4, 0xf8), Muted: rgb(0x8f, 0x95, 0xa0), Rule: rgb(0x5f, 0x66, 0x72),
		Link: rgb(0x7c, 0xc4, 0xe0), Code: rgb(0xe2, 0xb7, 0x86), Good: rgb(0x8c, 0xd6, 0x9a), Bad: rgb(0xf2, 0x8f, 0x86), Warn: rgb(0xe8, 0xc5, 0x6b),
		Added:   rgb(0xd8, 0xf8, 0xde) + ";48;2;31;84;46",
		Removed: rgb(0xff, 0xe0, 0xdd) + ";48;2;110;38;34",
		Keyword: rgb(0xc8, 0xa2, 0xf0), String: rgb(0xa8, 0xd0, 0x8d), Number: rgb(0xe2, 0xb7, 0x86), Comment: rgb(0x8f, 0x95, 0xa0),
		Function: rgb(0x8a, 0xb4, 0xf8), Type: rgb(0x7f, 0xd1, 0xc7), Constant: rgb(0xe2, 0xb7, 0x86),
	}}
}

// Light is for dark letters on a light ground.
func Light() Theme {
	return Theme{Links: true, attrs: true, codes: [roles]string{
		Heading: rgb(0x0b, 0x57, 0xd0), Accent: rgb(0x0b, 0x57, 0xd0), Muted: rgb(0x62, 0x68, 0x72), Rule: rgb(0xa0, 0xa6, 0xb0),
		Link: rgb(0x03, 0x69, 0xa1), Code: rgb(0x9a, 0x34, 0x12), Good: rgb(0x15, 0x6f, 0x35), Bad: rgb(0xb9, 0x1c, 0x1c), Warn: rgb(0x92, 0x5a, 0x05),
		Added:   rgb(0x0b, 0x4a, 0x20) + ";48;2;190;240;200",
		Removed: rgb(0x7f, 0x12, 0x12) + ";48;2;255;205;200",
		Keyword: rgb(0x7c, 0x2d, 0xc0), String: rgb(0x16, 0x65, 0x34), Number: rgb(0x9a, 0x34, 0x12), Comment: rgb(0x62, 0x68, 0x72),
		Function: rgb(0x1d, 0x4e, 0xd8), Type: rgb(0x0f, 0x6f, 0x68), Constant: rgb(0x9a, 0x34, 0x12),
	}}
}

// Mono has no colours, but bold and the like: NO_COLOR.
func Mono() Theme {
	return Theme{attrs: true, codes: [roles]string{Muted: "2", Rule: "2", Comment: "2", Added: "7", Removed: "7"}}
}

// Tags writes styles as words in the text, ⟨heading,bold⟩ for one, so that
// golden files of tests show them.
func Tags() Theme { return Theme{Links: true, tags: true} }

func rgb(r, g, b uint8) string {
	return "38;2;" + decimal(r) + ";" + decimal(g) + ";" + decimal(b)
}

func decimal(n uint8) string {
	if n < 10 {
		return string('0' + n)
	}
	return decimal(n/10) + string('0'+n%10)
}

// Paint returns text in the look of a role.
func (t Theme) Paint(role Role, text string) string { return t.Line(Line{Of(role, text)}) }

// Lines draws every line.
func (t Theme) Lines(lines []Line) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = t.Line(l)
	}
	return out
}

// Line draws one line. It ends without a style and without spaces that nobody
// sees, and what could control the terminal is left out.
func (t Theme) Line(l Line) string {
	var b strings.Builder
	for n := len(l); n > 0 && !shows(l[n-1].Style) && strings.Trim(l[n-1].Text, " ") == ""; n-- {
		l = l[:n-1]
	}
	for i := 0; i < len(l); {
		text, s := l[i].Text, l[i].Style
		for i++; i < len(l) && (l[i].Style == s || l[i].Text == ""); i++ {
			text += l[i].Text
		}
		if i == len(l) && !shows(s) {
			text = strings.TrimRight(text, " ")
		}
		if text != "" {
			t.span(&b, Flat(text), s)
		}
	}
	return b.String()
}

// shows reports whether a space has a look.
func shows(s Style) bool {
	return s.Attr&(Underline|Strike|Reverse) != 0 || s.Role == Added || s.Role == Removed
}

func (t Theme) span(b *strings.Builder, text string, s Style) {
	if t.tags {
		tag(b, text, s)
		return
	}
	link := t.Links && Address(s.Link)
	if link {
		b.WriteString("\x1b]8;;" + s.Link + "\x1b\\")
	}
	if sgr := t.sgr(s); sgr != "" {
		b.WriteString("\x1b[" + sgr + "m" + text + "\x1b[m")
	} else {
		b.WriteString(text)
	}
	if link {
		b.WriteString("\x1b]8;;\x1b\\")
	}
}

func (t Theme) sgr(s Style) string {
	code := t.codes[s.Role]
	if !t.attrs || s.Attr == 0 {
		return code
	}
	var b strings.Builder
	for i, n := range []string{"1", "3", "4", "9", "2", "7"} {
		if s.Attr&(1<<i) != 0 {
			b.WriteString(";" + n)
		}
	}
	if code != "" {
		b.WriteString(";" + code)
	}
	return b.String()[1:]
}

func tag(b *strings.Builder, text string, s Style) {
	var names []string
	if s.Role != Text {
		names = append(names, []string{
			"", "heading", "accent", "muted", "rule", "link", "code", "good", "bad", "warn", "added", "removed",
			"keyword", "string", "number", "comment", "function", "type", "constant",
		}[s.Role])
	}
	for i, name := range []string{"b", "i", "u", "s", "faint", "reverse"} {
		if s.Attr&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if s.Link != "" {
		names = append(names, "to:"+Flat(s.Link))
	}
	if len(names) == 0 {
		b.WriteString(text)
		return
	}
	b.WriteString("⟨" + strings.Join(names, ",") + "⟩" + text + "⟨/⟩")
}

// Address reports whether a hyperlink may lead to it: an address of the web or
// of mail, in letters that no terminal takes for anything else.
func Address(s string) bool {
	if len(s) > 2000 {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	for _, scheme := range []string{"https://", "http://", "mailto:"} {
		if len(s) > len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) {
			return true
		}
	}
	return false
}
