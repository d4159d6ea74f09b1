package agent

import (
	"strconv"
	"strings"
)

// A masked text is a result without what differs between results that say the
// same: dates, times, durations, ids, processes and folders of the moment are
// gone; all other numbers are set apart, because how they change tells
// progress from standing still.
type masked struct {
	shape   string
	numbers []float64
}

// maxMasked bounds what is read of a text, in bytes. The length of a longer
// one is a number of it: a log that grows is progress.
const maxMasked = 2048

// mask reads the text once, word by word.
func mask(text string) masked {
	m := &masker{}
	if len(text) > maxMasked {
		m.numbers = append(m.numbers, float64(len(text)))
		text = text[:maxMasked/2] + " " + text[len(text)-maxMasked/2:]
	}
	m.shape.Grow(len(text))
	for i := 0; i < len(text); {
		end := i
		for end < len(text) && isWordByte(text[end]) {
			end++
		}
		if end == i {
			if text[i] != ' ' && text[i] != '\n' { // padding follows the width of numbers
				m.shape.WriteByte(text[i])
			}
			i++
			continue
		}
		m.word(text[i:end], text[end:])
		i = end
	}
	return masked{m.shape.String(), m.numbers}
}

// isWordByte holds for what words, numbers, times and paths are made of.
func isWordByte(c byte) bool {
	switch c {
	case '_', '-', '.', ':', '/', '+':
		return true
	}
	return isLetter(c) || isDigit(c) || c >= 0x80
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

type masker struct {
	shape   strings.Builder
	numbers []float64
	before  string // the word before this one
	skip    bool   // the next word is a unit of time
}

func (m *masker) word(w, rest string) {
	before := m.before
	m.before = strings.TrimRight(w, ":")
	switch {
	case m.skip:
		m.skip = false
	case w[0] == '/' && (strings.HasPrefix(w, "/tmp/") || strings.HasPrefix(w, "/var/tmp/") || strings.HasPrefix(w, "/proc/")):
		m.shape.WriteByte('#')
	case !hasDigit(w):
		m.shape.WriteString(w)
	case isMoment(w), isID(w), namesID(before):
		m.shape.WriteByte('#')
	case isDuration(w):
		m.shape.WriteByte('#')
	case isNumber(w) && isUnit(nextWord(rest)):
		m.shape.WriteByte('#')
		m.skip = true
	default:
		m.digits(w)
	}
}

// digits masks the numbers in a word and sets them apart.
func (m *masker) digits(w string) {
	for i := 0; i < len(w); {
		end := i
		for end < len(w) && (isDigit(w[end]) || w[end] == '.' && end > i && end+1 < len(w) && isDigit(w[end+1])) {
			end++
		}
		if end == i {
			m.shape.WriteByte(w[i])
			i++
			continue
		}
		m.shape.WriteByte('#')
		if v, err := strconv.ParseFloat(w[i:end], 64); err == nil {
			m.numbers = append(m.numbers, v)
		}
		i = end
	}
}

func hasDigit(w string) bool {
	for i := range len(w) {
		if isDigit(w[i]) {
			return true
		}
	}
	return false
}

// isMoment spots dates, times of day and seconds, or parts of them, since 1970.
func isMoment(w string) bool {
	w = strings.TrimRight(w, ".:")
	digits, colons, dashes, whole := 0, 0, 0, 0
	for i := range len(w) {
		switch c := w[i]; {
		case isDigit(c):
			digits++
			if whole == i {
				whole++
			}
		case c == ':':
			colons++
		case c == '-':
			dashes++
		case c != '.' && c != '+' && c != 'T' && c != 'Z':
			return false
		}
	}
	since1970 := (whole == 10 || whole == 13 || whole == 16 || whole == 19) && colons+dashes == 0 && w[0] == '1' && w[1] >= '6'
	return since1970 || digits >= 3 && isDigit(w[0]) && (colons > 0 || dashes >= 2)
}

// isID spots hexadecimal and random names: seven hexadecimal digits and more,
// or twelve letters and digits that change places at least three times. UUIDs
// are several of them.
func isID(w string) bool {
	if strings.HasPrefix(w, "0x") {
		return true
	}
	for part := range strings.FieldsFuncSeq(w, func(r rune) bool { return strings.ContainsRune("-_.:/+", r) }) {
		hex, letters, digits, changes := true, 0, 0, 0
		for i := range len(part) {
			c := part[i]
			if isDigit(c) {
				digits++
			} else {
				letters++
				hex = hex && c|0x20 >= 'a' && c|0x20 <= 'f'
			}
			if i > 0 && isDigit(c) != isDigit(part[i-1]) {
				changes++
			}
		}
		if letters > 0 && digits > 0 && (hex && len(part) >= 7 || len(part) >= 12 && changes >= 3) {
			return true
		}
	}
	return false
}

// namesID holds for words after which a number is only a name.
func namesID(w string) bool {
	switch strings.ToLower(w) {
	case "pid", "ppid", "process", "id", "request", "request_id", "port", "thread":
		return true
	}
	return false
}

func isNumber(w string) bool {
	_, err := strconv.ParseFloat(w, 64)
	return err == nil
}

func isDuration(w string) bool {
	w = strings.TrimRight(w, ".:")
	at := strings.LastIndexAny(w, "0123456789") + 1
	return at < len(w) && isUnit(w[at:]) && strings.Trim(w[:at], "0123456789.hm") == ""
}

func isUnit(w string) bool {
	switch strings.ToLower(w) {
	case "ns", "us", "µs", "ms", "s", "sec", "secs", "second", "seconds", "min", "mins", "minute", "minutes", "h", "hour", "hours":
		return true
	}
	return false
}

// nextWord is the word after at most one blank.
func nextWord(rest string) string {
	rest = strings.TrimPrefix(rest, " ")
	end := 0
	for end < len(rest) && isWordByte(rest[end]) {
		end++
	}
	return strings.TrimRight(rest[:end], ".:")
}
