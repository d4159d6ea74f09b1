package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// CreateOptions say how a repository is made.
type CreateOptions struct {
	Private bool
	ExistOK bool   // a repository that is there already is not an error
	SDK     string // of a Space: gradio, docker or static
}

// CreateRepo makes a repository and returns the address of its page. Without a
// namespace it belongs to the token's account, so the Hub's answer tells the
// whole name.
func (c *Client) CreateRepo(ctx context.Context, repo RepoID, opts CreateOptions) (string, error) {
	in := struct {
		Name       string   `json:"name"`
		Owner      string   `json:"organization,omitempty"`
		Type       RepoType `json:"type,omitempty"`
		Visibility string   `json:"visibility"`
		SDK        string   `json:"sdk,omitempty"`
	}{repo.Name, repo.Namespace, repo.Type, "public", opts.SDK}
	if opts.Private {
		in.Visibility = "private"
	}
	var out struct {
		URL string `json:"url"`
	}
	_, err := c.api(ctx, call{method: "POST", path: "/api/repos/create", once: !opts.ExistOK}, in, &out)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusConflict && opts.ExistOK {
		if repo.Namespace != "" {
			return c.RepoURL(repo), nil
		}
		who, err := c.WhoAmI(ctx)
		if err != nil {
			return "", fmt.Errorf("create repository %s: %w", repo, err)
		}
		repo.Namespace = who.Name
		return c.RepoURL(repo), nil
	}
	if err != nil {
		return "", fmt.Errorf("create repository %s: %w", repo, err)
	}
	return out.URL, nil
}

// DeleteRepo deletes a repository for ever. A missing one is ErrNotFound.
func (c *Client) DeleteRepo(ctx context.Context, repo RepoID) error {
	in := struct {
		Name  string   `json:"name"`
		Owner string   `json:"organization,omitempty"`
		Type  RepoType `json:"type,omitempty"`
	}{repo.Name, repo.Namespace, repo.Type}
	if _, err := c.api(ctx, call{method: "DELETE", path: "/api/repos/delete", once: true}, in, nil); err != nil {
		return fmt.Errorf("delete repository %s: %w", repo, err)
	}
	return nil
}

// Info is what the Hub says about a repository at one revision.
type Info struct {
	ID           string         `json:"id"`
	SHA          string         `json:"sha"` // the commit
	Author       string         `json:"author"`
	Private      bool           `json:"private"`
	Gated        Gate           `json:"gated"`
	Disabled     bool           `json:"disabled"`
	Tags         []string       `json:"tags"`
	PipelineTag  string         `json:"pipeline_tag"`
	Library      string         `json:"library_name"`
	Downloads    int64          `json:"downloads"`
	Likes        int64          `json:"likes"`
	Created      time.Time      `json:"createdAt"`
	LastModified time.Time      `json:"lastModified"`
	UsedStorage  int64          `json:"usedStorage"`
	Card         map[string]any `json:"cardData"`
	Siblings     []struct {
		Path string `json:"rfilename"`
	} `json:"siblings"`
}

// Gate is how access is given: "" to everyone, "auto" or "manual" to those who
// ask. The Hub writes false for the first.
type Gate string

// UnmarshalJSON reads false, true or a word.
func (g *Gate) UnmarshalJSON(data []byte) error {
	var word string
	if json.Unmarshal(data, &word) == nil {
		*g = Gate(word)
		return nil
	}
	*g = ""
	if string(data) == "true" {
		*g = "auto"
	}
	return nil
}

// RepoInfo describes a repository at a revision: a branch, a tag or a commit,
// main if "".
func (c *Client) RepoInfo(ctx context.Context, repo RepoID, rev string) (Info, error) {
	var info Info
	path := repo.api() + "/revision/" + revision(rev)
	if _, err := c.api(ctx, call{method: "GET", path: path}, nil, &info); err != nil {
		return Info{}, fmt.Errorf("get repository %s: %w", repo, err)
	}
	return info, nil
}

// An Entry is a file or a folder of a repository.
type Entry struct {
	Path string
	Dir  bool
	Size int64
	OID  string // git's id of the blob or tree; for a large file, of its pointer
	LFS  string // sha256 of a large file, "" for others
}

// TreeOptions say which part of a repository to list.
type TreeOptions struct {
	Revision  string // main if ""
	Path      string // a folder; the root if ""
	Recursive bool
}

// ListTree lists the files and folders of a repository, page by page.
func (c *Client) ListTree(ctx context.Context, repo RepoID, opts TreeOptions) iter.Seq2[Entry, error] {
	path := repo.api() + "/tree/" + revision(opts.Revision)
	if opts.Path != "" {
		path += "/" + escapePath(opts.Path)
	}
	if opts.Recursive {
		path += "?recursive=true"
	}
	return func(yield func(Entry, error) bool) {
		for path != "" {
			page, next, err := c.treePage(ctx, path)
			if err != nil {
				yield(Entry{}, fmt.Errorf("list files of %s: %w", repo, err))
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			path = next
		}
	}
}

func (c *Client) treePage(ctx context.Context, path string) ([]Entry, string, error) {
	var raw []struct {
		Type string `json:"type"`
		Path string `json:"path"`
		OID  string `json:"oid"`
		Size int64  `json:"size"`
		LFS  *struct {
			OID string `json:"oid"`
		} `json:"lfs"`
	}
	header, err := c.api(ctx, call{method: "GET", path: path}, nil, &raw)
	if err != nil {
		return nil, "", err
	}
	entries := make([]Entry, 0, len(raw))
	for _, r := range raw {
		e := Entry{Path: r.Path, Dir: r.Type == "directory", OID: r.OID, Size: r.Size}
		if r.LFS != nil {
			e.LFS = r.LFS.OID
		}
		entries = append(entries, e)
	}
	return entries, nextPage(header), nil
}

// nextPage finds the address of the next page in a Link header.
func nextPage(h http.Header) string {
	for _, line := range h.Values("Link") {
		for line != "" {
			_, rest, _ := strings.Cut(line, "<")
			target, rest, closed := strings.Cut(rest, ">")
			params, after, _ := strings.Cut(rest, ",")
			if closed && (strings.Contains(params, `rel="next"`) || strings.Contains(params, "rel=next")) {
				return target
			}
			line = after
		}
	}
	return ""
}

// SearchOptions say which repositories to list.
type SearchOptions struct {
	Type   RepoType // models if ""
	Search string   // in the name
	Author string
	Filter []string // tags that all must be there
	Sort   string   // lastModified, createdAt, downloads, likes or trendingScore
	Limit  int      // 0 for all
}

// Search lists repositories, page by page.
func (c *Client) Search(ctx context.Context, opts SearchOptions) iter.Seq2[Info, error] {
	q := url.Values{"filter": opts.Filter, "full": {"true"}}
	for key, v := range map[string]string{"search": opts.Search, "author": opts.Author, "sort": opts.Sort} {
		if v != "" {
			q.Set(key, v)
		}
	}
	if opts.Limit > 0 {
		q.Set("limit", fmt.Sprint(opts.Limit))
	}
	path := "/api/" + string(cmp.Or(opts.Type, Model)) + "s?" + q.Encode()
	return func(yield func(Info, error) bool) {
		for n := 0; path != ""; {
			var page []Info
			header, err := c.api(ctx, call{method: "GET", path: path}, nil, &page)
			if err != nil {
				yield(Info{}, fmt.Errorf("search the Hub: %w", err))
				return
			}
			for _, info := range page {
				n++
				if !yield(info, nil) || n == opts.Limit {
					return
				}
			}
			path = nextPage(header)
		}
	}
}
