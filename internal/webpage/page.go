// Package webpage turns the HTML of a page into Markdown that a model can
// read: what the page is about first, its menus and notes after it.
//
// Its one rule: a page is written by a stranger. Work and output are linear in
// its size and bounded, what a person would not see is left out, and nothing in
// it is followed or run.
package webpage

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

const (
	maxSource = 8 << 20 // bytes of HTML that are read
	maxText   = 8 << 20 // bytes of Markdown of one page
	maxTitle  = 300
)

// A Page is what is to be read on a page.
type Page struct {
	Title string
	Date  string // when it was published, if it says so
	Main  string // Markdown of what the page is about
	Rest  string // Markdown of everything else
	Next  string // where the page sends its reader at once, "" if it does not
	Cut   bool   // there is more, which was too much
}

// Read reads the HTML of the page at the address.
func Read(source string, at *url.URL) *Page {
	cut := len(source) > maxSource
	source = source[:min(len(source), maxSource)]
	doc, err := html.ParseWithOptions(strings.NewReader(source), html.ParseOptionEnableScripting(false))
	if err != nil { // nested too deeply for any reader
		text, more := plainText(source)
		return &Page{Main: text, Cut: cut || more}
	}
	p := &Page{}
	body := p.head(doc, at)
	if base := find(doc, atom.Base); base != nil {
		if u, err := at.Parse(attr(base, "href")); err == nil {
			at = u
		}
	}
	prune(body)
	content := mainOf(body)
	if content != body {
		detach(content)
	}
	aside := &html.Node{Type: html.ElementNode, DataAtom: atom.Div, Data: "div"}
	for _, n := range collect(content, func(n *html.Node) bool { return n != content && isAside(n, content == body) }) {
		detach(n)
		aside.AppendChild(n)
	}
	main := renderer{at: at}
	p.Main = main.render(content)
	rest := renderer{at: at}
	if content != body {
		rest.walk(body)
	}
	p.Rest = rest.render(aside)
	p.Cut = cut || main.full || rest.full
	if p.Main == "" {
		p.Main, p.Rest = p.Rest, ""
	}
	return p
}

// head takes the title and the date, and returns the body.
func (p *Page) head(doc *html.Node, at *url.URL) *html.Node {
	var title, named string
	for _, n := range collect(doc, func(n *html.Node) bool {
		return n.DataAtom == atom.Meta || n.DataAtom == atom.Title || n.DataAtom == atom.Time
	}) {
		switch name := strings.ToLower(attr(n, "property") + attr(n, "name") + attr(n, "itemprop")); {
		case n.DataAtom == atom.Title && title == "" && n.Namespace == "":
			title = text(n)
		case strings.EqualFold(attr(n, "http-equiv"), "refresh") && p.Next == "":
			p.Next = refresh(attr(n, "content"), at)
		case name == "og:title" && named == "":
			named = attr(n, "content")
		case name == "article:published_time", name == "datepublished", name == "citation_publication_date", name == "date":
			if p.Date == "" {
				p.Date = line(attr(n, "content"), 40)
			}
		}
	}
	p.Title = line(title, maxTitle)
	if p.Title == "" {
		p.Title = line(named, maxTitle)
	}
	if body := find(doc, atom.Body); body != nil {
		return body
	}
	return doc
}

// refresh is the address in what a page says of its refreshing.
func refresh(content string, at *url.URL) string {
	_, to, _ := strings.Cut(content, ";")
	name, to, ok := strings.Cut(to, "=")
	u, err := at.Parse(strings.Trim(to, ` '"`))
	if !ok || !strings.EqualFold(strings.TrimSpace(name), "url") || err != nil || u.Scheme != "http" && u.Scheme != "https" || u.String() == at.String() {
		return ""
	}
	return line(u.String(), maxAddress)
}

// isAside reports whether an element stands beside the content: menus always,
// the head and foot of a page only where the content is the whole page.
func isAside(n *html.Node, whole bool) bool {
	role := attr(n, "role")
	switch n.DataAtom {
	case atom.Nav:
		return true
	case atom.Footer, atom.Aside:
		return whole
	case atom.Header:
		return whole && find(n, atom.H1) == nil
	}
	return role == "navigation" || whole && (role == "contentinfo" || role == "banner" && find(n, atom.H1) == nil)
}

// plainText is what stands between the tags.
func plainText(source string) (string, bool) {
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(source))
	skip := ""
	for {
		switch z.Next() {
		case html.ErrorToken:
			return strings.TrimSpace(b.String()), false
		case html.StartTagToken:
			if name, _ := z.TagName(); string(name) == "script" || string(name) == "style" {
				skip = string(name)
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); string(name) == skip {
				skip = ""
			}
		case html.TextToken:
			if words := strings.Fields(string(z.Text())); skip == "" && len(words) > 0 {
				b.WriteString(strings.Join(words, " ") + "\n")
			}
		}
		if b.Len() > maxText {
			return b.String(), true
		}
	}
}

// The tree.

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name && a.Namespace == "" {
			return a.Val
		}
	}
	return ""
}

func hasClass(n *html.Node, names ...string) bool {
	class := attr(n, "class")
	if class == "" {
		return false
	}
	for name := range strings.FieldsSeq(class) {
		if slices.Contains(names, name) {
			return true
		}
	}
	return false
}

// find returns the first element of the kind in the tree.
func find(n *html.Node, kind atom.Atom) *html.Node {
	for c := range n.Descendants() {
		if c.DataAtom == kind && c.Type == html.ElementNode {
			return c
		}
	}
	return nil
}

// collect lists the outermost elements that match.
func collect(n *html.Node, match func(*html.Node) bool) (all []*html.Node) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.ElementNode && match(c) {
			all = append(all, c)
			continue
		}
		all = append(all, collect(c, match)...)
	}
	return all
}

func detach(n *html.Node) {
	if n.Parent != nil {
		n.Parent.RemoveChild(n)
	}
}

// text is all text of a tree as it stands there.
func text(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		} else if c.DataAtom == atom.Br {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// line is text in one line of at most so many bytes.
func line(s string, most int) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
