package dataset

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// imbalance is the ratio of the largest class to the smallest from which
// accuracy flatters a model that ignores the small ones.
const imbalance = 3

// maxClasses bounds the classes a profile lists.
const maxClasses = 50

// findTarget looks for the wanted column among the names from index from on,
// or guesses one.
func (t *table) findTarget(header []string, from int) {
	if t.opts.Target == "" {
		if i, guess := guessTarget(t.names); guess != nil {
			t.target, t.guess = i, guess
		}
		return
	}
	want := t.opts.Target
	for _, rule := range []struct {
		name string
		same func(i int) bool
	}{
		{"exact", func(i int) bool { return header[i] == want || t.names[i] == want }},
		{"trimmed", func(i int) bool { return strings.TrimSpace(header[i]) == strings.TrimSpace(want) }},
		{"case_insensitive", func(i int) bool { return strings.EqualFold(t.names[i], strings.TrimSpace(want)) }},
		{"normalized", func(i int) bool { return fold(t.names[i]) == fold(want) && fold(want) != "" }},
	} {
		for i := from; i < len(header); i++ {
			if rule.same(i) {
				t.target, t.matched = i, rule.name
				return
			}
		}
	}
}

func (t *table) targetAbsent() error {
	hint := fmt.Sprintf("Its columns are %s.", quotedList(t.names[:min(len(t.names), 12)]))
	if len(t.names) > 12 {
		hint = fmt.Sprintf("It has %d columns; the first are %s.", len(t.names), quotedList(t.names[:8]))
	}
	if near := nearest(t.opts.Target, t.names, 3); len(near) > 0 {
		hint = fmt.Sprintf("Did you mean %s?", quotedList(near))
	} else if d, ok := t.reader.(*delimited); ok && !d.dialect.header {
		hint = fmt.Sprintf("The file has no header row; its columns are called %q to %q here.", t.names[0], t.names[len(t.names)-1])
	}
	return &Error{CodeTargetAbsent, fmt.Sprintf("there is no column %q in the table.", clip(t.opts.Target, 60)), hint}
}

// judge says how to predict the target, or why it cannot be.
func (t *table) judge() (*Target, error) {
	c := t.columns[t.target]
	s := c.settle()
	name := fmt.Sprintf("%q", clip(c.name, 60))
	distinct, _ := c.differing(s)
	switch {
	case s.values == 0 || s.missing > s.values:
		return nil, &Error{
			CodeTargetMissing, fmt.Sprintf("the target column %s has no value in %d of %d rows.", name, s.missing, s.missing+s.values),
			"Fill it in, or name another column to predict.",
		}
	case distinct == 1:
		return nil, &Error{
			CodeTargetConstant, fmt.Sprintf("the target column %s is the same in every row (%q).", name, c.examples[0]),
			"There is nothing to learn from it; name another column, or add rows with other values.",
		}
	case s.values < minLabelled:
		return nil, &Error{CodeTooFewRows, fmt.Sprintf("only %s a value in %s, and a model needs at least %d to be trained and tested.",
			many(s.values, "row has", "rows have"), name, minLabelled), "Add more rows with a known value."}
	}
	out := &Target{Name: c.name, Matched: t.matched, Labelled: s.values, Missing: s.missing}
	classes := c.classes(s)
	if c.isQuantity(s, distinct) {
		c.judgeRegression(out, distinct)
		return out, nil
	}
	kind := c.kind(s, t.target == 0)
	if kind == KindDatetime || kind == KindNested || c.values.overflow || distinct*2 > s.values {
		return nil, &Error{
			CodeTargetUnusable, fmt.Sprintf("the target column %s holds %s, which is neither a class nor a number.", name, what(kind, distinct)),
			"Name a column with a few classes or with numbers, or derive one from it first.",
		}
	}
	judgeClasses(out, classes)
	if kind == KindInteger && len(classes) > 3 && c.numbers.min != 0 {
		out.Reason += " They are whole numbers: if their order matters (as in a rating), regression is possible too."
	}
	return out, nil
}

func what(kind Kind, distinct int64) string {
	switch kind {
	case KindDatetime:
		return "dates"
	case KindNested:
		return "nested values"
	}
	return fmt.Sprintf("%d different texts", distinct)
}

// classes are the target's values, what stands for none left out.
func (c *column) classes(s shares) []Count {
	return slices.DeleteFunc(c.values.sorted(), func(v Count) bool {
		return (s.numeric || s.dated) && c.soft[v.Value] > 0
	})
}

// isQuantity tells a number to estimate from a number that names a class.
func (c *column) isQuantity(s shares, distinct int64) bool {
	switch {
	case !s.numeric || c.isCode() || distinct == 2:
		return false
	case c.integral < c.numbers.n, distinct > 20, s.values < distinct*4:
		return true
	case distinct <= 10:
		return false
	}
	// 11 to 20 whole numbers: classes if they are numbered without gaps from
	// 0 or 1 and each has many rows.
	numbered := (c.numbers.min == 0 || c.numbers.min == 1) && c.numbers.max-c.numbers.min == float64(distinct-1)
	return !(numbered && s.values >= distinct*50)
}

func (c *column) judgeRegression(out *Target, distinct int64) {
	out.Task, out.Metric, out.AlsoReport = TaskRegression, "rmse", []string{"mae", "r2"}
	out.Reason = fmt.Sprintf("The target is a number with %d different values, so this is regression.", distinct)
	if skew := c.numbers.skewness(); math.Abs(skew) > 2 {
		out.Metric, out.AlsoReport = "mae", []string{"rmse", "r2"}
		out.Reason += fmt.Sprintf(" Its values are far from symmetric (skewness %.1f), so a few large errors would decide rmse; mae is judged instead.", skew)
		if c.numbers.min >= 0 {
			out.Reason += " Try training on its logarithm."
		}
	}
}

func judgeClasses(out *Target, classes []Count) {
	out.ClassCount = len(classes)
	out.Classes = classes[:min(len(classes), maxClasses)]
	largest, smallest := classes[0], classes[len(classes)-1]
	out.ImbalanceRatio = round(float64(largest.Count)/float64(smallest.Count), 3)
	out.Imbalanced = out.ImbalanceRatio >= imbalance
	out.Task = TaskMulticlass
	if len(classes) == 2 {
		out.Task = TaskBinary
	}
	out.Metric, out.AlsoReport = "accuracy", []string{"f1_macro"}
	out.Reason = fmt.Sprintf("The target has %d classes of similar size, so accuracy is a fair measure.", len(classes))
	if out.Imbalanced {
		out.Metric, out.AlsoReport = "f1_macro", []string{"balanced_accuracy", "accuracy"}
		out.Reason = fmt.Sprintf("The target's %d classes are imbalanced (%q has %d rows, %q has %d): a model that ignores the small ones can still score well on accuracy (always answering %q is right in %.0f%% of rows), so f1_macro is judged.",
			len(classes), clip(largest.Value, 40), largest.Count, clip(smallest.Value, 40), smallest.Count,
			clip(largest.Value, 40), 100*float64(largest.Count)/float64(out.Labelled))
	}
}
