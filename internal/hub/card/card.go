// Package card reads, checks and changes the YAML at the head of a README.md:
// what a model, a dataset or a Space says of itself.
//
// Its one rule: what is not changed stays as it is, byte by byte: comments,
// the order of keys, quotes, line ends, the text below. A Card is a value; a
// change makes another one.
package card

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
)

// A Card is a README.md in its parts.
type Card struct {
	head string // what is before the metadata, with the line that opens them
	meta string
	tail string // the line that closes them
	body string
}

const bom = "\ufeff"

// Parse splits a README.md. It never fails: what has no metadata is all text.
func Parse(readme []byte) Card {
	text := string(readme)
	rest := strings.TrimPrefix(text, bom)
	for rest != "" { // blank lines before the first
		line, after := cutLine(rest)
		if strings.TrimSpace(line) != "" {
			break
		}
		rest = after
	}
	first, rest := cutLine(rest)
	if !isFence(first) || !strings.HasSuffix(first, "\n") {
		return Card{body: text}
	}
	c := Card{head: text[:len(text)-len(rest)]}
	for at := 0; at < len(rest); {
		line, after := cutLine(rest[at:])
		if isFence(line) {
			c.meta, c.tail, c.body = rest[:at], line, after
			return c
		}
		at += len(line)
	}
	return Card{body: text} // never closed
}

// cutLine returns a line with its end, and the rest.
func cutLine(text string) (line, rest string) {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return text[:i+1], text[i+1:]
	}
	return text, ""
}

func isFence(line string) bool { return strings.TrimRight(line, " \t\r\n") == "---" }

// Bytes is the README.md.
func (c Card) Bytes() []byte { return []byte(c.head + c.meta + c.tail + c.body) }

// Found reports whether there are metadata.
func (c Card) Found() bool { return c.tail != "" }

// Body is the text below the metadata.
func (c Card) Body() []byte { return []byte(c.body) }

// WithBody returns the card with another text.
func (c Card) WithBody(body []byte) Card {
	if !c.Found() && strings.HasPrefix(c.body, bom) {
		body = append([]byte(bom), bytes.TrimPrefix(body, []byte(bom))...)
	}
	c.body = string(body)
	return c
}

// ErrUnreadable marks metadata that cannot be read.
var ErrUnreadable = errors.New("the metadata cannot be read")

// Data are the metadata, as values that JSON can hold; nil if there are none.
func (c Card) Data() (map[string]any, error) {
	if !c.Found() {
		return nil, nil //nolint:nilnil // a card without metadata is no error
	}
	return parseYAML(normal(c.meta))
}

// normal has the line ends that the parser counts by.
func normal(text string) []byte { return []byte(strings.ReplaceAll(text, "\r\n", "\n")) }

// Get returns what a key says, nil if nothing.
func (c Card) Get(key string) (any, error) {
	data, err := c.Data()
	return data[key], err
}

// Set returns the card with another value of a key: a text, a truth, a number,
// a list, a map, or Pairs. A value that is there already changes nothing.
func (c Card) Set(key string, value any) (Card, error) {
	text, err := entryText(key, value)
	if err != nil {
		return c, fmt.Errorf("set %s in the card: %w", key, err)
	}
	want, err := parseYAML([]byte(text))
	if err != nil {
		return c, fmt.Errorf("set %s in the card: %w", key, err)
	}
	old, err := c.Data()
	if err != nil {
		return c, fmt.Errorf("set %s in the card: %w", key, err)
	}
	if have, ok := old[key]; ok && reflect.DeepEqual(have, want[key]) {
		return c, nil
	}
	out, err := c.splice(key, text)
	if err != nil {
		return c, fmt.Errorf("set %s in the card: %w", key, err)
	}
	return c.verified(out, key, want)
}

// Delete returns the card without a key.
func (c Card) Delete(key string) (Card, error) {
	old, err := c.Data()
	if err != nil {
		return c, fmt.Errorf("delete %s from the card: %w", key, err)
	}
	if _, ok := old[key]; !ok {
		return c, nil
	}
	out, err := c.splice(key, "")
	if err != nil {
		return c, fmt.Errorf("delete %s from the card: %w", key, err)
	}
	return c.verified(out, key, nil)
}

// verified holds a change against what was meant: only the key differs. YAML
// has corners in which lines are not what they seem.
func (c Card) verified(out Card, key string, want map[string]any) (Card, error) {
	before, err := c.Data()
	if err != nil {
		return c, err
	}
	after, err := out.Data()
	if err != nil {
		return c, fmt.Errorf("change %s in the card: %w", key, err)
	}
	expected := maps.Clone(before)
	if expected == nil {
		expected = map[string]any{}
	}
	delete(expected, key)
	maps.Copy(expected, want)
	if !reflect.DeepEqual(after, expected) {
		return c, fmt.Errorf("change %s in the card: the metadata are written in a way that cannot be changed safely", key)
	}
	return out, nil
}
