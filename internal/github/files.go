package github

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/fetch"
	"ml-intern/internal/lazyregexp"
)

// A Place is a file or folder of a repository.
type Place struct {
	Repo  string
	Ref   string // branch, tag or commit; the default branch if empty
	Path  string // "" for the root
	First int    // lines, from 1; 0 for all
	Last  int
}

// A Content is what is at a Place: a file, or the entries of a folder.
type Content struct {
	Repo    string // its name now, if it has moved
	URL     string // of the page
	Path    string
	SHA     string
	Size    int64
	Data    []byte
	Entries []Entry // of a folder
	Folder  bool
	Note    string // what is odd about it, such as a link or a submodule
}

// An Entry is a file or folder in a list.
type Entry struct {
	Path string `json:"path"`
	Type string `json:"type"` // "blob" or "file", "tree" or "dir", "commit" or "submodule"
	Size int64  `json:"size"`
	SHA  string `json:"sha"`
}

// A Tree lists the files of a repository.
type Tree struct {
	Repo      string // its name now
	SHA       string
	Entries   []Entry
	Truncated bool // GitHub left some out
}

// ParsePlace reads the address of a page of a file or folder. Which part of it
// is the branch, only GitHub knows, when a branch has a slash in its name: see
// resolve.
func ParsePlace(address string) (Place, bool) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" {
		return Place{}, false
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	switch host := strings.ToLower(u.Hostname()); {
	case host == "raw.githubusercontent.com" && len(parts) >= 4:
		parts = append([]string{parts[0], parts[1], "blob"}, parts[2:]...)
		if len(parts) > 6 && parts[3] == "refs" {
			parts = slices.Delete(parts, 3, 5)
		}
	case host == "github.com" || host == "www.github.com":
	default:
		return Place{}, false
	}
	if len(parts) < 2 {
		return Place{}, false
	}
	p := Place{Repo: parts[0] + "/" + strings.TrimSuffix(parts[1], ".git")}
	if len(parts) >= 4 && slices.Contains([]string{"blob", "tree", "raw", "blame"}, parts[2]) {
		p.Ref, p.Path = parts[3], strings.Join(parts[4:], "/")
	}
	if m := lineAnchor.FindStringSubmatch(u.Fragment); m != nil {
		p.First, _ = strconv.Atoi(m[1])
		if p.Last, _ = strconv.Atoi(m[2]); p.Last == 0 {
			p.Last = p.First
		}
	}
	return p, true
}

var lineAnchor = lazyregexp.New(`^L(\d+)(?:C\d+)?(?:-L?(\d+)(?:C\d+)?)?$`)

// Read reads a file, or lists a folder.
func (c *Client) Read(ctx context.Context, p Place) (*Content, error) {
	out, err := c.contents(ctx, p)
	if errors.Is(err, fetch.ErrNotFound) && p.Ref != "" && p.Path != "" { // a branch with a slash?
		if q, ok := c.longerRef(ctx, p); ok {
			p = q
			out, err = c.contents(ctx, q)
		}
	}
	if errors.Is(err, fetch.ErrNotFound) {
		return nil, c.missing(ctx, p, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", cmp.Or(p.Path, "the root"), p.Repo, err)
	}
	return out, nil
}

func (c *Client) contents(ctx context.Context, p Place) (*Content, error) {
	at := "/repos/" + p.Repo + "/contents/" + escape(strings.Trim(p.Path, "/"))
	if p.Ref != "" {
		at += "?ref=" + url.QueryEscape(p.Ref)
	}
	age := fileAge
	if isCommit.MatchString(p.Ref) {
		age = fixedAge
	}
	resp, err := c.get(ctx, at, jsonType, age)
	if err != nil {
		return nil, err
	}
	if body := bytes.TrimSpace(resp.Body); len(body) > 0 && body[0] == '[' {
		return folder(p, body, resp)
	}
	var f struct {
		Entry
		Encoding  string  `json:"encoding"`
		Content   string  `json:"content"`
		URL       string  `json:"html_url"`
		Target    string  `json:"target"`
		Submodule *string `json:"submodule_git_url"`
	}
	if err := json.Unmarshal(resp.Body, &f); err != nil || f.Type == "" {
		return nil, fmt.Errorf("%s did not answer with a file", resp.URL)
	}
	out := &Content{Repo: cmp.Or(repoOf(f.URL), p.Repo), URL: f.URL, Path: f.Path, SHA: f.SHA, Size: f.Size}
	switch {
	case f.Type == "symlink":
		out.Note = "it is a symbolic link to " + f.Target
		return out, nil
	case f.Type == "submodule" || f.Submodule != nil:
		out.Note = "it is a submodule"
		if f.Submodule != nil {
			out.Note += ", the repository " + *f.Submodule
		}
		return out, nil
	case f.Encoding == "base64":
		if out.Data, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(f.Content), "")); err != nil {
			return nil, fmt.Errorf("%s: the content is not base64: %w", resp.URL, err)
		}
		if len(out.Data) > 0 || f.Size == 0 {
			return out, nil
		}
	}
	return out, c.raw(ctx, at, age, out) // GitHub leaves out what has more than 1 MB
}

