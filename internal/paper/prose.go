package paper

import (
	"net/url"
	"strings"
)

// tabular reads tables, which LaTeXML makes of table elements or, inside boxes,
// of spans with classes. One inside another's cell becomes running text.
func (r *reader) tabular(tag string, a *attributes) (func(), bool) {
	isTable := a.has("ltx_tabular") || tag == "table"
	isRow := a.has("ltx_tr") || tag == "tr"
	isCell := a.has("ltx_td") || tag == "td" || tag == "th"
	switch {
	case r.eq != nil && (isTable || isRow || isCell):
		r.out.space = true
		return nil, true
	case isTable && r.table == nil:
		return r.grid(), true
	case r.table == nil:
		return nil, false
	case isTable:
		r.nested++
		return func() { r.nested-- }, true
	case r.nested > 0 && (isRow || isCell):
		r.out.space = true
		return func() { r.out.space = true }, true
	case isRow:
		g := r.table
		return g.endRow, true
	case isCell:
		g := r.table
		columns, rows := a.columns, a.rows
		return r.capture(func(text string) { g.cell(text, columns, rows) }), true
	}
	return nil, false
}

func (r *reader) grid() func() {
	g := &grid{}
	r.table = g
	before := r.out
	r.out = &flow{} // white space between rows
	return func() {
		g.endRow()
		r.table, r.out = nil, before
		r.out.paragraph(g.markdown())
	}
}

// prose handles what is inside paragraphs and around them.
func (r *reader) prose(tag string, a *attributes) (func(), bool) {
	switch {
	case tag == "br":
		r.out.line()
	case tag == "li" || tag == "dt" || a.has("ltx_item"):
		return r.item(), true
	case a.has("ltx_tag_item"):
		return r.capture(r.mark), true
	case a.has("ltx_caption") || tag == "figcaption":
		return r.boxed("[", "]"), true
	case a.has("ltx_note"):
		r.out.space = true
		return r.boxed("[note: ", "]"), true
	case tag == "pre" || a.has("ltx_listing") || (a.has("ltx_verbatim") && tag != "code"):
		return r.fenced(), true
	case a.has("ltx_listingline"):
		return func() { r.newline() }, true
	case tag == "code" && r.pre == 0:
		return r.capture(func(text string) {
			if text != "" {
				r.out.word("`" + text + "`")
			}
		}), true
	case tag == "sup" && r.pre == 0 && !a.has("ltx_note_mark"):
		return r.script("^"), true
	case tag == "sub" && r.pre == 0:
		return r.script("_"), true
	case tag == "a" && a.has("ltx_href"):
		return r.link(a.address), true
	default:
		return nil, false
	}
	return nil, true
}

// item begins an entry of a list, whose mark follows as an element or not.
func (r *reader) item() func() {
	if r.table != nil {
		r.out.space = true
		return nil
	}
	r.out.item("- ")
	out := r.out
	return func() { out.breaks = 1 }
}

// mark writes the mark of an entry unless it is a mere bullet.
func (r *reader) mark(text string) {
	if strings.Trim(text, "•–-*∗◦·▪► ") != "" {
		r.out.word(text + " ")
		r.out.fresh = true
	}
}

// boxed writes a caption or a note in brackets, apart from the running text.
func (r *reader) boxed(before, after string) func() {
	block := before == "["
	return r.capture(func(text string) {
		switch {
		case text == "":
		case block && r.table == nil && r.eq == nil:
			r.out.paragraph(before + text + after)
		default:
			r.out.word(before + text + after)
		}
	})
}

// fenced keeps the line breaks of code.
func (r *reader) fenced() func() {
	if r.pre > 0 || r.table != nil {
		return nil
	}
	before := r.out
	mine := &flow{}
	r.out = mine
	r.pre++
	return func() {
		r.pre--
		r.out = before
		if code := strings.Trim(mine.b.String(), "\n"); strings.TrimSpace(code) != "" {
			r.out.paragraph("```\n" + strings.TrimRight(code, " \n") + "\n```")
		}
	}
}

// newline ends a line of code, or of text where code is not.
func (r *reader) newline() {
	if r.pre > 0 {
		r.out.b.WriteByte('\n')
		return
	}
	r.out.line()
}

// script writes a superscript or subscript of running text.
func (r *reader) script(sign string) func() {
	return r.capture(func(text string) {
		if text == "" {
			return
		}
		r.out.word(sign + text)
	})
}

// link names the address of a page outside the paper, such as its code.
func (r *reader) link(address string) func() {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || r.pre > 0 {
		return nil
	}
	return r.capture(func(text string) {
		bare := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://"), "/")
		switch {
		case text == "":
		case strings.Contains(strings.ReplaceAll(text, " ", ""), bare):
			r.out.word(text)
		default:
			r.out.word(text + " (" + short(address, 300) + ")")
		}
	})
}
