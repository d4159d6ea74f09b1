package app

import (
	"bytes"
	"context"
	"unicode/utf8"

	"ml-intern/internal/sandbox"
)

// A ShellOutput is what a command of the person's own left.
type ShellOutput struct {
	Text string   // head and tail if it was long
	Code int      // exit status
	More []string // what confinement refused
}

// Shell runs a command of the person's own where the session's commands run,
// and shows its lines as they come, as they stand: also empty ones, and the last
// one if it has no end.
func (a *App) Shell(ctx context.Context, line string, show func(line string)) (ShellOutput, error) {
	if err := a.confine(ctx); err != nil {
		return ShellOutput{}, err
	}
	redact := a.redactor()
	lines := &lineWriter{show: func(l string) { show(redact.Text(l)) }}
	out, err := a.sandbox().Exec(ctx, sandbox.Command{Line: line, Raw: lines})
	lines.flush()
	return ShellOutput{redact.Text(out.Text), out.Code, out.Notes}, err
}

// maxShown is how much of a line is shown, in bytes.
const maxShown = 4 << 10

// A lineWriter passes on the lines of what is written to it. Each state of a line
// that is written over itself, as progress bars are, is a line.
type lineWriter struct {
	show  func(line string)
	open  []byte // the line that has no end yet
	cut   bool   // some of it was left out
	ended bool   // by a carriage return: a newline after it ends nothing more
}

// Write never fails.
func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexAny(p, "\r\n")
		if i < 0 {
			w.keep(p)
			break
		}
		w.keep(p[:i])
		switch {
		case p[i] == '\n' && !w.ended, p[i] == '\r' && len(w.open) > 0:
			w.end()
			w.ended = p[i] == '\r'
		case p[i] == '\n':
			w.ended = false
		}
		p = p[i+1:]
	}
	return n, nil
}

func (w *lineWriter) keep(p []byte) {
	if len(p) == 0 {
		return
	}
	w.ended = false
	room := maxShown - len(w.open)
	w.cut = w.cut || len(p) > room
	w.open = append(w.open, p[:min(room, len(p))]...)
}

func (w *lineWriter) end() {
	line := sandbox.Printable(w.open)
	if w.cut {
		line = sandbox.Printable(w.open[:wholeRunes(w.open)]) + "…"
	}
	w.show(line)
	w.open, w.cut = w.open[:0], false
}

// flush passes on a last line that has no end.
func (w *lineWriter) flush() {
	if len(w.open) > 0 {
		w.end()
	}
}

// wholeRunes is how much of a text that was cut has whole characters.
func wholeRunes(p []byte) int {
	n := len(p)
	for i := 1; i < utf8.UTFMax && i <= n; i++ {
		if utf8.RuneStart(p[n-i]) {
			if !utf8.FullRune(p[n-i:]) {
				return n - i
			}
			break
		}
	}
	return n
}
