package series

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const (
	maxDepth   = 5       // folders below Dir
	maxEntries = 5000    // looked at in one walk
	maxFiles   = 64      // read
	oneRead    = 8 << 20 // bytes of a file in one Read; the rest next time
	prefixSize = 512     // of a file, to see that it is still the same
)

// Files are the metrics files in a folder and below: event files of
// TensorBoard, CSV and JSON lines by their names. It reads what is new since
// last time. One goroutine may use it at a time.
type Files struct {
	Dir string

	known map[string]*metricFile
}

// A feeder reads a format.
type feeder interface {
	Feed(data []byte, add func(Sample))
}

type metricFile struct {
	path   string
	split  string // prefix of its metrics' names
	offset int64
	prefix []byte
	parser feeder
}

// Read reads on. A folder that is not there has nothing to read.
func (f *Files) Read(ctx context.Context, add func(Sample)) error {
	if err := f.look(ctx); err != nil {
		return fmt.Errorf("look for metrics: %w", err)
	}
	var errs []error
	for _, path := range slices.Sorted(maps.Keys(f.known)) {
		if err := f.known[path].read(add); err != nil {
			errs = append(errs, fmt.Errorf("read metrics: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Feed reads the next bytes of a file of that name elsewhere, or its first if it
// is a new one: whoever has brought them knows.
func (f *Files) Feed(name string, anew bool, data []byte, add func(Sample)) {
	m := f.known[name]
	if m == nil {
		parser := parserFor(path.Base(name))
		if parser == nil || len(f.known) >= maxFiles {
			return
		}
		if f.known == nil {
			f.known = map[string]*metricFile{}
		}
		m = &metricFile{split: split(filepath.FromSlash(name)), parser: parser}
		f.known[name] = m
	} else if anew {
		m.again()
	}
	m.feed(data, add)
}

// look finds files that are new.
func (f *Files) look(ctx context.Context) error {
	entries := 0
	err := filepath.WalkDir(f.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // gone in the meantime
			}
			return err
		}
		if entries++; entries > maxEntries || len(f.known) >= maxFiles {
			return fs.SkipAll
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		rel, _ := filepath.Rel(f.Dir, path)
		if d.IsDir() {
			if strings.Count(rel, string(filepath.Separator)) >= maxDepth || strings.HasPrefix(d.Name(), ".") && path != f.Dir {
				return fs.SkipDir
			}
			return nil
		}
		if parser := parserFor(d.Name()); parser != nil && d.Type().IsRegular() && f.known[path] == nil {
			if f.known == nil {
				f.known = map[string]*metricFile{}
			}
			f.known[path] = &metricFile{path: path, split: split(rel), parser: parser}
		}
		return nil
	})
	return err
}

// parserFor chooses by the file's name; nil if it is none of metrics.
func parserFor(name string) feeder {
	lower := strings.ToLower(name)
	stem, ext := strings.TrimSuffix(lower, filepath.Ext(lower)), filepath.Ext(lower)
	telling := strings.Contains(stem, "metric") || strings.Contains(stem, "log") || strings.Contains(stem, "history") ||
		strings.Contains(stem, "progress") || strings.Contains(stem, "result")
	switch {
	case strings.Contains(lower, ".tfevents."):
		return &Events{}
	case ext == ".csv" && telling:
		return &CSV{}
	case (ext == ".jsonl" || ext == ".ndjson") && telling:
		return &JSONL{}
	}
	return nil
}

// split is the part of the data that a file's folder is named after, as Keras
// does: then loss in train and loss in validation are not the same.
func split(rel string) string {
	switch name := filepath.Base(filepath.Dir(rel)); name {
	case "train", "validation", "val", "eval", "test":
		return name + "/"
	}
	return ""
}

func (m *metricFile) read(add func(Sample)) error {
	info, err := os.Lstat(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() == m.offset {
		return nil
	}
	file, err := os.Open(m.path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := m.checkSame(file, info.Size()); err != nil {
		return err
	}
	data, err := io.ReadAll(io.NewSectionReader(file, m.offset, oneRead))
	if err != nil {
		return err
	}
	m.feed(data, add)
	return nil
}

// feed reads the next bytes.
func (m *metricFile) feed(data []byte, add func(Sample)) {
	m.offset += int64(len(data))
	m.parser.Feed(data, func(x Sample) {
		if m.split != "" && !strings.HasPrefix(x.Name, m.split) {
			x.Name = m.split + x.Name
		}
		add(x)
	})
}

// checkSame begins again if the file was written anew, as Lightning does when
// there is a new column.
func (m *metricFile) checkSame(file io.ReaderAt, size int64) error {
	prefix := make([]byte, min(size, prefixSize))
	if _, err := file.ReadAt(prefix, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if size < m.offset || !bytes.HasPrefix(prefix, m.prefix) {
		m.again()
	}
	m.prefix = prefix
	return nil
}

// again begins at the beginning of a file that was written anew.
func (m *metricFile) again() {
	m.offset = 0
	switch p := m.parser.(type) {
	case *CSV:
		m.parser = &CSV{Skip: max(p.Rows, p.Skip)}
	case *JSONL:
		m.parser = &JSONL{}
	case *Events:
		m.parser = &Events{}
	}
}
