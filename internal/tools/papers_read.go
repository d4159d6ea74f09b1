package tools

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"ml-intern/internal/paper"
	"ml-intern/internal/tool"
)

const (
	maxPart     = 12_000 // bytes of a paper in one answer
	maxContents = 150    // sections in the table of contents
	previewSize = 150
)

// readPaper shows the table of contents, or a part of the text.
func (p papersTool) readPaper(ctx context.Context) (tool.Output, error) {
	doc, err := p.client.Read(ctx, p.id)
	if err != nil {
		return tool.Output{}, err
	}
	switch strings.ToLower(strings.TrimSpace(p.in.Section)) {
	case "":
		return contents(doc), nil
	case "all":
		return p.part(doc, "the whole text", doc.Text), nil
	}
	if s, ok := doc.Find(p.in.Section); ok {
		return p.part(doc, s.Heading(), doc.SectionText(s)), nil
	}
	if strings.EqualFold(strings.TrimSpace(p.in.Section), "abstract") && doc.Abstract != "" {
		return p.part(doc, "the abstract", doc.Abstract), nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "paper %s has no section %q; read one of these:\n", doc.ID, briefly(p.in.Section, 100))
	tableOfContents(&b, doc, false)
	out := heard(doc.Source, b.String(), "no section %q in %s", briefly(p.in.Section, 100), doc.ID)
	out.IsError = true
	return out, nil
}

// contents is the head of a paper and its sections.
func contents(doc *paper.Document) tool.Output {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", briefly(doc.Title, 500))
	if n := len(doc.Authors); n > 0 {
		fmt.Fprintf(&b, "by %s\n", briefly(strings.Join(doc.Authors, ", "), 500))
	}
	fmt.Fprintf(&b, "%s, read from %s\n", doc.ID.Page(), doc.Format)
	noted(&b, doc.Notes)
	if doc.Abstract != "" {
		fmt.Fprintf(&b, "\n%s\n", briefly(doc.Abstract, 3000))
	}
	b.WriteString("\nSections (id · title · size · beginning):\n")
	tableOfContents(&b, doc, true)
	b.WriteString("read one with section: its id\n")
	return heard(doc.Source, b.String(), "%s: %d sections of %s", doc.ID, len(doc.Sections), briefly(doc.Title, 150))
}

// tableOfContents lists the sections. Of very many the deepest are left out.
func tableOfContents(b *strings.Builder, doc *paper.Document, previews bool) {
	deepest := 8
	within := func() (n int) {
		for _, s := range doc.Sections {
			if s.Level <= deepest {
				n++
			}
		}
		return n
	}
	for deepest > 1 && within() > maxContents {
		deepest--
	}
	shown := 0
	for _, s := range doc.Sections {
		if s.Level > deepest || shown == maxContents {
			continue
		}
		shown++
		fmt.Fprintf(b, "%s- %s · %s · %s", strings.Repeat("  ", s.Level-1), s.ID, briefly(s.Title, 200), bytesOf(int64(s.End-s.Start)))
		if preview := doc.Preview(s, previewSize); previews && preview != "" {
			fmt.Fprintf(b, " · %s", preview)
		}
		b.WriteByte('\n')
	}
	if more := len(doc.Sections) - shown; more > 0 {
		fmt.Fprintf(b, "[%d smaller sections are not listed; they are in the text of those above them]\n", more)
	}
}

// part is a piece of the text from the offset on, cut between lines.
func (p papersTool) part(doc *paper.Document, name, text string) tool.Output {
	from := p.in.Offset
	if from < 0 || from >= len(text) && from > 0 {
		return badArgs("offset %d is not in %s, which has %d bytes", from, briefly(name, 200), len(text))
	}
	for from > 0 && !utf8.RuneStart(text[from]) {
		from--
	}
	piece := text[from:]
	to := len(text)
	if len(piece) > maxPart {
		piece = piece[:cutPlace(piece, maxPart)]
		to = from + len(piece)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s · %s\n", doc.ID, briefly(doc.Title, 200))
	noted(&b, doc.Notes)
	if from > 0 {
		fmt.Fprintf(&b, "[%s, from byte %d]\n", briefly(name, 200), from)
	}
	b.WriteString("\n" + strings.TrimSpace(piece) + "\n")
	if to < len(text) {
		fmt.Fprintf(&b, "\n[%d of %d bytes; go on with section %q and offset %d]\n", to-from, len(text), p.in.Section, to)
	}
	return heard(doc.Source, b.String(), "%s of %s, bytes %d to %d of %d", briefly(name, 100), doc.ID, from, to, len(text))
}

// cutPlace is where a text is best cut at or before a limit: after a paragraph,
// a line or a letter.
func cutPlace(text string, limit int) int {
	head := text[:limit]
	for _, end := range []string{"\n\n", "\n", " "} {
		if i := strings.LastIndex(head, end); i > limit/2 {
			return i + len(end)
		}
	}
	for limit > 1 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return limit
}

func (p papersTool) citations(ctx context.Context) (tool.Output, error) {
	edges, err := p.client.Citations(ctx, p.id, p.in.Limit, p.in.Offset)
	return p.edges(edges, "papers that cite", err)
}

func (p papersTool) references(ctx context.Context) (tool.Output, error) {
	edges, err := p.client.References(ctx, p.id, p.in.Limit, p.in.Offset)
	return p.edges(edges, "papers cited by", err)
}

func (p papersTool) edges(edges paper.Edges, what string, err error) (tool.Output, error) {
	if err != nil {
		return tool.Output{}, err
	}
	var b strings.Builder
	noted(&b, edges.Notes)
	for i, e := range edges.List {
		fmt.Fprintf(&b, "%d. %s", max(p.in.Offset, 0)+i+1, paperLine(e.Paper))
		if e.Influential {
			b.WriteString(" · influential")
		}
		if len(e.Intents) > 0 {
			fmt.Fprintf(&b, " · for %s", briefly(strings.Join(e.Intents, ", "), 100))
		}
		b.WriteByte('\n')
		for _, text := range e.Contexts {
			fmt.Fprintf(&b, "   > %s\n", briefly(text, 250))
		}
	}
	if edges.More > 0 {
		fmt.Fprintf(&b, "[there are more: go on with offset %d]\n", edges.More)
	}
	return heard(edges.Source, b.String(), "%d %s %s", len(edges.List), what, p.id.Number), nil
}

func (p papersTool) snippets(ctx context.Context) (tool.Output, error) {
	found, err := p.client.Snippets(ctx, p.options())
	if err != nil {
		return tool.Output{}, err
	}
	var b strings.Builder
	noted(&b, found.Notes)
	for i, s := range found.List {
		fmt.Fprintf(&b, "%d. %s", i+1, paperLine(s.Paper))
		if s.Section != "" {
			fmt.Fprintf(&b, " · section %s", briefly(s.Section, 150))
		}
		fmt.Fprintf(&b, "\n   > %s\n", briefly(s.Text, 1000))
	}
	return heard(found.Source, b.String(), "%d passages for %q from %s", len(found.List), briefly(p.in.Query, 100), found.Source), nil
}
