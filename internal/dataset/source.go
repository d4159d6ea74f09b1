package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// sampleBytes is how much of the text is looked at before the first row is read.
const sampleBytes = 256 << 10

// A source is an open table: its rows and what was learnt by opening it.
type source struct {
	name        string // base name, for messages
	path        string
	size        int64 // bytes on disk
	format      string
	compression string
	dialect     *dialect // of delimited files
	text        *textReader
	raw         *countingReader
	rows        rowReader
	file        *os.File
}

// A rowReader yields a table's rows in order, and io.EOF after the last.
type rowReader interface {
	// header names the columns known so far; it may grow with later rows.
	header() []string
	// next returns a row that is good until the following call.
	next() (row, error)
	// offset is how many bytes of text the rows returned so far took.
	offset() int64
}

// A row is one record. Cells beyond len(cells) are missing.
type row struct {
	cells []cell
	line  int // where it starts, from 1; zero where lines mean nothing
	width int // fields found, which may differ from the number of columns
}

// A cell is one value: text to be understood, or a value whose type the
// format already tells.
type cell struct {
	text  []byte
	typed cellType
}

type cellType uint8

const (
	untyped cellType = iota // CSV: everything is text
	typedNull
	typedString
	typedNumber
	typedBool
	typedTime
	typedNested
)

func (s *source) Close() error { return s.file.Close() }

// textRead is how much text the rows so far took.
func (s *source) textRead() int64 { return s.rows.offset() }

// moreRows reports whether the reading stopped short of the end.
func (s *source) moreRows() bool {
	_, err := s.rows.next()
	return !errors.Is(err, io.EOF)
}

// open finds out what the file is, by its content, and prepares its rows.
func open(path string, opts Options) (*source, error) {
	info, err := stat(path)
	if err != nil {
		return nil, err
	}
	opener := opts.Open
	if opener == nil {
		opener = os.Open
	}
	f, err := opener(path)
	if err != nil {
		return nil, fmt.Errorf("open table: %w", err)
	}
	s := &source{name: filepath.Base(path), path: path, size: info.Size(), file: f}
	if err := s.prepare(opts); err != nil {
		f.Close()
		return nil, located(err, s.name)
	}
	return s, nil
}

func (s *source) prepare(opts Options) error {
	s.raw = &countingReader{r: s.file}
	in := bufio.NewReaderSize(s.raw, 64<<10)
	head, _ := in.Peek(1024)
	size := s.size
	if bytes.HasPrefix(head, []byte("\x1f\x8b")) {
		s.compression = "gzip"
		size = max(size, s.gunzippedSize())
		zr, err := gzip.NewReader(in)
		if err != nil {
			return brokenGzip(err)
		}
		in = bufio.NewReaderSize(gzipErrors{zr}, 64<<10)
		if head, err = in.Peek(1024); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(head) == 0 {
			return &Error{CodeEmpty, "the file is empty once decompressed.", "Check the program that wrote it, then try again."}
		}
	}
	if bytes.HasPrefix(head, []byte("PAR1")) && s.compression == "" {
		return s.prepareParquet(opts)
	}
	if err := refuseForeign(head, s.name); err != nil {
		return err
	}
	if err := checkFits(s.name, size, opts); err != nil {
		return err
	}
	return s.prepareText(in)
}

func (s *source) prepareText(in *bufio.Reader) error {
	text, err := decodeText(in)
	if err != nil {
		return err
	}
	s.text = text
	r := bufio.NewReaderSize(text, sampleBytes)
	sample, err := r.Peek(sampleBytes)
	whole := errors.Is(err, io.EOF)
	if err != nil && !whole {
		return err
	}
	trimmed := bytes.TrimSpace(sample)
	if len(trimmed) == 0 {
		return &Error{CodeEmpty, "the file holds only blanks.", "Check the download or export that made it, then try again."}
	}
	if err := refuseForeignText(trimmed); err != nil {
		return err
	}
	if looksLikeJSON(trimmed) {
		return s.prepareJSON(r, trimmed)
	}
	if bytes.IndexByte(sample, '\n') < 0 && bytes.IndexByte(sample, '\r') >= 0 {
		r = bufio.NewReaderSize(&oldMacReader{r}, sampleBytes)
		sample, _ = r.Peek(sampleBytes)
	}
	return s.prepareDelimited(r, sample, whole)
}

func (s *source) prepareDelimited(r *bufio.Reader, sample []byte, whole bool) error {
	d, err := sniff(sample, whole, strings.ToLower(filepath.Ext(strings.TrimSuffix(s.name, ".gz"))))
	if err != nil {
		return err
	}
	s.dialect = d
	s.format = "csv"
	if d.delimiter == '\t' {
		s.format = "tsv"
	}
	rows, err := newDelimited(r, d)
	if err != nil {
		return err
	}
	s.rows = rows
	return nil
}

// gunzippedSize reads the size gzip keeps in its last four bytes. It is only
// a hint: it wraps at 4 GiB and covers the last member of several.
func (s *source) gunzippedSize() int64 {
	var tail [4]byte
	if _, err := s.file.ReadAt(tail[:], s.size-4); err != nil {
		return 0
	}
	return int64(binary.LittleEndian.Uint32(tail[:]))
}

// gzipErrors turns what gzip says of a damaged file into a sentence.
type gzipErrors struct{ r io.Reader }

func (g gzipErrors) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = brokenGzip(err)
	}
	return n, err
}

func brokenGzip(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return malformed("Download or copy it again.", "the gzip file is cut off before its end.")
	}
	return malformed("Download or copy it again.", "the gzip file is damaged (%v).", err)
}

// A countingReader counts the bytes read through it.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// oldMacReader turns the carriage returns that end lines into newlines.
type oldMacReader struct{ r io.Reader }

func (o *oldMacReader) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	for i, b := range p[:n] {
		if b == '\r' {
			p[i] = '\n'
		}
	}
	return n, err
}
