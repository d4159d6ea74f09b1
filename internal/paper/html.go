package paper

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// ErrNoSections says that a page holds no paper in sections: an error page, a
// page of a robot check, or one that could not be converted.
var ErrNoSections = errors.New("no sections")

// ParseHTML reads a paper in the HTML that LaTeXML makes, which arXiv and ar5iv
// serve. It goes through the page once and keeps no tree, since formulas make
// pages of megabytes.
func ParseHTML(page []byte) (*Document, error) {
	r := &reader{z: html.NewTokenizer(bytes.NewReader(page)), doc: &Document{Format: "HTML"}}
	r.out = &r.main
	for {
		switch r.z.Next() {
		case html.ErrorToken:
			if err := r.z.Err(); !errors.Is(err, io.EOF) {
				return nil, fmt.Errorf("read HTML: %w", err)
			}
			return r.finish()
		case html.TextToken:
			r.text()
		case html.StartTagToken:
			r.start(false)
		case html.SelfClosingTagToken:
			r.start(true)
		case html.EndTagToken:
			name, _ := r.z.TagName()
			r.end(name)
		}
	}
}

// A reader goes through a page. Elements that need something done when they end
// say so when they begin.
type reader struct {
	z      *html.Tokenizer
	doc    *Document
	main   flow  // the text of the document
	out    *flow // where text goes now
	open   []element
	deep   int // elements open beyond maxDepth
	began  bool
	marks  outline
	parts  []*part // open elements that are sections
	hide   int     // how many open elements are not shown
	tagged bool    // the heading being read has its number in an element
	pre    int     // how many keep their line breaks
	table  *grid   // innermost one that is not inside another
	nested int     // tables open inside that one
	eq     *equation
	bare   *formula // one without alternative text
}

type element struct {
	tag string
	end func()
}

// A part is an element that is a section.
type part struct {
	anchor             string
	titled             bool
	letter, references bool // an appendix, the bibliography
}

// maxDepth bounds open elements. Papers have fewer than a hundred.
const maxDepth = 512

// attributes are the ones that matter.
type attributes struct {
	classes                             []string
	id, alt, display, encoding, address string
	columns, rows                       int
}

func (a *attributes) has(classes ...string) bool {
	return slices.ContainsFunc(classes, func(c string) bool { return slices.Contains(a.classes, c) })
}

func (r *reader) attributes() attributes {
	var a attributes
	for more := true; more; {
		var key, value []byte
		key, value, more = r.z.TagAttr()
		switch string(key) {
		case "class":
			a.classes = strings.Fields(string(value))
		case "id":
			a.id = string(value)
		case "alttext", "alt":
			a.alt = string(value)
		case "display":
			a.display = string(value)
		case "encoding":
			a.encoding = string(value)
		case "href":
			a.address = string(value)
		case "colspan":
			a.columns, _ = strconv.Atoi(string(value))
		case "rowspan":
			a.rows, _ = strconv.Atoi(string(value))
		}
	}
	return a
}

func (r *reader) start(closed bool) {
	name, more := r.z.TagName()
	tag := tagName(name)
	var a attributes
	if more && (r.hide == 0 || tag == "annotation") {
		a = r.attributes()
	}
	r.implied(tag)
	void := slices.Contains(voids, tag)
	if len(r.open) >= maxDepth && !void && !closed {
		r.deep++
		return
	}
	end := r.element(tag, &a)
	switch {
	case void:
	case closed:
		if end != nil {
			end()
		}
	default:
		r.open = append(r.open, element{tag, end})
	}
}

// implied ends a paragraph or a heading that was left open.
func (r *reader) implied(tag string) {
	if len(r.open) == 0 || r.hide > 0 || !slices.Contains(blocks, tag) {
		return
	}
	if r.open[len(r.open)-1].tag == "p" {
		r.closeTo(len(r.open) - 1)
	}
	if n := len(r.open) - 1; n >= 0 && isHeading(tag) && isHeading(r.open[n].tag) {
		r.closeTo(n)
	}
}

