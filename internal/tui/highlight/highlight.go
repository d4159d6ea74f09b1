// Package highlight gives code its styles, line by line, with small scanners
// that tables describe.
//
// Its one rule: text is never changed, only styled, in one pass. A Scanner owns
// what is open at the end of a line, such as a comment; the colours are the
// theme's. It guesses as an editor does and does not parse.
package highlight

import (
	"path"
	"strings"

	"ml-intern/internal/tui/style"
)

// Lines returns the lines of code as the theme draws them. A language that is
// not known is shown without styles.
func Lines(lang, code string, theme style.Theme) []string {
	s := New(lang)
	var out []string
	for line := range strings.Lines(style.Clean(code)) {
		out = append(out, theme.Line(s.Line(style.Tabs(strings.TrimSuffix(line, "\n")))))
	}
	return out
}

// Language guesses the language from the name of a file; empty if it is none
// that a Scanner knows.
func Language(file string) string {
	name := strings.ToLower(path.Base(file))
	if strings.HasPrefix(name, "dockerfile") || strings.HasSuffix(name, ".dockerfile") {
		return "dockerfile"
	}
	if strings.HasPrefix(name, ".env") {
		return "ini"
	}
	ext := strings.TrimPrefix(path.Ext(name), ".")
	if known(ext) != nil {
		return ext
	}
	return ""
}

// A Scanner styles the lines of one text in order. What is open at the end of
// a line, a long string for one, goes on in the next.
type Scanner struct {
	lang  *language
	close string     // what ends that which is open, if anything is
	role  style.Role // of that
	quote byte       // escapes in it
	tag   bool       // inside <…> of markup
	words map[string]style.Role
}

// New returns a Scanner for a language by the names that people write after
// the fence of code in Markdown.
func New(lang string) *Scanner {
	s := &Scanner{lang: known(lang)}
	if s.lang == nil {
		return s
	}
	s.words = map[string]style.Role{}
	for role, list := range map[style.Role]string{style.Keyword: s.lang.keywords, style.Type: s.lang.kinds, style.Constant: s.lang.constants} {
		for _, word := range strings.Fields(list) {
			s.words[word] = role
		}
	}
	return s
}

// Known reports whether the Scanner knows its language.
func (s *Scanner) Known() bool { return s.lang != nil }

// Line styles one line, which has no end of line in it.
func (s *Scanner) Line(text string) style.Line {
	if text == "" {
		return nil
	}
	if s.lang == nil {
		return style.Line{style.Of(style.Text, text)}
	}
	c := cursor{Scanner: s, text: text}
	switch {
	case s.lang.diff:
		return style.Line{style.Of(ofDiff(text), text)}
	case s.lang.markup:
		c.markup()
	default:
		c.code()
	}
	return c.line
}

func ofDiff(text string) style.Role {
	for _, p := range []string{"diff ", "index ", "--- ", "+++ ", "\\ "} {
		if strings.HasPrefix(text, p) {
			return style.Muted
		}
	}
	switch text[0] {
	case '+':
		return style.Good
	case '-':
		return style.Bad
	case '@':
		return style.Accent
	}
	return style.Text
}

// A cursor is the work on one line: everything before at has its style.
type cursor struct {
	*Scanner
	text string
	at   int
	line style.Line
}

// take gives the next n bytes a role.
func (c *cursor) take(n int, role style.Role) {
	if n <= 0 {
		return
	}
	if k := len(c.line) - 1; k >= 0 && c.line[k].Role == role {
		c.line[k].Text = c.text[c.at-len(c.line[k].Text) : c.at+n]
	} else {
		c.line = append(c.line, style.Of(role, c.text[c.at:c.at+n]))
	}
	c.at += n
}

func (c *cursor) rest() string { return c.text[c.at:] }

func (c *cursor) code() {
	if c.close != "" {
		c.goOn()
	}
	for c.at < len(c.text) {
		if c.comment() || c.string("") || c.number() || c.sign() || c.word() {
			continue
		}
		c.take(1+trailing(c.text[c.at+1:]), style.Text)
	}
}

