package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// exists makes of an error that says "not found" an answer. A gate is no such
// error: what is behind it exists.
func exists(err error) (bool, error) {
	if errors.Is(err, ErrNotFound) && !errors.Is(err, ErrGated) {
		return false, nil
	}
	return err == nil, err
}

// RepoExists reports whether there is a repository that the account may see.
func (c *Client) RepoExists(ctx context.Context, repo RepoID) (bool, error) {
	_, err := c.RepoDetails(ctx, repo, InfoOptions{Expand: []string{"private"}})
	return exists(err)
}

// RevisionExists reports whether a repository has a branch, tag or commit.
func (c *Client) RevisionExists(ctx context.Context, repo RepoID, rev string) (bool, error) {
	_, err := c.RepoDetails(ctx, repo, InfoOptions{Revision: rev, Expand: []string{"sha"}})
	return exists(err)
}

// FileExists reports whether a repository has a file at a revision, main if "".
func (c *Client) FileExists(ctx context.Context, repo RepoID, rev, path string) (bool, error) {
	if err := CheckPath(path); err != nil {
		return false, err
	}
	_, err := c.Stat(ctx, repo, rev, path)
	return exists(err)
}

// pathsChunk is how many paths are asked for at once.
const pathsChunk = 500

// PathsInfo describes files and folders of a repository at a revision, main if
// "". Those that are not there are left out. With commits, each has the commit
// that last changed it.
func (c *Client) PathsInfo(ctx context.Context, repo RepoID, rev string, paths []string, commits bool) ([]Entry, error) {
	var all []Entry
	for len(paths) > 0 {
		n := min(len(paths), pathsChunk)
		in := struct {
			Paths  []string `json:"paths"`
			Expand bool     `json:"expand"`
		}{paths[:n], commits}
		var raw []rawEntry
		if _, err := c.api(ctx, call{method: http.MethodPost, path: repo.api() + "/paths-info/" + revision(rev)}, in, &raw); err != nil {
			return nil, fmt.Errorf("look up paths in %s: %w", repo, err)
		}
		for _, r := range raw {
			all = append(all, r.entry())
		}
		paths = paths[n:]
	}
	return all, nil
}
