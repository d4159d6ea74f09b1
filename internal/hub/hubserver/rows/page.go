package rows

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/hub/feature"
)

// MaxRows is the most rows of one answer.
const MaxRows = 100

const (
	maxAnswer = 32 << 20 // bytes of the rows of one answer
	maxSorted = 1 << 20  // rows that are put in order
	maxKey    = 256      // bytes of a text that order goes by
)

// A Page is some rows of a table, and how many there are to choose from.
type Page struct {
	Rows    []Row
	Total   int64
	Partial bool // not the whole table was looked at
	Cut     bool // rows that were asked for are missing, for their size
}

// First returns the first rows, with long cells cut.
func (t *Table) First(ctx context.Context) (Page, error) {
	p, err := t.At(ctx, 0, MaxRows)
	if err != nil {
		return p, err
	}
	var dropped bool
	p.Rows, dropped, err = fit(p.Rows, maxPreview)
	p.Cut = dropped || t.Rows > int64(len(p.Rows)) || t.Partial
	return p, err
}

// At returns rows by their number.
func (t *Table) At(ctx context.Context, offset int64, length int) (Page, error) {
	p := Page{Rows: []Row{}, Total: t.Rows, Partial: t.Partial}
	if length <= 0 || offset >= t.Rows {
		return p, nil
	}
	held := 0
	err := t.scan(ctx, offset, func(index int64, row []any) (bool, error) {
		p.Rows = append(p.Rows, t.row(index, row))
		held += weight(row)
		return len(p.Rows) < length && held < maxHeld, nil
	})
	if err == nil {
		p.Rows, p.Cut, err = fit(p.Rows, maxAnswer)
	}
	return p, err
}

// maxHeld is how many bytes of rows are gathered for an answer, before it is
// cut to what is sent.
const maxHeld = 128 << 20

// weight is about how much memory a value takes.
func weight(v any) int {
	sum := 16
	switch v := v.(type) {
	case string:
		sum += len(v)
	case []byte:
		sum += len(v)
	case json.RawMessage:
		sum += len(v)
	case []any:
		for _, item := range v {
			sum += weight(item)
		}
	case map[string]any:
		for key, item := range v {
			sum += len(key) + weight(item)
		}
	}
	return sum
}

// A Query chooses rows by words or by a condition, and may order them.
type Query struct {
	Words string
	Where string
	Order string
}

// Find returns a page of the rows that a query chooses.
func (t *Table) Find(ctx context.Context, q Query, offset int64, length int) (Page, error) {
	match, err := t.matcher(q)
	if err != nil {
		return Page{}, err
	}
	order, err := parseOrder(q.Order, t)
	if err != nil {
		return Page{}, err
	}
	done, err := t.turn(ctx)
	if err != nil {
		return Page{}, err
	}
	defer done()
	if order != nil {
		return t.findSorted(ctx, match, order, offset, length)
	}
	p := Page{Rows: []Row{}, Partial: t.Partial}
	b := newBudget()
	held := 0
	err = t.scan(ctx, 0, func(index int64, row []any) (bool, error) {
		if b.over() {
			p.Partial = true
			return false, nil
		}
		if !match(row) {
			return true, nil
		}
		if p.Total >= offset && len(p.Rows) < length && held < maxHeld {
			p.Rows = append(p.Rows, t.row(index, row))
			held += weight(row)
		}
		p.Total++
		return true, nil
	})
	if err == nil {
		p.Rows, p.Cut, err = fit(p.Rows, maxAnswer)
	}
	return p, err
}

// matcher is the test that a query's words and condition stand for.
func (t *Table) matcher(q Query) (func([]any) bool, error) {
	var where condition
	if q.Where != "" {
		var err error
		if where, err = parseWhere(q.Where, t); err != nil {
			return nil, err
		}
	}
	words := strings.Fields(strings.ToLower(q.Words))
	return func(row []any) bool {
		return (where == nil || where(row) == yes) && (len(words) == 0 || hasWords(row, t.Features, words))
	}, nil
}

// hasWords holds if every word is in one of the texts of a row.
func hasWords(row []any, columns feature.Features, words []string) bool {
	found := 0
	for _, w := range words {
		for i := range columns {
			if text, ok := row[i].(string); ok && strings.Contains(strings.ToLower(text), w) {
				found++
				break
			}
		}
	}
	return found == len(words)
}

// A key is what a row is ordered by, and which row it is.
type key struct {
	value any
	index int64
}

func (t *Table) findSorted(ctx context.Context, match func([]any) bool, by *order, offset int64, length int) (Page, error) {
	p := Page{Rows: []Row{}, Partial: t.Partial}
	b := newBudget()
	var keys []key
	err := t.scan(ctx, 0, func(index int64, row []any) (bool, error) {
		if b.over() || len(keys) == maxSorted {
			p.Partial = true
			return false, nil
		}
		if match(row) {
			keys = append(keys, key{sortable(row[by.column]), index})
		}
		return true, nil
	})
	if err != nil {
		return p, err
	}
	slices.SortStableFunc(keys, by.compare)
	p.Total = int64(len(keys))
	if offset >= p.Total {
		return p, nil
	}
	keys = keys[offset:min(offset+int64(length), p.Total)]
	if p.Rows, err = t.pick(ctx, keys); err == nil {
		p.Rows, p.Cut, err = fit(p.Rows, maxAnswer)
	}
	return p, err
}

// pick reads a few rows, each from where it lies.
func (t *Table) pick(ctx context.Context, keys []key) ([]Row, error) {
	place := map[int64]int{}
	indexes := make([]int64, 0, len(keys))
	for i, k := range keys {
		place[k.index] = i
		indexes = append(indexes, k.index)
	}
	slices.Sort(indexes)
	out := make([]Row, len(keys))
	for _, wanted := range indexes {
		err := t.scan(ctx, wanted, func(index int64, row []any) (bool, error) {
			out[place[index]] = t.row(index, row)
			return false, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sortable is a small copy of a value to order by.
func sortable(v any) any {
	switch v := v.(type) {
	case string:
		return strings.Clone(v[:min(len(v), maxKey)])
	case bool, int64, float64, time.Time:
		return v
	case date:
		return v.Time
	}
	return nil
}

// compare puts rows in order; what has no value comes last, as in DuckDB.
func (o *order) compare(a, b key) int {
	switch {
	case a.value == nil || b.value == nil:
		return cmp.Compare(rankNil(a.value), rankNil(b.value))
	case o.down:
		a, b = b, a
	}
	c, _ := compareValues(a.value, b.value)
	return c
}

func rankNil(v any) int {
	if v == nil {
		return 1
	}
	return 0
}

// compareValues compares values of one kind.
func compareValues(a, b any) (int, bool) {
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		return strings.Compare(a, b), ok
	case time.Time:
		b, ok := b.(time.Time)
		return a.Compare(b), ok
	case bool:
		b, ok := b.(bool)
		return cmp.Compare(truthNumber(a), truthNumber(b)), ok
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b), true
		}
	}
	x, ok1 := number(a)
	y, ok2 := number(b)
	return cmp.Compare(x, y), ok1 && ok2
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func truthNumber(b bool) int {
	if b {
		return 1
	}
	return 0
}
