package paper

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ml-intern/internal/pdftext"
)

// leastHeadings is how many must be found for them to be believed. Else the
// pages are the sections.
const leastHeadings = 3

// unnumbered are headings that papers have without a number.
var unnumbered = []string{
	"abstract", "introduction", "related work", "background", "method", "methods", "experiments", "results", "discussion", "conclusion", "conclusions", "limitations",
	"references", "bibliography", "acknowledgments", "acknowledgements", "acknowledgment", "appendix", "appendices", "ethics statement", "broader impact", "supplementary material",
}

// outlinePDF finds the headings among the lines of a PDF.
func outlinePDF(pages []pdftext.Page) *Document {
	doc := &Document{Format: "PDF", Notes: []string{"the text is from a PDF: formulas and tables are in pieces, and headings are guessed by their look"}}
	body := bodySize(pages)
	doc.Title = titleOf(pages, body)
	marks, text := assemble(pages, body, false)
	if len(marks.sections) < leastHeadings {
		marks, text = assemble(pages, body, true)
		doc.Notes = append(doc.Notes, "no headings were found: the sections are its pages")
	}
	doc.Text = text
	doc.Sections = marks.done(len(text))
	if lead := strings.TrimSpace(text[:doc.Sections[0].Start]); lead != "" {
		first := Section{ID: marks.free("opening"), Title: "Opening (before the first heading)", Level: 1, End: doc.Sections[0].Start}
		doc.Sections = slices.Insert(doc.Sections, 0, first)
	}
	if s, ok := doc.Find("abstract"); ok {
		_, abstract, _ := strings.Cut(doc.SectionText(s), "\n")
		doc.Abstract = strings.TrimSpace(abstract)
	}
	return doc
}

// assemble writes the text with headings as Markdown, or a heading for each page.
func assemble(pages []pdftext.Page, body float64, byPage bool) (outline, string) {
	var marks outline
	var out strings.Builder
	heading := func(s Section, text string) {
		if out.Len() > 0 {
			out.WriteString("\n\n")
		}
		s.Start = out.Len()
		marks.add(s)
		out.WriteString(strings.Repeat("#", min(s.Level+1, 6)) + " " + text + "\n\n")
	}
	for i, page := range pages {
		if byPage {
			heading(Section{ID: fmt.Sprintf("page-%d", i+1), Title: fmt.Sprintf("Page %d", i+1), Level: 1}, fmt.Sprintf("Page %d", i+1))
		} else if out.Len() > 0 && !strings.HasSuffix(out.String(), "\n") {
			out.WriteByte('\n')
		}
		start := 0
		for n, line := range page {
			s, ok := headingLine(line, body, len(marks.sections) > 0)
			if byPage || !ok {
				continue
			}
			out.WriteString(plainText(page[start:n]))
			heading(s, strings.Join(strings.Fields(line.Text), " "))
			start = n + 1
		}
		out.WriteString(plainText(page[start:]))
	}
	return marks, out.String()
}

// plainText keeps a line of the page from being taken for a heading.
func plainText(page pdftext.Page) string {
	text := strings.ReplaceAll(page.Text(), "\n#", "\n\\#")
	if strings.HasPrefix(text, "#") {
		text = `\` + text
	}
	return text
}

// headingLine reports whether a line looks like a heading: numbered or of a
// known name, and larger or heavier than the text, or all in capitals.
func headingLine(line pdftext.Line, body float64, began bool) (Section, bool) {
	text := strings.Join(strings.Fields(line.Text), " ")
	if len(text) < 3 || len(text) > 120 || strings.Contains(text, "....") || strings.Contains(text, ". . .") || strings.HasSuffix(text, ",") {
		return Section{}, false
	}
	letters := strings.Trim(text, "0123456789.:IVXABC ")
	stands := line.Bold || line.Size > body*1.08 || (letters != "" && letters == strings.ToUpper(letters))
	if !stands || line.Size < body*0.85 {
		return Section{}, false
	}
	id, title := splitNumber(text, line.Bold || line.Size > body*1.08)
	known := slices.Contains(unnumbered, strings.ToLower(strings.TrimRight(title, ".:—")))
	switch {
	case id == "" && !known:
		return Section{}, false
	case id != "" && !plausible(id, title):
		return Section{}, false
	case id != "" && !began && len(id) == 1 && id[0] >= 'A' && id != "I": // an appendix before all sections is a table's column
		return Section{}, false
	}
	s := Section{ID: id, Title: title, Level: 1 + strings.Count(id, ".")}
	if id == "" && (strings.EqualFold(title, "references") || strings.EqualFold(title, "bibliography")) {
		s.ID = referencesID
	}
	return s, true
}

// plausible tells numbers of sections from those of dates, tables and lists.
func plausible(id, title string) bool {
	if strings.Count(id, ".") > 3 || title[0] < 'A' || (title[0] > 'Z' && title[0] < 0x80) {
		return false
	}
	first, _, _ := strings.Cut(id, ".")
	return len(first) < 3 || first[0] > '9'
}

// bodySize is the size of most of the text.
func bodySize(pages []pdftext.Page) float64 {
	letters := map[float64]int{}
	for _, page := range pages {
		for _, line := range page {
			letters[math.Round(line.Size*2)/2] += len(line.Text)
		}
	}
	best := 0.0
	for size, n := range letters {
		if n > letters[best] || (n == letters[best] && size > best) {
			best = size
		}
	}
	return best
}

// titleOf is the largest text at the top of the first page.
func titleOf(pages []pdftext.Page, body float64) string {
	if len(pages) == 0 {
		return ""
	}
	top := pages[0][:min(len(pages[0]), 15)]
	largest := body * 1.15
	for _, line := range top {
		largest = max(largest, line.Size)
	}
	var words []string
	for _, line := range top {
		if line.Size > largest-0.5 && len(words) < 4 {
			words = append(words, line.Text)
		}
	}
	return short(strings.Join(words, " "), 300)
}
