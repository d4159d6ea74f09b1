package hfdocs

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"ml-intern/internal/fetch"
	"ml-intern/internal/lazyregexp"
)

// An Index lists the pages of a library's documentation.
type Index struct {
	Library string
	Version string // "" if the list does not say
	Pages   []Entry
	URL     string
}

// An Entry is a page in an Index.
type Entry struct {
	Title string
	Name  string // as Page takes it: without library, version and language
	About string
	URL   string // of the Markdown
}

// A Page is a page of documentation as Markdown.
type Page struct {
	Library string
	Name    string
	Version string // "" if nothing says it
	URL     string
	Text    string
	Changed bool // the version is not the one that was asked for
}

// An Address says where a page is. Version and Language may be empty, which is
// the current release, in English.
type Address struct {
	Kind     string // "docs" if empty, or "learn"
	Library  string
	Version  string
	Language string
	Name     string
	Section  string // its anchor
}

// ParseAddress reads "trl/sft_trainer", "/docs/trl/main/en/sft_trainer#usage"
// or the whole address of a page of the host of base.
func (c *Client) ParseAddress(s string) (Address, error) {
	s = strings.TrimSpace(s)
	u, err := url.Parse(s)
	if err != nil || strings.ContainsAny(s, " \n\t") || u.Opaque != "" {
		return Address{}, fmt.Errorf("%q is not the name of a page, such as trl/sft_trainer", cut(s, 200))
	}
	if u.Host != "" || u.Scheme != "" {
		base, err := url.Parse(c.base())
		if err != nil || !strings.EqualFold(base.Host, u.Host) {
			return Address{}, fmt.Errorf("%s is not on %s, whose documentation this reads; get other pages with web_fetch", cut(s, 200), c.base())
		}
	}
	a := Address{Section: u.Fragment}
	path := strings.Trim(u.Path, "/")
	if m := docsPath.FindStringSubmatch("/" + path); m != nil && strings.HasPrefix("/"+path, m[0]) {
		a.Kind = m[1]
		path = m[2] + m[3]
	} else if u.Host != "" {
		return Address{}, fmt.Errorf("%s is not a page of documentation (/docs/… or /learn/…); get other pages with web_fetch", cut(s, 200))
	}
	path = strings.TrimSuffix(strings.TrimSuffix(strings.Trim(path, "/"), ".md"), ".html")
	parts := strings.Split(path, "/")
	if slices.ContainsFunc(parts, func(p string) bool { return p == "." || p == ".." || p == "" && len(parts) > 1 }) {
		return Address{}, fmt.Errorf("%q is not the name of a page, such as trl/sft_trainer", cut(s, 200))
	}
	a.Library, parts = parts[0], parts[1:]
	if len(parts) > 0 && version.MatchString(parts[0]) && !isChapter(parts) {
		a.Version, parts = parts[0], parts[1:]
	}
	if len(parts) > 0 && language.MatchString(parts[0]) && (len(parts) > 1 || parts[0] == "en") {
		a.Language, parts = parts[0], parts[1:]
	}
	a.Name = strings.Join(parts, "/")
	return a, nil
}

// isChapter reports whether the path is one of a course whose units are
// numbers: "1/2" is no version.
func isChapter(parts []string) bool {
	return len(parts) == 1 && strings.Trim(parts[0], "0123456789") == ""
}

// path is the address on the Hub, without what ends it.
func (a Address) path(name string) string {
	kind := a.Kind
	if kind == "" {
		kind = "docs"
	}
	parts := []string{"", kind, a.Library}
	if a.Version != "" {
		parts = append(parts, a.Version)
	}
	if a.Language != "" && name != "" {
		parts = append(parts, a.Language)
	}
	for _, p := range strings.Split(name, "/") {
		if p != "" {
			parts = append(parts, url.PathEscape(p))
		}
	}
	return strings.Join(parts, "/")
}

// Index lists the pages of a library.
func (c *Client) Index(ctx context.Context, a Address) (*Index, error) {
	a, err := c.known(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("list pages: %w", err)
	}
	id := a.Library
	resp, err := c.get(ctx, a.path("")+"/llms.txt", listAge)
	if errors.Is(err, fetch.ErrNotFound) && a.Kind == "" { // courses are elsewhere
		a.Kind = "learn"
		if again, other := c.get(ctx, a.path("")+"/llms.txt", listAge); other == nil {
			resp, err = again, nil
		}
	}
	if errors.Is(err, fetch.ErrNotFound) && a.Version != "" {
		return nil, fmt.Errorf("%w: %s has no documentation of the version %s, or no list of its pages; leave out the version for the current one", ErrUnknown, id, a.Version)
	}
	if errors.Is(err, fetch.ErrNotFound) {
		return nil, fmt.Errorf("the Hub has no list of the pages of %s; search it instead: %w", id, err)
	}
	if err != nil {
		return nil, fmt.Errorf("list pages of %s: %w", id, err)
	}
	index := parseIndex(resp.Text())
	index.Library, index.URL = id, resp.URL
	if index.Version == "" {
		index.Version = versionOf(resp.URL)
	}
	if len(index.Pages) == 0 {
		return nil, fmt.Errorf("list pages of %s: %s lists no page; search the documentation instead", id, resp.URL)
	}
	return index, nil
}

