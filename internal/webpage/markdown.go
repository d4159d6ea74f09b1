package webpage

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

const (
	maxNesting = 12  // of lists and quotations; what is deeper stands at this depth
	maxAddress = 500 // bytes of a link
	maxScript  = 40  // bytes that are raised or lowered; more is text
)

// A renderer writes a tree as Markdown, block by block.
type renderer struct {
	at  *url.URL // what links are relative to
	out strings.Builder

	words  strings.Builder // the paragraph so far
	last   byte            // of words
	prefix []string        // of each line, from the lists and quotations around
	depth  int             // of nesting
	marker string          // of the list item that has no line yet
	tight  bool            // the item that begins is not the first
	in     inside
	full   bool // maxText is reached
}

// inside says in which elements a text is. One within another of its kind is
// not written again, which also bounds how often a text is looked at.
type inside struct{ link, strong, struck, script bool }

// render writes a tree and returns all that was written.
func (r *renderer) render(n *html.Node) string {
	r.walk(n)
	r.flush()
	return strings.TrimRight(r.out.String(), "\n ")
}

func (r *renderer) children(n *html.Node) {
	for c := n.FirstChild; c != nil && !r.full; c = c.NextSibling {
		r.walk(c)
	}
}

func (r *renderer) walk(n *html.Node) {
	switch n.Type {
	case html.TextNode:
		r.say(n.Data)
		return
	case html.ElementNode:
	default:
		r.children(n)
		return
	}
	if r.inline(n) {
		return
	}
	r.flush()
	switch n.DataAtom {
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		if title := line(r.apart(n), maxTitle); title != "" {
			r.block(strings.Repeat("#", int(n.Data[1]-'0')) + " " + title)
		}
	case atom.Pre:
		r.code(n)
	case atom.Ul, atom.Ol, atom.Menu:
		r.list(n)
	case atom.Blockquote:
		r.nest("", "> ", func() { r.children(n) })
	case atom.Dd:
		r.nest("", "  ", func() { r.children(n) })
	case atom.Summary:
		if s := line(r.apart(n), maxTitle); s != "" {
			r.block("**" + s + "**")
		}
	case atom.Hr:
		r.block("---")
	case atom.Table:
		r.table(n)
	default:
		if n.Data == "x-formula-block" {
			r.block("$$" + text(n) + "$$")
			return
		}
		r.children(n)
	}
	r.flush()
}

// inline writes an element that stands within a paragraph, and reports
// whether it was one.
func (r *renderer) inline(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Br:
		r.raw("\n")
	case atom.A:
		r.link(n)
	case atom.Img:
		r.image(n)
	case atom.Strong, atom.B:
		r.once(n, &r.in.strong, func() { r.wrapped(n, "**") })
	case atom.Code, atom.Kbd, atom.Samp, atom.Tt:
		r.quoteCode(strings.TrimSpace(text(n)))
	case atom.Sup, atom.Sub:
		r.once(n, &r.in.script, func() { r.script(n) })
	case atom.Del, atom.S, atom.Strike:
		r.once(n, &r.in.struck, func() { r.wrapped(n, "~~") })
	case atom.Input:
		r.raw(map[bool]string{true: "[x] ", false: "[ ] "}[checked(n)])
	case atom.Span, atom.Em, atom.I, atom.U, atom.Small, atom.Abbr, atom.Cite, atom.Mark, atom.Q, atom.Time, atom.Var, atom.Font, atom.Label, atom.Ins, atom.Bdi, atom.Wbr, atom.Big, atom.Dfn, atom.Data, atom.Ruby:
		r.children(n)
	default:
		if n.Data != "x-formula" {
			return false
		}
		r.raw("$" + text(n) + "$")
	}
	return true
}

func checked(n *html.Node) bool {
	for _, a := range n.Attr {
		if a.Key == "checked" {
			return true
		}
	}
	return false
}

// say adds text to the paragraph, with white space as a browser shows it.
func (r *renderer) say(s string) {
	for i, word := range strings.Fields(s) {
		if (i > 0 || isSpace(s[0])) && r.last != 0 && r.last != ' ' && r.last != '\n' {
			r.words.WriteByte(' ')
		}
		r.words.WriteString(word)
		r.last = word[len(word)-1]
	}
	if s != "" && isSpace(s[len(s)-1]) && r.last != 0 && r.last != ' ' && r.last != '\n' {
		r.words.WriteByte(' ')
		r.last = ' '
	}
}

func isSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\t' || b == '\r' || b == '\f' }

// raw adds text to the paragraph as it is.
func (r *renderer) raw(s string) {
	if s != "" {
		r.words.WriteString(s)
		r.last = s[len(s)-1]
	}
}

// apart returns the text of an element's children without writing it.
func (r *renderer) apart(n *html.Node) string {
	sub := renderer{at: r.at, in: r.in}
	sub.children(n)
	sub.flush()
	return strings.TrimSpace(sub.out.String())
}

// once writes an element that is not within another of its kind, and has no
// blocks in it, in its own way.
func (r *renderer) once(n *html.Node, kind *bool, write func()) {
	if *kind || hasBlock(n) {
		r.children(n)
		return
	}
	*kind = true
	write()
	*kind = false
}

func (r *renderer) wrapped(n *html.Node, mark string) {
	s := r.apart(n)
	if s == "" || strings.Contains(s, "\n") {
		r.children(n)
		return
	}
	r.space(n.FirstChild, true)
	r.raw(mark + s + mark)
	r.space(n.LastChild, false)
}

// space keeps the white space at the edge of an element.
func (r *renderer) space(edge *html.Node, front bool) {
	if edge == nil || edge.Type != html.TextNode || edge.Data == "" {
		return
	}
	at := len(edge.Data) - 1
	if front {
		at = 0
	}
	if isSpace(edge.Data[at]) {
		r.say(" ")
	}
}

// quoteCode writes code within a paragraph.
func (r *renderer) quoteCode(s string) {
	if s == "" {
		return
	}
	s = line(s, len(s))
	fence := strings.Repeat("`", longestRun(s, '`')+1)
	if len(fence) > 1 {
		s = " " + s + " "
	}
	r.raw(fence + s + fence)
}

