package gitstore

import (
	"iter"
	"slices"
)

// A Difference is a file that two trees do not have alike.
type Difference struct {
	Path     string
	Old, New string // the blobs; "" where there is none
}

// Differences compares the trees of two commits, in the order of the paths. It
// reads only folders that differ. The zero Commit has no files.
func (s *Store) Differences(old, now Commit) iter.Seq2[Difference, error] {
	return func(yield func(Difference, error) bool) {
		s.differences("", old.Tree, now.Tree, yield)
	}
}

func (s *Store) differences(at, old, now string, yield func(Difference, error) bool) bool {
	if old == now {
		return true
	}
	a, err := s.maybeTree(old)
	b, err2 := s.maybeTree(now)
	if err != nil || err2 != nil {
		if err == nil {
			err = err2
		}
		return yield(Difference{}, err)
	}
	names := slices.Concat(a.names(), b.names())
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		x, y := a.nodes[name], b.nodes[name]
		if x != nil && y != nil && x.oid == y.oid && x.mode == y.mode {
			continue
		}
		var d Difference
		var dirs [2]string
		for i, n := range []*node{x, y} {
			switch {
			case n == nil:
			case n.dir():
				dirs[i] = n.oid
			case i == 0:
				d.Old = n.oid
			default:
				d.New = n.oid
			}
		}
		d.Path = at + name
		if (d.Old != "" || d.New != "") && !yield(d, nil) {
			return false
		}
		if !s.differences(d.Path+"/", dirs[0], dirs[1], yield) {
			return false
		}
	}
	return true
}

func (s *Store) maybeTree(oid string) (*tree, error) {
	if oid == "" {
		return newTree(), nil
	}
	return readTree(s, oid)
}
