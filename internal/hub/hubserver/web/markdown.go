package web

import (
	"bytes"
	"html"
	"net/url"
	"path"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"ml-intern/internal/markup"
)

// maxNest is how deep quotes and lists may be in each other: a card is data
// from outside, and some texts take a parser of Markdown very long.
const maxNest = 24

// A Markdown renders text of one place in a repository. The zero Markdown
// renders text of nowhere: relative links and pictures are their words.
type Markdown struct {
	Repo   string // /me/x
	Rev    string
	Folder string // that relative links start from
}

// HTML renders text. HTML in it is not passed on: of blocks the words are kept,
// of the rest nothing. Links lead to http and https, or to files of the
// repository; pictures come from the repository only.
func (m Markdown) HTML(source []byte) markup.HTML {
	source = bytes.ToValidUTF8(source, []byte("\ufffd"))
	if hard(source) {
		return markup.HTML("<pre>" + html.EscapeString(string(source)) + "</pre>")
	}
	md := goldmark.New(
		goldmark.WithExtensions(extension.GFM),
		goldmark.WithParserOptions(parser.WithAutoHeadingID(), parser.WithASTTransformers(util.Prioritized(m, 1000))),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(plainHTML{}, 1))),
	)
	var out bytes.Buffer
	if err := md.Convert(source, &out); err != nil {
		return markup.HTML("<pre>" + html.EscapeString(string(source)) + "</pre>")
	}
	return markup.HTML(out.String())
}

// Bounds of the signs that can open or close something, in a paragraph and in
// all, and of lines: the time that a parser takes grows with their square.
const (
	maxSignsRun = 2000
	maxSigns    = 20_000
	maxLines    = 10_000
	maxCells    = 100_000 // of tables: every line of one is made as wide as its head
)

// hard guesses whether a text would take a parser of Markdown long: a line that
// begins many blocks in each other, or signs as no writer sets them.
func hard(source []byte) bool {
	lines := bytes.Count(source, []byte("\n"))
	if lines > maxLines {
		return true
	}
	run, all, wide := 0, 0, 0
	for line := range bytes.Lines(source) {
		if len(bytes.TrimSpace(line)) == 0 {
			run = 0
		}
		if nested(line) {
			return true
		}
		for _, b := range line {
			if strings.IndexByte("[]*_~`<&", b) >= 0 {
				run, all = run+1, all+1
			}
		}
		wide = max(wide, bytes.Count(line, []byte("|")))
		if wide*lines > maxCells || run > maxSignsRun || all > maxSigns {
			return true
		}
	}
	return false
}

func nested(line []byte) bool {
	depth := 0
	for _, b := range line {
		if strings.IndexByte(">-*+0123456789.) \t", b) < 0 {
			break
		}
		if strings.IndexByte(">-*+.)", b) >= 0 {
			depth++
		}
	}
	rule := len(bytes.Trim(line, "-* \t\r\n")) == 0 && len(line) < 200
	return depth > maxNest && !rule || len(line)-len(bytes.TrimLeft(line, " \t")) > 16*maxNest
}

// Transform mends the addresses of links and pictures.
func (m Markdown) Transform(doc *ast.Document, reader text.Reader, _ parser.Context) {
	var pictures []*ast.Image
	var dead []*ast.Link
	var bare []*ast.AutoLink
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // nothing in it fails
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Link:
			if n.Destination = []byte(m.link(string(n.Destination))); len(n.Destination) == 0 {
				dead = append(dead, n)
			}
			n.SetAttributeString("rel", []byte("nofollow noopener noreferrer"))
		case *ast.AutoLink:
			if n.AutoLinkType == ast.AutoLinkURL && outside(string(n.URL(reader.Source()))) == "" {
				bare = append(bare, n)
			}
		case *ast.Image:
			pictures = append(pictures, n)
		}
		return ast.WalkContinue, nil
	})
	for _, n := range pictures {
		m.picture(n)
	}
	for _, n := range bare {
		n.Parent().ReplaceChild(n.Parent(), n, ast.NewString(n.Label(reader.Source())))
	}
	for _, n := range dead {
		unwrap(n, n)
	}
}

// unwrap puts what is in a node in its place.
func unwrap(n, from ast.Node) {
	parent := n.Parent()
	for child := from.FirstChild(); child != nil; child = from.FirstChild() {
		parent.InsertBefore(parent, n, child)
	}
	parent.RemoveChild(parent, n)
}

