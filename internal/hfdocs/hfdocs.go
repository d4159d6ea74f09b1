// Package hfdocs reads the documentation of the Hugging Face libraries: which
// there are, what their pages say, and what the Hub's own API offers.
//
// Its one rule: every answer names the version of the documentation that it is
// from. A Client owns nothing but where to ask; the cache is the fetcher's.
package hfdocs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/fetch"
	"ml-intern/internal/lazyregexp"
)

const (
	hubURL  = "https://huggingface.co"
	listAge = 12 * time.Hour // lists of libraries and pages, the API's description
	pageAge = time.Hour
	hitAge  = time.Hour
)

// getter is the part of a fetch.Client that is used.
type getter interface {
	Get(ctx context.Context, in fetch.Request) (*fetch.Response, error)
}

// A Client reads documentation. The zero Client with a Fetch reads the public
// Hub's as nobody.
type Client struct {
	Fetch   getter
	BaseURL string // https://huggingface.co if empty
	Token   string // for the host of BaseURL and no other; may be empty, documentation is public
}

// ErrUnknown says that no library or page has the name; the error's text
// names those that are near.
var ErrUnknown = errors.New("there is no such documentation")

// A Library is one that has documentation.
type Library struct {
	ID       string `json:"id"`
	URL      string `json:"url"`
	Category string `json:"category"`
}

// A Hit is a place that a search found.
type Hit struct {
	Library  string
	Title    string
	Headings []string // from the page's to the place's own
	Text     string
	URL      string
	Version  string // of the documentation; "" if the address does not say
}

func (c *Client) base() string { return strings.TrimRight(cmp.Or(c.BaseURL, hubURL), "/") }

// get gets a document of the Hub.
func (c *Client) get(ctx context.Context, path string, age time.Duration) (*fetch.Response, error) {
	return c.Fetch.Get(ctx, fetch.Request{URL: c.base() + path, Token: c.Token, MaxAge: age})
}

// Libraries lists the libraries that have documentation.
func (c *Client) Libraries(ctx context.Context) ([]Library, error) {
	resp, err := c.get(ctx, "/api/docs", listAge)
	if err != nil {
		return nil, fmt.Errorf("list libraries: %w", err)
	}
	var list []Library
	if err := decode(resp, &list); err != nil {
		return nil, fmt.Errorf("list libraries: %w", err)
	}
	list = slices.DeleteFunc(list, func(l Library) bool { return l.ID == "" })
	if len(list) == 0 {
		return nil, errors.New("list libraries: the answer names none")
	}
	for i, l := range list {
		list[i].URL = c.absolute(l.URL)
	}
	return list, nil
}

// decode reads an answer that should be JSON.
func decode(resp *fetch.Response, v any) error {
	if err := json.Unmarshal(resp.Body, v); err != nil {
		return fmt.Errorf("%s did not answer with the JSON that is expected (%s): %w", resp.URL, cmp.Or(resp.Type, "no type"), err)
	}
	return nil
}

// known gives the library of an address the name that the Hub has for it.
// Courses are not on the list of libraries.
func (c *Client) known(ctx context.Context, a Address) (Address, error) {
	if a.Kind == "" && (strings.HasSuffix(a.Library, "-course") || a.Library == "cookbook") {
		a.Kind = "learn"
	}
	if a.Kind == "learn" {
		return a, nil
	}
	id, err := c.library(ctx, a.Library)
	a.Library = id
	return a, err
}

// library returns the name that the Hub has for what a person calls a library.
func (c *Client) library(ctx context.Context, name string) (string, error) {
	name = strings.Trim(strings.TrimSpace(name), "/")
	list, err := c.Libraries(ctx)
	if err != nil {
		if errors.Is(err, fetch.ErrRateLimited) || ctx.Err() != nil {
			return "", err
		}
		return name, nil // the list is a help only
	}
	ids := make([]string, len(list))
	for i, l := range list {
		if ids[i] = l.ID; plainName(l.ID) == plainName(name) {
			return l.ID, nil
		}
	}
	near := Near(name, ids, 6)
	if len(near) == 0 {
		return "", fmt.Errorf("%w: no library is named %q; ask for the list of libraries", ErrUnknown, name)
	}
	return "", fmt.Errorf("%w: no library is named %q; did you mean %s?", ErrUnknown, name, strings.Join(near, ", "))
}

