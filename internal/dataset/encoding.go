package dataset

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// A textReader yields a file's text as UTF-8 and knows, once read, how the
// file writes it. Names are Python's, since a training script will use them.
type textReader struct {
	in   *bufio.Reader
	name string // fixed by a mark at the start, or empty
	wide binary.ByteOrder

	out, pending []byte // decoded and not yet given; undecoded end of a chunk
	chunk        []byte
	err          error

	multibyte, invalid int64 // proper UTF-8 sequences beyond ASCII; stray bytes
	c1, undefined      bool  // stray bytes in 80-9F; those cp1252 lacks
}

// decodeText recognises the encoding by its byte order mark or its zeros.
func decodeText(in *bufio.Reader) (*textReader, error) {
	head, _ := in.Peek(4096)
	t := &textReader{in: in, chunk: make([]byte, 32<<10)}
	skip := 0
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		t.name, skip = "utf-8-sig", 3
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		t.name, t.wide, skip = "utf-16", binary.LittleEndian, 2
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		t.name, t.wide, skip = "utf-16", binary.BigEndian, 2
	case bytes.IndexByte(head, 0) >= 0:
		even, odd := zeros(head)
		half := len(head) / 2
		switch {
		case odd > half/2 && even < half/10:
			t.name, t.wide = "utf-16-le", binary.LittleEndian
		case even > half/2 && odd < half/10:
			t.name, t.wide = "utf-16-be", binary.BigEndian
		default:
			return nil, &Error{
				CodeUnsupportedFormat, "the file is binary, not text.",
				"Save the table as CSV, JSON lines or Parquet.",
			}
		}
	}
	_, err := in.Discard(skip)
	return t, err
}

func zeros(b []byte) (even, odd int) {
	for i, c := range b {
		if c == 0 {
			if i%2 == 0 {
				even++
			} else {
				odd++
			}
		}
	}
	return even, odd
}

func (t *textReader) Read(p []byte) (int, error) {
	for len(t.out) == 0 {
		if t.err != nil {
			return 0, t.err
		}
		t.fill()
	}
	n := copy(p, t.out)
	t.out = t.out[n:]
	return n, nil
}

// fill decodes the next chunk into out.
func (t *textReader) fill() {
	n := copy(t.chunk, t.pending)
	m, err := t.in.Read(t.chunk[n:])
	t.err = err
	b := t.chunk[:n+m]
	if t.wide != nil {
		t.out, t.pending = decodeWide(b, t.wide, err != nil)
		return
	}
	end := len(b)
	if err == nil {
		end -= incompleteTail(b)
	}
	t.out, t.pending = t.decodeNarrow(b[:end]), bytes.Clone(b[end:])
}

// incompleteTail is the length of a UTF-8 sequence cut off at the end of b.
func incompleteTail(b []byte) int {
	for i := 1; i <= min(utf8.UTFMax-1, len(b)); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-i:]) {
				return i
			}
			break
		}
	}
	return 0
}

// decodeNarrow passes UTF-8 through and reads each stray byte as Windows-1252,
// so a Latin-1 file comes out right wherever its first accent is.
func (t *textReader) decodeNarrow(b []byte) []byte {
	if utf8.Valid(b) {
		for _, c := range b {
			if c >= 0xC0 {
				t.multibyte++
			}
		}
		return b
	}
	out := make([]byte, 0, len(b)+len(b)/4)
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && size == 1:
			t.invalid++
			r = windows1252(b[0])
			t.c1 = t.c1 || b[0] < 0xA0
			t.undefined = t.undefined || (b[0] < 0xA0 && r < 0xA0)
		case size > 1:
			t.multibyte++
		}
		out = utf8.AppendRune(out, r)
		b = b[size:]
	}
	return out
}

// windows1252 is Latin-1 with printable signs where Latin-1 has controls.
func windows1252(b byte) rune {
	const high = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"
	if b < 0x80 || b > 0x9F {
		return rune(b)
	}
	for _, r := range high {
		if b == 0x80 {
			return r
		}
		b--
	}
	return utf8.RuneError
}

func decodeWide(b []byte, order binary.ByteOrder, last bool) (out, pending []byte) {
	out = make([]byte, 0, len(b))
	for len(b) >= 2 {
		r := rune(order.Uint16(b))
		size := 2
		if utf16.IsSurrogate(r) {
			if len(b) < 4 && !last {
				break
			}
			if len(b) >= 4 {
				if pair := utf16.DecodeRune(r, rune(order.Uint16(b[2:]))); pair != utf8.RuneError {
					r, size = pair, 4
				}
			}
		}
		out = utf8.AppendRune(out, r)
		b = b[size:]
	}
	if last {
		return out, nil
	}
	return out, bytes.Clone(b)
}

// encoding names the encoding, as far as the text has been read.
func (t *textReader) encoding() string {
	switch {
	case t.name != "":
		return t.name
	case t.invalid == 0 || t.multibyte > t.invalid:
		return "utf-8"
	case t.c1 && !t.undefined:
		return "cp1252"
	}
	return "latin-1"
}

// problems reports text that will not decode in one way.
func (t *textReader) problems() []string {
	if t.invalid == 0 || (t.name == "" && t.multibyte <= t.invalid) {
		return nil
	}
	return []string{many(t.invalid, "byte is", "bytes are") + " not valid UTF-8 although the rest is; open it with encoding_errors=\"replace\"."}
}