// trailing counts the bytes that belong to the rune before.
func trailing(text string) int {
	n := 0
	for n < len(text) && text[n]&0xc0 == 0x80 {
		n++
	}
	return n
}

// goOn looks for the end of what is open.
func (c *cursor) goOn() {
	n, found := until(c.rest(), c.close, c.quote)
	role := c.role
	if found {
		c.close = ""
	}
	c.take(n, role)
}

// until returns how far it is to the end of close, or of the text.
func until(text, end string, escape byte) (int, bool) {
	for i := 0; i < len(text); i++ {
		if escape != 0 && text[i] == escape {
			i++
			continue
		}
		if strings.HasPrefix(text[i:], end) {
			return i + len(end), true
		}
	}
	return len(text), false
}

func (c *cursor) comment() bool {
	for _, mark := range c.lang.line {
		if strings.HasPrefix(c.rest(), mark) && (!c.lang.spaced || c.at == 0 || strings.IndexByte(" \t;(", c.text[c.at-1]) >= 0) {
			c.take(len(c.rest()), style.Comment)
			return true
		}
	}
	for _, pair := range c.lang.block {
		if strings.HasPrefix(c.rest(), pair[0]) {
			c.open(len(pair[0]), pair[1], style.Comment, 0, true)
			return true
		}
	}
	return false
}

// open takes what begins with n bytes up to its end.
func (c *cursor) open(n int, end string, role style.Role, escape byte, many bool) {
	more, found := until(c.rest()[n:], end, escape)
	if !found && many {
		c.close, c.role, c.quote = end, role, escape
	}
	c.take(n+more, role)
}

// string takes a string, after a prefix that belongs to it.
func (c *cursor) string(prefix string) bool {
	after := c.rest()[len(prefix):]
	for _, q := range c.lang.quotes {
		if !strings.HasPrefix(after, q.open) {
			continue
		}
		if q.char && !char(after) {
			continue
		}
		role := style.String
		if c.lang.keys && c.key(len(prefix)+len(q.open), q) {
			role = style.Function
		}
		c.open(len(prefix)+len(q.open), q.close, role, q.escape, q.many)
		return true
	}
	return false
}

// key reports whether a string is the name of a value: "name": 1.
func (c *cursor) key(n int, q quote) bool {
	end, found := until(c.rest()[n:], q.close, q.escape)
	after := strings.TrimLeft(c.rest()[n+end:], " \t")
	return found && after != "" && strings.IndexByte(c.lang.assign, after[0]) >= 0
}

// char reports whether text is a letter in quotes, not a lifetime of Rust.
func char(text string) bool {
	if len(text) > 1 && text[1] == '\\' {
		return true
	}
	n := 2 + trailing(text[min(2, len(text)):])
	return n < len(text) && text[n] == '\''
}

func (c *cursor) number() bool {
	text := c.rest()
	if !digit(text[0]) && (text[0] != '.' || len(text) < 2 || !digit(text[1])) {
		return false
	}
	n := 1
	for n < len(text) && (letter(text[n]) && text[n] < 0x80 || text[n] == '.' ||
		(text[n] == '+' || text[n] == '-') && (text[n-1] == 'e' || text[n-1] == 'E') && !strings.HasPrefix(text, "0x")) {
		n++
	}
	role := style.Number
	if c.lang.keys && c.isKey(n) {
		role = style.Function
	}
	c.take(n, role)
	return true
}

