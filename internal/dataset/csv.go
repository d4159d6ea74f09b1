package dataset

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxRecord bounds one record, and so what a quote that is never closed can
// make us hold.
const maxRecord = 16 << 20

// A recordReader splits delimited text into records the way spreadsheet
// programs and pandas do: a quote counts only at the start of a field.
type recordReader struct {
	in        *bufio.Reader
	delimiter byte
	line      int   // lines read so far
	read      int64 // bytes read so far
	long      []byte
	fields    [][]byte
	quoted    []byte // the text of fields that had quotes
}

// next returns the next record's fields, good until the following call, and
// the line it starts on. Blank lines are skipped.
func (r *recordReader) next() (fields [][]byte, line int, err error) {
	for {
		text, err := r.readLine()
		if err != nil {
			return nil, 0, err
		}
		if len(bytes.TrimSpace(text)) == 0 && !(r.delimiter == '\t' && bytes.IndexByte(text, '\t') >= 0) {
			continue
		}
		line = r.line
		if bytes.IndexByte(text, '"') < 0 {
			r.split(trimEOL(text))
			return r.fields, line, nil
		}
		fields, err := r.splitQuoted(text)
		return fields, line, err
	}
}

// readLine returns a line with its end, good until the following call.
func (r *recordReader) readLine() ([]byte, error) {
	text, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		r.long = append(r.long[:0], text...)
		for errors.Is(err, bufio.ErrBufferFull) {
			if len(r.long) > maxRecord {
				return nil, malformed("Check that the file is a table with one row per line.",
					"line %d is longer than %s.", r.line+1, humanBytes(maxRecord))
			}
			text, err = r.in.ReadSlice('\n')
			r.long = append(r.long, text...)
		}
		text = r.long
	}
	r.read += int64(len(text))
	if err != nil && (err != io.EOF || len(text) == 0) {
		return nil, err
	}
	r.line++
	return text, nil
}

func trimEOL(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}

func (r *recordReader) split(text []byte) {
	r.fields = r.fields[:0]
	for {
		i := bytes.IndexByte(text, r.delimiter)
		if i < 0 {
			r.fields = append(r.fields, text)
			return
		}
		r.fields = append(r.fields, text[:i])
		text = text[i+1:]
	}
}

// splitQuoted splits a record that has quotes, reading on while one is open.
func (r *recordReader) splitQuoted(text []byte) ([][]byte, error) {
	start := r.line
	r.quoted = r.quoted[:0]
	ends := make([]int, 0, len(r.fields))
	atStart, inQuotes := true, false
	for {
		for i := 0; i < len(text); i++ {
			c := text[i]
			switch {
			case inQuotes && c == '"' && i+1 < len(text) && text[i+1] == '"':
				r.quoted = append(r.quoted, '"')
				i++
			case inQuotes && c == '"':
				inQuotes = false
			case inQuotes:
				r.quoted = append(r.quoted, c)
			case c == '"' && atStart:
				inQuotes, atStart = true, false
			case c == r.delimiter:
				ends, atStart = append(ends, len(r.quoted)), true
			case c == '\n', c == '\r' && isEOL(text[i+1:]):
			default:
				r.quoted = append(r.quoted, c)
				atStart = atStart && c == ' ' && r.delimiter != ' '
			}
		}
		if !inQuotes {
			break
		}
		next, err := r.readLine()
		if errors.Is(err, io.EOF) || len(r.quoted) > maxRecord {
			return nil, malformed("Close the quote, or double it if it is part of the text.",
				"a quote opened in the row at line %d is never closed.", start)
		}
		if err != nil {
			return nil, err
		}
		text = next
	}
	ends = append(ends, len(r.quoted))
	r.fields = r.fields[:0]
	from := 0
	for _, end := range ends {
		r.fields = append(r.fields, r.quoted[from:end])
		from = end
	}
	return r.fields, nil
}

func isEOL(rest []byte) bool { return len(rest) == 0 || rest[0] == '\n' }

// delimited is the rowReader of CSV and its kin.
type delimited struct {
	records recordReader
	dialect *dialect
	names   []string
	cells   []cell
}

// newDelimited skips to the first row, past the header if there is one.
func newDelimited(in *bufio.Reader, d *dialect) (*delimited, error) {
	r := &delimited{records: recordReader{in: in, delimiter: d.delimiter}, dialect: d}
	for range d.skip {
		if _, err := r.records.readLine(); err != nil {
			return nil, fmt.Errorf("skip the lines before the table: %w", err)
		}
	}
	if !d.header {
		for i := range d.width {
			r.names = append(r.names, fmt.Sprintf("column_%d", i+1))
		}
		return r, nil
	}
	fields, _, err := r.records.next()
	if err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	if d.rowNames {
		r.names = append(r.names, "")
	}
	for _, f := range fields {
		r.names = append(r.names, string(f))
	}
	if d.hashHeader {
		r.names[0] = strings.TrimLeft(r.names[0], "# ")
	}
	if n := len(r.names); d.trailing && n > 1 && strings.TrimSpace(r.names[n-1]) == "" {
		r.names = r.names[:n-1]
	}
	return r, nil
}

func (d *delimited) header() []string { return d.names }
func (d *delimited) offset() int64    { return d.records.read }

func (d *delimited) next() (row, error) {
	fields, line, err := d.records.next()
	if err != nil {
		return row{}, err
	}
	if n := len(fields); d.dialect.trailing && n == len(d.names)+1 && len(bytes.TrimSpace(fields[n-1])) == 0 {
		fields = fields[:n-1]
	}
	d.cells = d.cells[:0]
	for _, f := range fields[:min(len(fields), len(d.names))] {
		d.cells = append(d.cells, cell{text: f})
	}
	return row{cells: d.cells, line: line, width: len(fields)}, nil
}
