package dataset

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// A dialect is how a delimited file is laid out.
type dialect struct {
	delimiter  byte
	width      int  // columns
	skip       int  // lines before the header or the first row
	header     bool // the first record names the columns
	hashHeader bool // the header line begins with '#'
	rowNames   bool // rows have one field more than the header, the first (as R writes)
	trailing   bool // rows end in a delimiter with nothing after it
	skipped    []string
}

// sniffRecords is how many records the layout is judged by.
const sniffRecords = 200

// sniff works out the layout from the first part of a file.
func sniff(sample []byte, whole bool, ext string) (*dialect, error) {
	if rest, ok := bytes.CutPrefix(sample, []byte("sep=")); ok && len(rest) > 1 && isEOL(bytes.TrimLeft(rest[1:], "\r")) {
		d := &dialect{delimiter: rest[0], skip: 1}
		return d, d.layOut(sampleRecords(rest[1:], whole, d.delimiter))
	}
	best := &dialect{delimiter: ',', width: 1}
	bestScore := 0.0
	for _, delimiter := range candidates(ext) {
		records := sampleRecords(sample, whole, delimiter)
		width, score := consistency(records)
		if width > 1 && score > bestScore+1e-9 {
			best, bestScore = &dialect{delimiter: delimiter}, score
		}
	}
	if bestScore == 0 {
		return nil, oneColumn(sample)
	}
	return best, best.layOut(sampleRecords(sample, whole, best.delimiter))
}

// candidates lists delimiters, the surer first: a comma also groups digits
// and stands in sentences, so it must be strictly more consistent to win.
func candidates(ext string) []byte {
	if ext == ".csv" {
		return []byte{'\t', ';', '|', ','}
	}
	return []byte{'\t', '|', ';', ','}
}

type record struct {
	fields []string
	line   int
}

// sampleRecords parses the sample's complete records.
func sampleRecords(sample []byte, whole bool, delimiter byte) []record {
	r := recordReader{in: bufio.NewReaderSize(bytes.NewReader(sample), sampleBytes), delimiter: delimiter}
	var records []record
	for len(records) < sniffRecords {
		fields, line, err := r.next()
		if err != nil {
			break
		}
		if !whole && r.read >= int64(len(sample)) {
			break // probably cut off
		}
		rec := record{line: line}
		for _, f := range fields {
			rec.fields = append(rec.fields, string(f))
		}
		records = append(records, rec)
	}
	return records
}

// consistency returns the most common width and how well records agree on it.
func consistency(records []record) (width int, score float64) {
	counts := map[int]int{}
	for _, r := range records {
		counts[len(r.fields)]++
	}
	for w, n := range counts {
		if n > counts[width] || (n == counts[width] && w > width) {
			width = w
		}
	}
	if width < 2 {
		// Few rows under a long preamble: the table may still be there.
		for w, n := range counts {
			if w > 2 && n >= 3 && n > counts[width]/2 {
				width = w
			}
		}
	}
	if len(records) == 0 {
		return 0, 0
	}
	return width, float64(counts[width]) / float64(len(records))
}

// layOut finds the first line of the table, whether it is a header, and the
// ways in which rows and header disagree.
func (d *dialect) layOut(records []record) error {
	d.width, _ = consistency(records)
	if d.width < 2 {
		return &Error{CodeOneColumn, fmt.Sprintf("the file has only one column (separated by %q).", d.delimiter), oneColumnHint}
	}
	records = d.skipPreamble(records)
	if len(records) == 0 {
		return &Error{CodeEmpty, "the file holds only comments.", "Check the export that made it."}
	}
	first, rest := records[0], records[1:]
	wide := slices.IndexFunc(rest, func(r record) bool { return len(r.fields) == len(first.fields)+1 }) >= 0
	if wide && d.width == len(first.fields)+1 {
		d.trailing = !slices.ContainsFunc(rest, func(r record) bool {
			return len(r.fields) == d.width && strings.TrimSpace(r.fields[d.width-1]) != ""
		})
		d.rowNames = !d.trailing
	} else if d.width == len(first.fields) && strings.TrimSpace(first.fields[d.width-1]) == "" && len(rest) > 0 {
		d.trailing = !slices.ContainsFunc(rest, func(r record) bool {
			return len(r.fields) >= d.width && strings.TrimSpace(r.fields[d.width-1]) != ""
		})
	}
	if d.trailing {
		d.width--
	}
	d.header = d.rowNames || hasHeader(first, rest)
	if !d.header {
		d.rowNames = false
	}
	d.hashHeader = d.header && strings.HasPrefix(strings.TrimSpace(first.fields[0]), "#")
	return nil
}

