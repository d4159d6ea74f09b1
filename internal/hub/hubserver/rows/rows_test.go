package rows_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"ml-intern/internal/hub/card"
	"ml-intern/internal/hub/hubserver/rows"
)

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

func file(path string, data []byte) rows.File {
	return rows.File{Path: path, Size: int64(len(data)), Open: func() (rows.Content, error) { return memory{bytes.NewReader(data)}, nil }}
}

func named(paths ...string) (out []rows.File) {
	for _, p := range paths {
		out = append(out, file(p, nil))
	}
	return out
}

// table opens the only split of a file.
func table(t testing.TB, path, data string) (*rows.Table, error) {
	t.Helper()
	configs, err := rows.Layout([]rows.File{file(path, []byte(data))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return rows.NewCache().Table(t.Context(), "commit", configs[0], configs[0].Splits[0])
}

func show(configs []rows.Config) string {
	var out []string
	for _, c := range configs {
		for _, s := range c.Splits {
			var paths []string
			for _, f := range s.Files {
				paths = append(paths, f.Path)
			}
			out = append(out, fmt.Sprintf("%s/%s=%s", c.Name, s.Name, strings.Join(paths, ",")))
		}
	}
	return strings.Join(out, " ")
}

func TestLayout(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		meta  string
		paths []string
		want  string
	}{
		{"one file", "", []string{"stuff.csv", "README.md", "config.json", ".hidden.csv", "a/.x/b.csv"}, "default/train=stuff.csv"},
		{"names", "", []string{"train.jsonl", "dev.jsonl", "my_test_1.jsonl", "other.jsonl"}, "default/train=train.jsonl default/validation=dev.jsonl default/test=my_test_1.jsonl"},
		{"no word in a word", "", []string{"trainer.csv", "latest.csv"}, "default/train=latest.csv,trainer.csv"},
		{"folders", "", []string{"training/1.csv", "eval/2.csv", "train.csv"}, "default/train=training/1.csv default/test=eval/2.csv"},
		{"pushed", "", []string{"data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/odd-00000-of-00001-abc.parquet", "x.parquet"}, "default/train=data/train-00000-of-00002.parquet,data/train-00001-of-00002.parquet default/odd=data/odd-00000-of-00001-abc.parquet"},
		{"formats", "", []string{"a.csv", "b.json", "c.json.gz", "d.parquet"}, "default/train=b.json,c.json.gz"},
		{"a path", "configs: [{config_name: a, data_files: a.csv}, {config_name: b, data_files: [b.csv, c.csv]}]", []string{"a.csv", "b.csv", "c.csv", "d.csv"}, "a/train=a.csv b/train=b.csv,c.csv"},
		{"splits", "configs: [{config_name: a, data_files: [{split: x, path: 'x/*.csv'}, {split: y, path: ['y/**', 'z?.csv']}]}]", []string{"x/1.csv", "x/d/2.csv", "y/d/3.csv", "z1.csv"}, "a/x=x/1.csv a/y=y/d/3.csv,z1.csv"},
		{"a class", "configs: [{config_name: a, data_files: 'p[0-1].csv'}, {config_name: b, data_files: 'p[!0-1].csv'}]", []string{"p0.csv", "p1.csv", "p2.csv"}, "a/train=p0.csv,p1.csv b/train=p2.csv"},
		{"data_dir", "configs: [{config_name: a, data_dir: en}, {config_name: b, data_dir: fr, data_files: 't*'}]", []string{"en/train.csv", "en/test.csv", "fr/t.csv", "t.csv"}, "a/train=en/train.csv a/test=en/test.csv b/train=fr/t.csv"},
		{"a config without files", "configs: [{config_name: a, data_files: none.csv}, {config_name: b, data_files: b.csv}]", []string{"b.csv"}, "b/train=b.csv"},
		{"a pattern that is none", "configs: [{config_name: a, data_files: '[b.csv'}]", []string{"[b.csv"}, "a/train=[b.csv"},
	}
	for _, c := range cases {
		meta, err := card.Parse([]byte("---\n" + c.meta + "\n---\n")).Data()
		if err != nil {
			t.Fatal(err)
		}
		configs, err := rows.Layout(named(c.paths...), meta)
		if got := show(configs); err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, c.want)
		}
	}
	for meta, code := range map[string]string{"configs: 3": "ConfigNamesError", "": "EmptyDatasetError"} {
		data, _ := card.Parse([]byte("---\n" + meta + "\n---\n")).Data()
		_, err := rows.Layout(named("a.bin"), data)
		if e, ok := errors.AsType[*rows.Error](err); !ok || e.Code != code {
			t.Errorf("%q: %v", meta, err)
		}
	}
}