func longestRun(s string, c byte) (longest int) {
	run := 0
	for i := range len(s) {
		if s[i] != c {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}

// script writes what is raised or lowered, without which 10^-4 is 10-4.
func (r *renderer) script(n *html.Node) {
	sign := map[bool]string{true: "^", false: "_"}[n.DataAtom == atom.Sup]
	switch s := line(r.apart(n), maxTitle); {
	case s == "":
	case len(s) > maxScript:
		r.children(n)
	case strings.ContainsAny(s, "[("), r.last == 0:
		r.raw(s)
	case strings.ContainsAny(s, " +*/"):
		r.raw(sign + "(" + s + ")")
	default:
		r.raw(sign + s)
	}
}

// link writes a link with its whole address. One within the page is only its
// text.
func (r *renderer) link(n *html.Node) {
	to := r.address(attr(n, "href"))
	switch {
	case r.in.link || to == "":
		r.children(n)
		return
	case hasBlock(n): // a card
		r.in.link = true
		r.flush()
		r.children(n)
		r.in.link = false
		r.flush()
		r.block("<" + to + ">")
		return
	}
	r.in.link = true
	s := r.apart(n)
	s = line(s, len(s))
	r.in.link = false
	r.space(n.FirstChild, true)
	switch s {
	case "":
	case to:
		r.raw("<" + to + ">")
	default:
		r.raw("[" + s + "](" + to + ")")
	}
	r.space(n.LastChild, false)
}

// address is the whole address of a link, "" if it leads nowhere else.
func (r *renderer) address(href string) string {
	href = strings.TrimSpace(href)
	if href == "" || href[0] == '#' || len(href) > maxAddress {
		return ""
	}
	u, err := r.at.Parse(href)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "mailto" {
		return ""
	}
	if u.Fragment != "" && u.Host == r.at.Host && u.Path == r.at.Path && u.RawQuery == r.at.RawQuery {
		return ""
	}
	return strings.NewReplacer(" ", "%20", "(", "%28", ")", "%29", "<", "%3C", ">", "%3E").Replace(u.String())
}

func (r *renderer) image(n *html.Node) {
	alt := line(attr(n, "alt"), maxTitle)
	switch to := r.address(attr(n, "src")); {
	case alt == "":
	case strings.Contains(attr(n, "class"), "math-fallback"):
		formula := &html.Node{}
		asFormula(formula, alt, false)
		r.raw("$" + text(formula) + "$")
	case to == "" || r.in.link:
		r.raw("[image: " + alt + "]")
	default:
		r.raw("![" + alt + "](" + to + ")")
	}
}

// hasBlock reports whether blocks stand in an element that is meant to be
// within a paragraph.
func hasBlock(n *html.Node) bool {
	for c := range n.Descendants() {
		switch c.DataAtom {
		case atom.P, atom.Div, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Ul, atom.Ol, atom.Pre, atom.Table, atom.Blockquote, atom.Article, atom.Section, atom.Li:
			return true
		}
	}
	return false
}

// nest writes blocks with a prefix before each line, and a marker in its place
// before the first.
func (r *renderer) nest(marker, prefix string, write func()) {
	r.flush()
	saved := r.prefix
	if r.depth == maxNesting {
		r.raw(marker)
		write()
		r.flush()
		return
	}
	inner := slices.Clone(saved)
	if r.marker != "" { // an item that begins with a list or a quotation
		marker = r.marker + cmp.Or(marker, prefix)
		inner[len(inner)-1] += prefix
	} else {
		inner = append(inner, prefix)
	}
	r.prefix, r.marker = inner, marker
	r.depth++
	write()
	r.flush()
	r.depth--
	r.prefix, r.marker = saved, ""
}

func (r *renderer) list(n *html.Node) {
	number, err := strconv.Atoi(attr(n, "start"))
	if err != nil || number < 0 || number > 1e6 {
		number = 1
	}
	goesOn := r.depth > 0
	for c := n.FirstChild; c != nil && !r.full; c = c.NextSibling {
		if c.DataAtom != atom.Li {
			r.walk(c)
			continue
		}
		marker := "- "
		if n.DataAtom == atom.Ol {
			marker = fmt.Sprintf("%d. ", number)
			number++
		}
		r.flush()
		r.tight, goesOn = goesOn, true
		r.nest(marker, strings.Repeat(" ", len(marker)), func() { r.children(c) })
	}
}

// code writes a block of code, with its language if the page names it.
func (r *renderer) code(n *html.Node) {
	s := strings.Trim(strings.ReplaceAll(text(n), "\r", ""), "\n")
	if strings.TrimSpace(s) == "" {
		return
	}
	fence := strings.Repeat("`", max(3, longestRun(s, '`')+1))
	r.block(fence + language(n) + "\n" + s + "\n" + fence)
}

// language finds the name of a language in the classes of a block of code, of
// what is in it, and of what is around it.
func language(n *html.Node) string {
	near := []*html.Node{n, find(n, atom.Code)}
	for up := n.Parent; up != nil && len(near) < 5; up = up.Parent {
		near = append(near, up)
	}
	for _, at := range near {
		if at == nil {
			continue
		}
		for class := range strings.FieldsSeq(attr(at, "class")) {
			for _, before := range []string{"language-", "lang-", "highlight-source-", "highlight-"} {
				if name, ok := strings.CutPrefix(class, before); ok && isName(name) && name != "default" && name != "none" {
					return name
				}
			}
		}
	}
	return ""
}

func isName(s string) bool {
	return s != "" && len(s) < 20 && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789+#-") == ""
}

// flush ends the paragraph.
func (r *renderer) flush() {
	s := strings.TrimSpace(r.words.String())
	r.words.Reset()
	r.last = 0
	if s != "" {
		r.block(s)
	}
}

// block writes lines with the prefixes around them, and a blank line before
// them where no list goes on.
func (r *renderer) block(s string) {
	if r.out.Len()+len(s) > maxText {
		r.full = true
		return
	}
	inner, outer := strings.Join(r.prefix, ""), ""
	if r.marker != "" {
		outer = strings.Join(r.prefix[:len(r.prefix)-1], "")
	}
	if r.out.Len() > 0 && (r.marker == "" || !r.tight) {
		r.out.WriteString(strings.TrimRight(cmp.Or(outer, inner), " ") + "\n")
	}
	for l := range strings.Lines(s) {
		l = strings.TrimRight(l, " \n")
		if r.marker != "" {
			l, r.marker = outer+r.marker+l, ""
		} else if l != "" || strings.TrimSpace(inner) != "" {
			l = inner + l
		}
		r.out.WriteString(l + "\n")
		if r.out.Len() > maxText {
			r.full = true
			return
		}
	}
}
