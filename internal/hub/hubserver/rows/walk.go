package rows

import (
	"bytes"
	"encoding/json"
)

// members calls do for each member of an object, in order, and reports whether
// it was one. The text must be valid JSON; then it takes a tenth of the time
// that a decoder does.
func members(raw []byte, do func(name string, value json.RawMessage)) bool {
	return walk(raw, '{', func(key, value []byte) {
		name, _ := jsonText(key)
		do(name, value)
	})
}

// elements is how many elements a list has, -1 if it is none.
func elements(raw []byte) int {
	n := 0
	if !walk(raw, '[', func(_, _ []byte) { n++ }) {
		return -1
	}
	return n
}

// walk goes through an object or a list. The keys of a list are nil.
func walk(raw []byte, open byte, do func(key, value []byte)) bool {
	if len(raw) == 0 || raw[0] != open {
		return false
	}
	for i := skipBlanks(raw, 1); i < len(raw) && raw[i] != ']' && raw[i] != '}'; i = skipBlanks(raw, i) {
		var key []byte
		if open == '{' {
			end := valueEnd(raw, i)
			if raw[i] != '"' || end < 0 {
				return false
			}
			key = raw[i:end]
			i = skipBlanks(raw, end)
		}
		end := valueEnd(raw, i)
		if end <= i {
			return false
		}
		do(key, raw[i:end])
		i = end
	}
	return true
}

// skipBlanks passes over what stands between values.
func skipBlanks(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\t' || raw[i] == '\r' || raw[i] == ',' || raw[i] == ':') {
		i++
	}
	return i
}

// valueEnd is where the value ends that begins at i, -1 if nowhere.
func valueEnd(raw []byte, i int) int {
	if i >= len(raw) {
		return -1
	}
	switch raw[i] {
	case '"':
		return textEnd(raw, i)
	case '{', '[':
		depth := 0
		for i < len(raw) {
			switch raw[i] {
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			case '"':
				if i = textEnd(raw, i); i < 0 {
					return -1
				}
				continue
			}
			i++
		}
		return -1
	}
	if n := bytes.IndexAny(raw[i:], ",]} \n\r\t"); n >= 0 {
		return i + n
	}
	return len(raw)
}

// textEnd is where the text ends whose quote is at i, -1 if nowhere.
func textEnd(raw []byte, i int) int {
	for at := i + 1; at < len(raw); {
		n := bytes.IndexByte(raw[at:], '"')
		if n < 0 {
			return -1
		}
		at += n
		slashes := 0
		for raw[at-1-slashes] == '\\' {
			slashes++
		}
		at++
		if slashes%2 == 0 {
			return at
		}
	}
	return -1
}
