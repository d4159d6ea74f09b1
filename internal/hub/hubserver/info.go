package hubserver

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// expandable are the fields that clients may ask for one by one. The ones that
// this server knows nothing about are left out of the answer.
const expandable = `author baseModels cardData childrenModelCount citation config createdAt datasets description disabled
downloads downloadsAllTime evalResults gated gguf inference inferenceProviderMapping lastModified library_name likes
mainSize mask_token model-index models paperswithcode_id pipeline_tag private region resourceGroup runtime safetensors
sdk sha siblings spaces subdomain tags transformersInfo trendingScore usedStorage widgetData xetEnabled`

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
	expand, err := expandList(q)
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
	if slices.Contains(expand, "usedStorage") {
		if v["usedStorage"], err = s.usedStorage(commit); err != nil {
			return err
		}
	}
	if c.repo.Type == hub.Model {
		if err := s.addFacts(c.Context(), v, commit, expand); err != nil {
			return err
		}
	}
	c.Header().Set("X-Repo-Commit", commit.ID)
	return s.ok(c.exchange, pick(v, expand))
}

func expandList(q url.Values) ([]string, error) {
	expand := values(q, "expand")
	for _, field := range expand {
		if !slices.Contains(strings.Fields(expandable), field) {
			return nil, badRequest(fmt.Sprintf("%q cannot be expanded", field))
		}
	}
	return expand, nil
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
	card := parseCard(text).data // a card that cannot be read says nothing
	v := map[string]any{
		"_id": repo.ID, "id": repo.String(), "author": repo.Namespace, "sha": commit.ID,
		"createdAt": stamp(repo.Created), "lastModified": stamp(repo.Modified),
		"private": repo.Private, "gated": gatedValue(repo), "disabled": repo.Disabled,
		"downloads": 0, "downloadsAllTime": 0, "likes": 0, "trendingScore": 0,
		"tags": tags(repo.Type, card), "xetEnabled": false,
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
		v["runtime"] = map[string]any{"stage": "STOPPED", "hardware": map[string]any{"current": nil, "requested": nil}}
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

// usedStorage is the size of all files of a commit.
func (s *Server) usedStorage(commit gitstore.Commit) (int64, error) {
	var sum int64
	for e, err := range s.store.Entries(commit, "", true) {
		if err != nil {
			return 0, err
		}
		if e.Dir {
			continue
		}
		f, err := s.store.File(e.OID)
		if err != nil {
			return 0, err
		}
		sum += f.Size
	}
	return sum, nil
}
