package rows

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// A textFile is a CSV, JSON or plain text file whose records have been counted.
type textFile struct {
	file   File
	format string
	array  bool     // json: one array
	lines  bool     // json: one value a line
	comma  byte     // csv
	names  []string // csv
	first  int64    // where the first record begins
	rows   int64
	marks  []int64 // where each markEvery-th record begins
}

const markEvery = 512

// openAt opens a file whose shape is known at a record, and says at which.
func (t *textFile) openAt(row int64) (*stream, int64, error) {
	from, at := t.first, int64(0)
	if i := row / markEvery; compression(t.file.Path) == "" && i < int64(len(t.marks)) {
		from, at = t.marks[i], i*markEvery
	}
	seek := from
	if compression(t.file.Path) != "" {
		seek = 0
	}
	s, err := openText(t.file, seek)
	if err != nil {
		return nil, 0, err
	}
	if seek == 0 && from > 0 {
		if _, err := s.in.Discard(int(min(from, 1<<30))); err != nil {
			s.Close()
			return nil, 0, err
		}
		s.offset = from
	}
	t.prepare(s, from == t.first)
	return s, at, nil
}

func (t *textFile) prepare(s *stream, atStart bool) {
	s.comma = t.comma
	switch {
	case t.format == "csv":
		s.find = csvRecord
	case t.format == "text":
		s.find = textLine
	case t.lines:
		s.find = jsonLine
	default:
		s.find, s.inside, s.closed = jsonValue, t.array && !atStart, t.array && atStart
	}
}

// look finds out the shape of a file.
func look(f File, format, delimiter string) (*textFile, error) {
	t := &textFile{file: f, format: format}
	s, err := openText(f, 0)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	head, err := s.in.Peek(60 << 10)
	if err != nil && !errors.Is(err, io.EOF) && len(head) == 0 {
		return nil, err
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		if _, err := s.in.Discard(3); err != nil {
			return nil, err
		}
		s.offset, t.first, head = 3, 3, head[3:]
	}
	switch format {
	case "json":
		text := bytes.TrimSpace(head)
		t.array = len(text) > 0 && text[0] == '['
		line, _, more := bytes.Cut(text, []byte("\n"))
		t.lines = !t.array && (json.Valid(bytes.TrimSpace(plainNaN(line))) || !more && len(text) > 0 && len(head) >= 60<<10)
	case "csv":
		t.comma = ','
		switch {
		case delimiter != "":
			t.comma = delimiter[0]
		case strings.EqualFold(path.Ext(strings.TrimSuffix(f.Path, compression(f.Path))), ".tsv"):
			t.comma = '\t'
		}
		return t, t.readHeader(s)
	}
	return t, nil
}

// readHeader reads the names of the columns, which pandas makes different.
func (t *textFile) readHeader(s *stream) error {
	s.comma = t.comma
	record, err := csvRecord(&s.splitter)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	t.first = s.offset
	seen := map[string]int{}
	for i, name := range (csvState{comma: t.comma}).fields(record, nil) {
		if i == maxColumns {
			return fmt.Errorf("the table has more than %d columns", maxColumns)
		}
		if name == "" {
			name = fmt.Sprintf("Unnamed: %d", i)
		}
		if n := seen[name]; n > 0 {
			seen[name]++
			name = fmt.Sprintf("%s.%d", name, n)
		}
		seen[name]++
		t.names = append(t.names, name)
	}
	return nil
}

// count passes over the records once and notes where some of them are. It
// shows each of the first ones to see, until that wants no more.
func (t *textFile) count(b *budget, left int64, see func(record []byte) (bool, error)) (complete bool, bytes int64, err error) {
	s, _, err := t.openAt(0)
	if err != nil {
		return false, 0, err
	}
	defer s.Close()
	t.rows, t.marks = 0, nil
	for {
		record, at, err := s.next()
		if errors.Is(err, io.EOF) {
			return true, s.offset, nil
		}
		if err != nil {
			return false, s.offset, err
		}
		if t.rows%markEvery == 0 {
			t.marks = append(t.marks, at)
		}
		t.rows++
		if see != nil {
			more, err := see(record)
			if err != nil {
				return false, s.offset, fmt.Errorf("row %d: %w", t.rows, err)
			}
			if !more {
				see = nil
			}
		}
		if s.offset > left || b.over() {
			return false, s.offset, nil
		}
	}
}

// plainNaN makes JSON of the numbers that Python writes into it.
func plainNaN(text []byte) []byte {
	if !bytes.Contains(text, []byte("NaN")) && !bytes.Contains(text, []byte("Infinity")) {
		return text
	}
	var out []byte
	quoted := false
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case quoted && b == '\\' && i+1 < len(text):
			out = append(out, b)
			i++
		case b == '"':
			quoted = !quoted
		case !quoted && (b == 'N' || b == 'I' || b == '-'):
			if n := nanAt(text[i:]); n > 0 {
				out = append(out, "null"...)
				i += n - 1
				continue
			}
		}
		out = append(out, text[i])
	}
	return out
}

func nanAt(text []byte) int {
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(text, []byte(word)) {
			return len(word)
		}
	}
	return 0
}
