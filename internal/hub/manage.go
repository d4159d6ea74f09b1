package hub

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"time"
)

// MoveRepo gives a repository another name or owner. The old name leads to the
// new one.
func (c *Client) MoveRepo(ctx context.Context, from, to RepoID) error {
	in := map[string]string{"fromRepo": from.String(), "toRepo": to.String(), "type": string(from.kind())}
	if _, err := c.api(ctx, call{method: "POST", path: "/api/repos/move", once: true}, in, nil); err != nil {
		return fmt.Errorf("move repository %s to %s: %w", from, to, err)
	}
	return nil
}

func (r RepoID) kind() RepoType {
	if r.Type == "" {
		return Model
	}
	return r.Type
}

// RepoSettings are changes of who may do what. What is nil or "" stays.
type RepoSettings struct {
	Visibility    string `json:"visibility,omitempty"` // public, private, or protected for a Space
	Gated         *Gate  `json:"gated,omitempty"`
	NoDiscussions *bool  `json:"discussionsDisabled,omitempty"`
}

// UpdateSettings changes the settings of a repository.
func (c *Client) UpdateSettings(ctx context.Context, repo RepoID, in RepoSettings) error {
	if _, err := c.api(ctx, call{method: "PUT", path: repo.api() + "/settings"}, in, nil); err != nil {
		return fmt.Errorf("change settings of %s: %w", repo, err)
	}
	return nil
}

// CheckAccess says why the account may not read a repository's files, or with
// write change it, if so.
func (c *Client) CheckAccess(ctx context.Context, repo RepoID, write bool) error {
	path := repo.api() + "/auth-check"
	if write {
		path += "/write"
	}
	if _, err := c.api(ctx, call{method: "GET", path: path}, nil, nil); err != nil {
		return fmt.Errorf("check access to %s: %w", repo, err)
	}
	return nil
}

// DuplicateOptions say how the copy differs.
type DuplicateOptions struct {
	Visibility string // that of the original if ""
	ExistOK    bool   // a repository that is there already is not an error

	// Of Spaces.
	Hardware  string
	Sleep     time.Duration // without visitors, then it stops; below 0 never
	Secrets   map[string]string
	Variables map[string]string
}

// DuplicateRepo copies a repository on the Hub and returns the address of the
// copy's page.
func (c *Client) DuplicateRepo(ctx context.Context, from, to RepoID, opts DuplicateOptions) (string, error) {
	type pair struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	pairs := func(m map[string]string) (list []pair) {
		for key, v := range m {
			list = append(list, pair{key, v})
		}
		return list
	}
	in := struct {
		To         string `json:"repository"`
		Visibility string `json:"visibility,omitempty"`
		Hardware   string `json:"hardware,omitempty"`
		Sleep      int64  `json:"sleepTimeSeconds,omitempty"`
		Secrets    []pair `json:"secrets,omitempty"`
		Variables  []pair `json:"variables,omitempty"`
	}{to.String(), opts.Visibility, opts.Hardware, int64(opts.Sleep.Seconds()), pairs(opts.Secrets), pairs(opts.Variables)}
	if opts.Sleep < 0 {
		in.Sleep = -1
	}
	var out struct {
		URL string `json:"url"`
	}
	_, err := c.api(ctx, call{method: "POST", path: from.api() + "/duplicate", once: true, limit: slowLimit}, in, &out)
	if opts.ExistOK && errors.Is(err, ErrConflict) {
		return c.RepoURL(to), nil
	}
	if err != nil {
		return "", fmt.Errorf("duplicate %s as %s: %w", from, to, err)
	}
	return out.URL, nil
}

// SquashBranch replaces the history of a branch, main if "", by one commit with
// its files, and returns it. What was before is lost.
func (c *Client) SquashBranch(ctx context.Context, repo RepoID, branch, message string) (string, error) {
	in := struct {
		Message string `json:"message,omitempty"`
	}{message}
	var out struct {
		Commit string `json:"commitId"`
	}
	cl := call{method: "POST", path: repo.api() + "/super-squash/" + revision(branch), once: true, limit: slowLimit}
	if _, err := c.api(ctx, cl, in, &out); err != nil {
		return "", fmt.Errorf("squash %s of %s: %w", branch, repo, err)
	}
	return out.Commit, nil
}

// TreeSize is the size of all files below a folder of a repository, of all if
// the path is "".
func (c *Client) TreeSize(ctx context.Context, repo RepoID, rev, path string) (int64, error) {
	var out struct {
		Size int64 `json:"size"`
	}
	at := repo.api() + "/treesize/" + revision(rev) + "/" + url.PathEscape(path)
	if _, err := c.api(ctx, call{method: "GET", path: at}, nil, &out); err != nil {
		return 0, fmt.Errorf("get size of %s: %w", repo, err)
	}
	return out.Size, nil
}

// A LargeFile is a large file that a repository keeps, in its history too.
type LargeFile struct {
	ID     string    `json:"fileOid"`
	OID    string    `json:"oid"` // its sha256
	Path   string    `json:"filename"`
	Size   int64     `json:"size"`
	Ref    string    `json:"ref"`
	Pushed time.Time `json:"pushedAt"`
}

// DeleteLargeFiles takes large files out of all branches of a repository and
// out of their histories, for good: the commits get other ids.
func (c *Client) DeleteLargeFiles(ctx context.Context, repo RepoID, files ...LargeFile) error {
	for part := range slices.Chunk(files, 1000) { // what the Hub takes at once
		var ids []string
		for _, f := range part {
			ids = append(ids, f.ID)
		}
		body := map[string]any{"deletions": map[string]any{"sha": ids, "rewriteHistory": true}}
		if _, err := c.api(ctx, call{method: "POST", path: repo.api() + "/lfs-files/batch"}, body, nil); err != nil {
			return fmt.Errorf("delete large files of %s: %w", repo, err)
		}
	}
	return nil
}

// ListLargeFiles lists the large files that take a repository's storage.
func (c *Client) ListLargeFiles(ctx context.Context, repo RepoID) iter.Seq2[LargeFile, error] {
	return paged[LargeFile](ctx, c, "list large files of "+repo.String(), repo.api()+"/lfs-files", 0)
}
