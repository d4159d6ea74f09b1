package dataset_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/dataset"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	good := rows("x,y\n", 20, func(i int) string { return fmt.Sprintf("%d,%c\n", i, 'a'+i%2) })
	for _, tc := range []struct {
		name, file string
		data       []byte
		opts       dataset.Options
		code       dataset.Code
		says       string // in the message or hint
	}{
		{name: "empty", file: "a.csv", code: dataset.CodeEmpty, says: "0 bytes"},
		{name: "blank", file: "a.csv", data: []byte(" \n\r\n"), code: dataset.CodeEmpty, says: "only blanks"},
		{name: "bom only", file: "a.csv", data: []byte("\xef\xbb\xbf"), code: dataset.CodeEmpty},
		{name: "comments only", file: "a.csv", data: []byte("# a,b\n# c,d\n# e\n"), code: dataset.CodeEmpty, says: "only comments"},
		{name: "empty gzip", file: "a.csv.gz", data: gzipped(nil), code: dataset.CodeEmpty, says: "decompressed"},
		{name: "empty array", file: "a.json", data: []byte("[]"), code: dataset.CodeEmpty},
		{name: "header only", file: "a.csv", data: []byte("a,b,c\n"), code: dataset.CodeHeaderOnly, says: "no rows"},
		{name: "one column", file: "a.csv", data: []byte("name\nann\nbob\n"), code: dataset.CodeOneColumn, says: `"name"`},
		{name: "one column of sentences", file: "a.txt", data: []byte("Once upon a time\nthere was,\nand so on\nthe end.\n"), code: dataset.CodeOneColumn},
		{name: "blanks for separators", file: "a.data", data: []byte("1 2 3\n4 5 6\n7 8 9\n"), code: dataset.CodeOneColumn, says: `\s+`},
		{name: "one json key", file: "a.jsonl", data: []byte("{\"a\":1}\n{\"a\":2}\n"), code: dataset.CodeOneColumn, says: `"a"`},
		{name: "target absent", file: "a.csv", data: []byte("sepal_length,Species_name\n1,a\n"), opts: dataset.Options{Target: "species"}, code: dataset.CodeTargetAbsent, says: `Did you mean "Species_name"?`},
		{name: "target absent, nothing near", file: "a.csv", data: good, opts: dataset.Options{Target: "revenue"}, code: dataset.CodeTargetAbsent, says: `"x" and "y"`},
		{name: "target absent, no header", file: "a.csv", data: []byte("1,2\n3,4\n5,6\n"), opts: dataset.Options{Target: "age"}, code: dataset.CodeTargetAbsent, says: "no header row"},
		{name: "target absent in jsonl", file: "a.jsonl", data: []byte("{\"a\":1,\"b\":2}\n{\"a\":2,\"label\":3}\n"), opts: dataset.Options{Target: "lable"}, code: dataset.CodeTargetAbsent, says: `"label"`},
		{name: "target constant", file: "a.csv", data: rows("x,y\n", 20, func(i int) string { return fmt.Sprintf("%d,same\n", i) }), opts: dataset.Options{Target: "y"}, code: dataset.CodeTargetConstant, says: `"same"`},
		{name: "target mostly missing", file: "a.csv", data: rows("x,y\n", 40, func(i int) string { return fmt.Sprintf("%d,%s\n", i, []string{"", "NA", "1", "?"}[i%4]) }), opts: dataset.Options{Target: "y"}, code: dataset.CodeTargetMissing, says: "30 of 40"},
		{name: "target of names", file: "a.csv", data: rows("x,y\n", 40, func(i int) string { return fmt.Sprintf("%d,person %d\n", i, i) }), opts: dataset.Options{Target: "y"}, code: dataset.CodeTargetUnusable, says: "40 different texts"},
		{name: "target of dates", file: "a.csv", data: rows("x,y\n", 40, func(i int) string { return fmt.Sprintf("%d,2024-01-%02d\n", i, i%9+1) }), opts: dataset.Options{Target: "y"}, code: dataset.CodeTargetUnusable, says: "dates"},
		{name: "too few rows", file: "a.csv", data: []byte("x,y\n1,a\n2,b\n3,a\n"), opts: dataset.Options{Target: "y"}, code: dataset.CodeTooFewRows, says: "3 rows"},
		{name: "too few labelled rows", file: "a.csv", data: rows("x,y\n", 14, func(i int) string { return fmt.Sprintf("%d,%s\n", i, []string{"a", "b", ""}[min(i%5, 2)]) }), opts: dataset.Options{Target: "y"}, code: dataset.CodeTargetMissing},
		{name: "too large", file: "a.csv", data: good, opts: dataset.Options{AvailableMemory: 400}, code: dataset.CodeTooLarge, says: "400 bytes are free"},
		{name: "too large once decompressed", file: "a.csv.gz", data: gzipped(bytes.Repeat([]byte("1,2\n"), 50_000)), opts: dataset.Options{AvailableMemory: 900_000}, code: dataset.CodeTooLarge, says: "200 kB"},
		{name: "xlsx", file: "a.csv", data: []byte("PK\x03\x04\x14\x00\x06\x00[Content_Types].xml"), code: dataset.CodeUnsupportedFormat, says: "Save the sheet as CSV"},
		{name: "zip", file: "a.zip", data: []byte("PK\x03\x04\x14\x00\x06\x00data.csv"), code: dataset.CodeUnsupportedFormat, says: "Unzip"},
		{name: "pdf", file: "a.csv", data: []byte("%PDF-1.7\n"), code: dataset.CodeUnsupportedFormat, says: "PDF"},
		{name: "pickle", file: "a.pkl", data: []byte("\x80\x04\x95\x10\x00\x00"), code: dataset.CodeUnsupportedFormat, says: "can run code"},
		{name: "png", file: "a.csv", data: []byte("\x89PNG\r\n\x1a\n"), code: dataset.CodeUnsupportedFormat, says: "PNG"},
		{name: "sqlite", file: "a.db", data: []byte("SQLite format 3\x00"), code: dataset.CodeUnsupportedFormat, says: "sqlite3 -header"},
		{name: "git lfs pointer", file: "a.csv", data: []byte("version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n"), code: dataset.CodeUnsupportedFormat, says: "git lfs pull"},
		{name: "web page", file: "a.csv", data: []byte("<!DOCTYPE html>\n<html><body>404, not found</body></html>"), code: dataset.CodeUnsupportedFormat, says: "web page"},
		{name: "rich text", file: "a.csv", data: []byte(`{\rtf1\ansi a,b`), code: dataset.CodeUnsupportedFormat, says: "plain text"},
		{name: "arff", file: "a.arff", data: []byte("@relation iris\n@attribute x numeric\n"), code: dataset.CodeUnsupportedFormat, says: "ARFF"},
		{name: "binary", file: "a.csv", data: []byte("a,b\x00\x01\x02\x03,c\n"), code: dataset.CodeUnsupportedFormat, says: "binary"},
		{name: "tar in gzip", file: "a.tgz", data: gzipped(append(make([]byte, 257), "ustar\x0000"...)), code: dataset.CodeUnsupportedFormat, says: "tar archive"},
		{name: "one json object", file: "a.json", data: []byte("{\n \"a\": [1, 2],\n \"b\": [3, 4]\n}\n"), code: dataset.CodeUnsupportedFormat, says: "orient"},
		{name: "one json object on a line", file: "a.json", data: []byte(`{"a":[1,2],"b":[3,4]}`), code: dataset.CodeUnsupportedFormat, says: "orient"},
		{name: "array of arrays", file: "a.json", data: []byte(`[[1,2],[3,4]]`), code: dataset.CodeMalformed, says: "object"},
		{name: "cut gzip", file: "a.csv.gz", data: cutGzip(), code: dataset.CodeMalformed, says: "cut off"},
		{name: "open quote", file: "a.csv", data: []byte("a,b\n1,2\n3,\"four\n5,6\n7,8\n"), code: dataset.CodeMalformed, says: "line 3"},
		{name: "broken json line", file: "a.jsonl", data: []byte("{\"a\":1,\"b\":2}\n{\"a\":1,\"b\":\n{\"a\":3,\"b\":4}\n"), code: dataset.CodeMalformed, says: "line 2"},
		{name: "invalid json value", file: "a.jsonl", data: []byte("{\"a\":1,\"b\":2}\n{\"a\":1,\"b\":oops}\n"), code: dataset.CodeMalformed, says: "line 2"},
		{name: "cut json array", file: "a.json", data: []byte("[{\"a\":1,\"b\":2},\n{\"a\":1,"), code: dataset.CodeMalformed, says: "line 2"},
		{name: "cut parquet", file: "a.parquet", data: []byte("PAR1 and then nothing"), code: dataset.CodeMalformed, says: "Parquet"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p, err := dataset.Inspect(t.Context(), write(t, tc.file, tc.data), tc.opts)
			refused(t, p, err, tc.code, tc.says)
			if !strings.Contains(err.Error(), tc.file) {
				t.Errorf("the file is not named: %v", err)
			}
		})
	}
}

