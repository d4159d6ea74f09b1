package webpage

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"ml-intern/internal/lazyregexp"
)

// weights are what is known of the elements of a page.
type weights struct {
	text  map[*html.Node]int     // bytes of text in it
	links map[*html.Node]int     // of these, in links
	score map[*html.Node]float64 // how much it looks like the content
}

// weigh measures a tree from its leaves up.
func (w *weights) weigh(n *html.Node, inLink bool) (size, links int) {
	if n.Type == html.TextNode {
		size = len(strings.TrimSpace(n.Data))
		if inLink {
			links = size
		}
		return size, links
	}
	inLink = inLink || n.DataAtom == atom.A
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		s, l := w.weigh(c, inLink)
		size, links = size+s, links+l
	}
	if n.Type == html.ElementNode {
		w.text[n], w.links[n] = size, links
	}
	return size, links
}

const (
	leastMain      = 140 // bytes that an element named as the content must have
	leastParagraph = 25
)

// mainOf finds the element that holds what the page is about: the one that the
// page itself names, or the one with the most running text; the body if none
// stands out.
func mainOf(body *html.Node) *html.Node {
	w := &weights{map[*html.Node]int{}, map[*html.Node]int{}, map[*html.Node]float64{}}
	total, _ := w.weigh(body, false)
	for _, named := range []func(*html.Node) bool{
		func(n *html.Node) bool { return n.DataAtom == atom.Main || attr(n, "role") == "main" },
		func(n *html.Node) bool { return n.DataAtom == atom.Article || hasClass(n, "markdown-body") },
	} {
		best := largest(collect(body, named), w.text)
		if best != nil && w.text[best] >= leastMain && w.text[best]*3 >= total {
			return best
		}
	}
	w.rate(body)
	best, top := body, 0.0
	for n := range body.Descendants() {
		score := w.score[n]
		if score == 0 || w.text[n] == 0 {
			continue
		}
		score *= (1 - float64(w.links[n])/float64(w.text[n])) * hint(n)
		if score > top {
			best, top = n, score
		}
	}
	if w.text[best]*3 < total {
		return body
	}
	return best
}

func largest(nodes []*html.Node, size map[*html.Node]int) (best *html.Node) {
	for _, n := range nodes {
		if best == nil || size[n] > size[best] {
			best = n
		}
	}
	return best
}

// rate gives the elements around each paragraph their share of it.
func (w *weights) rate(body *html.Node) {
	for n := range body.Descendants() {
		switch n.DataAtom {
		case atom.P, atom.Pre, atom.Blockquote, atom.Li, atom.Dd, atom.Table:
		default:
			continue
		}
		size := w.text[n] - w.links[n]
		if size < leastParagraph {
			continue
		}
		score := 1 + min(float64(size)/100, 10)
		if n.DataAtom == atom.Li {
			score /= 3
		}
		for up, share := n.Parent, score; up != nil && up != body && share > score/8; up, share = up.Parent, share/2 {
			w.score[up] += share
		}
	}
}

var (
	likely   = lazyregexp.New(`(?i)\b(article|body|content|entry|main|post|text|doc|document|readme)`)
	unlikely = lazyregexp.New(`(?i)(comment|sidebar|footer|nav\b|menu|promo|related|cookie|banner|share|advert|\btoc\b)`)
)

// hint is what the names of an element say about it.
func hint(n *html.Node) float64 {
	name := attr(n, "id") + " " + attr(n, "class")
	switch {
	case n.DataAtom == atom.Nav || n.DataAtom == atom.Footer || n.DataAtom == atom.Aside || unlikely.MatchString(name):
		return 0.3
	case likely.MatchString(name):
		return 1.3
	}
	return 1
}
