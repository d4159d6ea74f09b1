package rows

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"ml-intern/internal/hub/feature"
)

// maxInline is the largest picture or sound that comes within the answer.
const maxInline = 128 << 10

// encode makes of a value what goes into an answer as JSON.
func encode(v any, typ feature.Type) any {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
	case time.Time:
		return isoTime(v, typ)
	case date:
		return v.Format(time.DateOnly)
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case json.RawMessage:
		return encodeJSON(v, typ)
	case []any:
		item := feature.Type{}
		if typ.Item != nil {
			item = *typ.Item
		}
		out := make([]any, len(v))
		for i := range v {
			out[i] = encode(v[i], item)
		}
		return out
	case object:
		return encodeObject(v, typ)
	}
	return v
}

func isoTime(t time.Time, typ feature.Type) string {
	text := t.Format("2006-01-02T15:04:05.999999")
	if strings.Contains(typ.DType, "tz=") {
		text += "Z"
	}
	return text
}

func encodeObject(v object, typ feature.Type) any {
	switch typ.Kind {
	case feature.Image, feature.Audio, feature.Video:
		return media(v)
	}
	out := object{names: v.names, values: make([]any, len(v.values))}
	for i, name := range v.names {
		field, _ := typ.Fields.Lookup(name)
		out.values[i] = encode(v.values[i], field)
	}
	return out
}

// media is a picture or a sound that is stored in the table.
func media(v object) any {
	out := map[string]any{"src": nil}
	for i, name := range v.names {
		if data, ok := v.values[i].([]byte); ok && name == "bytes" && len(data) <= maxInline {
			out["src"] = "data:" + http.DetectContentType(data) + ";base64," + base64.StdEncoding.EncodeToString(data)
			out["type"] = http.DetectContentType(data)
		}
	}
	return out
}

// encodeJSON gives a value from a JSON file the shape of its type: every
// struct has all fields, in the same order.
func encodeJSON(raw json.RawMessage, typ feature.Type) any {
	switch {
	case len(raw) == 0 || raw[0] == 'n':
		return nil
	case raw[0] == '[' && typ.IsList() && typ.Item != nil:
		out := []any{}
		walk(raw, '[', func(_, item []byte) { out = append(out, encodeJSON(item, *typ.Item)) })
		return out
	case raw[0] == '{' && typ.Kind == feature.Struct:
		values := map[string]json.RawMessage{}
		members(raw, func(name string, value json.RawMessage) { values[name] = value })
		out := object{}
		for _, f := range typ.Fields {
			out.names, out.values = append(out.names, f.Name), append(out.values, encodeJSON(values[f.Name], f.Type))
		}
		return out
	case raw[0] == '[' || raw[0] == '{': // of another type than it should be
		if typ.IsText() {
			return string(raw)
		}
		return append(json.RawMessage(nil), raw...)
	}
	return encode(jsonCell(raw, typ), typ)
}

// MarshalJSON writes the fields in order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range o.names {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(o.values[i])
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// A Row is a row as it is answered.
type Row struct {
	Index     int64  `json:"row_idx"`
	Cells     object `json:"row"`
	Truncated cells  `json:"truncated_cells"`
}

// cells are names of columns; JSON has an empty list for none.
type cells []string

// MarshalJSON writes a list, empty if there are none.
func (c cells) MarshalJSON() ([]byte, error) {
	if c == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]string(c))
}

// row encodes a row; it no longer depends on the file.
func (t *Table) row(index int64, values []any) Row {
	out := Row{Index: index}
	for i, c := range t.Features {
		out.Cells.names = append(out.Cells.names, c.Name)
		out.Cells.values = append(out.Cells.values, encode(values[i], c.Type))
	}
	return out
}

const (
	maxPreview = 1 << 20 // bytes of the first rows
	minCell    = 100     // bytes that a cell is cut to
)

// fit cuts cells, from the last row on, until the rows fit into an answer, and
// then leaves rows out. It reports whether rows are missing.
func fit(rows []Row, most int) (kept []Row, dropped bool, err error) {
	sizes, total := make([]int, len(rows)), 0
	for i := range rows {
		if sizes[i], err = size(rows[i]); err != nil {
			return nil, false, err
		}
		total += sizes[i]
	}
	for i := len(rows) - 1; i >= 0 && total > most; i-- {
		if err := cutCells(&rows[i]); err != nil {
			return nil, false, err
		}
		n, err := size(rows[i])
		if err != nil {
			return nil, false, err
		}
		total, sizes[i] = total-sizes[i]+n, n
	}
	for len(rows) > 1 && total > most {
		last := len(rows) - 1
		total, rows, dropped = total-sizes[last], rows[:last], true
	}
	return rows, dropped, nil
}

func size(r Row) (int, error) {
	data, err := json.Marshal(r)
	return len(data), err
}

// cutCells shortens long cells. What is not a text becomes the beginning of
// its JSON.
func cutCells(r *Row) error {
	for i, v := range r.Cells.values {
		text, isText := v.(string)
		if !isText {
			data, err := json.Marshal(v)
			if err != nil {
				return err
			}
			text = string(data)
		}
		if len(text) <= minCell {
			continue
		}
		n := minCell
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		r.Cells.values[i] = text[:n]
		r.Truncated = append(r.Truncated, r.Cells.names[i])
	}
	return nil
}
