package fetch

import (
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

// Text says what the bytes mean, also where the declaration is wrong.
func TestText(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ kind, body, want string }{
		"UTF-8":                     {"text/plain; charset=utf-8", "héllo", "héllo"},
		"none":                      {"text/plain", "héllo", "héllo"},
		"mark":                      {"text/plain; charset=latin1", "\xef\xbb\xbfhéllo", "héllo"},
		"Latin 1":                   {"text/plain; charset=ISO-8859-1", "h\xe9llo", "héllo"},
		"said Latin 1, is UTF-8":    {"text/html; charset=iso-8859-1", "héllo", "héllo"},
		"said UTF-8, is Latin 1":    {"text/html; charset=utf-8", "h\xe9llo \x93x\x94", "héllo “x”"},
		"damaged UTF-8":             {"text/html; charset=utf-8", "héllo wörld h\xe9", "héllo wörld h\uFFFD"},
		"in the page":               {"text/html", "<meta charset=windows-1251><p>\xcf\xf0\xe8\xe2\xe5\xf2", "<meta charset=windows-1251><p>Привет"},
		"Japanese":                  {"text/html; charset=Shift_JIS", "\x93\xfa\x96\x7b", "日本"},
		"Japanese, seven bits":      {"text/html; charset=iso-2022-jp", "\x1b$BF|K\\\x1b(B", "日本"},
		"Chinese":                   {"text/html; charset=gbk", "\xd6\xd0\xce\xc4", "中文"},
		"UTF-16 with mark":          {"text/plain", "\xff\xfeh\x00\xe9\x00", "hé"},
		"UTF-16 of the other order": {"text/plain", "\xfe\xff\x00h\x00\xe9", "hé"},
		"UTF-16 declared":           {"text/plain; charset=utf-16le", "h\x00i\x00", "hi"},
		"unknown":                   {"text/plain; charset=martian", "h\xe9llo", "héllo"},
		"nothing":                   {"text/plain", "", ""},
	} {
		r := &Response{Header: http.Header{"Content-Type": {tt.kind}}, Body: []byte(tt.body)}
		r.describe()
		if got := r.Text(); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, label := range []string{"", "utf-8", "utf-16", "latin1", "gbk", "iso-2022-jp", "hz-gb-2312", "replacement", "x-user-defined"} {
		f.Add("text/html; charset="+label, []byte("h\xe9llo \x1b$B <meta charset=big5>"))
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		r := &Response{Header: http.Header{"Content-Type": {kind}}, Body: body}
		r.describe()
		if text := r.Text(); !utf8.ValidString(text) || len(body) == 0 && text != "" {
			t.Errorf("%q as %q is %q", body, kind, text)
		}
		if strings.ToLower(r.Charset) != r.Charset {
			t.Errorf("charset %q", r.Charset)
		}
	})
}
