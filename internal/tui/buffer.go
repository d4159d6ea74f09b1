package tui

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
)

// A buffer is text that a person edits. What is pasted and long is kept apart
// and stands in the text as a label, which counts as one character.
type buffer struct {
	text  string
	pos   int // bytes before the cursor
	cut   string
	undos []snapshot

	pastes map[string]string // label -> text
	pasted int               // labels given so far

	rows      []row // how text wraps at rowsWidth
	rowsText  string
	rowsWidth int
}

// A snapshot is what undo goes back to.
type snapshot struct {
	text string
	pos  int
}

// A row is one line on the screen: text[start:end].
type row struct{ start, end int }

// What is pasted is folded from these sizes on.
const (
	foldLines = 20
	foldBytes = 2 << 10
	maxUndos  = 200
)

func (b *buffer) empty() bool { return b.text == "" }

// set replaces the text and puts the cursor at its end. Undo brings back what
// was there.
func (b *buffer) set(text string) {
	b.remember()
	b.text, b.pos = text, len(text)
}

// clear is set to nothing, pastes included.
func (b *buffer) clear() {
	b.set("")
	b.pastes, b.pasted, b.undos = nil, 0, nil
}

func (b *buffer) remember() {
	if n := len(b.undos); n > 0 && b.undos[n-1].text == b.text {
		return
	}
	if len(b.undos) == maxUndos {
		b.undos = b.undos[1:]
	}
	b.undos = append(b.undos, snapshot{b.text, b.pos})
}

func (b *buffer) undo() {
	if n := len(b.undos); n > 0 {
		b.text, b.pos = b.undos[n-1].text, b.undos[n-1].pos
		b.undos = b.undos[:n-1]
	}
}

// insert puts the text at the cursor.
func (b *buffer) insert(text string) {
	if text == "" {
		return
	}
	b.remember()
	b.text = b.text[:b.pos] + text + b.text[b.pos:]
	b.pos += len(text)
}

// paste inserts what came from outside, long text as a label.
func (b *buffer) paste(text string) {
	text = typed(text)
	lines := strings.Count(text, "\n") + 1
	if lines <= foldLines && len(text) <= foldBytes {
		b.insert(text)
		return
	}
	b.pasted++
	label := fmt.Sprintf("[paste %d: %s lines]", b.pasted, thousands(lines))
	if lines == 1 {
		label = fmt.Sprintf("[paste %d: %s characters]", b.pasted, thousands(utf8.RuneCountInString(text)))
	}
	if b.pastes == nil {
		b.pastes = make(map[string]string)
	}
	b.pastes[label] = text
	b.insert(label)
}

// expanded is the text with what was pasted in place of the labels. What is
// pasted is never searched for labels itself.
func (b *buffer) expanded() string {
	if len(b.pastes) == 0 {
		return b.text
	}
	var out strings.Builder
	for i := 0; i < len(b.text); {
		n := b.step(b.text[i:])
		if whole, ok := b.pastes[b.text[i:i+n]]; ok {
			out.WriteString(whole)
		} else {
			out.WriteString(b.text[i : i+n])
		}
		i += n
	}
	return out.String()
}

// step is the length of the first character of s, a label counting as one.
func (b *buffer) step(s string) int {
	if s == "" {
		return 0
	}
	if s[0] == '[' && len(b.pastes) > 0 {
		if end := strings.IndexByte(s, ']'); end > 0 {
			if _, ok := b.pastes[s[:end+1]]; ok {
				return end + 1
			}
		}
	}
	g := displaywidth.StringGraphemes(s)
	g.Next()
	return max(len(g.Value()), 1)
}

// before is the position one character before pos.
func (b *buffer) before(pos int) int {
	start := strings.LastIndexByte(b.text[:pos], '\n') + 1
	if start == pos {
		return max(pos-1, 0)
	}
	last := start
	for i := start; i < pos; {
		last = i
		i += b.step(b.text[i:])
	}
	return last
}

func (b *buffer) after(pos int) int { return min(pos+b.step(b.text[pos:]), len(b.text)) }

// wordBefore and wordAfter are where the word at pos begins and ends.
func (b *buffer) wordBefore(pos int) int {
	inWord := false
	for pos > 0 {
		at := b.before(pos)
		if r, _ := utf8.DecodeRuneInString(b.text[at:]); !unicode.IsSpace(r) {
			inWord = true
		} else if inWord {
			break
		}
		pos = at
	}
	return pos
}

func (b *buffer) wordAfter(pos int) int {
	inWord := false
	for pos < len(b.text) {
		if r, _ := utf8.DecodeRuneInString(b.text[pos:]); !unicode.IsSpace(r) {
			inWord = true
		} else if inWord {
			break
		}
		pos = b.after(pos)
	}
	return pos
}

