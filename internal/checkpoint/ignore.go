package checkpoint

import (
	"path"
	"slices"
	"strings"
)

// A pattern is a line of a .gitignore.
type pattern struct {
	parts   []string // of its path, "**" for any number of folders
	negated bool     // it takes back what lines above say
	folders bool     // it is about folders only
	plain   bool     // it has no wildcard
}

// An ignore is what the .gitignore files from the top of the repository down to
// a folder say. The one of a folder goes before those above.
type ignore struct {
	above    *ignore
	name     string // of the folder in the one above
	patterns []pattern
}

// in is what holds in a folder below that has no .gitignore of its own yet.
func (g *ignore) in(name string) *ignore { return &ignore{above: g, name: name} }

// add reads a .gitignore.
func (g *ignore) add(text string) {
	for line := range strings.Lines(text) {
		if p, ok := parsePattern(strings.TrimRight(line, "\r\n")); ok {
			g.patterns = append(g.patterns, p)
		}
	}
}

func parsePattern(line string) (pattern, bool) {
	line = trimSpaces(strings.TrimPrefix(line, "\ufeff"))
	if line == "" || line[0] == '#' {
		return pattern{}, false
	}
	p := pattern{}
	if line[0] == '!' {
		p.negated, line = true, line[1:]
	}
	if rest, ok := strings.CutSuffix(line, "/"); ok {
		p.folders, line = true, rest
	}
	anchored := strings.Contains(line, "/")
	line = strings.TrimPrefix(line, "/")
	if line == "" {
		return pattern{}, false
	}
	p.parts = strings.Split(line, "/")
	for _, part := range p.parts {
		if _, err := path.Match(negation(part), ""); err != nil {
			return pattern{}, false // git takes no such line either
		}
	}
	if !anchored {
		p.parts = slices.Insert(p.parts, 0, "**")
	}
	p.plain = !strings.ContainsAny(line, `*?[\`)
	return p, true
}

// trimSpaces drops spaces at the end that no backslash keeps.
func trimSpaces(line string) string {
	for strings.HasSuffix(line, " ") && !strings.HasSuffix(line, `\ `) {
		line = line[:len(line)-1]
	}
	return line
}

// negation writes git's [!a] as path.Match reads it.
func negation(part string) string { return strings.ReplaceAll(part, "[!", "[^") }

// ignores reports whether git would leave out a name of the folder.
func (g *ignore) ignores(name string, isFolder bool) bool {
	for at := g; at != nil; at = at.above {
		for _, p := range slices.Backward(at.patterns) {
			if (isFolder || !p.folders) && g.matches(p, at, name) {
				return !p.negated
			}
		}
	}
	return false
}

// matches reports whether the pattern of the folder at, or of one above, means
// a name of this folder.
func (g *ignore) matches(p pattern, at *ignore, name string) bool {
	if len(p.parts) == 2 && p.parts[0] == "**" { // a name anywhere: most are
		return p.matchPart(p.parts[1], name)
	}
	names := []string{name}
	for ; g != at; g = g.above {
		names = append(names, g.name)
	}
	slices.Reverse(names)
	return p.matchParts(p.parts, names)
}

func (p pattern) matchParts(parts, names []string) bool {
	switch {
	case len(parts) == 0:
		return len(names) == 0
	case parts[0] == "**" && len(parts) == 1:
		return len(names) > 0
	case parts[0] == "**":
		for i := range len(names) {
			if p.matchParts(parts[1:], names[i:]) {
				return true
			}
		}
		return false
	}
	return len(names) > 0 && p.matchPart(parts[0], names[0]) && p.matchParts(parts[1:], names[1:])
}

func (p pattern) matchPart(part, name string) bool {
	if p.plain {
		return part == name
	}
	ok, err := path.Match(negation(part), name)
	return ok && err == nil
}
