package trace

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/secret"
)

// A Redaction is what was taken out, by its kind.
type Redaction struct {
	Kind   string   `json:"kind"`
	Count  int      `json:"count"`
	Places []string `json:"places"` // of the first ones
}

// maxPlaces is how many places of a kind a person is told.
const maxPlaces = 3

const titlePlace = "title"

// HomePath is the kind of what names the person's home folder.
const HomePath = "path of a home folder"

// A Scrubber takes out of texts what is the person's own: secrets, and the names
// of home folders. It counts what it took, and belongs to one goroutine.
type Scrubber struct {
	secrets *secret.Redactor
	home    string
	found   []Redaction
	before  int
}

// NewScrubber returns a Scrubber that knows what the redactor knows, and the
// person's home folder, "" for none.
func NewScrubber(secrets *secret.Redactor, home string) *Scrubber {
	return &Scrubber{secrets: secrets, home: strings.TrimRight(home, `/\`)}
}

// Redacted lists what was taken out, in order of first sight.
func (s *Scrubber) Redacted() []Redaction { return s.found }

// Before counts what had been taken out when the session was saved.
func (s *Scrubber) Before() int { return s.before }

// Text returns the text of that place without what is the person's own.
func (s *Scrubber) Text(place, text string) string {
	if text == "" {
		return ""
	}
	if place != titlePlace { // it is made of a prompt
		s.before += strings.Count(text, secret.Redacted)
	}
	return s.paths(place, s.keys(place, text))
}

// JSON is Text for what may be JSON, which it stays: also of what its strings
// hold behind their escapes, names included, and JSON in them.
func (s *Scrubber) JSON(place, text string) string {
	s.before += strings.Count(text, secret.Redacted)
	return s.nested(place, text, maxNested)
}

// maxNested is how deep JSON in JSON is looked through.
const maxNested = 4

func (s *Scrubber) nested(place, text string, depth int) string {
	text = s.paths(place, s.keys(place, text))
	if trimmed := strings.TrimLeft(text, " \t\r\n"); depth == 0 || trimmed == "" || trimmed[0] != '{' && trimmed[0] != '[' && trimmed[0] != '"' {
		return text
	}
	changed := false
	out, err := eachString(text, func(part string) string {
		clean := s.nested(place, part, depth-1)
		changed = changed || clean != part
		return clean
	})
	if err != nil || !changed {
		return text
	}
	return out
}

// again takes secrets out of what was scrubbed in parts, and reports whether
// there were any left.
func (s *Scrubber) again(text string) (string, bool) {
	if !s.secrets.Holds(text) {
		return text, false
	}
	return s.keys("a whole line", text), true
}

func (s *Scrubber) keys(place, text string) string {
	found := s.secrets.Find(text)
	if len(found) == 0 {
		return text
	}
	var b strings.Builder
	from := 0
	for _, f := range found {
		b.WriteString(text[from:f.Begin])
		if text[f.Begin:f.End] != secret.Redacted {
			s.note(f.Kind, place)
		}
		b.WriteString(secret.Redacted)
		from = f.End
	}
	b.WriteString(text[from:])
	return b.String()
}

func (s *Scrubber) note(kind, place string) {
	for i := range s.found {
		if f := &s.found[i]; f.Kind == kind {
			f.Count++
			if len(f.Places) < maxPlaces && f.Places[len(f.Places)-1] != place {
				f.Places = append(f.Places, place)
			}
			return
		}
	}
	s.found = append(s.found, Redaction{kind, 1, []string{place}})
}

// homes are folders of people, of whom the name says who they are.
var homes = lazyregexp.New(`(?:/home/|/Users/|[A-Za-z]:\\{1,2}Users\\{1,2})[A-Za-z0-9._-]*[A-Za-z0-9_]`)

// paths puts ~ for the person's home folder, and a name that says nothing for
// the other homes.
func (s *Scrubber) paths(place, text string) string {
	if s.home != "" && strings.Contains(text, s.home) {
		text = s.tilde(place, text)
	}
	if !strings.Contains(text, "/home/") && !strings.Contains(text, "Users") {
		return text
	}
	var b strings.Builder
	from := 0
	for _, at := range homes.FindAllStringIndex(text, -1) {
		if !begins(text, at[0]) {
			continue // /home/ in an address
		}
		name := text[at[0]:at[1]]
		cut := strings.LastIndexAny(name, `/\`) + 1
		if name[cut:] == "user" {
			continue
		}
		s.note(HomePath, place)
		b.WriteString(text[from:at[0]] + name[:cut] + "user")
		from = at[1]
	}
	b.WriteString(text[from:])
	return b.String()
}

// tilde puts ~ for the person's home folder.
func (s *Scrubber) tilde(place, text string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, s.home)
		if i < 0 {
			return b.String() + text
		}
		end := i + len(s.home)
		if begins(text, i) && (end == len(text) || !isName(text[end])) {
			s.note(HomePath, place)
			b.WriteString(text[:i] + "~")
		} else {
			b.WriteString(text[:end])
		}
		text = text[end:]
	}
}

// begins reports whether a path may begin at i: behind nothing that a name holds,
// or behind an escape of JSON, or an option of one letter, as in -I/usr.
func begins(text string, i int) bool {
	if i == 0 || !isName(text[i-1]) {
		return true
	}
	return i > 1 && (text[i-2] == '\\' && strings.IndexByte("nrtbf", text[i-1]) >= 0 || text[i-2] == '-' && (i == 2 || !isName(text[i-3])))
}

func isName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
}

// eachString passes the strings of a value through, so that it stays JSON.
func eachString(value string, pass func(string) string) (string, error) {
	var out bytes.Buffer
	lax := []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
	from, to := jsontext.NewDecoder(strings.NewReader(value), lax...), jsontext.NewEncoder(&out, lax...)
	for {
		token, err := from.ReadToken()
		if errors.Is(err, io.EOF) {
			return strings.TrimSpace(out.String()), nil
		}
		if err != nil {
			return "", err
		}
		if token.Kind() == '"' {
			token = jsontext.String(pass(token.String()))
		}
		if err := to.WriteToken(token); err != nil {
			return "", err
		}
	}
}
