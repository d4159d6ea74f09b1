package gitstore

import (
	"iter"
	"maps"
	"slices"
)

// A Delta is a file that differs between two commits. Old and New are the ids
// of its blobs, "" where there is no such file.
type Delta struct {
	Path     string
	Old, New string
}

// Diff lists the files that differ between two commits, by path. The zero
// Commit has no files. Folders that are the same are not read.
func (s *Store) Diff(from, to Commit) iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		s.diff("", from.Tree, to.Tree, yield)
	}
}

// diff compares two folders; an id of "" is an empty one.
func (s *Store) diff(prefix, from, to string, yield func(Delta, error) bool) bool {
	if from == to {
		return true
	}
	old, err := s.folder(from)
	if err != nil {
		return yield(Delta{}, err)
	}
	now, err := s.folder(to)
	if err != nil {
		return yield(Delta{}, err)
	}
	names := map[string]bool{}
	for _, nodes := range []map[string]*node{old, now} {
		for name := range nodes {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		d := Delta{Path: prefix + name}
		var oldDir, newDir string
		d.Old, oldDir = old[name].ids()
		d.New, newDir = now[name].ids()
		if d.Old != d.New && !yield(d, nil) {
			return false
		}
		if !s.diff(d.Path+"/", oldDir, newDir, yield) {
			return false
		}
	}
	return true
}

func (s *Store) folder(oid string) (map[string]*node, error) {
	if oid == "" {
		return nil, nil
	}
	t, err := readTree(s, oid)
	if err != nil {
		return nil, err
	}
	return t.nodes, nil
}

// ids are the ids of a node as a file and as a folder; one of them is "", both
// if there is no node.
func (n *node) ids() (file, dir string) {
	switch {
	case n == nil:
		return "", ""
	case n.dir():
		return "", n.oid
	}
	return n.oid, ""
}

// MergeBase finds the newest commit before both, or one of them. It is the
// zero Commit if their histories have nothing in common.
func (s *Store) MergeBase(a, b Commit) (Commit, error) {
	before := map[string]bool{}
	for c, err := range s.History(a.ID) {
		if err != nil {
			return Commit{}, err
		}
		before[c.ID] = true
	}
	for c, err := range s.History(b.ID) {
		if err != nil || before[c.ID] {
			return c, err
		}
	}
	return Commit{}, nil
}
