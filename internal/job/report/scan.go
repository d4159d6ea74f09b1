package report

import (
	"fmt"
	"strings"

	"ml-intern/internal/lazyregexp"
)

const (
	firstErrors = 3  // kept, and
	lastErrors  = 4  // of the others the last
	maxExcerpt  = 80 // lines of one error that are kept
	maxTrace    = 5000
	shownFirst  = 4 // lines shown of a long one, and
	shownLast   = 10
)

// An excerpt is an error with the lines around it.
type excerpt struct {
	at    int64
	line  int
	lines []string
	cut   int // lines that are not kept, after the first shownFirst
	key   string
	times int
}

// A scanner reads lines in order.
type scanner struct {
	view    *View
	recent  []entry // before the present line
	open    *excerpt
	trace   bool // a Python traceback is open: it ends with the exception
	waiting int  // so many more lines belong to what is open
}

// prefix is what launchers put before each line.
var prefix = lazyregexp.New(`^(?:\[?(?:rank|default|worker)\s?\d+\]?:\s?|\([\w-]+ pid=\d+(?:, ip=[\d.]+)?\)\s?|\d+: )`)

func (s *scanner) line(text string, at int64) {
	v := s.view
	if len(v.tail) == 0 {
		v.afterHead = at
	}
	e := entry{at: at, line: v.Lines, first: text, last: text, key: shape(text), n: 1}
	v.put(e)
	bare := text
	if c := firstByte(text); c == '[' || c == '(' || c == 'r' || c == 'd' || c >= '0' && c <= '9' {
		bare = prefix.ReplaceAllString(text, "")
	}
	bad := !(s.trace && indented(bare)) && isError(bare)
	if bad {
		v.found.look(bare, at)
	}
	s.excerpt(text, bare, at, bad)
	if len(s.recent) == before {
		s.recent = append(s.recent[:0], s.recent[1:]...)
	}
	s.recent = append(s.recent, e)
}

func indented(text string) bool { return text == "" || text[0] == ' ' || text[0] == '\t' }

func firstByte(text string) byte {
	if text == "" {
		return 0
	}
	return text[0]
}

// excerpt collects the lines of an error.
func (s *scanner) excerpt(text, bare string, at int64, bad bool) {
	begins := strings.HasPrefix(bare, "Traceback (most recent call last)")
	if s.open != nil && (begins || s.full()) {
		s.close()
	}
	switch {
	case s.open == nil && !begins && !bad:
		return
	case s.open == nil:
		s.open = &excerpt{at: at, line: s.view.Lines, times: 1}
		for _, e := range s.recent {
			if !begins {
				s.open.lines = append(s.open.lines, e.first)
				s.open.at, s.open.line = min(s.open.at, e.at), min(s.open.line, e.line)
			}
		}
		s.trace, s.waiting = begins, after
	}
	s.open.lines = append(s.open.lines, text)
	switch {
	case begins:
	case s.trace && indented(bare): // a frame
	case s.trace: // the exception
		s.trace = false
		s.open.key = shape(bare)
		s.waiting = after
		if !bad {
			s.view.found.look(bare, at) // such as KeyError, which says little by itself
		}
	case bad:
		if s.open.key == "" {
			s.open.key = shape(bare)
		}
		s.waiting = after
	default:
		if s.waiting--; s.waiting <= 0 {
			s.close()
		}
	}
}

// full reports whether what is open has to end here. A deep traceback goes on,
// because its end tells most.
func (s *scanner) full() bool {
	e := s.open
	if len(e.lines) < maxExcerpt {
		return false
	}
	if !s.trace || e.cut > maxTrace {
		return true
	}
	e.lines = append(e.lines[:shownFirst], e.lines[shownFirst+1:]...)
	e.cut++
	return false
}

// close keeps what is open, if there is room or it is later than others.
func (s *scanner) close() {
	done := s.open
	s.open, s.trace = nil, false
	if done == nil {
		return
	}
	v := s.view
	for i := range v.errors {
		if v.errors[i].key == done.key {
			v.errors[i].times++
			return
		}
	}
	if len(v.errors) == firstErrors+lastErrors {
		v.errors = append(v.errors[:firstErrors], v.errors[firstErrors+1:]...)
		v.more++
	}
	v.errors = append(v.errors, *done)
}

func (s *scanner) end() { s.close() }

// showErrors shows them in their order.
func (v *View) showErrors(b *strings.Builder) {
	size := b.Len()
	for i, e := range v.errors {
		if i == firstErrors && v.more > 0 {
			fmt.Fprintf(b, "--- %d other errors\n", v.more)
		}
		times := ""
		if e.times > 1 {
			times = fmt.Sprintf(", %d times", e.times)
		}
		text := e.text()
		if b.Len()-size+len(text) > errorBytes && i < len(v.errors)-1 {
			fmt.Fprintf(b, "--- error at line %d, cursor %d%s\n", e.line, e.at, times)
			continue
		}
		fmt.Fprintf(b, "--- error at line %d, cursor %d%s\n%s", e.line, e.at, times, text)
	}
}

func (e excerpt) text() string {
	lines := e.lines
	if left := len(lines) - shownFirst - shownLast; left > 1 {
		lines = append(append(append([]string(nil), lines[:shownFirst]...), fmt.Sprintf("[%d lines]", left+e.cut)), lines[len(lines)-shownLast:]...)
	}
	return strings.Join(lines, "\n") + "\n"
}

// signs are what a line of an error has. Most lines have none, so that they
// are looked for as they stand.
var signs = []string{
	"Error", "ERROR", "error:", "Exception", "EXCEPTION", "FATAL", "Fatal", "fatal:", "CRITICAL", "Traceback", "out of memory", "Out of memory", "oom-kill", "OOM",
	"No space left", "quota exceeded", "Killed", "killed by signal", "Segmentation fault", "core dumped", "bad_alloc", "annot allocate memory",
	"assert triggered", "Watchdog caught", "panic:", "No solution found", "not found", "Not Found", "annot access", "is restricted", "DUE TO", "Aborted", "Bus error", "KeyboardInterrupt", "Permission denied",
}

// measured is a metric that is named after errors, or a count of none.
var measured = lazyregexp.New(`(?i)^[^:=]*(?:errors?|error_rate)['"]?\s*[:=]\s*[-+\d.e%]+\s*(?:$|[,;|)}])|\b(?:0|no|without|zero) errors?\b|errors?\s*[:=]\s*(?:0|none|false)\b`)

func isError(text string) bool {
	for _, sign := range signs {
		if strings.Contains(text, sign) {
			return !measured.MatchString(text)
		}
	}
	return false
}
