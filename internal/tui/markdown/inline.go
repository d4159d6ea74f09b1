package markdown

import (
	"html"
	"strings"

	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"

	"ml-intern/internal/tui/style"
)

// inline returns the text in a node with its styles.
func (b *block) inline(n ast.Node, s style.Style) []style.Span {
	var out []style.Span
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		out = append(out, b.span(c, s)...)
	}
	return out
}

func (b *block) span(n ast.Node, s style.Style) []style.Span {
	switch n := n.(type) {
	case *ast.Text:
		return b.text(n, s)
	case *ast.String:
		return spans(string(n.Value), s)
	case *ast.CodeSpan:
		s.Role = style.Code
		return spans(strings.ReplaceAll(b.plain(n), "\n", " "), s)
	case *ast.Emphasis:
		if n.Level == 1 {
			s.Attr |= style.Italic
		} else {
			s.Attr |= style.Bold
		}
		return b.inline(n, s)
	case *east.Strikethrough:
		s.Attr |= style.Strike
		return b.inline(n, s)
	case *ast.Link:
		return b.link(b.inline(n, linked(s, string(n.Destination))), string(n.Destination), s)
	case *ast.AutoLink:
		address := string(n.URL(b.source))
		return spans(string(n.Label(b.source)), linked(s, address))
	case *ast.Image:
		name := s
		name.Role = style.Muted
		return append(spans("image: ", name), b.link(b.inline(n, linked(s, string(n.Destination))), string(n.Destination), s)...)
	case *ast.RawHTML:
		return b.html(n, s)
	case *east.TaskCheckBox:
		if n.IsChecked {
			return spans("[x] ", style.Style{Role: style.Good})
		}
		return spans("[ ] ", style.Style{Role: style.Muted})
	}
	return b.inline(n, s)
}

func spans(text string, s style.Style) []style.Span {
	return []style.Span{{Text: strings.ReplaceAll(style.Clean(text), "\t", " "), Style: s}}
}

func linked(s style.Style, address string) style.Style {
	s.Role, s.Link = style.Link, address
	s.Attr |= style.Underline
	return s
}

// link shows the address behind the words if nobody could see it otherwise: the
// terminal has no hyperlinks, it is none of the web, or the words look like
// another address.
func (b *block) link(words []style.Span, address string, s style.Style) []style.Span {
	shown := style.Line(words).Plain()
	same := strings.TrimSuffix(shown, "/") == strings.TrimSuffix(address, "/") || "mailto:"+shown == address
	if same || address == "" || b.hyperlinks && style.Address(address) && !strings.Contains(shown, "://") && !strings.HasPrefix(shown, "www.") {
		return words
	}
	s.Role = style.Muted
	if shown == "" {
		return append(words, spans(address, linked(s, address))...)
	}
	return append(words, spans(" ("+address+")", s)...)
}

// text keeps the ends of lines: models do not break lines to fit a width, so
// where they do they mean it.
func (b *block) text(n *ast.Text, s style.Style) []style.Span {
	value := string(n.Segment.Value(b.source))
	if !n.IsRaw() {
		value = unescape(value)
	}
	if n.HardLineBreak() || n.SoftLineBreak() {
		value = strings.TrimRight(value, " ") + "\n"
	}
	return spans(value, s)
}

// plain is the text in a node without any meaning of its signs.
func (b *block) plain(n ast.Node) string {
	var out strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*ast.Text); ok {
			out.Write(t.Segment.Value(b.source))
		}
	}
	return out.String()
}

// html shows tags as text; a line break is one.
func (b *block) html(n *ast.RawHTML, s style.Style) []style.Span {
	var out strings.Builder
	for i := range n.Segments.Len() {
		seg := n.Segments.At(i)
		out.Write(seg.Value(b.source))
	}
	if tag := strings.ToLower(strings.Trim(out.String(), "</> ")); tag == "br" {
		return spans("\n", s)
	}
	s.Role = style.Muted
	return spans(out.String(), s)
}

// unescape resolves \* and &amp;.
func unescape(text string) string {
	if !strings.ContainsAny(text, `\&`) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text) && punctuation(text[i+1]):
			i++
			b.WriteByte(text[i])
		case text[i] == '&':
			end := strings.IndexByte(text[i:], ';')
			if end < 0 || end > 40 {
				b.WriteByte('&')
				continue
			}
			b.WriteString(html.UnescapeString(text[i : i+end+1]))
			i += end
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

func punctuation(c byte) bool {
	return c > ' ' && c < 0x7f && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}

// hard guesses whether a text would take the parser long, or deep: many blocks
// that begin on one line.
func hard(source []byte) bool {
	for l := range strings.Lines(string(source)) {
		starts, in := 0, 0
		for in < len(l) && strings.IndexByte(" \t>-+*.)0123456789", l[in]) >= 0 {
			if strings.IndexByte(">-+*.)", l[in]) >= 0 {
				starts++
			}
			in++
		}
		if starts > maxNest && !rulePattern.MatchString(strings.TrimRight(l, "\n")) && !setext.MatchString(strings.TrimRight(l, "\n")) {
			return true
		}
	}
	return false
}

// maxNest is how deep quotes and lists may be in each other on a line.
const maxNest = 12
