package hubserver

import (
	"maps"
	"slices"
	"strings"

	"ml-intern/internal/hub/hubserver/gitstore"
)

// A keptFile is a large file with the path and the commit that it came with.
type keptFile struct {
	file gitstore.File
	path string
	ref  string
	in   gitstore.Commit
}

// largeFiles lists the large files of all branches and their histories, each
// once.
func (s *Server) largeFiles(c *repoCall) error {
	p, err := newPage(c.URL.Query(), 1000, 1000)
	if err != nil {
		return err
	}
	k := &keptFiles{store: s.store, byOID: map[string]int{}, seen: map[string]bool{}}
	refs := slices.Sorted(maps.Keys(c.repo.Refs))
	refs = append([]string{gitstore.MainBranch}, refs...) // what main has is of main
	for _, ref := range refs {
		if err := k.addRef(ref, c.repo.Refs[ref]); err != nil {
			return err
		}
	}
	out := []map[string]any{}
	for _, l := range cut(c.exchange, p, k.all, c.URL.EscapedPath()) {
		out = append(out, map[string]any{
			"fileOid": l.file.Large.OID[:lengthOfFileID], "oid": l.file.Large.OID, "size": l.file.Size, "filename": l.path,
			"pushedAt": stamp(l.in.Time), "ref": l.ref, "pusher": authorJSON(l.in.Author),
		})
	}
	return s.ok(c.exchange, out)
}

// keptFiles collects large files.
type keptFiles struct {
	store *gitstore.Store
	all   []keptFile
	byOID map[string]int
	seen  map[string]bool // commits
}

func (k *keptFiles) addRef(ref, head string) error {
	for commit, err := range k.store.History(head) {
		if err != nil {
			return err
		}
		if k.seen[commit.ID] {
			continue
		}
		k.seen[commit.ID] = true
		var parent gitstore.Commit
		if len(commit.Parents) > 0 {
			if parent, err = k.store.ReadCommit(commit.Parents[0]); err != nil {
				return err
			}
		}
		for d, err := range k.store.Diff(parent, commit) {
			if err != nil {
				return err
			}
			if d.New == "" {
				continue
			}
			f, err := k.store.File(d.New)
			if err != nil {
				return err
			}
			if f.Large != nil {
				k.add(keptFile{f, d.Path, ref, commit})
			}
		}
	}
	return nil
}

// add keeps the oldest commit of a file on the first branch that has it.
func (k *keptFiles) add(f keptFile) {
	at, known := k.byOID[f.file.Large.OID]
	switch {
	case !known:
		k.byOID[f.file.Large.OID] = len(k.all)
		k.all = append(k.all, f)
	case f.ref == k.all[at].ref: // a history begins with the newest
		k.all[at] = f
	}
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
