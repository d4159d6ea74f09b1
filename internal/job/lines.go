package job

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"strings"
	"unicode/utf8"
)

// maxLine is the longest Line; a longer one is yielded in pieces.
const maxLine = 64 << 10

// Lines splits the output in r, whose first byte is at cursor from. What comes
// after the last line end is a line too, less a character that is not all there.
func Lines(r io.Reader, from int64) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		buf := make([]byte, 0, maxLine)
		for {
			n, err := r.Read(buf[len(buf):cap(buf)])
			buf = buf[:len(buf)+n]
			rest := buf
			for len(rest) > 0 {
				size := lineSize(rest, err != nil)
				if size == 0 {
					break
				}
				from += int64(size)
				if !yield(Line{Text: lineText(rest[:size]), Next: from}, nil) {
					return
				}
				rest = rest[size:]
			}
			buf = buf[:copy(buf, rest)]
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Line{Next: from}, err)
				return
			}
		}
	}
}

// lineSize is the size of the first line in data with its end; 0 if more has
// to be read to tell.
func lineSize(data []byte, last bool) int {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1
	}
	if !last && len(data) < maxLine {
		return 0
	}
	// Leave a character that is cut by the end for the next read.
	for cut := 1; cut < utf8.UTFMax && cut <= len(data); cut++ {
		if i := len(data) - cut; utf8.RuneStart(data[i]) {
			if !utf8.FullRune(data[i:]) {
				return i
			}
			break
		}
	}
	return len(data)
}

// lineText is what a terminal would show of the line in the end.
func lineText(line []byte) string {
	line = bytes.TrimRight(line, "\r\n")
	line = line[bytes.LastIndexByte(line, '\r')+1:]
	return strings.ToValidUTF8(string(line), "\uFFFD")
}
