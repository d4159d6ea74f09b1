// Package hub is a client of the Hugging Face Hub, and of servers that speak
// its API: repositories, their files, and commits.
//
// Its one rule: the token goes to the host it belongs to and to nobody else,
// whatever a redirect, a page link or an upload address says. A Client holds
// no state; what it returns belongs to the caller.
package hub

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

const publicHub = "https://huggingface.co"

// A Client talks to one Hub as one account. The zero Client is anonymous.
type Client struct {
	BaseURL string       // https://huggingface.co if empty
	Token   string       // never logged, never sent to another host
	HTTP    *http.Client // one of the package's if nil; its redirect policy is not used

	// ViewerURL is where the dataset viewer answers; if empty, where it does for this Hub.
	// The token goes there, too.
	ViewerURL string

	// Who answers WhoAmI from what is known of the token; nil asks the Hub.
	Who func(context.Context) (Account, error)
}

func (c *Client) base() string {
	if c.BaseURL == "" {
		return publicHub
	}
	return strings.TrimRight(c.BaseURL, "/")
}

// RepoType is the kind of a repository.
type RepoType string

// The kinds of repositories.
const (
	Model   RepoType = "model"
	Dataset RepoType = "dataset"
	Space   RepoType = "space"
)

// RepoID names a repository. Namespace is empty for the few old repositories
// that have none ("gpt2").
type RepoID struct {
	Type      RepoType
	Namespace string
	Name      string
}

// ParseRepo reads "name", "owner/name", or either of them after "models/",
// "datasets/" or "spaces/". Without such a prefix the type is typ, and a model
// if typ is empty.
func ParseRepo(typ RepoType, id string) (RepoID, error) {
	if typ == "" {
		typ = Model
	}
	for _, t := range []RepoType{Model, Dataset, Space} {
		if rest, ok := strings.CutPrefix(id, string(t)+"s/"); ok {
			typ, id = t, rest
			break
		}
	}
	repo := RepoID{Type: typ, Name: id}
	if ns, name, ok := strings.Cut(id, "/"); ok {
		if ns == "" {
			return RepoID{}, fmt.Errorf("parse repository id %q: the owner is empty", id)
		}
		repo.Namespace, repo.Name = ns, name
	}
	if err := repo.Check(); err != nil {
		return RepoID{}, fmt.Errorf("parse repository id %q: %w", id, err)
	}
	return repo, nil
}

// ParseURI reads hf://datasets/owner/name@revision as huggingface_hub writes
// it: without a type it is a model, which may also be named "model" or
// "models". The revision is "" if there is none.
func ParseURI(uri string) (repo RepoID, rev string, err error) {
	id, ok := strings.CutPrefix(uri, "hf://")
	if !ok {
		return RepoID{}, "", fmt.Errorf("parse %q: it does not begin with hf://", uri)
	}
	id, rev, _ = strings.Cut(strings.TrimSuffix(id, "/"), "@")
	for _, t := range []RepoType{Model, Dataset, Space} {
		if rest, ok := strings.CutPrefix(id, string(t)+"/"); ok && strings.Contains(rest, "/") {
			id = string(t) + "s/" + rest
		}
	}
	repo, err = ParseRepo(Model, id)
	return repo, rev, err
}

// Check says what is wrong with the name, if anything is.
func (r RepoID) Check() error {
	switch r.Type {
	case Model, Dataset, Space:
	default:
		return fmt.Errorf("%q is not a repository type: want model, dataset or space", r.Type)
	}
	if n := len(r.String()); n > 96 {
		return fmt.Errorf("%d characters is too long: 96 is the most", n)
	}
	if r.Namespace != "" {
		if err := checkSegment(r.Namespace); err != nil {
			return err
		}
	}
	return checkSegment(r.Name)
}

func checkSegment(s string) error {
	odd := func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-", c))
	}
	switch {
	case s == "":
		return fmt.Errorf("a name is empty")
	case strings.ContainsFunc(s, odd):
		return fmt.Errorf("%q may have only letters, digits, '.', '_' and '-'", s)
	case strings.Contains(s, "--") || strings.Contains(s, ".."):
		return fmt.Errorf("%q may not have -- or ..", s)
	case strings.Trim(s, "-.") != s:
		return fmt.Errorf("%q may not begin or end with - or .", s)
	case strings.HasSuffix(s, ".git"):
		return fmt.Errorf("%q may not end with .git", s)
	case !filepath.IsLocal(s): // the device names of Windows
		return fmt.Errorf("%q is a name that this system keeps for itself", s)
	}
	return nil
}

// String is the id as people write it, without the type: owner/name.
func (r RepoID) String() string {
	if r.Namespace == "" {
		return r.Name
	}
	return r.Namespace + "/" + r.Name
}

// Path is where the repository's page is on its Hub: "owner/name" for models,
// "datasets/owner/name" for datasets.
func (r RepoID) Path() string {
	if r.Type == Model || r.Type == "" {
		return r.String()
	}
	return string(r.Type) + "s/" + r.String()
}

func (r RepoID) api() string {
	typ := r.Type
	if typ == "" {
		typ = Model
	}
	return "/api/" + string(typ) + "s/" + r.String()
}

// RepoURL is the address of a repository's page.
func (c *Client) RepoURL(repo RepoID) string { return c.base() + "/" + repo.Path() }

// CheckPath says what is wrong with a file's path in a repository, if anything
// is. A good path has '/' between its parts, stays inside the repository on
// every system, and does not reach into .git.
func CheckPath(path string) error {
	bad := func(why string) error { return fmt.Errorf("path %q in repository: %s", path, why) }
	switch {
	case path == "":
		return bad("is empty")
	case len(path) > 2048:
		return fmt.Errorf("path in repository: %d bytes is too long: 2048 is the most", len(path))
	case !utf8.ValidString(path):
		return bad("is not UTF-8")
	case strings.ContainsFunc(path, unicode.IsControl):
		return bad("has a control character")
	case strings.Contains(path, `\`):
		return bad(`has a \; use /`)
	}
	for part := range strings.SplitSeq(path, "/") {
		switch {
		case part == "":
			return bad("has an empty part")
		case part == "." || part == "..":
			return bad("has a part " + part)
		case len(part) > 255:
			return bad("has a part of more than 255 bytes")
		case strings.EqualFold(part, ".git"):
			return bad("reaches into .git")
		}
	}
	return nil
}

// escapePath keeps the slashes of a path and escapes the rest.
func escapePath(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

func revision(rev string) string {
	if rev == "" {
		rev = "main"
	}
	return url.PathEscape(rev)
}
