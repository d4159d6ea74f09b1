package hubserver

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// list answers a search for repositories.
func (s *Server) list(x *exchange, typ hub.RepoType) error {
	q := x.URL.Query()
	expand, err := expandList(q)
	if err != nil {
		return err
	}
	order := q.Get("sort")
	if !slices.Contains([]string{"", "lastModified", "last_modified", "createdAt", "created_at", "downloads", "likes", "trendingScore", "trending_score"}, order) {
		return badRequest(fmt.Sprintf("%q is not something to sort by", order))
	}
	repos, err := s.store.Repos(typ)
	if err != nil {
		return err
	}
	repos = slices.DeleteFunc(repos, func(r *gitstore.Repo) bool { return !s.listed(x, r, q) })
	slices.SortFunc(repos, func(a, b *gitstore.Repo) int {
		if strings.HasPrefix(order, "created") {
			return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.String(), b.String()))
		}
		return cmp.Or(b.Modified.Compare(a.Modified), cmp.Compare(a.String(), b.String()))
	})
	var found []map[string]any
	for _, repo := range repos {
		commit, err := s.store.Resolve(repo, "main")
		if err != nil {
			return err
		}
		v, err := s.describe(repo, commit)
		if err != nil {
			return err
		}
		if has, _ := v["tags"].([]string); hasTags(has, values(q, "filter")) {
			found = append(found, pick(v, expand))
		}
	}
	p, err := newPage(q, 1000, 1000)
	if err != nil {
		return err
	}
	return s.ok(x, cut(x, p, found, x.URL.EscapedPath()))
}

func (s *Server) listed(x *exchange, r *gitstore.Repo, q url.Values) bool {
	author, search := q.Get("author"), strings.ToLower(q.Get("search"))
	return (!r.Private || s.member(x.who, r.Namespace)) &&
		(author == "" || strings.EqualFold(author, r.Namespace)) &&
		strings.Contains(strings.ToLower(r.String()), search)
}

func hasTags(has, want []string) bool {
	for _, group := range want {
		for tag := range strings.SplitSeq(group, ",") {
			if tag = strings.TrimSpace(tag); tag != "" && !slices.Contains(has, tag) {
				return false
			}
		}
	}
	return true
}

// A page is a part of a list.
type page struct {
	query url.Values
	skip  int
	limit int
}

// newPage reads which part is wanted.
func newPage(q url.Values, standard, most int) (page, error) {
	p := page{query: q, limit: standard}
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return p, badRequest("limit must be a number above 0")
		}
		p.limit = min(n, most)
	}
	if v := q.Get("cursor"); v != "" {
		raw, err := base64.RawURLEncoding.DecodeString(v)
		n, err2 := strconv.Atoi(string(raw))
		if err != nil || err2 != nil || n < 0 {
			return p, badRequest("the cursor is not one of this server")
		}
		p.skip = n
	}
	return p, nil
}

// next sets the link to the part behind this one. Clients need it absolute.
func (p page) next(x *exchange, path string) {
	q := url.Values{}
	for key, v := range p.query {
		q[key] = v
	}
	q.Set("cursor", base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(p.skip+p.limit))))
	x.Header().Set("Link", "<"+x.base()+path+"?"+q.Encode()+`>; rel="next"`)
}

// cut takes a page out of a whole list.
func cut[T any](x *exchange, p page, all []T, path string) []T {
	part := all[min(p.skip, len(all)):]
	if len(part) > p.limit {
		p.next(x, path)
		part = part[:p.limit]
	}
	if part == nil {
		part = []T{}
	}
	return part
}