// skipPreamble drops comment and title lines above the table.
func (d *dialect) skipPreamble(records []record) []record {
	for i, r := range records {
		comment := strings.HasPrefix(strings.TrimSpace(r.fields[0]), "#")
		narrow := len(r.fields) == 1
		headerLike := len(r.fields) >= d.width-1 && len(r.fields) > 1
		// A '#' line as wide as the table, right above it, is its header.
		lastComment := i+1 >= len(records) || !strings.HasPrefix(strings.TrimSpace(records[i+1].fields[0]), "#")
		if (comment && !(headerLike && lastComment)) || (narrow && !comment && i < 20) {
			d.skip = r.line
			d.skipped = append(d.skipped, strings.Join(r.fields, string(d.delimiter)))
			continue
		}
		return records[i:]
	}
	return nil
}

// hasHeader weighs whether the first record names columns. Names are a
// convention, so the first record must look like data to be taken as such.
func hasHeader(first record, rest []record) bool {
	votes, numbers, filled := 0, 0, 0
	seen := map[string]bool{}
	duplicate := false
	for i, f := range first.fields {
		name := strings.TrimSpace(f)
		if name == "" {
			continue
		}
		filled++
		duplicate = duplicate || seen[name]
		seen[name] = true
		isNumber := looksNumeric(name)
		if isNumber {
			numbers++
		}
		numeric, same, present := 0, 0, 0
		for _, r := range rest {
			if i >= len(r.fields) {
				continue
			}
			v := strings.TrimSpace(r.fields[i])
			if isHardMissing(v) {
				continue
			}
			present++
			if looksNumeric(v) {
				numeric++
			}
			if v == name {
				same++
			}
		}
		switch {
		case present == 0:
		case numeric*5 >= present*4 && !isNumber && !isHardMissing(name):
			votes += 2
		case numeric*5 >= present*4 && isNumber:
			votes -= 2
		case same > 0:
			votes--
		}
	}
	switch {
	case filled == 0:
		return false
	case yearsAsNames(first, rest):
		return true
	case len(rest) == 0:
		return numbers == 0
	case numbers == filled:
		return false
	case votes != 0:
		return votes > 0
	}
	return numbers == 0 && !(duplicate && filled > 2)
}

// yearsAsNames spots a wide table whose columns are years: rising whole
// numbers that the rows below do not continue.
func yearsAsNames(first record, rest []record) bool {
	previous, years := 0.0, 0
	for _, f := range first.fields {
		v, form, ok := parseNumber([]byte(strings.TrimSpace(f)), false)
		if !ok {
			continue
		}
		if form != formInteger || v < 1900 || v > 2100 || v <= previous {
			return false
		}
		previous = v
		years++
	}
	if years < 3 || len(rest) == 0 {
		return false
	}
	for _, f := range rest[0].fields {
		if v, _, ok := parseNumber([]byte(strings.TrimSpace(f)), false); ok && (v < 1900 || v > 2100) {
			return true
		}
	}
	return false
}

func looksNumeric(s string) bool {
	_, _, ok := parseNumber([]byte(s), true)
	return ok
}

const oneColumnHint = "Training needs at least one column to learn from and one to predict; check the separator and the export."

// oneColumn explains a file in which no delimiter makes columns.
func oneColumn(sample []byte) error {
	line, _, _ := bytes.Cut(bytes.TrimSpace(sample), []byte("\n"))
	if n := len(bytes.Fields(line)); n > 1 && blankSeparated(sample, n) {
		return &Error{
			CodeOneColumn, "the file has only one column: its values seem to be separated by blanks.",
			`Convert it first: pandas.read_csv(path, sep=r"\s+").to_csv("table.csv", index=False).`,
		}
	}
	return &Error{CodeOneColumn, fmt.Sprintf("the file has only one column, %q.", clip(string(bytes.TrimSpace(line)), 60)), oneColumnHint}
}

func blankSeparated(sample []byte, n int) bool {
	lines := bytes.Split(bytes.TrimSpace(sample), []byte("\n"))
	lines = lines[:min(len(lines), 50)]
	same := 0
	for _, l := range lines {
		if len(bytes.Fields(l)) == n {
			same++
		}
	}
	return len(lines) > 2 && same*10 >= len(lines)*9
}
