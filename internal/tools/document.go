package tools

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"ml-intern/internal/fetch"
	"ml-intern/internal/webpage"
)

// A document is a page of the web as text, to be read in parts.
type document struct {
	id    string // of its text
	kind  string // HTML, PDF, JSON, Markdown or text
	title string
	facts []string // lines about it, for its first part
	text  string
}

// documents keeps the last few that were read, since a long one is read part
// by part.
type documents struct {
	pdf   pdfReader
	large chan struct{} // held by the one that converts a large page

	mu   sync.Mutex
	last []*document
	keys []string
}

const (
	keptDocuments = 4
	keptText      = 4 << 20 // bytes; a longer one is made again for each part
	smallPage     = 1 << 20 // bytes; of larger ones one is converted at a time: it takes many times its size
)

// read turns an answer into a document.
func (s *documents) read(ctx context.Context, resp *fetch.Response) (*document, error) {
	sum := sha256.Sum256(append([]byte(resp.URL+"\n"+resp.Type+"\n"), resp.Body...))
	key := hex.EncodeToString(sum[:])
	s.mu.Lock()
	for i, k := range s.keys {
		if k == key {
			s.mu.Unlock()
			return s.last[i], nil
		}
	}
	s.mu.Unlock()
	if len(resp.Body) > smallPage {
		select {
		case s.large <- struct{}{}:
			defer func() { <-s.large }()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	doc, err := s.convert(resp)
	if err != nil {
		return nil, err
	}
	text := sha256.Sum256([]byte(doc.text))
	doc.id = hex.EncodeToString(text[:3])
	doc.facts = append(doc.facts, "fetched: "+resp.Time.UTC().Format("2006-01-02 15:04 UTC"))
	if len(doc.text) <= keptText {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.last, s.keys = append([]*document{doc}, s.last...), append([]string{key}, s.keys...)
		s.last, s.keys = s.last[:min(len(s.last), keptDocuments)], s.keys[:min(len(s.keys), keptDocuments)]
	}
	return doc, nil
}

func (s *documents) convert(resp *fetch.Response) (*document, error) {
	kind := resp.Type
	if kind == "" || kind == "application/octet-stream" || kind == "binary/octet-stream" {
		kind, _, _ = strings.Cut(http.DetectContentType(resp.Body), ";")
	}
	switch {
	case len(bytes.TrimSpace(resp.Body)) == 0:
		return nil, errors.New("the page is empty; look for another form of it, or use another source")
	case kind == "text/html", kind == "application/xhtml+xml":
		return readHTML(resp)
	case kind == "application/pdf", bytes.HasPrefix(resp.Body, []byte("%PDF-")):
		return s.readPDF(resp)
	case kind == "application/json", strings.HasSuffix(kind, "+json"):
		return readJSON(resp)
	case isText(kind, resp.Body):
		d := &document{kind: "text", title: nameOf(resp.URL), text: resp.Text()}
		if kind == "text/markdown" || strings.HasSuffix(d.title, ".md") {
			d.kind = "Markdown"
		}
		return d, nil
	}
	return nil, fmt.Errorf("this is no text to read but %s of %s; a file of data is fetched in a command or a job, not here", kind, bytesOf(int64(len(resp.Body))))
}

func isText(kind string, body []byte) bool {
	switch strings.TrimPrefix(kind, "application/") {
	case "xml", "yaml", "x-yaml", "toml", "javascript", "x-javascript", "typescript", "x-sh", "x-python", "x-tex", "x-latex", "sql", "graphql", "x-ndjson", "jsonl", "rtf":
		return true
	}
	if strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+xml") {
		return true
	}
	known := strings.HasPrefix(kind, "image/") || strings.HasPrefix(kind, "audio/") || strings.HasPrefix(kind, "video/") || strings.HasPrefix(kind, "font/")
	head := body[:min(len(body), 8000)]
	return !known && bytes.IndexByte(head, 0) < 0 && utf8.Valid(bytes.ToValidUTF8(head, nil)) && len(bytes.ToValidUTF8(head, nil)) >= len(head)-3
}

// nameOf is the last part of an address.
func nameOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return cmp.Or(strings.Trim(path.Base(u.Path), "/."), u.Host)
}

// mostHTML is how much of a page is parsed: the tree of a page takes many times
// its size.
const mostHTML = 4 << 20

func readHTML(resp *fetch.Response) (*document, error) {
	at, err := url.Parse(resp.URL)
	if err != nil {
		return nil, err
	}
	head, cut := *resp, len(resp.Body)-mostHTML
	if cut > 0 {
		n := mostHTML
		for n > mostHTML-utf8.UTFMax && !utf8.RuneStart(resp.Body[n]) {
			n--
		}
		head.Body = resp.Body[:n]
	}
	source := head.Text()
	p := webpage.Read(source, at)
	switch {
	case webpage.Robot(source, p.Main):
		return nil, errors.New("the site shows a page for robots in place of this one; use another source for the same")
	case p.Main == "" && p.Next != "":
		return nil, fmt.Errorf("the page only leads to another: fetch %s", p.Next)
	case p.Main == "":
		return nil, errors.New("there is no text on the page: a script fills it in a browser; look for another form of it (a .md, a print view, an API) or another source")
	}
	d := &document{kind: "HTML", title: p.Title, text: p.Main + "\n"}
	if cut > 0 {
		d.facts = append(d.facts, "read: the first "+bytesOf(mostHTML)+" of the page; "+bytesOf(int64(cut))+" more were left out")
	}
	if p.Title != "" {
		d.facts = append(d.facts, "title: "+p.Title)
	}
	if p.Date != "" {
		d.facts = append(d.facts, "published: "+p.Date)
	}
	if p.Cut {
		d.facts = append(d.facts, "the page is very long; its end is missing")
	}
	if p.Rest != "" {
		d.text += "\n[the rest of the page: menus, notes]\n\n" + p.Rest + "\n"
	}
	return d, nil
}

