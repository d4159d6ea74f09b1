package openai

import (
	"bytes"
	"encoding/json"
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
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		*a = arguments(s)
	default:
		*a = arguments(data)
	}
	return nil
}

// calls puts tool calls together from their pieces. Pieces belong together by
// index; without one, by id; without either, to the latest call.
type calls struct {
	all []*call
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
func (c *calls) find(d deltaCall) *call {
	if len(c.all) == 0 {
		return nil
	}
	for i := len(c.all) - 1; i >= 0; i-- {
		cur := c.all[i]
		switch {
		case d.ID != "" && cur.id == d.ID && sameIndex(d, cur):
			return cur
		case d.Index != nil && cur.index == *d.Index:
			if d.ID != "" && cur.id != "" {
				return nil // a server that gives every call the index 0
			}
			return cur
		}
	}
	if d.Index == nil && d.ID == "" && d.Function.Name == "" {
		return c.all[len(c.all)-1]
	}
	return nil
}

func sameIndex(d deltaCall, cur *call) bool { return d.Index == nil || cur.index == *d.Index }

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
