package rows

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"ml-intern/internal/hub/feature"
)

const (
	maxLabels   = 30      // different texts that are still labels
	maxLabelLen = 256     // bytes of a text that may be one
	maxKept     = 4 << 20 // numbers that are kept for the median, of all columns together
	maxMeasured = 200     // columns
	timeText    = "2006-01-02 15:04:05"
)

// A Statistic describes a column.
type Statistic struct {
	Name   string `json:"column_name"`
	Type   string `json:"column_type"`
	Values any    `json:"column_statistics"`
}

// Statistics are of all columns that have any.
type Statistics struct {
	Rows    int64       `json:"num_examples"`
	Columns []Statistic `json:"statistics"`
	Partial bool        `json:"partial"`
}

// Statistics measures the columns. What was measured once is remembered.
func (t *Table) Statistics(ctx context.Context) (Statistics, error) {
	if known := t.stats.Load(); known != nil {
		return *known, nil
	}
	done, err := t.turn(ctx)
	if err != nil {
		return Statistics{}, err
	}
	defer done()
	out, err := t.measure(ctx)
	if err == nil {
		t.stats.Store(&out)
	}
	return out, err
}

// measure goes through the rows once for what there is, and once more for how
// it is spread.
func (t *Table) measure(ctx context.Context) (Statistics, error) {
	out := Statistics{Columns: []Statistic{}, Partial: t.Partial}
	n := min(len(t.Features), maxMeasured)
	columns := make([]*measure, n)
	for i := range columns {
		columns[i] = newMeasure(t.Features[i].Type, maxKept/max(n, 1))
	}
	b := newBudget()
	err := t.scan(ctx, 0, func(_ int64, row []any) (bool, error) {
		if b.over() {
			out.Partial = true
			return false, nil
		}
		out.Rows++
		for i, m := range columns {
			if m != nil {
				m.add(row[i])
			}
		}
		return true, nil
	})
	if err != nil {
		return out, err
	}
	left := out.Rows
	for _, m := range columns {
		if m != nil {
			m.openBins()
		}
	}
	err = t.scan(ctx, 0, func(_ int64, row []any) (bool, error) {
		if left--; left < 0 {
			return false, nil
		}
		for i, m := range columns {
			if m != nil {
				m.bin(row[i])
			}
		}
		return true, nil
	})
	for i, m := range columns {
		if m != nil {
			out.Columns = append(out.Columns, Statistic{t.Features[i].Name, m.kind(), m.values(out.Rows)})
		}
	}
	return out, err
}

// A measure collects what is told of a column.
type measure struct {
	typ     feature.Type
	missing int64
	labels  map[string]int64 // texts, truths and classes, nil if there are too many
	nums    spread
}

// newMeasure is nil for columns that nothing is told of.
func newMeasure(typ feature.Type, keep int) *measure {
	switch {
	case typ.Kind == feature.Value && typ.DType == "null", typ.DType == "binary", typ.Kind == feature.Struct:
		return nil
	case typ.Kind == feature.Value, typ.Kind == feature.ClassLabel, typ.IsList():
		return &measure{typ: typ, labels: map[string]int64{}, nums: spread{keep: keep}}
	}
	return nil
}

// add takes a value into account.
func (m *measure) add(v any) {
	if v == nil {
		m.missing++
		return
	}
	if x, ok := m.number(v); ok {
		m.nums.add(x)
	} else if m.typ.Kind == feature.Value && strings.HasPrefix(m.typ.DType, "float") {
		m.missing++ // NaN
	}
	if label, ok := m.label(v); ok && m.labels != nil {
		if len(m.labels) > maxLabels && m.typ.IsText() || len(label) > maxLabelLen {
			m.labels = nil
			return
		}
		m.labels[strings.Clone(label)]++
	}
}

// number is what is measured of a value: itself, or how long it is.
func (m *measure) number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), m.typ.Kind == feature.Value
	case float64:
		return v, v == v
	case string:
		return float64(utf8.RuneCountInString(v)), m.typ.IsText()
	case []any:
		return float64(len(v)), true
	case json.RawMessage:
		n := elements(v)
		return float64(n), n >= 0 && m.typ.IsList()
	case time.Time:
		return float64(v.UnixMicro()) / 1e6, true
	case date:
		return float64(v.Unix()), true
	}
	return 0, false
}

func (m *measure) label(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, m.typ.IsText()
	case bool:
		if v {
			return "True", true
		}
		return "False", true
	case int64:
		if m.typ.Kind != feature.ClassLabel {
			return "", false
		}
		if v >= 0 && v < int64(len(m.typ.Names)) {
			return m.typ.Names[v], true
		}
		return "", true // no label: -1, and what no class has
	}
	return "", false
}

// kind is the viewer's word for the column.
func (m *measure) kind() string {
	d := m.typ.DType
	switch {
	case m.typ.Kind == feature.ClassLabel:
		return "class_label"
	case m.typ.IsList():
		return "list"
	case m.typ.IsText() && m.isLabel():
		return "string_label"
	case m.typ.IsText():
		return "string_text"
	case d == "bool":
		return "bool"
	case strings.HasPrefix(d, "float"), strings.HasPrefix(d, "decimal"):
		return "float"
	case strings.HasPrefix(d, "timestamp"), strings.HasPrefix(d, "date"):
		return "datetime"
	}
	return "int"
}

func (m *measure) isLabel() bool { return m.labels != nil && len(m.labels) <= maxLabels }

func (m *measure) openBins() {
	kind := m.kind()
	m.nums.openBins(kind == "int" || kind == "list" || kind == "string_text")
}

func (m *measure) bin(v any) {
	if x, ok := m.number(v); ok {
		m.nums.bin(x)
	}
}

// values are the statistics in the viewer's form.
func (m *measure) values(rows int64) any {
	out := map[string]any{"nan_count": m.missing, "nan_proportion": share(m.missing, rows)}
	switch kind := m.kind(); kind {
	case "class_label":
		out["no_label_count"], out["no_label_proportion"] = m.labels[""], share(m.labels[""], rows)
		delete(m.labels, "")
		out["n_unique"], out["frequencies"] = len(m.labels), m.labels
	case "string_label":
		out["n_unique"], out["frequencies"] = len(m.labels), m.labels
	case "bool":
		out["frequencies"] = m.labels
	case "datetime":
		m.nums.write(out, func(x float64) any { return time.UnixMicro(int64(x * 1e6)).UTC().Format(timeText) }, false)
		if x, ok := out["std"].(float64); ok {
			out["std"] = fmt.Sprint(time.Duration(x * 1e9).Round(time.Second))
		}
	case "int", "list", "string_text":
		m.nums.write(out, func(x float64) any { return int64(x) }, true)
	default:
		m.nums.write(out, func(x float64) any { return rounded(x) }, false)
	}
	return out
}

func share(n, of int64) float64 {
	if of == 0 {
		return 0
	}
	return rounded(float64(n) / float64(of))
}

// keepOne decides whether the n-th number takes the place of one of those that
// are kept, so that all have the same chance.
func keepOne(n int64, kept int) (int, bool) {
	i := rand.Int64N(n)
	return int(min(i, int64(kept))), i < int64(kept)
}
