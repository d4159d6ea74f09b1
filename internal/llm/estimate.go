package llm

import "unicode/utf8"

// EstimateTokens says about how many tokens a text is, without a tokenizer, in
// one pass and without allocation. It follows what byte-pair tokenizers have
// in common: a word takes its leading space along, long words and digits come
// in pieces, a run of blanks is cheap. TestEstimateTokens states the error
// against real tokenizers: small vocabularies take half as much again, and two to
// four times as much outside English. Budgets need a margin beside it.
func EstimateTokens(text string) int {
	quarters := 0 // of a token
	for i := 0; i < len(text); {
		start, class := i, classOf(text[i])
		if class == other {
			r, size := utf8.DecodeRuneInString(text[i:])
			quarters += runeQuarters(r)
			i += size
			continue
		}
		for i++; i < len(text) && classOf(text[i]) == class; i++ {
		}
		n := i - start
		if class == upper && i < len(text) && classOf(text[i]) == lower {
			// The last capital begins the next word.
			n--
			for start, i = i-1, i+1; i < len(text) && classOf(text[i]) == lower; i++ {
			}
			quarters += runQuarters(lower, i-start)
		}
		if n == 1 && i < len(text) {
			quarters += byteQuarters(class, classOf(text[i]))
		} else {
			quarters += runQuarters(class, n)
		}
	}
	return (quarters + 3) / 4
}

// The classes of bytes that tokenizers do not join.
const (
	blank   = 'b'
	newline = 'n'
	digit   = 'd'
	lower   = 'l'
	upper   = 'u'
	sign    = 's' // control characters too
	other   = 'o' // part of a rune beyond ASCII
)

// classes has the class of each byte: a look-up is three times as fast as
// comparisons.
const classes = "" +
	"sssssssssbnssnss" +
	"ssssssssssssssss" +
	"bsssssssssssssss" +
	"ddddddddddssssss" +
	"suuuuuuuuuuuuuuu" +
	"uuuuuuuuuuusssss" +
	"slllllllllllllll" +
	"lllllllllllsssss" +
	"oooooooooooooooo" +
	"oooooooooooooooo" +
	"oooooooooooooooo" +
	"oooooooooooooooo" +
	"oooooooooooooooo" +
	"oooooooooooooooo" +
	"oooooooooooooooo" +
	"oooooooooooooooo"

func classOf(c byte) byte { return classes[c] }

// byteQuarters is the price of a single byte of a class before another class:
// a word takes one blank or sign before it along, digits do not.
func byteQuarters(class, next byte) int {
	word := next == lower || next == upper
	switch {
	case class == blank && next != digit && next != newline:
		return 0
	case class == sign && word:
		return 2
	}
	return 4
}

// runQuarters is the price of n bytes of one class, in quarters of a token.
func runQuarters(class byte, n int) int {
	if n == 0 {
		return 0
	}
	switch class {
	case blank:
		return 4 + 4*(n/64)
	case newline:
		return 4 + 4*(n/16)
	case digit:
		return 4 * ((n + 2) / 3)
	case lower:
		if n <= 6 {
			return 4
		}
		return 4 + (n-6)*2/3
	case upper:
		return 4 * ((n + 2) / 3)
	}
	if n > 16 { // a ruler
		return 16 + 4*((n-16)/48)
	}
	return 4 * ((n + 3) / 4)
}

// runeQuarters is the price of a rune beyond ASCII, in quarters of a token.
func runeQuarters(r rune) int {
	switch {
	case r < 0x700: // Latin with marks, Greek, Cyrillic, Hebrew, Arabic
		return 1
	case r < 0x2000: // Indic to Khmer
		return 2
	case r >= 0x3040 && r < 0xA000, r >= 0xAC00 && r < 0xD800: // Chinese, Japanese, Korean
		return 3
	case r < 0x10000:
		return 4
	}
	return 8
}
