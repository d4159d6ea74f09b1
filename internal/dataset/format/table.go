package format

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A kind is what the values of a column are.
type kind int

const (
	empty kind = iota // no row has a value
	text
	chat // lists of messages
	truth
	number
	list
	other
)

type column struct {
	name string
	kind kind
	chat *Chat
}

// A table is what was shown of a data set.
type table struct {
	columns []column
	rows    []map[string]any
}

const maxRows = 100

func newTable(columns []string, rows []map[string]any) *table {
	t := &table{rows: rows[:min(len(rows), maxRows)]}
	for _, name := range columns {
		c := column{name: name, chat: Conversation(name, t.rows)}
		c.kind = t.kindOf(name)
		if c.chat != nil {
			c.kind = chat
		}
		t.columns = append(t.columns, c)
	}
	return t
}

// kindOf is the kind of a column's first value. A column of which no value is
// shown may be anything, so by its name it may be what is wanted: a text.
func (t *table) kindOf(name string) kind {
	for _, row := range t.rows {
		switch row[name].(type) {
		case nil:
			continue
		case string:
			return text
		case bool:
			return truth
		case float64, int, int64, json.Number:
			return number
		case []any:
			return list
		}
		return other
	}
	return empty
}

// find returns the column with the first of the names that is there and has
// one of the kinds. Capitals do not matter.
func (t *table) find(names []string, kinds ...kind) (column, bool) {
	for _, name := range names {
		for _, c := range t.columns {
			if strings.EqualFold(c.name, name) && (c.kind == empty || slices.Contains(kinds, c.kind)) {
				return c, true
			}
		}
	}
	return column{}, false
}

func (t *table) has(name string, kinds ...kind) bool {
	_, ok := t.find([]string{name}, kinds...)
	return ok
}

// conversation is the column with whole conversations: by its usual names, or
// any whose values are that and whose name does not say that it is a part.
func (t *table) conversation() (column, bool) {
	if c, ok := t.find([]string{"messages", "conversations", "conversation", "dialogue", "dialog", "chat"}, chat); ok && c.kind == chat {
		return c, true
	}
	parts := slices.Concat(promptNames, completionNames, chosenNames, rejectedNames)
	for _, c := range t.columns {
		if c.kind == chat && !slices.Contains(parts, strings.ToLower(c.name)) {
			return c, true
		}
	}
	return column{}, false
}

// shared reports whether two columns of answers begin with the same prompt in
// every row that is shown: the same first messages, or a common beginning that
// ends a turn.
func (t *table) shared(a, b column) bool {
	seen := false
	for _, row := range t.rows {
		x, y := row[a.name], row[b.name]
		if x == nil || y == nil {
			continue
		}
		if !begin(x, y) {
			return false
		}
		seen = true
	}
	return seen
}

func begin(x, y any) bool {
	a, b := decoded(x), decoded(y)
	if len(a) > 1 && len(b) > 1 {
		return fmt.Sprint(a[0]) == fmt.Sprint(b[0])
	}
	s, _ := x.(string)
	u, _ := y.(string)
	n := 0
	for n < len(s) && n < len(u) && s[n] == u[n] {
		n++
	}
	common := s[:n]
	return len(a) == 0 && n > 10 && (strings.Contains(common, "Assistant:") || strings.Contains(common, "assistant") || n > 100)
}

// decoded is a list, or the list that a text holds as JSON.
func decoded(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case string:
		if strings.HasPrefix(strings.TrimSpace(v), "[") {
			var out []any
			if json.Unmarshal([]byte(v), &out) == nil {
				return out
			}
		}
	}
	return nil
}

// A Chat is what the conversations in a column are like.
type Chat struct {
	Column     string
	RoleKey    string // role, or from
	ContentKey string // content, or value
	Text       bool   // each is JSON in a text
	Roles      []string
	Keys       []string // of messages, all that occur
	Tools      bool     // tools are called, or answer
	LastRole   string   // of the first conversation
	Example    map[string]any
}

// Conversation looks at a column and returns nil if it holds no conversations.
func Conversation(name string, rows []map[string]any) *Chat {
	var c *Chat
	for _, row := range rows[:min(len(rows), maxRows)] {
		v := row[name]
		if v == nil {
			continue
		}
		messages := decoded(v)
		if messages == nil {
			return nil
		}
		for _, m := range messages {
			message, ok := m.(map[string]any)
			if !ok {
				return nil
			}
			if c == nil {
				if c = newChat(name, message); c == nil {
					return nil
				}
				_, c.Text = v.(string)
			}
			c.add(message)
		}
		if c != nil && c.LastRole == "" && len(messages) > 0 {
			c.LastRole = c.role(messages[len(messages)-1])
		}
	}
	if c != nil {
		slices.Sort(c.Roles)
		slices.Sort(c.Keys)
	}
	return c
}

func newChat(name string, message map[string]any) *Chat {
	for _, keys := range [][2]string{{"role", "content"}, {"from", "value"}} {
		if _, ok := message[keys[0]].(string); ok {
			return &Chat{Column: name, RoleKey: keys[0], ContentKey: keys[1]}
		}
	}
	return nil
}

func (c *Chat) role(message any) string {
	m, _ := message.(map[string]any)
	role, _ := m[c.RoleKey].(string)
	return role
}

// add takes a message into account. The example is the first that calls a
// tool, else the first of the assistant, else the first that is no instruction.
func (c *Chat) add(message map[string]any) {
	role := c.role(message)
	if role != "" && !slices.Contains(c.Roles, role) && len(c.Roles) < 20 {
		c.Roles = append(c.Roles, role)
	}
	for key := range message {
		if !slices.Contains(c.Keys, key) && len(c.Keys) < 20 {
			c.Keys = append(c.Keys, key)
		}
	}
	calls := !isEmpty(message["tool_calls"]) || !isEmpty(message["function_call"])
	c.Tools = c.Tools || calls || role == "tool" || role == "function" || !isEmpty(message["tool_call_id"])
	if c.rank(message, calls) > c.rank(c.Example, !isEmpty(c.Example["tool_calls"]) || !isEmpty(c.Example["function_call"])) {
		c.Example = message
	}
}

func (c *Chat) rank(message map[string]any, calls bool) int {
	role := c.role(message)
	switch {
	case message == nil:
		return -1
	case calls:
		return 3
	case role == "assistant" || role == "gpt":
		return 2
	case role != "system":
		return 1
	}
	return 0
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}
