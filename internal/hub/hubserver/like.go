package hubserver

import (
	"net/http"
	"slices"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/community"
)

// like has the one who asks like a repository, or no longer with DELETE.
func (s *Server) like(c *repoCall) error {
	if err := s.mayJoin(c.exchange); err != nil {
		return err
	}
	ctx, cancel := c.detached()
	defer cancel()
	if err := s.board().SetLike(ctx, c.repo.RepoID, c.who.Name, c.Method != http.MethodDelete); err != nil {
		return err
	}
	likes, err := s.board().Likes(c.repo.RepoID)
	if err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{"likes": len(likes)})
}

func (s *Server) likers(c *repoCall) error {
	p, err := newPage(c.URL.Query(), 1000, 1000)
	if err != nil {
		return err
	}
	likes, err := s.board().Likes(c.repo.RepoID)
	if err != nil {
		return err
	}
	out := []map[string]any{}
	for _, l := range cut(c.exchange, p, likes, c.URL.EscapedPath()) {
		user := authorJSON(l.User)
		user["user"] = l.User
		out = append(out, user)
	}
	return s.ok(c.exchange, out)
}

// userLikes lists what a user likes, of what the one who asks may see.
func (s *Server) userLikes(x *exchange, user string) error {
	type liked struct {
		community.Like
		repo hub.RepoID
	}
	var all []liked
	for _, typ := range []hub.RepoType{hub.Model, hub.Dataset, hub.Space} {
		repos, err := s.store.Repos(typ)
		if err != nil {
			return err
		}
		for _, r := range repos {
			if r.Private && !s.member(x.who, r.Namespace) {
				continue
			}
			likes, err := s.board().Likes(r.RepoID)
			if err != nil {
				return err
			}
			for _, l := range likes {
				if l.User == user {
					all = append(all, liked{l, r.RepoID})
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b liked) int { return b.Time.Compare(a.Time) })
	p, err := newPage(x.URL.Query(), 1000, 1000)
	if err != nil {
		return err
	}
	out := []map[string]any{}
	for _, l := range cut(x, p, all, x.URL.EscapedPath()) {
		out = append(out, map[string]any{
			"createdAt": stamp(l.Time), "repo": map[string]any{"name": l.repo.String(), "type": l.repo.Type},
		})
	}
	return s.ok(x, out)
}
