package hubserver

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

const timeFormat = "2006-01-02T15:04:05.000Z"

func stamp(t time.Time) string { return t.UTC().Format(timeFormat) }

// info describes a repository at a revision.
func (s *Server) info(c *repoCall) error {
	rev := "main"
	if len(c.args) == 1 {
		rev = c.args[0]
	}
	commit, err := s.store.Resolve(c.repo, rev)
	if err != nil {
		return err
	}
	q := c.URL.Query()
	expand, err := expandList(c.repo.Type, q)
	if err != nil {
		return err
	}
	v, err := s.describe(c.repo, commit)
	if err != nil {
		return err
	}
	if len(expand) == 0 || slices.Contains(expand, "siblings") {
		if v["siblings"], err = s.siblings(commit, truth(q.Get("blobs"))); err != nil {
			return err
		}
	}
	if err := s.expand(c.Context(), c.repo, commit, expand, v); err != nil {
		return err
	}
	s.tellHost(c.exchange, v, c.repo.RepoID)
	c.Header().Set("X-Repo-Commit", commit.ID)
	return s.ok(c.exchange, pick(v, expand))
}

// pick leaves only the fields that were asked for, if any were.
func pick(v map[string]any, expand []string) map[string]any {
	if len(expand) == 0 {
		return v
	}
	out := map[string]any{"_id": v["_id"], "id": v["id"]}
	for _, field := range expand {
		if value, known := v[field]; known {
			out[field] = value
		}
	}
	return out
}

// describe has all that is known of a repository without reading its tree.
func (s *Server) describe(repo *gitstore.Repo, commit gitstore.Commit) (map[string]any, error) {
	text, err := s.readFile(commit, "README.md")
	if err != nil {
		return nil, err
	}
	whole := parseCard(text)
	card := whole.data // a card that cannot be read says nothing
	likes, err := s.board().Likes(repo.RepoID)
	if err != nil {
		return nil, err
	}
	v := map[string]any{
		"_id": repo.ID, "id": repo.String(), "author": repo.Namespace, "sha": commit.ID,
		"createdAt": stamp(repo.Created), "lastModified": stamp(repo.Modified),
		"private": repo.Private, "gated": gatedValue(repo), "disabled": repo.Disabled,
		"downloads": 0, "downloadsAllTime": 0, "likes": len(likes), "trendingScore": 0,
		"tags": withPapers(tags(repo.Type, card), whole), "xetEnabled": false,
	}
	if card != nil {
		v["cardData"] = card
	}
	switch repo.Type {
	case hub.Model:
		v["modelId"] = repo.String()
		for _, key := range []string{"pipeline_tag", "library_name"} {
			if word, ok := card[key].(string); ok {
				v[key] = word
			}
		}
		v["spaces"] = []string{}
	case hub.Space:
		v["sdk"] = cmp.Or(fmt.Sprint(orNil(card["sdk"])), repo.SDK)
		v["subdomain"] = subdomain(repo.RepoID)
		for _, key := range []string{"models", "datasets"} {
			list, _ := words(card[key])
			v[key] = append([]string{}, list...)
		}
		st, err := spaceState(repo)
		if err != nil {
			return nil, err
		}
		src, err := s.spaceSource(repo, commit, whole)
		if err != nil {
			return nil, err
		}
		v["runtime"] = st.Runtime(src, time.Now())
	}
	return v, nil
}

func orNil(v any) any {
	if v == nil {
		return ""
	}
	return v
}

// readFile reads a small file of a commit, nil if there is none.
func (s *Server) readFile(commit gitstore.Commit, path string) ([]byte, error) {
	e, err := s.store.Entry(commit, path)
	if errors.Is(err, gitstore.ErrNoEntry) || err == nil && e.Dir {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.store.Blob(e.OID)
}

func (s *Server) siblings(commit gitstore.Commit, blobs bool) ([]map[string]any, error) {
	out := []map[string]any{}
	for e, err := range s.store.Entries(commit, "", true) {
		if err != nil {
			return nil, err
		}
		if e.Dir {
			continue
		}
		v := map[string]any{"rfilename": e.Path}
		if blobs {
			f, err := s.store.File(e.OID)
			if err != nil {
				return nil, err
			}
			v["size"], v["blobId"] = f.Size, f.OID
			if f.Large != nil {
				v["lfs"] = map[string]any{"sha256": f.Large.OID, "size": f.Size, "pointerSize": f.PointerSize}
			}
		}
		out = append(out, v)
	}
	return out, nil
}
