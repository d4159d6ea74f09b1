package experiment

import (
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/mathext"
)

// confidence is the level of all intervals, and 1 - confidence the risk taken
// of calling chance a difference.
const confidence = 0.95

// A sample is a set of measurements and how sure their mean is.
type sample struct {
	n         int
	mean, std float64
	se        float64 // standard error of the mean
}

// measure sums up values that were measured under splits.
func measure(values []float64, s *Splits) sample {
	out := sample{n: len(values)}
	for _, v := range values {
		out.mean += v
	}
	out.mean /= float64(out.n)
	if out.n < 2 {
		return out
	}
	sum := 0.0
	for _, v := range values {
		sum += (v - out.mean) * (v - out.mean)
	}
	variance := sum / float64(out.n-1)
	if math.Sqrt(variance) < 1e-12*math.Abs(out.mean) {
		variance = 0 // equal values, less the rounding of their mean
	}
	out.std = math.Sqrt(variance)
	out.se = math.Sqrt(variance * (1/float64(out.n) + s.overlap()))
	return out
}

// overlap is the correction of Nadeau and Bengio (2003). Runs on folds of the
// same rows share training data, so their values vary together, and the plain
// variance of the mean is too small. Independent runs need none.
func (s *Splits) overlap() float64 {
	if !s.resampled() {
		return 0
	}
	fraction := s.TestFraction
	if fraction == 0 && s.Folds > 1 {
		fraction = 1 / float64(s.Folds)
	}
	return fraction / (1 - fraction)
}

// resampled holds if the values come from different divisions of the same rows.
func (s *Splits) resampled() bool {
	if s == nil {
		return false
	}
	kind := strings.ToLower(s.Kind)
	return strings.Contains(kind, "fold") || strings.Contains(kind, "split") || strings.Contains(kind, "leave") ||
		strings.Contains(kind, "monte") || strings.Contains(kind, "cross")
}

// interval is the two-sided Student interval around a mean.
func interval(mean, se, df float64) *Interval {
	half := quantile(df) * se
	return &Interval{mean - half, mean + half}
}

// quantile is the t of Student's distribution that is passed, on either side,
// with the probability 1 - confidence. The distribution is written with the
// incomplete beta function (Abramowitz and Stegun, 26.7.1), because
// gonum/stat/distuv brings all of linear algebra into the program.
func quantile(df float64) float64 {
	x := mathext.InvRegIncBeta(df/2, 0.5, 1-confidence)
	return math.Sqrt(df * (1 - x) / x)
}

// pValue is the two-sided probability of a mean at least so far from zero.
func pValue(mean, se, df float64) float64 {
	switch {
	case mean == 0:
		return 1
	case se == 0:
		return 0
	}
	t := mean / se
	return min(1, mathext.RegIncBeta(df/2, 0.5, df/(df+t*t)))
}

// welch combines two independent samples: the error of the difference of
// their means, and its degrees of freedom.
func welch(a, b sample) (se, df float64) {
	va, vb := a.se*a.se, b.se*b.se
	if va+vb == 0 {
		return 0, float64(a.n + b.n - 2)
	}
	df = (va + vb) * (va + vb) / (va*va/float64(a.n-1) + vb*vb/float64(b.n-1))
	return math.Sqrt(va + vb), df
}

// holm adjusts p values for being several, in place.
func holm(p []*float64) {
	sorted := slices.Clone(p)
	slices.SortStableFunc(sorted, func(a, b *float64) int {
		switch {
		case *a < *b:
			return -1
		case *a > *b:
			return 1
		}
		return 0
	})
	floor := 0.0
	for i, v := range sorted {
		floor = max(floor, min(1, *v*float64(len(sorted)-i)))
		*v = floor
	}
}

// lowerNames are words in the names of metrics that should be small.
var lowerNames = []string{
	"loss", "mae", "mse", "rmse", "msle", "rmsle", "mape", "smape", "error", "errors", "err", "perplexity", "ppl",
	"nll", "brier", "deviance", "wer", "cer", "fid", "latency", "ece", "mer", "mase", "hamming",
}

// higherNames are words in the names of metrics that should be large.
var higherNames = []string{
	"accuracy", "acc", "f1", "precision", "recall", "auc", "auroc", "roc", "auprc", "r2", "mcc", "kappa", "bleu",
	"rouge", "rouge1", "rouge2", "rougel", "map", "ndcg", "mrr", "iou", "miou", "dice", "score", "sensitivity", "specificity",
	"jaccard", "hits", "pearson", "spearman", "neg", "em", "correct", "reward", "throughput", "likelihood", "variance",
}

// knownDirection tells from a metric's name whether more of it is better.
func knownDirection(metric string) (higher, known bool) {
	words := nameWords(metric)
	if len(words) > 0 && words[0] == "neg" {
		return true, true
	}
	for _, w := range words {
		if slices.Contains(lowerNames, w) {
			return false, true
		}
	}
	for _, w := range words {
		if slices.Contains(higherNames, w) {
			return true, true
		}
	}
	return true, false
}

// isBounded holds for metrics that lie between 0 and 1 by definition.
func isBounded(metric string, runs []Run) bool {
	bounded := []string{
		"accuracy", "acc", "f1", "precision", "recall", "auc", "auroc", "roc", "auprc", "iou", "miou", "dice",
		"sensitivity", "specificity", "jaccard", "brier", "ndcg", "mrr", "ece",
	}
	if !slices.ContainsFunc(nameWords(metric), func(w string) bool { return slices.Contains(bounded, w) }) {
		return false
	}
	for _, r := range runs {
		for _, v := range r.Metrics.Values[metric] {
			if v < 0 || v > 1 {
				return false // as percentages, or negated
			}
		}
	}
	return true
}

func nameWords(metric string) []string {
	return strings.FieldsFunc(strings.ToLower(metric), func(r rune) bool {
		return r == '_' || r == '-' || r == '.' || r == ' ' || r == '/' || r == '@'
	})
}
