package hubserver

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// list answers a search for repositories. A page ends at its limit, and the
// next one goes on behind the repository that was looked at last.
func (s *Server) list(x *exchange, typ hub.RepoType) error {
	q := x.URL.Query()
	expand, err := expandList(typ, q)
	if err != nil {
		return err
	}
	wanted, err := newWanted(typ, q)
	if err != nil {
		return err
	}
	p, err := newPage(q, 1000, 1000)
	if err != nil {
		return err
	}
	repos, err := s.candidates(x, typ, q)
	if err != nil {
		return err
	}
	found := []map[string]any{}
	for i, repo := range repos[min(p.skip, len(repos)):] {
		v, err := s.listItem(x.Context(), repo, wanted, expand, q)
		if err != nil {
			return err
		}
		if v == nil {
			continue
		}
		if len(found) == p.limit {
			p.limit = i // the page has looked at so many
			p.next(x, x.URL.EscapedPath())
			break
		}
		found = append(found, pick(v, expand))
	}
	return s.ok(x, found)
}

// listItem describes a repository, nil if it is not wanted or gone by now.
func (s *Server) listItem(ctx context.Context, repo *gitstore.Repo, wanted wanted, expand []string, q url.Values) (map[string]any, error) {
	commit, err := s.store.Resolve(repo, "main")
	if err != nil {
		return nil, err
	}
	v, err := s.describe(repo, commit)
	if err != nil {
		return nil, err
	}
	if !wanted.by(v) {
		return nil, nil
	}
	if slices.Contains(expand, "siblings") || truth(q.Get("full")) {
		if v["siblings"], err = s.siblings(commit, false); err != nil {
			return nil, err
		}
	}
	fields := slices.Clone(expand)
	if truth(q.Get("config")) {
		fields = append(fields, "config")
	}
	if wanted.least > 0 || wanted.most > 0 {
		fields = append(fields, "safetensors")
	}
	if len(fields) > 0 {
		if err := s.expand(ctx, repo, commit, fields, v); err != nil {
			return nil, err
		}
	}
	if !wanted.sized(v) {
		return nil, nil
	}
	return v, nil
}

// candidates are the repositories that a search may find, in its order.
func (s *Server) candidates(x *exchange, typ hub.RepoType, q url.Values) ([]*gitstore.Repo, error) {
	repos, err := s.store.Repos(typ)
	if err != nil {
		return nil, err
	}
	repos = slices.DeleteFunc(repos, func(r *gitstore.Repo) bool { return !s.listed(x, r, q) })
	order, err := s.order(repos, q)
	if err != nil {
		return nil, err
	}
	sign := 1 // the Hub knows one direction, older clients name it
	switch q.Get("direction") {
	case "", "-1":
	case "1":
		sign = -1
	default:
		return nil, badRequest("direction must be -1 or 1")
	}
	slices.SortFunc(repos, func(a, b *gitstore.Repo) int {
		return cmp.Or(sign*order(a, b), cmp.Compare(a.String(), b.String()))
	})
	return repos, nil
}

// order compares two repositories by what a search is sorted by, the greatest
// first.
func (s *Server) order(repos []*gitstore.Repo, q url.Values) (func(a, b *gitstore.Repo) int, error) {
	byTime := func(of func(*gitstore.Repo) time.Time) func(a, b *gitstore.Repo) int {
		return func(a, b *gitstore.Repo) int { return of(b).Compare(of(a)) }
	}
	modified := byTime(func(r *gitstore.Repo) time.Time { return r.Modified })
	switch order := q.Get("sort"); order {
	case "", "lastModified", "last_modified", "downloads", "trendingScore", "trending_score":
		return modified, nil // nobody counts downloads here
	case "createdAt", "created_at":
		return byTime(func(r *gitstore.Repo) time.Time { return r.Created }), nil
	case "likes":
		likes := map[string]int{}
		for _, r := range repos {
			list, err := s.board().Likes(r.RepoID)
			if err != nil {
				return nil, err
			}
			likes[r.ID] = len(list)
		}
		return func(a, b *gitstore.Repo) int {
			return cmp.Or(cmp.Compare(likes[b.ID], likes[a.ID]), modified(a, b))
		}, nil
	default:
		return nil, badRequest(fmt.Sprintf("%q is not something to sort by", order))
	}
}

