// Package edit is the text that a person types: a cursor, the keys of a shell
// line, undo, what they pasted, and what they typed before.
//
// Its one rule: it loses nothing that was typed or pasted, and draws nothing. A
// Buffer belongs to whoever shows it.
package edit

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"

	"ml-intern/internal/tui/style"
)

// A Buffer is text that a person edits. What is pasted and long is kept apart
// and stands in the text as a label, which counts as one character.
type Buffer struct {
	Text  string
	Pos   int // bytes before the cursor
	cut   string
	undos []snapshot

	pastes map[string]string // label -> text
	pasted int               // labels given so far

	rows      []Row // how text wraps at rowsWidth
	rowsText  string
	rowsWidth int
}

// A snapshot is what undo goes back to.
type snapshot struct {
	text string
	pos  int
}

// A Row is one line on the screen: Text[Start:End].
type Row struct{ Start, End int }

// What is pasted is folded from these sizes on.
const (
	foldLines = 20
	foldBytes = 2 << 10
	maxUndos  = 200
)

// Empty reports whether there is no text.
func (b *Buffer) Empty() bool { return b.Text == "" }

// Set replaces the text and puts the cursor at its end. Undo brings back what
// was there.
func (b *Buffer) Set(text string) {
	b.remember()
	b.Text, b.Pos = text, len(text)
}

// Clear is Set to nothing, pastes included.
func (b *Buffer) Clear() {
	b.Set("")
	b.pastes, b.pasted, b.undos = nil, 0, nil
}

func (b *Buffer) remember() {
	if n := len(b.undos); n > 0 && b.undos[n-1].text == b.Text {
		return
	}
	if len(b.undos) == maxUndos {
		b.undos = b.undos[1:]
	}
	b.undos = append(b.undos, snapshot{b.Text, b.Pos})
}

func (b *Buffer) undo() {
	if n := len(b.undos); n > 0 {
		b.Text, b.Pos = b.undos[n-1].text, b.undos[n-1].pos
		b.undos = b.undos[:n-1]
	}
}

// Insert puts the text at the cursor.
func (b *Buffer) Insert(text string) {
	if text == "" {
		return
	}
	b.remember()
	b.Text = b.Text[:b.Pos] + text + b.Text[b.Pos:]
	b.Pos += len(text)
}

// Paste inserts what came from outside, long text as a label.
func (b *Buffer) Paste(text string) {
	text = Typed(text)
	lines := strings.Count(strings.TrimSuffix(text, "\n"), "\n") + 1
	if lines <= foldLines && len(text) <= foldBytes {
		b.Insert(text)
		return
	}
	b.pasted++
	label := fmt.Sprintf("[paste %d: %s lines]", b.pasted, Thousands(lines))
	if lines == 1 {
		label = fmt.Sprintf("[paste %d: %s characters]", b.pasted, Thousands(utf8.RuneCountInString(text)))
	}
	if b.pastes == nil {
		b.pastes = make(map[string]string)
	}
	b.pastes[label] = text
	b.Insert(label)
}

// Expanded is the text with what was pasted in place of the labels. What is
// pasted is never searched for labels itself.
func (b *Buffer) Expanded() string {
	if len(b.pastes) == 0 {
		return b.Text
	}
	var out strings.Builder
	for i := 0; i < len(b.Text); {
		n := b.step(b.Text[i:])
		if whole, ok := b.pastes[b.Text[i:i+n]]; ok {
			out.WriteString(whole)
		} else {
			out.WriteString(b.Text[i : i+n])
		}
		i += n
	}
	return out.String()
}