// raw gets the bytes of a large file.
func (c *Client) raw(ctx context.Context, at string, age time.Duration, out *Content) error {
	resp, err := c.get(ctx, at, "application/vnd.github.raw+json", age)
	if errors.Is(err, fetch.ErrForbidden) && out.SHA != "" { // more than 100 MB, or not for this account
		resp, err = c.get(ctx, "/repos/"+out.Repo+"/git/blobs/"+out.SHA, "application/vnd.github.raw+json", fixedAge)
	}
	if errors.Is(err, fetch.ErrTooLarge) {
		return fmt.Errorf("the file has %d bytes, more than is read at once: clone the repository, or download %s: %w", out.Size, out.URL, err)
	}
	if err != nil {
		return err
	}
	out.Data = resp.Body
	return nil
}

func folder(p Place, body []byte, resp *fetch.Response) (*Content, error) {
	var entries []struct {
		Entry
		URL string `json:"html_url"`
	}
	if err := json.Unmarshal(body, &entries); err != nil {
		return nil, fmt.Errorf("%s did not answer with a list of files: %w", resp.URL, err)
	}
	out := &Content{Repo: p.Repo, Path: p.Path, Folder: true}
	for _, e := range entries {
		out.Repo = cmp.Or(repoOf(e.URL), out.Repo)
		out.Entries = append(out.Entries, e.Entry)
	}
	if len(entries) >= 1000 {
		out.Note = "GitHub lists no more than 1000 entries of a folder"
	}
	return out, nil
}

// repoOf is the name of the repository in the address of a page or of the API.
func repoOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if i := slices.Index(parts, "repos"); i >= 0 {
		parts = parts[i+1:]
	}
	if len(parts) < 2 || !repoName.MatchString(parts[0]+"/"+parts[1]) {
		return ""
	}
	return parts[0] + "/" + parts[1]
}

// longerRef finds the branch or tag whose name goes on in the path.
func (c *Client) longerRef(ctx context.Context, p Place) (Place, bool) {
	whole := p.Ref + "/" + p.Path
	best := ""
	for _, kind := range []string{"heads/", "tags/"} {
		var refs []struct {
			Ref string `json:"ref"`
		}
		if _, err := c.into(ctx, "/repos/"+p.Repo+"/git/matching-refs/"+kind+escape(p.Ref+"/"), fileAge, &refs); err != nil {
			continue
		}
		for _, r := range refs {
			name := strings.TrimPrefix(r.Ref, "refs/"+kind)
			if (whole == name || strings.HasPrefix(whole, name+"/")) && len(name) > len(best) {
				best = name
			}
		}
		if best != "" {
			break
		}
	}
	if best == "" || best == p.Ref {
		return p, false
	}
	p.Ref, p.Path = best, strings.Trim(strings.TrimPrefix(whole, best), "/")
	return p, true
}

// missing says what of a place is not there, and what is near it.
func (c *Client) missing(ctx context.Context, p Place, cause error) error {
	tree, err := c.Tree(ctx, p.Repo, p.Ref)
	if errors.Is(err, fetch.ErrRateLimited) || ctx.Err() != nil {
		return fmt.Errorf("%w: %s of %s (%w)", ErrUnknown, p.Path, p.Repo, cause)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", cmp.Or(p.Path, "the root"), err)
	}
	near := nearPaths(tree.Entries, p.Path, 8)
	hint := "; list a folder to see what is there"
	if len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, ", ") + "?"
	}
	return fmt.Errorf("%w: %s has no %s at %s%s", ErrUnknown, tree.Repo, p.Path, cmp.Or(p.Ref, "its default branch"), hint)
}