// listed is a page in a list: "- [Title](address): what it is about".
var listed = lazyregexp.New(`(?m)^\s*[-*]\s+\[([^\n]*?)\]\(([^()\s]+(?:\([^()\s]*\)[^()\s]*)*)\)(?:\s*:\s*([^\n]*))?`)

// parseIndex reads the list of pages in the format of llms.txt.
func parseIndex(list string) *Index {
	index := &Index{}
	seen := map[string]bool{}
	for _, m := range listed.FindAllStringSubmatch(list, -1) {
		a, err := (&Client{}).ParseAddress(pathOf(m[2]))
		if err != nil || a.Name == "" && a.Library == "" {
			continue
		}
		if index.Version == "" {
			index.Version = a.Version
		}
		name := a.Name
		if name == "" {
			name = "index"
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		index.Pages = append(index.Pages, Entry{Title: strings.TrimSpace(m[1]), Name: name, About: strings.TrimSpace(m[3]), URL: m[2]})
	}
	return index
}

// pathOf drops the host, which may be that of a mirror.
func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || !docsPath.MatchString(u.Path) {
		return "../"
	}
	return u.Path
}

// Page reads a page. If there is none of that name, the error names those
// that are near.
func (c *Client) Page(ctx context.Context, a Address) (*Page, error) {
	a, err := c.known(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	id := a.Library
	name := a.Name
	if name == "" {
		name = "index"
	}
	resp, err := c.get(ctx, a.path(name)+".md", pageAge)
	if errors.Is(err, fetch.ErrNotFound) {
		resp, name, err = c.elsewhere(ctx, a, name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read page %s of %s: %w", name, id, err)
	}
	p := &Page{Library: id, Name: name, URL: resp.URL, Text: clean(resp.Text())}
	if resp.Type == "text/html" || resp.Type == "application/json" || strings.HasPrefix(strings.ToLower(strings.TrimSpace(cut(p.Text, 100))), "<!doctype") {
		return nil, fmt.Errorf("read page %s of %s: %s has no Markdown; get the page with web_fetch", name, id, resp.URL)
	}
	if strings.TrimSpace(p.Text) == "" {
		return nil, fmt.Errorf("read page %s of %s: %s is empty; search the documentation instead", name, id, resp.URL)
	}
	p.Version = c.pageVersion(ctx, a, resp)
	p.Changed = a.Version != "" && p.Version != "" && p.Version != a.Version
	return p, nil
}

// pageVersion finds out which version a page is of: the address says it, or
// the list of pages, or a link to the library's own pages.
func (c *Client) pageVersion(ctx context.Context, a Address, resp *fetch.Response) string {
	if v := versionOf(resp.URL); v != "" {
		return v
	}
	if index, err := c.Index(ctx, a); err == nil && index.Version != "" {
		return index.Version
	}
	for _, m := range docsPath.FindAllString(resp.Text(), 200) {
		if v := versionOf(m); v != "" && strings.Contains(m, "/"+a.Library+"/") {
			return v
		}
	}
	return ""
}

// elsewhere looks for a page that is not where its name says, in the list of
// the library's pages.
func (c *Client) elsewhere(ctx context.Context, a Address, name string, gone error) (*fetch.Response, string, error) {
	index, err := c.Index(ctx, a)
	if err != nil {
		if a.Version != "" {
			return nil, name, fmt.Errorf("%w, or no version %s: %w", ErrUnknown, a.Version, gone)
		}
		return nil, name, gone
	}
	names := make([]string, len(index.Pages))
	var same []string
	for i, p := range index.Pages {
		names[i] = p.Name
		if plainName(lastPart(p.Name)) == plainName(lastPart(name)) || plainName(p.Title) == plainName(name) {
			same = append(same, p.Name)
		}
	}
	if len(same) == 1 && same[0] != name {
		resp, err := c.get(ctx, a.path(same[0])+".md", pageAge)
		return resp, same[0], err
	}
	near := same
	for _, n := range index.Near(name, 8) {
		if !slices.Contains(near, n) {
			near = append(near, n)
		}
	}
	if len(near) == 0 {
		return nil, name, fmt.Errorf("%w: %s %s has %d pages, none with such a name; list or search them", ErrUnknown, a.Library, index.Version, len(names))
	}
	return nil, name, fmt.Errorf("%w: %s %s has no page %q; did you mean %s?", ErrUnknown, a.Library, index.Version, name, strings.Join(near[:min(8, len(near))], ", "))
}

func lastPart(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// Near names the pages whose name or title is like the wanted one.
func (i *Index) Near(wanted string, n int) []string {
	byWord := map[string]string{}
	var words []string
	for _, p := range i.Pages {
		for _, w := range []string{p.Name, lastPart(p.Name), p.Title} {
			if _, dup := byWord[w]; !dup {
				byWord[w] = p.Name
				words = append(words, w)
			}
		}
	}
	var names []string
	for _, w := range slices.Concat(Near(wanted, words, 2*n), Near(lastPart(wanted), words, 2*n)) {
		if name := byWord[w]; !slices.Contains(names, name) && len(names) < n {
			names = append(names, name)
		}
	}
	return names
}

var (
	comment = lazyregexp.New(`(?s)<!--.*?-->\n?`)
	blanks  = lazyregexp.New(`\n{4,}`)
)

// clean drops what is not for readers.
func clean(md string) string {
	md = strings.ReplaceAll(md, "\r\n", "\n")
	return strings.TrimSpace(blanks.ReplaceAllString(comment.ReplaceAllString(md, ""), "\n\n\n")) + "\n"
}
