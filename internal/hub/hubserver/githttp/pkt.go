package githttp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxPkt is the most that one packet line may hold, its length included.
const maxPkt = 65520

// What a packet line can be: data, or one of the signs without data.
type pktKind int

const (
	pktData pktKind = iota
	pktFlush
	pktDelim
	pktEnd
)

var errPkt = errors.New("a packet line is damaged")

// A pktReader reads packet lines: four hex digits of length, then data.
type pktReader struct{ *bufio.Reader }

// next reads a line. At the end of the stream it returns io.EOF.
func (p pktReader) next() (pktKind, string, error) {
	var head [4]byte
	if _, err := io.ReadFull(p, head[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, "", errPkt
		}
		return 0, "", err
	}
	n, err := strconv.ParseUint(string(head[:]), 16, 16)
	switch {
	case err != nil || n > maxPkt || n == 3:
		return 0, "", errPkt
	case n == 0:
		return pktFlush, "", nil
	case n == 1:
		return pktDelim, "", nil
	case n == 2:
		return pktEnd, "", nil
	}
	data := make([]byte, n-4)
	if _, err := io.ReadFull(p, data); err != nil {
		return 0, "", errPkt
	}
	return pktData, string(data), nil
}

// line is next without the end of line, which is optional.
func (p pktReader) line() (pktKind, string, error) {
	kind, data, err := p.next()
	return kind, strings.TrimSuffix(data, "\n"), err
}

// A pktWriter writes packet lines. The first error stays.
type pktWriter struct {
	w   io.Writer
	err error
}

func (p *pktWriter) raw(s string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, s)
	}
}

func (p *pktWriter) line(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	p.raw(fmt.Sprintf("%04x%s", len(s)+4, s))
}

func (p *pktWriter) flush() { p.raw("0000") }
func (p *pktWriter) delim() { p.raw("0001") }

// The bands of a side-band stream.
const (
	bandData     = 1
	bandProgress = 2
	bandError    = 3
)

// A band writes one of the streams that share a connection.
type band struct {
	p    *pktWriter
	id   byte
	most int // of a line's data
}

func (b *band) Write(data []byte) (int, error) {
	n := 0
	for len(data) > 0 {
		part := data[:min(len(data), b.most)]
		b.p.raw(fmt.Sprintf("%04x%c", len(part)+5, b.id))
		b.p.raw(string(part))
		if b.p.err != nil {
			return n, b.p.err
		}
		n, data = n+len(part), data[len(part):]
	}
	return n, nil
}