// listed reports whether a search may find a repository, as far as its state
// tells. Every word of the search must be in the name.
func (s *Server) listed(x *exchange, r *gitstore.Repo, q url.Values) bool {
	if r.Private && !s.member(x.who, r.Namespace) || r.Disabled {
		return false
	}
	if author := q.Get("author"); author != "" && !strings.EqualFold(author, r.Namespace) {
		return false
	}
	if gated := q.Get("gated"); gated != "" && truth(gated) != (r.Gated != "") {
		return false
	}
	name := strings.ToLower(r.String())
	for word := range strings.FieldsSeq(strings.ToLower(q.Get("search"))) {
		if !strings.Contains(name, word) {
			return false
		}
	}
	return true
}

// wanted is what a search asks of a repository's card.
type wanted struct {
	tags        []string
	task        string
	lists       map[string][]string // of a Space: what it uses
	linked      bool
	least, most int64 // parameters, 0 for any number
}

func newWanted(typ hub.RepoType, q url.Values) (wanted, error) {
	w := wanted{lists: map[string][]string{}}
	for _, key := range []string{"filter", "tags", "library", "language", "task_categories", "trained_dataset"} {
		for _, group := range values(q, key) {
			for tag := range strings.SplitSeq(group, ",") {
				if tag = strings.TrimSpace(tag); tag != "" {
					w.tags = append(w.tags, tag)
				}
			}
		}
	}
	switch typ {
	case hub.Model:
		w.task = q.Get("pipeline_tag")
		if err := w.readSizes(q.Get("num_parameters")); err != nil {
			return w, err
		}
	case hub.Space:
		w.linked = truth(q.Get("linked"))
		for _, key := range []string{"models", "datasets"} {
			w.lists[key] = values(q, key)
		}
	}
	return w, nil
}

// readSizes reads bounds like "min:6B,max:128B".
func (w *wanted) readSizes(text string) error {
	if text == "" {
		return nil
	}
	for part := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), ":")
		n, ok := count(value)
		switch {
		case ok && key == "min":
			w.least = n
		case ok && key == "max":
			w.most = n
		default:
			return badRequest(`num_parameters must be like "min:6B,max:128B"`)
		}
	}
	return nil
}

// count reads a number of parameters: 500M, 1.5B.
func count(text string) (int64, bool) {
	factor := 1.0
	for unit, f := range map[string]float64{"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12} {
		if rest, ok := strings.CutSuffix(strings.ToUpper(text), unit); ok {
			text, factor = rest, f
			break
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	return int64(n * factor), err == nil && n > 0 && n*factor < 1e18
}

// by reports whether a described repository has the tags.
func (w wanted) by(v map[string]any) bool {
	has, _ := v["tags"].([]string)
	for _, tag := range w.tags {
		if !hasTag(has, tag) {
			return false
		}
	}
	if w.task != "" && v["pipeline_tag"] != w.task {
		return false
	}
	uses := 0
	for key, want := range w.lists {
		list, _ := v[key].([]string)
		uses += len(list)
		for _, name := range want {
			if !slices.Contains(list, name) {
				return false
			}
		}
	}
	return !w.linked || uses > 0
}

// hasTag looks for a tag as it is and, where clients name its kind although the
// Hub's own tag has none, without the kind.
func hasTag(has []string, tag string) bool {
	if slices.Contains(has, tag) {
		return true
	}
	for _, kind := range []string{"language:", "library:", "task:", "pipeline_tag:", "sdk:"} {
		if bare, ok := strings.CutPrefix(tag, kind); ok && slices.Contains(has, bare) {
			return true
		}
	}
	for _, kind := range []string{"language:", "task_categories:"} { // datasets have them with it
		if slices.Contains(has, kind+tag) {
			return true
		}
	}
	return false
}

// sized reports whether a model has as many parameters as is wanted.
func (w wanted) sized(v map[string]any) bool {
	if w.least == 0 && w.most == 0 {
		return true
	}
	weights, _ := v["safetensors"].(map[string]any)
	n, known := weights["total"].(int64)
	return known && n >= w.least && (w.most == 0 || n <= w.most)
}
