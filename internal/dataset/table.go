package dataset

import (
	"fmt"
	"math/bits"
	"strings"
)

// Caps that keep a table's memory bounded, whatever its shape.
const (
	maxTracked    = 1000    // columns that are accumulated
	maxShown      = 60      // columns a profile describes
	maxCompared   = 1 << 19 // rows compared for being equal
	maxProblems   = 40
	distinctSlots = 1 << 20 // shared out among the columns, as are:
	valueSlots    = 100_000
	linkSlots     = 200_000
	targetClasses = 10_000
)

// A table accumulates what its rows say about its columns.
type table struct {
	opts    Options
	rows    int64
	cut     bool // reading stopped before the end
	reader  rowReader
	columns []*column // nil where not tracked
	decimal bool      // commas may be decimal points
	names   []string  // cleaned, in order
	byName  map[string]int
	quirks  []string // of the header

	target  int // -1: none known
	matched string
	guess   *Guess

	sample       [][]string
	sampleTarget []string
	rowHashes    map[uint64]struct{}
	compared     int64
	duplicates   int64

	ragged      int64
	raggedLine  int
	raggedWidth int
	longer      int64 // ragged rows with one field more than the header
	cells       []seen
}

func newTable(r rowReader, opts Options) (*table, error) {
	t := &table{opts: opts, reader: r, target: -1, byName: map[string]int{}, rowHashes: map[uint64]struct{}{}}
	d, isDelimited := r.(*delimited)
	t.decimal = isDelimited && d.dialect.delimiter != ','
	t.grow()
	if len(t.columns) == 1 && isDelimited {
		return nil, &Error{CodeOneColumn, fmt.Sprintf("the file has only one column, %q.", clip(t.names[0], 60)), oneColumnHint}
	}
	if _, late := r.(*jsonRows); opts.Target != "" && t.target < 0 && !late {
		return nil, t.targetAbsent()
	}
	return t, nil
}

// grow takes on the columns the reader has found since.
func (t *table) grow() {
	header := t.reader.header()
	from := len(t.columns)
	for i := from; i < len(header); i++ {
		t.names = append(t.names, t.cleanName(header[i], i))
	}
	if t.target < 0 {
		t.findTarget(header, from)
	}
	for i := from; i < len(header); i++ {
		var c *column
		if i < maxTracked || i == t.target {
			c = t.newColumn(i, header[i], len(header))
		}
		t.columns = append(t.columns, c)
	}
	t.cells = make([]seen, len(header))
}

// newColumn shares the slots out among the n columns there are.
func (t *table) newColumn(i int, original string, n int) *column {
	c := &column{name: t.names[i], original: original, decimalComma: t.decimal}
	c.distinct.limit = max(1024, min(distinctSlots/n, 1<<16))
	c.values.limit = max(50, min(valueSlots/n, 1000))
	c.link.limit = max(100, min(linkSlots/n, 2000))
	c.missing = t.rows // it was absent from the rows so far
	if i == t.target {
		c.values.limit = targetClasses
	}
	return c
}

// cleanName makes a name that is unique and free of blanks around it.
func (t *table) cleanName(original string, i int) string {
	name := strings.Join(strings.Fields(original), " ")
	switch {
	case name == "":
		name = fmt.Sprintf("column_%d", i+1)
		t.quirk("column %d has no name in the header; it is called %q here (pandas: \"Unnamed: %d\").", i+1, name, i)
	case name != original:
		t.quirk("the header %q has blanks or line breaks to strip; it is called %q here.", clip(original, 60), clip(name, 60))
	}
	if first, taken := t.byName[name]; taken {
		stem := name
		for n := 2; taken; n++ {
			name = fmt.Sprintf("%s_%d", stem, n)
			_, taken = t.byName[name]
		}
		t.quirk("columns %d and %d are both called %q; the second is called %q here (pandas: \"%s.1\").",
			first+1, i+1, clip(stem, 60), clip(name, 60), clip(stem, 60))
	}
	t.byName[name] = i
	return name
}

func (t *table) quirk(format string, args ...any) {
	switch {
	case len(t.quirks) < 8:
		t.quirks = append(t.quirks, fmt.Sprintf(format, args...))
	case len(t.quirks) == 8:
		t.quirks = append(t.quirks, "more header names have quirks than are listed; see original_name.")
	}
}

// add takes one row into account.
func (t *table) add(r row) {
	if len(t.reader.header()) > len(t.columns) {
		t.grow()
	}
	t.rows++
	if r.width != len(t.columns) {
		t.noteRagged(r)
	}
	rowHash := uint64(len(t.columns))
	for i, c := range t.columns {
		v := cell{typed: typedNull}
		if i < len(r.cells) {
			v = r.cells[i]
		}
		s := seen{}
		if c != nil {
			s = c.add(v, t.rows)
			t.cells[i] = s
		} else {
			s.hash = hash(trim(v.text))
		}
		rowHash = bits.RotateLeft64(rowHash, 7)*0x9E3779B97F4A7C15 ^ s.hash
	}
	t.compareRow(rowHash)
	t.follow()
	if len(t.sample) < t.opts.SampleRows {
		t.keepSample(r)
	}
}

func (t *table) noteRagged(r row) {
	t.ragged++
	if r.width == len(t.columns)+1 {
		t.longer++
	}
	if t.raggedLine == 0 {
		t.raggedLine, t.raggedWidth = r.line, r.width
	}
}

func (t *table) compareRow(h uint64) {
	if t.compared >= maxCompared {
		t.rowHashes = nil
		return
	}
	t.compared++
	if _, ok := t.rowHashes[h]; ok {
		t.duplicates++
		return
	}
	t.rowHashes[h] = struct{}{}
}

// follow relates every column's cell to the target's.
func (t *table) follow() {
	if t.target < 0 || !t.cells[t.target].present {
		return
	}
	target := t.cells[t.target]
	for i, c := range t.columns {
		if c == nil || i == t.target || !t.cells[i].present {
			continue
		}
		c.link.add(t.cells[i].hash, target.hash)
		if t.cells[i].numeric && target.numeric {
			c.link.addNumbers(t.cells[i].number, target.number)
		}
	}
}

func (t *table) keepSample(r row) {
	cells := make([]string, 0, min(len(r.cells), maxShown))
	text := func(i int) string {
		if i >= len(r.cells) || r.cells[i].typed == typedNull {
			return ""
		}
		b := r.cells[i].text
		return clip(string(b[:min(len(b), 4*exampleRunes+4)]), exampleRunes)
	}
	for i := range min(len(t.columns), maxShown) {
		cells = append(cells, text(i))
	}
	t.sample = append(t.sample, cells)
	if t.target >= 0 {
		t.sampleTarget = append(t.sampleTarget, text(t.target))
	}
}
