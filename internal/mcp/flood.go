package mcp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Bounds of what a server may send.
const (
	maxMessage  = 8 << 20 // bytes of one message
	burst       = 5000    // lines at once
	linesPerSec = 500     // and then
)

var (
	errTooLong = fmt.Errorf("it sent a message of more than %d MB", maxMessage>>20)
	errBroken  = errors.New("it sent a message that is no JSON")
	errFlood   = errors.New("it sends far more messages than anybody asked for")
)

// A bucket counts lines: so many at once, so many a second later. All streams
// of a server share one.
type bucket struct {
	mu   sync.Mutex
	left float64
	last time.Time
}

func newBucket() *bucket { return &bucket{left: burst, last: time.Now()} }

// take reports whether n more lines are allowed.
func (b *bucket) take(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.left = min(burst, b.left+now.Sub(b.last).Seconds()*linesPerSec)
	b.last = now
	b.left -= float64(n)
	return b.left >= 0
}

// lines passes on the lines of a program's output that are messages. What else
// a program prints, such as its own log, is left out.
type lines struct {
	from  *bufio.Reader
	limit *bucket
	ready []byte // of a line, not yet passed on

	mu  sync.Mutex
	err error // why no more is read
}

func newLines(r io.Reader, limit *bucket) *lines {
	return &lines{from: bufio.NewReaderSize(r, 64<<10), limit: limit}
}

// Read implements io.Reader.
func (l *lines) Read(p []byte) (int, error) {
	for len(l.ready) == 0 {
		if err := l.cause(); err != nil {
			return 0, err
		}
		line, err := l.next()
		if err != nil {
			l.fail(err)
		}
		text := bytes.TrimSpace(line)
		switch {
		case len(text) == 0 || text[0] != '{' && text[0] != '[':
		case json.Valid(text):
			l.ready = append(text, '\n')
		case bytes.Contains(text, []byte(`"jsonrpc"`)):
			l.fail(errBroken)
		}
	}
	n := copy(p, l.ready)
	l.ready = l.ready[n:]
	return n, nil
}

// next reads a line of bounded length.
func (l *lines) next() ([]byte, error) {
	var line []byte
	for {
		piece, err := l.from.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case len(line) > maxMessage:
			return nil, errTooLong
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case !l.limit.take(1):
			return nil, errFlood
		}
		return line, err
	}
}

func (l *lines) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// cause is why no more is read, nil while all is well.
func (l *lines) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// body bounds the answer of an HTTP server: a document by its length, a stream
// of events by the length of a line and by how many come.
type body struct {
	io.ReadCloser
	stream bool
	limit  *bucket
	size   int         // of the document, or of the line
	failed func(error) // told what the answer was cut for
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.size += n
	if b.stream {
		if breaks := bytes.Count(p[:n], []byte{'\n'}); breaks > 0 {
			b.size = n - 1 - bytes.LastIndexByte(p[:n], '\n')
			if !b.limit.take(breaks) {
				return 0, b.fail(errFlood)
			}
		}
	}
	if b.size > maxMessage {
		return 0, b.fail(errTooLong)
	}
	return n, err
}

func (b *body) fail(err error) error {
	b.failed(err)
	return err
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 2000

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p[max(0, len(p)-tailBytes):]...)
	t.text = t.text[max(0, len(t.text)-tailBytes):]
	return len(p), nil
}

// last is the last line that says something.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := bytes.Split(bytes.TrimSpace(t.text), []byte{'\n'})
	return plain(string(all[len(all)-1]), 300)
}
