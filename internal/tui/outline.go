package tui

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Limits of an outline.
const (
	shortJSON = 60 // bytes that stand as they are
	deepest   = 6  // what is deeper stands as JSON
)

// outline writes a JSON value for people: a line for each field, what is in it
// indented below. Text of several lines stands below a "|", so that it cannot
// pass for fields.
func outline(raw json.RawMessage) string {
	if len(raw) <= shortJSON {
		return string(raw)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // as it is written
	var value any
	if d.Decode(&value) != nil {
		return string(raw)
	}
	var b strings.Builder
	outlineOf(&b, value, "")
	return strings.TrimRight(b.String(), "\n")
}

func outlineOf(b *strings.Builder, value any, indent string) {
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			outlineField(b, indent+cleanLine(name)+":", v[name], indent)
		}
	case []any:
		for _, one := range v {
			outlineField(b, indent+"-", one, indent)
		}
	default:
		b.WriteString(indent + oneLine(value) + "\n")
	}
}

func outlineField(b *strings.Builder, lead string, value any, indent string) {
	text, isText := value.(string)
	short := oneLine(value)
	_, isMap := value.(map[string]any)
	_, isList := value.([]any)
	switch {
	case isText && strings.Contains(text, "\n"):
		b.WriteString(lead + " |\n")
		for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
			b.WriteString(indent + "    " + line + "\n")
		}
	case (isMap || isList) && len(short) > shortJSON && len(indent) < 2*deepest:
		b.WriteString(lead + "\n")
		outlineOf(b, value, indent+"  ")
	default:
		b.WriteString(lead + " " + short + "\n")
	}
}

// oneLine is a value in one line: text as it is, the rest as JSON.
func oneLine(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return ""
	}
	return strings.TrimSpace(b.String())
}

// outlined draws an outline, broken between words and in the column where each
// line begins.
func (c *canvas) outlined(text string, indent int) []string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		words := strings.TrimLeft(line, " ")
		at := min(indent+len(line)-len(words), c.width/2)
		lead := plain(strings.Repeat(" ", at))
		for _, l := range c.wrap(words, at) {
			out = append(out, c.draw(lead, plain(l)))
		}
	}
	return out
}