// picture shows a picture of the repository. For one from elsewhere, which the
// page may not load, there is a link.
func (m Markdown) picture(n *ast.Image) {
	to := string(n.Destination)
	if src := m.inside(to, "/resolve/"); src != "" {
		n.Destination = []byte(src)
		return
	}
	link := ast.NewLink()
	link.Destination, link.Title = []byte(outside(to)), n.Title
	link.SetAttributeString("rel", []byte("nofollow noopener noreferrer"))
	link.SetAttributeString("class", []byte("picture"))
	if !n.HasChildren() {
		link.AppendChild(link, ast.NewString([]byte("picture")))
	}
	for child := n.FirstChild(); child != nil; child = n.FirstChild() {
		link.AppendChild(link, child)
	}
	_, inLink := n.Parent().(*ast.Link)
	if inLink || len(link.Destination) == 0 { // of a badge in a link, the words are enough
		unwrap(n, link)
		return
	}
	n.Parent().ReplaceChild(n.Parent(), n, link)
}

func (m Markdown) link(to string) string {
	if strings.HasPrefix(to, "#") {
		return "#" + url.PathEscape(to[1:])
	}
	if out := outside(to); out != "" {
		return out
	}
	return m.inside(to, "/blob/")
}

// outside is an address on the web, "" if it is not one.
func outside(to string) string {
	u, err := url.Parse(strings.TrimSpace(to))
	if err != nil || u.Host == "" {
		return ""
	}
	switch u.Scheme {
	case "http", "https":
		return u.String()
	case "": // of whatever scheme we are reached by
		u.Scheme = "https"
		return u.String()
	}
	return ""
}

// inside is the address of a file that a card names by a relative path, "" if
// it names none.
func (m Markdown) inside(to, action string) string {
	u, err := url.Parse(strings.TrimSpace(to))
	if err != nil || m.Repo == "" || u.Scheme != "" || u.Host != "" || u.Opaque != "" || u.Path == "" {
		return ""
	}
	name := strings.TrimPrefix(path.Clean("/"+path.Join(m.Folder, u.Path)), "/")
	if strings.HasPrefix(u.Path, "/") {
		name = strings.TrimPrefix(path.Clean(u.Path), "/")
	}
	out := m.Repo + action + url.PathEscape(m.Rev) + "/" + Escape(name)
	if u.Fragment != "" {
		out += "#" + url.PathEscape(u.Fragment)
	}
	return out
}

// plainHTML renders the HTML that is in Markdown as the words in it.
type plainHTML struct{}

// RegisterFuncs is for goldmark.
func (plainHTML) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindHTMLBlock, func(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		var raw bytes.Buffer
		for i := range n.Lines().Len() {
			line := n.Lines().At(i)
			raw.Write(line.Value(source))
		}
		if block := n.(*ast.HTMLBlock); block.HasClosure() {
			raw.Write(block.ClosureLine.Value(source))
		}
		if words := words(raw.String()); words != "" {
			_, _ = w.WriteString("<p>" + html.EscapeString(words) + "</p>\n")
		}
		return ast.WalkContinue, nil
	})
	r.Register(ast.KindRawHTML, func(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering && strings.HasPrefix(strings.ToLower(string(n.(*ast.RawHTML).Segments.Value(source))), "<br") {
			_, _ = w.WriteString("<br>")
		}
		return ast.WalkSkipChildren, nil
	})
}

// words are what is between the tags of HTML, without scripts and styles.
func words(raw string) string {
	var out strings.Builder
	for raw != "" {
		before, rest, tag := strings.Cut(raw, "<")
		out.WriteString(before + " ")
		if !tag {
			break
		}
		end := ">"
		switch lower := strings.ToLower(rest); {
		case strings.HasPrefix(rest, "!--"):
			end = "-->"
		case strings.HasPrefix(lower, "script"):
			end = "</script>"
		case strings.HasPrefix(lower, "style"):
			end = "</style>"
		}
		at := strings.Index(strings.ToLower(rest), end)
		if at < 0 {
			break
		}
		raw = rest[at+len(end):]
	}
	return strings.Join(strings.Fields(html.UnescapeString(out.String())), " ")
}
