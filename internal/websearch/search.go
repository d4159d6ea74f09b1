// Package websearch asks search engines for pages about some words.
//
// Its one rule: an answer is either results or an error that says what is in
// the way. A page that wants to know whether a person asks is no answer, and
// neither is an empty one. What comes back is data from strangers, bounded.
package websearch

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"ml-intern/internal/fetch"
)

// What callers tell apart.
var (
	ErrQuery   = errors.New("the question is of no use")
	ErrNothing = errors.New("nothing was found")
	ErrRobot   = errors.New("the engine takes the question for a robot's")
)

const (
	usualResults = 8
	// MostResults is how many results one answer has at most.
	MostResults = 20
	maxPages    = 10
	maxQuery    = 400 // bytes
)

// An Engine says whom to ask, and where.
type Engine struct {
	Name    string // searxng, brave, tavily or duckduckgo
	Address string // of the engine's API; the public one of it if "" (SearXNG has none)
	Key     string // for brave and tavily
}

// A Client asks search engines. The engines are tried in their order until
// one answers; DuckDuckGo alone if none are named.
type Client struct {
	// Fetch gets the answers. The addresses of engines come from the
	// configuration, so it may trust them.
	Fetch   *fetch.Client
	Engines []Engine
}

// A Query is a question.
type Query struct {
	Words   string
	Only    []string // domains that results must be of
	Never   []string // domains that results must not be of
	Since   string   // day, week, month or year; "" for any time
	Results int      // 8 if 0
	Page    int      // 1 is the first
}

// A Result is a page that was found.
type Result struct {
	Title, URL, Snippet string
	Date                string // if the engine knows it
}

// An Answer is what an engine found.
type Answer struct {
	Engine  string
	Results []Result
	More    bool     // there may be another page
	Notes   []string // what did not go as asked
}

// Search asks for pages. It returns at least one result or an error.
func (c *Client) Search(ctx context.Context, q Query) (*Answer, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	engines := c.Engines
	if len(engines) == 0 {
		engines = []Engine{{Name: "duckduckgo"}}
	}
	var failed []error
	for _, e := range engines {
		a, err := c.ask(ctx, e, q)
		if err == nil {
			for _, f := range failed {
				a.Notes = append(a.Notes, f.Error())
			}
			return a, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		failed = append(failed, fmt.Errorf("search with %s: %w", e.Name, err))
	}
	return nil, errors.Join(failed...)
}

func useless(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrQuery, fmt.Sprintf(format, args...))
}

// check refuses questions of no use, and puts the others in order.
func (q *Query) check() error {
	q.Words = strings.Join(strings.Fields(q.Words), " ")
	switch {
	case len([]rune(q.Words)) < 2:
		return useless("the query needs two letters at least")
	case len(q.Words) > maxQuery:
		return useless("the query has more than %d bytes; name the few words that matter", maxQuery)
	case !slices.Contains([]string{"", "day", "week", "month", "year"}, q.Since):
		return useless("since must be day, week, month or year, not %q", q.Since)
	case q.Page < 0 || q.Page > maxPages:
		return useless("there are pages 1 to %d, not %d", maxPages, q.Page)
	}
	q.Page = max(q.Page, 1)
	if q.Results <= 0 {
		q.Results = usualResults
	}
	q.Results = min(q.Results, MostResults)
	var err error
	if q.Only, err = domains(q.Only); err == nil {
		q.Never, err = domains(q.Never)
	}
	return err
}

// domains reads names of domains, which people also give as addresses.
func domains(list []string) ([]string, error) {
	var out []string
	for _, d := range list {
		name := strings.ToLower(strings.TrimSpace(d))
		if _, after, ok := strings.Cut(name, "://"); ok {
			name = after
		}
		name, _, _ = strings.Cut(name, "/")
		name, _, _ = strings.Cut(name, ":")
		name = strings.Trim(strings.TrimPrefix(name, "*"), ".")
		if name == "" || strings.ContainsAny(name, " \t\"'()") {
			return nil, useless("%q is no domain; give one as in docs.python.org", d)
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, nil
}

// ask asks one engine.
func (c *Client) ask(ctx context.Context, e Engine, q Query) (*Answer, error) {
	kinds := map[string]func(context.Context, Engine, Query) (*Answer, error){
		"searxng": c.searxng, "brave": c.brave, "tavily": c.tavily, "duckduckgo": c.duckduckgo,
	}
	kind, ok := kinds[strings.ToLower(e.Name)]
	if !ok {
		return nil, fmt.Errorf("there is no such engine; there are searxng, brave, tavily and duckduckgo")
	}
	a, err := kind(ctx, e, q)
	switch {
	case errors.Is(err, fetch.ErrRateLimited):
		return nil, fmt.Errorf("%w; wait a while or name another engine in the configuration", err)
	case err != nil:
		return nil, err
	}
	a.Engine = strings.ToLower(e.Name)
	found := len(a.Results)
	a.Results = q.choose(a.Results)
	if len(a.Results) == 0 {
		switch {
		case found > 0:
			return nil, fmt.Errorf("%w on the wanted domains, though there were %d results elsewhere; try other words or fewer domains", ErrNothing, found)
		case q.Page > 1:
			return nil, fmt.Errorf("%w on page %d: the results end before it", ErrNothing, q.Page)
		}
		return nil, fmt.Errorf("%w; try fewer or other words", ErrNothing)
	}
	return a, nil
}

// The bounds of a result, in bytes.
const (
	maxTitle   = 200
	maxURL     = 1000
	maxSnippet = 500
)

// choose keeps the results that were asked for, each page once.
func (q *Query) choose(all []Result) []Result {
	var out []Result
	seen := map[string]bool{}
	for _, r := range all {
		u, err := url.Parse(strings.TrimSpace(r.URL))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || len(r.URL) > maxURL {
			continue
		}
		host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
		if len(q.Only) > 0 && !within(host, q.Only) || within(host, q.Never) || seen[u.String()] {
			continue
		}
		seen[u.String()] = true
		r.URL = u.String()
		r.Title, r.Snippet, r.Date = words(r.Title, maxTitle), words(r.Snippet, maxSnippet), words(r.Date, 40)
		if r.Title == "" {
			r.Title = host
		}
		if out = append(out, r); len(out) == q.Results {
			break
		}
	}
	return out
}

func within(host string, domains []string) bool {
	return slices.ContainsFunc(domains, func(d string) bool { return host == d || strings.HasSuffix(host, "."+d) })
}

// words is text in one line of at most so many bytes.
func words(s string, most int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// sites are the words with the domains as engines understand them, if they
// are few.
func (q *Query) sites() string {
	const few = 5
	s := q.Words
	if n := len(q.Only); n > 0 && n <= few {
		s += " (site:" + strings.Join(q.Only, " OR site:") + ")"
	}
	if len(q.Never) <= few {
		for _, d := range q.Never {
			s += " -site:" + d
		}
	}
	return s
}
