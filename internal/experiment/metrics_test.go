package experiment_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ml-intern/internal/experiment"
)

func TestReadMetrics(t *testing.T) {
	t.Parallel()
	m, err := experiment.ReadMetrics(strings.NewReader(`{
		"metrics": {"accuracy": [0.95, 0.93], "loss": 0.2},
		"splits": {"kind": "repeated_kfold", "folds": 5, "repeats": 2, "test_fraction": 0.2},
		"higher_is_better": {"accuracy": true},
		"params": {"depth": 3, "class_weight": NaN, "note": "Infinity, NaN and \" stay"},
		"versions": {"python": "3.11"}, "n_train": 455.0, "seconds": 3.2, "seed": 0, "data_sha256": "ab",
		"model": {"kind": "forest"}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]float64{"accuracy": {0.95, 0.93}, "loss": {0.2}}
	if d := cmp.Diff(want, m.Values); d != "" {
		t.Error(d)
	}
	if m.Splits.Folds != 5 || m.Seed == nil || *m.Seed != 0 || m.NTrain != 455 || m.Seconds != 3.2 || m.DataSHA256 != "ab" {
		t.Errorf("got %+v", m)
	}
	if m.Params["note"] != `Infinity, NaN and " stay` {
		t.Errorf("a string was changed: %q", m.Params["note"])
	}
	if string(m.Extra["model"]) != `{"kind": "forest"}` {
		t.Errorf("unknown keys are lost: %s", m.Extra)
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	again, err := experiment.ReadMetrics(strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	m.Extra["model"] = json.RawMessage(`{"kind":"forest"}`) // blanks may go
	if d := cmp.Diff(m, again); d != "" {
		t.Errorf("written and read again, it differs: %s", d)
	}
}

func TestReadMetricsRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, in, says string }{
		{"python NaN", `{"metrics": {"a": 1, "f1": [0.5, NaN, 0.7]}}`, `metric "f1" is NaN`},
		{"python NaN, where", `{"metrics": {"f1": [0.5, NaN, 0.7]}}`, `value 2 of 3`},
		{"single NaN", `{"metrics": {"f1": NaN}}`, `metric "f1" is NaN`},
		{"infinity", `{"metrics": {"loss": -Infinity}}`, `infinite`},
		{"overflow", `{"metrics": {"loss": [1e999]}}`, `infinite`},
		{"null", `{"metrics": {"loss": null}}`, `null`},
		{"text", `{"metrics": {"loss": "low"}}`, `no number`},
		{"nested", `{"metrics": {"confusion": [[1, 2], [3, 4]]}}`, `outside "metrics"`},
		{"boolean", `{"metrics": {"ok": true}}`, `no number`},
		{"empty list", `{"metrics": {"loss": []}}`, `no values`},
		{"no metrics", `{"seconds": 1}`, `no metrics`},
		{"not an object", `[1]`, `not a JSON object`},
		{"cut off", `{"metrics": {"a": [0.5`, `not a JSON object`},
		{"empty", ``, `not a JSON object`},
		{"folds in words", `{"metrics": {"a": 1}, "splits": {"kind": "kfold", "folds": "five"}}`, `"splits"`},
		{"fraction", `{"metrics": {"a": 1}, "splits": {"kind": "kfold", "test_fraction": 20}}`, `between 0 and 1`},
		{"one fold", `{"metrics": {"a": 1}, "splits": {"kind": "kfold", "folds": 1}}`, `1 folds`},
		{"time", `{"metrics": {"a": 1}, "seconds": -1}`, `negative`},
		{"bare NaN for a time", `{"metrics": {"a": 1}, "seconds": NaN}`, `"seconds"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m, err := experiment.ReadMetrics(strings.NewReader(tc.in))
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %+v, error %v; want an error with %q", m, err, tc.says)
			}
		})
	}
}

func FuzzReadMetrics(f *testing.F) {
	f.Add([]byte(`{"metrics": {"a": [1, NaN, -Infinity]}, "x": "\"NaN"}`))
	f.Add([]byte(`{"metrics": {"a": 1e-400}, "splits": {"kind": "kfold", "folds": 5}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := experiment.ReadMetrics(strings.NewReader(string(data)))
		if err != nil {
			return
		}
		if _, err := json.Marshal(m); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		for name := range m.Values {
			c, err := experiment.Compare([]experiment.Run{{Name: "a", Metrics: m}, {Name: "b", Metrics: m}}, name)
			if err != nil {
				continue
			}
			if _, err := json.Marshal(c); err != nil {
				t.Fatalf("a comparison cannot be written: %v", err)
			}
		}
	})
}
