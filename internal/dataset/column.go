package dataset

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"time"
)

// column accumulates what is needed to judge one column at the end: since
// its kind is unknown until then, cells are counted as all they could be.
type column struct {
	name, original string
	decimalComma   bool

	present  int64            // cells that are not missing in any reading
	missing  int64            // cells without a value in any reading
	tokens   map[string]int64 // texts met that stand for no value
	soft     map[string]int64 // texts that do so among numbers and dates only
	softRows int64

	numbers      moments
	forms        [numberForms]int64
	integral     int64 // numbers without a fraction
	asString     int64 // numbers a typed format holds as text
	leadingZeros int64
	ascending    int64 // whole numbers one more than the one before
	previous     float64
	booleans     int64
	nested       int64

	dates            int64
	dateMisses       int64
	layout           int
	dayFirst, either int64 // slashed dates: only one order fits, or both do
	monthFirst       int64
	earliest, latest time.Time

	padded       int64 // cells with blanks around them
	words, chars int64
	distinct     distinct
	values       frequencies
	examples     []string
	otherExample place // first present cell that is no number
	numExample   place
	link         link
}

// A place is a cell worth showing.
type place struct {
	text string
	row  int64
}

const (
	maxExamples  = 3
	exampleRunes = 60
)

// seen is what one cell amounts to, for the checks across columns.
type seen struct {
	present bool
	hash    uint64
	number  float64
	numeric bool
}

// add takes one cell into account; i is its row, from 1.
func (c *column) add(v cell, i int64) seen {
	text := trim(v.text)
	if len(text) < len(v.text) && v.typed == untyped {
		c.padded++
	}
	if v.typed == typedNull || (v.typed <= typedString && c.isMissing(text)) {
		c.missing++
		return seen{}
	}
	c.present++
	s := seen{present: true, hash: hash(text)}
	c.distinct.add(s.hash)
	c.values.add(text)
	if len(c.examples) < maxExamples {
		c.addExample(text)
	}
	switch v.typed {
	case typedNested:
		c.nested++
		return s
	case typedBool:
		c.booleans++
		return s
	}
	c.chars += int64(len(text))
	if number, form, ok := parseNumber(text, c.decimalComma); ok {
		c.addNumber(text, number, form, i)
		if v.typed == typedString {
			c.asString++
		}
		s.number, s.numeric = number, form != formInfinite
		return s
	}
	c.addWords(text, i)
	return s
}

// isMissing counts a token and reports whether it stands for no value.
func (c *column) isMissing(text []byte) bool {
	if len(text) > 12 || !isHardMissing(string(text)) {
		return false
	}
	if c.tokens == nil {
		c.tokens = map[string]int64{}
	}
	c.tokens[string(text)]++
	return true
}

func (c *column) addExample(text []byte) {
	e := clip(string(text[:min(len(text), 4*exampleRunes+4)]), exampleRunes)
	for _, have := range c.examples {
		if have == e {
			return
		}
	}
	c.examples = append(c.examples, e)
}

func (c *column) addNumber(text []byte, v float64, form numberForm, i int64) {
	c.forms[form]++
	if c.numExample.row == 0 {
		c.numExample = place{clip(string(text), exampleRunes), i}
	}
	if form == formInfinite {
		return
	}
	c.numbers.add(v)
	if v == float64(int64(v)) {
		c.integral++
		if v == c.previous+1 {
			c.ascending++
		}
		c.previous = v
	}
	if form == formInteger && len(text) > 1 && text[0] == '0' {
		c.leadingZeros++
	}
}

func (c *column) addWords(text []byte, i int64) {
	if c.otherExample.row == 0 || (len(c.soft) > 0 && isSoftMissing(c.otherExample.text)) {
		c.otherExample = place{clip(string(text[:min(len(text), 400)]), exampleRunes), i}
	}
	if isSoftMissing(string(text[:min(len(text), 13)])) {
		if c.soft == nil {
			c.soft = map[string]int64{}
		}
		c.soft[string(text)]++
		c.softRows++
	}
	if isBoolean(text) {
		c.booleans++
	}
	c.words += int64(countWords(text))
	c.addDate(text)
}

// addDate stops trying on columns that look like dates and never are.
func (c *column) addDate(text []byte) {
	if c.dates == 0 && c.dateMisses >= 20 {
		return
	}
	t, layout, ok := parseDate(text, c.layout)
	if !ok {
		c.dateMisses++
		return
	}
	c.dates++
	c.layout = layout
	if c.dates == 1 || t.Before(c.earliest) {
		c.earliest = t
	}
	if c.dates == 1 || t.After(c.latest) {
		c.latest = t
	}
	if bytes.IndexByte(text, '/') > 0 && strings.IndexByte(dateLayouts[layout], '/') == 1 {
		switch {
		case t.Day() <= 12 && int(t.Month()) <= 12:
			c.either++
		case strings.HasPrefix(dateLayouts[layout], "2/"):
			c.dayFirst++
		default:
			c.monthFirst++
		}
	}
}

// shares settles which reading of the column its cells support.
type shares struct {
	values             int64 // present, less what turned out to be missing
	missing            int64
	numeric, dated     bool
	strangers          int64    // values that do not fit the reading
	tokens, soft       []string // what stands for no value: anywhere, and in this column
	numbers, wordCells int64
}

func (c *column) settle() shares {
	s := shares{values: c.present, missing: c.missing}
	s.numbers = c.numbers.n + c.forms[formInfinite]
	s.wordCells = c.present - s.numbers - c.nested
	hard := c.present - c.softRows
	s.numeric = s.numbers > 0 && s.numbers*5 >= hard*4
	s.dated = !s.numeric && c.dates > 0 && c.dates*5 >= hard*4
	s.tokens = slices.Sorted(maps.Keys(c.tokens))
	if s.numeric || s.dated {
		s.values -= c.softRows
		s.missing += c.softRows
		s.soft = slices.Sorted(maps.Keys(c.soft))
	}
	switch {
	case s.numeric:
		s.strangers = s.values - s.numbers
	case s.dated:
		s.strangers = s.values - c.dates
	}
	return s
}

// differing is how many different values the column has, given its reading.
func (c *column) differing(s shares) (int64, bool) {
	n, estimated := c.distinct.count()
	if (s.numeric || s.dated) && !estimated {
		n -= int64(len(c.soft))
	}
	return n, estimated
}
