package openai

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"ml-intern/internal/llm"
)

// A deltaCall is a piece of a tool call, or a whole one.
type deltaCall struct {
	Index    *number `json:"index"`
	ID       words   `json:"id"`
	Function struct {
		Name      words     `json:"name"`
		Arguments arguments `json:"arguments"`
	} `json:"function"`
}

// words are a text by the book; a number is taken for its digits, and anything
// else for none: no field is worth a reply.
type words string

func (w *words) UnmarshalJSON(data []byte) error {
	var text string
	switch {
	case json.Unmarshal(data, &text) == nil:
		*w = words(text)
	case len(data) > 0 && (data[0] == '-' || '0' <= data[0] && data[0] <= '9'):
		*w = words(data)
	}
	return nil
}

// number is a whole number by the book; anything else is none.
type number int

func (n *number) UnmarshalJSON(data []byte) error {
	var v float64
	if json.Unmarshal(data, &v) == nil && v > -1e6 && v < 1e6 {
		*n = number(v)
	}
	return nil
}

// arguments are text by the book, and an object from some servers.
type arguments string

func (a *arguments) UnmarshalJSON(data []byte) error {
	switch {
	case bytes.Equal(data, []byte("null")):
		return nil
	case len(data) > 0 && data[0] == '"':
		return json.Unmarshal(data, (*string)(a))
	}
	*a = arguments(data)
	return nil
}

// calls puts tool calls together from their pieces.
type calls struct {
	all     []*call
	written int // calls that were found in the text
}

type call struct {
	index    int // -1 without
	id, name string
	args     strings.Builder
}

func (c *calls) add(d deltaCall) {
	cur := c.find(d)
	if cur == nil {
		cur = &call{index: -1}
		if d.Index != nil {
			cur.index = int(*d.Index)
		}
		c.all = append(c.all, cur)
	}
	if cur.id == "" {
		cur.id = string(d.ID)
	}
	if cur.name == "" { // some servers repeat it in every piece
		cur.name = string(d.Function.Name)
	}
	cur.args.WriteString(string(d.Function.Arguments))
}

// find returns the call that the piece goes on with, nil if it begins one.
// Pieces belong together by index; without one, by id; without either, to the
// latest call. Servers are wrong about all three.
func (c *calls) find(d deltaCall) *call {
	if d.ID != "" {
		for _, cur := range slices.Backward(c.all) {
			if cur.id == string(d.ID) && (d.Index == nil || cur.index == int(*d.Index)) {
				if d.Index == nil && cur.restartedBy(d) || cur.renamedBy(d) {
					return nil // an id that is used twice
				}
				return cur
			}
		}
	}
	if d.Index != nil {
		for _, cur := range slices.Backward(c.all) {
			if cur.index == int(*d.Index) {
				if d.ID != "" && cur.id != "" && d.Function.Name != "" {
					return nil // an index that is used twice
				}
				return cur // also if every piece has an id of its own
			}
		}
		return nil
	}
	if len(c.all) == 0 || d.ID != "" {
		return nil
	}
	if last := c.all[len(c.all)-1]; !last.renamedBy(d) && !last.restartedBy(d) {
		return last
	}
	return nil
}

// renamedBy reports whether the piece has another name.
func (c *call) renamedBy(d deltaCall) bool {
	return d.Function.Name != "" && c.name != "" && string(d.Function.Name) != c.name
}

// restartedBy reports whether the piece has a name although the call is whole.
func (c *call) restartedBy(d deltaCall) bool {
	return d.Function.Name != "" && c.name != "" && json.Valid([]byte(c.args.String()))
}

// list returns the calls. Of a reply that was cut off, the last may lack its
// arguments: it stays without.
func (c *calls) list(cutOff bool) []llm.ToolCall {
	list := make([]llm.ToolCall, 0, len(c.all))
	for i, cur := range c.all {
		args := cur.args.String()
		if strings.TrimSpace(args) == "" && !(cutOff && i == len(c.all)-1) {
			args = "{}"
		}
		list = append(list, llm.ToolCall{ID: cur.id, Name: cur.name, Args: args})
	}
	return list
}
