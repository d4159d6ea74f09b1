// Package github reads repositories of GitHub: files, examples, searches.
//
// Its one rule: it asks as little as it can, since one without a token has 60
// requests an hour, and says when a limit ends instead of waiting for it. A
// Client owns what it knows of the limits; the cache is the fetcher's.
package github

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/fetch"
	"ml-intern/internal/lazyregexp"
)

const (
	apiURL   = "https://api.github.com"
	fileAge  = 10 * time.Minute
	fixedAge = 30 * 24 * time.Hour // of what a commit's name fixes
	jsonType = "application/vnd.github+json"
)

// What callers tell apart.
var (
	ErrNoToken = errors.New("GitHub answers this to those with a token only: set GITHUB_TOKEN")
	ErrUnknown = errors.New("there is no such thing on GitHub")
)

// getter is the part of a fetch.Client that is used.
type getter interface {
	Get(ctx context.Context, in fetch.Request) (*fetch.Response, error)
}

// A Client reads GitHub. It must not be copied.
type Client struct {
	Fetch   getter
	BaseURL string // of the API; https://api.github.com if empty
	Token   string // for the host of BaseURL and no other; may be empty

	mu     sync.Mutex
	limits map[string]Limit
}

// A Limit is what GitHub still allows of one kind of requests.
type Limit struct {
	Kind      string // "core", "search", "code_search"
	Limit     int
	Remaining int
	Reset     time.Time
}

// A LimitError says that GitHub answers no more before a time.
type LimitError struct {
	Kind      string
	Until     time.Time // zero if GitHub does not say
	Anonymous bool
	cause     error
}

func (e *LimitError) Error() string {
	text := "GitHub's limit of " + cmp.Or(e.Kind, "core") + " requests is reached"
	if !e.Until.IsZero() {
		text += fmt.Sprintf("; it ends at %s (in %s)", e.Until.UTC().Format("15:04:05 UTC"), max(time.Until(e.Until), 0).Round(time.Second))
	}
	if e.Anonymous {
		text += "; it is 60 requests an hour without a token: GITHUB_TOKEN raises it to 5000"
	}
	return text
}

func (e *LimitError) Unwrap() []error { return []error{fetch.ErrRateLimited, e.cause} }

func (c *Client) base() string { return strings.TrimRight(cmp.Or(c.BaseURL, apiURL), "/") }

// get asks the API. While a limit is reached, only the cache answers.
func (c *Client) get(ctx context.Context, path, accept string, age time.Duration) (*fetch.Response, error) {
	kind := kindOf(path)
	header := http.Header{"Accept": {accept}, "X-Github-Api-Version": {"2022-11-28"}}
	in := fetch.Request{URL: path, Header: header, Token: c.Token, MaxAge: age}
	if strings.HasPrefix(path, "/") {
		in.URL = c.base() + path
	}
	if until := c.exhausted(kind); !until.IsZero() {
		in.MaxAge = fixedAge
		over, stop := context.WithCancel(ctx)
		stop() // so that nothing is sent: what the cache has comes all the same
		if resp, err := c.Fetch.Get(over, in); err == nil {
			return resp, nil
		}
		return nil, &LimitError{Kind: kind, Until: until, Anonymous: c.Token == ""}
	}
	resp, err := c.Fetch.Get(ctx, in)
	if err != nil {
		return nil, c.refused(kind, err)
	}
	if !resp.Cached {
		c.note(kind, resp.Header)
	}
	return resp, nil
}

// kindOf is the limit that a path counts for.
func kindOf(path string) string {
	switch _, rest, _ := strings.Cut(path, "/search/"); {
	case rest == "":
		return "core"
	case strings.HasPrefix(rest, "code"):
		return "code_search"
	}
	return "search"
}

func (c *Client) exhausted(kind string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.limits[kind]
	if !ok || l.Remaining > 0 || !time.Now().Before(l.Reset) {
		return time.Time{}
	}
	return l.Reset
}

// note keeps what an answer says of the limits.
func (c *Client) note(kind string, h http.Header) {
	remaining, err := strconv.Atoi(h.Get("X-Ratelimit-Remaining"))
	reset, err2 := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64)
	if err != nil || err2 != nil || reset <= 0 || reset > 1e12 {
		return
	}
	limit, _ := strconv.Atoi(h.Get("X-Ratelimit-Limit"))
	c.set(Limit{Kind: cmp.Or(h.Get("X-Ratelimit-Resource"), kind), Limit: limit, Remaining: remaining, Reset: time.Unix(reset, 0)})
}

