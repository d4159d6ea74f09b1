package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
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
	return cmp.Or(out.URL, c.RepoURL(repo)), nil
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

// An Entry is a file or a folder of a repository.
type Entry struct {
	Path string
	Dir  bool
	Size int64
	OID  string // git's id of the blob or tree; for a large file, of its pointer
	LFS  string // sha256 of a large file, "" for others

	Last *LastCommit // that changed it, if that was asked for
}

// LastCommit is the commit that last changed an entry.
type LastCommit struct {
	ID    string    `json:"id"`
	Title string    `json:"title"`
	Date  time.Time `json:"date"`
}

// rawEntry is an entry as the Hub writes it.
type rawEntry struct {
	Type string `json:"type"`
	Path string `json:"path"`
	OID  string `json:"oid"`
	Size int64  `json:"size"`
	LFS  *struct {
		OID string `json:"oid"`
	} `json:"lfs"`
	Last *LastCommit `json:"lastCommit"`
}

func (r rawEntry) entry() Entry {
	e := Entry{Path: r.Path, Dir: r.Type == "directory", OID: r.OID, Size: r.Size, Last: r.Last}
	if r.LFS != nil {
		e.LFS = r.LFS.OID
	}
	return e
}

// TreeOptions say which part of a repository to list.
type TreeOptions struct {
	Revision  string // main if ""
	Path      string // a folder; the root if ""
	Recursive bool
	Commits   bool // with the commit that last changed each entry, which takes the Hub long
}

// ListTree lists the files and folders of a repository, page by page.
func (c *Client) ListTree(ctx context.Context, repo RepoID, opts TreeOptions) iter.Seq2[Entry, error] {
	path := repo.api() + "/tree/" + revision(opts.Revision)
	if opts.Path != "" {
		path += "/" + escapePath(opts.Path)
	}
	q := url.Values{}
	if opts.Recursive {
		q.Set("recursive", "true")
	}
	if opts.Commits {
		q.Set("expand", "true")
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return func(yield func(Entry, error) bool) {
		for raw, err := range paged[rawEntry](ctx, c, "list files of "+repo.String(), path, 0) {
			if !yield(raw.entry(), err) {
				return
			}
		}
	}
}
