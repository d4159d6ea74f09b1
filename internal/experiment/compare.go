package experiment

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// A Run is one trained model and what it measured.
type Run struct {
	Name    string
	Metrics Metrics
}

// An Interval is a range that holds the true value with 95 % confidence.
type Interval [2]float64

// A Comparison is what can be said of several runs on one metric.
type Comparison struct {
	Metric         string    `json:"metric"`
	HigherIsBetter bool      `json:"higher_is_better"`
	Runs           []Summary `json:"runs"` // best mean first
	Pairs          []Pair    `json:"pairs,omitempty"`
	Choice         string    `json:"choice"`
	Verdict        string    `json:"verdict"` // which run is chosen, and why
	Warnings       []string  `json:"warnings,omitempty"`
}

// A Summary is one run's values in a few numbers.
type Summary struct {
	Name     string    `json:"name"`
	Mean     float64   `json:"mean"`
	Std      float64   `json:"std"`
	N        int       `json:"n"`
	Interval *Interval `json:"interval_95"` // absent (null) with one value
	Half     float64   `json:"half_interval,omitempty"`
	Seconds  float64   `json:"seconds,omitempty"`
	Note     string    `json:"note,omitempty"`

	run    Run
	sample sample
}

// A Pair compares the run with the best mean to another one. Difference is
// how much better Best is, in the metric's units: never negative.
type Pair struct {
	Best        string    `json:"best"`
	Other       string    `json:"other"`
	Difference  float64   `json:"difference"`
	Interval    *Interval `json:"interval_95"` // of this pair alone
	P           *float64  `json:"p"`
	PHolm       *float64  `json:"p_holm"` // adjusted for the number of pairs
	Paired      bool      `json:"paired"` // fold by fold, as their splits are the same
	Significant bool      `json:"significant"`
	Verdict     string    `json:"verdict"`
}

// minTested is the fewest values per run from which differences are tested:
// two have next to no power, and "not distinguishable" would mean nothing.
const minTested = 3

// maxValue is the largest measurement whose square is still a number.
const maxValue = 1e150

// Compare ranks runs on a metric, tests the best against the others, and
// chooses: among the runs that cannot be told from the best, the fastest. If
// metric is empty, the only metric all runs share is taken. The order of runs
// does not matter. It fails if runs cannot be compared: a metric that some of
// them lack, directions that disagree, or different data.
func Compare(runs []Run, metric string) (Comparison, error) {
	metric, err := checkRuns(runs, metric)
	if err != nil {
		return Comparison{}, fmt.Errorf("compare runs: %w", err)
	}
	c := Comparison{Metric: metric}
	if err := c.setDirection(runs); err != nil {
		return Comparison{}, fmt.Errorf("compare runs: %w", err)
	}
	c.summarize(runs)
	for i := range c.Runs[1:] {
		c.Pairs = append(c.Pairs, c.pair(&c.Runs[0], &c.Runs[i+1]))
	}
	c.judge()
	c.choose()
	c.warn()
	return c, nil
}

// checkRuns refuses what cannot be compared, and settles the metric.
func checkRuns(runs []Run, metric string) (string, error) {
	if len(runs) == 0 {
		return "", fmt.Errorf("there are none")
	}
	names := map[string]bool{}
	var shared map[string]bool
	var hashed Run // the first run that says what data it had
	for _, r := range runs {
		if r.Name == "" || names[r.Name] {
			return "", fmt.Errorf("run name %q is empty or used twice", r.Name)
		}
		names[r.Name] = true
		if data := r.Metrics.DataSHA256; data != "" {
			if hashed.Name == "" {
				hashed = r
			}
			if known := hashed.Metrics.DataSHA256; data != known {
				return "", fmt.Errorf("%s and %s were measured on different data (sha256 %.12s and %.12s); run them again on the same", hashed.Name, r.Name, known, data)
			}
		}
		have := map[string]bool{}
		for name, values := range r.Metrics.Values {
			if slices.ContainsFunc(values, func(v float64) bool { return !(math.Abs(v) <= maxValue) }) {
				return "", fmt.Errorf("%s has values of %q that are no finite numbers, or too large to compare", r.Name, name)
			}
			if len(values) > 0 && (shared == nil || shared[name]) {
				have[name] = true
			}
		}
		shared = have
	}
	common := slices.Sorted(maps.Keys(shared))
	if metric == "" && len(common) == 1 {
		return common[0], nil
	}
	if metric == "" || !shared[metric] {
		return "", fmt.Errorf("%s; metrics all runs have: %s", lacking(runs, metric), cmp.Or(strings.Join(common, ", "), "none"))
	}
	return metric, nil
}

