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
	Index    *int   `json:"index"`
	ID       string `json:"id"`
	Function struct {
		Name      string    `json:"name"`
		Arguments arguments `json:"arguments"`
	} `json:"function"`
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
			cur.index = *d.Index
		}
		c.all = append(c.all, cur)
	}
	if cur.id == "" {
		cur.id = d.ID
	}
	if cur.name == "" { // some servers repeat it in every piece
		cur.name = d.Function.Name
	}
	cur.args.WriteString(string(d.Function.Arguments))
}

// find returns the call that the piece goes on with, nil if it begins one.
// Pieces belong together by index; without one, by id; without either, to the
// latest call. Servers are wrong about all three.
func (c *calls) find(d deltaCall) *call {
	if d.ID != "" {
		for _, cur := range slices.Backward(c.all) {
			if cur.id == d.ID && (d.Index == nil || cur.index == *d.Index) {
				if d.Index == nil && cur.restartedBy(d) || cur.renamedBy(d) {
					return nil // an id that is used twice
				}
				return cur
			}
		}
	}
	if d.Index != nil {
		for _, cur := range slices.Backward(c.all) {
			if cur.index == *d.Index {
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
	return d.Function.Name != "" && c.name != "" && d.Function.Name != c.name
}

// restartedBy reports whether the piece has a name although the call is whole.
func (c *call) restartedBy(d deltaCall) bool {
	return d.Function.Name != "" && c.name != "" && json.Valid([]byte(c.args.String()))
}

func (c *calls) list() []llm.ToolCall {
	list := make([]llm.ToolCall, 0, len(c.all))
	for _, cur := range c.all {
		args := cur.args.String()
		if strings.TrimSpace(args) == "" {
			args = "{}"
		}
		list = append(list, llm.ToolCall{ID: cur.id, Name: cur.name, Args: args})
	}
	return list
}
