package rows_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"ml-intern/internal/hub/hubserver/rows"
)

// A small Parquet file can stand for more than there is memory. It is refused,
// or read in part, before it takes that.
//
//nolint:paralleltest // it measures memory
func TestParquetBombs(t *testing.T) {
	type text struct {
		A string `parquet:"a"`
	}
	type list struct {
		A []int64 `parquet:"a"`
	}
	long := strings.Repeat("x", 17<<20)
	some := strings.Repeat("y", 1<<20)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"pages of millions": {written(t, 1, list{make([]int64, 17<<20)}, parquet.Compression(&parquet.Zstd)), "values"},
		"a long text":       {written(t, 1, text{long}, parquet.Compression(&parquet.Gzip)), "a row is longer"},
		"a long list":       {written(t, 1, list{make([]int64, 5<<19)}, parquet.Compression(&parquet.Snappy)), "a row is longer"},
		"LZ4":               {written(t, 1, text{"x"}, parquet.Compression(&parquet.Lz4Raw)), "LZ4"},
		"many texts":        {written(t, 20, text{some}, parquet.Compression(&parquet.Zstd)), ""},
		"no compression":    {written(t, 10, text{"x"}), ""},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		tab, err := table(t, "train.parquet", string(c.data))
		if err == nil {
			_, err = tab.First(t.Context())
		}
		runtime.ReadMemStats(&after)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(fmt.Sprintf("%+v", err)+cause(err), c.want)) {
			t.Errorf("%s (%d bytes): %v %s", name, len(c.data), err, cause(err))
		}
		if used := after.TotalAlloc - before.TotalAlloc; c.want != "" && used > 1500<<20 {
			t.Errorf("%s took %d MiB", name, used>>20)
		}
	}
}

func cause(err error) string {
	if e, ok := err.(*rows.Error); ok { //nolint:errorlint // as it is returned
		return e.Cause
	}
	return ""
}

func written[T any](t *testing.T, n int, row T, opts ...parquet.WriterOption) []byte {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[T](&out, append(opts, parquet.PageBufferSize(1<<30), parquet.ColumnIndexSizeLimit(func([]string) int { return 16 }))...)
	for range n {
		if _, err := w.Write([]T{row}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
