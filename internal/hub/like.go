package hub

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"time"
)

// Like has the account like a repository. The public Hub may leave that to its
// web page.
func (c *Client) Like(ctx context.Context, repo RepoID) error { return c.setLike(ctx, repo, "POST") }

// Unlike takes a like back.
func (c *Client) Unlike(ctx context.Context, repo RepoID) error {
	return c.setLike(ctx, repo, "DELETE")
}

func (c *Client) setLike(ctx context.Context, repo RepoID, method string) error {
	if _, err := c.api(ctx, call{method: method, path: repo.api() + "/like"}, nil, nil); err != nil {
		return fmt.Errorf("change the like of %s: %w", repo, err)
	}
	return nil
}

// A Liker likes a repository.
type Liker struct {
	Name     string `json:"user"`
	FullName string `json:"fullname"`
}

// Likers lists who likes a repository.
func (c *Client) Likers(ctx context.Context, repo RepoID) iter.Seq2[Liker, error] {
	return paged[Liker](ctx, c, "list likers of "+repo.String(), repo.api()+"/likers", 0)
}

// A LikedRepo is what someone likes.
type LikedRepo struct {
	Time time.Time `json:"createdAt"`
	Repo struct {
		Name string   `json:"name"` // owner/name
		Type RepoType `json:"type"`
	} `json:"repo"`
}

// LikedRepos lists what a user likes.
func (c *Client) LikedRepos(ctx context.Context, user string) iter.Seq2[LikedRepo, error] {
	return paged[LikedRepo](ctx, c, "list likes of "+user, "/api/users/"+url.PathEscape(user)+"/likes", 0)
}
