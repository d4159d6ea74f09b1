// Package series turns what a training run writes into series of numbers: its
// output, its metrics files, its Trackio database or dashboard.
//
// Its one rule: it takes what it can read and never fails on what it cannot. A
// half-written end is read when the rest is there, each byte once, and memory
// is bounded however long the run is. Readers own their cursors, a Set owns
// the numbers; nobody else knows the formats.
package series

import (
	"math"
	"slices"
	"time"
)

// An Axis is what a Step counts.
type Axis string

// The axes.
const (
	Step  Axis = "step"
	Epoch Axis = "epoch"
	Count Axis = "n" // the how manieth value it is; nothing else is known
)

// A Sample is one value as it was read.
type Sample struct {
	Name  string
	Value float64
	Step  float64
	Axis  Axis // empty if the writer says none
	Time  time.Time
}

// A Point is one value of a series.
type Point struct {
	Step  float64
	Value float64
	Time  time.Time
	index int // counts all values, so that points have an order
}

// A Series is the values of one metric. Of many it keeps some: the first, the
// last, and the lowest and highest of each stretch.
type Series struct {
	Name  string
	Axis  Axis
	N     int // values seen
	Bad   int // of them NaN or infinite
	First Point
	Last  Point // may be NaN or infinite
	Min   Point // of those that are neither, like First
	Max   Point

	last    Point // that is finite
	stretch []span
	stride  int // values in each stretch, but the last
	filled  int // values in the last stretch
	limit   int
}

// A span is the extremes of consecutive values.
type span struct{ low, high Point }

// Finite reports whether there is any value that is a number.
func (s *Series) Finite() bool { return s.N > s.Bad }

func (s *Series) add(x Sample) {
	p := Point{Step: x.Step, Value: x.Value, Time: x.Time, index: s.N}
	switch {
	case s.Axis == Count:
		p.Step = float64(s.N)
	case x.Axis != s.Axis: // such as the summary at the end, which has no step
		p.Step = s.Last.Step
	}
	s.N++
	s.Last = p
	if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
		s.Bad++
		return
	}
	if s.N-s.Bad == 1 {
		s.First, s.Min, s.Max = p, p, p
	}
	if p.Value < s.Min.Value {
		s.Min = p
	}
	if p.Value > s.Max.Value {
		s.Max = p
	}
	s.last = p
	s.keep(p)
}

// keep puts a point in the last stretch. When there are too many stretches,
// every two become one.
func (s *Series) keep(p Point) {
	if s.filled == s.stride && len(s.stretch) == s.limit {
		for i := range s.limit / 2 {
			a, b := s.stretch[2*i], s.stretch[2*i+1]
			if b.low.Value < a.low.Value {
				a.low = b.low
			}
			if b.high.Value > a.high.Value {
				a.high = b.high
			}
			s.stretch[i] = a
		}
		s.stretch = s.stretch[:s.limit/2]
		s.stride *= 2
		s.filled = s.stride
	}
	if s.filled == s.stride {
		s.stretch = append(s.stretch, span{p, p})
		s.filled = 0
	}
	s.filled++
	end := &s.stretch[len(s.stretch)-1]
	if p.Value < end.low.Value {
		end.low = p
	}
	if p.Value > end.high.Value {
		end.high = p
	}
}

// Points are the values that were kept, in order. None is NaN or infinite.
func (s *Series) Points() []Point {
	if !s.Finite() {
		return nil
	}
	points := []Point{s.First, s.last}
	for _, sp := range s.stretch {
		points = append(points, sp.low, sp.high)
	}
	slices.SortFunc(points, func(a, b Point) int { return a.index - b.index })
	return slices.CompactFunc(points, func(a, b Point) bool { return a.index == b.index })
}

const (
	defaultSeries = 200
	defaultPoints = 256
	longestName   = 120
)

// A Set is the series of a run. The zero Set is ready.
type Set struct {
	MaxSeries int // 200 if 0
	MaxPoints int // about so many are kept of each; 256 if 0

	Dropped int // samples of series for which there was no room

	byName map[string]*Series
	order  []*Series
}

// Add takes one more value.
func (s *Set) Add(x Sample) {
	if x.Name == "" || len(x.Name) > longestName {
		s.Dropped++
		return
	}
	one := s.byName[x.Name]
	if one == nil {
		if len(s.order) >= either(s.MaxSeries, defaultSeries) {
			s.Dropped++
			return
		}
		one = &Series{Name: x.Name, Axis: x.Axis, stride: 1, filled: 1, limit: max(either(s.MaxPoints, defaultPoints)/4*2, 2)}
		if one.Axis == "" {
			one.Axis = Count
		}
		if s.byName == nil {
			s.byName = map[string]*Series{}
		}
		s.byName[x.Name] = one
		s.order = append(s.order, one)
	}
	one.add(x)
}

// either is n, or what stands for 0.
func either(n, zero int) int {
	if n == 0 {
		return zero
	}
	return n
}

// Get returns a series by name, nil if there is none.
func (s *Set) Get(name string) *Series { return s.byName[name] }

// All returns the series in the order in which they appeared.
func (s *Set) All() []*Series { return slices.Clone(s.order) }
