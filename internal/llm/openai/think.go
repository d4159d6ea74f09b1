package openai

import (
	"encoding/json"
	"strings"
)

// A thinker takes the reasoning out of a reply that begins with it between
// marks, as small models write it. It holds back only what may be a mark.
type thinker struct {
	state thinkState
	held  string
}

type thinkState int

const (
	thinkUnknown thinkState = iota // nothing but blanks so far
	thinkOpen                      // between the marks
	thinkOver
)

const (
	thinkBegin = "<think>"
	thinkEnd   = "</think>"
)

// split takes the next piece of the reply apart.
func (t *thinker) split(piece string) (reasoning, text string) {
	if t.state == thinkOver {
		return "", piece
	}
	piece, t.held = t.held+piece, ""
	if t.state == thinkUnknown {
		start := strings.TrimLeft(piece, " \t\r\n")
		switch {
		case strings.HasPrefix(start, thinkBegin):
			t.state, piece = thinkOpen, start[len(thinkBegin):]
		case strings.HasPrefix(thinkBegin, start): // the beginning of the mark, or nothing
			t.held = piece
			return "", ""
		default:
			t.state = thinkOver
			return "", piece
		}
	}
	if before, after, ok := strings.Cut(piece, thinkEnd); ok {
		t.state = thinkOver
		return before, strings.TrimLeft(after, "\r\n")
	}
	n := partial(piece, thinkEnd)
	t.held = piece[len(piece)-n:]
	return piece[:len(piece)-n], ""
}

// flush returns what is held at the end: it was no mark.
func (t *thinker) flush() (reasoning, text string) {
	held := t.held
	t.held = ""
	switch {
	case t.state == thinkOpen:
		return held, ""
	case strings.TrimSpace(held) == "":
		return "", ""
	}
	return "", held
}

// partial is how many bytes at the end of s may be the beginning of the mark.
func partial(s, mark string) int {
	for n := min(len(s), len(mark)-1); n > 0; n-- {
		if strings.HasSuffix(s, mark[:n]) {
			return n
		}
	}
	return 0
}

// A detailList puts reasoning_details together from their pieces. Pieces with
// one index and type are one detail: their texts are joined, other fields kept
// from whichever has them.
type detailList struct {
	list  []map[string]any
	texts map[string]*strings.Builder // of the last detail, which may grow
}

func (l *detailList) add(pieces []json.RawMessage) {
	for _, raw := range pieces {
		var piece map[string]any
		if json.Unmarshal(raw, &piece) != nil || piece == nil {
			continue
		}
		last := len(l.list) - 1
		if last < 0 || !sameField(l.list[last], piece, "index") || !sameField(l.list[last], piece, "type") {
			l.finish()
			l.list, l.texts = append(l.list, map[string]any{}), make(map[string]*strings.Builder)
			last++
		}
		for key, value := range piece {
			switch text, isText := value.(string); {
			case isText && (key == "text" || key == "summary" || key == "data"):
				if l.texts[key] == nil {
					l.texts[key] = new(strings.Builder)
				}
				l.texts[key].WriteString(text)
			case value != nil || l.list[last][key] == nil:
				l.list[last][key] = value
			}
		}
	}
}

// finish puts the texts of the last detail in their places.
func (l *detailList) finish() {
	for key, text := range l.texts {
		l.list[len(l.list)-1][key] = text.String()
	}
	l.texts = nil
}

// sameField reports whether both have the field, with one number or text.
func sameField(a, b map[string]any, key string) bool {
	switch v := a[key].(type) {
	case float64:
		w, ok := b[key].(float64)
		return ok && v == w
	case string:
		w, ok := b[key].(string)
		return ok && v == w
	}
	return false
}

func (l *detailList) join() string {
	if len(l.list) == 0 {
		return ""
	}
	l.finish()
	text, err := json.Marshal(l.list)
	if err != nil {
		return ""
	}
	return string(text)
}
