package mcp

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// plain is a text of a server on one line, without what a terminal or a model
// would take for more than text, and at most so many bytes long.
func plain(text string, limit int) string {
	return cut(strings.Join(strings.Fields(visible(text)), " "), limit)
}

// visible leaves out what a person would not see.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r), 0xE0000 <= r && r <= 0xE0FFF:
			return -1
		}
		return r
	}, text)
}

// cut shortens a text at a whole character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}
