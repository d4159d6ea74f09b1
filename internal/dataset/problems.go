package dataset

import (
	"fmt"
	"math"
	"strings"
)

// problems says what is odd about the column, one sentence each.
func (c *column) problems(s shares, kind Kind, rows int64) []string {
	var out []string
	say := func(format string, args ...any) {
		out = append(out, fmt.Sprintf("column %q ", clip(c.name, 60))+fmt.Sprintf(format, args...))
	}
	switch kind {
	case KindEmpty:
		say("has no values at all; leave it out.")
		return out
	case KindConstant:
		say("has the same value in every row that has one (%q); leave it out unless missing means something.", c.examples[0])
		return out
	case KindID:
		say("has a different value in (almost) every row, like an identifier; leave it out of the features.")
	}
	if s.strangers > 0 && c.otherExample.row > 0 {
		say("mixes types: %d of %d values are not %s, for example %q in row %d.", s.strangers, s.values,
			map[bool]string{true: "numbers", false: "dates"}[s.numeric], c.otherExample.text, c.otherExample.row)
	} else if !s.numeric && s.numbers*5 >= s.values && s.numbers < s.values {
		say("mixes types: %d of %d values are numbers (%q in row %d) and the others are text (%q in row %d).", s.numbers, s.values,
			c.numExample.text, c.numExample.row, c.otherExample.text, c.otherExample.row)
	}
	if s.numeric {
		c.numberProblems(say)
	}
	if missing := float64(s.missing) / float64(max(rows, 1)); missing > 0.5 {
		say("has no value in %.0f%% of the rows.", 100*missing)
	}
	if top, ok := c.dominant(s); ok && kind != KindText && kind != KindNested {
		say("is nearly constant: %q is the value in %d of %d rows.", clip(top.Value, 40), top.Count, s.values)
	}
	if s.dated && c.either > 0 && c.dayFirst == 0 && c.monthFirst == 0 {
		say("has dates such as %q whose day and month cannot be told apart.", c.examples[0])
	}
	if v := c.variants(); v != "" && (kind == KindCategory || kind == KindBoolean) {
		say("has values that differ only in case: %s; unify them.", v)
	}
	return out
}

// numberProblems says what stands between the text and a plain number.
func (c *column) numberProblems(say func(string, ...any)) {
	if c.isCode() {
		say("has numbers with leading zeros, such as %q; read it as text to keep them.", c.numExample.text)
		return
	}
	for form := formThousands; form < numberForms; form++ {
		if n := c.forms[form]; n > 0 {
			say("has numbers with %s (%s); clean them before parsing.", formNames[form], many(n, "value", "values"))
		}
	}
	if c.asString > 0 {
		say("stores numbers as strings (%s); convert them.", many(c.asString, "value", "values"))
	}
	for _, end := range []struct {
		v float64
		n int64
	}{{c.numbers.min, c.numbers.minN}, {c.numbers.max, c.numbers.maxN}} {
		if end.n >= 2 && isSentinel(end.v) && math.Abs(end.v-c.numbers.mean) > 3*c.numbers.std() {
			say("holds %v in %d rows, far from its other values; that probably stands for a missing one.", end.v, end.n)
		}
	}
}

// isSentinel holds for numbers people write for "unknown".
func isSentinel(v float64) bool {
	switch v {
	case -1, -9, -99, -999, -9999, -99999, 99, 999, 9999, 99999, 999999, -1e30:
		return true
	}
	return false
}

// dominant returns a value that 98 of 100 rows share.
func (c *column) dominant(s shares) (Count, bool) {
	if s.values < 50 {
		return Count{}, false
	}
	var top Count
	for v, n := range c.values.counts {
		if *n > top.Count {
			top = Count{v, *n}
		}
	}
	return top, top.Count*100 >= s.values*98
}

// variants lists values that are the same but for case.
func (c *column) variants() string {
	if c.values.overflow || len(c.values.counts) > 500 {
		return ""
	}
	first := map[string]string{}
	for _, v := range c.values.sorted() {
		key := strings.ToLower(v.Value)
		if have, ok := first[key]; ok {
			return quotedList([]string{have, v.Value})
		}
		first[key] = v.Value
	}
	return ""
}

