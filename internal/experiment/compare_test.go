package experiment_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ml-intern/internal/experiment"
)

// The expected numbers below were computed once with numpy and scipy 1.17.1:
//
//	def corrected(v, frac):
//	    n = len(v); se = np.sqrt(np.var(v, ddof=1) * (1/n + frac/(1-frac)))
//	    return np.mean(v), stats.t.ppf(.975, n-1) * se, 2 * stats.t.sf(abs(np.mean(v)/se), n-1)
//	corrected(A, .2); corrected(B, .2); corrected(np.array(A)-np.array(B), .2)
//	stats.t.interval(.95, 3, np.mean(C), stats.sem(C))
//	stats.ttest_ind(C, D, equal_var=False).confidence_interval(.95)
var (
	foldsA = []float64{.93, .95, .97, .90, .94, .96, .92, .95, .93, .95}
	foldsB = []float64{.91, .94, .95, .90, .91, .95, .90, .93, .92, .92}
	seedsC = []float64{.71, .74, .69, .73}
	seedsD = []float64{.60, .66, .63, .61, .58}
)

func folds(name string, values []float64, seconds float64) experiment.Run {
	seed := int64(0)
	return experiment.Run{Name: name, Metrics: experiment.Metrics{
		Values:  map[string][]float64{"accuracy": values},
		Splits:  &experiment.Splits{Kind: "repeated_kfold", Folds: 5, Repeats: 2, TestFraction: 0.2},
		Seconds: seconds, Seed: &seed,
	}}
}

func seeds(name, metric string, seconds float64, values ...float64) experiment.Run {
	return experiment.Run{Name: name, Metrics: experiment.Metrics{
		Values: map[string][]float64{metric: values}, Splits: &experiment.Splits{Kind: "seeds"}, Seconds: seconds,
	}}
}

func compare(t *testing.T, metric string, runs ...experiment.Run) experiment.Comparison {
	t.Helper()
	c, err := experiment.Compare(runs, metric)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
		t.Errorf("%s is %.15g, want %.15g", what, got, want)
	}
}

func TestCorrectedIntervalsOfFolds(t *testing.T) {
	t.Parallel()
	c := compare(t, "accuracy", folds("b", foldsB, 1), folds("a", foldsA, 9))
	a, b, p := c.Runs[0], c.Runs[1], c.Pairs[0]
	near(t, "mean of a", a.Mean, 0.94)
	near(t, "std of a", a.Std, 0.020548046676563226)
	near(t, "half of a", a.Half, 0.027499660985455702)
	near(t, "half of b", b.Half, 0.025274819210926797)
	near(t, "lower end of b", b.Interval[0], 0.923-0.025274819210926797)
	if !p.Paired || !p.Significant {
		t.Fatalf("got %+v", p)
	}
	near(t, "difference", p.Difference, 0.017)
	near(t, "lower end", p.Interval[0], 0.017-0.012696325587341187)
	near(t, "upper end", p.Interval[1], 0.017+0.012696325587341187)
	near(t, "p", *p.P, 0.014270683896341797)
	near(t, "adjusted p", *p.PHolm, 0.014270683896341797)
	if c.Choice != "a" || c.Verdict != "a is better than b by 0.017 [0.004304, 0.0297]" {
		t.Errorf("choice %s: %s", c.Choice, c.Verdict)
	}
}

func TestPlainIntervalsOfSeeds(t *testing.T) {
	t.Parallel()
	c := compare(t, "accuracy", seeds("c", "accuracy", 5, seedsC...), seeds("d", "accuracy", 1, seedsD...))
	near(t, "lower end of c", c.Runs[0].Interval[0], 0.6822169214106929)
	near(t, "upper end of c", c.Runs[0].Interval[1], 0.7527830785893069)
	p := c.Pairs[0]
	if p.Paired {
		t.Error("seeds were paired")
	}
	near(t, "lower end", p.Interval[0], 0.059906909923795035)
	near(t, "upper end", p.Interval[1], 0.1430930900762048)
	near(t, "p", *p.P, 0.0006903040074490185)
}

