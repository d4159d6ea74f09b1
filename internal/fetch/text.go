package fetch

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// Text is the body as UTF-8. What the bytes are counts for more than what the
// answer says about them: text that is UTF-8 and not plain ASCII is hardly ever
// anything else.
func (r *Response) Text() string {
	body := r.Body
	if enc, skip := marked(body); skip > 0 {
		return decode(enc, body[skip:])
	}
	declared, name := charset.Lookup(r.Charset)
	ascii := bytes.IndexFunc(body, func(c rune) bool { return c >= utf8.RuneSelf }) < 0
	switch {
	case ascii && bytes.IndexByte(body, 0) >= 0 && strings.HasPrefix(name, "utf-16"),
		ascii && bytes.IndexByte(body, 0x1b) >= 0 && declared != nil: // ISO-2022-JP
		return decode(declared, body)
	case utf8.Valid(body):
		return string(body)
	case declared == nil || name == "utf-8":
		if mostlyUTF8(body) {
			return strings.ToValidUTF8(string(body), "\uFFFD")
		}
		declared = charmap.Windows1252
		if r.Charset == "" {
			declared, _, _ = charset.DetermineEncoding(body, r.Header.Get("Content-Type"))
		}
	}
	return decode(declared, body)
}

// marked finds the encoding that a byte order mark names, and its length.
func marked(body []byte) (encoding.Encoding, int) {
	switch {
	case bytes.HasPrefix(body, []byte("\xef\xbb\xbf")):
		return unicode.UTF8, 3
	case bytes.HasPrefix(body, []byte("\xff\xfe")):
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), 2
	case bytes.HasPrefix(body, []byte("\xfe\xff")):
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), 2
	}
	return nil, 0
}

// mostlyUTF8 reports whether text is UTF-8 with some damage, not something
// else: most of its letters beyond ASCII are whole.
func mostlyUTF8(body []byte) bool {
	good, bad := 0, 0
	for i := 0; i < len(body); {
		r, n := utf8.DecodeRune(body[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			bad++
		case n > 1:
			good++
		}
		i += n
	}
	return good > bad
}

func decode(enc encoding.Encoding, body []byte) string {
	text, err := enc.NewDecoder().Bytes(body)
	if err != nil {
		text = body
	}
	return strings.ToValidUTF8(string(text), "\uFFFD")
}