func refused(t *testing.T, p *dataset.Profile, err error, code dataset.Code, says string) {
	t.Helper()
	e, ok := errors.AsType[*dataset.Error](err)
	if !ok {
		t.Fatalf("profile %+v, error %v; want a dataset.Error with code %s", p, err, code)
	}
	if e.Code != code || !strings.Contains(e.Error(), says) {
		t.Errorf("code %s: %s\nwant code %s and %q", e.Code, e, code, says)
	}
	if e.Hint == "" || !strings.HasSuffix(strings.TrimSpace(e.Message), ".") && !strings.HasSuffix(e.Message, `"`) {
		t.Errorf("want a sentence and a hint, got %q and %q", e.Message, e.Hint)
	}
}

func TestMissingFileSuggestsItsNeighbours(t *testing.T) {
	t.Parallel()
	path := write(t, "iris.csv", []byte("a,b\n1,2\n"))
	dir := filepath.Dir(path)

	_, err := dataset.Inspect(t.Context(), filepath.Join(dir, "irsi.csv"), dataset.Options{})
	refused(t, nil, err, dataset.CodeNotFound, `"iris.csv"`)

	_, err = dataset.Inspect(t.Context(), dir, dataset.Options{})
	refused(t, nil, err, dataset.CodeIsDirectory, `"iris.csv"`)
}

func TestCancelledInspectionEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := dataset.Inspect(ctx, write(t, "a.csv", []byte("a,b\n1,2\n")), dataset.Options{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestBudgetMakesEstimates(t *testing.T) {
	t.Parallel()
	const n = 20_000
	data := rows("id,x,y\n", n, func(i int) string { return fmt.Sprintf("%06d,%d.5,%c\n", i, i%97, 'a'+i%2) })
	for _, tc := range []struct {
		name, file string
		data       []byte
		opts       dataset.Options
	}{
		{"bytes", "a.csv", data, dataset.Options{MaxBytes: 100_000, Target: "y"}},
		{"rows", "a.csv", data, dataset.Options{MaxRows: 5000, Target: "y"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p, err := dataset.Inspect(t.Context(), write(t, tc.file, tc.data), tc.opts)
			if err != nil {
				t.Fatal(err)
			}
			if !p.RowsEstimated || p.RowsRead == 0 || p.RowsRead >= n || p.Rows < n*9/10 || p.Rows > n*11/10 {
				t.Errorf("rows %d (estimated %v) from %d read; want about %d", p.Rows, p.RowsEstimated, p.RowsRead, n)
			}
		})
	}
	p, err := dataset.Inspect(t.Context(), write(t, "a.csv", data), dataset.Options{MaxRows: n})
	if err != nil || p.RowsEstimated || p.Rows != n {
		t.Errorf("a budget that is just enough: rows %d, estimated %v, error %v", p.Rows, p.RowsEstimated, err)
	}
}

// TestLongTextInOtherEncodings has signs of several bytes at every offset of
// the pieces a file is read in.
func TestLongTextInOtherEncodings(t *testing.T) {
	t.Parallel()
	plain := rows("ville,n\n", 30_000, func(i int) string {
		return fmt.Sprintf("%s,%d\n", []string{"Orléans", "Besançon", "Łódź"}[i%3], i%7)
	})
	narrow := bytes.ReplaceAll(plain, []byte("Łódź"), []byte("Nîmes"))
	for encoding, data := range map[string][]byte{"utf-8": plain, "utf-16": wide(plain), "latin-1": latin1(narrow)} {
		p, err := dataset.Inspect(t.Context(), write(t, "a.csv", data), dataset.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if p.Encoding != encoding || p.Rows != 30_000 || p.Columns[0].Distinct != 3 {
			t.Errorf("%s: read as %s with %d rows and %v", encoding, p.Encoding, p.Rows, p.Columns[0].Top)
		}
	}
}

func TestManyDistinctValuesAreEstimatedClosely(t *testing.T) {
	t.Parallel()
	const n = 200_000
	p, err := dataset.Inspect(t.Context(), write(t, "a.csv", rows("code,x,y\n", n, func(i int) string {
		return fmt.Sprintf("u%d,%d,%c\n", i, i%150_000, 'a'+i%2)
	})), dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{n, 150_000} {
		c := p.Columns[i]
		if !c.Estimated || c.Distinct < want*97/100 || c.Distinct > want*103/100 {
			t.Errorf("column %s: %d distinct (estimated %v), want about %d", c.Name, c.Distinct, c.Estimated, want)
		}
	}
	if p.Columns[0].Kind != dataset.KindID {
		t.Errorf("code is %s, want id", p.Columns[0].Kind)
	}
}

func TestAvailableMemoryIsPlausible(t *testing.T) {
	t.Parallel()
	n := dataset.AvailableMemory()
	if _, err := os.Stat("/proc/meminfo"); err == nil && n < 1<<20 {
		t.Errorf("got %d bytes", n)
	}
}

func cutGzip() []byte {
	var plain bytes.Buffer
	for i := range 5000 {
		fmt.Fprintf(&plain, "%d,%d\n", i*7919%10007, i*104729%99991)
	}
	packed := gzipped(plain.Bytes())
	return packed[:len(packed)/2]
}
