package github

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/fetch"
	"ml-intern/internal/lazyregexp"
)

const (
	searchAge = 10 * time.Minute
	perPage   = 100
	maxPages  = 10 // GitHub finds 1000 and no more
)

// A RepoQuery says which repositories to find.
type RepoQuery struct {
	Words    string
	Owner    string // a person or an organisation
	Language string
	Topic    string
	Sort     string // "stars" if empty and Owner is set; "forks", "updated", "help-wanted-issues", "best"
	Order    string // "desc" if empty
	Forks    bool   // with forks
	Limit    int
}

// Repos are repositories that were found.
type Repos struct {
	Repos      []Repo
	Total      int
	Incomplete bool // the search took too long for GitHub
}

// nextLink is the address of the next page in a Link header.
var nextLink = lazyregexp.New(`<([^<>]*)>\s*;[^,<]*\brel="?next"?`)

// next is the address of the next page, "" if there is none. One of another
// host is not believed.
func (c *Client) next(h http.Header) string {
	m := nextLink.FindStringSubmatch(strings.Join(h.Values("Link"), ", "))
	if m == nil {
		return ""
	}
	base, err := url.Parse(c.base())
	if err != nil {
		return ""
	}
	u, err := base.Parse(m[1])
	if err != nil || u.Host != base.Host || u.Scheme != base.Scheme {
		return ""
	}
	return u.String()
}

// SearchRepos finds repositories, over as many pages as the limit needs.
func (c *Client) SearchRepos(ctx context.Context, q RepoQuery) (*Repos, error) {
	terms, err := q.terms()
	if err != nil {
		return nil, err
	}
	limit := cmp.Or(max(q.Limit, 0), 30)
	params := url.Values{"q": {terms}, "per_page": {fmt.Sprint(min(limit, perPage))}}
	sort := q.Sort
	if sort == "" && (q.Owner != "" || q.Words == "") {
		sort = "stars"
	}
	if sort != "" && sort != "best" {
		params.Set("sort", sort)
		params.Set("order", cmp.Or(q.Order, "desc"))
	}
	out := &Repos{}
	at := "/search/repositories?" + params.Encode()
	for range maxPages {
		var page struct {
			Total      int    `json:"total_count"`
			Incomplete bool   `json:"incomplete_results"`
			Items      []Repo `json:"items"`
		}
		resp, err := c.into(ctx, at, searchAge, &page)
		if statusOf(err) == http.StatusUnprocessableEntity {
			return nil, fmt.Errorf("search repositories: %w: the owner, or the search is not one that GitHub takes: %w", ErrUnknown, err)
		}
		if err != nil {
			return nil, fmt.Errorf("search repositories: %w", err)
		}
		out.Total, out.Incomplete = page.Total, out.Incomplete || page.Incomplete
		for _, r := range page.Items {
			if !slices.ContainsFunc(out.Repos, func(o Repo) bool { return o.Name == r.Name }) {
				out.Repos = append(out.Repos, r)
			}
		}
		if at = c.next(resp.Header); at == "" || len(out.Repos) >= limit {
			break
		}
	}
	out.Repos = out.Repos[:min(limit, len(out.Repos))]
	return out, nil
}

func (q RepoQuery) terms() (string, error) {
	var terms []string
	if words := strings.TrimSpace(q.Words); words != "" {
		terms = append(terms, words)
	}
	if q.Owner != "" {
		if !userName.MatchString(q.Owner) {
			return "", fmt.Errorf("an owner is one name, not %q", q.Owner)
		}
		terms = append(terms, "user:"+q.Owner)
	}
	for _, term := range [][2]string{{"language", q.Language}, {"topic", q.Topic}} {
		if term[1] != "" {
			terms = append(terms, term[0]+`:"`+strings.ReplaceAll(term[1], `"`, "")+`"`)
		}
	}
	if len(terms) == 0 {
		return "", errors.New("a search needs words, an owner, a language or a topic")
	}
	if q.Forks {
		terms = append(terms, "fork:true")
	}
	return strings.Join(terms, " "), nil
}

// A CodeHit is a file that a search found.
type CodeHit struct {
	Repo  string
	Path  string
	URL   string
	Parts []string // of the text, around what was found
}

// CodeQuery says what code to find.
type CodeQuery struct {
	Words    string
	Repo     string
	Owner    string
	Language string
	Path     string
	Limit    int
}

// SearchCode finds files by what is in them. GitHub answers it to those with a
// token only.
func (c *Client) SearchCode(ctx context.Context, q CodeQuery) (hits []CodeHit, total int, err error) {
	if c.Token == "" {
		return nil, 0, fmt.Errorf("search code: %w", ErrNoToken)
	}
	terms := []string{strings.TrimSpace(q.Words)}
	for _, term := range [][2]string{{"repo", q.Repo}, {"user", q.Owner}, {"language", q.Language}, {"path", q.Path}} {
		if term[1] != "" {
			terms = append(terms, term[0]+":"+strings.Join(strings.Fields(term[1]), ""))
		}
	}
	limit := min(cmp.Or(max(q.Limit, 0), 10), perPage)
	params := url.Values{"q": {strings.Join(terms, " ")}, "per_page": {fmt.Sprint(limit)}}
	resp, err := c.get(ctx, "/search/code?"+params.Encode(), "application/vnd.github.text-match+json", searchAge)
	if statusOf(err) == http.StatusUnprocessableEntity {
		return nil, 0, fmt.Errorf("search code: GitHub does not take this search, or the repository is unknown to it: %w", err)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("search code: %w", err)
	}
	return codeHits(resp)
}

func codeHits(resp *fetch.Response) (hits []CodeHit, total int, err error) {
	var page struct {
		Total int `json:"total_count"`
		Items []struct {
			Path string `json:"path"`
			URL  string `json:"html_url"`
			Repo Repo   `json:"repository"`
			Text []struct {
				Fragment string `json:"fragment"`
			} `json:"text_matches"`
		} `json:"items"`
	}
	if err := json.Unmarshal(resp.Body, &page); err != nil {
		return nil, 0, fmt.Errorf("search code: the answer is not the JSON that is expected: %w", err)
	}
	for _, it := range page.Items {
		h := CodeHit{Repo: it.Repo.Name, Path: it.Path, URL: it.URL}
		for _, t := range it.Text {
			h.Parts = append(h.Parts, t.Fragment)
		}
		hits = append(hits, h)
	}
	return hits, page.Total, nil
}
