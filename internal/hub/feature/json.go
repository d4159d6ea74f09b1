package feature

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
)

var errDeep = errors.New("a type is nested too deep")

// UnmarshalJSON reads a type in any form that has been in use.
func (t *Type) UnmarshalJSON(data []byte) error {
	read, err := parse(data, 0)
	if err == nil {
		*t = read
	}
	return err
}

// UnmarshalJSON reads columns: an object of types by name, in order, or the
// list of columns that come with rows.
func (f *Features) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	if len(data) > 0 && data[0] == '[' {
		var list []struct {
			Name string `json:"name"`
			Type Type   `json:"type"`
		}
		if err := json.Unmarshal(data, &list); err != nil {
			return err
		}
		*f = nil
		for _, c := range list {
			*f = append(*f, Column{c.Name, c.Type})
		}
		return nil
	}
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	fields, err := parseFields(data, 0)
	if err == nil {
		*f = fields
	}
	return err
}

func parse(data []byte, depth int) (Type, error) {
	data = bytes.TrimSpace(data)
	switch {
	case depth > maxDepth:
		return Type{}, errDeep
	case len(data) == 0:
		return Type{}, errors.New("a type is missing")
	case data[0] == '"': // a bare dtype
		var dtype string
		err := json.Unmarshal(data, &dtype)
		return Scalar(dtype), err
	case data[0] == '[': // an older list: its only element is the type of the items
		var items []json.RawMessage
		if err := json.Unmarshal(data, &items); err != nil {
			return Type{}, err
		}
		if len(items) != 1 {
			return Type{}, fmt.Errorf("a list of %d types is no type", len(items))
		}
		item, err := parse(items[0], depth+1)
		return ListOf(item), err
	case data[0] != '{':
		return Type{}, fmt.Errorf("%.20s is no type", data)
	}
	return parseObject(data, depth)
}

// described are the members of a type that has a name.
type described struct {
	Type      json.RawMessage `json:"_type"`
	DType     json.RawMessage `json:"dtype"`
	Names     json.RawMessage `json:"names"`
	Feature   json.RawMessage `json:"feature"`
	Length    *int            `json:"length"`
	Languages []string        `json:"languages"`
	Shape     []*int          `json:"shape"`
}

func parseObject(data []byte, depth int) (Type, error) {
	var d described
	kind := ""
	// A column may have the name of a member, and then that is a struct.
	if json.Unmarshal(data, &d) != nil || json.Unmarshal(d.Type, &kind) != nil || kind == "" {
		var dtype string
		if len(d.Type) == 0 && json.Unmarshal(d.DType, &dtype) == nil && alone(data) {
			return Scalar(dtype), nil
		}
		fields, err := parseFields(data, depth)
		return StructOf(fields), err
	}
	t := Type{Kind: kind, Languages: d.Languages}
	_ = json.Unmarshal(d.DType, &t.DType) // a dtype that is no word says nothing
	for _, n := range d.Shape {
		if n == nil {
			n = new(int)
		}
		t.Shape = append(t.Shape, *n)
	}
	switch kind {
	case ClassLabel:
		t.Names, t.DType = labelNames(d.Names), ""
	case "Sequence", List, LargeList:
		return parseList(t, d, depth)
	}
	return t, nil
}

// alone holds if dtype and the id that once stood beside it are all there is.
func alone(data []byte) bool {
	var all map[string]json.RawMessage
	if json.Unmarshal(data, &all) != nil {
		return false
	}
	delete(all, "dtype")
	delete(all, "id")
	return len(all) == 0
}

// parseList reads a list. A Sequence of a struct has always been stored as a
// struct of lists.
func parseList(t Type, d described, depth int) (Type, error) {
	item, err := parse(d.Feature, depth+1)
	if err != nil {
		return t, err
	}
	length := 0
	if d.Length != nil && *d.Length > 0 {
		length = *d.Length
	}
	t.DType = ""
	if t.Kind == "Sequence" {
		t.Kind = List
		if item.Kind == Struct {
			for i, c := range item.Fields {
				item.Fields[i].Type = Type{Kind: List, Item: &c.Type, Length: length}
			}
			return item, nil
		}
	}
	t.Item, t.Length = &item, length
	return t, nil
}

// labelNames reads a list of names, or names by number.
func labelNames(data json.RawMessage) []string {
	var names []string
	if json.Unmarshal(data, &names) == nil {
		return names
	}
	var byNumber map[string]string
	if json.Unmarshal(data, &byNumber) != nil {
		return nil
	}
	var numbers []int
	for key := range byNumber {
		if n, err := strconv.Atoi(key); err == nil {
			numbers = append(numbers, n)
		}
	}
	sort.Ints(numbers)
	for _, n := range numbers {
		names = append(names, byNumber[strconv.Itoa(n)])
	}
	return names
}

func parseFields(data []byte, depth int) (Features, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, errors.Join(errors.New("columns are no object"), err)
	}
	fields := Features{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		typ, err := parse(raw, depth+1)
		if err != nil {
			return nil, fmt.Errorf("column %v: %w", name, err)
		}
		fields = append(fields, Column{fmt.Sprint(name), typ})
	}
	return fields, nil
}

// MarshalJSON writes a type as the Hub does today.
func (t Type) MarshalJSON() ([]byte, error) {
	v := struct {
		Feature   *Type    `json:"feature,omitempty"`
		DType     string   `json:"dtype,omitempty"`
		Names     []string `json:"names,omitempty"`
		Length    int      `json:"length,omitempty"`
		Languages []string `json:"languages,omitempty"`
		Shape     []int    `json:"shape,omitempty"`
		Type      string   `json:"_type"`
	}{t.Item, t.DType, t.Names, t.Length, t.Languages, t.Shape, t.Kind}
	if t.Kind == Struct {
		return json.Marshal(t.Fields)
	}
	return json.Marshal(v)
}

// MarshalJSON writes an object of types by name, in order.
func (f Features) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, c := range f {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(c.Name)
		if err != nil {
			return nil, err
		}
		typ, err := json.Marshal(c.Type)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(typ)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// An Indexed column is how columns come with rows.
type Indexed struct {
	Index int    `json:"feature_idx"`
	Name  string `json:"name"`
	Type  Type   `json:"type"`
}

// Indexed numbers the columns.
func (f Features) Indexed() []Indexed {
	out := make([]Indexed, len(f))
	for i, c := range f {
		out[i] = Indexed{i, c.Name, c.Type}
	}
	return out
}
