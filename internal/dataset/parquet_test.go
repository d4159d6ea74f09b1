package dataset_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"ml-intern/internal/dataset"
)

type place struct {
	City string   `parquet:"city"`
	Lat  *float64 `parquet:"lat,optional"`
}

type flower struct {
	ID      int64     `parquet:"id"`
	Width   *float64  `parquet:"width,optional"`
	Open    bool      `parquet:"open"`
	Seen    time.Time `parquet:"seen,timestamp(microsecond)"`
	Day     int32     `parquet:"day,date"`
	Cents   int64     `parquet:"cents,decimal(2:10)"`
	Note    string    `parquet:"note"`
	Tags    []string  `parquet:"tags,list"`
	Place   place     `parquet:"place"`
	Picture []byte    `parquet:"picture"`
	Species string    `parquet:"species,dict"`
}

// flowers writes n rows in row groups of 64.
func flowers(t testing.TB, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[flower](&b, parquet.MaxRowsPerRowGroup(64))
	for i := range n {
		width, lat := float64(i%17)+0.5, float64(i%5)
		f := flower{
			ID: int64(i + 1), Width: &width, Open: i%3 == 0, Day: 19000 + int32(i), Cents: 12345,
			Seen: time.Date(2024, 1, 1, i%24, 0, 0, 0, time.UTC), Note: fmt.Sprintf("%d", i%7),
			Place: place{City: []string{"Bern", "Zug"}[i%2], Lat: &lat}, Picture: []byte{0xff, 0, byte(i)},
			Species: []string{"setosa", "virginica", "versicolor"}[i%3],
		}
		if i%4 == 0 {
			f.Width = nil
		}
		for k := range i % 3 {
			f.Tags = append(f.Tags, fmt.Sprintf("t%d", k))
		}
		if _, err := w.Write([]flower{f}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestParquet(t *testing.T) {
	t.Parallel()
	path := write(t, "flowers.csv", flowers(t, 200)) // the content decides, not the name
	p, err := dataset.Inspect(t.Context(), path, dataset.Options{Target: "species"})
	if err != nil {
		t.Fatal(err)
	}
	if p.Format != "parquet" || p.Rows != 200 || p.RowsEstimated || p.HasHeader != nil || p.Encoding != "" {
		t.Errorf("got format %s, %d rows, header %v, encoding %q", p.Format, p.Rows, p.HasHeader, p.Encoding)
	}
	want := map[string]dataset.Kind{
		"id": dataset.KindID, "width": dataset.KindNumber, "open": dataset.KindBoolean, "seen": dataset.KindDatetime,
		"day": dataset.KindDatetime, "cents": dataset.KindConstant, "note": dataset.KindInteger, "tags": dataset.KindNested,
		"place.city": dataset.KindCategory, "place.lat": dataset.KindInteger, "picture": dataset.KindNested, "species": dataset.KindCategory,
	}
	if len(p.Columns) != len(want) {
		t.Errorf("got %d columns, want %d", len(p.Columns), len(want))
	}
	columns := map[string]dataset.Column{}
	for _, c := range p.Columns {
		columns[c.Name] = c
		if c.Kind != want[c.Name] {
			t.Errorf("column %s is %s, want %s (%v)", c.Name, c.Kind, want[c.Name], c.Examples)
		}
	}
	if got := columns["width"].Missing; got != 50 {
		t.Errorf("width misses %d, want 50", got)
	}
	if got := columns["cents"].Top; len(got) != 1 || got[0].Value != "123.45" {
		t.Errorf("cents is %v, want 123.45", got)
	}
	if got := columns["day"]; got.Earliest != "2022-01-08" || got.Latest != "2022-07-26" {
		t.Errorf("day runs from %s to %s", got.Earliest, got.Latest)
	}
	if got := p.Sample[2][7]; got != "[t0, t1]" {
		t.Errorf("tags of row 3 are %q", got)
	}
	if p.Target.Task != dataset.TaskMulticlass || p.Target.Metric != "accuracy" {
		t.Errorf("got target %+v", p.Target)
	}
}

func TestParquetCountsRowsItDoesNotRead(t *testing.T) {
	t.Parallel()
	p, err := dataset.Inspect(t.Context(), write(t, "f.parquet", flowers(t, 300)), dataset.Options{MaxRows: 100})
	if err != nil {
		t.Fatal(err)
	}
	if p.Rows != 300 || p.RowsRead != 100 || p.RowsEstimated {
		t.Errorf("got %d rows (estimated %v), %d read", p.Rows, p.RowsEstimated, p.RowsRead)
	}
}

// TestDamagedParquet flips bytes all over a file: each copy must give a
// profile or an error, and never a panic.
func TestDamagedParquet(t *testing.T) {
	t.Parallel()
	whole := flowers(t, 100)
	for at := 4; at < len(whole)-4; at += 53 {
		data := bytes.Clone(whole)
		data[at] ^= 0xff
		_, _ = dataset.Inspect(t.Context(), write(t, "f.parquet", data), dataset.Options{})
	}
}
