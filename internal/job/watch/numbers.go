package watch

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ml-intern/internal/job/series"
)

const (
	maxSeries  = 60 // of a job, and
	maxPoints  = 64 // of each are kept
	window     = 50 // values that a spike is compared with
	leastSpike = 20 // values there must be before one can be seen
	inARow     = 3  // values that make a spike, or NaN of other metrics than losses
	calm       = 20 // values after which a spike is over

	// A spike is so many deviations above the median, and half of it, and this.
	deviations = 8
	leastRise  = 0.1

	plateauEvals = 6   // evaluations without a new best
	leastEvals   = 8   // evaluations before it can be said
	leastLosses  = 200 // values of a training loss
	flat         = 0.005
	nearlyDone   = 0.8 // of a run, from where on a training loss may be flat
)

// numbers are the metrics of a job and what is odd of them.
type numbers struct {
	set     series.Set
	metrics map[string]*metric
	finds   []find
	checked int // values at the last look for a plateau
	values  int
}

// A find is a condition that begins or is over.
type find struct {
	kind Kind
	text string
	over bool
}

// A metric is the latest of its values, for losses.
type metric struct {
	recent []float64
	bad    int // NaN or infinite in a row
	above  int // far above the others in a row
	below  int
}

// add takes a value.
func (n *numbers) add(x series.Sample) {
	if n.metrics == nil {
		n.metrics = map[string]*metric{}
		n.set.MaxSeries, n.set.MaxPoints = maxSeries, maxPoints
	}
	n.set.Add(x)
	n.values++
	loss := series.IsLoss(x.Name)
	if !loss && series.BetterWhen(x.Name) == series.Unknown && !strings.Contains(x.Name, "grad_norm") {
		return
	}
	m := n.metrics[x.Name]
	if m == nil {
		if len(n.metrics) == maxSeries {
			return
		}
		m = &metric{}
		n.metrics[x.Name] = m
	}
	if math.IsNaN(x.Value) || math.IsInf(x.Value, 0) {
		// Mixed precision gives some at first for gradients; for a loss it is the end.
		if m.bad++; m.bad == inARow || loss && m.bad == 1 {
			n.finds = append(n.finds, find{kind: NotFinite, text: fmt.Sprintf("%s is %s at %s%s", x.Name, series.Number(x.Value), place(x), n.lastFinite(x.Name))})
		}
		return
	}
	m.bad = 0
	if loss {
		n.spike(m, x)
	}
}

// lastFinite is what a metric was before.
func (n *numbers) lastFinite(name string) string {
	s := n.set.Get(name)
	if s == nil || !s.Finite() {
		return ""
	}
	points := s.Points()
	last := points[len(points)-1]
	return fmt.Sprintf("; before it was %s", series.Number(last.Value))
}

func place(x series.Sample) string {
	if x.Axis == "" {
		return "an unknown step"
	}
	return fmt.Sprintf("%s %s", x.Axis, series.Number(x.Step))
}

// spike compares a loss with its latest values. Those of a spike are kept
// apart, until there are so many that they are what is usual.
func (n *numbers) spike(m *metric, x series.Sample) {
	if len(m.recent) >= leastSpike {
		middle, spread := median(m.recent)
		if x.Value > middle+max(deviations*1.4826*spread, math.Abs(middle)/2, leastRise) {
			m.below = 0
			if m.above++; m.above == inARow {
				n.finds = append(n.finds, find{kind: Spike, text: fmt.Sprintf("%s rose to %s at %s, from %s (median of the %d values before)",
					x.Name, series.Number(x.Value), place(x), series.Number(middle), len(m.recent))})
			}
			if m.above < calm {
				return
			}
			m.recent = m.recent[:0]
		}
		m.above = 0
		if m.below++; m.below == calm {
			n.finds = append(n.finds, find{kind: Spike, over: true})
		}
	}
	if len(m.recent) == window {
		m.recent = append(m.recent[:0], m.recent[1:]...)
	}
	m.recent = append(m.recent, x.Value)
}

// median is the median of values and the median distance from it.
func median(values []float64) (middle, spread float64) {
	sorted := slices.Sorted(slices.Values(values))
	middle = sorted[len(sorted)/2]
	for i, v := range sorted {
		sorted[i] = math.Abs(v - middle)
	}
	slices.Sort(sorted)
	return middle, sorted[len(sorted)/2]
}

// found is what has begun or ended since it was asked last. Towards the end of
// a run, of which a fraction is done, its loss may be flat.
func (n *numbers) found(done float64) []find {
	finds := n.finds
	n.finds = nil
	if n.values > n.checked {
		n.checked = n.values
		if text, ok := n.plateau(done); ok {
			finds = append(finds, find{kind: Plateau, text: text})
		}
	}
	return finds
}

// plateau looks at the losses of evaluation, and where there are none at those
// of training.
func (n *numbers) plateau(done float64) (text string, ok bool) {
	evaluated := false
	for _, s := range n.set.All() {
		if !series.IsLoss(s.Name) || !evaluation(s.Name) || !s.Finite() {
			continue
		}
		evaluated = true
		since := 0
		for _, p := range s.Points() {
			if p.Step > s.Min.Step {
				since++
			}
		}
		if s.N >= leastEvals && since >= plateauEvals {
			return fmt.Sprintf("%s has had no better value than %s (%s %s) in %d evaluations; it is %s now", s.Name,
				series.Number(s.Min.Value), s.Axis, series.Number(s.Min.Step), since, series.Number(s.Last.Value)), true
		}
	}
	if evaluated || done > nearlyDone {
		return "", false
	}
	for _, s := range n.set.All() {
		if series.IsLoss(s.Name) && s.N >= leastLosses && s.Finite() {
			return n.flatLoss(s)
		}
	}
	return "", false
}

// flatLoss compares the last quarter of a training loss with the one before.
func (n *numbers) flatLoss(s *series.Series) (text string, ok bool) {
	points := s.Points()
	q := len(points) / 4
	if q < 4 {
		return "", false
	}
	before, after := mean(points[len(points)-2*q:len(points)-q]), mean(points[len(points)-q:])
	if math.Abs(before-after) >= flat*math.Abs(before) || math.Abs(before) < leastRise/10 {
		return "", false
	}
	return fmt.Sprintf("%s does not fall any more: %s on average since %s %s, and %s before that", s.Name,
		series.Number(after), s.Axis, series.Number(points[len(points)-q].Step), series.Number(before)), true
}

func mean(points []series.Point) (m float64) {
	for _, p := range points {
		m += p.Value / float64(len(points))
	}
	return m
}

// evaluation reports whether the name is one of a metric of held-out data.
func evaluation(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "eval") || strings.Contains(name, "val") || strings.Contains(name, "test")
}
