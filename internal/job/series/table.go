package series

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"ml-intern/internal/sparkline"
)

const (
	defaultRows  = 30
	sparkWidth   = 24
	flatShare    = 0.005 // of its size: a smaller change is none
	trendQuarter = 4
)

// Table shows the metrics, a line each: what is best is guessed from the name,
// and the guess is shown. Losses and scores come first; of more than limit (30
// if 0) the rest is counted.
func (s *Set) Table(limit int) string {
	all := s.All()
	slices.SortStableFunc(all, func(a, b *Series) int { return rank(a) - rank(b) })
	shown := all[:min(len(all), either(limit, defaultRows))]
	if len(shown) == 0 {
		return "no metrics yet\n"
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "metric\tlast\tbest\tfirst\tn\ttrend")
	for _, one := range shown {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", one.Name, one.lastText(), one.bestText(), one.firstText(), one.countText(), one.Trend(), one.Sparkline(sparkWidth))
	}
	w.Flush() // cannot fail: a strings.Builder takes everything
	if more := len(all) - len(shown); more > 0 {
		fmt.Fprintf(&b, "and %d more\n", more)
	}
	if s.Dropped > 0 {
		fmt.Fprintf(&b, "%d values of further metrics were not kept\n", s.Dropped)
	}
	return b.String()
}

// rank puts what tells most first.
func rank(s *Series) int {
	switch {
	case IsLoss(s.Name):
		return 0
	case BetterWhen(s.Name) != Unknown:
		return 1
	case known(s.Name):
		return 2
	}
	return 3
}

// Best is the best value by the direction that the name suggests. It reports
// false if the name suggests none.
func (s *Series) Best() (Point, Direction, bool) {
	switch d := BetterWhen(s.Name); {
	case !s.Finite() || d == Unknown:
		return Point{}, d, false
	case d == Lower:
		return s.Min, d, true
	default:
		return s.Max, d, true
	}
}

func (s *Series) at(p Point) string {
	if s.Axis == Count {
		return fmt.Sprintf("#%s", Number(p.Step))
	}
	return fmt.Sprintf("%s %s", s.Axis, Number(p.Step))
}

func (s *Series) lastText() string { return Number(s.Last.Value) + " @ " + s.at(s.Last) }

func (s *Series) bestText() string {
	if !s.Finite() {
		return "-"
	}
	if best, d, ok := s.Best(); ok {
		return fmt.Sprintf("%s (%s) @ %s", Number(best.Value), map[Direction]string{Lower: "lowest", Higher: "highest"}[d], s.at(best))
	}
	return fmt.Sprintf("%s to %s", Number(s.Min.Value), Number(s.Max.Value))
}

func (s *Series) firstText() string {
	if !s.Finite() {
		return "-"
	}
	return Number(s.First.Value)
}

func (s *Series) countText() string {
	if s.Bad > 0 {
		return fmt.Sprintf("%d (%d NaN/Inf)", s.N, s.Bad)
	}
	return strconv.Itoa(s.N)
}

// Trend is where the series goes, in a word or two: its last quarter compared
// with the one before.
func (s *Series) Trend() string {
	if s.Last.index > s.last.index && s.N > 0 || !s.Finite() && s.N > 0 {
		return "broken"
	}
	points := s.Points()
	n := len(points) / trendQuarter
	if n == 0 {
		return "-"
	}
	before, after := mean(points[len(points)-2*n:len(points)-n]), mean(points[len(points)-n:])
	change := after - before
	size := max(math.Abs(before), math.Abs(after))
	if size == 0 || math.Abs(change) < flatShare*size {
		return "flat"
	}
	word := "rising"
	if change < 0 {
		word = "falling"
	}
	if d := BetterWhen(s.Name); d != Unknown {
		if (change < 0) == (d == Lower) {
			return word + ", better"
		}
		return word + ", worse"
	}
	return word
}

func mean(points []Point) float64 {
	sum := 0.0
	for _, p := range points {
		sum += p.Value / float64(len(points))
	}
	return sum
}

// Sparkline draws the series in at most width characters, each the mean of its
// part, from the lowest to the highest value.
func (s *Series) Sparkline(width int) string {
	points := s.Points()
	values := make([]float64, len(points))
	for i, p := range points {
		values[i] = p.Value
	}
	return sparkline.Draw(values, width)
}

// Number shows a number in few characters: 0.4523, 1.2e-05, 12345.
func Number(v float64) string {
	switch size := math.Abs(v); {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 0):
		return strings.TrimPrefix(fmt.Sprint(v), "+")
	case v == math.Trunc(v) && size < 1e9:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case size >= 1e6 || size < 1e-3:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case size >= 1e5:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	text := strconv.FormatFloat(v, 'g', 5, 64)
	if utf8.RuneCountInString(text) > 9 {
		text = strconv.FormatFloat(v, 'g', 4, 64)
	}
	return text
}
