package web

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Bounds of a diff: beyond them a file is only named.
const (
	maxDiffBytes = 200 << 10
	maxDiffLines = 4000
	maxDiffWork  = 1000 // edits between two versions
	diffContext  = 3
)

// A Hunk is a run of lines of which some changed.
type Hunk struct{ Lines []Line }

// A Line is one line of a hunk, with its numbers before and after; 0 is none.
type Line struct {
	Sign     string // " ", "+" or "-"
	Old, New int
	Text     string
}

// Diff compares two versions of a file. Without lines to show, note says why.
func Diff(old, now []byte) (hunks []Hunk, added, removed int, note string) {
	for _, text := range [][]byte{old, now} {
		if bytes.IndexByte(text, 0) >= 0 || !utf8.Valid(text) {
			return nil, 0, 0, "not text"
		}
		if len(text) > maxDiffBytes {
			return nil, 0, 0, "too large to compare"
		}
	}
	a, b := lines(old), lines(now)
	if len(a) > maxDiffLines || len(b) > maxDiffLines {
		return nil, 0, 0, "too many lines to compare"
	}
	script, ok := edits(a, b)
	if !ok {
		return nil, 0, 0, "too different to compare"
	}
	for _, l := range script {
		switch l.Sign {
		case "+":
			added++
		case "-":
			removed++
		}
	}
	return cut(script), added, removed, ""
}

func lines(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// edits finds a shortest list of edits, by Myers' greedy algorithm.
func edits(a, b []string) ([]Line, bool) {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var out []Line
	for i := range head {
		out = append(out, Line{" ", i + 1, i + 1, a[i]})
	}
	middle, ok := myers(a[head:len(a)-tail], b[head:len(b)-tail], head)
	if !ok {
		return nil, false
	}
	out = append(out, middle...)
	for i := range tail {
		x, y := len(a)-tail+i, len(b)-tail+i
		out = append(out, Line{" ", x + 1, y + 1, a[x]})
	}
	return out, true
}

func myers(a, b []string, head int) ([]Line, bool) {
	if len(a) == 0 || len(b) == 0 { // nothing to search
		var out []Line
		for i, s := range a {
			out = append(out, Line{"-", head + i + 1, 0, s})
		}
		for i, s := range b {
			out = append(out, Line{"+", 0, head + i + 1, s})
		}
		return out, true
	}
	most := min(len(a)+len(b), maxDiffWork)
	v := make([]int, 2*most+3)
	at := func(k int) *int { return &v[k+most+1] }
	var trace [][]int
	for d := 0; d <= most; d++ {
		trace = append(trace, append([]int(nil), v[most+1-d:most+2+d]...)) // of -d … d
		for k := -d; k <= d; k += 2 {
			x := 0
			if k == -d || k != d && *at(k - 1) < *at(k + 1) {
				x = *at(k + 1)
			} else {
				x = *at(k - 1) + 1
			}
			for x < len(a) && x-k < len(b) && x-k >= 0 && a[x] == b[x-k] {
				x++
			}
			*at(k) = x
			if x >= len(a) && x-k >= len(b) {
				return walkBack(a, b, trace, d, head), true
			}
		}
	}
	return nil, false
}

// walkBack reads the edits off the search, from the end.
func walkBack(a, b []string, trace [][]int, d, head int) []Line {
	x, y := len(a), len(b)
	var out []Line
	for ; d > 0; d-- {
		v := trace[d] // as it was before step d: index k+d
		get := func(k int) int {
			if k < -d || k > d {
				return 0
			}
			return v[k+d]
		}
		k := x - y
		prev := k - 1
		if k == -d || k != d && get(k-1) < get(k+1) {
			prev = k + 1
		}
		px := get(prev)
		py := px - prev
		for x > px && y > py && x > 0 && y > 0 && a[x-1] == b[y-1] {
			x, y = x-1, y-1
			out = append(out, Line{" ", head + x + 1, head + y + 1, a[x]})
		}
		if prev == k+1 {
			y--
			out = append(out, Line{"+", 0, head + y + 1, b[y]})
		} else {
			x--
			out = append(out, Line{"-", head + x + 1, 0, a[x]})
		}
	}
	for x > 0 && y > 0 {
		x, y = x-1, y-1
		out = append(out, Line{" ", head + x + 1, head + y + 1, a[x]})
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// cut keeps the changed lines and a few around them.
func cut(script []Line) []Hunk {
	var hunks []Hunk
	last := -1
	for i, l := range script {
		if l.Sign == " " {
			continue
		}
		from := max(i-diffContext, last+1)
		if last < 0 || from > last+1 {
			hunks = append(hunks, Hunk{})
		}
		h := &hunks[len(hunks)-1]
		if i > last {
			h.Lines = append(h.Lines, script[from:i+1]...)
			last = i
		}
		for n := i + 1; n < len(script) && n <= i+diffContext && script[n].Sign == " "; n++ {
			h.Lines = append(h.Lines, script[n])
			last = n
		}
	}
	return hunks
}