// Tree lists the files of a repository at a branch, tag or commit.
func (c *Client) Tree(ctx context.Context, repo, ref string) (*Tree, error) {
	at, age := cmp.Or(ref, "HEAD"), fileAge
	if strings.Contains(at, "/") {
		sha, err := c.commit(ctx, repo, at)
		if err != nil {
			return nil, c.noRef(ctx, repo, ref, err)
		}
		at = sha
	}
	if isCommit.MatchString(at) {
		age = fixedAge
	}
	tree, err := c.tree(ctx, repo, at, true, age)
	switch {
	case statusOf(err) == http.StatusConflict:
		return nil, fmt.Errorf("list files of %s: the repository is empty", repo)
	case errors.Is(err, fetch.ErrNotFound):
		return nil, c.noRef(ctx, repo, ref, err)
	case err != nil:
		return nil, fmt.Errorf("list files of %s: %w", repo, err)
	}
	if tree.Truncated {
		c.fill(ctx, tree, at, age)
	}
	return tree, nil
}

func statusOf(err error) int {
	if e, ok := errors.AsType[*fetch.StatusError](err); ok {
		return e.Status
	}
	return 0
}

func (c *Client) tree(ctx context.Context, repo, sha string, all bool, age time.Duration) (*Tree, error) {
	at := "/repos/" + repo + "/git/trees/" + url.PathEscape(sha)
	if all {
		at += "?recursive=1"
	}
	var t struct {
		SHA       string  `json:"sha"`
		URL       string  `json:"url"`
		Tree      []Entry `json:"tree"`
		Truncated bool    `json:"truncated"`
	}
	if _, err := c.into(ctx, at, age, &t); err != nil {
		return nil, err
	}
	return &Tree{Repo: cmp.Or(repoOf(t.URL), repo), SHA: t.SHA, Entries: t.Tree, Truncated: t.Truncated}, nil
}

const maxFills = 4

// fill adds what GitHub left out of a large tree: the folders of the root that
// are likely to hold examples.
func (c *Client) fill(ctx context.Context, tree *Tree, at string, age time.Duration) {
	root, err := c.tree(ctx, tree.Repo, at, false, age)
	if err != nil {
		return
	}
	seen := map[string]bool{}
	for _, e := range tree.Entries {
		seen[e.Path] = true
	}
	fills := 0
	for _, e := range root.Entries {
		if e.Type == "tree" && patternOf(e.Path) < len(examplePatterns) && fills < maxFills {
			fills++
			part, err := c.tree(ctx, tree.Repo, e.SHA, true, fixedAge)
			if err != nil {
				return
			}
			for _, inner := range part.Entries {
				inner.Path = path.Join(e.Path, inner.Path)
				if !seen[inner.Path] {
					tree.Entries = append(tree.Entries, inner)
				}
			}
		}
		if !seen[e.Path] {
			tree.Entries = append(tree.Entries, e)
		}
	}
}

// Commit is the commit that a branch, a tag or a commit stands for, of the default
// branch if ref is empty.
func (c *Client) Commit(ctx context.Context, repo, ref string) (string, error) {
	sha, err := c.commit(ctx, repo, cmp.Or(ref, "HEAD"))
	if err != nil {
		return "", c.noRef(ctx, repo, ref, err)
	}
	return sha, nil
}

// commit is the commit that a name stands for.
func (c *Client) commit(ctx context.Context, repo, ref string) (string, error) {
	resp, err := c.get(ctx, "/repos/"+repo+"/commits/"+escape(ref), "application/vnd.github.sha", fileAge)
	if err != nil {
		return "", err
	}
	sha := strings.TrimSpace(string(resp.Body))
	if !isCommit.MatchString(sha) {
		return "", fmt.Errorf("%s did not answer with a commit", resp.URL)
	}
	return sha, nil
}

// noRef says whether it is the repository or the branch that is not there.
func (c *Client) noRef(ctx context.Context, repo, ref string, cause error) error {
	if errors.Is(cause, fetch.ErrRateLimited) || !errors.Is(cause, fetch.ErrNotFound) && statusOf(cause) != http.StatusUnprocessableEntity {
		return fmt.Errorf("find %s in %s: %w", ref, repo, cause)
	}
	if ref == "" {
		return c.noRepo(ctx, repo, cause)
	}
	var branches []struct {
		Name string `json:"name"`
	}
	_, err := c.into(ctx, "/repos/"+repo+"/branches?per_page=100", fileAge, &branches)
	if errors.Is(err, fetch.ErrNotFound) {
		return c.noRepo(ctx, repo, cause)
	}
	names := make([]string, 0, 12)
	for _, b := range branches[:min(len(branches), 12)] {
		names = append(names, b.Name)
	}
	return fmt.Errorf("%w: %s has no branch, tag or commit %q; some branches: %s", ErrUnknown, repo, ref, strings.Join(names, ", "))
}
