package dataset_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ml-intern/internal/dataset"
)

// FuzzInspect feeds any bytes: the result is a profile that adds up, or an
// error in a sentence; never a panic, and never without bounds.
func FuzzInspect(f *testing.F) {
	for _, tc := range tables {
		if len(tc.data) < 4000 {
			f.Add(tc.data, tc.target)
		}
	}
	f.Add([]byte("a,\"b\"\"c\n\",d\r\n1;2|3\t4,,\n\"x"), "a")
	f.Add([]byte("{\"a\":1}\n{\"a\":{\"b\":[1,NaN,\"\\\"\"]}}\n[]"), "a")
	f.Add([]byte("[{\"a\":-Infinity,\"b\":1e999},{}]"), "b")
	f.Add([]byte("\xff\xfea\x00,\x00b\x00\n\x00\x00\xd8"), "")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, target string) {
		path := filepath.Join(dir, "fuzz.csv")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := dataset.Inspect(t.Context(), path, dataset.Options{Target: target})
		if err != nil {
			if e, ok := errors.AsType[*dataset.Error](err); !ok || e.Message == "" || e.Hint == "" {
				t.Fatalf("untyped error: %v", err)
			}
			return
		}
		if _, err := json.Marshal(p); err != nil {
			t.Fatalf("profile is no JSON: %v", err)
		}
		addsUp(t, p)
	})
}

func addsUp(t *testing.T, p *dataset.Profile) {
	t.Helper()
	names := map[string]bool{}
	for _, c := range p.Columns {
		if names[c.Name] {
			t.Fatalf("two columns are called %q", c.Name)
		}
		names[c.Name] = true
		if c.Missing < 0 || c.Missing > p.Rows || c.Distinct < 0 || c.Distinct > p.Rows-c.Missing {
			t.Fatalf("column %+v does not add up over %d rows", c, p.Rows)
		}
		var top int64
		for _, v := range c.Top {
			top += v.Count
		}
		if top > p.Rows-c.Missing {
			t.Fatalf("column %+v counts more values than it has", c)
		}
	}
	if p.ColumnCount != len(p.Columns)+p.ColumnsOmitted || p.DuplicateRows >= p.Rows {
		t.Fatalf("%d columns, %d shown, %d omitted; %d of %d rows repeat", p.ColumnCount, len(p.Columns), p.ColumnsOmitted, p.DuplicateRows, p.Rows)
	}
	if target := p.Target; target != nil && target.Labelled+target.Missing != p.Rows {
		t.Fatalf("target %+v does not add up over %d rows", target, p.Rows)
	}
}
