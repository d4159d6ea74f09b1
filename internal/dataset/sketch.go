package dataset

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// distinct counts different hashes: exactly up to its limit, and beyond it by
// keeping every 2nd, 4th, 8th ... part of the hash space.
type distinct struct {
	kept  map[uint64]struct{}
	limit int
	level uint
}

func (d *distinct) add(h uint64) {
	if h&(1<<d.level-1) != 0 {
		return
	}
	if d.kept == nil {
		d.kept = map[uint64]struct{}{}
	}
	d.kept[h] = struct{}{}
	for len(d.kept) > d.limit {
		d.level++
		maps.DeleteFunc(d.kept, func(h uint64, _ struct{}) bool { return h&(1<<d.level-1) != 0 })
	}
}

func (d *distinct) count() (n int64, estimated bool) {
	return int64(len(d.kept)) << d.level, d.level > 0
}

// frequencies counts the values met first, up to its limit; each count it
// holds is exact, since counting began with the value's first occurrence.
type frequencies struct {
	counts   map[string]*int64
	limit    int
	overflow bool // some values are not counted
}

// maxCountedValue is the longest value counted by itself; text is longer.
const maxCountedValue = 200

func (f *frequencies) add(v []byte) {
	if n, ok := f.counts[string(v)]; ok {
		*n++
		return
	}
	if len(f.counts) >= f.limit || len(v) > maxCountedValue {
		f.overflow = true
		return
	}
	if f.counts == nil {
		f.counts = map[string]*int64{}
	}
	n := int64(1)
	f.counts[string(v)] = &n
}

// sorted returns the counted values, most frequent first, then by text.
func (f *frequencies) sorted() []Count {
	out := make([]Count, 0, len(f.counts))
	for v, n := range f.counts {
		out = append(out, Count{v, *n})
	}
	slices.SortFunc(out, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return out
}

// moments accumulates mean, spread and skewness in one pass.
type moments struct {
	n          int64
	mean       float64
	m2, m3     float64
	min, max   float64
	minN, maxN int64 // how often the extremes occurred
}

func (m *moments) add(x float64) {
	if m.n == 0 {
		m.min, m.max = x, x
	}
	switch {
	case x < m.min:
		m.min, m.minN = x, 1
	case x == m.min:
		m.minN++
	}
	switch {
	case x > m.max:
		m.max, m.maxN = x, 1
	case x == m.max:
		m.maxN++
	}
	m.n++
	n := float64(m.n)
	d := x - m.mean
	dn := d / n
	t := d * dn * (n - 1)
	m.mean += dn
	m.m3 += t*dn*(n-2) - 3*dn*m.m2
	m.m2 += t
}

// std is the sample standard deviation, as pandas gives it.
func (m *moments) std() float64 {
	if m.n < 2 {
		return 0
	}
	return math.Sqrt(m.m2 / float64(m.n-1))
}

func (m *moments) skewness() float64 {
	if m.m2 <= 0 {
		return 0
	}
	return math.Sqrt(float64(m.n)) * m.m3 / math.Pow(m.m2, 1.5)
}

// link watches whether a column gives the target away: whether each of its
// values goes with one target value, equals it, or moves in a straight line
// with it.
type link struct {
	broken  bool // a value went with two targets, or too many values
	targets map[uint64]uint64
	limit   int   // how many values are followed
	rows    int64 // with both present
	equal   int64

	n                     int64 // rows in which both are numbers
	meanX, meanY          float64
	varX, varY, covariant float64
}

func (l *link) add(v, target uint64) {
	l.rows++
	if v == target {
		l.equal++
	}
	if l.broken {
		return
	}
	if l.targets == nil {
		l.targets = map[uint64]uint64{}
	}
	was, ok := l.targets[v]
	switch {
	case ok && was != target, !ok && len(l.targets) >= l.limit:
		l.broken, l.targets = true, nil
	case !ok:
		l.targets[v] = target
	}
}

func (l *link) addNumbers(x, y float64) {
	l.n++
	n := float64(l.n)
	dx, dy := x-l.meanX, y-l.meanY
	l.meanX += dx / n
	l.meanY += dy / n
	l.varX += dx * (x - l.meanX)
	l.varY += dy * (y - l.meanY)
	l.covariant += dx * (y - l.meanY)
}

func (l *link) correlation() float64 {
	if l.varX <= 0 || l.varY <= 0 {
		return 0
	}
	return l.covariant / math.Sqrt(l.varX*l.varY)
}