func isHeading(tag string) bool {
	return len(tag) == 2 && tag[0] == 'h' && tag[1] >= '1' && tag[1] <= '6'
}

var (
	voids  = []string{"br", "img", "hr", "input", "meta", "link", "col", "source", "wbr", "embed", "area", "base", "track", "param"}
	blocks = []string{"div", "p", "section", "article", "figure", "table", "ul", "ol", "dl", "dt", "dd", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "main"}
	hidden = []string{"script", "style", "nav", "footer", "svg", "noscript", "template", "button", "head", "dialog", "form"}
	// The names that are met most, so that they need not be made again.
	interned = []string{"span", "mi", "mo", "mn", "mrow", "a", "p", "div", "td", "tr", "cite", "math", "semantics", "annotation", "annotation-xml", "msub", "msup", "apply", "ci", "cn", "csymbol", "em"}
)

func tagName(name []byte) string {
	for _, known := range interned {
		if string(name) == known {
			return known
		}
	}
	return string(name)
}

func (r *reader) end(name []byte) {
	if r.deep > 0 {
		r.deep--
		return
	}
	for i := len(r.open) - 1; i >= 0; i-- {
		if r.open[i].tag == string(name) {
			r.closeTo(i)
			return
		}
	}
}

// closeTo ends the open elements from the i-th on, the innermost first.
func (r *reader) closeTo(i int) {
	for len(r.open) > i {
		last := r.open[len(r.open)-1]
		r.open = r.open[:len(r.open)-1]
		if last.end != nil {
			last.end()
		}
	}
}

func (r *reader) text() {
	switch {
	case r.bare != nil:
		r.bare.text(r.z.Text())
	case r.hide > 0 || !r.began:
	case r.pre > 0:
		r.out.flush()
		r.out.b.WriteString(strings.ReplaceAll(string(r.z.Text()), "\u00a0", " "))
		r.out.fresh = false
	default:
		r.out.text(string(r.z.Text()))
	}
}

// element does what an element asks for when it begins, and returns what must
// be done when it ends.
func (r *reader) element(tag string, a *attributes) func() {
	if r.hide > 0 {
		return r.insideFormula(tag, a)
	}
	if slices.Contains(hidden, tag) || a.has(
		"ltx_page_navbar", "ltx_page_footer", "ltx_page_header", "ltx_TOC", "ltx_listing_data", "ltx_note_mark", "ltx_tag_note", "ltx_author_notes",
		"ltx_tag_listingline", "ltx_dates", "ltx_role_submissionid", "package-alerts", "ltx_classification", "ltx_bib_cited", "ar5iv-footer",
	) {
		return r.hidden()
	}
	for _, kind := range []func(string, *attributes) (func(), bool){r.mathematics, r.structure, r.tabular, r.prose} {
		if end, ok := kind(tag, a); ok {
			return end
		}
	}
	if slices.Contains(blocks, tag) || a.has("ltx_para", "ltx_p") {
		r.out.block()
		return func() { r.out.block() }
	}
	return nil
}

func (r *reader) hidden() func() {
	r.hide++
	return func() { r.hide-- }
}

// capture sends what follows to a flow of its own until the element ends.
func (r *reader) capture(use func(text string)) func() {
	before := r.out
	mine := &flow{}
	r.out = mine
	return func() {
		r.out = before
		use(mine.oneLine())
	}
}

func (r *reader) finish() (*Document, error) {
	r.closeTo(0)
	d := r.doc
	r.out.flush()
	d.Text = r.main.b.String()
	d.Sections = r.marks.done(len(d.Text))
	if len(d.Sections) == 0 {
		return nil, fmt.Errorf("read HTML: the page has %w", ErrNoSections)
	}
	if lead := strings.TrimSpace(d.Text[:d.Sections[0].Start]); lead != "" {
		first := Section{ID: r.marks.free("opening"), Title: "Opening (before the first heading)", Level: 1, End: d.Sections[0].Start}
		d.Sections = slices.Insert(d.Sections, 0, first)
	}
	return d, nil
}
