package markup

import (
	"fmt"
	"reflect"
	"strings"
)

// escape makes what is shown harmless where it stands.
func escape(v reflect.Value, at place) (string, error) {
	v = under(v)
	text := ""
	switch {
	case !v.IsValid():
	case v.Kind() == reflect.String:
		text = v.String()
	default:
		text = fmt.Sprint(v.Interface())
	}
	var typ reflect.Type
	if v.IsValid() {
		typ = v.Type()
	}
	switch {
	case at.in == style:
		if typ != reflect.TypeFor[CSS]() {
			return "", fmt.Errorf("a style sheet can show a CSS alone, and not a %v", typ)
		}
		return text, nil
	case at.in == between && typ == reflect.TypeFor[HTML]():
		return text, nil
	case at.in == address:
		return quoted(fit(text, at.part, typ == reflect.TypeFor[URL]())), nil
	}
	return quoted(text), nil
}

func quoted(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "+", "&#43;", "\x00", "\ufffd").Replace(text)
}

// fit makes text a part of an address. At its start no scheme but those of the
// web may stand; what html/template says of others is said here too.
func fit(text string, at part, trusted bool) string {
	if scheme, _, found := strings.Cut(text, ":"); at == start && !trusted && found && !strings.Contains(scheme, "/") {
		switch strings.ToLower(scheme) {
		case "http", "https", "mailto":
		default:
			text = "#ZgotmplZ"
		}
	}
	keep := "-._~"
	if at != query || trusted {
		keep += "!#$&*+,/:;=?@[]"
	}
	var out strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte(keep, c) >= 0,
			c == '%' && (at != query || trusted) && i+2 < len(text) && hex(text[i+1]) && hex(text[i+2]):
			out.WriteByte(c)
		default:
			fmt.Fprintf(&out, "%%%02x", c)
		}
	}
	return out.String()
}

func hex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }
