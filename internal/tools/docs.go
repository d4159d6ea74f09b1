package tools

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ml-intern/internal/fetch"
	"ml-intern/internal/hfdocs"
	"ml-intern/internal/tool"
)

type docsInput struct {
	Operation string `json:"operation"`
	Library   string `json:"library,omitempty" jsonschema:"such as trl"`
	Query     string `json:"query,omitempty"`
	Page      string `json:"page,omitempty" jsonschema:"trl/sft_trainer, or an address"`
	Section   string `json:"section,omitempty"`
	Version   string `json:"version,omitempty" jsonschema:"v0.24.0, main"`
	Cursor    string `json:"cursor,omitempty" jsonschema:"read: where the last part ended"`
	Method    string `json:"method,omitempty" jsonschema:"api: GET"`
	Path      string `json:"path,omitempty" jsonschema:"api: a part of it"`
	Tag       string `json:"tag,omitempty" jsonschema:"api: a group of endpoints"`
	Limit     int    `json:"limit,omitempty"`
}

const (
	pageChunk    = 14_000 // bytes of a page in one answer
	maxOutline   = 80     // headings
	fullEndpoint = 3      // endpoints that are described whole
	maxEndpoint  = 6_000  // bytes of one
)

// Docs reads the documentation of the libraries and the Hub's API.
func Docs(c *hfdocs.Client) tool.Tool {
	return tool.New(spec("docs", tool.Reads), func(ctx context.Context, in docsInput, _ tool.Call) (tool.Output, error) {
		if in.Version != "" && '0' <= in.Version[0] && in.Version[0] <= '9' {
			in.Version = "v" + in.Version // as the Hub writes it
		}
		d := docsCall{c, in, usualHits}
		if in.Limit > 0 {
			d.limit = min(in.Limit, mostHits)
		}
		out, err := d.run(ctx)
		if err != nil {
			return failing(ctx, "the Hub's documentation", hint(err))
		}
		return out, nil
	})
}

// hint adds to a failure of the network what to do about it.
func hint(err error) error {
	switch {
	case errors.Is(err, fetch.ErrRateLimited):
		return fmt.Errorf("%w; wait that long, or use another source", err)
	case errors.Is(err, fetch.ErrUnreachable):
		return fmt.Errorf("%w; without a network, read the installed package with python_api or its files", err)
	}
	return err
}

type docsCall struct {
	*hfdocs.Client
	in    docsInput
	limit int
}

func (d docsCall) run(ctx context.Context) (tool.Output, error) {
	switch strings.ToLower(d.in.Operation) {
	case "libraries":
		return d.libraries(ctx)
	case "index":
		if d.in.Library == "" {
			return badArgs("index needs library"), nil
		}
		return d.index(ctx)
	case "search":
		if strings.TrimSpace(d.in.Query) == "" {
			return badArgs("search needs query"), nil
		}
		return d.search(ctx)
	case "read":
		if d.in.Page == "" {
			return badArgs("read needs page, such as trl/sft_trainer"), nil
		}
		return d.read(ctx)
	case "api":
		if strings.TrimSpace(d.in.Query+d.in.Path+d.in.Tag+d.in.Method) == "" {
			return badArgs("api needs query, path, method or tag"), nil
		}
		return d.api(ctx)
	}
	return badArgs("there is no operation %q: libraries, index, search, read and api are there", d.in.Operation), nil
}

// outside is an Output of text from a source.
func outside(source, text, format string, args ...any) tool.Output {
	return tool.Output{Text: fromOutside(source, text), Summary: shorten(fmt.Sprintf(format, args...), 120)}
}

func (d docsCall) libraries(ctx context.Context) (tool.Output, error) {
	list, err := d.Libraries(ctx)
	if err != nil {
		return tool.Output{}, err
	}
	var b strings.Builder
	for _, l := range list {
		b.WriteString(l.ID)
		if l.Category != "" {
			b.WriteString(" · " + oneLine(l.Category))
		}
		b.WriteString(" · " + l.URL + "\n")
	}
	return outside("the Hub's list of documentation", cutText(b.String(), maxDocsText), "%d libraries", len(list)), nil
}

const maxDocsText = 24_000 // bytes of an answer

// ofVersion names the version that an answer is of.
func ofVersion(library, version string) string {
	if version == "" {
		return library + ", version not given by the page (the current release)"
	}
	return library + " " + version
}

func (d docsCall) index(ctx context.Context) (tool.Output, error) {
	a, err := d.ParseAddress(d.in.Library)
	if err != nil {
		return badArgs("%v", err), nil
	}
	a.Version = cmp.Or(d.in.Version, a.Version)
	index, err := d.Index(ctx, a)
	if err != nil {
		return tool.Output{}, err
	}
	words := strings.Fields(strings.ToLower(d.in.Query))
	var b strings.Builder
	n, shown := 0, 0
	for _, p := range index.Pages {
		line := p.Name + " — " + p.Title
		if p.About != "" {
			line += ": " + shorten(p.About, 120)
		}
		has := func(w string) bool { return strings.Contains(strings.ToLower(line), w) }
		if len(words) > 0 && !slices.ContainsFunc(words, has) {
			continue
		}
		if n++; b.Len()+len(line) < maxDocsText {
			b.WriteString(line + "\n")
			shown++
		}
	}
	if n > shown {
		fmt.Fprintf(&b, "[%d more pages; say which with query]\n", n-shown)
	}
	if n == 0 {
		return tool.Output{}, fmt.Errorf("no page of %s has any of these words in its name or title; search the text with the operation search", ofVersion(index.Library, index.Version))
	}
	what := "documentation of " + ofVersion(index.Library, index.Version)
	return outside(what+", "+index.URL, b.String(), "%d pages of the %s", n, what), nil
}

// search asks by meaning, then by words, then the list of pages: what one
// cannot answer the next may, and the answer says which it was.
func (d docsCall) search(ctx context.Context) (tool.Output, error) {
	hits, err := d.Search(ctx, d.in.Query, d.in.Library, d.limit)
	how := "by meaning"
	var notes []string
	if errors.Is(err, hfdocs.ErrUnknown) || ctx.Err() != nil {
		return tool.Output{}, err
	}
	if err != nil {
		notes = append(notes, fmt.Sprintf("the search by meaning failed: %v", err))
	}
	if len(hits) < d.limit {
		more, other := d.FullText(ctx, d.in.Query, d.limit)
		switch {
		case other != nil && err != nil:
			return tool.Output{}, err
		case other != nil:
			notes = append(notes, fmt.Sprintf("the search for words failed: %v", other))
		case err != nil:
			how = "by words"
		default:
			how = "by meaning, then by words"
		}
		hits = append(hits, only(more, d.in.Library, hits)...)
	}
	hits = hits[:min(len(hits), d.limit)]
	if len(hits) == 0 {
		return tool.Output{}, fmt.Errorf("nothing was found %s%s; try other words, or look through the operation index", how, within(d.in.Library))
	}
	var b strings.Builder
	for i, h := range hits {
		fmt.Fprintf(&b, "%d. %s\n   %s · %s\n", i+1, headline(h), ofVersion(h.Library, h.Version), h.URL)
		if h.Text != "" {
			fmt.Fprintf(&b, "   %s\n", cutText(oneLine(h.Text), 500))
		}
	}
	for _, n := range notes {
		fmt.Fprintf(&b, "[%s]\n", cutText(oneLine(n), 300))
	}
	return outside("a search in the documentation, "+how, cutText(b.String(), maxDocsText), "%d places for %s", len(hits), d.in.Query), nil
}

func within(library string) string {
	if library == "" {
		return ""
	}
	return " in " + library
}

func headline(h hfdocs.Hit) string {
	parts := h.Headings
	if h.Title != "" && !slices.Contains(parts, h.Title) {
		parts = append([]string{h.Title}, parts...)
	}
	if len(parts) == 0 {
		return "(no heading)"
	}
	return cutText(oneLine(strings.Join(parts, " > ")), 300)
}

// only are the hits of a library that are not known yet.
func only(hits []hfdocs.Hit, library string, known []hfdocs.Hit) []hfdocs.Hit {
	return slices.DeleteFunc(hits, func(h hfdocs.Hit) bool {
		return library != "" && !strings.EqualFold(h.Library, library) ||
			slices.ContainsFunc(known, func(k hfdocs.Hit) bool { return k.URL == h.URL })
	})
}

func (d docsCall) read(ctx context.Context) (tool.Output, error) {
	page := d.in.Page
	if !strings.Contains(page, "/") && d.in.Library != "" {
		page = d.in.Library + "/" + page
	}
	a, err := d.ParseAddress(page)
	if err != nil {
		return badArgs("%v", err), nil
	}
	a.Version = cmp.Or(d.in.Version, a.Version)
	p, err := d.Page(ctx, a)
	if err != nil {
		return tool.Output{}, err
	}
	text, outline := p.Text, ""
	if section := cmp.Or(d.in.Section, a.Section); section != "" {
		part, near := hfdocs.Section(text, section)
		if part == "" {
			return tool.Output{}, fmt.Errorf("%s/%s (%s) has no section %q; near: %s. Its headings:\n%s", p.Library, p.Name,
				ofVersion(p.Library, p.Version), section, cmp.Or(strings.Join(near, ", "), "none"), outlineOf(text))
		}
		text = part
	} else if len(text) > pageChunk && d.in.Cursor == "" {
		outline = "The page is long. Its headings, for section:\n" + outlineOf(text) + "\n"
	}
	part, next, err := chunk(text, d.in.Cursor)
	if err != nil {
		return badArgs("%v", err), nil
	}
	if next != "" {
		part += fmt.Sprintf("\n[%d of %d bytes; go on with cursor %q]\n", offsetOf(next), len(text), next)
	}
	if p.Changed {
		outline = fmt.Sprintf("[this is version %s, not %s, which was asked for]\n", p.Version, a.Version) + outline
	}
	what := "documentation of " + ofVersion(p.Library, p.Version)
	return outside(what+", "+p.URL, outline+part, "%s of the %s", p.Name, what), nil
}

func outlineOf(text string) string {
	var b strings.Builder
	headings := hfdocs.Headings(text)
	for i, h := range headings {
		if i == maxOutline {
			fmt.Fprintf(&b, "[%d more]\n", len(headings)-i)
			break
		}
		fmt.Fprintf(&b, "%s%s (%d bytes)\n", strings.Repeat("  ", h.Level-1), cutText(oneLine(h.Title), 120), h.End-h.Start)
	}
	if len(headings) == 0 {
		return "(it has none)\n"
	}
	return b.String()
}

// chunk is the part of a text from a cursor on, and the cursor of the next.
// A cursor names the text that it is of, so that it fits no other.
func chunk(text, cursor string) (part, next string, err error) {
	sum := sha256.Sum256([]byte(text))
	name := hex.EncodeToString(sum[:4])
	start := 0
	if cursor != "" {
		start = offsetOf(cursor)
		_, of, _ := strings.Cut(cursor, ".")
		switch {
		case start <= 0:
			return "", "", fmt.Errorf("cursor must be as the last answer gave it, not %q", cutText(cursor, 60))
		case of != name || start >= len(text):
			return "", "", errors.New("the cursor is of another page or section, or the page has changed; read it from its beginning")
		}
	}
	if len(text)-start <= pageChunk {
		return strings.ToValidUTF8(text[start:], ""), "", nil
	}
	end := start + pageChunk
	for _, at := range []string{"\n#", "\n\n", "\n"} { // the best place to stop in the last third
		if i := strings.LastIndex(text[start:end], at); i > pageChunk*2/3 {
			end = start + i + 1
			break
		}
	}
	for end > start+1 && text[end]&0xC0 == 0x80 {
		end--
	}
	return text[start:end], fmt.Sprintf("%d.%s", end, name), nil
}

func offsetOf(cursor string) int {
	digits, _, _ := strings.Cut(cursor, ".")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return -1
	}
	return n
}

func (d docsCall) api(ctx context.Context) (tool.Output, error) {
	api, err := d.API(ctx)
	if err != nil {
		return tool.Output{}, err
	}
	found := api.Find(hfdocs.Query{Words: d.in.Query, Method: d.in.Method, Path: d.in.Path, Tag: d.in.Tag})
	note := ""
	if len(found) == 0 && d.in.Tag != "" {
		if !slices.ContainsFunc(api.Tags, func(t string) bool { return strings.EqualFold(t, d.in.Tag) }) {
			return tool.Output{}, fmt.Errorf("the API has no tag %q; it has %s", d.in.Tag, cutText(strings.Join(api.Tags, ", "), 2000))
		}
		found = api.Find(hfdocs.Query{Tag: d.in.Tag})
		note = "[no endpoint fits all of that; these are all that have the tag]\n"
	}
	if len(found) == 0 {
		return tool.Output{}, fmt.Errorf("no endpoint of the %d of %s fits; try fewer or other words, or a tag: %s", len(api.Endpoints),
			cmp.Or(api.Title, "the API"), cutText(strings.Join(api.Tags, ", "), 1500))
	}
	var b strings.Builder
	b.WriteString(note)
	for i, e := range found[:min(len(found), d.limit)] {
		if i < fullEndpoint {
			b.WriteString(cutText(api.Describe(e), maxEndpoint) + "\n")
			continue
		}
		b.WriteString(e.Line() + "\n")
	}
	if more := len(found) - d.limit; more > 0 {
		fmt.Fprintf(&b, "[%d more fit]\n", more)
	}
	what := fmt.Sprintf("the description of %s %s at %s", cmp.Or(api.Title, "the API"), cmp.Or(api.Version, "(no version)"), api.Server)
	return outside(what, cutText(b.String(), maxDocsText), "%d endpoints", len(found)), nil
}
