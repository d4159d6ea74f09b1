package websearch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/fetch"
	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/webpage"
)

// maxAge is how old an answer of an engine may be.
const maxAge = 15 * time.Minute

// endpoint is the address of an engine with the values added to its query.
func endpoint(address string, values url.Values) (string, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("its address %q in the configuration is no http address", address)
	}
	if rest := values.Encode(); u.RawQuery != "" {
		u.RawQuery += "&" + rest
	} else {
		u.RawQuery = rest
	}
	return u.String(), nil
}

// get asks an engine. An answer of the cache that read refuses is asked for
// again: a page for robots may have given way to results.
func (c *Client) get(ctx context.Context, in fetch.Request, read func(*fetch.Response) error) error {
	in.MaxAge = maxAge
	resp, err := c.Fetch.Get(ctx, in)
	if err != nil {
		return err
	}
	if err = read(resp); err == nil || !resp.Cached {
		return err
	}
	in.MaxAge = 0
	if resp, err = c.Fetch.Get(ctx, in); err != nil {
		return err
	}
	return read(resp)
}

// object asks for JSON and decodes it.
func (c *Client) object(ctx context.Context, in fetch.Request, out any) error {
	if in.Header == nil {
		in.Header = http.Header{}
	}
	in.Header.Set("Accept", "application/json")
	return c.get(ctx, in, func(resp *fetch.Response) error {
		if json.Unmarshal([]byte(resp.Text()), out) == nil {
			return nil
		}
		if isRobot(resp) {
			return fmt.Errorf("%w; name another engine in the configuration", ErrRobot)
		}
		return fmt.Errorf("it answered with %s that is not the expected JSON; is its address right?", cmp.Or(resp.Type, "something"))
	})
}

func isRobot(resp *fetch.Response) bool {
	at, err := url.Parse(resp.URL)
	source := resp.Text()
	return err == nil && resp.Type == "text/html" && webpage.Robot(source, webpage.Read(source, at).Main)
}

func noKey(name string) error {
	return fmt.Errorf("it needs a key; a person must set one for %s in the configuration", name)
}

// wrongKey says whose fault a refusal is.
func wrongKey(err error) error {
	if errors.Is(err, fetch.ErrForbidden) {
		return fmt.Errorf("%w; is its key in the configuration right?", err)
	}
	return err
}

// searxng asks an instance of SearXNG.
func (c *Client) searxng(ctx context.Context, e Engine, q Query) (*Answer, error) {
	if e.Address == "" {
		return nil, errors.New("it needs the address of an instance in the configuration")
	}
	v := url.Values{"q": {q.sites()}, "format": {"json"}, "pageno": {strconv.Itoa(q.Page)}}
	if q.Since != "" {
		v.Set("time_range", q.Since)
	}
	u, err := url.Parse(e.Address)
	if err == nil && !strings.HasSuffix(u.Path, "/search") {
		u.Path = strings.TrimSuffix(u.Path, "/") + "/search"
		e.Address = u.String()
	}
	at, err := endpoint(e.Address, v)
	if err != nil {
		return nil, err
	}
	var got struct {
		Results []struct {
			Title, URL, Content string
			PublishedDate       string `json:"publishedDate"`
		} `json:"results"`
		Silent []json.RawMessage `json:"unresponsive_engines"`
	}
	err = c.object(ctx, fetch.Request{URL: at, Token: e.Key}, &got)
	if errors.Is(err, fetch.ErrForbidden) {
		return nil, fmt.Errorf("%w; the instance must allow json in search.formats of its settings.yml", err)
	}
	if err != nil {
		return nil, err
	}
	a := &Answer{More: len(got.Results) > 0}
	for _, r := range got.Results {
		a.Results = append(a.Results, Result{r.Title, r.URL, r.Content, date(r.PublishedDate)})
	}
	if silent := silentEngines(got.Silent); silent != "" {
		if len(got.Results) == 0 {
			return nil, fmt.Errorf("%w, since engines behind it do not answer: %s; try again later or name another engine", ErrNothing, silent)
		}
		a.Notes = append(a.Notes, "engines behind SearXNG that did not answer: "+silent)
	}
	return a, nil
}

