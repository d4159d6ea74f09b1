package rows

import (
	"regexp"
	"strings"
)

const maxPattern = 1000

// glob compiles a pattern of file names: * and ? stay in their folder, ** does
// not. The Go engine takes time in proportion to the name, whatever the pattern.
func glob(pattern string) (*regexp.Regexp, error) {
	pattern = strings.TrimPrefix(pattern, "./")
	if len(pattern) > maxPattern {
		return nil, invalidLayout("a pattern of data_files is longer than %d characters", maxPattern)
	}
	var b strings.Builder
	b.WriteString(`^`)
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case strings.HasPrefix(pattern[i:], "**/"):
			b.WriteString(`(?:.*/)?`)
			i += 2
		case strings.HasPrefix(pattern[i:], "**"):
			b.WriteString(`.*`)
			i++
		case c == '*':
			b.WriteString(`[^/]*`)
		case c == '?':
			b.WriteString(`[^/]`)
		case c == '[':
			n := classLength(pattern[i:])
			b.WriteString(class(pattern[i : i+n]))
			i += n - 1
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	re, err := regexp.Compile("(?s)" + b.String() + `$`)
	if err != nil {
		return nil, invalidLayout("the pattern %q of data_files cannot be read", pattern)
	}
	return re, nil
}

// classLength is how long the class is that a pattern begins with, 1 if there
// is none.
func classLength(p string) int {
	from := 1
	if strings.HasPrefix(p[1:], "!") || strings.HasPrefix(p[1:], "^") {
		from++
	}
	if strings.HasPrefix(p[from:], "]") {
		from++
	}
	end := strings.IndexByte(p[from:], ']')
	if end < 0 {
		return 1
	}
	return from + end + 1
}

func class(c string) string {
	if len(c) < 3 {
		return regexp.QuoteMeta(c)
	}
	inner, not := c[1:len(c)-1], ""
	if inner[0] == '!' || inner[0] == '^' {
		inner, not = inner[1:], "^"
	}
	return "[" + not + strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `^`, `\^`).Replace(inner) + "]"
}
