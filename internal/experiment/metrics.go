// Package experiment compares runs on one metric.
//
// Its one rule: a difference counts only if it is larger than chance would
// make it, and where that cannot be known, it says so. It reads numbers that
// jobs recorded and never invents one; the jobs own their metrics files.
package experiment

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
)

// Metrics is what a training job writes to metrics.json in its output folder.
type Metrics struct {
	Values         map[string][]float64 // "metrics": one value per fold or seed
	Splits         *Splits
	HigherIsBetter map[string]bool
	Params         map[string]any
	Versions       map[string]any
	NTrain         int
	Seconds        float64
	Seed           *int64
	DataSHA256     string
	Extra          map[string]json.RawMessage // keys not known here, kept as they were
}

// Splits is how the rows were divided for measuring.
type Splits struct {
	Kind         string  `json:"kind"` // such as repeated_kfold, holdout, seeds
	Folds        int     `json:"folds,omitempty"`
	Repeats      int     `json:"repeats,omitempty"`
	TestFraction float64 `json:"test_fraction,omitempty"`
	Seed         *int64  `json:"seed,omitempty"`
}

// maxMetricsBytes bounds a metrics file; larger ones hold something else.
const maxMetricsBytes = 8 << 20

// ReadMetrics reads a metrics file. A single number stands for a list of one.
// It refuses a metric with NaN or infinite values, also where they are
// written as Python writes them, and says which.
func ReadMetrics(r io.Reader) (Metrics, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxMetricsBytes+1))
	if err != nil {
		return Metrics{}, fmt.Errorf("read metrics: %w", err)
	}
	if len(data) > maxMetricsBytes {
		return Metrics{}, fmt.Errorf("read metrics: the file is larger than %d MB", maxMetricsBytes>>20)
	}
	var m Metrics
	if err := m.UnmarshalJSON(quoteNaN(data)); err != nil {
		return Metrics{}, fmt.Errorf("read metrics: %w", err)
	}
	return m, nil
}

// UnmarshalJSON reads the file's form.
func (m *Metrics) UnmarshalJSON(data []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("not a JSON object: %w", err)
	}
	*m = Metrics{}
	var values map[string]json.RawMessage
	var rows float64 // Python may write 455.0
	fields := map[string]any{
		"metrics": &values, "splits": &m.Splits, "higher_is_better": &m.HigherIsBetter, "params": &m.Params,
		"versions": &m.Versions, "n_train": &rows, "seconds": &m.Seconds, "seed": &m.Seed, "data_sha256": &m.DataSHA256,
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		field, known := fields[key]
		if !known {
			if m.Extra == nil {
				m.Extra = map[string]json.RawMessage{}
			}
			m.Extra[key] = all[key]
			continue
		}
		if err := json.Unmarshal(all[key], field); err != nil {
			return fmt.Errorf("%q has the wrong form: %w", key, err)
		}
	}
	m.NTrain = int(rows)
	if len(values) == 0 {
		return errors.New(`no metrics: "metrics" must hold at least one, as in {"metrics": {"accuracy": [0.95, 0.93]}}`)
	}
	m.Values = map[string][]float64{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list, err := readValues(values[name])
		if err != nil {
			return fmt.Errorf("metric %q %w", name, err)
		}
		m.Values[name] = list
	}
	return m.check()
}

// MarshalJSON writes the form that UnmarshalJSON reads, unknown keys included.
func (m Metrics) MarshalJSON() ([]byte, error) {
	all := map[string]any{}
	for key, v := range m.Extra {
		all[key] = v
	}
	all["metrics"] = m.Values
	for key, field := range map[string]struct {
		value any
		set   bool
	}{
		"splits": {m.Splits, m.Splits != nil}, "higher_is_better": {m.HigherIsBetter, m.HigherIsBetter != nil},
		"params": {m.Params, m.Params != nil}, "versions": {m.Versions, m.Versions != nil}, "n_train": {m.NTrain, m.NTrain != 0},
		"seconds": {m.Seconds, m.Seconds != 0}, "seed": {m.Seed, m.Seed != nil}, "data_sha256": {m.DataSHA256, m.DataSHA256 != ""},
	} {
		if field.set {
			all[key] = field.value
		}
	}
	return json.Marshal(all)
}

func (m *Metrics) check() error {
	if m.Seconds < 0 || m.NTrain < 0 {
		return errors.New(`"seconds" and "n_train" cannot be negative`)
	}
	if s := m.Splits; s != nil {
		switch {
		case s.TestFraction < 0 || s.TestFraction >= 1:
			return fmt.Errorf("splits: test_fraction is %v, and must lie between 0 and 1", s.TestFraction)
		case s.Folds < 0 || s.Repeats < 0 || s.Folds == 1:
			return fmt.Errorf("splits: %d folds and %d repeats make no sense", s.Folds, s.Repeats)
		}
	}
	return nil
}

// readValues reads a number or a list of numbers.
func readValues(raw json.RawMessage) ([]float64, error) {
	list := []json.RawMessage{raw}
	single := len(raw) == 0 || raw[0] != '['
	if !single {
		list = nil
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, fmt.Errorf("is no list: %w", err)
		}
		if len(list) == 0 {
			return nil, errors.New("has no values")
		}
	}
	values := make([]float64, 0, len(list))
	for i, item := range list {
		v, err := readValue(item)
		if err != nil {
			if !single {
				return nil, fmt.Errorf("%w (value %d of %d)", err, i+1, len(list))
			}
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

func readValue(raw json.RawMessage) (float64, error) {
	text := string(raw)
	switch text {
	case "null":
		return 0, errors.New("is null: the run did not measure it")
	case `"NaN"`:
		return 0, errors.New("is NaN: the run diverged, or divided by zero (as with a class that was never predicted)")
	case `"Infinity"`, `"-Infinity"`:
		return 0, errors.New("is infinite: the run diverged, or overflowed")
	}
	v, err := strconv.ParseFloat(text, 64)
	if errors.Is(err, strconv.ErrRange) && math.IsInf(v, 0) {
		return 0, fmt.Errorf("is infinite: %s is too large a number", clip(text))
	}
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("is no number or list of numbers but %s; put such results outside \"metrics\"", clip(text))
	}
	return v, nil
}

func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// quoteNaN puts quotes around the NaN and Infinity that Python's json writes
// bare, so that the rest can be read and the metric at fault be named.
func quoteNaN(data []byte) []byte {
	var out []byte
	inString := false
	for i := 0; i < len(data); i++ {
		c := data[i]
		if inString && c == '\\' && i+1 < len(data) {
			out = append(out, c, data[i+1])
			i++
			continue
		}
		if c == '"' {
			inString = !inString
		}
		if !inString {
			if word := bareWord(data[i:]); word != "" {
				out = strconv.AppendQuote(out, word)
				i += len(word) - 1
				continue
			}
		}
		out = append(out, c)
	}
	return out
}

func bareWord(data []byte) string {
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(data, []byte(word)) {
			return word
		}
	}
	return ""
}