// lineStart and lineEnd are of the line that the cursor is in.
func (b *buffer) lineStart() int { return strings.LastIndexByte(b.text[:b.pos], '\n') + 1 }

func (b *buffer) lineEnd() int {
	if i := strings.IndexByte(b.text[b.pos:], '\n'); i >= 0 {
		return b.pos + i
	}
	return len(b.text)
}

// remove deletes from one position to another and keeps it for yank if kill.
func (b *buffer) remove(from, to int, kill bool) {
	if from == to {
		return
	}
	b.remember()
	if kill {
		b.cut = b.text[from:to]
	}
	b.text = b.text[:from] + b.text[to:]
	b.pos = from
}

// edit obeys a key that edits or moves, and reports whether it was one.
func (b *buffer) edit(key string, width int) bool {
	switch key {
	case "left", "ctrl+b":
		b.pos = b.before(b.pos)
	case "right", "ctrl+f":
		b.pos = b.after(b.pos)
	case "alt+left", "ctrl+left", "alt+b":
		b.pos = b.wordBefore(b.pos)
	case "alt+right", "ctrl+right", "alt+f":
		b.pos = b.wordAfter(b.pos)
	case "home", "ctrl+a":
		b.pos = b.lineStart()
	case "end", "ctrl+e":
		b.pos = b.lineEnd()
	case "up", "ctrl+p":
		return b.vertical(-1, width)
	case "down", "ctrl+n":
		return b.vertical(1, width)
	default:
		return b.change(key)
	}
	return true
}

func (b *buffer) change(key string) bool {
	switch key {
	case "backspace", "ctrl+h", "shift+backspace":
		b.remove(b.before(b.pos), b.pos, false)
	case "delete", "ctrl+d":
		b.remove(b.pos, b.after(b.pos), false)
	case "ctrl+w", "alt+backspace", "ctrl+backspace":
		b.remove(b.wordBefore(b.pos), b.pos, true)
	case "alt+d", "alt+delete", "ctrl+delete":
		b.remove(b.pos, b.wordAfter(b.pos), true)
	case "ctrl+u":
		b.remove(b.lineStart(), b.pos, true)
	case "ctrl+k":
		end := b.lineEnd()
		if end == b.pos {
			end = b.after(b.pos) // the line break
		}
		b.remove(b.pos, end, true)
	case "ctrl+y":
		b.insert(b.cut)
	case "ctrl+_", "ctrl+/", "ctrl+shift+z":
		b.undo()
	case "shift+enter", "alt+enter", "ctrl+j":
		b.insert("\n")
	default:
		return false
	}
	return true
}

// vertical moves the cursor a row up or down; false at the first or last one.
func (b *buffer) vertical(by, width int) bool {
	rows := b.wrap(width)
	x, y := b.cursor(width)
	to := y + by
	if to < 0 || to >= len(rows) {
		return false
	}
	pos := rows[to].start
	for pos < rows[to].end {
		next := b.after(pos)
		if x -= cells(b.text[pos:next]); x < 0 {
			break
		}
		pos = next
	}
	b.pos = min(pos, rows[to].end)
	return true
}

// wrap says how the text falls into rows: between words where it can.
func (b *buffer) wrap(width int) []row {
	width = max(width, 2)
	if b.rows != nil && b.rowsText == b.text && b.rowsWidth == width {
		return b.rows
	}
	var rows []row
	start := 0
	for {
		end := strings.IndexByte(b.text[start:], '\n')
		if end < 0 {
			rows = b.wrapLine(rows, start, len(b.text), width)
			break
		}
		rows = b.wrapLine(rows, start, start+end, width)
		start += end + 1
	}
	b.rows, b.rowsText, b.rowsWidth = rows, b.text, width
	return rows
}

func (b *buffer) wrapLine(rows []row, start, end, width int) []row {
	used, space := 0, -1 // space: after the last one in this row
	for i := start; i < end; {
		n := min(b.step(b.text[i:]), end-i)
		w := cells(b.text[i : i+n])
		if used+w > width && i > start {
			if space > start {
				i = space
			}
			rows = append(rows, row{start, i})
			start, used, space = i, 0, -1
			continue
		}
		used += w
		i += n
		if n == 1 && b.text[i-1] == ' ' {
			space = i
		}
	}
	return append(rows, row{start, end})
}

// cursor is the cell of the cursor.
func (b *buffer) cursor(width int) (x, y int) {
	rows := b.wrap(width)
	for i, r := range rows {
		last := i == len(rows)-1 || rows[i+1].start > b.pos
		if b.pos >= r.start && last {
			return cells(b.text[r.start:min(b.pos, r.end)]), i
		}
	}
	return 0, len(rows) - 1
}
