package openai

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// maxEvent is the longest event that is read: beyond it a server is broken.
const maxEvent = 64 << 20

var errTooLong = fmt.Errorf("read reply: an event is longer than %d MB", maxEvent>>20)

// events yields the data of each server-sent event. The slice is valid until
// the next one. Beyond the standard it takes an event that the end of the
// stream closes, and events with no blank line between them.
func events(br *bufio.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var data []byte
		for {
			line, err := readLine(br)
			value, isData := bytes.CutPrefix(line, []byte("data:"))
			ended := len(line) == 0 || err != nil && !isData || isData && len(data) > 0 && begins(value) && json.Valid(data)
			if ended && len(data) > 0 {
				if !yield(data, nil) {
					return
				}
				data = data[:0]
			}
			if isData {
				if len(data) > 0 {
					data = append(data, '\n')
				}
				data = append(data, bytes.TrimPrefix(value, []byte(" "))...)
			}
			if len(data) > maxEvent {
				err = errTooLong
			}
			switch {
			case errors.Is(err, io.EOF):
				if len(data) > 0 {
					yield(data, nil)
				}
				return
			case err != nil:
				yield(nil, err)
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
			if long = append(long, line...); len(long) > maxEvent {
				return nil, errTooLong
			}
		}
		line = long
	}
	return bytes.TrimRight(line, "\r\n"), err
}

// first peeks at the first byte that is not a blank, which tells a JSON object
// from a stream. A byte order mark goes with the blanks.
func first(br *bufio.Reader) (byte, error) {
	for {
		b, err := br.ReadByte()
		if err != nil {
			return 0, err
		}
		switch b {
		case ' ', '\t', '\r', '\n', 0xEF, 0xBB, 0xBF:
		default:
			return b, br.UnreadByte()
		}
	}
}
