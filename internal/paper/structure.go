package paper

import (
	"slices"
	"strings"
)

// parts of a paper, by LaTeXML's classes of the elements around them.
var partClasses = []string{
	"ltx_part", "ltx_chapter", "ltx_section", "ltx_subsection", "ltx_subsubsection", "ltx_paragraph", "ltx_subparagraph",
	"ltx_appendix", "ltx_bibliography", "ltx_acknowledgements", "ltx_index", "ltx_glossary",
}

const mostLevels = 8

// structure keeps the title, the authors, the abstract, the headings and the
// references apart.
func (r *reader) structure(tag string, a *attributes) (func(), bool) {
	heading := isHeading(tag)
	switch {
	case a.has("ltx_document"):
		r.began = true
		return r.out.block, true
	case a.has("ltx_title_document") && r.doc.Title == "":
		r.began = true
		return r.capture(func(text string) { r.doc.Title = strings.TrimSpace(strings.TrimPrefix(withoutNotes(text), "Title:")) }), true
	case a.has("ltx_authors"):
		return r.capture(func(string) {}), true
	case a.has("ltx_personname"):
		return r.capture(r.author), true
	case a.has("ltx_title_abstract", "ltx_title_keywords"):
		return r.hidden(), true
	case a.has("ltx_abstract") && r.doc.Abstract == "" && r.table == nil:
		r.began = true
		return r.abstract(), true
	case heading && a.has("ltx_title") && r.out == &r.main && headingOfPart(a):
		r.began = true
		return r.heading(tag, a), true
	case a.has(partClasses...) && !heading && r.table == nil:
		return r.part(a), true
	case a.has("ltx_bibitem") && r.table == nil:
		return r.reference(), true
	case a.has("ltx_tag") && !a.has("ltx_tag_bibitem"):
		r.tagged = true
	case a.has("ltx_tag_bibitem", "ltx_bibblock"):
		r.out.space = true
		return func() { r.out.space = true }, true
	}
	return nil, false
}

// withoutNotes leaves out the footnotes of a heading.
func withoutNotes(text string) string {
	for {
		before, rest, ok := strings.Cut(text, "[note:")
		if !ok {
			return line(text)
		}
		_, after, _ := strings.Cut(rest, "]")
		text = before + after
	}
}

// headingOfPart tells headings of sections from those of theorems and such.
func headingOfPart(a *attributes) bool {
	for _, class := range a.classes {
		name, ok := strings.CutPrefix(class, "ltx_title_")
		if ok && !slices.Contains(partClasses, "ltx_"+name) {
			return false
		}
	}
	return true
}

const mostAuthors = 500

func (r *reader) author(text string) {
	if text = strings.Trim(short(text, 300), " ,&"); text != "" && len(r.doc.Authors) < mostAuthors && len(r.marks.sections) == 0 {
		r.doc.Authors = append(r.doc.Authors, text)
	}
}

// abstract keeps the paragraphs of the abstract apart from each other.
func (r *reader) abstract() func() {
	before := r.out
	mine := &flow{}
	r.out = mine
	return func() {
		r.out = before
		r.doc.Abstract = strings.TrimSpace(mine.b.String())
	}
}

// part is an element around a section. Its first heading is the section's.
func (r *reader) part(a *attributes) func() {
	r.began = true
	r.parts = append(r.parts, &part{anchor: a.id, letter: a.has("ltx_appendix"), references: a.has("ltx_bibliography")})
	n := len(r.parts)
	r.out.block()
	return func() {
		r.parts = r.parts[:n-1]
		r.out.block()
	}
}

// heading begins a section. Its level is how deep it stands in sections, or
// that of its tag where the page has no elements around them.
func (r *reader) heading(tag string, a *attributes) func() {
	p := &part{letter: a.has("ltx_title_appendix"), references: a.has("ltx_title_bibliography")}
	level := max(1, int(tag[1]-'0')-1)
	if len(r.parts) > 0 && !r.parts[len(r.parts)-1].titled {
		p = r.parts[len(r.parts)-1]
		level = len(r.parts)
	}
	p.titled = true
	r.tagged = false
	return r.capture(func(text string) {
		text = short(withoutNotes(text), 300)
		if text == "" {
			return
		}
		s := Section{Title: text, Anchor: p.anchor, Level: min(level, mostLevels)}
		if s.ID, s.Title = splitNumber(text, p.letter || r.tagged); p.references && s.ID == "" {
			s.ID = referencesID
		}
		r.main.block()
		r.main.flush()
		s.Start = r.main.b.Len()
		r.marks.add(s)
		r.main.word(strings.Repeat("#", min(s.Level+1, 6)) + " " + text)
		r.main.block()
	})
}

// reference writes an entry of the bibliography in one line.
func (r *reader) reference() func() {
	before := r.out
	mine := &flow{}
	r.out = mine
	return func() {
		r.out = before
		if text := mine.oneLine(); text != "" {
			r.out.item("- ")
			r.out.word(text)
			r.out.breaks = 1
		}
	}
}
