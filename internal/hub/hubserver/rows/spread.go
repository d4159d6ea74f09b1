package rows

import (
	"math"
	"slices"
)

const bins = 10

// A spread measures numbers in two passes: add, then bin.
type spread struct {
	n             int64
	min, max      float64
	mean, squares float64
	keep          int
	kept          []float64 // all, or a fair sample of more
	edges         []float64
	counts        []int64
}

func (s *spread) add(x float64) {
	if math.IsInf(x, 0) {
		return
	}
	if s.n == 0 {
		s.min, s.max = x, x
	}
	s.n++
	s.min, s.max = min(s.min, x), max(s.max, x)
	d := x - s.mean
	s.mean += d / float64(s.n)
	s.squares += d * (x - s.mean)
	if len(s.kept) < s.keep {
		s.kept = append(s.kept, x)
	} else if i, ok := keepOne(s.n, len(s.kept)); ok {
		s.kept[i] = x
	}
}

// openBins sets the edges. Those of whole numbers are whole.
func (s *spread) openBins(whole bool) {
	if s.n == 0 {
		return
	}
	width := (s.max - s.min) / bins
	if math.IsInf(width, 0) {
		return
	}
	if whole {
		width = math.Ceil((s.max - s.min + 1) / bins)
	}
	if width == 0 || s.min+width == s.min {
		s.edges = []float64{s.min, s.max}
	} else {
		for i := 0; i < bins && s.min+float64(i)*width <= s.max; i++ {
			s.edges = append(s.edges, s.min+float64(i)*width)
		}
		s.edges = append(s.edges, s.max)
	}
	s.counts = make([]int64, len(s.edges)-1)
}

func (s *spread) bin(x float64) {
	if len(s.counts) == 0 || math.IsInf(x, 0) {
		return
	}
	i, exact := slices.BinarySearch(s.edges, x)
	if !exact {
		i--
	}
	s.counts[max(0, min(i, len(s.counts)-1))]++
}

func (s *spread) median() float64 {
	slices.Sort(s.kept)
	n := len(s.kept)
	if n%2 == 1 {
		return s.kept[n/2]
	}
	return s.kept[n/2-1]/2 + s.kept[n/2]/2
}

// write fills in the measures; show writes values of the column.
func (s *spread) write(out map[string]any, show func(float64) any, whole bool) {
	for _, name := range []string{"min", "max", "mean", "median", "std", "histogram"} {
		out[name] = nil
	}
	if s.n == 0 {
		return
	}
	out["min"], out["max"] = show(s.min), show(s.max)
	middle := show
	if whole { // the mean of whole numbers is none
		middle = func(x float64) any { return rounded(x) }
	}
	out["mean"], out["median"] = middle(s.mean), middle(s.median())
	if s.n > 1 {
		out["std"] = rounded(math.Sqrt(s.squares / float64(s.n-1)))
	}
	edges := make([]any, len(s.edges))
	for i, e := range s.edges {
		edges[i] = show(e)
	}
	if len(edges) > 0 {
		out["histogram"] = map[string]any{"hist": s.counts, "bin_edges": edges}
	}
}

// rounded has five decimals, as the viewer's numbers do.
func rounded(x float64) float64 {
	if r := math.Round(x*1e5) / 1e5; !math.IsInf(r, 0) && !math.IsNaN(r) {
		return r
	}
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return 0 // JSON has no word for them
	}
	return x
}
