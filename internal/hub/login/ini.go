package login

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Keys of a stored token. The last is ours: a token that was made on another
// Hub than the public one names it.
const (
	keyToken   = "hf_token"
	keyRefresh = "refresh_token"
	keyExpires = "expires_at"
	keyHub     = "endpoint"
)

// A file is the file of stored tokens: an INI file as Python's configparser
// reads it. Lines that are not changed are written as they were read.
type file struct {
	head     []string // lines before the first section: comments
	sections []*section
}

// A section is one stored token, under the name that people know it by.
type section struct {
	name  string
	head  string
	lines []line
}

// A line sets a key, goes on with the value above, or is a comment.
type line struct {
	raw   string
	key   string // "" if it sets none
	value string
	more  bool // it belongs to the value above
}

// parse reads a file. What the official client could not read is an error: it
// would take the file for an empty one.
func parse(text string) (*file, error) {
	f := &file{}
	if !utf8.ValidString(text) {
		return f, fmt.Errorf("the file is not UTF-8")
	}
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	var at *section
	indent := 0 // of the last key
	for i, raw := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		trimmed := strings.TrimSpace(raw)
		depth := len(indentOf(raw))
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
			f.add(at, line{raw: raw})
		case at != nil && at.hasKey() && depth > indent:
			at.lines = append(at.lines, line{raw: raw, value: trimmed, more: true})
		case trimmed[0] == '[' && strings.LastIndexByte(trimmed, ']') > 1:
			at = &section{name: trimmed[1:strings.LastIndexByte(trimmed, ']')], head: raw}
			if f.find(at.name) != nil {
				return f, fmt.Errorf("line %d: a second section of that name", i+1)
			}
			f.sections = append(f.sections, at)
		case at == nil:
			return f, fmt.Errorf("line %d: it belongs to no section", i+1)
		default:
			l, err := parseKey(raw, trimmed, at)
			if err != nil {
				return f, fmt.Errorf("line %d: %w", i+1, err)
			}
			at.lines, indent = append(at.lines, l), depth
		}
	}
	return f, nil
}

func parseKey(raw, trimmed string, at *section) (line, error) {
	split := strings.IndexAny(trimmed, "=:")
	if split <= 0 {
		return line{}, fmt.Errorf("it sets no key")
	}
	key := strings.ToLower(strings.TrimSpace(trimmed[:split]))
	if key == "" || at.has(key) {
		return line{}, fmt.Errorf("a key is empty or set twice")
	}
	return line{raw: raw, key: key, value: strings.TrimSpace(trimmed[split+1:])}, nil
}

func (f *file) add(at *section, l line) {
	if at == nil {
		f.head = append(f.head, l.raw)
		return
	}
	at.lines = append(at.lines, l)
}

func (f *file) find(name string) *section {
	for _, s := range f.sections {
		if s.name == name {
			return s
		}
	}
	return nil
}

// holding is the section of a token.
func (f *file) holding(token string) *section {
	for _, s := range f.sections {
		if clean(s.get(keyToken)) == token {
			return s
		}
	}
	return nil
}

// put returns the section of that name, and makes it at the end if there is
// none.
func (f *file) put(name string) *section {
	if s := f.find(name); s != nil {
		return s
	}
	s := &section{name: name, head: "[" + name + "]", lines: []line{{}}}
	f.sections = append(f.sections, s)
	return s
}

func (f *file) remove(s *section) {
	f.sections = slices.DeleteFunc(f.sections, func(o *section) bool { return o == s })
}

// String is the file's text.
func (f *file) String() string {
	var b strings.Builder
	for _, l := range f.head {
		b.WriteString(l + "\n")
	}
	for _, s := range f.sections {
		b.WriteString(s.head + "\n")
		for _, l := range s.lines {
			b.WriteString(l.raw + "\n")
		}
	}
	return b.String()
}

func (s *section) hasKey() bool {
	return slices.ContainsFunc(s.lines, func(l line) bool { return l.key != "" })
}

func (s *section) has(key string) bool {
	return slices.ContainsFunc(s.lines, func(l line) bool { return l.key == key })
}

// get is a key's value, its lines joined; "" if it is not set.
func (s *section) get(key string) string {
	i := slices.IndexFunc(s.lines, func(l line) bool { return l.key == key })
	if i < 0 {
		return ""
	}
	value := s.lines[i].value
	for _, l := range s.lines[i+1:] {
		if l.key != "" {
			break
		}
		if l.more {
			value += "\n" + l.value
		}
	}
	return value
}

// set gives a key a value; "" takes the key away. The line stands as deep as
// the old one, or the one before: what is deeper would belong to it.
func (s *section) set(key, value string) {
	at, indent, mine := 0, "", false
	var kept []line
	for _, l := range s.lines {
		switch {
		case l.key == key:
			at, indent, mine = len(kept), indentOf(l.raw), true
			continue
		case l.key != "":
			mine = false
		case mine && l.more:
			continue
		}
		kept = append(kept, l)
		if !s.has(key) && (l.key != "" || l.more) { // behind the last key
			at = len(kept)
			if l.key != "" {
				indent = indentOf(l.raw)
			}
		}
	}
	if value != "" {
		kept = slices.Insert(kept, at, line{raw: indent + key + " = " + value, key: key, value: value})
	}
	s.lines = kept
}

func indentOf(raw string) string {
	return raw[:len(raw)-len(strings.TrimLeftFunc(raw, unicode.IsSpace))]
}

// token is what the section holds.
func (s *section) token(source string) Token {
	t := Token{Value: clean(s.get(keyToken)), Name: s.name, Source: source, refresh: clean(s.get(keyRefresh))}
	if n, err := strconv.ParseInt(s.get(keyExpires), 10, 64); err == nil && n > 0 {
		t.Expires = time.Unix(n, 0)
	}
	return t
}

// sectionName makes a token's name one that stands in the file: people may
// call a token what they like.
func sectionName(name string) string {
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError {
			return ' '
		}
		return r
	}, name))
	switch name {
	case "":
		return "token"
	case "DEFAULT": // means something else in such a file
		return "DEFAULT token"
	}
	return name
}
