package paper

import "strings"

// A formula is one that has no alternative text: its annotation is taken, or
// what would be shown.
type formula struct {
	tex, plain strings.Builder
	to         *strings.Builder
}

func (f *formula) text(b []byte) {
	if f.to != nil {
		f.to.Write(b)
	}
}

func (f *formula) String() string {
	if tex := f.tex.String(); strings.TrimSpace(tex) != "" {
		return tex
	}
	return strings.Join(strings.Fields(f.plain.String()), "")
}

// An equation is a table of LaTeXML's that sets formulas on lines of their own.
type equation struct {
	under    *flow // where the rows are written
	tex, tag string
}

// mathematics writes each formula once, as LaTeX.
func (r *reader) mathematics(tag string, a *attributes) (func(), bool) {
	switch {
	case tag == "math":
		show := r.hidden()
		if a.alt != "" {
			r.formula(a.alt, a.display == "block")
			return show, true
		}
		f := &formula{}
		f.to = &f.plain
		r.bare = f
		return func() {
			show()
			r.bare = nil
			r.formula(f.String(), a.display == "block")
		}, true
	case tag == "img" && a.has("ltx_Math"):
		r.formula(a.alt, false)
		return nil, true
	case a.has("ltx_equation", "ltx_equationgroup", "ltx_eqn_table") && r.eq == nil && tag != "tr":
		return r.equation(), true
	case r.eq != nil && (tag == "tr" || a.has("ltx_eqn_row")):
		return r.equationRow, true
	case r.eq != nil && a.has("ltx_tag_equation", "ltx_tag_equationgroup"):
		return r.capture(func(text string) { r.eq.tag = text }), true
	}
	return nil, false
}

// insideFormula takes the TeX of a formula out of its annotation and leaves
// other annotations.
func (r *reader) insideFormula(tag string, a *attributes) func() {
	if r.bare == nil || (tag != "annotation" && tag != "annotation-xml") {
		return nil
	}
	before := r.bare.to
	r.bare.to = nil
	if strings.EqualFold(a.encoding, "application/x-tex") {
		r.bare.to = &r.bare.tex
	}
	return func() {
		if r.bare != nil {
			r.bare.to = before
		}
	}
}

func (r *reader) formula(tex string, display bool) {
	tex = cleanTeX(tex)
	switch {
	case tex == "":
	case r.eq != nil:
		r.eq.tex += " " + tex
	case display && r.table == nil:
		r.out.paragraph("$$" + tex + "$$")
	default:
		r.out.word("$" + tex + "$")
	}
}

// cleanTeX takes away what only steers the setting: line ends that LaTeXML
// comments out, and the style of cells in aligned equations.
func cleanTeX(tex string) string {
	tex = strings.ReplaceAll(tex, "%\n", "")
	tex = strings.ReplaceAll(tex, `\displaystyle`, "")
	return strings.Join(strings.Fields(tex), " ")
}

// equation collects the formulas and the text of an equation's rows.
func (r *reader) equation() func() {
	before := r.out
	before.block()
	r.eq = &equation{under: before}
	r.out = &flow{}
	return func() {
		r.equationRow()
		r.eq, r.out = nil, before
		r.out.block()
	}
}

// equationRow writes a row: first the text between formulas, then the formula
// with its number. It is called with the equation's own flow as r.out.
func (r *reader) equationRow() {
	if r.eq == nil {
		return
	}
	eq := r.eq
	eq.under.paragraph(r.out.oneLine())
	*r.out = flow{}
	if eq.tex == "" { // a number alone stays for the next row
		return
	}
	line := "$$" + strings.TrimSpace(eq.tex) + "$$"
	if eq.tag != "" {
		line += " " + eq.tag
	}
	eq.under.paragraph(line)
	eq.tex, eq.tag = "", ""
}
