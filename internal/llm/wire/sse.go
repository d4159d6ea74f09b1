package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// MaxEvent is the longest event that is read: beyond it a server is broken.
const MaxEvent = 64 << 20

var errTooLong = fmt.Errorf("read reply: an event is longer than %d MB", MaxEvent>>20)

// An Event is one of server-sent events. Its data is valid until the next one.
type Event struct {
	Name string // "" if the server gave none
	Data []byte
}

// Events yields the events of a stream that have data. Beyond the standard it
// takes an event that the end of the stream closes, and events with no blank
// line between them.
func Events(br *bufio.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		var name string
		var data []byte
		for {
			line, err := readLine(br)
			value, isData := bytes.CutPrefix(line, []byte("data:"))
			called, isName := bytes.CutPrefix(line, []byte("event:"))
			another := len(data) > 0 && (isName || isData && begins(value)) && json.Valid(data)
			if ended := len(line) == 0 || err != nil && !isData || another; ended {
				if len(data) > 0 && !yield(Event{name, data}, nil) {
					return
				}
				name, data = "", data[:0]
			}
			if isName {
				name = string(bytes.TrimSpace(called))
			}
			if isData {
				if len(data) > 0 {
					data = append(data, '\n')
				}
				data = append(data, bytes.TrimPrefix(value, []byte(" "))...)
			}
			if len(data) > MaxEvent {
				err = errTooLong
			}
			switch {
			case errors.Is(err, io.EOF):
				if len(data) > 0 {
					yield(Event{name, data}, nil)
				}
				return
			case err != nil:
				yield(Event{}, err)
				return
			}
		}
	}
}

// begins reports whether a line of data may begin an event of its own.
func begins(value []byte) bool {
	value = bytes.TrimLeft(value, " ")
	return len(value) > 0 && (value[0] == '{' || value[0] == '[')
}

// readLine reads a line without its end, LF or CRLF. The slice is valid until
// the next read.
func readLine(br *bufio.Reader) ([]byte, error) {
	line, err := br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		long := bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			line, err = br.ReadSlice('\n')
			if long = append(long, line...); len(long) > MaxEvent {
				return nil, errTooLong
			}
		}
		line = long
	}
	return bytes.TrimRight(line, "\r\n"), err
}
