package gitstore

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// AttributesFile is where git looks which files are large.
const AttributesFile = ".gitattributes"

// largeSuffixes are kept as large files from the start, as on the Hub.
const largeSuffixes = `7z arrow avro bin bz2 ckpt ftz gguf gz h5 joblib lz4 mds mlmodel model msgpack npy npz onnx ot
parquet pb pickle pkl pt pth rar safetensors tar tflite tgz wasm xz zip zst`

// DefaultAttributes is the .gitattributes of a new repository.
func DefaultAttributes() []byte {
	var b strings.Builder
	for suffix := range strings.FieldsSeq(largeSuffixes) {
		b.WriteString(largeLine("*." + suffix))
	}
	b.WriteString("saved_model/**/* filter=lfs diff=lfs merge=lfs -text\n")
	b.WriteString(largeLine("*.tar.*"))
	b.WriteString(largeLine("*tfevents*"))
	return []byte(b.String())
}

func largeLine(pattern string) string { return pattern + " filter=lfs diff=lfs merge=lfs -text\n" }

// literal is the pattern that matches one path and no other.
func literal(path string) string {
	path = strings.NewReplacer(" ", "[[:space:]]", "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
	return "/" + path // also keeps a first # ! or " from having a meaning
}

// isBlank is what git takes for white space between fields.
func isBlank(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' }

// A rule is one pattern of a .gitattributes or .gitignore.
type rule struct {
	match   *regexp.Regexp
	path    string // what alone it matches, if match is nil
	suffix  string // or what everything that it matches ends with, if not ""
	yes     bool
	dirOnly bool
}

func (r rule) matches(path string) bool {
	if r.suffix != "" {
		return strings.HasSuffix(path, r.suffix)
	}
	if r.match == nil {
		return path == r.path
	}
	return r.match.MatchString(path)
}

// What is read of a file of patterns: an expression takes a hundred times the
// memory of its text, and the text comes from outside. Lines that name one
// path, which this store itself writes, take none.
const (
	maxPattern  = 4096 // bytes; a longer one matches nothing
	maxPatterns = 5000 // expressions; the lines after them do not count
)

// A ruler makes rules, so many.
type ruler struct{ expressions int }

func (m *ruler) rule(pattern string) (rule, bool) {
	if path, one := onePath(pattern); one {
		return rule{path: path}, true
	}
	if m.expressions++; m.expressions > maxPatterns {
		return rule{}, false
	}
	if len(pattern) > maxPattern {
		return rule{}, true // no path is ""
	}
	if suffix, ok := anySuffix(pattern); ok {
		return rule{suffix: suffix}, true
	}
	return rule{match: compile(pattern)}, true
}

// anySuffix is what the paths end with that a pattern such as *.bin is for.
func anySuffix(pattern string) (string, bool) {
	suffix, ok := strings.CutPrefix(pattern, "*")
	return suffix, ok && suffix != "" && utf8.ValidString(suffix) && !strings.ContainsAny(suffix, `/*?[\`)
}

// onePath is the path that a pattern is for, if it is for one only.
func onePath(pattern string) (string, bool) {
	path, anchored := strings.CutPrefix(pattern, "/")
	path = strings.ReplaceAll(path, "[[:space:]]", " ")
	return path, anchored && !strings.ContainsAny(path, `*?[\`)
}

// Attributes are the lines of a .gitattributes that say which files are large.
type Attributes struct{ rules []rule }

// ParseAttributes reads a .gitattributes.
func ParseAttributes(text []byte) Attributes {
	var a Attributes
	var m ruler
	for line := range strings.Lines(string(text)) {
		fields := strings.FieldsFunc(line, isBlank)
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") || strings.HasPrefix(fields[0], "[attr]") {
			continue
		}
		filter := slices.IndexFunc(fields[1:], func(f string) bool {
			return strings.HasPrefix(f, "filter=") || f == "-filter" || f == "!filter"
		})
		if filter < 0 {
			continue
		}
		if r, ok := m.rule(fields[0]); ok {
			r.yes = fields[1+filter] == "filter=lfs"
			a.rules = append(a.rules, r)
		}
	}
	return a
}

// Large reports whether git keeps the file at path as a large one.
func (a Attributes) Large(path string) bool {
	large := false
	for _, r := range a.rules {
		if r.matches(path) {
			large = r.yes
		}
	}
	return large
}

// Ignore are the lines of a .gitignore.
type Ignore struct{ rules []rule }

// ParseIgnore reads a .gitignore.
func ParseIgnore(text []byte) Ignore {
	var ig Ignore
	var m ruler
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		if !strings.HasSuffix(line, `\ `) {
			line = strings.TrimRight(line, " \t")
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		line, not := strings.CutPrefix(line, "!")
		line, dir := strings.CutSuffix(line, "/")
		if r, ok := m.rule(line); ok {
			r.yes, r.dirOnly = !not, dir
			ig.rules = append(ig.rules, r)
		}
	}
	return ig
}

// Match reports whether the file at path is to be left out: it, or a folder
// that it is in.
func (ig Ignore) Match(file string) bool {
	for i, c := range file {
		if c == '/' && ig.last(file[:i], true) {
			return true
		}
	}
	return ig.last(file, false)
}

func (ig Ignore) last(path string, dir bool) bool {
	out := false
	for _, r := range ig.rules {
		if (dir || !r.dirOnly) && r.matches(path) {
			out = r.yes
		}
	}
	return out
}

// compile makes a regular expression of a git pattern. One without a slash
// matches the last part of a path, one with a slash the whole path.
func compile(pattern string) *regexp.Regexp {
	anchored := strings.Contains(pattern, "/")
	pattern = strings.TrimPrefix(pattern, "/")
	var b strings.Builder
	b.WriteString("^")
	if !anchored {
		b.WriteString("(?:.*/)?")
	}
	for i := 0; i < len(pattern); {
		n, expr := token(pattern[i:], i == 0 || pattern[i-1] == '/')
		b.WriteString(expr)
		i += n
	}
	b.WriteString("$")
	re, err := regexp.Compile("(?s)" + b.String())
	if err != nil { // such as [z-a], or bytes that are not UTF-8: it matches nothing
		return regexp.MustCompile(`[^\s\S]`)
	}
	return re
}

// token translates the first sign of a pattern, and says how long it is.
func token(p string, atStart bool) (int, string) {
	switch {
	case atStart && strings.HasPrefix(p, "**/"):
		return 3, "(?:.*/)?"
	case atStart && p == "**":
		return 2, ".*"
	case p[0] == '*':
		return len(p) - len(strings.TrimLeft(p, "*")), "[^/]*"
	case p[0] == '?':
		return 1, "[^/]"
	case p[0] == '\\' && len(p) > 1:
		_, n := utf8.DecodeRuneInString(p[1:])
		return 1 + n, regexp.QuoteMeta(p[1 : 1+n])
	case p[0] == '[':
		if n := classEnd(p); n > 0 {
			class := strings.ReplaceAll(p[1:n-1], `\`, `\\`)
			if rest, not := strings.CutPrefix(class, "!"); not {
				class = "^/" + rest
			}
			return n, "[" + class + "]"
		}
	}
	_, n := utf8.DecodeRuneInString(p)
	return n, regexp.QuoteMeta(p[:n])
}

// classEnd is the length of the [...] that p begins with, 0 if it never ends.
func classEnd(p string) int {
	first := 1 // a ] there is one of the signs
	if strings.HasPrefix(p, "[!") {
		first = 2
	}
	for i := first; i < len(p); i++ {
		if strings.HasPrefix(p[i:], "[:") {
			if end := strings.Index(p[i:], ":]"); end > 0 {
				i += end + 1
				continue
			}
		}
		if p[i] == ']' && i > first {
			return i + 1
		}
	}
	return 0
}
