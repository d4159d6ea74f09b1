package checkpoint

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Limits of a diff.
const (
	maxDiffFile = 1 << 20 // bytes of a file that is compared line by line
	maxDiffText = 4 << 20 // bytes of all diffs
	maxEdits    = 1500    // lines that differ, before a file counts as new
)

// A FileDiff is how a file differs from what it was.
type FileDiff struct {
	Path string
	Do   string // Add, Put or Delete: what was done to it since
	Text string // a unified diff; "" for a folder, a file that is not text, and one too long
	Note string // why there is no text
}

// Diff says what was done since the plan's checkpoint, and not by others.
func (p *Plan) Diff(ctx context.Context) ([]FileDiff, error) {
	unlock, err := p.store.share(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	ps, err := openPacks(p.store.path("packs"))
	if err != nil {
		return nil, fmt.Errorf("read checkpoints: %w", err)
	}
	var all []FileDiff
	room := maxDiffText
	for _, c := range p.Changes {
		if c.Do == Keep || c.Folder {
			continue
		}
		d := FileDiff{Path: c.Path, Do: c.Do}
		switch c.Do { // a rewind would do the opposite
		case Add:
			d.Do = Delete
		case Delete:
			d.Do = Add
		}
		if d.Text, d.Note = p.diffOf(ps, c.Path); len(d.Text) > room {
			d.Text, d.Note = "", "left out: the changes are too long to be shown"
		}
		room -= len(d.Text)
		all = append(all, d)
	}
	return all, context.Cause(ctx)
}

// diffOf compares one file.
func (p *Plan) diffOf(ps *packs, path string) (text, note string) {
	was, now := p.want[path], p.now[path]
	for _, e := range []entry{was, now} {
		switch {
		case e.kind == Symlink:
			return "", "a link"
		case e.kind == Large || e.size > maxDiffFile:
			return "", "a large file"
		}
	}
	var before, after []byte
	var err error
	if was.kind == File {
		if before, err = ps.get(was.hash); err != nil {
			return "", err.Error()
		}
	}
	if now.kind == File {
		if after, err = readIn(p.store.Dir, path, now.size); err != nil {
			return "", err.Error()
		}
	}
	switch {
	case bytes.IndexByte(before, 0) >= 0 || bytes.IndexByte(after, 0) >= 0:
		return "", "not a text"
	case bytes.Equal(before, after):
		return "", "its mode alone"
	}
	from, to := "a/"+path, "b/"+path
	if was.kind == 0 {
		from = "/dev/null"
	}
	if now.kind == 0 {
		to = "/dev/null"
	}
	return Unified(from, to, string(before), string(after)), ""
}

// readIn reads a file of a folder, by no way that leads out of it.
func readIn(dir, path string, size int64) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, size))
}

// Unified is a unified diff of two texts with three lines around each change.
func Unified(from, to, before, after string) string {
	a, b := splitLines(before), splitLines(after)
	edits := script(a, b)
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s\n", from, to)
	for i := 0; i < len(edits); {
		if edits[i].do == ' ' {
			i++
			continue
		}
		first, last := i, i // of the changes that share a hunk
		for j := i; j < len(edits) && j <= last+2*around+1; j++ {
			if edits[j].do != ' ' {
				last = j
			}
		}
		first, end := max(first-around, 0), min(last+around+1, len(edits))
		hunk(&out, edits[first:end])
		i = end
	}
	return out.String()
}

const around = 3

// An edit is one line of a diff, with its number in both texts.
type edit struct {
	do         byte // ' ', '-' or '+'
	line       string
	was, isNow int
}

func hunk(out *strings.Builder, edits []edit) {
	var was, now int
	for _, e := range edits {
		if e.do != '+' {
			was++
		}
		if e.do != '-' {
			now++
		}
	}
	from, to := edits[0].was+1, edits[0].isNow+1
	if was == 0 {
		from--
	}
	if now == 0 {
		to--
	}
	fmt.Fprintf(out, "@@ -%d,%d +%d,%d @@\n", from, was, to, now)
	for _, e := range edits {
		line, whole := strings.CutSuffix(e.line, "\n")
		fmt.Fprintf(out, "%c%s\n", e.do, line)
		if !whole {
			out.WriteString("\\ No newline at end of file\n")
		}
	}
}

func splitLines(text string) []string { return slices.Collect(strings.Lines(text)) }

// script is the shortest way from a to b, by Myers; a long one is cut short by
// taking out all of a and putting in all of b.
func script(a, b []string) []edit {
	head := 0
	for head < min(len(a), len(b)) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < min(len(a), len(b))-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var all []edit
	was, now := 0, 0
	put := func(do byte, line string) {
		all = append(all, edit{do, line, was, now})
		if do != '+' {
			was++
		}
		if do != '-' {
			now++
		}
	}
	for _, line := range a[:head] {
		put(' ', line)
	}
	x, y := a[head:len(a)-tail], b[head:len(b)-tail]
	for _, do := range shortest(x, y) {
		if do == '+' {
			put(do, y[0])
			y = y[1:]
			continue
		}
		put(do, x[0])
		if do == ' ' {
			y = y[1:]
		}
		x = x[1:]
	}
	for _, line := range a[len(a)-tail:] {
		put(' ', line)
	}
	return all
}

// shortest names the steps of the shortest way from a to b.
func shortest(a, b []string) []byte {
	limit := min(len(a)+len(b), maxEdits)
	ends := make([]int, 2*limit+2) // by diagonal: how far in a
	var trail [][]int
	found := -1
search:
	for d := 0; d <= limit; d++ {
		trail = append(trail, slices.Clone(ends[limit-min(d, limit):limit+min(d, limit)+1]))
		for k := -d; k <= d; k += 2 {
			x := 0
			switch {
			case d == 0:
			case k == -d || k != d && ends[limit+k-1] < ends[limit+k+1]:
				x = ends[limit+k+1]
			default:
				x = ends[limit+k-1] + 1
			}
			for x < len(a) && x-k < len(b) && a[x] == b[x-k] {
				x++
			}
			ends[limit+k] = x
			if x >= len(a) && x-k >= len(b) {
				found = d
				break search
			}
		}
	}
	if found < 0 {
		return append(bytes.Repeat([]byte{'-'}, len(a)), bytes.Repeat([]byte{'+'}, len(b))...)
	}
	return backtrack(trail, len(a), len(b))
}

// backtrack reads the steps from what each round had found.
func backtrack(trail [][]int, x, y int) []byte {
	var steps []byte
	for d := len(trail) - 1; d > 0; d-- {
		ends := trail[d] // as they were before round d: diagonals -d to d
		at := func(k int) int { return ends[d+k] }
		k := x - y
		down := k == -d || k != d && at(k-1) < at(k+1)
		before, from := at(max(k-1, -d)), k-1
		if down {
			before, from = at(k+1), k+1
		}
		startX := before
		step := byte('+')
		if !down {
			startX, step = before+1, '-'
		}
		for x > startX {
			steps = append(steps, ' ')
			x--
		}
		steps = append(steps, step)
		x, y = before, before-from
	}
	for ; x > 0; x-- {
		steps = append(steps, ' ')
	}
	slices.Reverse(steps)
	return steps
}
