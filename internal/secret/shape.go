package secret

import "strings"

// An outcome says whether a key stands at a place of a text.
type outcome int

const (
	no   outcome = iota
	yes          // to the end that comes with it
	more         // the text ends too early to tell
)

// A shape is a key by what it begins with, and what follows.
type shape struct {
	mark string
	body string // the characters that follow: one of the sets below
	min  int    // of them
	most int    // of them; 0 for any number
	test func(body string) bool
}

// Sets of characters.
const (
	alnum  = "a"   // letters and digits
	dashed = "a-"  // and dashes and underscores
	upper  = "A"   // capitals and digits
	dotted = "a-." // what tokens of OAuth have
)

// shapes are the keys of providers, by the byte of their mark that is rare in
// texts, its last, which is looked for.
var shapes = map[byte][]shape{
	'_': {
		{"hf_", alnum, 30, 0, nil},
		{"api_org_", alnum, 30, 0, nil},
		{"ghp_", alnum, 30, 0, nil},
		{"gho_", alnum, 30, 0, nil},
		{"ghu_", alnum, 30, 0, nil},
		{"ghs_", alnum, 30, 0, nil},
		{"ghr_", alnum, 30, 0, nil},
		{"github_pat_", dashed, 30, 0, hasDigit},
		{"npm_", alnum, 36, 36, nil},
		{"gsk_", alnum, 40, 0, hasDigit},
		{"r8_", alnum, 36, 0, hasDigit},
		{"wandb_v1_", dashed, 40, 0, hasDigit},
		{"tgp_v1_", dashed, 40, 0, hasDigit},
		{"lsv2_pt_", dashed, 40, 0, hasDigit},
		{"lsv2_sk_", dashed, 40, 0, hasDigit},
		{"sk_live_", alnum, 20, 0, hasDigit},
		{"rk_live_", alnum, 20, 0, hasDigit},
		{"dop_v1_", alnum, 64, 64, nil},
	},
	'-': {
		{"sk-", dashed, 20, 0, isProviderKey},
		{"glpat-", dashed, 20, 0, hasDigit},
		{"GOCSPX-", dashed, 20, 0, nil},
		{"xoxa-", dashed, 10, 0, hasDigit},
		{"xoxb-", dashed, 10, 0, hasDigit},
		{"xoxp-", dashed, 10, 0, hasDigit},
		{"xoxr-", dashed, 10, 0, hasDigit},
		{"xoxs-", dashed, 10, 0, hasDigit},
		{"xoxe-", dashed, 10, 0, hasDigit},
		{"xapp-", dashed, 20, 0, hasDigit},
		{"nvapi-", dashed, 60, 0, hasDigit},
		{"xai-", alnum, 70, 0, hasDigit},
		{"pplx-", alnum, 40, 0, hasDigit},
		{"csk-", alnum, 40, 0, hasDigit},
	},
	'g': {{"pypi-Ag", dashed, 38, 0, nil}},
	'A': {
		{"AKIA", upper, 16, 16, nil},
		{"ASIA", upper, 16, 16, hasDigit},
	},
	'z': {{"AIz", dashed, 36, 36, func(s string) bool { return s[0] == 'a' }}},
	'9': {{"ya29", dotted, 20, 0, hasDigit}},
}

// class is the set that a byte belongs to, as bits.
type class uint8

const (
	isLetter class = 1 << iota // small
	isCapital
	isDigit
	isDash   // - _
	isDot    // .
	isBase64 // + / =
)

var classes = makeClasses()

func makeClasses() (t [256]class) {
	for c := range 256 {
		switch b := byte(c); {
		case b >= 'a' && b <= 'z':
			t[c] = isLetter
		case b >= 'A' && b <= 'Z':
			t[c] = isCapital
		case b >= '0' && b <= '9':
			t[c] = isDigit
		case b == '-' || b == '_':
			t[c] = isDash
		case b == '.':
			t[c] = isDot
		case b == '+' || b == '/' || b == '=':
			t[c] = isBase64
		}
	}
	return t
}

func setOf(body string) class {
	switch body {
	case alnum:
		return isLetter | isCapital | isDigit
	case upper:
		return isCapital | isDigit
	case dotted:
		return isLetter | isCapital | isDigit | isDash | isDot
	}
	return isLetter | isCapital | isDigit | isDash
}

// run is where the bytes of a set end that begin at i.
func run(text string, i int, set class) int {
	for i < len(text) && classes[text[i]]&set != 0 {
		i++
	}
	return i
}

// at judges the shape whose mark begins at start. A text that is not final may
// go on.
func (s shape) at(text string, start int, final bool) (end int, found outcome) {
	if !boundary(text, start) {
		return 0, no
	}
	set := setOf(s.body)
	begin := start + len(s.mark)
	end = run(text, begin, set)
	if end == len(text) && !final {
		return end, more
	}
	n := end - begin
	if n < s.min || s.most > 0 && n > s.most || s.test != nil && !s.test(text[begin:end]) {
		return 0, no
	}
	return end, yes
}

// boundary reports whether a key may begin at i: behind nothing that a word
// holds, or behind an escape of JSON or of an address.
func boundary(text string, i int) bool {
	if i == 0 || classes[text[i-1]]&(isLetter|isCapital|isDigit|isDash) == 0 {
		return true
	}
	switch {
	case i >= 2 && text[i-2] == '\\' && strings.IndexByte("nrtbf", text[i-1]) >= 0:
		return true
	case i >= 6 && text[i-6:i-4] == `\u` && isHex(text[i-4:i]):
		return true
	}
	return i >= 3 && text[i-3] == '%' && isHex(text[i-2:i])
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdefABCDEF") == "" }

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }

// isProviderKey tells what follows sk- in a key from words with dashes.
func isProviderKey(body string) bool {
	for _, prefix := range []string{"ant-", "proj-", "or-", "svcacct-", "admin-", "lf-"} {
		if rest, ok := strings.CutPrefix(body, prefix); ok && len(rest) >= 16 && hasDigit(rest) {
			return !allWords(rest)
		}
	}
	return !allWords(body)
}

// allWords reports whether no part of a text between signs is long and has
// digits among its letters, as every random text has.
func allWords(body string) bool {
	for part := range strings.FieldsFuncSeq(body, func(r rune) bool { return noDash(r) < 0 }) {
		if n := turns(part); hasDigit(part) && (len(part) >= 12 && n >= 3 || len(part) >= 16 && n >= 1) {
			return false
		}
	}
	return true
}

// turns counts where a text goes from small letters to capitals, to digits or
// to signs: names do it seldom, random texts every other byte.
func turns(s string) int {
	n := 0
	for i := 1; i < len(s); i++ {
		if classes[s[i]] != classes[s[i-1]] {
			n++
		}
	}
	return n
}
