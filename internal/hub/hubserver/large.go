package hubserver

import (
	"maps"
	"slices"
	"strings"

	"ml-intern/internal/hub/hubserver/gitstore"
)

// largeFiles lists the large files of all branches and their histories, each
// once, the one that came last first.
func (s *Server) largeFiles(c *repoCall) error {
	p, err := newPage(c.URL.Query(), 1000, 1000)
	if err != nil {
		return err
	}
	type first struct {
		path string
		file gitstore.File
		in   gitstore.Commit
	}
	found := map[string]int{}
	var all []first
	heads := slices.Sorted(maps.Values(c.repo.Refs))
	for commit, err := range s.store.History(slices.Compact(heads)...) {
		if err != nil {
			return err
		}
		var parent gitstore.Commit
		if len(commit.Parents) > 0 {
			if parent, err = s.store.ReadCommit(commit.Parents[0]); err != nil {
				return err
			}
		}
		for d, err := range s.store.Diff(parent, commit) {
			if err != nil {
				return err
			}
			if d.New == "" {
				continue
			}
			f, err := s.store.File(d.New)
			if err != nil {
				return err
			}
			if f.Large == nil {
				continue
			}
			if at, known := found[f.Large.OID]; known { // an older commit had it, too
				all[at].in = commit
				continue
			}
			found[f.Large.OID] = len(all)
			all = append(all, first{d.Path, f, commit})
		}
	}
	ref := "refs/heads/main"
	out := []map[string]any{}
	for _, l := range cut(c.exchange, p, all, c.URL.EscapedPath()) {
		out = append(out, map[string]any{
			"fileOid": l.file.Large.OID[:24], "oid": l.file.Large.OID, "size": l.file.Size, "filename": l.path,
			"pushedAt": stamp(l.in.Time), "ref": ref, "pusher": authorJSON(l.in.Author),
		})
	}
	return s.ok(c.exchange, out)
}

// treeSize is the size of all files in a folder.
func (s *Server) treeSize(c *repoCall) error {
	commit, err := s.store.Resolve(c.repo, c.args[0])
	if err != nil {
		return err
	}
	path := strings.Trim(strings.Join(c.args[1:], "/"), "/")
	e, err := s.store.Entry(commit, path)
	if err != nil {
		return err
	}
	var sum int64
	if e.Dir {
		sum, err = s.sizeOf(commit, path)
	} else {
		var f gitstore.File
		f, err = s.store.File(e.OID)
		sum = f.Size
	}
	if err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{"path": "/" + path, "size": sum})
}

// sizeOf is the size of all files below a folder of a commit.
func (s *Server) sizeOf(commit gitstore.Commit, path string) (int64, error) {
	var sum int64
	for e, err := range s.store.Entries(commit, path, true) {
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