// step is the length of the first character of s, a label counting as one.
func (b *Buffer) step(s string) int {
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
func (b *Buffer) before(pos int) int {
	start := strings.LastIndexByte(b.Text[:pos], '\n') + 1
	if start == pos {
		return max(pos-1, 0)
	}
	last := start
	for i := start; i < pos; {
		last = i
		i += b.step(b.Text[i:])
	}
	return last
}

func (b *Buffer) after(pos int) int { return min(pos+b.step(b.Text[pos:]), len(b.Text)) }

// wordBefore and wordAfter are where the word at pos begins and ends.
func (b *Buffer) wordBefore(pos int) int {
	inWord := false
	for pos > 0 {
		at := b.before(pos)
		if r, _ := utf8.DecodeRuneInString(b.Text[at:]); !unicode.IsSpace(r) {
			inWord = true
		} else if inWord {
			break
		}
		pos = at
	}
	return pos
}

func (b *Buffer) wordAfter(pos int) int {
	inWord := false
	for pos < len(b.Text) {
		if r, _ := utf8.DecodeRuneInString(b.Text[pos:]); !unicode.IsSpace(r) {
			inWord = true
		} else if inWord {
			break
		}
		pos = b.after(pos)
	}
	return pos
}

// lineStart and lineEnd are of the line that the cursor is in.
func (b *Buffer) lineStart() int { return strings.LastIndexByte(b.Text[:b.Pos], '\n') + 1 }

func (b *Buffer) lineEnd() int {
	if i := strings.IndexByte(b.Text[b.Pos:], '\n'); i >= 0 {
		return b.Pos + i
	}
	return len(b.Text)
}

// remove deletes from one position to another and keeps it for yank if kill.
func (b *Buffer) remove(from, to int, kill bool) {
	if from == to {
		return
	}
	b.remember()
	if kill {
		b.cut = b.Text[from:to]
	}
	b.Text = b.Text[:from] + b.Text[to:]
	b.Pos = from
}

// Key obeys a key that edits or moves, and reports whether it was one.
func (b *Buffer) Key(key string, width int) bool {
	switch key {
	case "left", "ctrl+b":
		b.Pos = b.before(b.Pos)
	case "right", "ctrl+f":
		b.Pos = b.after(b.Pos)
	case "alt+left", "ctrl+left", "alt+b":
		b.Pos = b.wordBefore(b.Pos)
	case "alt+right", "ctrl+right", "alt+f":
		b.Pos = b.wordAfter(b.Pos)
	case "home", "ctrl+a":
		b.Pos = b.lineStart()
	case "end", "ctrl+e":
		b.Pos = b.lineEnd()
	case "up", "ctrl+p":
		return b.vertical(-1, width)
	case "down", "ctrl+n":
		return b.vertical(1, width)
	default:
		return b.change(key)
	}
	return true
}

func (b *Buffer) change(key string) bool {
	switch key {
	case "backspace", "ctrl+h", "shift+backspace":
		b.remove(b.before(b.Pos), b.Pos, false)
	case "delete", "ctrl+d":
		b.remove(b.Pos, b.after(b.Pos), false)
	case "ctrl+w", "alt+backspace", "ctrl+backspace":
		b.remove(b.wordBefore(b.Pos), b.Pos, true)
	case "alt+d", "alt+delete", "ctrl+delete":
		b.remove(b.Pos, b.wordAfter(b.Pos), true)
	case "ctrl+u":
		b.remove(b.lineStart(), b.Pos, true)
	case "ctrl+k":
		end := b.lineEnd()
		if end == b.Pos {
			end = b.after(b.Pos) // the line break
		}
		b.remove(b.Pos, end, true)
	case "ctrl+y":
		b.Insert(b.cut)
	case "ctrl+_", "ctrl+/", "ctrl+shift+z":
		b.undo()
	case "shift+enter", "alt+enter", "ctrl+j":
		b.Insert("\n")
	default:
		return false
	}
	return true
}

// vertical moves the cursor a row up or down; false at the first or last one.
func (b *Buffer) vertical(by, width int) bool {
	rows := b.Wrap(width)
	x, y := b.Cursor(width)
	to := y + by
	if to < 0 || to >= len(rows) {
		return false
	}
	pos := rows[to].Start
	for pos < rows[to].End {
		next := b.after(pos)
		if x -= style.Width(b.Text[pos:next]); x < 0 {
			break
		}
		pos = next
	}
	b.Pos = min(pos, rows[to].End)
	return true
}

// Wrap says how the text falls into rows: between words where it can.
func (b *Buffer) Wrap(width int) []Row {
	width = max(width, 2)
	if b.rows != nil && b.rowsText == b.Text && b.rowsWidth == width {
		return b.rows
	}
	var rows []Row
	start := 0
	for {
		end := strings.IndexByte(b.Text[start:], '\n')
		if end < 0 {
			rows = b.wrapLine(rows, start, len(b.Text), width)
			break
		}
		rows = b.wrapLine(rows, start, start+end, width)
		start += end + 1
	}
	b.rows, b.rowsText, b.rowsWidth = rows, b.Text, width
	return rows
}

func (b *Buffer) wrapLine(rows []Row, start, end, width int) []Row {
	used, space := 0, -1 // space: after the last one in this row
	for i := start; i < end; {
		n := min(b.step(b.Text[i:]), end-i)
		w := style.Width(b.Text[i : i+n])
		if used+w > width && i > start {
			if space > start {
				i = space
			}
			rows = append(rows, Row{start, i})
			start, used, space = i, 0, -1
			continue
		}
		used += w
		i += n
		if n == 1 && b.Text[i-1] == ' ' {
			space = i
		}
	}
	return append(rows, Row{start, end})
}

// Cursor is the cell of the cursor.
func (b *Buffer) Cursor(width int) (x, y int) {
	rows := b.Wrap(width)
	for i, r := range rows {
		last := i == len(rows)-1 || rows[i+1].Start > b.Pos
		if b.Pos >= r.Start && last {
			return style.Width(b.Text[r.Start:min(b.Pos, r.End)]), i
		}
	}
	return 0, len(rows) - 1
}

// Typed is what a person pasted: kept as it is but for control characters.
func Typed(text string) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\r\n", "\n"), "�")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return '\n'
		case r == '\n' || r == '\t' || !unicode.IsControl(r):
			return r
		}
		return -1
	}, text)
}

// Thousands writes 1234 as 1,234.
func Thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Replace puts text in place of what is between two positions, and the cursor
// after it.
func (b *Buffer) Replace(from, to int, text string) {
	b.remember()
	b.Text = b.Text[:from] + text + b.Text[to:]
	b.Pos = from + len(text)
}

// Labels lists what stands for long text that was pasted.
func (b *Buffer) Labels() []string { return slices.Collect(maps.Keys(b.pastes)) }
