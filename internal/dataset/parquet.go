package dataset

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// parquetRows is the rowReader of Parquet, one row group after the other.
type parquetRows struct {
	file   *parquet.File
	leaves []leaf
	names  []string
	group  int
	rows   parquet.Rows
	batch  []parquet.Row
	have   []parquet.Row // rows of the batch not yet given
	read   int64
	cells  []cell
	texts  [][]byte // each column's text, reused
}

// A leaf is a column of plain values, and how to write them.
type leaf struct {
	repeated bool
	write    func(dst []byte, v parquet.Value) ([]byte, cellType)
}

const parquetBatch = 64

func (s *source) prepareParquet(opts Options) (err error) {
	defer recoverDamaged(&err)
	f, err := parquet.OpenFile(s.file, s.size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return malformed("Download or write it again.", "the Parquet file is damaged or cut off (%v).", err)
	}
	var size int64
	for _, g := range f.Metadata().RowGroups {
		size += g.TotalByteSize
	}
	if err := checkFits(s.name, max(size, s.size), opts); err != nil {
		return err
	}
	p := &parquetRows{file: f, batch: make([]parquet.Row, parquetBatch)}
	for _, path := range f.Schema().Columns() {
		column, ok := f.Schema().Lookup(path...)
		if !ok {
			return malformed("Download or write it again.", "the Parquet schema does not describe its column %q.", strings.Join(path, "."))
		}
		p.names = append(p.names, parquetName(path))
		p.leaves = append(p.leaves, leaf{column.MaxRepetitionLevel > 0, writerOf(column.Node.Type())})
	}
	p.cells = make([]cell, len(p.leaves))
	p.texts = make([][]byte, len(p.leaves))
	s.format, s.rows = "parquet", p
	return nil
}

// recoverDamaged makes an error of the panics with which the decoder meets
// some damaged files.
func recoverDamaged(err *error) {
	if r := recover(); r != nil {
		*err = malformed("Download or write it again.", "the Parquet file is damaged (%v).", r)
	}
}

// parquetName joins a column's path, less the levels that lists are stored by.
func parquetName(path []string) string {
	name := strings.Join(path, ".")
	for _, suffix := range []string{".list.element", ".list.item", ".bag.array_element", ".array"} {
		name = strings.ReplaceAll(name, suffix, "")
	}
	return strings.ReplaceAll(name, ".key_value.", ".")
}

func (p *parquetRows) header() []string { return p.names }
func (p *parquetRows) offset() int64    { return p.read }
func (p *parquetRows) total() int64     { return p.file.NumRows() }

func (p *parquetRows) next() (r row, err error) {
	defer recoverDamaged(&err)
	if len(p.have) == 0 {
		if err := p.fill(); err != nil {
			return row{}, err
		}
	}
	values := p.have[0]
	p.have = p.have[1:]
	for i := range p.cells {
		p.cells[i] = cell{typed: typedNull}
		p.texts[i] = p.texts[i][:0]
	}
	for _, v := range values {
		p.set(v)
	}
	for i, l := range p.leaves {
		p.cells[i].text = p.texts[i]
		if l.repeated && p.cells[i].typed == typedNested {
			p.cells[i].text = append(p.texts[i], ']')
		}
		p.read += int64(len(p.cells[i].text))
	}
	return row{cells: p.cells, width: len(p.cells)}, nil
}

// set adds one value to its column's cell; repeated ones are listed.
func (p *parquetRows) set(v parquet.Value) {
	i := v.Column()
	if i < 0 || i >= len(p.leaves) || v.IsNull() {
		return
	}
	l := p.leaves[i]
	if !l.repeated {
		p.texts[i], p.cells[i].typed = l.write(p.texts[i], v)
		return
	}
	p.cells[i].typed = typedNested
	switch n := len(p.texts[i]); {
	case n == 0:
		p.texts[i] = append(p.texts[i], '[')
	case n > 4096: // enough to tell lists apart
		return
	default:
		p.texts[i] = append(p.texts[i], ", "...)
	}
	p.texts[i], _ = l.write(p.texts[i], v)
}

// fill reads the next batch, from the next row group where one ends.
func (p *parquetRows) fill() error {
	for {
		if p.rows == nil {
			groups := p.file.RowGroups()
			if p.group >= len(groups) {
				return io.EOF
			}
			p.rows = groups[p.group].Rows()
			p.group++
		}
		n, err := p.rows.ReadRows(p.batch)
		if err != nil && !errors.Is(err, io.EOF) {
			p.rows.Close()
			return malformed("Download or write it again.", "the Parquet file is damaged in row group %d (%v).", p.group, err)
		}
		if err != nil {
			if err := p.rows.Close(); err != nil {
				return fmt.Errorf("close row group %d: %w", p.group, err)
			}
			p.rows = nil
		}
		if n > 0 {
			p.have = p.batch[:n]
			return nil
		}
	}
}

