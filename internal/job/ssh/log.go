package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/secret"
)

// shortSecret is the shortest value that is looked for in a log: a shorter one
// is everywhere.
const shortSecret = 4

// reconnects is how often a log whose connection is cut is read on, so many
// times without a byte in between.
const reconnects = 3

// Logs implements job.Backend. What is a secret of the job, as far as its value
// is known here, is shown as so many stars, so that cursors hold.
func (b *Backend) Logs(ctx context.Context, id string, from int64) iter.Seq2[job.Line, error] {
	return func(yield func(job.Line, error) bool) {
		rec, err := b.records().Get(id)
		if err != nil {
			yield(job.Line{}, err)
			return
		}
		if err := rec.Last.Gone(); err != nil {
			yield(job.Line{}, err)
			return
		}
		values := b.values(rec.Spec)
		text := &logReader{backend: b, ctx: ctx, id: id, at: from, back: overlap(values)}
		defer text.close()
		begin, skip, err := text.open()
		if err != nil {
			yield(job.Line{}, fmt.Errorf("read the log of job %s: %w", id, err))
			return
		}
		masked := &masker{r: text, values: values, keep: overlap(values)}
		if _, err := io.CopyN(io.Discard, masked, skip); errors.Is(err, io.EOF) {
			return
		}
		for line, err := range job.Lines(masked, begin) {
			line.Text = secret.Replace(line.Text, "[secret]")
			if err != nil {
				err = fmt.Errorf("read the log of job %s: %w", id, err)
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// values are the secrets that must not be seen.
func (b *Backend) values(spec job.Spec) (values [][]byte) {
	for _, variable := range spec.Secrets {
		if value, ok := b.secret(variable); ok && len(value) >= shortSecret {
			values = append(values, []byte(value))
		}
	}
	return values
}

// overlap is how many bytes before a place may be part of a secret there.
func overlap(values [][]byte) int {
	longest := 1
	for _, value := range values {
		longest = max(longest, len(value))
	}
	return longest - 1
}

// A logReader reads a log to its present end, through cut connections.
type logReader struct {
	backend *Backend
	ctx     context.Context // of the one reading that it is
	id      string
	at      int64 // where to read on
	back    int
	from    *stream
	lost    int // connections, since the last byte
}

// open begins to read. begin is the place that was asked for, and so many bytes
// are to be skipped up to it.
func (r *logReader) open() (begin, skip int64, err error) {
	from, err := r.backend.start(r.ctx, silence, "log", r.id, strconv.FormatInt(r.at, 10), strconv.Itoa(r.back))
	if err != nil {
		return 0, 0, err
	}
	r.from = from
	line, err := from.out.ReadString('\n')
	if err != nil {
		return 0, 0, from.end(err)
	}
	var at int64
	if _, err := fmt.Sscanf(line, "%d %d\n", &begin, &at); err != nil {
		return 0, 0, fmt.Errorf("%s does not say where it begins: %.40q", r.backend.Host, line)
	}
	r.at, r.back = at, 0
	return begin, begin - at, nil
}

// Read implements io.Reader.
func (r *logReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	for n == 0 && isPassing(err) && r.lost < reconnects {
		r.lost++
		r.close()
		r.pause()
		if _, _, err = r.open(); err == nil {
			n, err = r.from.Read(p)
		}
	}
	if n == 0 {
		return 0, err
	}
	r.at += int64(n)
	r.lost = 0
	return n, nil // an error comes again
}

// pause gives a machine time to come back.
func (r *logReader) pause() {
	select {
	case <-time.After(time.Duration(r.lost) * 200 * time.Millisecond):
	case <-r.ctx.Done():
	}
}

func (r *logReader) close() {
	if r.from != nil {
		r.from.close()
		r.from = nil
	}
}

// A masker puts stars in the place of secrets. It holds back what could be the
// beginning of one.
type masker struct {
	r      io.Reader
	values [][]byte
	keep   int
	buf    []byte
	err    error
}

func (m *masker) Read(p []byte) (int, error) {
	for m.err == nil && len(m.buf) <= m.keep {
		var piece [32 << 10]byte
		n, err := m.r.Read(piece[:])
		m.buf, m.err = append(m.buf, piece[:n]...), err
		for _, value := range m.values {
			hide(m.buf, value)
		}
	}
	ready := len(m.buf)
	if m.err == nil {
		ready -= m.keep
	}
	n := copy(p, m.buf[:ready])
	m.buf = append(m.buf[:0], m.buf[n:]...)
	if n == 0 && len(m.buf) == 0 {
		return 0, m.err
	}
	return n, nil
}

func hide(text, value []byte) {
	for {
		i := bytes.Index(text, value)
		if i < 0 {
			return
		}
		for j := range value {
			text[i+j] = '*'
		}
	}
}
