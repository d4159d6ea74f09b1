package rows

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Texts are the cells of a row for people, each cut to that many bytes. A cell
// that is null is empty, one that is not text is JSON.
func (r Row) Texts(most int) []string {
	out := make([]string, len(r.Cells.values))
	for i, v := range r.Cells.values {
		text, plain := v.(string)
		if !plain && v != nil {
			data, err := json.Marshal(v)
			if err != nil {
				continue // it has no text
			}
			text = string(data)
		}
		out[i] = cutText(text, most)
	}
	return out
}

func cutText(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return strings.ToValidUTF8(text[:most], "\ufffd") + "…"
}
