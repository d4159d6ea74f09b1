package paper

import (
	"slices"
	"strconv"
	"strings"

	"ml-intern/internal/lazyregexp"
)

// A Document is the whole text of a paper as Markdown, with formulas as LaTeX.
// Nobody changes it once it is read.
type Document struct {
	ID       ID
	Title    string
	Authors  []string
	Abstract string
	Text     string // of all sections, headings included
	Sections []Section
	Source   string   // address that it was read from
	Format   string   // "HTML" or "PDF"
	Notes    []string // what a reader must know, such as sources that failed
}

// A Section is a part of a document under a heading. The parts inside it follow
// it in Document.Sections with a greater Level, and its text holds theirs.
type Section struct {
	ID     string // 2.1, A or IV-B as printed; a short name if it is not numbered
	Title  string // without its number
	Anchor string // id of the element in HTML
	Level  int    // 1 for those of the document itself
	Start  int    // offset of its heading in Document.Text
	End    int    // where the next section of its level or above begins
}

// Heading is the section's id and title in one line.
func (s Section) Heading() string {
	if numbered(s.ID) {
		return s.ID + " " + s.Title
	}
	return s.Title
}

// SectionText returns a section whole, its heading and what is inside it
// included.
func (d *Document) SectionText(s Section) string {
	return strings.TrimSpace(d.Text[s.Start:s.End])
}

// Preview is the beginning of a section's own text.
func (d *Document) Preview(s Section, limit int) string {
	_, text, _ := strings.Cut(d.Text[s.Start:s.End], "\n")
	if own, _, inside := strings.Cut(text, "\n##"); inside {
		text = own
	}
	if strings.HasPrefix(text, "##") {
		return ""
	}
	return short(text[:min(len(text), 4*limit)], limit)
}

// Find looks a section up by its id, its anchor, its title, or a part of its
// title, in this order. A bare number is an id and nothing else.
func (d *Document) Find(query string) (Section, bool) {
	q := strings.ToLower(strings.Trim(strings.Join(strings.Fields(query), " "), "§#. "))
	for _, word := range []string{"section ", "sec. ", "appendix "} {
		if rest, ok := strings.CutPrefix(q, word); ok && numbered(strings.ToUpper(rest)) {
			q = rest
		}
	}
	if q == "" {
		return Section{}, false
	}
	if q == "bibliography" {
		q = referencesID
	}
	tests := []func(Section) bool{
		func(s Section) bool { return strings.ToLower(s.ID) == q },
		func(s Section) bool { return strings.ToLower(s.Anchor) == q },
		func(s Section) bool { return strings.ToLower(s.Title) == q },
		func(s Section) bool { return strings.ToLower(s.Heading()) == q },
		func(s Section) bool {
			return !numbered(strings.ToUpper(q)) && len(q) > 2 && strings.Contains(strings.ToLower(s.Title), q)
		},
	}
	for _, test := range tests {
		if i := slices.IndexFunc(d.Sections, test); i >= 0 {
			return d.Sections[i], true
		}
	}
	return Section{}, false
}

const referencesID = "references"

var (
	number    = lazyregexp.New(`^(?:\d{1,3}|[A-Z]|[IVXL]{1,6})(?:[.-](?:\d{1,3}|[A-Z]|[IVXL]{1,6}))*$`)
	numberAt  = lazyregexp.New(`^((?:\d{1,3}|[A-Z]|[IVXL]{1,6})(?:[.-](?:\d{1,3}|[A-Z]|[IVXL]{1,6}))*)[.):]?\s+(\S.*)$`)
	appendix  = lazyregexp.New(`^(?i:appendix|chapter|part|section)\s+`)
	notInSlug = lazyregexp.New(`[^a-z0-9]+`)
)

// numbered reports whether the id is a printed number such as 2.1, A or IV-B.
func numbered(id string) bool { return number.MatchString(id) }

// splitNumber takes the printed number off a heading that has one. A single
// letter counts only where letter says so: "A Study of Sleep" has none.
func splitNumber(heading string, letter bool) (id, title string) {
	bare := appendix.ReplaceAllString(heading, "")
	m := numberAt.FindStringSubmatch(bare)
	if m == nil {
		if bare != heading && numbered(bare) {
			return bare, heading
		}
		return "", heading
	}
	if len(m[1]) == 1 && m[1][0] >= 'A' && !letter && bare == heading {
		return "", heading
	}
	return m[1], m[2]
}

// outline collects the sections of a document in the order of their text.
type outline struct {
	sections []Section
	used     map[string]bool
}

// add begins a section at an offset. The ids of all sections differ.
func (o *outline) add(s Section) {
	if o.used == nil {
		o.used = map[string]bool{}
	}
	if s.ID == "" {
		s.ID = strings.Trim(notInSlug.ReplaceAllString(strings.ToLower(s.Title), "-"), "-")
		if len(s.ID) > 40 {
			s.ID = strings.TrimRight(s.ID[:40], "-")
		}
	}
	s.ID = o.free(s.ID)
	o.used[s.ID] = true
	o.sections = append(o.sections, s)
}

func (o *outline) free(id string) string {
	if id != "" && !o.used[id] {
		return id
	}
	for n := len(o.sections) + 1; ; n++ {
		name := strings.TrimPrefix(id+"-"+strconv.Itoa(n), "-")
		if id == "" {
			name = "part-" + strconv.Itoa(n)
		}
		if !o.used[name] {
			return name
		}
	}
}

// done sets where each section ends.
func (o *outline) done(length int) []Section {
	var open []int
	for i := range o.sections {
		for len(open) > 0 && o.sections[open[len(open)-1]].Level >= o.sections[i].Level {
			o.sections[open[len(open)-1]].End = o.sections[i].Start
			open = open[:len(open)-1]
		}
		open = append(open, i)
	}
	for _, i := range open {
		o.sections[i].End = length
	}
	return o.sections
}