func lacking(runs []Run, metric string) string {
	if metric == "" {
		return "no metric is named"
	}
	var names []string
	for _, r := range runs {
		if len(r.Metrics.Values[metric]) == 0 {
			names = append(names, r.Name)
		}
	}
	return fmt.Sprintf("metric %q is missing from %s", metric, strings.Join(names, ", "))
}

// setDirection takes what the runs say, or else what the name says.
func (c *Comparison) setDirection(runs []Run) error {
	said := ""
	for _, r := range runs {
		higher, ok := r.Metrics.HigherIsBetter[c.Metric]
		if !ok {
			continue
		}
		if said != "" && higher != c.HigherIsBetter {
			return fmt.Errorf("%s and %s disagree whether a higher %s is better", said, r.Name, c.Metric)
		}
		said, c.HigherIsBetter = r.Name, higher
	}
	higher, known := knownDirection(c.Metric)
	switch {
	case said == "" && !known:
		c.HigherIsBetter = true
		c.Warnings = append(c.Warnings, fmt.Sprintf("no run says whether a higher %s is better; it is assumed to be", c.Metric))
	case said == "":
		c.HigherIsBetter = higher
	case known && higher != c.HigherIsBetter:
		c.Warnings = append(c.Warnings, fmt.Sprintf("runs say that a %s %s is better, against its name", map[bool]string{true: "higher", false: "lower"}[c.HigherIsBetter], c.Metric))
	}
	return nil
}

// summarize measures each run and ranks them.
func (c *Comparison) summarize(runs []Run) {
	bounded := isBounded(c.Metric, runs)
	for _, r := range runs {
		s := Summary{Name: r.Name, Seconds: r.Metrics.Seconds, run: r}
		s.sample = measure(r.Metrics.Values[c.Metric], r.Metrics.Splits)
		s.Mean, s.Std, s.N = s.sample.mean, s.sample.std, s.sample.n
		switch {
		case s.N == 1:
			s.Note = "one value only, so no interval"
		case s.Std == 0:
			s.Note = "all values are the same, so no interval: do they differ in split or seed?"
		default:
			s.Interval = interval(s.Mean, s.sample.se, float64(s.N-1))
			s.Half = s.Interval[1] - s.Mean
			if bounded {
				s.Interval[0], s.Interval[1] = max(0, s.Interval[0]), min(1, s.Interval[1])
			}
		}
		c.Runs = append(c.Runs, s)
	}
	slices.SortFunc(c.Runs, func(a, b Summary) int {
		byMean := cmp.Compare(b.Mean, a.Mean)
		if !c.HigherIsBetter {
			byMean = -byMean
		}
		return cmp.Or(byMean, compareSeconds(a, b), cmp.Compare(a.Name, b.Name))
	})
}

// compareSeconds orders by time taken; unknown counts as longest.
func compareSeconds(a, b Summary) int {
	if (a.Seconds == 0) != (b.Seconds == 0) {
		return cmp.Compare(b.Seconds, a.Seconds)
	}
	return cmp.Compare(a.Seconds, b.Seconds)
}

// pair compares two runs: fold by fold where their folds are the same rows,
// and as independent samples otherwise.
func (c *Comparison) pair(best, other *Summary) Pair {
	p := Pair{Best: best.Name, Other: other.Name, Difference: best.Mean - other.Mean}
	if !c.HigherIsBetter {
		p.Difference = -p.Difference
	}
	p.Paired = sameSplits(best.run.Metrics, other.run.Metrics) && best.N == other.N && best.N > 1
	if best.N < minTested || other.N < minTested {
		return p
	}
	se, df := welch(best.sample, other.sample)
	if p.Paired {
		a, b := best.run.Metrics.Values[c.Metric], other.run.Metrics.Values[c.Metric]
		differences := make([]float64, len(a))
		for i := range a {
			differences[i] = a[i] - b[i]
		}
		d := measure(differences, best.run.Metrics.Splits)
		se, df = d.se, float64(d.n-1)
	}
	if (best.Std == 0 || other.Std == 0) && !(p.Paired && se > 0) {
		return p // a run that never varies does not tell how much chance there is
	}
	value := pValue(p.Difference, se, df)
	adjusted := value
	p.P, p.PHolm, p.Interval = &value, &adjusted, interval(p.Difference, se, df)
	return p
}

// sameSplits holds if the i-th values of both runs come from the same rows.
func sameSplits(a, b Metrics) bool {
	if !a.Splits.resampled() || !b.Splits.resampled() {
		return false
	}
	seedA, seedB := cmp.Or(a.Splits.Seed, a.Seed), cmp.Or(b.Splits.Seed, b.Seed)
	return seedA != nil && seedB != nil && *seedA == *seedB &&
		a.Splits.Kind == b.Splits.Kind && a.Splits.Folds == b.Splits.Folds &&
		a.Splits.Repeats == b.Splits.Repeats && a.Splits.TestFraction == b.Splits.TestFraction
}
