package rows

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/hub/feature"
)

const (
	maxShapeDepth  = 32
	maxShapeFields = 2000
)

// A shape is what the values of a column have been so far.
type shape struct {
	null, boolean, whole, real, text, time bool
	item                                   *shape
	fields                                 []*shape // of objects, in order
	names                                  []string
	index                                  map[string]int
}

// add takes a JSON value into account.
func (s *shape) add(raw json.RawMessage, depth int) {
	if len(raw) == 0 {
		return
	}
	switch raw[0] {
	case 'n':
		s.null = true
	case 't', 'f':
		s.boolean = true
	case '"':
		if text, ok := jsonText(raw); ok && isTime(text) {
			s.time = true
		} else {
			s.text = true
		}
	case '[':
		s.addList(raw, depth)
	case '{':
		s.addObject(raw, depth)
	default:
		if bytes.ContainsAny(raw, ".eE") {
			s.real = true
		} else if _, err := strconv.ParseInt(string(raw), 10, 64); err != nil {
			s.real = true
		} else {
			s.whole = true
		}
	}
}

func (s *shape) addList(raw json.RawMessage, depth int) {
	if s.item == nil {
		s.item = &shape{}
	}
	if depth > maxShapeDepth {
		return
	}
	walk(raw, '[', func(_, v []byte) { s.item.add(v, depth+1) })
}

func (s *shape) addObject(raw json.RawMessage, depth int) {
	if s.index == nil {
		s.index = map[string]int{}
	}
	if depth > maxShapeDepth {
		return
	}
	members(raw, func(name string, value json.RawMessage) {
		if f := s.field(name); f != nil {
			f.add(value, depth+1)
		}
	})
}

func (s *shape) field(name string) *shape {
	if i, ok := s.index[name]; ok {
		return s.fields[i]
	}
	if len(s.fields) >= maxShapeFields {
		return nil
	}
	if s.index == nil {
		s.index = map[string]int{}
	}
	f := &shape{}
	s.index[name] = len(s.fields)
	s.fields, s.names = append(s.fields, f), append(s.names, name)
	return f
}

// typ is the narrowest type that all values have.
func (s *shape) typ() feature.Type {
	list, object := s.item != nil, s.index != nil
	scalar := s.boolean || s.whole || s.real || s.text || s.time
	switch {
	case list && !object && !scalar:
		return feature.ListOf(s.item.typ())
	case object && !list && !scalar:
		return feature.StructOf(s.columns())
	case !scalar && !list && !object:
		return feature.Scalar("null")
	case list || object: // and something else
		return feature.Type{Kind: feature.JSON}
	case s.boolean && !s.whole && !s.real && !s.text && !s.time:
		return feature.Scalar("bool")
	case !s.boolean && !s.text && !s.time && !s.real:
		return feature.Scalar("int64")
	case !s.boolean && !s.text && !s.time:
		return feature.Scalar("float64")
	case s.boolean || s.whole || s.real: // and texts, or truths and numbers
		return feature.Type{Kind: feature.JSON}
	case !s.text:
		return feature.Scalar("timestamp[s]")
	}
	return feature.Scalar("string")
}

func (s *shape) columns() feature.Features {
	out := feature.Features{}
	for i, f := range s.fields {
		out = append(out, feature.Column{Name: s.names[i], Type: f.typ()})
	}
	return out
}

// timeForms are the texts that Arrow takes for times.
var timeForms = []string{"2006-01-02", "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02T15:04:05Z"}

func parseTime(text string) (time.Time, bool) {
	if len(text) < 10 || len(text) > 20 || text[4] != '-' || text[7] != '-' {
		return time.Time{}, false
	}
	for _, form := range timeForms {
		if t, err := time.Parse(form, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func isTime(text string) bool {
	_, ok := parseTime(text)
	return ok
}

func jsonText(raw []byte) (string, bool) {
	if len(raw) >= 2 && bytes.IndexByte(raw, '\\') < 0 {
		return strings.ToValidUTF8(string(raw[1:len(raw)-1]), "\ufffd"), true
	}
	var text string
	err := json.Unmarshal(raw, &text)
	return text, err == nil
}

// A csvShape is what the cells of a column have been so far.
type csvShape struct{ missing, boolean, whole, real, text bool }

func (s *csvShape) add(cell string) {
	switch {
	case isMissing(cell):
		s.missing = true
	case cell == "True" || cell == "False" || cell == "true" || cell == "false" || cell == "TRUE" || cell == "FALSE":
		s.boolean = true
	case isWhole(cell):
		s.whole = true
	case isReal(cell):
		s.real = true
	default:
		s.text = true
	}
}

// dtype is what pandas makes of the column: whole numbers of which some are
// missing are no longer whole.
func (s csvShape) dtype() string {
	number := s.whole || s.real
	switch {
	case s == csvShape{}: // no rows
		return "null"
	case s.text || s.boolean && (number || s.missing):
		if s.boolean && !s.text && !number {
			return "bool" // with nulls: an object to pandas, a bool to Arrow
		}
		return "string"
	case s.boolean:
		return "bool"
	case s.whole && !s.real && !s.missing:
		return "int64"
	}
	return "float64"
}

// isMissing holds for the texts that pandas takes for no value.
func isMissing(cell string) bool {
	switch cell {
	case "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
		"N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null":
		return true
	}
	return false
}

func isWhole(cell string) bool {
	_, err := strconv.ParseInt(strings.Trim(cell, " "), 10, 64)
	return err == nil
}

func isReal(cell string) bool {
	cell = strings.Trim(cell, " ")
	if strings.ContainsAny(cell, "xX_pP") { // numbers to Go, not to pandas
		return false
	}
	v, err := strconv.ParseFloat(cell, 64)
	return err == nil || math.IsInf(v, 0)
}
