package dataset

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// profile settles what the rows said.
func (t *table) profile(src *source) (*Profile, error) {
	if err := t.checkUsable(); err != nil {
		return nil, err
	}
	p := &Profile{
		Path: src.path, Format: src.format, Compression: src.compression, Bytes: src.size,
		Rows: t.rows, ColumnCount: len(t.columns), Kinds: map[Kind]int{},
		DuplicateRows: t.duplicates, TargetGuess: t.guess,
	}
	src.describe(p)
	if t.cut {
		p.RowsRead = t.rows
		p.Rows, p.RowsEstimated = src.totalRows(t.rows)
	}
	if t.compared < t.rows {
		p.DuplicatesIn = t.compared
	}
	if t.opts.Target != "" {
		target, err := t.judge()
		if err != nil {
			return nil, err
		}
		p.Target = target
	}
	kinds := t.describeColumns(p)
	p.Problems = t.problems(src, kinds)
	return p, nil
}

// checkUsable refuses tables that no target could save.
func (t *table) checkUsable() error {
	switch {
	case t.rows == 0 && len(t.columns) == 0:
		return &Error{CodeEmpty, "the table has no rows.", "Check the program that wrote it."}
	case t.rows == 0:
		return &Error{CodeHeaderOnly, "the table has column names but no rows.", "Check the export that made it; it must hold data below the header."}
	case len(t.columns) == 1:
		return &Error{CodeOneColumn, fmt.Sprintf("the table has only one column, %q.", clip(t.names[0], 60)), oneColumnHint}
	case t.opts.Target != "" && t.target < 0:
		return t.targetAbsent()
	case t.opts.Target != "" && t.rows < minLabelled && !t.cut:
		return &Error{
			CodeTooFewRows, fmt.Sprintf("the table has only %s, and a model needs at least %d to be trained and tested.", many(t.rows, "row", "rows"), minLabelled),
			"Add more rows.",
		}
	}
	return nil
}

// describeColumns fills in the columns shown and counts the kinds of all.
func (t *table) describeColumns(p *Profile) []Kind {
	kinds := make([]Kind, len(t.columns))
	tokens := map[string]bool{}
	for i, c := range t.columns {
		if c == nil {
			continue
		}
		s := c.settle()
		kinds[i] = c.kind(s, i == 0)
		p.Kinds[kinds[i]]++
		for _, token := range s.tokens {
			tokens[token] = true
		}
		if c.forms[formDecimalComma] > 0 {
			p.Decimal = ","
		}
	}
	shown := t.shown()
	for _, i := range shown {
		p.Columns = append(p.Columns, t.columns[i].describe(kinds[i]))
	}
	p.ColumnsOmitted = len(t.columns) - len(shown)
	p.Sample = t.shownSample(shown)
	for token := range tokens {
		p.MissingTokens = append(p.MissingTokens, token)
	}
	slices.Sort(p.MissingTokens)
	return kinds
}

// shown lists the columns to describe: the first ones, and always the target.
func (t *table) shown() []int {
	var shown []int
	for i := range min(len(t.columns), maxShown) {
		shown = append(shown, i)
	}
	if t.target >= maxShown {
		shown[maxShown-1] = t.target
	}
	return shown
}

// shownSample lines the sample's cells up with the columns shown.
func (t *table) shownSample(shown []int) [][]string {
	for r := range t.sample {
		for len(t.sample[r]) < len(shown) {
			t.sample[r] = append(t.sample[r], "") // a column met only later
		}
		if t.target >= maxShown && r < len(t.sampleTarget) {
			t.sample[r][maxShown-1] = t.sampleTarget[r]
		}
	}
	return t.sample
}

// maxTop is how many values of a category are shown.
const maxTop = 8

func (c *column) describe(kind Kind) Column {
	s := c.settle()
	out := Column{Name: c.name, Kind: kind, Missing: s.missing, MissingTokens: s.soft}
	if c.original != c.name {
		out.OriginalName = &c.original
	}
	if all := s.missing + s.values; all > 0 {
		out.MissingPct = round(100*float64(s.missing)/float64(all), 3)
	}
	out.Distinct, out.Estimated = c.differing(s)
	out.Distinct = min(out.Distinct, s.values)
	switch kind {
	case KindNumber, KindInteger:
		out.Numbers = &Numbers{round(c.numbers.min, 6), round(c.numbers.max, 6), round(c.numbers.mean, 6), round(c.numbers.std(), 6)}
	case KindText:
		words, chars := c.averages(s)
		out.Texts = &Texts{round(words, 3), round(chars, 3)}
	case KindDatetime:
		out.Earliest, out.Latest = dateText(c.earliest), dateText(c.latest)
	}
	few := !c.values.overflow && out.Distinct <= maxTop
	if kind == KindCategory || kind == KindBoolean || kind == KindConstant || (kind == KindInteger && few) {
		for _, v := range c.classes(s)[:min(len(c.classes(s)), maxTop)] {
			out.Top = append(out.Top, Count{clip(v.Value, exampleRunes), v.Count})
		}
	}
	if out.Top == nil {
		out.Examples = c.examples
	}
	return out
}

func dateText(t time.Time) string {
	return strings.TrimSuffix(t.UTC().Format("2006-01-02 15:04:05"), " 00:00:00")
}

// round keeps so many significant digits, to keep a profile short.
func round(v float64, digits int) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0 // JSON has no word for them
	}
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil {
		return v // the largest numbers round to infinity
	}
	return r
}

// describe fills in what opening and reading the file told.
func (s *source) describe(p *Profile) {
	if s.text != nil {
		p.Encoding = s.text.encoding()
	}
	if d := s.dialect; d != nil {
		p.Delimiter = string(d.delimiter)
		p.HasHeader = &d.header
		p.SkipLines = d.skip
	}
}

// totalRows estimates how many rows the file has, from how many were read.
func (s *source) totalRows(read int64) (n int64, estimated bool) {
	if exact, ok := s.rows.(interface{ total() int64 }); ok {
		return exact.total(), false
	}
	// What was read off the disk is ahead of the rows by what is buffered,
	// which matters only when little was read.
	share := float64(s.raw.n) / float64(s.size)
	if s.compression == "" {
		share = float64(s.textRead()) / float64(s.size)
	}
	if share <= 0 {
		return read, true
	}
	return max(read, int64(math.Round(float64(read)/min(share, 1)))), true
}
