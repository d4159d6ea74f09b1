package rows

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/parquet-go/parquet-go"

	"ml-intern/internal/hub/feature"
)

// A parquetFile is a Parquet file whose footer has been read.
type parquetFile struct {
	file     File
	rows     int64
	bytes    int64 // of the data, decompressed
	features feature.Features

	mu      sync.Mutex
	checked map[int]bool // row groups that can be read
}

const parquetBatch = 64

var errDamaged = errors.New("the Parquet file is damaged")

// withParquet lends an open file. The decoder meets some damaged files with a
// panic.
func withParquet(f File, use func(*parquet.File, io.ReaderAt) error) (err error) {
	content, err := f.Open()
	if err != nil {
		return err
	}
	defer content.Close()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w (%v)", errDamaged, v)
		}
	}()
	p, err := parquet.OpenFile(content, f.Size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return fmt.Errorf("%w (%w)", errDamaged, err)
	}
	return use(p, content)
}

func lookParquet(f File) (*parquetFile, error) {
	out := &parquetFile{file: f}
	err := withParquet(f, func(p *parquet.File, _ io.ReaderAt) error {
		out.rows = p.NumRows()
		for _, g := range p.Metadata().RowGroups {
			out.bytes += g.TotalByteSize
		}
		root := newNode(p.Schema(), "", &levels{})
		for _, c := range root.children {
			out.features = append(out.features, feature.Column{Name: c.name, Type: c.typ()})
		}
		out.features = refined(out.features, p)
		return nil
	})
	return out, err
}

// refined takes over the types that the datasets library has noted in the
// file: Parquet itself knows no class labels and no pictures.
func refined(f feature.Features, p *parquet.File) feature.Features {
	text, _ := p.Lookup("huggingface")
	var noted struct {
		Info struct {
			Features feature.Features `json:"features"`
		} `json:"info"`
	}
	if json.Unmarshal([]byte(text), &noted) != nil {
		return f
	}
	for i, c := range f {
		if typ, ok := noted.Info.Features.Lookup(c.Name); ok {
			f[i].Type = typ
		}
	}
	return f
}

// scan yields the rows from one on, by the columns of the file.
func (p *parquetFile) scan(from int64, yield func(row []any) (bool, error)) error {
	return withParquet(p.file, func(f *parquet.File, content io.ReaderAt) error {
		root := newNode(f.Schema(), "", &levels{})
		for i, group := range f.RowGroups() {
			if from >= group.NumRows() {
				from -= group.NumRows()
				continue
			}
			if err := p.check(content, f, i); err != nil {
				return err
			}
			more, err := scanGroup(root, group, from, yield)
			if err != nil || !more {
				return err
			}
			from = 0
		}
		return nil
	})
}

// check checks a row group, once if nothing is wrong with it.
func (p *parquetFile) check(content io.ReaderAt, f *parquet.File, group int) error {
	p.mu.Lock()
	done := p.checked[group]
	p.mu.Unlock()
	if done {
		return nil
	}
	if err := checkGroup(content, &f.Metadata().RowGroups[group]); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.checked == nil {
		p.checked = map[int]bool{}
	}
	p.checked[group] = true
	return nil
}

func scanGroup(root *node, group parquet.RowGroup, from int64, yield func([]any) (bool, error)) (more bool, err error) {
	rows := group.Rows()
	defer rows.Close()
	if from > 0 {
		if err := rows.SeekToRow(from); err != nil {
			return false, fmt.Errorf("%w (%w)", errDamaged, err)
		}
	}
	batch := make([]parquet.Row, batchOf(group))
	columns := make([][]parquet.Value, root.leaves)
	for {
		n, err := rows.ReadRows(batch)
		for _, row := range batch[:n] {
			for i := range columns {
				columns[i] = columns[i][:0]
			}
			size := 0
			for _, v := range row {
				if size += valueSize; v.Kind() == parquet.ByteArray {
					size += len(v.ByteArray())
				}
				if c := v.Column(); c >= 0 && c < len(columns) {
					columns[c] = append(columns[c], v)
				}
			}
			if size > maxRecord {
				return false, errLong
			}
			cells := make([]any, len(root.children))
			for i, c := range root.children {
				cells[i] = c.read(columns)
			}
			if more, err := yield(cells); err != nil || !more {
				return false, err
			}
		}
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("%w (%w)", errDamaged, err)
		}
	}
}
