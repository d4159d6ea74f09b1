package paper

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

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
	var count numbering
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
			s, ok := count.heading(line, body, marks.used[referencesID])
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

// A numbering is how far the numbers of headings have come.
type numbering struct {
	top  int    // the last one of the first level
	name string // as it is printed
}

// heading reports whether a line looks like a heading: numbered next or of a
// known name, and larger or heavier than the text, or all in capitals. A letter
// is a number only with a full stop, or in the appendix: "A Study of Sleep".
func (n *numbering) heading(line pdftext.Line, body float64, inAppendix bool) (Section, bool) {
	text := strings.Join(strings.Fields(line.Text), " ")
	if len(text) < 3 || len(text) > 120 || strings.Contains(text, "....") || strings.Contains(text, ". . .") || strings.HasSuffix(text, ",") {
		return Section{}, false
	}
	stands := line.Bold || line.Size > body*1.08
	capitals := text == strings.ToUpper(text) && strings.ContainsFunc(text, unicode.IsLetter)
	if (!stands && !capitals) || line.Size < body*0.65 || (line.Size < body*0.85 && !capitals) {
		return Section{}, false
	}
	id, title := splitNumber(text, inAppendix || text[1] == '.')
	known := slices.Contains(unnumbered, strings.ToLower(strings.TrimRight(title, ".:—")))
	if (id == "" && !known) || (id != "" && !n.next(id, title, stands)) {
		return Section{}, false
	}
	s := Section{ID: id, Title: title, Level: 1 + strings.Count(id, ".")}
	if id == "" && (strings.EqualFold(title, "references") || strings.EqualFold(title, "bibliography")) {
		s.ID = referencesID
	}
	return s, true
}

// next tells numbers of sections from those of dates, tables and lists: they
// come in order. Where a heading stands out, one before it may have been missed.
func (n *numbering) next(id, title string, stands bool) bool {
	first, _ := utf8.DecodeRuneInString(title)
	if !unicode.IsUpper(first) && first < 0x80 || strings.Count(id, ".") > 3 {
		return false
	}
	top, _, inside := strings.Cut(id, ".")
	if inside || strings.Contains(id, "-") {
		return n.name == "" || strings.HasPrefix(id, n.name) || stands && ordinal(top) == n.top+1
	}
	value, missed := ordinal(id), 0
	if stands {
		missed = 1
	}
	if value == 0 && id != "0" {
		return false
	}
	restarts := value <= 1 && (id[0] > '9') != (n.name != "" && n.name[0] > '9') // A after 7
	if !restarts && (value <= n.top && n.name != "" || value > n.top+1+missed) {
		return false
	}
	n.top, n.name = value, id
	return true
}

// ordinal is the value of a number that is printed as 4, IV or D.
func ordinal(id string) int {
	if value, err := strconv.Atoi(id); err == nil {
		return value
	}
	if i := slices.Index(romans, id); i >= 0 {
		return i + 1
	}
	if len(id) == 1 {
		return int(id[0]-'A') + 1
	}
	return 0
}

var romans = []string{"I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"}

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
