package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"strings"
	"time"
)

// A Ref is a name for a commit.
type Ref struct {
	Name   string `json:"name"` // main, v1.0; of a pull request its number
	Ref    string `json:"ref"`  // refs/heads/main, refs/tags/v1.0, refs/pr/1
	Commit string `json:"targetCommit"`
}

// Refs are the names in a repository.
type Refs struct {
	Branches     []Ref `json:"branches"`
	Tags         []Ref `json:"tags"`
	Converts     []Ref `json:"converts"` // what the Hub made of a data set
	PullRequests []Ref `json:"pullRequests"`
}

// ListRefs lists branches, tags and pull requests.
func (c *Client) ListRefs(ctx context.Context, repo RepoID) (Refs, error) {
	var out Refs
	if _, err := c.api(ctx, call{method: "GET", path: repo.api() + "/refs?include_prs=1"}, nil, &out); err != nil {
		return Refs{}, fmt.Errorf("list refs of %s: %w", repo, err)
	}
	return out, nil
}

// BranchOptions say how a branch is made.
type BranchOptions struct {
	From      string // a revision; main if ""
	Empty     bool   // without files and history
	Overwrite bool   // a branch of that name goes away
	ExistOK   bool   // a branch of that name stays and is no error
}

// CreateBranch makes a branch.
func (c *Client) CreateBranch(ctx context.Context, repo RepoID, name string, opts BranchOptions) error {
	in := struct {
		Start     string `json:"startingPoint,omitempty"`
		Empty     bool   `json:"emptyBranch,omitempty"`
		Overwrite bool   `json:"overwrite,omitempty"`
	}{opts.From, opts.Empty, opts.Overwrite}
	cl := call{method: "POST", path: repo.api() + "/branch/" + url.PathEscape(name), once: !opts.ExistOK && !opts.Overwrite}
	_, err := c.api(ctx, cl, in, nil)
	if err != nil && !(opts.ExistOK && errors.Is(err, ErrConflict)) {
		return fmt.Errorf("create branch %s of %s: %w", name, repo, err)
	}
	return nil
}

// DeleteBranch removes a branch. Its commits stay where others lead to them.
func (c *Client) DeleteBranch(ctx context.Context, repo RepoID, name string) error {
	if _, err := c.api(ctx, call{method: "DELETE", path: repo.api() + "/branch/" + url.PathEscape(name), once: true}, nil, nil); err != nil {
		return fmt.Errorf("delete branch %s of %s: %w", name, repo, err)
	}
	return nil
}

// TagOptions say how a tag is made.
type TagOptions struct {
	Revision string // what it names; main if ""
	Message  string
	ExistOK  bool // a tag of that name stays and is no error
}

// CreateTag makes a tag.
func (c *Client) CreateTag(ctx context.Context, repo RepoID, name string, opts TagOptions) error {
	in := struct {
		Tag     string `json:"tag"`
		Message string `json:"message,omitempty"`
	}{name, opts.Message}
	_, err := c.api(ctx, call{method: "POST", path: repo.api() + "/tag/" + revision(opts.Revision), once: !opts.ExistOK}, in, nil)
	if err != nil && !(opts.ExistOK && errors.Is(err, ErrConflict)) {
		return fmt.Errorf("create tag %s of %s: %w", name, repo, err)
	}
	return nil
}

// DeleteTag removes a tag.
func (c *Client) DeleteTag(ctx context.Context, repo RepoID, name string) error {
	if _, err := c.api(ctx, call{method: "DELETE", path: repo.api() + "/tag/" + url.PathEscape(name), once: true}, nil, nil); err != nil {
		return fmt.Errorf("delete tag %s of %s: %w", name, repo, err)
	}
	return nil
}

// A PastCommit is a commit in the history of a repository.
type PastCommit struct {
	ID      string    `json:"id"`
	Title   string    `json:"title"`
	Message string    `json:"message"` // without the title
	Date    time.Time `json:"date"`
	Authors []struct {
		User string `json:"user"`
	} `json:"authors"`
}

// ListCommits lists the history of a revision, main if "", the newest first.
func (c *Client) ListCommits(ctx context.Context, repo RepoID, rev string) iter.Seq2[PastCommit, error] {
	return paged[PastCommit](ctx, c, "list commits of "+repo.String(), repo.api()+"/commits/"+revision(rev), 0)
}

// maxText bounds a diff.
const maxText = 64 << 20

// Compare shows what is different in head, as a diff in git's form. Base and
// head are revisions, main if "".
func (c *Client) Compare(ctx context.Context, repo RepoID, base, head string) (string, error) {
	spec := url.PathEscape(cmp.Or(base, "main") + ".." + cmp.Or(head, "main"))
	text, err := c.text(ctx, call{method: "GET", path: repo.api() + "/compare/" + spec + "?raw=true"})
	if err != nil {
		return "", fmt.Errorf("compare %s with %s in %s: %w", base, head, repo, err)
	}
	return text, nil
}

// text makes a call whose answer is text.
func (c *Client) text(ctx context.Context, cl call) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, apiLimit)
	defer cancel()
	resp, err := c.do(ctx, cl)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var out strings.Builder
	n, err := io.Copy(&out, io.LimitReader(resp.Body, maxText+1))
	if err != nil {
		return "", plainError(resp.Request.URL, err)
	}
	if n > maxText {
		return "", fmt.Errorf("%s: the answer is longer than %d bytes", plainURL(resp.Request.URL), maxText)
	}
	return out.String(), nil
}
