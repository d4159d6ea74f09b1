package session

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"ml-intern/internal/lazyregexp"
)

// maxTitle is how long a title may be, in characters.
const maxTitle = 80

var (
	// what Markdown puts before the text of a line
	lineMarks = lazyregexp.New(`^(?:(?:#{1,6}|>|[-*+]|\d{1,3}[.)])\s+)+`)
	strong    = lazyregexp.New(`\*\*([^*]+)\*\*`)
	// what people say first to be polite
	courtesy = lazyregexp.New(`(?i)^(?:(?:hi|hello|hey|ok|okay|so|please|pls|(?:can|could|would|will) you(?: please)?|i(?: would|'d)? (?:want|like|need) you to|your task is to)\b[\s,.!:]*)+`)
)

// Title makes a title of a prompt: its first line that says something, without
// what is there for Markdown or out of politeness, cut where a sentence or a
// word ends.
func Title(prompt string) string {
	prompt = prompt[:RuneStart(prompt, min(16<<10, len(prompt)))]
	fallback := ""
	for line := range strings.Lines(prompt) {
		line = plainLine(line)
		if line == "" || strings.HasPrefix(line, "```") || strings.HasPrefix(line, "~~~") {
			continue
		}
		marked := strings.Trim(strong.ReplaceAllString(lineMarks.ReplaceAllString(line, ""), "$1"), "*_` ")
		text := courtesy.ReplaceAllString(marked, "")
		if !strings.Contains(text, " ") && strings.IndexFunc(text, wordRune) >= 0 && isASCII(text) {
			text = marked // "hi there": one word alone says too little
		}
		if strings.IndexFunc(text, wordRune) >= 0 {
			return shortTitle(capital(text, text != marked))
		}
		if fallback == "" && strings.IndexFunc(line, wordRune) >= 0 {
			fallback = line // "please" and no more
		}
	}
	return shortTitle(fallback)
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
} // others write without spaces

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// plainLine is a line with single spaces, without what is not meant to be seen.
func plainLine(line string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\ufeff', r == utf8.RuneError:
			return -1
		}
		return r
	}, line)
	return strings.Join(strings.Fields(clean), " ")
}

// capital gives a text that lost its beginning a new one.
func capital(text string, lost bool) string {
	first, size := utf8.DecodeRuneInString(text)
	if !lost || size == 0 {
		return text
	}
	return string(unicode.ToUpper(first)) + text[size:]
}

// shortTitle cuts a line that is too long after a sentence, else after a word.
func shortTitle(line string) string {
	if utf8.RuneCountInString(line) <= maxTitle {
		return line
	}
	head := string([]rune(line)[:maxTitle-1])
	for _, end := range []string{". ", "? ", "! ", "; "} {
		if i := strings.Index(head, end); i >= maxTitle/3 {
			return strings.TrimRight(head[:i+1], ".;")
		}
	}
	if i := strings.LastIndexByte(head, ' '); i >= maxTitle/2 {
		head = head[:i]
	}
	return strings.TrimRight(head, " ,;:") + "…"
}

// CheckTitle returns a title that a person gave, in one clean line.
func CheckTitle(title string) (string, error) {
	title = plainLine(title)
	switch n := utf8.RuneCountInString(title); {
	case title == "":
		return "", errors.New("the title is empty")
	case n > 2*maxTitle:
		return "", fmt.Errorf("the title has %d characters, more than %d", n, 2*maxTitle)
	}
	return title, nil
}