func (c *Client) set(l Limit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limits == nil {
		c.limits = map[string]Limit{}
	}
	c.limits[l.Kind] = l
}

// Low is the limit that is nearly reached, if one is.
func (c *Client) Low() (Limit, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.limits["core"]
	return l, ok && l.Remaining < 10 && time.Now().Before(l.Reset)
}

// refused gives a failure its meaning.
func (c *Client) refused(kind string, err error) error {
	status, ok := errors.AsType[*fetch.StatusError](err)
	if !ok {
		return err
	}
	secondary := status.Status == http.StatusForbidden && (strings.Contains(status.Message, "secondary rate limit") || strings.Contains(status.Message, "abuse detection"))
	switch {
	case errors.Is(err, fetch.ErrRateLimited), secondary:
		limited := &LimitError{Kind: kind, Anonymous: c.Token == "", cause: err}
		wait := status.Wait
		if wait == 0 && secondary {
			wait = time.Minute // what GitHub asks for when it does not say
		}
		if wait > 0 {
			limited.Until = time.Now().Add(wait)
			c.set(Limit{Kind: kind, Reset: limited.Until})
		}
		if secondary {
			limited.Anonymous = false
		}
		return limited
	case status.Status == http.StatusUnauthorized && c.Token != "":
		return fmt.Errorf("GitHub does not know the token in GITHUB_TOKEN (GH_TOKEN): %w", err)
	case status.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w: %w", ErrNoToken, err)
	}
	return err
}

// into asks for JSON.
func (c *Client) into(ctx context.Context, path string, age time.Duration, v any) (*fetch.Response, error) {
	resp, err := c.get(ctx, path, jsonType, age)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(resp.Body, v); err != nil {
		return nil, fmt.Errorf("%s did not answer with the JSON that is expected: %w", resp.URL, err)
	}
	return resp, nil
}

// A Repo is a repository.
type Repo struct {
	Name          string   `json:"full_name"`
	URL           string   `json:"html_url"`
	Description   string   `json:"description"`
	Language      string   `json:"language"`
	Stars         int      `json:"stargazers_count"`
	Forks         int      `json:"forks_count"`
	Topics        []string `json:"topics"`
	DefaultBranch string   `json:"default_branch"`
	Archived      bool     `json:"archived"`
	Fork          bool     `json:"fork"`
	Updated       string   `json:"pushed_at"`
	License       *struct {
		ID string `json:"spdx_id"`
	} `json:"license"`
}

var (
	repoName = lazyregexp.New(`^([A-Za-z0-9](?:[A-Za-z0-9_-]*))/([A-Za-z0-9._-]+)$`)
	userName = lazyregexp.New(`^[A-Za-z0-9](?:[A-Za-z0-9_-]*)$`)
	isCommit = lazyregexp.New(`^[0-9a-f]{40}$`)
)

// ParseRepo reads "owner/name" or the address of a repository's page.
func ParseRepo(s string) (string, error) {
	s = strings.TrimSpace(s)
	name := strings.TrimSuffix(s, ".git")
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		if host := strings.ToLower(u.Hostname()); host != "github.com" && host != "www.github.com" {
			return "", fmt.Errorf("%s is not on github.com", s)
		}
		parts := strings.SplitN(strings.Trim(u.Path, "/"), "/", 3)
		name = strings.TrimSuffix(strings.Join(parts[:min(2, len(parts))], "/"), ".git")
	}
	m := repoName.FindStringSubmatch(name)
	if m == nil || m[2] == "." || m[2] == ".." {
		return "", fmt.Errorf("a repository is named OWNER/NAME, not %q", s)
	}
	return name, nil
}

// noRepo is ErrUnknown of a repository; the text names similar ones.
func (c *Client) noRepo(ctx context.Context, repo string, cause error) error {
	owner, name, _ := strings.Cut(repo, "/")
	found, err := c.SearchRepos(ctx, RepoQuery{Words: name, Owner: owner, Limit: 5})
	if err != nil || len(found.Repos) == 0 {
		found, err = c.SearchRepos(ctx, RepoQuery{Words: name, Limit: 5})
	}
	hint := ""
	if err == nil && len(found.Repos) > 0 {
		names := make([]string, len(found.Repos))
		for i, r := range found.Repos {
			names[i] = r.Name
		}
		hint = "; did you mean " + strings.Join(names, ", ") + "?"
	}
	return fmt.Errorf("%w: the repository %s, or it is private%s (%w)", ErrUnknown, repo, hint, cause)
}

// escape escapes each part of a path.
func escape(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}
