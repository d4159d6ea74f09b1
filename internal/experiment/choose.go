package experiment

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// judge says of each pair whether the difference is more than chance.
func (c *Comparison) judge() {
	var tested []*float64
	for _, p := range c.Pairs {
		if p.PHolm != nil {
			tested = append(tested, p.PHolm)
		}
	}
	holm(tested)
	for i := range c.Pairs {
		p := &c.Pairs[i]
		difference := number(p.Difference)
		if p.Interval != nil {
			difference += fmt.Sprintf(" [%s, %s]", number(p.Interval[0]), number(p.Interval[1]))
		}
		switch {
		case p.P == nil:
			p.Verdict = fmt.Sprintf("%s measured better than %s by %s, but too few or unvarying values were measured to test it", p.Best, p.Other, difference)
		case *p.PHolm < 1-confidence:
			p.Significant = true
			p.Verdict = fmt.Sprintf("%s is better than %s by %s", p.Best, p.Other, difference)
		default:
			p.Verdict = fmt.Sprintf("no significant difference between %s and %s (%s)", p.Best, p.Other, difference)
		}
	}
}

// muchFaster is how many times faster a run must be to be preferred to an
// equal one with a better mean: less is noise of the clock.
const muchFaster = 2

// choose picks among the runs that were tested against the best and could not
// be told from it: one that is much faster, else the best mean. A run that could
// not be tested is no candidate: that nothing is known is no reason to prefer it.
func (c *Comparison) choose() {
	best := c.Runs[0]
	c.Choice = best.Name
	equal := []Summary{best}
	untested := 0
	for i, p := range c.Pairs {
		switch {
		case p.P == nil:
			untested++
		case !p.Significant:
			equal = append(equal, c.Runs[i+1])
		}
	}
	timed := !slices.ContainsFunc(equal, func(s Summary) bool { return s.Seconds <= 0 })
	choice := best
	for _, s := range equal {
		if timed && s.Seconds*muchFaster <= best.Seconds && s.Seconds < choice.Seconds {
			choice = s
		}
	}
	c.Choice = choice.Name
	c.Verdict = c.explain(best, choice, equal, untested)
}

func (c *Comparison) explain(best, choice Summary, equal []Summary, untested int) string {
	mean := fmt.Sprintf("%s %s", c.Metric, number(best.Mean))
	switch {
	case len(c.Runs) == 1:
		return fmt.Sprintf("%s is the only run (%s)", best.Name, mean)
	case len(equal) > 1 && choice.Name == best.Name:
		return fmt.Sprintf("no significant difference between %s; %s has the best mean (%s) and is chosen, as none of the others is known to be much faster",
			names(equal), best.Name, mean)
	case len(equal) > 1:
		return fmt.Sprintf("no significant difference between %s; %s is preferred, as it takes %s s and %s %s s",
			names(equal), choice.Name, number(choice.Seconds), best.Name, number(best.Seconds))
	case untested == len(c.Pairs):
		return fmt.Sprintf("%s measured best (%s), but no difference could be tested: measure each run on at least %d folds or seeds", best.Name, mean, minTested)
	case untested > 0:
		return fmt.Sprintf("%s measured best (%s) and is better than every run it could be tested against", best.Name, mean)
	case len(c.Pairs) == 1:
		return c.Pairs[0].Verdict
	}
	return fmt.Sprintf("%s is better than every other run (%s)", best.Name, mean)
}

// names lists runs as "a, b and c", in the order of their names.
func names(runs []Summary) string {
	var list []string
	for _, r := range runs {
		list = append(list, r.Name)
	}
	slices.Sort(list)
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

// warn says what makes the comparison less sure than its numbers look.
func (c *Comparison) warn() {
	say := func(format string, args ...any) { c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...)) }
	first := c.Runs[0].run.Metrics
	hashed, trained, unpaired, metricSets := 0, 0, 0, 0
	for _, r := range c.Runs {
		m := r.run.Metrics
		if m.DataSHA256 != "" {
			hashed++
		}
		if m.NTrain != first.NTrain {
			trained++
		}
		if !slices.Equal(slices.Sorted(maps.Keys(m.Values)), slices.Sorted(maps.Keys(first.Values))) {
			metricSets++
		}
		switch s := m.Splits; {
		case s == nil && r.N > 1:
			say("%s does not say how its %d values were split; they are taken for independent runs", r.Name, r.N)
		case s.resampled() && s.overlap() == 0:
			say("%s says neither folds nor test_fraction; its interval is too narrow", r.Name)
		case s.resampled() && s.Folds > 0 && r.N != s.Folds*max(1, s.Repeats) && !strings.Contains(s.Kind, "shuffle"):
			say("%s has %d values for %d folds and %d repeats", r.Name, r.N, s.Folds, max(1, s.Repeats))
		}
	}
	for _, p := range c.Pairs {
		if p.P != nil && !p.Paired {
			unpaired++
		}
	}
	if hashed > 0 && hashed < len(c.Runs) {
		say("not every run says which data it was measured on")
	}
	if trained > 0 {
		say("runs were trained on different numbers of rows")
	}
	if metricSets > 0 {
		say("runs do not all report the same metrics")
	}
	if unpaired > 0 && first.Splits.resampled() {
		say("runs without the same splits and seed are compared as independent samples, which finds fewer differences")
	}
}

// Table shows the comparison as aligned plain text, the choice marked.
func (c Comparison) Table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	arrow := map[bool]string{true: "higher is better", false: "lower is better"}[c.HigherIsBetter]
	fmt.Fprintf(w, "  run\t%s (%s)\tn\tseconds\n", c.Metric, arrow)
	for _, r := range c.Runs {
		mark, value, seconds := " ", number(r.Mean), "-"
		if r.Name == c.Choice {
			mark = "*"
		}
		if r.Interval != nil {
			value = plusMinus(r.Mean, r.Half)
		}
		if r.Seconds > 0 {
			seconds = number(r.Seconds)
		}
		fmt.Fprintf(w, "%s %s\t%s\t%d\t%s\n", mark, r.Name, value, r.N, seconds)
	}
	w.Flush() // cannot fail: a strings.Builder takes everything
	return b.String()
}

// plusMinus shows two digits of the uncertainty, and as many of the value as
// that leaves meaning.
func plusMinus(v, half float64) string {
	decimals := min(max(0, 1-int(math.Floor(math.Log10(half)))), 8)
	return fmt.Sprintf("%.*f ± %.*f", decimals, v, decimals, half)
}

// number shows four significant digits, without an exponent where it is short.
func number(v float64) string { return fmt.Sprintf("%.4g", v) }
