package secret

import "strings"

// webToken judges the JSON web token that begins at start with eyJ: three parts
// between dots, the first two of which are objects of JSON.
func webToken(text string, start int, final bool) (end int, found outcome) {
	if !boundary(text, start) {
		return 0, no
	}
	const set = isLetter | isCapital | isDigit | isDash
	i := start
	for part := range 3 {
		begin := i
		i = run(text, i, set)
		switch {
		case part < 2 && i > begin+2 && !strings.HasPrefix(text[begin:], "eyJ"):
			return 0, no
		case i == len(text) && !final:
			return i, more
		case i-begin < 10:
			return 0, no
		case part == 2:
			return i, yes
		case i == len(text) || text[i] != '.':
			return 0, no
		}
		i++
	}
	return 0, no
}

// bearer judges what stands behind the space at i, if the word before it is
// bearer. Begin is behind the space.
func bearer(text string, i int, final bool) (begin, end int, found outcome) {
	if i < 6 || !strings.EqualFold(text[i-6:i], "bearer") {
		return 0, 0, no
	}
	begin = i + 1
	end = run(text, begin, isLetter|isCapital|isDigit|isDash|isDot|isBase64)
	for end < len(text) && text[end] == '~' {
		end = run(text, end+1, isLetter|isCapital|isDigit|isDash|isDot|isBase64)
	}
	if end == len(text) && !final {
		return begin, end, more
	}
	if value := text[begin:end]; len(value) < 20 || allWords(value) {
		return 0, 0, no
	}
	return begin, end, yes
}
