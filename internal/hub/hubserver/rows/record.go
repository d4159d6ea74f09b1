package rows

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// A splitter cuts a text into records without reading what is in them, and
// counts the bytes that it has passed.
type splitter struct {
	in     *bufio.Reader
	find   func(*splitter) ([]byte, error)
	offset int64 // behind the last record
	buf    []byte
	comma  byte // of csv
	closed bool // of a json array
	inside bool
}

// next returns a record, good until the following call, and where it begins.
func (s *splitter) next() (record []byte, at int64, err error) {
	at = s.offset
	record, err = s.find(s)
	return record, at, err
}

var errLong = fmt.Errorf("a row is longer than %d bytes", maxRecord)

// line returns a line with its end.
func (s *splitter) line() ([]byte, error) {
	text, err := s.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		s.buf = append(s.buf[:0], text...)
		for errors.Is(err, bufio.ErrBufferFull) {
			if len(s.buf) > maxRecord {
				return nil, errLong
			}
			text, err = s.in.ReadSlice('\n')
			s.buf = append(s.buf, text...)
		}
		text = s.buf
	}
	s.offset += int64(len(text))
	if errors.Is(err, io.EOF) && len(text) > 0 {
		err = nil
	}
	return text, err
}

// textLine returns a line of text, empty ones too.
func textLine(s *splitter) ([]byte, error) {
	text, err := s.line()
	return bytes.TrimRight(text, "\r\n"), err
}

// jsonLine returns a line that is not blank.
func jsonLine(s *splitter) ([]byte, error) {
	for {
		text, err := s.line()
		if text = bytes.TrimSpace(text); err != nil || len(text) > 0 {
			return text, err
		}
	}
}

// csvRecord returns a line, or several if a quote is open at its end. A quote
// counts only where a field begins.
func csvRecord(s *splitter) ([]byte, error) {
	text, err := s.line()
	for err == nil && len(bytes.TrimRight(text, "\r\n")) == 0 { // blank lines are no rows
		text, err = s.line()
	}
	if err != nil || bytes.IndexByte(text, '"') < 0 {
		return bytes.TrimRight(text, "\r\n"), err
	}
	whole := append([]byte(nil), text...)
	state := csvState{comma: s.comma, start: true}
	state.read(text)
	for state.open {
		text, err := s.line()
		if errors.Is(err, io.EOF) {
			break // never closed: pandas would refuse the file, we show what there is
		}
		if err != nil {
			return nil, err
		}
		if len(whole)+len(text) > maxRecord {
			return nil, errLong
		}
		whole = append(whole, text...)
		state.read(text)
	}
	return bytes.TrimRight(whole, "\r\n"), nil
}

// csvState follows quotes over lines.
type csvState struct {
	comma       byte
	start, open bool
}

func (c *csvState) read(text []byte) {
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case c.open && b == '"' && i+1 < len(text) && text[i+1] == '"':
			i++
		case c.open && b == '"':
			c.open = false
		case c.open:
		case b == '"' && c.start:
			c.open, c.start = true, false
		default:
			c.start = b == c.comma || b == '\n'
		}
	}
}

// fields splits a record of csv.
func (c csvState) fields(record []byte, dst []string) []string {
	var field []byte
	c.start, c.open = true, false
	for i := 0; i < len(record); i++ {
		switch b := record[i]; {
		case c.open && b == '"' && i+1 < len(record) && record[i+1] == '"':
			field = append(field, b)
			i++
		case c.open && b == '"':
			c.open = false
		case c.open:
			field = append(field, b)
		case b == '"' && c.start:
			c.open, c.start = true, false
		case b == c.comma:
			dst, field, c.start = append(dst, string(field)), field[:0], true
		default:
			field, c.start = append(field, b), false
		}
	}
	return append(dst, string(field))
}

// jsonValue returns the next value: of an array, or of values in a row.
func jsonValue(s *splitter) ([]byte, error) {
	first, err := s.skipJSON()
	if err != nil {
		return nil, err
	}
	s.buf = append(s.buf[:0], first)
	depth, quoted, escaped := 0, first == '"', false
	if first == '{' || first == '[' {
		depth = 1
	}
	for depth > 0 || quoted {
		b, err := s.in.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("a JSON value is cut off")
		}
		if err != nil {
			return nil, err
		}
		s.offset++
		if s.buf = append(s.buf, b); len(s.buf) > maxRecord {
			return nil, errLong
		}
		switch {
		case escaped:
			escaped = false
		case quoted:
			escaped, quoted = b == '\\', b != '"'
		case b == '"':
			quoted = true
		case b == '{' || b == '[':
			depth++
		case b == '}' || b == ']':
			depth--
		}
	}
	return s.buf, nil
}

// skipJSON finds where the next value begins.
func (s *splitter) skipJSON() (byte, error) {
	for {
		b, err := s.in.ReadByte()
		if err != nil {
			return 0, err
		}
		s.offset++
		switch {
		case b == ' ' || b == '\t' || b == '\r' || b == '\n' || b == ',':
		case b == '[' && !s.inside && s.closed:
			s.inside, s.closed = true, false
		case b == ']' && s.inside:
			return 0, io.EOF
		default:
			return b, nil
		}
	}
}

// A stream is an open file as text, from its beginning or, if it is not
// compressed, from any record.
type stream struct {
	splitter
	close []func()
}

func (s *stream) Close() {
	for _, f := range s.close {
		f()
	}
}

// maxWindow bounds what a compressed file may make us hold.
const maxWindow = 64 << 20

// openText opens a file for reading from a byte on.
func openText(f File, from int64) (*stream, error) {
	content, err := f.Open()
	if err != nil {
		return nil, err
	}
	s := &stream{close: []func(){func() { content.Close() }}}
	var in io.Reader = io.NewSectionReader(content, from, max(0, f.Size-from))
	switch compression(f.Path) {
	case ".gz":
		in, err = gzip.NewReader(bufio.NewReaderSize(in, 64<<10))
	case ".zst":
		var z *zstd.Decoder
		z, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecoderLowmem(true))
		if err == nil {
			s.close = append([]func(){z.Close}, s.close...)
			in = z
		}
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	s.in = bufio.NewReaderSize(in, 64<<10)
	s.offset = from
	return s, nil
}