// sign takes what a sign before a word makes of it.
func (c *cursor) sign() bool {
	text := c.rest()
	n := 1 + wordLen(text[1:], "")
	switch text[0] {
	case '$':
		if c.lang.dollar && n == 1 && len(text) > 1 {
			if text[1] == '{' {
				n, _ = until(text, "}", 0)
			} else if strings.IndexByte("@*#?$!-", text[1]) >= 0 {
				n = 2
			}
		}
		if c.lang.dollar && n > 1 {
			c.take(n, style.Constant)
			return true
		}
	case '@':
		if c.lang.at && n > 1 {
			c.take(n, style.Function)
			return true
		}
	case '#':
		if c.lang.hash && strings.TrimSpace(c.text[:c.at]) == "" && n > 1 {
			c.take(n, style.Keyword)
			return true
		}
	case '[':
		if c.lang.sections && strings.TrimSpace(c.text[:c.at]) == "" {
			if end, found := until(text, "]", 0); found {
				c.take(end+len(text[end:])-len(strings.TrimLeft(text[end:], "]")), style.Keyword)
				return true
			}
		}
	case '-':
		if c.lang.flags && c.at > 0 && c.text[c.at-1] == ' ' && len(text) > 1 && text[1] != ' ' {
			c.take(max(1, wordLen(text, "-")), style.Type)
			return true
		}
	}
	return false
}

func (c *cursor) word() bool {
	text := c.rest()
	if !letter(text[0]) {
		return false
	}
	n := wordLen(text, c.lang.letters)
	word := text[:n]
	if n < len(text) && n <= 2 && strings.Contains(c.lang.prefixes, " "+strings.ToLower(word)+" ") && c.string(word) {
		return true
	}
	if c.lang.keys && c.isKey(n) {
		c.take(n, style.Function)
		return true
	}
	look := word
	if c.lang.fold {
		look = strings.ToLower(word)
	}
	role, ok := c.words[look]
	switch {
	case ok && (c.at == 0 || c.text[c.at-1] != '.'):
	case n < len(text) && text[n] == '(' && !c.lang.flags:
		role = style.Function
	default:
		role = style.Text
	}
	c.take(n, role)
	return true
}

// isKey reports whether the next n bytes are the first word of the line, or of
// an entry of a list in it, and name a value.
func (c *cursor) isKey(n int) bool {
	before := strings.TrimRight(c.text[:c.at], " \t-")
	if before != "" && before[len(before)-1] != '{' && before[len(before)-1] != ',' {
		return false
	}
	after := strings.TrimLeft(c.rest()[n:], " \t")
	if after == "" || strings.IndexByte(c.lang.assign, after[0]) < 0 {
		return false
	}
	return after[0] != ':' || len(after) == 1 || after[1] == ' ' || !c.lang.spaced
}

func wordLen(text, more string) int {
	n := 0
	for n < len(text) && (letter(text[n]) || digit(text[n]) || more != "" && strings.IndexByte(more, text[n]) >= 0) {
		n++
	}
	return n
}

func digit(b byte) bool { return b >= '0' && b <= '9' }

func letter(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '_' || b >= 0x80 || digit(b)
}

// markup takes tags, their attributes and comments; text between stays.
func (c *cursor) markup() {
	if c.close != "" {
		c.goOn()
	}
	for c.at < len(c.text) {
		text := c.rest()
		switch {
		case c.tag && text[0] == '>' || c.tag && strings.HasPrefix(text, "/>"):
			c.take(strings.IndexByte(text, '>')+1, style.Keyword)
			c.tag = false
		case c.tag:
			c.attribute(text)
		case strings.HasPrefix(text, "<!--"):
			c.open(4, "-->", style.Comment, 0, true)
		case text[0] == '<' && len(text) > 1 && (letter(text[1]) || strings.IndexByte("/!?", text[1]) >= 0):
			c.take(2+wordLen(text[2:], "-:."), style.Keyword)
			c.tag = true
		default:
			n := strings.IndexByte(text[1:], '<') + 1
			if n == 0 {
				n = len(text)
			}
			c.take(n, style.Text)
		}
	}
}

func (c *cursor) attribute(text string) {
	switch {
	case text[0] == '"' || text[0] == '\'':
		c.open(1, text[:1], style.String, 0, true)
	case letter(text[0]):
		c.take(wordLen(text, "-:."), style.Function)
	default:
		c.take(1, style.Text)
	}
}
