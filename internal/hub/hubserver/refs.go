package hubserver

import (
	"cmp"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// refs lists branches and tags.
func (s *Server) refs(c *repoCall) error {
	out := map[string][]map[string]string{"branches": {}, "tags": {}, "converts": {}}
	if truth(c.URL.Query().Get("include_prs")) {
		out["pullRequests"] = []map[string]string{}
	}
	groups := []struct{ prefix, key string }{
		{"refs/heads/", "branches"}, {"refs/tags/", "tags"}, {"refs/convert/", "converts"}, {"refs/pr/", "pullRequests"},
	}
	for ref, commit := range c.repo.Refs {
		for _, g := range groups {
			name, ok := strings.CutPrefix(ref, g.prefix)
			if list, wanted := out[g.key]; ok && wanted {
				out[g.key] = append(list, map[string]string{"name": name, "ref": ref, "targetCommit": commit})
			}
		}
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b map[string]string) int { return cmp.Compare(a["name"], b["name"]) })
	}
	return s.ok(c.exchange, out)
}

// commits lists a revision's history, newest first.
func (s *Server) commits(c *repoCall) error {
	head, err := s.store.Resolve(c.repo, c.args[0])
	if err != nil {
		return err
	}
	q := c.URL.Query()
	p, err := newPage(q, 50, 1000)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(q.Get("p")); err == nil && n > 0 && q.Get("cursor") == "" {
		p.skip = min(n, 1e6) * p.limit
	}
	all := []map[string]any{}
	for commit, err := range s.store.History(head.ID) {
		if err != nil {
			return err
		}
		v := map[string]any{
			"id": commit.ID, "title": commit.Title(), "message": commit.Body(), "date": stamp(commit.Time),
			"authors": []map[string]any{{"user": commit.Author, "avatar": ""}},
		}
		if slices.Contains(values(q, "expand"), "formatted") {
			v["formatted"] = map[string]string{"title": formatted(commit.Title()), "message": formatted(commit.Body())}
		}
		all = append(all, v)
	}
	c.Header().Set("X-Total-Count", strconv.Itoa(len(all)))
	path := strings.TrimSuffix(c.URL.EscapedPath(), url.PathEscape(c.args[0])) + head.ID // pages of one history
	return s.ok(c.exchange, cut(c.exchange, p, all, path))
}

// formatted is a commit's text as HTML.
func formatted(text string) string {
	return strings.ReplaceAll(html.EscapeString(text), "\n", "<br>")
}

func (s *Server) createBranch(c *repoCall) error {
	var in struct {
		Start     string `json:"startingPoint"`
		Empty     bool   `json:"emptyBranch"`
		Overwrite bool   `json:"overwrite"`
	}
	if err := decodeMaybe(c, &in); err != nil {
		return err
	}
	ctx, cancel := c.detached()
	defer cancel()
	ref := "refs/heads/" + strings.TrimPrefix(c.args[0], "refs/heads/")
	var err error
	if in.Empty {
		err = s.store.CreateEmpty(ctx, c.repo.RepoID, ref, c.who.Name, in.Overwrite)
	} else {
		err = s.store.CreateRef(ctx, c.repo.RepoID, ref, in.Start, in.Overwrite)
	}
	if err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{"success": true})
}

func (s *Server) createTag(c *repoCall) error {
	var in struct {
		Tag string `json:"tag"`
	}
	if err := decodeMaybe(c, &in); err != nil {
		return err
	}
	ctx, cancel := c.detached()
	defer cancel()
	if err := s.store.CreateRef(ctx, c.repo.RepoID, "refs/tags/"+in.Tag, c.args[0], false); err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{"success": true})
}

func (s *Server) deleteBranch(c *repoCall) error {
	return s.deleteRef(c, "refs/heads/"+strings.TrimPrefix(c.args[0], "refs/heads/"))
}

func (s *Server) deleteTag(c *repoCall) error { return s.deleteRef(c, "refs/tags/"+c.args[0]) }

func (s *Server) deleteRef(c *repoCall, ref string) error {
	ctx, cancel := c.detached()
	defer cancel()
	if err := s.store.DeleteRef(ctx, c.repo.RepoID, ref); err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{"success": true})
}

// decodeMaybe reads a JSON body that may be missing.
func decodeMaybe(c *repoCall, v any) error {
	if c.ContentLength == 0 {
		return nil
	}
	return decode(c.exchange, v)
}
