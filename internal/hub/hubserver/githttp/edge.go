package githttp

import (
	"errors"
	"maps"
	"slices"

	"ml-intern/internal/hub/hubserver/gitstore"
)

// An edge is where a client's history ends, once it has the answer.
type edge struct {
	cut    map[string]bool // commits whose parents it does not get
	fresh  []string        // those of them that are new to it
	opened []string        // its old ones that are no end any more
	begin  []string        // the parents of those, which it needs now
}

// infinite is the depth by which git asks for everything.
const infinite = 0x7fffffff

// edge finds the end that a request asks for.
func (g *graph) edge(f *fetch) (*edge, error) {
	if !f.deepens() {
		return &edge{cut: f.shallow}, nil
	}
	var visited, cut map[string]bool
	if f.depth > 0 {
		starts, depth := g.starts(f.wants), f.depth
		if f.relative {
			starts, depth = slices.Sorted(maps.Keys(f.shallow)), depth+1
		}
		visited, cut = g.toDepth(starts, depth)
	} else {
		visited, cut = g.since(f)
		if len(visited) == 0 {
			return nil, errors.New("no commits selected for shallow requests")
		}
	}
	e := &edge{cut: cut}
	for oid := range cut {
		if !f.shallow[oid] {
			e.fresh = append(e.fresh, oid)
		}
	}
	for oid := range f.shallow {
		switch {
		case cut[oid]:
		case visited[oid]:
			e.opened = append(e.opened, oid)
			e.begin = append(e.begin, g.commits[oid].Parents...)
		default:
			cut[oid] = true // elsewhere: it stays
		}
	}
	slices.Sort(e.fresh)
	slices.Sort(e.opened)
	return e, nil
}

func (g *graph) starts(wants []string) []string {
	out := make([]string, len(wants))
	for i, oid := range wants {
		out[i] = g.commit(oid)
	}
	return out
}

// toDepth is the history of so many steps; the first ones are step 1.
func (g *graph) toDepth(starts []string, depth int) (visited, cut map[string]bool) {
	visited, cut = map[string]bool{}, map[string]bool{}
	now := starts
	for step := 1; len(now) > 0; step++ {
		var next []string
		for _, oid := range now {
			c, ok := g.commits[oid]
			if !ok || visited[oid] {
				continue
			}
			visited[oid] = true
			if step >= depth && depth < infinite {
				if len(c.Parents) > 0 {
					cut[oid] = true
				}
				continue
			}
			next = append(next, c.Parents...)
		}
		now = next
	}
	return visited, cut
}

// since is the history after a time, and without that of some refs.
func (g *graph) since(f *fetch) (visited, cut map[string]bool) {
	var not []string
	for _, name := range f.not {
		for _, ref := range []string{name, "refs/heads/" + name, "refs/tags/" + name} {
			if oid := g.repo.Refs[ref]; oid != "" {
				not = append(not, oid)
			}
		}
	}
	left := g.before(not, nil)
	keep := func(oid string) bool {
		c, ok := g.commits[oid]
		return ok && !left[oid] && !c.Time.Before(f.since)
	}
	visited, cut = map[string]bool{}, map[string]bool{}
	g.walk(g.starts(f.wants), func(oid string, c gitstore.Commit) bool {
		if !keep(oid) {
			return false
		}
		visited[oid] = true
		if slices.ContainsFunc(c.Parents, func(p string) bool { return !keep(p) }) {
			cut[oid] = true
			return false
		}
		return true
	})
	return visited, cut
}

func (e *edge) write(out *pktWriter) {
	for _, oid := range e.fresh {
		out.line("shallow %s\n", oid)
	}
	for _, oid := range e.opened {
		out.line("unshallow %s\n", oid)
	}
}