// silentEngines lists pairs of a name and a reason.
func silentEngines(raw []json.RawMessage) string {
	var all []string
	for _, r := range raw {
		var pair []string
		var name string
		if json.Unmarshal(r, &pair) == nil && len(pair) > 0 {
			all = append(all, strings.Join(pair, " "))
		} else if json.Unmarshal(r, &name) == nil {
			all = append(all, name)
		}
	}
	return words(strings.Join(all, ", "), maxSnippet)
}

// brave asks the API of Brave Search.
func (c *Client) brave(ctx context.Context, e Engine, q Query) (*Answer, error) {
	if e.Key == "" {
		return nil, noKey("brave")
	}
	v := url.Values{"q": {q.sites()}, "count": {strconv.Itoa(MostResults)}, "offset": {strconv.Itoa(q.Page - 1)}}
	if q.Since != "" {
		v.Set("freshness", "p"+q.Since[:1])
	}
	at, err := endpoint(cmp.Or(e.Address, "https://api.search.brave.com/res/v1/web/search"), v)
	if err != nil {
		return nil, err
	}
	var got struct {
		Query struct {
			More bool `json:"more_results_available"`
		} `json:"query"`
		Web struct {
			Results []struct {
				Title, URL, Description, Age string
				PageAge                      string `json:"page_age"`
			} `json:"results"`
		} `json:"web"`
	}
	if err := c.object(ctx, fetch.Request{URL: at, Header: http.Header{"X-Subscription-Token": {e.Key}}}, &got); err != nil {
		return nil, wrongKey(err)
	}
	a := &Answer{More: got.Query.More}
	for _, r := range got.Web.Results {
		a.Results = append(a.Results, Result{bare(r.Title), r.URL, bare(r.Description), date(cmp.Or(r.PageAge, r.Age))})
	}
	return a, nil
}

// tavily asks the API of Tavily.
func (c *Client) tavily(ctx context.Context, e Engine, q Query) (*Answer, error) {
	if e.Key == "" {
		return nil, noKey("tavily")
	}
	if q.Page > 1 {
		return nil, fmt.Errorf("%w on page %d: the engine has only one page; ask for more results (%d at most)", ErrNothing, q.Page, MostResults)
	}
	at, err := endpoint(cmp.Or(e.Address, "https://api.tavily.com/search"), nil)
	if err != nil {
		return nil, err
	}
	ask := map[string]any{"query": q.Words, "max_results": MostResults, "search_depth": "basic"}
	for name, list := range map[string][]string{"include_domains": q.Only, "exclude_domains": q.Never} {
		if len(list) > 0 {
			ask[name] = list
		}
	}
	if q.Since != "" {
		ask["time_range"] = q.Since
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	var got struct {
		Results []struct {
			Title, URL, Content string
			Published           string `json:"published_date"`
		} `json:"results"`
	}
	err = c.object(ctx, fetch.Request{URL: at, Method: http.MethodPost, Token: e.Key, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}, &got)
	if refused, ok := errors.AsType[*fetch.StatusError](err); ok && (refused.Status == 432 || refused.Status == 433) {
		return nil, fmt.Errorf("%w; the plan of its key is used up: name another engine in the configuration", err)
	}
	if err != nil {
		return nil, wrongKey(err)
	}
	a := &Answer{}
	for _, r := range got.Results {
		a.Results = append(a.Results, Result{r.Title, r.URL, r.Content, date(r.Published)})
	}
	return a, nil
}

var tag = lazyregexp.New(`</?(strong|b|em|i|mark)>`)

// bare is text without the marks of what was asked for.
func bare(s string) string { return html.UnescapeString(tag.ReplaceAllString(s, "")) }

// date is a date as an engine gives it, as a day if it can be read as one.
func date(s string) string {
	s = strings.TrimSpace(s)
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly, time.RFC1123, time.RFC1123Z} {
		if at, err := time.Parse(form, s); err == nil {
			return at.Format(time.DateOnly)
		}
	}
	return s
}
