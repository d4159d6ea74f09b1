package hub

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
)

// maxEvent bounds one line of a stream; what is longer is cut.
const maxEvent = 1 << 20

// An event is one message of a stream of server-sent events.
type event struct {
	name string
	data []byte
}

// events reads server-sent events until the stream ends. A stream that breaks
// yields its error and not the event that was being read; of one that ends the
// last event counts even without the empty line behind it.
func events(r io.Reader) iter.Seq2[event, error] {
	return func(yield func(event, error) bool) {
		in := bufio.NewReaderSize(r, 32<<10)
		var ev event
		for {
			line, err := eventLine(in)
			if err != nil && !errors.Is(err, io.EOF) {
				yield(event{}, err)
				return
			}
			ev.read(line)
			if (len(line) == 0 || err != nil) && ev.data != nil {
				if !yield(ev, nil) {
					return
				}
			}
			if err != nil {
				return
			}
			if len(line) == 0 {
				ev = event{}
			}
		}
	}
}

// eventLine reads a line without its end.
func eventLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part[:min(len(part), maxEvent-len(line))]...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimRight(line, "\r\n"), err
		}
	}
}

// read takes a line of an event: a field, or a comment that means nothing.
func (ev *event) read(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		ev.name = string(value)
	case "data":
		if ev.data != nil {
			ev.data = append(ev.data, '\n')
		}
		ev.data = append(ev.data, value...)
		if ev.data == nil {
			ev.data = []byte{}
		}
		if len(ev.data) > maxEvent {
			ev.data = ev.data[:maxEvent]
		}
	}
}
