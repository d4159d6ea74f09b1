package websearch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"ml-intern/internal/fetch"
	"ml-intern/internal/lazyregexp"
)

// duckduckgo reads the page of results that DuckDuckGo has for browsers
// without scripts. There is no key, and at times no answer either: it asks
// back whether a person is there.
func (c *Client) duckduckgo(ctx context.Context, e Engine, q Query) (*Answer, error) {
	if q.Page > 1 {
		return nil, fmt.Errorf("%w on page %d: the engine gives only its first page here; change the words to see other results", ErrNothing, q.Page)
	}
	v := url.Values{"q": {q.sites()}}
	if q.Since != "" {
		v.Set("df", q.Since[:1])
	}
	at, err := endpoint(cmp.Or(e.Address, "https://html.duckduckgo.com/html/"), v)
	if err != nil {
		return nil, err
	}
	var a *Answer
	err = c.get(ctx, fetch.Request{URL: at, Header: http.Header{
		"User-Agent":      {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
		"Accept":          {"text/html,application/xhtml+xml"},
		"Accept-Language": {"en"},
	}}, func(resp *fetch.Response) (err error) {
		var empty bool
		a, empty, err = readDuckDuckGo(resp.Text())
		switch {
		case err != nil, len(a.Results) > 0, empty:
			return err
		case resp.Status == http.StatusAccepted || isRobot(resp):
			return ErrRobot
		}
		return errors.New("its page has a form that is not known, so no result can be read from it; name another engine in the configuration")
	})
	if refused, ok := errors.AsType[*fetch.StatusError](err); ok && refused.Status == http.StatusForbidden && !errors.Is(err, fetch.ErrRateLimited) {
		err = ErrRobot
	}
	if errors.Is(err, ErrRobot) {
		return nil, fmt.Errorf("%w; wait some minutes, or let a person set up searxng, brave or tavily in the configuration", err)
	}
	return a, err
}

// readDuckDuckGo reads the results on a page, and whether it says that there
// are none. Advertisements are left out.
func readDuckDuckGo(source string) (a *Answer, empty bool, err error) {
	doc, err := html.ParseWithOptions(strings.NewReader(source), html.ParseOptionEnableScripting(false))
	if err != nil {
		return nil, false, fmt.Errorf("its page cannot be read: %w", err)
	}
	a = &Answer{}
	var current *Result
	var visit func(n *html.Node)
	visit = func(n *html.Node) {
		switch {
		case hasClass(n, "result--ad"):
			return
		case hasClass(n, "no-results"), hasClass(n, "result--no-result"):
			empty = true
			return
		case hasClass(n, "result__a"):
			current = nil
			if to := target(attr(n, "href")); to != "" {
				a.Results = append(a.Results, Result{Title: textOf(n), URL: to})
				current = &a.Results[len(a.Results)-1]
			}
			return
		case hasClass(n, "result__snippet") && current != nil:
			current.Snippet = textOf(n)
			return
		case hasClass(n, "result__extras__url") && current != nil:
			current.Date = day.FindString(textOf(n))
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			visit(c)
		}
	}
	visit(doc)
	return a, empty, nil
}

var day = lazyregexp.New(`\b(19|20)\d\d-[01]\d-[0-3]\d`)

// target is where a link of the page of results leads in the end, "" if that
// is not a result.
func target(href string) string {
	u, err := url.Parse(strings.TrimSpace(href))
	if err != nil {
		return ""
	}
	if u.Scheme == "" {
		u.Scheme = "https"
	}
	own := u.Host == "" || u.Host == "duckduckgo.com" || strings.HasSuffix(u.Host, ".duckduckgo.com")
	if own && (u.Path == "/l" || u.Path == "/l/") {
		return u.Query().Get("uddg")
	}
	if u.Host == "" || own && u.Path == "/y.js" {
		return ""
	}
	return u.String()
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasClass(n *html.Node, name string) bool {
	return n.Type == html.ElementNode && slices.Contains(strings.Fields(attr(n, "class")), name)
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}
