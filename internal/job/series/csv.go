package series

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"time"
)

// longestRow bounds what is kept of a line that has no end yet.
const longestRow = 1 << 20

// A lineFeed cuts what is fed to it into lines, and keeps the last until it
// has an end.
type lineFeed struct {
	held []byte
	skip bool // the line is too long: drop it to its end
}

// feed calls line with each line that is complete, less its end.
func (f *lineFeed) feed(data []byte, line func([]byte)) {
	for {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			if f.skip = f.skip || len(f.held)+len(data) > longestRow; f.skip {
				f.held = nil
				return
			}
			f.held = append(f.held, data...)
			return
		}
		whole := data[:i]
		if len(f.held) > 0 {
			whole = append(f.held, whole...)
		}
		if !f.skip && len(whole) <= longestRow {
			line(bytes.TrimSuffix(whole, []byte("\r")))
		}
		f.held, f.skip = nil, false
		data = data[i+1:]
	}
}

// A CSV reads a metrics file with a header, such as Lightning's CSVLogger and
// Keras' CSVLogger write: bytes as they come, in pieces of any size. The zero
// CSV is at the beginning of a file.
type CSV struct {
	Rows int // read so far
	Skip int // rows to pass over: of a file that was written anew, those read before

	feedLines lineFeed
	header    []string
}

// Feed reads the file's next bytes.
func (c *CSV) Feed(data []byte, add func(Sample)) {
	c.feedLines.feed(data, func(line []byte) { c.row(string(line), add) })
}

func (c *CSV) row(line string, add func(Sample)) {
	if strings.TrimSpace(line) == "" {
		return
	}
	r := csv.NewReader(strings.NewReader(line))
	r.LazyQuotes, r.FieldsPerRecord = true, -1
	fields, err := r.Read()
	if err != nil {
		return
	}
	if c.header == nil {
		c.header = fields
		return
	}
	if slices.Equal(fields, c.header) {
		return // appended to by a second run
	}
	c.Rows++
	if c.Rows <= c.Skip {
		return
	}
	var pairs []pair
	for i, field := range fields[:min(len(fields), len(c.header), maxPairs)] {
		name := strings.TrimSpace(c.header[i])
		if v, ok := number(field); ok {
			pairs = append(pairs, pair{name: name, number: v})
		} else if field != "" && len(field) < 64 {
			pairs = append(pairs, pair{name: name, text: field, isText: true})
		}
	}
	newRecord(pairs).emit(time.Time{}, add)
}

// A JSONL reads a file of JSON objects, one a line, in pieces of any size. The
// zero JSONL is at the beginning of a file.
type JSONL struct{ feedLines lineFeed }

// Feed reads the file's next bytes.
func (j *JSONL) Feed(data []byte, add func(Sample)) {
	j.feedLines.feed(data, func(line []byte) {
		if pairs, _, ok := readDict(string(bytes.TrimSpace(line))); ok {
			newRecord(pairs).emit(time.Time{}, add)
		}
	})
}
