package githttp

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"ml-intern/internal/hub/hubserver/gitstore"
)

// An id is an object's, in the form that takes the least room.
type id [20]byte

func (i id) String() string { return hex.EncodeToString(i[:]) }

func parseID(s string) (id, error) {
	var i id
	if n, err := hex.Decode(i[:], []byte(s)); err != nil || n != len(i) || len(s) != 2*len(i) {
		return id{}, fmt.Errorf("%w: %.50q is not an object's id", ErrRequest, s)
	}
	return i, nil
}

// A graph is the history that a repository's refs lead to.
type graph struct {
	repo    *gitstore.Repo
	commits map[string]gitstore.Commit // without their messages
	tags    map[string]string          // annotated tag -> commit
}

func (s *Server) graph(repo *gitstore.Repo) (*graph, error) {
	g := &graph{repo: repo, commits: map[string]gitstore.Commit{}, tags: map[string]string{}}
	for c, err := range s.Store.History(slices.Sorted(maps.Values(repo.Refs))...) {
		if err != nil {
			return nil, err
		}
		c.Message = ""
		g.commits[c.ID] = c
	}
	for ref := range repo.Annotated {
		if tip := repo.Tip(ref); tip != repo.Refs[ref] && tip != "" {
			g.tags[tip] = repo.Refs[ref]
		}
	}
	return g, nil
}

func (g *graph) has(oid string) bool {
	_, ok := g.commits[oid]
	return ok
}

// walk visits commits from the starts back, each once, as far as more says.
func (g *graph) walk(starts []string, visit func(oid string, c gitstore.Commit) (more bool)) {
	seen := map[string]bool{}
	queue := slices.Clone(starts)
	for len(queue) > 0 {
		oid := queue[0]
		queue = queue[1:]
		c, ok := g.commits[oid]
		if !ok || seen[oid] {
			continue
		}
		seen[oid] = true
		if visit(oid, c) {
			queue = append(queue, c.Parents...)
		}
	}
}

// before is all that the starts lead to; a commit in cut has no parents.
func (g *graph) before(starts []string, cut map[string]bool) map[string]bool {
	all := map[string]bool{}
	g.walk(starts, func(oid string, _ gitstore.Commit) bool {
		all[oid] = true
		return !cut[oid]
	})
	return all
}
