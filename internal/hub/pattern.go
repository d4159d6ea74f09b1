package hub

import "strings"

// A Filter picks files by patterns, as the Python client does: * matches
// anything, / too; ? one character; [a-z] one of a set and [!a-z] one outside.
// A pattern that ends with / means all in that folder. Case matters.
type Filter struct {
	Allow  []string // one must match; all do if there are none
	Ignore []string // none may match
}

// Match reports whether the filter lets a path pass.
func (f Filter) Match(path string) bool {
	return (len(f.Allow) == 0 || matchAny(f.Allow, path)) && !matchAny(f.Ignore, path)
}

func matchAny(patterns []string, path string) bool {
	path = strings.ReplaceAll(path, `\`, "/")
	for _, p := range patterns {
		p = strings.ReplaceAll(p, `\`, "/")
		if strings.HasSuffix(p, "/") {
			p += "*"
		}
		if matchPattern([]rune(p), []rune(path)) {
			return true
		}
	}
	return false
}

// matchPattern goes back to the last * only, since a later one can take
// whatever an earlier one could: its time is at most the product of the lengths.
func matchPattern(p, s []rune) bool {
	i, j := 0, 0         // in p and s
	star, taken := -1, 0 // behind the last *, and what it has taken up to
	for j < len(s) || i < len(p) {
		if i < len(p) && p[i] == '*' {
			i++
			star, taken = i, j
			continue
		}
		if i < len(p) && j < len(s) {
			if width, ok := matchOne(p[i:], s[j]); ok {
				i, j = i+width, j+1
				continue
			}
		}
		if star < 0 || taken >= len(s) {
			return false
		}
		taken++
		i, j = star, taken
	}
	return true
}

// matchOne matches one character with the beginning of a pattern, and returns
// how long that is.
func matchOne(p []rune, c rune) (width int, ok bool) {
	switch p[0] {
	case '?':
		return 1, true
	case '[':
		if end := setEnd(p); end > 0 {
			return end + 1, inSet(p[1:end], c)
		}
	}
	return 1, p[0] == c
}

// setEnd is where the ] of a set is, 0 if there is none: then [ is itself.
func setEnd(p []rune) int {
	i := 1
	if i < len(p) && p[i] == '!' {
		i++
	}
	if i < len(p) && p[i] == ']' {
		i++
	}
	for ; i < len(p); i++ {
		if p[i] == ']' {
			return i
		}
	}
	return 0
}

func inSet(set []rune, c rune) bool {
	not := len(set) > 0 && set[0] == '!'
	if not {
		set = set[1:]
	}
	for len(set) > 0 {
		if len(set) > 2 && set[1] == '-' {
			if set[0] <= c && c <= set[2] {
				return !not
			}
			set = set[3:]
			continue
		}
		if set[0] == c {
			return !not
		}
		set = set[1:]
	}
	return not
}
