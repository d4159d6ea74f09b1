package tui

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"ml-intern/internal/tui/edit"
)

// An argsEditor changes the arguments of a call: the longest text in them as
// it is, or all of them as JSON.
type argsEditor struct {
	at     int // of the call
	args   string
	field  string // "" for all
	before string
	text   edit.Buffer
	top    int
	width  int
}

// argsEdited comes when the person's own editor is done.
type argsEdited struct {
	q    *question
	e    *argsEditor
	text string
	err  error
}

func newArgsEditor(args string, whole bool) *argsEditor {
	e := &argsEditor{args: args}
	var raw map[string]json.RawMessage
	if json.Unmarshal([]byte(args), &raw) != nil {
		e.before = args
		return e
	}
	if !whole {
		for _, f := range []string{"command", "content", "new", "script", "source"} {
			var text string
			if v, ok := raw[f]; ok && json.Unmarshal(v, &text) == nil {
				e.field, e.before = f, text
				return e
			}
		}
	}
	pretty, err := readable(raw, "  ")
	if err != nil {
		pretty = args
	}
	e.before = pretty
	return e
}

// readable is a value as JSON in which < and > stand as they are.
func readable(value any, indent string) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	err := enc.Encode(value)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// put is the arguments with the text in its place.
func (e *argsEditor) put(text string) (string, error) {
	if e.field == "" {
		if !json.Valid([]byte(text)) {
			return "", errors.New("that is not JSON; nothing was changed")
		}
		return text, nil
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(e.args), &raw); err != nil {
		return "", fmt.Errorf("read the arguments: %w", err)
	}
	if !strings.HasSuffix(e.before, "\n") {
		text = strings.TrimSuffix(text, "\n") // an editor's own
	}
	value, err := readable(text, "")
	if err != nil {
		return "", fmt.Errorf("write the argument %s: %w", e.field, err)
	}
	raw[e.field] = json.RawMessage(value)
	return readable(raw, "")
}

// suffix is the ending of the file that an editor is given.
func (e *argsEditor) suffix(tool string) string {
	switch {
	case e.field == "":
		return ".json"
	case e.field == "command" || tool == "bash":
		return ".sh"
	}
	return ".txt"
}

func (e *argsEditor) key(q *question, k tea.KeyPressMsg) {
	switch key := k.String(); key {
	case "ctrl+s":
		q.take(e, e.text.Expanded())
	case "esc", "ctrl+c":
		q.editor = nil
	case "enter":
		e.text.Insert("\n")
	case "tab":
		e.text.Insert("    ")
	default:
		if !e.text.Key(key, e.width) && k.Text != "" {
			e.text.Insert(k.Text)
		}
	}
}

func (e *argsEditor) lines(c *canvas, height int) ([]string, *place) {
	e.width = max(c.width-5, 4)
	rows := e.text.Wrap(e.width)
	x, y := e.text.Cursor(e.width)
	e.top = max(min(e.top, y), y-height+1)
	var out []string
	for _, r := range rows[e.top:min(e.top+height, len(rows))] {
		out = append(out, c.draw(accent("  ┃ "), plain(e.text.Text[r.Start:r.End])))
	}
	return out, &place{min(x+4, c.width-1), y - e.top}
}