func (s *documents) readPDF(resp *fetch.Response) (*document, error) {
	if s.pdf == nil {
		return nil, errors.New("this is a PDF, which is not read here; look for the same as a web page, or use papers")
	}
	pages, err := s.pdf(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%w; look for the same as a web page", err)
	}
	var b strings.Builder
	for i, page := range pages {
		if page = strings.TrimSpace(page); page != "" {
			fmt.Fprintf(&b, "[page %d]\n%s\n\n", i+1, page)
		}
	}
	if b.Len() == 0 {
		return nil, errors.New("the PDF has pictures of pages only, no text; look for another form of it")
	}
	return &document{kind: "PDF", title: nameOf(resp.URL), facts: []string{fmt.Sprintf("PDF of %d pages", len(pages))}, text: b.String()}, nil
}

func readJSON(resp *fetch.Response) (*document, error) {
	text := resp.Text()
	var b bytes.Buffer
	if json.Indent(&b, []byte(text), "", " ") == nil && b.Len() < 4*len(text)+1000 {
		text = b.String()
	}
	return &document{kind: "JSON", title: nameOf(resp.URL), text: text}, nil
}

// A cursor is a place in a document, and which document it was.
type cursor struct {
	offset int
	id     string
}

func (c cursor) String() string { return fmt.Sprintf("%d.%s", c.offset, c.id) }

func parseCursor(s string) (cursor, error) {
	if s = strings.TrimSpace(s); s == "" {
		return cursor{}, nil
	}
	number, id, _ := strings.Cut(s, ".")
	offset, err := strconv.Atoi(number)
	if err != nil || offset < 0 {
		return cursor{}, fmt.Errorf("%q is no cursor; use one that an earlier part names, or none to begin", cutText(s, 40))
	}
	return cursor{offset, id}, nil
}

// part is what stands at a place, and how to go on.
func (d *document) part(at cursor, size int) (string, error) {
	if at.offset >= len(d.text) {
		return "", fmt.Errorf("the cursor is beyond the end: the page has %d bytes", len(d.text))
	}
	start := at.offset
	for start > 0 && !utf8.RuneStart(d.text[start]) {
		start--
	}
	end := start + cutAt(d.text[start:], size)
	if last := strings.LastIndex(strings.TrimRight(d.text[start:end], "\n"), "\n") + 1; end < len(d.text) && last > size/2 && d.outlined() && d.text[start+last] == '#' {
		end = start + last // a heading belongs to what is under it
	}
	var b strings.Builder
	if at.id != "" && at.id != d.id {
		b.WriteString("[the page has changed since the cursor was given; this is the same place of the new one]\n")
	}
	if start == 0 {
		for _, f := range d.facts {
			b.WriteString(oneLine(f) + "\n")
		}
		if end < len(d.text) {
			b.WriteString(d.contents(end))
		}
		b.WriteString("\n")
	}
	b.WriteString(d.text[start:end])
	if end < len(d.text) {
		fmt.Fprintf(&b, "\n[bytes %d to %d of %d; go on with cursor %s]\n", start, end, len(d.text), cursor{end, d.id})
	}
	return b.String(), nil
}

// cutAt is where a part of about so many bytes ends: at the end of a
// paragraph, a line or a word, if there is one near.
func cutAt(text string, size int) int {
	if len(text) <= size {
		return len(text)
	}
	for _, end := range []string{"\n\n", "\n", " "} {
		if i := strings.LastIndex(text[:size], end); i > size*3/4 {
			return i + len(end)
		}
	}
	for size > 1 && !utf8.RuneStart(text[size]) {
		size--
	}
	return size
}

// outlined reports whether lines that begin with # are headings.
func (d *document) outlined() bool { return d.kind == "HTML" || d.kind == "Markdown" }

const mostHeadings = 40

// contents lists the headings of a document that begin after a place.
func (d *document) contents(after int) string {
	if !d.outlined() {
		return ""
	}
	var b strings.Builder
	offset, n, fenced := 0, 0, false
	for l := range strings.Lines(d.text) {
		if strings.HasPrefix(l, "```") {
			fenced = !fenced
		}
		if level := len(l) - len(strings.TrimLeft(l, "#")); !fenced && level > 0 && level <= 6 && l[level:] != "" && l[level] == ' ' && offset >= after {
			if n++; n > mostHeadings {
				b.WriteString("  [and more]\n")
				break
			}
			fmt.Fprintf(&b, "  %s (cursor %s)\n", oneLine(cutText(strings.TrimSpace(l), maxCell)), cursor{offset, d.id})
		}
		offset += len(l)
	}
	if n == 0 {
		return ""
	}
	return "further headings:\n" + b.String()
}
