package webpage

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"ml-intern/internal/lazyregexp"
)

// prune takes out of a page what is not for reading: programs, controls, what
// is hidden from a person, and the small marks that hang on headings and lines
// of code.
func prune(n *html.Node) {
	var next *html.Node
	for c := n.FirstChild; c != nil; c = next {
		next = c.NextSibling
		switch {
		case c.Type == html.CommentNode:
			n.RemoveChild(c)
		case c.Type != html.ElementNode:
		case c.DataAtom == atom.Script && strings.HasPrefix(attr(c, "type"), "math/tex"):
			asFormula(c, text(c), strings.Contains(attr(c, "type"), "mode=display"))
		case c.DataAtom == atom.Math || c.Data == "math":
			asFormula(c, texOf(c), attr(c, "display") == "block")
		case hidden(c), gone(c), isMark(c):
			n.RemoveChild(c)
		default:
			prune(c)
		}
	}
}

// gone are the elements that have nothing to read in them.
func gone(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Script, atom.Style, atom.Noscript, atom.Template, atom.Svg, atom.Iframe, atom.Object, atom.Embed, atom.Canvas, atom.Audio, atom.Video,
		atom.Button, atom.Select, atom.Textarea, atom.Datalist, atom.Link, atom.Meta, atom.Map, atom.Dialog:
		return true
	case atom.Input:
		return attr(n, "type") != "checkbox"
	}
	return false
}

var hiding = lazyregexp.New(`(?i)(display\s*:\s*none|visibility\s*:\s*(hidden|collapse)|(font-size|opacity)\s*:\s*0*(\.0*)?(px|em|rem|pt|%)?\s*(;|!|$))`)

// hidden reports whether a person would not see the element.
func hidden(n *html.Node) bool {
	for _, a := range n.Attr {
		switch a.Key {
		case "hidden":
			return a.Val != "until-found"
		case "aria-hidden":
			return a.Val == "true" && n.DataAtom != atom.Body
		case "style":
			if hiding.MatchString(a.Val) {
				return true
			}
		}
	}
	return hasClass(n, "sr-only", "visually-hidden", "screen-reader-text")
}

// isMark reports whether an element is a mark for the mouse: the sign that
// links to a heading, the number of a line of code.
func isMark(n *html.Node) bool {
	if hasClass(n, "linenos", "lineno", "linenodiv", "line-numbers-rows", "gutter", "MathJax_Preview", "mw-editsection") {
		return true
	}
	if n.DataAtom != atom.A {
		return false
	}
	if hasClass(n, "headerlink", "header-anchor", "anchorjs-link", "hash-link") {
		return true
	}
	switch strings.TrimSpace(text(n)) {
	case "¶", "#", "§", "🔗", "":
		return strings.HasPrefix(attr(n, "href"), "#")
	}
	return false
}

// asFormula turns an element into a formula in LaTeX.
func asFormula(n *html.Node, tex string, display bool) {
	tex = strings.TrimSpace(tex)
	if rest, ok := strings.CutPrefix(tex, `{\displaystyle`); ok {
		tex = strings.TrimSpace(strings.TrimSuffix(rest, "}"))
	}
	for n.FirstChild != nil {
		n.RemoveChild(n.FirstChild)
	}
	n.Type, n.DataAtom, n.Data, n.Namespace, n.Attr = html.ElementNode, 0, "x-formula", "", nil
	if display {
		n.Data = "x-formula-block"
	}
	n.AppendChild(&html.Node{Type: html.TextNode, Data: tex})
}

// texOf finds the LaTeX that a formula in MathML carries with it, or else its
// letters.
func texOf(n *html.Node) string {
	if tex := attr(n, "alttext"); tex != "" {
		return tex
	}
	for c := range n.Descendants() {
		if c.Data == "annotation" && strings.Contains(attr(c, "encoding"), "tex") {
			return text(c)
		}
	}
	return line(text(n), maxText)
}
