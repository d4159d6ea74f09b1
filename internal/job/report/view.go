// Package report says in few words what the output of a job says: its
// beginning, its errors with what stands around them, its end, and why the job
// failed.
//
// Its one rule: what it proposes never changes what the person asked for. The
// model, the data, the method and the length of sequences stay as they are; a
// person alone may give them up. It reads a job's output once from beginning to
// end and owns nothing; what it shows is bounded, however long the output is.
package report

import (
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"

	"ml-intern/internal/job"
)

const (
	headEntries = 20
	tailEntries = 40
	before      = 2 // lines shown before an error
	after       = 3

	longestLine = 400 // bytes shown of it
	headBytes   = 3 << 10
	tailBytes   = 5 << 10
	errorBytes  = 8 << 10
)

// A View is what is shown of a job's output.
type View struct {
	Lines int   // there are
	From  int64 // cursor at which it begins
	Next  int64 // cursor behind what was read

	head, tail []entry
	errors     []excerpt
	more       int // different errors that are not kept
	found      findings
	afterHead  int64 // cursor
}

// An entry is a line, or several in a row that differ in their numbers alone.
type entry struct {
	at          int64 // cursor
	line        int   // from 1
	first, last string
	key         string
	n           int
}

// Read reads output whose first byte is at cursor from. With an error it
// returns what was read until then.
func Read(lines iter.Seq2[job.Line, error], from int64) (*View, error) {
	v := &View{From: from, Next: from}
	s := scanner{view: v}
	for line, err := range lines {
		if err != nil {
			s.end()
			return v, fmt.Errorf("read log: %w", err)
		}
		v.Lines++
		s.line(clip(line.Text), v.Next)
		v.Next = line.Next
	}
	s.end()
	return v, nil
}

// clip shortens a line that is too long to show: its beginning and its end.
func clip(text string) string {
	if len(text) <= longestLine {
		return text
	}
	const half = longestLine/2 - 5
	return strings.ToValidUTF8(text[:half], "") + " [...] " + strings.ToValidUTF8(text[len(text)-half:], "")
}

// shape is a line less its numbers, by which similar lines are known.
func shape(text string) string {
	b := make([]byte, 0, len(text))
	for i := range len(text) {
		c := text[i]
		if c >= '0' && c <= '9' {
			c = '0'
			if n := len(b); n > 0 && b[n-1] == '0' {
				continue
			}
		}
		if c >= utf8.RuneSelf || c == ' ' { // bars and blanks come in any number
			continue
		}
		b = append(b, c)
	}
	return string(b)
}

// put adds a line to the beginning or the end that is shown.
func (v *View) put(e entry) {
	list := &v.tail
	if len(v.tail) == 0 {
		list = &v.head
	}
	if n := len(*list); n > 0 && (*list)[n-1].key == e.key {
		old := &(*list)[n-1]
		old.last = e.first
		old.n++
		return
	}
	if len(v.head) < headEntries {
		v.head = append(v.head, e)
		return
	}
	if len(v.tail) == tailEntries {
		v.tail = append(v.tail[:0], v.tail[1:]...)
	}
	v.tail = append(v.tail, e)
}

// String shows it: some 16 kB at most.
func (v *View) String() string {
	if v.Lines == 0 {
		return fmt.Sprintf("no output from cursor %d on\n", v.From)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d lines of output, cursors %d to %d\n", v.Lines, v.From, v.Next)
	head, cut := texts(v.head, headBytes, false)
	b.WriteString(head)
	_, cutTail := texts(v.tail, tailBytes, true)
	shown := v.head[:len(v.head)-cut]
	rest := v.afterErrors(v.tail[cutTail:])
	tail, _ := texts(rest, tailBytes, true)
	if gap := left(shown, rest, v.Lines); gap > 0 {
		fmt.Fprintf(&b, "--- %d lines left out here, from cursor %d on\n", gap, v.behind(shown))
	}
	v.showErrors(&b)
	if len(rest) > 0 {
		fmt.Fprintf(&b, "--- the end, from line %d, cursor %d\n%s", rest[0].line, rest[0].at, tail)
	}
	return b.String()
}

// afterErrors is the end less what the last error shows already.
func (v *View) afterErrors(tail []entry) []entry {
	if len(v.errors) == 0 || len(tail) == 0 {
		return tail
	}
	last := v.errors[len(v.errors)-1]
	if last.times > 1 || last.line > tail[0].line {
		return tail
	}
	for len(tail) > 0 && tail[0].line < last.line+len(last.lines)+last.cut {
		tail = tail[1:]
	}
	return tail
}

// left counts the lines between what is shown of the head and of the tail.
func left(head, tail []entry, lines int) int {
	last := 0
	if n := len(head); n > 0 {
		last = head[n-1].line + head[n-1].n - 1
	}
	if len(tail) == 0 {
		return lines - last // or less: the last error shows the end
	}
	return tail[0].line - last - 1
}

// behind is the cursor behind the entries, which are the first.
func (v *View) behind(head []entry) int64 {
	if len(head) < len(v.head) {
		return v.head[len(head)].at
	}
	return v.afterHead
}

// texts shows entries in so many bytes: the first that fit, or the last. It
// returns how many do not fit.
func texts(entries []entry, limit int, last bool) (text string, cut int) {
	var parts []string
	size := 0
	for i := range entries {
		e := entries[i]
		if last {
			e = entries[len(entries)-1-i]
		}
		part := e.text()
		if size += len(part); size > limit && i > 0 {
			cut = len(entries) - i
			break
		}
		parts = append(parts, part)
	}
	if last {
		for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
			parts[i], parts[j] = parts[j], parts[i]
		}
	}
	return strings.Join(parts, ""), cut
}

func (e entry) text() string {
	switch e.n {
	case 1:
		return e.first + "\n"
	case 2:
		return e.first + "\n" + e.last + "\n"
	}
	s := "s"
	if e.n == 3 {
		s = ""
	}
	return fmt.Sprintf("%s\n[%d similar line%s]\n%s\n", e.first, e.n-2, s, e.last)
}