func TestChoice(t *testing.T) {
	t.Parallel()
	shift := func(by float64) []float64 {
		out := make([]float64, len(foldsA))
		for i, v := range foldsA {
			out[i] = v + by*float64(i%3-1) - by/4
		}
		return out
	}
	for _, tc := range []struct {
		name, metric, choice, says string
		runs                       []experiment.Run
	}{
		{
			"the much faster of equals", "accuracy", "quick", "quick is preferred, as it takes 2 s and slow 60 s",
			[]experiment.Run{folds("slow", foldsA, 60), folds("quick", shift(.01), 2), folds("bad", foldsB, 1)},
		},
		{
			"a little faster is noise", "accuracy", "slow", "slow has the best mean",
			[]experiment.Run{folds("slow", foldsA, 60), folds("quick", shift(.01), 55)},
		},
		{
			"without times the best mean", "accuracy", "slow", "slow has the best mean",
			[]experiment.Run{folds("slow", foldsA, 60), folds("quick", shift(.01), 0)},
		},
		{
			"one value each", "accuracy", "x", "no difference could be tested",
			[]experiment.Run{seeds("x", "accuracy", 60, .95), seeds("y", "accuracy", 1, .5)},
		},
		{
			"values that never vary", "accuracy", "x", "no difference could be tested",
			[]experiment.Run{seeds("x", "accuracy", 60, .95, .95, .95), seeds("y", "accuracy", 1, .94, .94, .94)},
		},
		{
			"lower is better by name", "rmse", "y", "y is better than x by",
			[]experiment.Run{seeds("x", "rmse", 1, 3.1, 3.2, 3.15), seeds("y", "rmse", 60, 2.1, 2.2, 2.12)},
		},
		{
			"negated error", "neg_mean_squared_error", "x", "x is better than y by",
			[]experiment.Run{seeds("x", "neg_mean_squared_error", 1, -3.1, -3.2, -3.15), seeds("y", "neg_mean_squared_error", 60, -5, -5.1, -5.05)},
		},
		{"alone", "accuracy", "x", "only run", []experiment.Run{seeds("x", "accuracy", 1, .9, .8)}},
		{
			"one untested", "accuracy", "x", "every run it could be tested against",
			[]experiment.Run{seeds("x", "accuracy", 9, .95, .94, .96), seeds("y", "accuracy", 1, .5, .51, .52), seeds("z", "accuracy", .1, .7)},
		},
		{"the only shared metric", "", "x", "x is better", []experiment.Run{seeds("x", "r2", 9, .95, .94, .96), seeds("y", "r2", 1, .5, .51, .52)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := compare(t, tc.metric, tc.runs...)
			if c.Choice != tc.choice || !strings.Contains(c.Verdict, tc.says) {
				t.Errorf("choice %s: %s\nwant %s: %q\n%+v", c.Choice, c.Verdict, tc.choice, tc.says, c.Pairs)
			}
			if _, err := json.Marshal(c); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCompareRefuses(t *testing.T) {
	t.Parallel()
	a, b := folds("a", foldsA, 1), folds("b", foldsB, 1)
	with := func(r experiment.Run, change func(*experiment.Metrics)) experiment.Run {
		change(&r.Metrics)
		return r
	}
	for _, tc := range []struct {
		name, metric, says string
		runs               []experiment.Run
	}{
		{"none", "accuracy", "none", nil},
		{"a metric some lack", "accuracy", "missing from c; metrics all runs have: none", []experiment.Run{a, seeds("c", "f1", 1, .5)}},
		{
			"no metric named", "", "no metric is named; metrics all runs have: f1, loss",
			[]experiment.Run{with(a, func(m *experiment.Metrics) { m.Values = map[string][]float64{"f1": {1}, "loss": {2}} })},
		},
		{"the same name", "accuracy", "used twice", []experiment.Run{a, a}},
		{"directions", "accuracy", "disagree", []experiment.Run{
			with(a, func(m *experiment.Metrics) { m.HigherIsBetter = map[string]bool{"accuracy": true} }),
			with(b, func(m *experiment.Metrics) { m.HigherIsBetter = map[string]bool{"accuracy": false} }),
		}},
		{"data", "accuracy", "different data", []experiment.Run{
			with(a, func(m *experiment.Metrics) { m.DataSHA256 = "aa" }), with(b, func(m *experiment.Metrics) { m.DataSHA256 = "bb" }),
		}},
		{"data, the first unknown", "accuracy", "different data", []experiment.Run{
			a,
			with(b, func(m *experiment.Metrics) { m.DataSHA256 = "aa" }), with(folds("c", foldsA, 1), func(m *experiment.Metrics) { m.DataSHA256 = "bb" }),
		}},
		{"not a number", "accuracy", "finite", []experiment.Run{folds("a", []float64{math.NaN()}, 1)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, err := experiment.Compare(tc.runs, tc.metric)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %+v, error %v; want an error with %q", c, err, tc.says)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	odd := folds("odd", foldsB[:7], 1)
	odd.Metrics.NTrain, odd.Metrics.DataSHA256 = 7, "aa"
	odd.Metrics.Values["loss"] = []float64{1}
	c := compare(t, "accuracy", folds("a", foldsA, 1), odd)
	all := strings.Join(c.Warnings, "\n")
	for _, want := range []string{"odd has 7 values for 5 folds and 2 repeats", "different numbers of rows", "same metrics", "which data", "independent samples"} {
		if !strings.Contains(all, want) {
			t.Errorf("no warning %q in:\n%s", want, all)
		}
	}
	if c := compare(t, "quux", seeds("a", "quux", 1, 2)); len(c.Warnings) != 1 || !c.HigherIsBetter {
		t.Errorf("an unknown direction: %v", c.Warnings)
	}
}

func TestHolmRaisesPValues(t *testing.T) {
	t.Parallel()
	runs := []experiment.Run{folds("best", foldsA, 9)}
	for i, by := range []float64{0.004, 0.008, 0.012} {
		values := make([]float64, len(foldsA))
		for k, v := range foldsA {
			values[k] = v - by*float64(k%4)
		}
		runs = append(runs, folds(fmt.Sprintf("r%d", i), values, 9))
	}
	c := compare(t, "accuracy", runs...)
	for i, p := range c.Pairs {
		want := min(1, *p.P*3) // the three have the same t, so the same p
		near(t, fmt.Sprintf("adjusted p of pair %d", i), *p.PHolm, want)
	}
}

func TestIntervalsStayInBounds(t *testing.T) {
	t.Parallel()
	c := compare(t, "accuracy", seeds("a", "accuracy", 1, .99, 1, .9))
	if i := c.Runs[0].Interval; i[1] != 1 || i[0] >= .9 {
		t.Errorf("got %v", *i)
	}
	c = compare(t, "accuracy", seeds("a", "accuracy", 1, 99, 100, 90))
	if i := c.Runs[0].Interval; i[1] <= 100 {
		t.Errorf("percentages were clipped: %v", *i)
	}
}

// TestOrderDoesNotMatter compares random runs in random orders.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var runs []experiment.Run
		for i := range 2 + r.IntN(5) {
			values := make([]float64, []int{1, 2, 10, 10, 10}[r.IntN(5)])
			for k := range values {
				values[k] = math.Round(100*(0.8+0.1*r.Float64())) / 100 // with ties
			}
			runs = append(runs, folds(fmt.Sprintf("r%d", i), values, float64(r.IntN(3))))
		}
		want := compare(t, "accuracy", runs...)
		r.Shuffle(len(runs), func(i, j int) { runs[i], runs[j] = runs[j], runs[i] })
		got := compare(t, "accuracy", runs...)
		if got.Choice != want.Choice || got.Verdict != want.Verdict || got.Table() != want.Table() {
			t.Fatalf("%s\n%s\nin another order:\n%s\n%s", want.Verdict, want.Table(), got.Verdict, got.Table())
		}
	}
}

// TestCoverage draws measurements with a known mean and counts how often the
// interval holds it. Folds are drawn with the correlation that the correction
// supposes: the test fraction.
func TestCoverage(t *testing.T) {
	t.Parallel()
	const trials, truth = 3000, 5.0
	r := rand.New(rand.NewPCG(3, 4))
	for _, tc := range []struct {
		name        string
		correlation float64
		run         func(values []float64) experiment.Run
	}{
		{"seeds", 0, func(v []float64) experiment.Run { return seeds("a", "accuracy", 1, v...) }},
		{"folds", 0.2, func(v []float64) experiment.Run { return folds("a", v, 1) }},
	} {
		held := 0
		for range trials {
			shared := r.NormFloat64()
			values := make([]float64, 10)
			for i := range values {
				values[i] = truth + math.Sqrt(tc.correlation)*shared + math.Sqrt(1-tc.correlation)*r.NormFloat64()
			}
			c := compare(t, "accuracy", tc.run(values))
			if i := c.Runs[0].Interval; i[0] <= truth && truth <= i[1] {
				held++
			}
		}
		if share := float64(held) / trials; share < 0.935 || share > 0.975 {
			t.Errorf("%s: the interval holds the mean in %.1f%% of trials, want 95%%", tc.name, 100*share)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	c := compare(t, "accuracy", folds("forest", foldsA, 61.25), folds("logistic", foldsB, 0.5), folds("one fold", []float64{.8}, 0))
	want := `  run       accuracy (higher is better)  n   seconds
* forest    0.940 ± 0.027                10  61.25
  logistic  0.923 ± 0.025                10  0.5
  one fold  0.8                          1   -
`
	if d := cmp.Diff(want, c.Table()); d != "" {
		t.Error(d)
	}
}
