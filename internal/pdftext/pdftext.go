// Package pdftext takes the text out of a PDF, line by line.
//
// Its one rule: the file is hostile or broken until shown otherwise. Nothing it
// says is believed without a bound, nothing makes this package panic, and a file
// that gives no text is an error, never an empty success.
//
// It is written by hand because papers set by TeX have no spaces: words are
// apart by position alone, and readers that do not measure run them together.
// PDFium does, at the price of 10 MB and seconds of start; this needs neither.
package pdftext

import (
	"fmt"
	"strings"
)

// A Line is a line of a page as it was drawn.
type Line struct {
	Text string
	Size float64 // of most of its letters, in points
	Bold bool    // most of its letters are
	Gap  bool    // there is more room above it than between lines
}

// A Page is a page's lines in the order that they were drawn, which is the
// order of reading in papers, columns included.
type Page []Line

// Limits of what is read of one file.
const (
	maxPages = 2000
	maxText  = 16 << 20
	maxOps   = 20_000_000
	maxPiece = 500_000 // of one page
)

// Read returns the text of all pages.
func Read(b []byte) (out []Page, err error) {
	defer func() {
		if p := recover(); p != nil { // a file may break what no test foresaw
			out, err = nil, fmt.Errorf("read PDF: the file is damaged: %v", p)
		}
	}()
	f, err := open(b)
	if err != nil {
		return nil, fmt.Errorf("read PDF: %w", err)
	}
	p := &pages{file: f, fonts: map[ref]*font{}, glyphs: glyphs(), seen: map[ref]bool{}}
	root := p.dict(p.trailer["Root"])
	p.walk(root["Pages"], dict{}, 0)
	if len(p.out) == 0 {
		return nil, fmt.Errorf("read PDF: the file is damaged or cut: no page was found")
	}
	if p.letters == 0 {
		return nil, fmt.Errorf("read PDF: %w", ErrNoText)
	}
	return p.out, nil
}

// pages goes through the tree of pages.
type pages struct {
	*file
	fonts     map[ref]*font
	glyphs    map[string]string
	seen      map[ref]bool
	out       []Page
	letters   int
	ops       int // operators so far
	fontsRead int
}

// walk visits a node of the tree. Resources are inherited.
func (p *pages) walk(v any, inherited dict, depth int) {
	if r, ok := v.(ref); ok {
		if p.seen[r] {
			return
		}
		p.seen[r] = true
	}
	node := p.dict(v)
	if node == nil || depth > maxNesting || len(p.out) >= maxPages {
		return
	}
	resources := inherited
	if own := p.dict(node["Resources"]); own != nil {
		resources = own
	}
	if kids := p.array(node["Kids"]); kids != nil {
		for _, kid := range kids {
			p.walk(kid, resources, depth+1)
		}
		return
	}
	if p.letters > maxText {
		return
	}
	d := &drawing{pages: p}
	d.draw(p.contents(node["Contents"]), resources, 0)
	page := d.lines()
	for _, line := range page {
		p.letters += len(line.Text)
	}
	p.out = append(p.out, page)
}

func (p *pages) contents(v any) []byte {
	switch v := p.get(v).(type) {
	case stream:
		return p.decode(v)
	case array:
		var all []byte
		for _, part := range v {
			if s, ok := p.get(part).(stream); ok && len(all) < maxStream {
				all = append(append(all, p.decode(s)...), '\n')
			}
		}
		return all
	}
	return nil
}

// Texts returns the text of each page.
func Texts(b []byte) ([]string, error) {
	pages, err := Read(b)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(pages))
	for i, page := range pages {
		texts[i] = page.Text()
	}
	return texts, nil
}

// Text is a page as text, paragraphs apart and words broken at line ends whole.
func (p Page) Text() string {
	var b strings.Builder
	for i, line := range p {
		text := line.Text
		switch {
		case i == 0:
		case line.Gap:
			b.WriteString("\n\n")
		case broken(p[i-1].Text, text):
			word, rest, more := strings.Cut(text, " ")
			b.WriteString(word)
			if text = rest; more {
				b.WriteByte('\n')
			}
		default:
			b.WriteByte('\n')
		}
		if i+1 < len(p) && !p[i+1].Gap && broken(text, p[i+1].Text) {
			text = strings.TrimSuffix(text, "-")
		}
		b.WriteString(text)
	}
	return b.String()
}

// broken reports whether a word goes on in the next line.
func broken(line, next string) bool {
	if len(line) < 3 || !strings.HasSuffix(line, "-") || next == "" {
		return false
	}
	before := line[len(line)-2]
	return before >= 'a' && before <= 'z' && next[0] >= 'a' && next[0] <= 'z'
}