// Search finds places by meaning, in one library or, if it is "", in all.
func (c *Client) Search(ctx context.Context, query, library string, limit int) ([]Hit, error) {
	q := url.Values{"q": {cut(query, 250)}, "limit": {fmt.Sprint(min(max(limit, 1), 25))}}
	if library != "" {
		id, err := c.library(ctx, library)
		if err != nil {
			return nil, fmt.Errorf("search documentation: %w", err)
		}
		q.Set("product", id)
	}
	resp, err := c.get(ctx, "/api/docs/search?"+q.Encode(), hitAge)
	if err != nil {
		return nil, fmt.Errorf("search documentation: %w", err)
	}
	var found []struct {
		Product  string `json:"product"`
		Heading1 string `json:"heading1"`
		Heading2 string `json:"heading2"`
		Heading3 string `json:"heading3"`
		Heading4 string `json:"heading4"`
		Heading5 string `json:"heading5"`
		Text     string `json:"text"`
		URL      string `json:"source_page_url"`
		Title    string `json:"source_page_title"`
	}
	if err := decode(resp, &found); err != nil {
		return nil, fmt.Errorf("search documentation: %w", err)
	}
	hits := make([]Hit, 0, len(found))
	for _, f := range found {
		h := Hit{Library: f.Product, Title: f.Title, Text: strings.TrimSpace(f.Text), URL: c.absolute(f.URL), Version: versionOf(f.URL)}
		for _, heading := range []string{f.Heading1, f.Heading2, f.Heading3, f.Heading4, f.Heading5} {
			if heading != "" {
				h.Headings = append(h.Headings, heading)
			}
		}
		hits = append(hits, h)
	}
	return hits, nil
}

// FullText finds places by words, in the documentation of all libraries.
func (c *Client) FullText(ctx context.Context, query string, limit int) ([]Hit, error) {
	q := url.Values{"q": {cut(query, 250)}, "limit": {fmt.Sprint(min(max(limit, 1), 100))}}
	resp, err := c.get(ctx, "/api/docs/search/full-text?"+q.Encode(), hitAge)
	if err != nil {
		return nil, fmt.Errorf("search words in documentation: %w", err)
	}
	var found struct {
		Hits []map[string]any `json:"hits"`
	}
	if err := decode(resp, &found); err != nil {
		return nil, fmt.Errorf("search words in documentation: %w", err)
	}
	hits := make([]Hit, 0, len(found.Hits))
	for _, f := range found.Hits {
		address := text(f["url"])
		if anchor := strings.TrimPrefix(text(f["anchor"]), "#"); anchor != "" && !strings.Contains(address, "#") {
			address += "#" + anchor
		}
		h := Hit{Text: strings.TrimSpace(text(f["content"])), URL: c.absolute(address), Version: versionOf(address)}
		for i := range 7 {
			if heading := text(f[fmt.Sprintf("hierarchy_lvl%d", i)]); heading != "" {
				h.Headings = append(h.Headings, heading)
			}
		}
		if m := docsPath.FindStringSubmatch(h.URL); m != nil {
			h.Library = m[2]
		}
		hits = append(hits, h)
	}
	return hits, nil
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// absolute is an address as one of the Hub, when it has no host.
func (c *Client) absolute(address string) string {
	if strings.HasPrefix(address, "/") {
		return c.base() + address
	}
	return address
}

var (
	// docsPath is where a page of a library is: its kind, the library, and the
	// rest with version and language.
	docsPath = lazyregexp.New(`/(docs|learn)/([A-Za-z0-9._-]+)((?:/[^?#\s]*)?)`)
	version  = lazyregexp.New(`^(v?\d+(\.\d+)*([.-]?[A-Za-z0-9]+)*|main|doc-builder-html|pr_\d+)$`)
	language = lazyregexp.New(`^[a-z]{2,3}(-[A-Za-z]{2,4})?$`)
)

// versionOf is the version that the address of a page has in it.
func versionOf(address string) string {
	m := docsPath.FindStringSubmatch(address)
	if m == nil {
		return ""
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(m[3], "/"), "/")
	if first = strings.TrimSuffix(first, ".md"); version.MatchString(first) {
		return first
	}
	return ""
}

// cut shortens a text to at most n bytes, at a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
