package sandbox

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// captureLimit is how much of a command's output is kept from the head and,
// again, from the tail.
const captureLimit = 1 << 20

// A Capture keeps the head and the tail of what a command prints, in bounded
// memory, and passes whole lines on. Its String is the Text of an Output.
type Capture struct {
	Log func(line string) // may be nil
	Raw io.Writer         // gets everything as it comes; may be nil, must not fail

	head    []byte
	tail    []byte // ring, once it is full
	next    int    // where the ring goes on
	total   int64
	partial []byte // the line that has no end yet, for Log only
}

// Write never fails.
func (c *Capture) Write(p []byte) (int, error) {
	c.total += int64(len(p))
	if c.Raw != nil {
		_, _ = c.Raw.Write(p) // by contract it does not fail
	}
	if c.Log != nil {
		c.lines(p)
	}
	rest := p
	if room := captureLimit - len(c.head); room > 0 {
		n := min(room, len(rest))
		c.head = append(c.head, rest[:n]...)
		rest = rest[n:]
	}
	for len(rest) > 0 {
		if len(c.tail) < captureLimit {
			n := min(captureLimit-len(c.tail), len(rest))
			c.tail = append(c.tail, rest[:n]...)
			rest = rest[n:]
			continue
		}
		n := copy(c.tail[c.next:], rest)
		c.next = (c.next + n) % captureLimit
		rest = rest[n:]
	}
	return len(p), nil
}

const maxLogLine = 500 // bytes of a line that are worth showing

func (c *Capture) lines(p []byte) {
	c.partial = append(c.partial, p...)
	for {
		i := bytes.IndexAny(c.partial, "\r\n")
		if i < 0 {
			break
		}
		if line := bytes.TrimSpace(c.partial[:min(i, maxLogLine)]); len(line) > 0 {
			c.Log(Printable(line))
		}
		c.partial = c.partial[i+1:]
	}
	if len(c.partial) > maxLogLine {
		c.partial = append(c.partial[:0:0], c.partial[:maxLogLine]...)
	}
}

func (c *Capture) String() string {
	head, tail := c.head, append(c.tail[c.next:len(c.tail):len(c.tail)], c.tail[:c.next]...)
	if left := c.total - int64(len(head)+len(tail)); left > 0 {
		return fmt.Sprintf("%s\n[… %d bytes left out …]\n%s", Printable(head), left, Printable(tail))
	}
	return Printable(append(head[:len(head):len(head)], tail...))
}

// Printable turns bytes into text that survives JSON and a terminal: what is
// not UTF-8 becomes \xNN, and control characters other than tab and newline
// become escapes too.
func Printable(p []byte) string {
	plain := true
	for _, b := range p {
		if b >= utf8.RuneSelf || (b < ' ' && b != '\n' && b != '\t') || b == 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return string(p)
	}
	var b strings.Builder
	b.Grow(len(p) + len(p)/8)
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, p[0])
		case r == '\r' && n < len(p) && p[n] == '\n':
			// a Windows line end reads as a plain one
		case r == '\n' || r == '\t' || r == '\r' || strconv.IsPrint(r) || r == ' ':
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
		p = p[n:]
	}
	return b.String()
}
