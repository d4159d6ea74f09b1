package secret

import (
	"strings"
	"unicode/utf8"
)

// A Found is a secret in a text: where it stands, and what it looks like.
type Found struct {
	Begin, End int
	Kind       string
}

// Find lists the secrets of a text, in order and apart. Beside what Text takes
// out there are values that line ends, spaces, quotes, signs of joining or
// colors of a terminal cut into pieces, and what closely finds: for what leaves this
// machine for good.
func (r *Redactor) Find(text string) []Found {
	spans, _ := r.scan(text, 0, true)
	spans = append(spans, closely(text)...)
	known, _ := r.values.scan(text, 0, true, nil)
	known = append(known, r.pieces.cut(text)...)
	spans = merge(append(spans, known...), 0)
	found := make([]Found, len(spans))
	for i, s := range spans {
		found[i] = Found{s.begin, s.end, kindOf(text[s.begin:s.end])}
		for _, k := range known {
			if k.begin < s.end && k.end > s.begin {
				found[i].Kind = KnownValue
			}
		}
	}
	return found
}

// KnownValue is the kind of the values that the Redactor was given.
const KnownValue = "key that this program knows"

// kinds are what keys look like, by what they begin with.
var kinds = [][2]string{
	{"hf_", "Hugging Face token"},
	{"api_org_", "Hugging Face token"},
	{"gh", "GitHub token"},
	{"glpat-", "GitLab token"},
	{"npm_", "token of a package registry"},
	{"pypi-", "token of a package registry"},
	{"sk-", "key of a model's provider"},
	{"AKIA", "AWS key"},
	{"ASIA", "AWS key"},
	{"GOCSPX-", "Google key"},
	{"AIz", "Google key"},
	{"ya29", "Google key"},
	{"xox", "Slack token"},
	{"xapp-", "Slack token"},
	{"gsk_", "key of a model's provider"},
	{"r8_", "key of a model's provider"},
	{"xai-", "key of a model's provider"},
	{"pplx-", "key of a model's provider"},
	{"csk-", "key of a model's provider"},
	{"tgp_v1_", "key of a model's provider"},
	{"nvapi-", "key of a model's provider"},
	{"eyJ", "web token (JWT)"},
	{pemBegin, "private key"},
}

func kindOf(secret string) string {
	for _, k := range kinds {
		if strings.HasPrefix(secret, k[0]) {
			return k[1]
		}
	}
	return "password or key by its name"
}

// squeezed is what finds the values in texts from which all that may cut them
// was taken.
func (e *exact) squeezed() exact {
	out := exact{}
	known := map[string]bool{}
	for _, list := range e.byStart {
		for _, form := range list {
			text, _ := squeeze(form)
			if len(text) >= minValue && !known[string(text)] {
				known[string(text)] = true
				out.add(string(text))
			}
		}
	}
	return out
}

// cut finds values that something cuts into pieces.
func (e *exact) cut(text string) []span {
	if e.longest == 0 {
		return nil
	}
	squeezed, at := squeeze(text)
	spans, _ := e.scan(string(squeezed), 0, true, nil)
	for i, s := range spans {
		spans[i] = span{at[s.begin], at[s.end-1] + 1}
	}
	return spans
}

// squeeze takes out of a text what may stand between the pieces of a value, and
// says where each byte that is left stood.
func squeeze(text string) (out []byte, at []int) {
	out, at = make([]byte, 0, len(text)), make([]int, 0, len(text))
	for i := 0; i < len(text); {
		if n := between(text[i:]); n > 0 {
			i += n
			continue
		}
		out, at = append(out, text[i]), append(at, i)
		i++
	}
	return out, at
}

// between is how many bytes at the beginning of a text are no part of a value.
func between(text string) int {
	switch c := text[0]; {
	case c == 0x1b:
		return escape(text)
	case strings.HasPrefix(text, `\u001b[`), strings.HasPrefix(text, `\u001B[`):
		return 5 + escape("\x1b"+text[6:])
	case c == '\\' && len(text) > 1 && strings.IndexByte("nrt", text[1]) >= 0: // a line end in JSON
		return 2
	case c <= ' ', strings.IndexByte("\"'`+\\,[](){}|<>;", c) >= 0:
		return 1
	case c == 0xc2 || c == 0xe2 || c == 0xef: // a space that does not break, or has no width
		r, n := utf8.DecodeRuneInString(text)
		if strings.ContainsRune("\u00a0\u00ad\u200b\u200c\u200d\u2028\u2029\u2060\ufeff", r) {
			return n
		}
	}
	return 0
}

// escape is the length of a sequence that gives a terminal orders.
func escape(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 1
	}
	for i := 2; i < len(text) && i < 40; i++ {
		if text[i] >= '@' && text[i] <= '~' {
			return i + 1
		}
	}
	return 1
}