func cells(t testing.TB, tab *rows.Table, offset int64, n int) string {
	t.Helper()
	p, err := tab.At(t.Context(), offset, n)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range p.Rows {
		data, err := json.Marshal(r.Cells)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(data))
	}
	return strings.Join(out, "\n")
}

func TestFormats(t *testing.T) {
	t.Parallel()
	cases := []struct{ path, data, features, rows string }{
		{"a.csv", "a,b,a\n1,x,2\n", "a: int64\nb: string\na.1: int64\n", `{"a":1,"b":"x","a.1":2}`},
		{"a.csv", "\ufeffa,b\r\n1,\r\n2.5,\"q\"\"r\ns\"\r\n\r\n", "a: float64\nb: string\n", `{"a":1,"b":null}` + "\n" + `{"a":2.5,"b":"q\"r\ns"}`},
		{"a.csv", "a,b\n,True\n3,\n", "a: float64\nb: bool\n", `{"a":null,"b":true}` + "\n" + `{"a":3,"b":null}`},
		{"a.csv", "a\n", "a: null\n", ""},
		{"a.tsv", "a\tb\n1,5\tx\n", "a: string\nb: string\n", `{"a":"1,5","b":"x"}`},
		{"a.jsonl", `{"a":1,"b":[1,2.5]}` + "\n\n" + `{"b":null,"c":{"x":NaN}}`, "a: int64\nb: list<float64>\nc: struct\n  x: null\n", `{"a":1,"b":[1,2.5],"c":null}` + "\n" + `{"a":null,"b":null,"c":{"x":null}}`},
		{"a.json", `[{"a":"2020-01-01"},{"a":"2020-01-02 03:04:05"}]`, "a: timestamp[s]\n", `{"a":"2020-01-01T00:00:00"}` + "\n" + `{"a":"2020-01-02T03:04:05"}`},
		{"a.json", "{\n \"a\": 1\n}\n{\"a\": \"x\"}\n", "a: json\n", `{"a":1}` + "\n" + `{"a":"x"}`},
		{"a.jsonl", `{"a":[1]}` + "\n" + `{"a":{"x":"y"}}` + "\n" + `{"a":2.5}`, "a: json\n", `{"a":[1]}` + "\n" + `{"a":{"x":"y"}}` + "\n" + `{"a":2.5}`},
		{"a.jsonl", `{"a":"2020-01-01"}` + "\n" + `{"a":"x"}`, "a: string\n", `{"a":"2020-01-01"}` + "\n" + `{"a":"x"}`},
		{"a.jsonl", `{"a":true}` + "\n" + `{"a":1}`, "a: json\n", `{"a":true}` + "\n" + `{"a":1}`},
		{"a.json", `[{"a":[{"r":"u","c":"}]"}]}, {"a":[{"c":"d","z":[[]]}]}]`, "a: list of struct\n  r: string\n  c: string\n  z: list<list<null>>\n", `{"a":[{"r":"u","c":"}]","z":null}]}` + "\n" + `{"a":[{"r":null,"c":"d","z":[[]]}]}`},
		{"a.txt", "x\n\ny", "text: string\n", `{"text":"x"}` + "\n" + `{"text":""}` + "\n" + `{"text":"y"}`},
		{"a.jsonl", `{"a":true}`, "a: bool\n", `{"a":true}`},
	}
	for _, c := range cases {
		for _, ending := range []string{"", ".gz", ".zst"} {
			data := pack(t, c.data, ending)
			tab, err := table(t, c.path+ending, data)
			if err != nil {
				t.Errorf("%q: %v", c.data, err)
				continue
			}
			if got := cells(t, tab, 0, 10); tab.Features.Tree() != c.features || got != c.rows {
				t.Errorf("%s %q:\n%s\n%s\nwant\n%s\n%s", ending, c.data, tab.Features.Tree(), got, c.features, c.rows)
			}
		}
	}
}

func pack(t *testing.T, data, ending string) string {
	t.Helper()
	var out bytes.Buffer
	switch ending {
	case ".gz":
		w := gzip.NewWriter(&out)
		_, _ = w.Write([]byte(data)) // to memory
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	case ".zst":
		w, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(data))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	default:
		return data
	}
	return out.String()
}

func TestDamage(t *testing.T) {
	t.Parallel()
	for path, data := range map[string]string{
		"a.jsonl":   "{\"a\":1}\nnonsense\n",
		"b.json":    `[{"a":1},{"a":`,
		"c.json":    `[1,2]`,
		"d.csv":     "a,b\n1,2,3\n",
		"e.csv.gz":  "no gzip",
		"f.parquet": "PAR1 no parquet PAR1",
		"g.csv":     strings.Repeat("a,", 6000) + "\n",
		"h.csv.zst": "no zstd",
	} {
		_, err := table(t, path, data)
		if e, ok := errors.AsType[*rows.Error](err); !ok || e.Status != http.StatusInternalServerError || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	// A Parquet file with any byte changed is read, or refused with an error.
	type row struct {
		A string   `parquet:"a,dict"`
		B []int64  `parquet:"b,list"`
		C *float64 `parquet:"c,optional"`
	}
	var out bytes.Buffer
	w := parquet.NewGenericWriter[row](&out)
	for i := range 200 {
		if _, err := w.Write([]row{{A: fmt.Sprint(i % 9), B: []int64{int64(i), 2}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		bad := slices.Clone(out.Bytes())
		bad[r.IntN(len(bad))] ^= byte(1 << r.IntN(8))
		if tab, err := table(t, "a.parquet", string(bad)); err == nil {
			_, _ = tab.At(t.Context(), 0, 100)
		}
	}
}

func scores(t testing.TB) *rows.Table {
	t.Helper()
	tab, err := table(t, "a.jsonl", `{"n":1,"s":"it's","f":0.5,"b":true,"w":"2024-01-01","l":[1]}
{"n":2,"s":"B","f":null,"b":false,"w":"2024-02-01","l":[1,2]}
{"n":3,"s":null,"f":2.5,"b":null,"w":"2024-03-01","l":[]}
{"n":10,"s":"a","f":-1,"b":true,"w":"2024-04-01","l":null}
`)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func TestWhere(t *testing.T) {
	t.Parallel()
	tab := scores(t)
	cases := []struct{ where, order, want string }{
		{`"n" >= 2`, "", "1 2 3"},
		{`n = 1 OR n = 3 AND "f" > 2`, "", "0 2"},
		{`(n = 1 OR n = 3) AND "f" > 2`, "", "2"},
		{`"s" = 'it''s'`, "", "0"},
		{`'B' = "s"`, "", "1"},
		{`"s" <> 'B'`, "", "0 3"}, // what is missing is not different either
		{`NOT "s" = 'B'`, "", "0 3"},
		{`"s" IS NULL`, "", "2"},
		{`"s" IS NOT NULL and not b is null`, "", "0 1 3"},
		{`"b" = true`, "", "0 3"},
		{`"b" = FALSE OR "f" < -.5e0`, "", "1 3"},
		{`"w" > '2024-02-15'`, "", "2 3"},
		{`"n" = '10'`, "", "3"},
		{`"n" < "f"`, "", ""},
		{`"s" > 3`, "", ""},
		{`NOT ("s" > 3)`, "", ""},
		{`NOT NOT "n" = 1`, "", "0"},
		{`"f" = NULL`, "", ""},
		{``, `"s"`, "1 3 0 2"},
		{``, `"n" DESC`, "3 2 1 0"},
		{`"n" > 1`, `"f" ASC`, "3 2 1"},
		{``, `f desc`, "2 0 3 1"},
	}
	for _, c := range cases {
		p, err := tab.Find(t.Context(), rows.Query{Where: c.where, Order: c.order}, 0, 100)
		var got []string
		for _, r := range p.Rows {
			got = append(got, fmt.Sprint(r.Index))
		}
		if err != nil || strings.Join(got, " ") != c.want || p.Total != int64(len(got)) {
			t.Errorf("%s %s: %v, %v; want %s", c.where, c.order, got, err, c.want)
		}
	}
	for _, q := range []rows.Query{
		{Where: `"x" = 1`},
		{Where: `"n" =`},
		{Where: `"n" 1`},
		{Where: `= 1`},
		{Where: `("n" = 1`},
		{Where: `"n" = 1)`},
		{Where: `"n" = 1; DROP`},
		{Where: `"n`},
		{Where: `'a`},
		{Where: `"n" IS 3`},
		{Where: `"n" = 1 AND`},
		{Where: strings.Repeat("(", 1000)},
		{Where: strings.Repeat("NOT ", 20000) + "n=1"},
		{Where: "n = 1.2.3"},
		{Where: "n = -"},
		{Where: "\xff"},
		{Order: `"x"`},
		{Order: `"n" UP`},
		{Order: `'n'`},
		{Order: `"n", "s"`},
		{Order: "3"},
	} {
		_, err := tab.Find(t.Context(), q, 0, 1)
		if e, ok := errors.AsType[*rows.Error](err); !ok || e.Status != http.StatusUnprocessableEntity {
			t.Errorf("%.60q: %v", q, err)
		}
	}
}

func FuzzWhere(f *testing.F) {
	for _, seed := range []string{`"n" >= 2 AND NOT ("s" = 'a''b' OR b IS NOT NULL)`, `n=-1e5`, `"n" <> "f"`, `(((n=1)))`, `'`, `"w" < '2024-01-01'`} {
		f.Add(seed, `"n" DESC`)
	}
	tab := scores(f)
	f.Fuzz(func(t *testing.T, where, order string) {
		p, err := tab.Find(t.Context(), rows.Query{Where: where, Order: order}, 0, 100)
		if err != nil {
			if _, ok := errors.AsType[*rows.Error](err); !ok {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		if p.Total > 4 || int64(len(p.Rows)) != p.Total {
			t.Fatalf("%q finds %d of 4", where, p.Total)
		}
	})
}

func FuzzTables(f *testing.F) {
	for _, name := range []string{"a.csv", "a.tsv", "a.json", "a.jsonl", "a.txt"} {
		f.Add(name, []byte("a,b\n\"1\",2\n"))
		f.Add(name, []byte(`{"a":[{"b":1}]}`+"\n"+`{"a":[{"c":"d"}]}`))
		f.Add(name, []byte(`[{"a":NaN},{"a":"2020-01-01"}]`))
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		configs, err := rows.Layout([]rows.File{file(name, data)}, nil)
		if err != nil || configs[0].Format == "parquet" {
			return
		}
		tab, err := rows.NewCache().Table(t.Context(), "c", configs[0], configs[0].Splits[0])
		if err != nil {
			return
		}
		p, err := tab.First(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(p.Rows); err != nil {
			t.Fatal(err)
		}
		stats, err := tab.Statistics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(stats); err != nil {
			t.Fatal(err)
		}
	})
}

func TestLongCellsAreCut(t *testing.T) {
	t.Parallel()
	var data strings.Builder
	for range 30 {
		fmt.Fprintf(&data, `{"id":1,"text":%q,"list":[%q]}`+"\n", "x"+strings.Repeat("é", 50_000), "x")
	}
	tab, err := table(t, "a.jsonl", data.String())
	if err != nil {
		t.Fatal(err)
	}
	p, err := tab.First(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, _ := json.Marshal(p.Rows)
	if len(p.Rows) != 30 || len(out) > 1<<20 || bytes.Contains(out, []byte("\ufffd")) || bytes.Contains(out, []byte(`\ufffd`)) || p.Rows[0].Truncated != nil || fmt.Sprint(p.Rows[29].Truncated) != "[text]" {
		t.Errorf("%d rows in %d bytes, cut %v … %v", len(p.Rows), len(out), p.Rows[0].Truncated, p.Rows[29].Truncated)
	}
	if full, err := tab.At(t.Context(), 29, 1); err != nil || full.Rows[0].Truncated != nil {
		t.Errorf("a row by its number is cut: %v, %v", full.Rows[0].Truncated, err)
	}
}

func TestStatistics(t *testing.T) {
	t.Parallel()
	stats, err := scores(t).Statistics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"n": `{"column_name":"n","column_type":"int","column_statistics":{"histogram":{"bin_edges":[1,2,3,4,5,6,7,8,9,10,10],"hist":[1,1,1,0,0,0,0,0,0,1]},"max":10,"mean":4,"median":2.5,"min":1,"nan_count":0,"nan_proportion":0,"std":4.08248}}`,
		"s": `{"column_name":"s","column_type":"string_label","column_statistics":{"frequencies":{"B":1,"a":1,"it's":1},"n_unique":3,"nan_count":1,"nan_proportion":0.25}}`,
		"b": `{"column_name":"b","column_type":"bool","column_statistics":{"frequencies":{"False":1,"True":2},"nan_count":1,"nan_proportion":0.25}}`,
		"l": `{"column_name":"l","column_type":"list","column_statistics":{"histogram":{"bin_edges":[0,1,2,2],"hist":[1,1,1]},"max":2,"mean":1,"median":1,"min":0,"nan_count":1,"nan_proportion":0.25,"std":1}}`,
	}
	for _, c := range stats.Columns {
		got, err := json.Marshal(c)
		if w, ok := want[c.Name]; err != nil || ok && string(got) != w {
			t.Errorf("%s: %s, %v\nwant %s", c.Name, got, err, w)
		}
	}
	if stats.Rows != 4 || len(stats.Columns) != 6 {
		t.Errorf("%+v", stats)
	}
}

// Many who ask at once cause one look; one who gives up does not stop others.
func TestCache(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	opened := 0
	f := file("a.csv", []byte("a\n1\n"))
	open := f.Open
	f.Open = func() (rows.Content, error) {
		mu.Lock()
		defer mu.Unlock()
		opened++
		return open()
	}
	configs, err := rows.Layout([]rows.File{f}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cache := rows.NewCache()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cache.Table(gone, "x", configs[0], configs[0].Splits[0]); err == nil {
		t.Error("one who is gone got a table")
	}
	before := opened
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := cache.Table(t.Context(), "x", configs[0], configs[0].Splits[0]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if opened-before != 2 { // to see what it is, and to count
		t.Errorf("opened %d times", opened-before)
	}
	for i := range 200 {
		if _, err := cache.Table(t.Context(), fmt.Sprint(i), configs[0], configs[0].Splits[0]); err != nil {
			t.Fatal(err)
		}
	}
	before = opened
	if _, err := cache.Table(t.Context(), "x", configs[0], configs[0].Splits[0]); err != nil || opened == before {
		t.Error("the cache forgets nothing")
	}
}