// problems gathers what is odd about the table, the gravest first.
func (t *table) problems(src *source, kinds []Kind) []string {
	var out []string
	if t.target >= 0 {
		out = append(out, t.leaks()...)
		out = append(out, t.targetProblems()...)
	}
	out = append(out, t.layoutProblems(src)...)
	out = append(out, t.quirks...)
	if src.text != nil {
		out = append(out, src.text.problems()...)
	}
	if t.duplicates > 0 {
		out = append(out, many(t.duplicates, "row repeats an earlier one exactly", "rows repeat earlier ones exactly")+"; drop repeats, or they end up in both train and test.")
	}
	out = append(out, t.paddingProblem()...)
	for i, c := range t.columns {
		if c != nil {
			out = append(out, c.problems(c.settle(), kinds[i], t.rows)...)
		}
	}
	if more := len(out) - maxProblems; more > 0 {
		out = append(out[:maxProblems], many(int64(more), "more problem is", "more problems are")+" not listed.")
	}
	return out
}

// paddingProblem speaks of all columns at once: usually it is all of them.
func (t *table) paddingProblem() []string {
	var names []string
	for _, c := range t.columns {
		if c != nil && c.padded > 0 {
			names = append(names, c.name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	which := quotedList(names[:min(len(names), 4)])
	if len(names) > 4 {
		which = fmt.Sprintf("%d columns, such as %q,", len(names), clip(names[0], 60))
	}
	return []string{fmt.Sprintf("cells of %s have blanks around their values; strip them.", which)}
}

func (t *table) layoutProblems(src *source) []string {
	var out []string
	if t.ragged > 0 {
		text := many(t.ragged, "row does", "rows do") + fmt.Sprintf(" not have the %d fields the table has: line %d has %d.",
			len(t.columns), t.raggedLine, t.raggedWidth)
		if t.longer == t.ragged {
			text += " A separator inside a value without quotes is the usual cause."
		}
		out = append(out, text)
	}
	d := src.dialect
	if d == nil {
		return out
	}
	if d.skip > 0 {
		text := "the table starts after other lines"
		if len(d.skipped) > 0 {
			text = fmt.Sprintf("the lines before the table are not part of it (%q)", clip(d.skipped[0], 60))
		}
		out = append(out, fmt.Sprintf("%s; skip %s.", text, many(int64(d.skip), "line", "lines")))
	}
	if !d.header {
		out = append(out, "the file has no header row; its columns are numbered here.")
	}
	if d.rowNames {
		out = append(out, "rows have one field more than the header: the first is taken for row names, as R writes them.")
	}
	if d.hashHeader {
		out = append(out, "the header line begins with \"#\"; do not read it as a comment.")
	}
	if d.trailing {
		out = append(out, "rows end in a separator with nothing after it; drop the empty last column (index_col=False in pandas).")
	}
	return out
}

// leaks names columns that give the target away.
func (t *table) leaks() []string {
	target := t.columns[t.target]
	var out []string
	for i, c := range t.columns {
		if c == nil || i == t.target || c.link.rows < 20 {
			continue
		}
		distinct, _ := c.distinct.count()
		l := &c.link
		switch {
		case distinct < 2:
		case l.equal == l.rows:
			out = append(out, fmt.Sprintf("column %q is a copy of the target %q; leave it out.", c.name, target.name))
		case l.n >= 20 && l.n*10 >= l.rows*9 && math.Abs(l.correlation()) > 0.9999:
			out = append(out, fmt.Sprintf("column %q is the target %q on another scale; it probably is not known when predicting, so leave it out.", c.name, target.name))
		case !l.broken && l.rows >= distinct*5:
			out = append(out, fmt.Sprintf("column %q determines the target %q in every row (suspected leak); leave it out unless it is known before the target is.", c.name, target.name))
		}
	}
	return out
}

// targetProblems warns of classes too small or too alike to learn.
func (t *table) targetProblems() []string {
	c := t.columns[t.target]
	s := c.settle()
	distinct, _ := c.differing(s)
	if c.isQuantity(s, distinct) || c.values.overflow || distinct*2 > s.values {
		return nil
	}
	var out []string
	rare := int64(0)
	classes := c.classes(s)
	for _, v := range classes {
		if v.Count < 5 {
			rare++
		}
	}
	if rare > 0 {
		last := classes[len(classes)-1]
		out = append(out, many(rare, "class of the target has", "classes of the target have")+fmt.Sprintf(" fewer than 5 rows (%q has %d): five-fold stratified splits are impossible until rare classes are merged or dropped.",
			clip(last.Value, 40), last.Count))
	}
	return out
}

func many(n int64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
