// Package plot draws the numbers of a run with the dots of braille.
//
// Its one rule: any numbers draw. What is no number is a gap, never a line. It
// owns nothing; callers own the points and say how much room there is.
package plot

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"ml-intern/internal/sparkline"
	"ml-intern/internal/tui/style"
)

// A Point is one value of a metric.
type Point struct{ X, Y float64 }

// Options say how a plot looks. The zero value is a plot without a name.
type Options struct {
	Name  string // of the metric
	X     string // what X counts: step
	Log   bool   // the distance of values is that of their logarithms
	Theme style.Theme
}

// least is the smallest plot that says anything.
const (
	leastWidth  = 16
	leastHeight = 3
)

// Braille draws the points in their order as one curve, in a field of width
// cells and height lines: one with the name and the numbers, the curve between
// its highest and its lowest value, and the axis.
func Braille(points []Point, width, height int, o Options) []string {
	width, height = max(width, leastWidth), max(height, leastHeight)
	o.Name, o.X = style.Flat(o.Name), style.Flat(o.X)
	r, any := rangeOf(points, o.Log)
	if !any {
		return o.Theme.Lines([]style.Line{style.Truncate(style.Line{style.Of(style.Text, o.Name+" "), style.Of(style.Muted, "no numbers yet")}, width)})
	}
	lines := []style.Line{head(points, r, o, width)}
	high, low := Number(r.highY), Number(r.lowY)
	gutter := max(style.Width(high), style.Width(low))
	c := newCanvas(width-gutter-2, height-2)
	c.curve(points, r)
	for y, cells := range c.rows() {
		label := ""
		switch {
		case r.lowY == r.highY:
			if strings.Trim(cells, " ") != "" {
				label = low
			}
		case y == 0:
			label = high
		case y == height-3:
			label = low
		}
		lines = append(lines, style.Line{
			style.Of(style.Muted, strings.Repeat(" ", gutter-style.Width(label))+label),
			style.Of(style.Rule, " │"), style.Of(style.Accent, cells),
		})
	}
	lines = append(lines, axis(r, o, gutter, width))
	return o.Theme.Lines(lines)
}

// Spark draws values in one line; what is no number is a hole.
func Spark(values []float64, width int) string { return sparkline.Draw(values, width) }

// head names the metric and says its last value. A long name loses its begin.
func head(points []Point, r bounds, o Options, width int) style.Line {
	last := points[len(points)-1].Y
	role := style.Text
	if !finite(last) {
		role = style.Bad
	}
	l := style.Line{style.Of(role, Number(last))}
	if r.log {
		l = append(l, style.Of(style.Muted, "  log"))
	}
	if r.bad > 0 {
		l = append(l, style.Of(style.Bad, fmt.Sprintf("  %d NaN/Inf", r.bad)))
	}
	name := style.Line{{Text: o.Name, Style: style.Style{Attr: style.Bold}}}
	if o.Name == "" {
		return style.Truncate(l, width)
	}
	if room := max(width-l.Width()-2, 4); name.Width() > room {
		cut := style.Cut(name, name.Width()-room+1)
		name = append(style.Line{{Text: "…", Style: name[0].Style}}, slices.Concat(cut[1:]...)...)
	}
	return style.Truncate(append(append(name, style.Of(style.Text, "  ")), l...), width)
}

// axis is the line below the curve: where it begins and where it ends.
func axis(r bounds, o Options, gutter, width int) style.Line {
	first, last := Number(r.lowX), Number(r.highX)
	if o.X != "" {
		first = o.X + " " + first
	}
	room := width - gutter - 2
	line := strings.Repeat("─", max(0, room-style.Width(first)-style.Width(last)-2))
	if line == "" {
		first = ""
		line = strings.Repeat("─", max(0, room-style.Width(last)-1))
	}
	text := strings.Repeat(" ", gutter) + " └"
	l := style.Line{style.Of(style.Rule, text)}
	if first != "" {
		l = append(l, style.Of(style.Muted, first+" "))
	}
	return style.Truncate(append(l, style.Of(style.Rule, line), style.Of(style.Muted, " "+last)), width)
}

// Number shows a value in few letters.
func Number(v float64) string {
	switch size := math.Abs(v); {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "Inf"
	case v == 0:
		return "0" // of either sign
	case v == math.Trunc(v) && size < 1e7:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case size >= 1e5 || size < 1e-3:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// bounds are the extremes of what is drawn.
type bounds struct {
	lowX, highX, lowY, highY float64
	bad                      int
	log                      bool
}

func rangeOf(points []Point, log bool) (bounds, bool) {
	r := bounds{lowX: math.Inf(1), highX: math.Inf(-1), lowY: math.Inf(1), highY: math.Inf(-1), log: log}
	for _, p := range points {
		if !finite(p.Y) {
			r.bad++
		}
		if !r.drawn(p) {
			continue
		}
		r.lowX, r.highX = min(r.lowX, p.X), max(r.highX, p.X)
		r.lowY, r.highY = min(r.lowY, p.Y), max(r.highY, p.Y)
	}
	if r.lowX > r.highX && log {
		return rangeOf(points, false)
	}
	return r, r.lowX <= r.highX
}

func (r bounds) drawn(p Point) bool {
	return finite(p.X) && finite(p.Y) && (!r.log || p.Y > 0)
}

// share is where v lies between low and high, from 0 to 1. Halves keep the
// difference of the largest numbers finite.
func share(v, low, high float64) float64 {
	if high <= low {
		return 0.5
	}
	return min(max((v/2-low/2)/(high/2-low/2), 0), 1)
}

func (r bounds) place(p Point) (x, y float64) {
	x = share(p.X, r.lowX, r.highX)
	if r.log {
		return x, share(math.Log(p.Y), math.Log(r.lowY), math.Log(r.highY))
	}
	return x, share(p.Y, r.lowY, r.highY)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
