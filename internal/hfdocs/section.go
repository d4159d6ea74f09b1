package hfdocs

import (
	"strings"
	"unicode"

	"ml-intern/internal/lazyregexp"
)

// A Heading is one of a page, with the place of its section in the text.
type Heading struct {
	Level  int
	Title  string
	Anchor string // as the page's address has it after #
	Start  int    // where the heading begins
	End    int    // where the next one of the same or a higher level does
}

var (
	headingLine = lazyregexp.New(`^(#{1,6})\s+(.*?)\s*#*$`)
	ownAnchor   = lazyregexp.New(`\s*\[\[([^\]]+)\]\]\s*$`)
	htmlTag     = lazyregexp.New(`<[^>]*>`)
)

// Headings lists the headings of a Markdown text; those in code are none.
func Headings(md string) []Heading {
	var all []Heading
	var open []int // headings whose section has not ended
	fence := ""
	at := 0
	for line := range strings.Lines(md) {
		start := at
		at += len(line)
		trimmed := strings.TrimSpace(line)
		if mark := fenceMark(trimmed); mark != "" {
			switch {
			case fence == "":
				fence = mark
			case strings.HasPrefix(mark, fence) && strings.Trim(trimmed, mark[:1]) == "":
				fence = ""
			}
			continue
		}
		if fence != "" {
			continue
		}
		m := headingLine.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m == nil {
			continue
		}
		h := Heading{Level: len(m[1]), Title: m[2], Start: start, End: len(md)}
		if own := ownAnchor.FindStringSubmatch(h.Title); own != nil {
			h.Title, h.Anchor = strings.TrimSuffix(h.Title, own[0]), own[1]
		}
		h.Title = strings.TrimSpace(htmlTag.ReplaceAllString(h.Title, ""))
		if h.Anchor == "" {
			h.Anchor = slug(h.Title)
		}
		for len(open) > 0 && all[open[len(open)-1]].Level >= h.Level {
			all[open[len(open)-1]].End = start
			open = open[:len(open)-1]
		}
		open = append(open, len(all))
		all = append(all, h)
	}
	return all
}

// fenceMark is the run of signs with which a line begins or ends code.
func fenceMark(line string) string {
	for _, sign := range []string{"`", "~"} {
		n := len(line) - len(strings.TrimLeft(line, sign))
		if n >= 3 && !(sign == "`" && strings.Contains(line[n:], "`")) {
			return line[:n]
		}
	}
	return ""
}

func slug(title string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(title), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '.'
	}), "-")
}

// Section finds the section of an anchor or a title. If there is none, it
// names those that are near.
func Section(md, wanted string) (text string, near []string) {
	headings := Headings(md)
	var names []string
	for _, exact := range []bool{true, false} {
		for _, h := range headings {
			if exact && (h.Anchor == wanted || h.Title == wanted) || !exact && (plainName(h.Anchor) == plainName(wanted) || plainName(h.Title) == plainName(wanted)) {
				return md[h.Start:h.End], nil
			}
			if exact {
				names = append(names, h.Title)
			}
		}
	}
	return "", Near(wanted, names, 6)
}
