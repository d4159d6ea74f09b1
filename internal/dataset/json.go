package dataset

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
)

// maxJSONColumns bounds the keys taken for columns, for files whose keys are
// really data.
const maxJSONColumns = 5000

// jsonRows is the rowReader of JSON lines and of a JSON array of objects.
type jsonRows struct {
	in      *bufio.Reader
	array   bool // records stand in [ ]
	lines   bool // one record per line
	started bool
	ended   bool
	line    int
	read    int64
	buf     []byte
	names   []string
	index   map[string]int
	cells   []cell
}

// looksLikeJSON holds for an object, or an array of objects or of nothing.
func looksLikeJSON(text []byte) bool {
	if text[0] == '{' {
		return true
	}
	rest := bytes.TrimSpace(text[1:])
	return text[0] == '[' && len(rest) > 0 && (rest[0] == '{' || rest[0] == ']' || rest[0] == '[' || rest[0] == '"')
}

func (s *source) prepareJSON(in *bufio.Reader, sample []byte) error {
	j := &jsonRows{in: in, array: sample[0] == '[', index: map[string]int{}, line: 1}
	s.format = "json"
	if !j.array {
		first, _, more := bytes.Cut(sample, []byte("\n"))
		j.lines = json.Valid(nanToNull(first)) || (more && len(bytes.TrimSpace(first)) > 1 && !wholeObject(sample))
		s.format = "jsonl"
		if !j.lines && !concatenated(sample) {
			return oneObject()
		}
	}
	s.rows = j
	// The first record's keys are the header.
	record, line, err := j.record()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err == nil {
		if err := j.parse(record, line); err != nil {
			return err
		}
		j.started = true
	}
	if !j.array && bytes.IndexByte(sample, '\n') < 0 && !slices.ContainsFunc(j.cells, func(c cell) bool { return c.typed != typedNested }) {
		return oneObject()
	}
	return nil
}

func oneObject() error {
	return &Error{
		CodeUnsupportedFormat, "the file is one JSON object, not a list of rows.",
		`Save the rows as JSON lines, one {"column": value} object per line (pandas: to_json(path, orient="records", lines=True)).`,
	}
}

// wholeObject holds if the text begins with a complete object.
func wholeObject(text []byte) bool {
	var v json.RawMessage
	return json.NewDecoder(bytes.NewReader(nanToNull(text))).Decode(&v) == nil
}

// concatenated holds if a second object follows the first.
func concatenated(text []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(nanToNull(text)))
	var v json.RawMessage
	if dec.Decode(&v) != nil {
		return false
	}
	rest := bytes.TrimSpace(nanToNull(text)[dec.InputOffset():])
	return len(rest) > 0 && rest[0] == '{'
}

func (j *jsonRows) header() []string { return j.names }
func (j *jsonRows) offset() int64    { return j.read }

func (j *jsonRows) next() (row, error) {
	if !j.started {
		record, line, err := j.record()
		if err != nil {
			return row{}, err
		}
		if err := j.parse(record, line); err != nil {
			return row{}, err
		}
	}
	j.started = false
	return row{cells: j.cells, line: j.line, width: len(j.names)}, nil
}

// record returns the next object's text and the line it starts on.
func (j *jsonRows) record() ([]byte, int, error) {
	c, err := j.skipToRecord()
	if err != nil {
		return nil, 0, err
	}
	line := j.line
	if c != '{' {
		return nil, 0, malformed("Each row must be an object: {\"column\": value, ...}.", "line %d: a row begins with %q instead of \"{\".", line, c)
	}
	j.buf = append(j.buf[:0], '{')
	depth, inString, escaped := 1, false, false
	for depth > 0 {
		c, err := j.byte()
		if errors.Is(err, io.EOF) {
			return nil, 0, malformed("The file seems cut off; download or write it again, or delete the incomplete row.",
				"the row that starts at line %d never ends.", line)
		}
		if err != nil {
			return nil, 0, err
		}
		if c == '\n' && j.lines {
			return nil, 0, malformed("Fix or delete that line.", "line %d is not a complete JSON object.", line)
		}
		if len(j.buf) >= maxRecord {
			return nil, 0, malformed("Check that the file holds one object per row.", "the row at line %d is larger than %s.", line, humanBytes(maxRecord))
		}
		j.buf = append(j.buf, c)
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped, inString = c == '\\', c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return j.buf, line, nil
}

// skipToRecord passes blanks, commas and the array's brackets.
func (j *jsonRows) skipToRecord() (byte, error) {
	for {
		c, err := j.byte()
		switch {
		case errors.Is(err, io.EOF) && j.array && !j.ended:
			return 0, malformed("The file seems cut off; download or write it again.", "the JSON array is never closed (line %d).", j.line)
		case err != nil:
			return 0, err
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
		case c == ',' || (c == '[' && j.array && len(j.index) == 0):
		case c == ']' && j.array:
			j.ended = true
		case j.ended:
			return 0, malformed("Keep one array, or use JSON lines.", "line %d: there is more after the JSON array.", j.line)
		default:
			return c, nil
		}
	}
}

func (j *jsonRows) byte() (byte, error) {
	c, err := j.in.ReadByte()
	if err != nil {
		return 0, err
	}
	j.read++
	if c == '\n' {
		j.line++
	}
	return c, nil
}

// parse reads an object's members into cells, adding columns it brings.
func (j *jsonRows) parse(record []byte, line int) error {
	broken := func(err error) error {
		return malformed("Fix or delete that row.", "the row at line %d is not valid JSON (%s).", line, strings.TrimPrefix(err.Error(), "json: "))
	}
	dec := json.NewDecoder(bytes.NewReader(nanToNull(record)))
	if _, err := dec.Token(); err != nil {
		return broken(err)
	}
	for i := range j.cells {
		j.cells[i] = cell{typed: typedNull}
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return broken(err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return broken(err)
		}
		name, _ := key.(string)
		i, ok := j.index[name]
		if !ok {
			if len(j.names) >= maxJSONColumns {
				continue
			}
			i = len(j.names)
			j.index[name] = i
			j.names = append(j.names, name)
			j.cells = append(j.cells, cell{})
		}
		j.cells[i] = jsonCell(value)
	}
	if _, err := dec.Token(); err != nil {
		return broken(err)
	}
	return nil
}

func jsonCell(value json.RawMessage) cell {
	switch value[0] {
	case 'n':
		return cell{typed: typedNull}
	case 't', 'f':
		return cell{text: value, typed: typedBool}
	case '{', '[':
		return cell{text: value, typed: typedNested}
	case '"':
		var s string
		if json.Unmarshal(value, &s) == nil {
			return cell{text: []byte(s), typed: typedString}
		}
	}
	return cell{text: value, typed: typedNumber}
}

// nanToNull replaces the NaN and Infinity that Python writes and JSON lacks.
func nanToNull(b []byte) []byte {
	if !bytes.Contains(b, []byte("NaN")) && !bytes.Contains(b, []byte("Infinity")) {
		return b
	}
	out := make([]byte, 0, len(b))
	inString := false
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case inString && c == '\\' && i+1 < len(b):
			out = append(out, c)
			i++
			c = b[i]
		case c == '"':
			inString = !inString
		case !inString:
			if n := nanLength(b[i:]); n > 0 {
				out = append(out, "null"...)
				i += n - 1
				continue
			}
		}
		out = append(out, c)
	}
	return out
}

func nanLength(b []byte) int {
	for _, word := range []string{"NaN", "-Infinity", "Infinity"} {
		if bytes.HasPrefix(b, []byte(word)) {
			return len(word)
		}
	}
	return 0
}