// writerOf chooses how a column's values are written as text.
func writerOf(t parquet.Type) func([]byte, parquet.Value) ([]byte, cellType) {
	if logical := t.LogicalType(); logical != nil {
		switch l := logical.Value.(type) {
		case *format.TimestampType:
			return writeTimestamp(l.Unit)
		case *format.DateType:
			return writeDate
		case *format.DecimalType:
			return writeDecimal(int(l.Scale))
		case *format.IntType:
			if !l.IsSigned {
				return func(dst []byte, v parquet.Value) ([]byte, cellType) {
					if v.Kind() == parquet.Int32 {
						return strconv.AppendUint(dst, uint64(v.Uint32()), 10), typedNumber
					}
					return strconv.AppendUint(dst, v.Uint64(), 10), typedNumber
				}
			}
		}
	}
	if converted := t.ConvertedType(); converted != nil {
		switch *converted {
		case deprecated.Date:
			return writeDate
		case deprecated.TimestampMillis:
			return func(dst []byte, v parquet.Value) ([]byte, cellType) {
				return appendTime(dst, time.UnixMilli(v.Int64()))
			}
		case deprecated.TimestampMicros:
			return func(dst []byte, v parquet.Value) ([]byte, cellType) {
				return appendTime(dst, time.UnixMicro(v.Int64()))
			}
		}
	}
	return writePlain
}

func appendTime(dst []byte, t time.Time) ([]byte, cellType) {
	return t.UTC().AppendFormat(dst, time.RFC3339Nano), typedTime
}

func writeTimestamp(unit format.TimeUnit) func([]byte, parquet.Value) ([]byte, cellType) {
	return func(dst []byte, v parquet.Value) ([]byte, cellType) {
		switch unit.Value.(type) {
		case *format.MilliSeconds:
			return appendTime(dst, time.UnixMilli(v.Int64()))
		case *format.MicroSeconds:
			return appendTime(dst, time.UnixMicro(v.Int64()))
		}
		return appendTime(dst, time.Unix(0, v.Int64()))
	}
}

func writeDate(dst []byte, v parquet.Value) ([]byte, cellType) {
	return time.Unix(int64(v.Int32())*86400, 0).UTC().AppendFormat(dst, time.DateOnly), typedTime
}

// writeDecimal reads the unscaled integer, whichever way it is stored.
func writeDecimal(scale int) func([]byte, parquet.Value) ([]byte, cellType) {
	return func(dst []byte, v parquet.Value) ([]byte, cellType) {
		n := new(big.Int)
		switch v.Kind() {
		case parquet.Int32:
			n.SetInt64(int64(v.Int32()))
		case parquet.Int64:
			n.SetInt64(v.Int64())
		default:
			b := v.ByteArray()
			n.SetBytes(b)
			if len(b) > 0 && b[0]&0x80 != 0 {
				n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
			}
		}
		f, _ := new(big.Float).SetInt(n).Float64()
		return strconv.AppendFloat(dst, f/math.Pow10(scale), 'g', -1, 64), typedNumber
	}
}

func writePlain(dst []byte, v parquet.Value) ([]byte, cellType) {
	switch v.Kind() {
	case parquet.Boolean:
		return strconv.AppendBool(dst, v.Boolean()), typedBool
	case parquet.Int32:
		return strconv.AppendInt(dst, int64(v.Int32()), 10), typedNumber
	case parquet.Int64:
		return strconv.AppendInt(dst, v.Int64(), 10), typedNumber
	case parquet.Float:
		return appendFloat(dst, float64(v.Float()), 32)
	case parquet.Double:
		return appendFloat(dst, v.Double(), 64)
	case parquet.Int96:
		return appendInt96(dst, v.Int96())
	}
	b := v.ByteArray()
	if !utf8.Valid(b) || strings.IndexByte(string(b[:min(len(b), 64)]), 0) >= 0 {
		return fmt.Appendf(dst, "<%d bytes %x>", len(b), b[:min(len(b), 8)]), typedNested
	}
	return append(dst, b...), typedString
}

func appendFloat(dst []byte, v float64, bits int) ([]byte, cellType) {
	if math.IsNaN(v) {
		return dst, typedNull
	}
	return strconv.AppendFloat(dst, v, 'g', -1, bits), typedNumber
}

// appendInt96 writes the old form of a timestamp: nanoseconds of a Julian day.
func appendInt96(dst []byte, v deprecated.Int96) ([]byte, cellType) {
	const julianEpoch = 2440588 // the day of 1970-01-01
	nanos := int64(v[0]) | int64(v[1])<<32
	return appendTime(dst, time.Unix((int64(v[2])-julianEpoch)*86400, nanos))
}
