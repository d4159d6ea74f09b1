package tui

import "strings"

// A transcript is the list of all items, of which only those are drawn that
// are seen. It holds on to its end until the person scrolls up.
//
// Where it is scrolled to is an item and a line of it, so nobody ever has to
// draw what is above.
type transcript struct {
	items []*item
	away  bool // it does not follow the end
	top   int  // the first item that is seen, when away
	line  int  // its first line that is seen
	at    int  // the item that is chosen, -1 for none
	warm  []*item
}

// keptDrawn is of how many items the lines are kept.
const keptDrawn = 400

func (t *transcript) add(it *item) *item {
	t.items = append(t.items, it)
	return it
}

// gap is how many empty lines are above an item: calls and words stand
// together, what people read stands apart.
func (t *transcript) gap(i int) int {
	if i == 0 {
		return 0
	}
	a, b := t.items[i-1].kind, t.items[i].kind
	dense := func(k kind) bool { return k == aCall || k == aWord || k == aThought }
	if dense(a) && dense(b) {
		return 0
	}
	return 1
}

// drawn draws one item, or takes what was drawn.
func (t *transcript) drawn(c *canvas, i int) []string {
	it := t.items[i]
	fresh := it.drawn == nil
	lines := it.lines(c)
	if fresh {
		t.keep(it)
	}
	return lines
}

// height is how many lines an item has, with what is above it.
func (t *transcript) height(c *canvas, i int) int { return t.gap(i) + len(t.drawn(c, i)) }

// part is the lines of an item from one on, most of them at most.
func (t *transcript) part(c *canvas, i, from, most int) []string {
	it, lines, gap := t.items[i], t.drawn(c, i), t.gap(i)
	indent := it.kind == aReply || it.kind == anAnswer
	var out []string
	for n := from; n < gap+len(lines) && len(out) < most; n++ {
		line := ""
		if n >= gap {
			line = lines[n-gap]
			if indent && line != "" {
				line = "  " + line
			}
			if t.at == i {
				line = c.draw(accent("▎")) + strings.TrimPrefix(line, " ")
			}
		}
		out = append(out, line)
	}
	return out
}

// keep remembers that an item was drawn, and forgets the lines of what was
// drawn long ago.
func (t *transcript) keep(it *item) {
	t.warm = append(t.warm, it)
	if len(t.warm) > keptDrawn {
		for _, old := range t.warm[:keptDrawn/2] {
			old.drawn = nil
		}
		t.warm = append([]*item(nil), t.warm[keptDrawn/2:]...)
	}
}

// view is the lines that are seen, height at most.
func (t *transcript) view(c *canvas, height int) []string {
	if height <= 0 || len(t.items) == 0 {
		return nil
	}
	if !t.away {
		t.toEnd(c, height)
	}
	t.clamp(c)
	var out []string
	for i := t.top; i < len(t.items) && len(out) < height; i++ {
		from := 0
		if i == t.top {
			from = t.line
		}
		out = append(out, t.part(c, i, from, height-len(out))...)
	}
	if t.away && len(out) < height { // there is no more below
		t.away = false
		t.toEnd(c, height)
		return t.view(c, height)
	}
	return out[:min(len(out), height)]
}

// toEnd moves so that the last line is at the bottom.
func (t *transcript) toEnd(c *canvas, height int) {
	left := height
	for i := len(t.items) - 1; i >= 0; i-- {
		n := t.height(c, i)
		if n >= left {
			t.top, t.line = i, n-left
			return
		}
		left -= n
	}
	t.top, t.line = 0, 0
}

// clamp keeps the place inside what there is.
func (t *transcript) clamp(c *canvas) {
	t.top = min(max(t.top, 0), len(t.items)-1)
	t.line = min(max(t.line, 0), max(t.height(c, t.top)-1, 0))
}

// scroll moves by lines: up if negative.
func (t *transcript) scroll(c *canvas, by, height int) {
	if len(t.items) == 0 {
		return
	}
	if !t.away {
		if by > 0 {
			return
		}
		t.toEnd(c, height)
	}
	t.away = true
	t.line += by
	for t.line < 0 && t.top > 0 {
		t.top--
		t.line += t.height(c, t.top)
	}
	for n := t.height(c, t.top); t.line >= n && t.top < len(t.items)-1; n = t.height(c, t.top) {
		t.line -= n
		t.top++
	}
	t.clamp(c)
	if t.atEnd(c, height) {
		t.away = false
	}
}

// atEnd reports whether the last line is seen.
func (t *transcript) atEnd(c *canvas, height int) bool {
	seen := -t.line
	for i := t.top; i < len(t.items); i++ {
		if seen += t.height(c, i); seen > height {
			return false
		}
	}
	return true
}

// toStart moves to the first line.
func (t *transcript) toStart() { t.away, t.top, t.line = true, 0, 0 }

// below is how many items there are below what is seen.
func (t *transcript) below(c *canvas, height int) int {
	if !t.away {
		return 0
	}
	seen := -t.line
	for i := t.top; i < len(t.items); i++ {
		if seen += t.height(c, i); seen > height {
			return len(t.items) - 1 - i + 1
		}
	}
	return 0
}

// choose moves the choice to the next item that can be opened.
func (t *transcript) choose(by int) {
	i := t.at
	if i < 0 {
		i = len(t.items)
		if by > 0 {
			return
		}
	}
	for i += by; i >= 0 && i < len(t.items); i += by {
		if t.items[i].folds() {
			t.at = i
			return
		}
	}
	if by > 0 {
		t.at = -1 // past the last: none
	}
}

// latest is the last item that can be opened, -1 if there is none.
func (t *transcript) latest() int {
	for i := len(t.items) - 1; i >= 0; i-- {
		if t.items[i].folds() {
			return i
		}
	}
	return -1
}

// toggle opens or folds an item and keeps its first line on the screen.
func (t *transcript) toggle(c *canvas, i, height int) {
	if i < 0 || i >= len(t.items) {
		return
	}
	it := t.items[i]
	it.open = !it.open
	it.changed()
	t.reveal(c, i, height)
}

// reveal scrolls so that the item's first line is seen.
func (t *transcript) reveal(c *canvas, i, height int) {
	if !t.away {
		t.toEnd(c, height)
	}
	if i < t.top || i == t.top && t.line > t.gap(i) {
		t.away, t.top, t.line = true, i, 0
		return
	}
	seen := -t.line
	for j := t.top; j < i; j++ {
		seen += t.height(c, j)
	}
	if over := seen + min(t.height(c, i), height) - height; over > 0 {
		t.scroll(c, over, height)
	} else if seen+t.height(c, i) > height {
		t.away = true
	}
}
