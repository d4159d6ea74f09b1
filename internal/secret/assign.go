package secret

import (
	"slices"
	"strings"
)

// Limits of a quoted value that counts as a key.
const (
	leastValue = 12
	mostValue  = 500
)

// keyNames end the names of what holds a secret, in small letters without
// dashes and underscores.
var keyNames = []string{"password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "secretkey", "privatekey", "authkey", "accountkey", "credential", "credentials"}

// harmlessNames are parts of names that end like those and hold none.
var harmlessNames = []string{"page", "next", "continu", "special", "csrf", "sync", "resume"}

// assigned judges the value behind the sign at i, ":" or "=", in a text such as
// "password": "…" or api_key='…'. Begin and end are those of the value.
func assigned(text string, i int, final bool) (begin, end int, found outcome) {
	name := nameBefore(text, i)
	if name == "" {
		return 0, 0, no
	}
	j := i + 1
	for j < len(text) && j < i+8 && (text[j] == ' ' || text[j] == '=' && j == i+1) {
		j++
	}
	slashes := j
	for j < len(text) && text[j] == '\\' && j < slashes+4 {
		j++
	}
	if j == len(text) {
		return j, j, no // there is no value yet; the name stays in sight
	}
	if text[j] != '"' && text[j] != '\'' {
		if slashes == i+1 && text[i] == '=' && isVariable(text, i) {
			if begin, end, found = plainValue(text, name, slashes, final); found != no {
				return begin, end, found
			}
		}
		return cloudKey(text, name, slashes, final)
	}
	begin = j + 1
	end = valueEnd(text, begin, text[j])
	switch {
	case end == len(text) && !final && end-begin <= mostValue:
		return begin, end, more
	case end == len(text) && final && end-begin < leastValue, end < len(text) && text[end] != text[j] && text[end] != '\\':
		return 0, 0, no
	case !random(text[begin:end], name):
		return 0, 0, no
	}
	return begin, end, yes
}

// valueEnd is where a quoted value ends: at its quote, or at what a key does
// not hold.
func valueEnd(text string, i int, quote byte) int {
	for i < len(text) && text[i] != quote && text[i] != '\\' && text[i] > ' ' && text[i] < 0x7f {
		i++
	}
	return i
}

// nameBefore is the name before the sign at i, as keyNames has them, "" if it
// is none of a secret.
func nameBefore(text string, i int) string {
	for n := 0; i > 0 && n < 4 && strings.IndexByte(" \"'\\", text[i-1]) >= 0; n++ {
		i--
	}
	end := i
	for i > 0 && end-i < 60 && classes[text[i-1]]&(isLetter|isCapital|isDigit|isDash) != 0 {
		i--
	}
	if end-i < 5 || !mayEnd(text[end-1]) {
		return ""
	}
	var buf [60]byte // no allocation: there are many signs in a text
	n := 0
	for ; i < end; i++ {
		if c := text[i]; classes[c]&isCapital != 0 {
			buf[n] = c + 'a' - 'A'
			n++
		} else if classes[c]&isDash == 0 {
			buf[n] = c
			n++
		}
	}
	if !endsInKey(buf[:n]) {
		return ""
	}
	name := string(buf[:n])
	if slices.ContainsFunc(harmlessNames, func(s string) bool { return strings.Contains(name, s) }) {
		return ""
	}
	return name
}

func endsInKey(name []byte) bool {
	for _, k := range keyNames {
		if len(name) >= len(k) && string(name[len(name)-len(k):]) == k {
			return true
		}
	}
	return false
}

// mayEnd reports whether some keyName ends so.
func mayEnd(c byte) bool { return strings.IndexByte("deyntslDEYNTSL", c) >= 0 }

// isVariable reports whether the name that ends at i is one of the environment:
// capitals with underscores.
func isVariable(text string, i int) bool {
	begin := i
	for begin > 0 && (classes[text[begin-1]]&(isCapital|isDigit) != 0 || text[begin-1] == '_') {
		begin--
	}
	return boundary(text, begin) && strings.Contains(text[begin:i], "_")
}

// leastPlain is the length of a value without quotes that counts as a key.
const leastPlain = 16

// plainValue judges what stands behind a variable without quotes, as in a shell
// or in .env: WANDB_API_KEY=….
func plainValue(text, name string, begin int, final bool) (int, int, outcome) {
	end := run(text, begin, isLetter|isCapital|isDigit|isDash|isDot|isBase64)
	switch {
	case end == len(text) && !final && end-begin <= mostValue:
		return begin, end, more
	case end-begin < leastPlain || end < len(text) && strings.IndexByte("([{<$`:", text[end]) >= 0 || !random(text[begin:end], name):
		return 0, 0, no
	}
	return begin, end, yes
}

// cloudKey judges a value without quotes, which is a key only of AWS and Azure,
// whose keys have no other mark.
func cloudKey(text, name string, begin int, final bool) (int, int, outcome) {
	if !strings.HasSuffix(name, "secretaccesskey") && !strings.HasSuffix(name, "accountkey") {
		return 0, 0, no
	}
	end := run(text, begin, isLetter|isCapital|isDigit|isBase64)
	switch {
	case end == len(text) && !final && end-begin <= mostValue:
		return begin, end, more
	case end-begin < 40 || end-begin > 100 || turns(text[begin:end]) < 8:
		return 0, 0, no
	}
	return begin, end, yes
}

// random reports whether a value looks like a key: not like a word, a name, a
// path, a place to fill in, or a token that language models read. What is called
// a token may be a hash or a uuid, and no secret; so may what is short.
func random(value, name string) bool {
	if len(value) < leastValue || len(value) > mostValue || strings.ContainsAny(value, "<>{}[]()|$`,;") || strings.Contains(value, "://") || strings.HasPrefix(value, "%") {
		return false
	}
	if strings.HasPrefix(value, "/") || strings.HasPrefix(value, "./") || strings.HasPrefix(value, "~") || repeats(value) {
		return false
	}
	if isHex(strings.ReplaceAll(value, "-", "")) && (strings.HasSuffix(name, "token") || len(value) < 32) {
		return false
	}
	letters := strings.ContainsFunc(value, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' })
	if !letters || !hasDigit(value) {
		return false
	}
	return turns(strings.Map(noDash, value)) >= 4 && !numbered(value)
}

func noDash(r rune) rune {
	if strings.ContainsRune("-_./: ", r) {
		return -1
	}
	return r
}

// repeats reports whether a value is one byte again and again, for most of it.
func repeats(value string) bool {
	for i := range min(3, len(value)) {
		if strings.Count(value, value[i:i+1])*2 > len(value) {
			return true
		}
	}
	return false
}

// numbered reports whether all parts of a value are words, numbers, or words
// with a number behind them, as in a name: my-model-v2.1-7b-token4.
func numbered(value string) bool {
	for part := range strings.FieldsFuncSeq(value, func(r rune) bool { return noDash(r) < 0 }) {
		if turns(part) > 2 || turns(part) == 2 && len(part) > 8 {
			return false
		}
	}
	return true
}
