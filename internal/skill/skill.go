// Package skill finds, reads and adds Agent Skills: folders with a SKILL.md that
// says how a kind of task is done, beside scripts and documents that it names.
// See agentskills.io for the format.
//
// Its one rule: a skill is text of its author and allows nothing. Which tools it
// says are allowed is shown to a person and counts nowhere, no file of it is run
// here, and none is read outside its folder. One bad skill is a note, never a
// reason not to start.
//
// Folders of the person and of projects are only read. A Store owns what was
// added from repositories, with the lock file that says what it must be.
package skill

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"ml-intern/internal/lazyregexp"
)

// Bounds. What goes beyond is left out or cut, and said.
const (
	maxText        = 1 << 20 // bytes of a SKILL.md
	maxHead        = 16 << 10
	maxName        = 64   // as the format has it
	maxDescription = 1024 // likewise
	maxShort       = 500  // of the other fields, likewise
	maxPlace       = 500  // skills of one folder
	maxFiles       = 500  // of one skill
	maxFile        = 10 << 20
	maxBytes       = 20 << 20 // of one skill
)

// A Kind is whose place a skill lies in.
type Kind string

// The kinds of places.
const (
	Own     Kind = "yours"
	Project Kind = "project"
	Added   Kind = "added" // from a repository, pinned
)

// A State says whether a skill is offered, and if not, why.
type State string

// The states of a skill.
const (
	On        State = "on"
	Off       State = "off"       // the person switched it off
	Untrusted State = "untrusted" // it is a folder's that the person has not trusted, or not so
	Changed   State = "changed"   // its files are not those that were added
	Shadowed  State = "shadowed"  // a nearer one has its name
	Broken    State = "broken"    // it cannot be read as a skill
)

// A Skill is what is known of one without its text.
type Skill struct {
	Name          string
	Description   string
	License       string
	Compatibility string
	AllowedTools  string // that it asks for, for the person to see
	Manual        bool   // only a person uses it

	Kind     Kind
	From     string // where it comes from, in a word or a path
	Dir      string // its folder
	State    State
	Why      string   // of a state that is not On
	Warnings []string // what is wrong with it and does not keep it from use

	place Place
}

var validName = lazyregexp.New(`^[a-z0-9]+(-[a-z0-9]+)*$`)

func isName(s string) bool { return len(s) <= maxName && validName.MatchString(s) }

// clean is a text without what a terminal would obey, and without what a model
// would read and a person not see.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ', r >= 0x7f && r < 0xa0, r == utf8.RuneError:
			return -1
		case r == '\u200b', r == '\u2060', r == '\ufeff', r == '\u00ad', unicode.Is(unicode.Bidi_Control, r), 0xE0000 <= r && r <= 0xE0FFF:
			return -1
		}
		return r
	}, strings.ReplaceAll(text, "\r\n", "\n"))
}

// oneLine is a text in one line.
func oneLine(text string) string { return strings.Join(strings.Fields(clean(text)), " ") }

// cut is a text of at most n bytes.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return strings.TrimRight(text[:n], " ") + "…"
}

// bytesOf is a size in words.
func bytesOf(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	if n < 1_000_000 {
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
