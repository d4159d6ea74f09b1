package local

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// A redactor passes output on with a name in the place of each secret, also if
// the secret comes in pieces: what may be the beginning of one is held until
// more comes. Notes of others come between lines, so that they part neither a
// line nor a secret.
type redactor struct {
	to      io.Writer
	secrets []secretValue
	mu      sync.Mutex
	held    []byte
	inLine  bool // the last line that was written is not whole
	notes   []string
	noted   time.Time // when the first of them came
}

type secretValue struct {
	name  string
	value []byte
}

// shortestSecret is the length from which on a value is looked for in output:
// shorter ones are in everything.
const shortestSecret = 4

func newRedactor(to io.Writer, values map[string]string) *redactor {
	r := &redactor{to: to}
	for name, value := range values {
		if len(value) >= shortestSecret {
			r.secrets = append(r.secrets, secretValue{name, []byte(value)})
		}
	}
	// Of two that begin at one place the longer counts.
	slices.SortFunc(r.secrets, func(a, b secretValue) int {
		return cmp.Or(len(b.value)-len(a.value), cmp.Compare(a.name, b.name))
	})
	return r
}

// Write implements io.Writer.
func (r *redactor) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.secrets) == 0 {
		return len(p), r.write(p)
	}
	r.held = append(r.held, p...)
	return len(p), r.pass(r.begun())
}

// flush passes on what was held: no more will come.
func (r *redactor) flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.pass(len(r.held)), r.writeNotes())
}

// noteWait is how long a note waits for the end of a line.
const noteWait = 2 * time.Second

// note writes a line of its own, at once or when the line has ended that is
// being written.
func (r *redactor) note(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.notes) == 0 {
		r.noted = time.Now()
	}
	if r.notes = append(r.notes, text); !r.inLine && len(r.held) == 0 {
		_ = r.writeNotes() // the log never fails
	}
}

// hurry writes notes that have waited for long, as for a line that a program
// began before it hung.
func (r *redactor) hurry() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.notes) > 0 && len(r.held) == 0 && time.Since(r.noted) > noteWait {
		_ = r.writeNotes() // the log never fails
	}
}

func (r *redactor) writeNotes() error {
	if len(r.notes) == 0 {
		return nil
	}
	text := strings.Join(r.notes, "\n") + "\n"
	if r.inLine {
		text = "\n" + text
	}
	r.notes, r.inLine = nil, false
	_, err := io.WriteString(r.to, text)
	return err
}

// write passes output on, with the notes that wait behind its last whole line.
func (r *redactor) write(out []byte) error {
	if len(out) == 0 {
		return nil
	}
	whole := 0
	if len(r.notes) > 0 {
		whole = bytes.LastIndexByte(out, '\n') + 1
	}
	if whole > 0 {
		_, err := r.to.Write(out[:whole])
		r.inLine = false
		if err = errors.Join(err, r.writeNotes()); err != nil || whole == len(out) {
			return err
		}
	}
	r.inLine = out[len(out)-1] != '\n'
	_, err := r.to.Write(out[whole:])
	return err
}

// pass writes what is held up to end, and what of a secret reaches beyond.
func (r *redactor) pass(end int) error {
	var out []byte
	at := 0
	for at < end {
		begin, s := r.first(at)
		if begin < 0 || begin >= end {
			out, at = append(out, r.held[at:end]...), end
			break
		}
		out = append(append(out, r.held[at:begin]...), "["+s.name+"]"...)
		at = begin + len(s.value)
	}
	r.held = r.held[:copy(r.held, r.held[at:])]
	return r.write(out)
}

// first finds the first secret from a place on.
func (r *redactor) first(at int) (begin int, found secretValue) {
	begin = -1
	for _, s := range r.secrets {
		if i := bytes.Index(r.held[at:], s.value); i >= 0 && (begin < 0 || at+i < begin) {
			begin, found = at+i, s
		}
	}
	return begin, found
}

// begun is where the first secret begins that more output could complete.
func (r *redactor) begun() int {
	end := len(r.held)
	if len(r.secrets) == 0 {
		return end
	}
	for i := max(0, end-len(r.secrets[0].value)+1); i < end; i++ {
		for _, s := range r.secrets {
			if len(s.value) > end-i && bytes.HasPrefix(s.value, r.held[i:]) {
				return i
			}
		}
	}
	return end
}
