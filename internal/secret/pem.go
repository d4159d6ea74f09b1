package secret

import "strings"

const (
	pemBegin = "-----BEGIN "
	pemMost  = 16 << 10 // bytes of a private key
)

// privateKey judges the private key whose first line begins at start. One
// whose end is missing is a key as far as it goes, if there is enough of it;
// its first line alone is none.
func privateKey(text string, start int, final bool) (end int, found outcome) {
	head := text[start:]
	if len(head) < len(pemBegin) {
		if !final && strings.HasPrefix(pemBegin, head) {
			return len(text), more
		}
		return 0, no
	}
	if !strings.HasPrefix(head, pemBegin) {
		return 0, no
	}
	i := start + len(pemBegin)
	for i < len(text) && i < start+60 && (text[i] == ' ' || classes[text[i]]&isCapital != 0) {
		i++
	}
	if i == len(text) && !final {
		return i, more
	}
	label := text[start+len(pemBegin) : i]
	rest := text[i:]
	if !strings.HasSuffix(label, "PRIVATE KEY") && !strings.HasSuffix(label, "PRIVATE KEY BLOCK") {
		return 0, no
	}
	if !strings.HasPrefix(rest, "-----") {
		if !final && strings.HasPrefix("-----", rest) {
			return len(text), more
		}
		return 0, no
	}
	return keyBody(text, i+5, "-----END "+label+"-----", final)
}

// keyBody finds the end of a private key whose first line ends at i.
func keyBody(text string, i int, last string, final bool) (end int, found outcome) {
	begin, letters := i, 0
	for i < len(text) && i-begin < pemMost {
		if strings.HasPrefix(text[i:], last) {
			if letters < 40 {
				return 0, no // a drawing of one
			}
			return i + len(last), yes
		}
		c := text[i]
		switch {
		case classes[c]&(isLetter|isCapital|isDigit|isBase64) != 0:
			letters++
		case strings.IndexByte(" \t\r\n\\\"',:-()", c) < 0: // line ends, escaped or not, and the lines of an encrypted one
			return brokenKey(i, letters)
		}
		i++
	}
	if i == len(text) && !final {
		return i, more
	}
	return brokenKey(i, letters)
}

func brokenKey(end, letters int) (int, outcome) {
	if letters < 200 {
		return 0, no
	}
	return end, yes
}
