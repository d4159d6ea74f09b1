package rows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"ml-intern/internal/hub/feature"
)

// A Table is a split that has been looked through once: its columns, how many
// rows there are, and where they lie.
type Table struct {
	Features feature.Features
	Rows     int64
	Partial  bool  // there may be more rows than were counted
	Bytes    int64 // of the files
	Memory   int64 // of the data, decompressed
	parts    []part
	columns  map[string]int
	busy     chan struct{} // of the cache: how many may go through tables at once
	stats    atomic.Pointer[Statistics]
}

// turn waits until there is time to go through the table.
func (t *Table) turn(ctx context.Context) (done func(), err error) {
	select {
	case t.busy <- struct{}{}:
		return func() { <-t.busy }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A part is a file of a table.
type part struct {
	text    *textFile    // or
	parquet *parquetFile // this
	rows    int64
	columns []int // where each of the file's own columns goes; -1 for nowhere
}

// open looks through the files of a split.
func open(ctx context.Context, c Config, s Split, busy chan struct{}) (*Table, error) {
	t := &Table{busy: busy}
	b := newBudget()
	left := int64(maxScanned)
	in := inference{csv: map[string]*csvShape{}}
	for _, f := range s.Files {
		t.Bytes += f.Size
		if t.Partial {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p, err := t.openPart(&in, c, f, b, &left)
		if err != nil {
			return nil, unreadable(f.Path, err)
		}
		t.parts = append(t.parts, p)
		t.Rows += p.rows
	}
	t.settle(&in, c)
	return t, nil
}

// inference collects what the types of columns are taken from.
type inference struct {
	json   shape
	csv    map[string]*csvShape
	names  []string // csv
	stored feature.Features
	rows   int
	bytes  int
}

func (t *Table) openPart(in *inference, c Config, f File, b *budget, left *int64) (part, error) {
	if c.Format == "parquet" {
		p, err := lookParquet(f)
		if err != nil {
			return part{}, err
		}
		for _, col := range p.features {
			if _, known := in.stored.Lookup(col.Name); !known {
				in.stored = append(in.stored, col)
			}
		}
		t.Memory += p.bytes
		return part{parquet: p, rows: p.rows}, nil
	}
	p, err := look(f, c.Format, c.Delimiter)
	if err != nil {
		return part{}, err
	}
	complete, n, err := p.count(b, *left, in.see(p))
	if err != nil {
		return part{}, err
	}
	t.Memory += n
	*left -= n
	t.Partial = !complete
	return part{text: p, rows: p.rows}, nil
}

// see takes the first records into account.
func (in *inference) see(p *textFile) func([]byte) (bool, error) {
	if p.format == "text" {
		return nil
	}
	var cells []string
	for _, name := range p.names {
		if in.csv[name] == nil {
			in.csv[name] = &csvShape{}
			in.names = append(in.names, name)
		}
	}
	return func(record []byte) (bool, error) {
		if in.rows++; in.rows > sampleRows || in.bytes > sampleBytes {
			return false, nil
		}
		in.bytes += len(record)
		if p.format == "csv" {
			cells = csvState{comma: p.comma}.fields(record, cells[:0])
			if len(cells) > len(p.names) {
				return false, fmt.Errorf("expected %d fields, saw %d", len(p.names), len(cells))
			}
			for i, name := range p.names {
				cell := ""
				if i < len(cells) {
					cell = cells[i]
				}
				in.csv[name].add(cell)
			}
			return true, nil
		}
		return true, in.seeJSON(record)
	}
}

var errNotJSON = errors.New("the row is no JSON")

func (in *inference) seeJSON(record []byte) error {
	record = plainNaN(record)
	if !json.Valid(record) {
		return errNotJSON
	}
	if !members(record, func(name string, value json.RawMessage) {
		if f := in.json.field(name); f != nil {
			f.add(value, 0)
		}
	}) {
		return errors.New("the row is no JSON object")
	}
	return nil
}

// settle decides on the columns; what the card says of them wins.
func (t *Table) settle(in *inference, c Config) {
	switch c.Format {
	case "parquet":
		t.Features = in.stored
	case "csv":
		for _, name := range in.names {
			t.Features = append(t.Features, feature.Column{Name: name, Type: feature.Scalar(in.csv[name].dtype())})
		}
	case "text":
		t.Features = feature.Features{{Name: "text", Type: feature.Scalar("string")}}
	default:
		t.Features = in.json.columns()
	}
	t.columns = map[string]int{}
	for i, col := range t.Features {
		if typ, ok := c.Features.Lookup(col.Name); ok {
			t.Features[i].Type = typ
		}
		t.columns[col.Name] = i
	}
	for i, p := range t.parts {
		names := []string{}
		switch {
		case p.parquet != nil:
			names = p.parquet.features.Columns()
		case p.text.format == "csv":
			names = p.text.names
		}
		for _, name := range names {
			t.parts[i].columns = append(t.parts[i].columns, t.column(name))
		}
	}
}

// column is a column's number, -1 if there is none of that name.
func (t *Table) column(name string) int {
	if i, ok := t.columns[name]; ok {
		return i
	}
	return -1
}

// A rowFunc is shown rows and says whether it wants more.
type rowFunc func(index int64, row []any) (more bool, err error)

// scan shows the rows from one on, in order. A row is good until the next.
func (t *Table) scan(ctx context.Context, from int64, do rowFunc) error {
	at := int64(0)
	for _, p := range t.parts {
		if from >= at+p.rows {
			at += p.rows
			continue
		}
		more, err := t.scanPart(ctx, p, at, max(0, from-at), do)
		if err != nil {
			return unreadable(p.path(), err)
		}
		if !more {
			return nil
		}
		at += p.rows
	}
	return nil
}

func (p part) path() string {
	if p.parquet != nil {
		return p.parquet.file.Path
	}
	return p.text.file.Path
}

func (t *Table) scanPart(ctx context.Context, p part, at, from int64, do rowFunc) (more bool, err error) {
	row := make([]any, len(t.Features))
	more = true
	if p.parquet == nil {
		return t.scanText(ctx, p, at, from, row, do)
	}
	index := at + from
	err = p.parquet.scan(from, func(cells []any) (bool, error) {
		if index%256 == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		for i := range row {
			row[i] = nil
		}
		for i, v := range cells {
			if c := p.columns[i]; c >= 0 {
				row[c] = v
			}
		}
		var err error
		more, err = do(index, row)
		index++
		return more, err
	})
	return more, err
}

func (t *Table) scanText(ctx context.Context, p part, at, from int64, row []any, do rowFunc) (bool, error) {
	s, index, err := p.text.openAt(from)
	if err != nil {
		return false, err
	}
	defer s.Close()
	var cells []string
	for ; index < p.rows; index++ {
		if index%256 == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		record, _, err := s.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false, err
		}
		if index < from {
			continue
		}
		if cells, err = t.fill(p, record, cells, row); err != nil {
			return false, fmt.Errorf("row %d: %w", index+1, err)
		}
		if more, err := do(at+index, row); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// fill reads a record into a row.
func (t *Table) fill(p part, record []byte, cells []string, row []any) ([]string, error) {
	for i := range row {
		row[i] = nil
	}
	switch p.text.format {
	case "text":
		row[0] = strings.ToValidUTF8(string(record), "\ufffd")
	case "csv":
		cells = csvState{comma: p.text.comma}.fields(record, cells[:0])
		for i, cell := range cells[:min(len(cells), len(p.columns))] {
			if c := p.columns[i]; c >= 0 {
				row[c] = csvValue(cell, t.Features[c].Type)
			}
		}
	default:
		record = plainNaN(record)
		if !json.Valid(record) {
			return cells, errNotJSON
		}
		members(record, func(name string, raw json.RawMessage) {
			if c := t.column(name); c >= 0 {
				row[c] = jsonCell(raw, t.Features[c].Type)
			}
		})
	}
	return cells, nil
}

// csvValue reads a cell as a value of the type. What does not fit stays text.
func csvValue(cell string, typ feature.Type) any {
	if isMissing(cell) {
		return nil
	}
	text := strings.ToValidUTF8(cell, "\ufffd")
	switch {
	case typ.Kind == feature.ClassLabel:
		if n, err := strconv.ParseInt(strings.Trim(cell, " "), 10, 64); err == nil {
			return n
		}
		for i, name := range typ.Names {
			if name == cell {
				return int64(i)
			}
		}
	case typ.DType == "bool":
		return strings.EqualFold(cell, "true")
	case strings.HasPrefix(typ.DType, "int"), strings.HasPrefix(typ.DType, "uint"):
		if n, err := strconv.ParseInt(strings.Trim(cell, " "), 10, 64); err == nil {
			return n
		}
	case strings.HasPrefix(typ.DType, "float"):
		if isReal(cell) {
			n, _ := strconv.ParseFloat(strings.Trim(cell, " "), 64) // what is too large is infinite
			return n
		}
	case strings.HasPrefix(typ.DType, "timestamp"):
		if at, ok := parseTime(cell); ok {
			return at
		}
	}
	return text
}

// jsonCell reads a scalar. Lists and objects stay as they are until they are
// shown.
func jsonCell(raw json.RawMessage, typ feature.Type) any {
	switch raw[0] {
	case 'n':
		return nil
	case 't', 'f':
		if typ.IsText() {
			return string(raw)
		}
		return raw[0] == 't'
	case '[', '{':
		if typ.IsText() {
			return string(raw)
		}
		return raw
	case '"':
		text, _ := jsonText(raw)
		if strings.HasPrefix(typ.DType, "timestamp") {
			if at, ok := parseTime(text); ok {
				return at
			}
		}
		return text
	}
	if typ.IsText() {
		return string(raw)
	}
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		if strings.HasPrefix(typ.DType, "float") {
			return float64(n)
		}
		return n
	}
	n, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return nil
	}
	return n
}
