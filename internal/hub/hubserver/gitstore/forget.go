package gitstore

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"ml-intern/internal/hub"
)

// Forget takes the large files that gone names out of all branches, tags and
// pull requests of a repository and out of their histories, which get other
// commits. What has none of them stays as it is, and so does the content,
// until it is collected. It reports how many of the files were there.
//
// The commit by which a pull request was merged keeps its old id, which then
// leads nowhere: its conversation names it.
func (s *Store) Forget(ctx context.Context, id hub.RepoID, gone func(Large) bool) (int, error) {
	b := s.Batch()
	defer b.Discard()
	f := forgetting{
		ctx: ctx, store: s, batch: b, gone: gone,
		found: map[string]bool{}, blobs: map[string]bool{}, trees: map[string]string{}, commits: map[string]string{},
	}
	_, err := s.Update(ctx, id, func(repo *Repo) error {
		refs := map[string]string{}
		for ref, head := range repo.Refs {
			now, err := f.history(head)
			if err != nil {
				return err
			}
			refs[ref] = now
		}
		pulls := maps.Clone(repo.Pulls)
		for num, p := range pulls {
			if p.Base == "" {
				continue
			}
			var err error
			if p.Base, err = f.history(p.Base); err != nil {
				return err
			}
			pulls[num] = p
		}
		if len(f.found) == 0 {
			return nil
		}
		if err := b.flush(); err != nil {
			return err
		}
		for ref, now := range refs {
			if repo.Refs[ref] != now {
				delete(repo.Annotated, ref) // what it says is of another commit
			}
		}
		repo.Refs, repo.Pulls, repo.Modified = refs, pulls, time.Now().UTC().Truncate(time.Second)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("forget large files of %s: %w", id, err)
	}
	return len(f.found), nil
}

// A forgetting is the work of Forget. Its maps lead from what was to what is
// in its place.
type forgetting struct {
	ctx     context.Context
	store   *Store
	batch   *Batch
	gone    func(Large) bool
	found   map[string]bool // hashes of files that were there
	blobs   map[string]bool // whether it goes
	trees   map[string]string
	commits map[string]string
}

// history rewrites a commit, and first all that came before it.
func (f *forgetting) history(head string) (string, error) {
	stack := []string{head}
	for len(stack) > 0 {
		id := stack[len(stack)-1]
		if _, done := f.commits[id]; done {
			stack = stack[:len(stack)-1]
			continue
		}
		if err := f.ctx.Err(); err != nil {
			return "", err
		}
		data, err := f.store.read(kindCommit, id)
		if err != nil {
			return "", err
		}
		c, err := parseCommit(id, data)
		if err != nil {
			return "", err
		}
		waits := false
		for _, p := range c.Parents {
			if _, done := f.commits[p]; !done {
				stack, waits = append(stack, p), true
			}
		}
		if waits {
			continue
		}
		if f.commits[id], err = f.commit(c, data); err != nil {
			return "", err
		}
	}
	return f.commits[head], nil
}

// commit writes a commit whose parents are done. All that it says stays but
// for its tree, its parents, and a signature of those.
func (f *forgetting) commit(c Commit, data []byte) (string, error) {
	tree, err := f.tree(c.Tree)
	if err != nil {
		return "", err
	}
	if tree == c.Tree && !slices.ContainsFunc(c.Parents, func(p string) bool { return f.commits[p] != p }) {
		return c.ID, nil
	}
	if tree == "" {
		if tree, err = newTree().write(f.batch); err != nil {
			return "", err
		}
	}
	head, message, _ := bytes.Cut(data, []byte("\n\n"))
	var out bytes.Buffer
	signed := false
	for line := range bytes.Lines(append(head, '\n')) {
		key, value, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		signed = bytes.HasPrefix(key, []byte("gpgsig")) || signed && len(key) == 0
		switch {
		case signed:
		case string(key) == "tree":
			fmt.Fprintf(&out, "tree %s\n", tree)
		case string(key) == "parent":
			fmt.Fprintf(&out, "parent %s\n", f.commits[string(value)])
		default:
			out.Write(line)
		}
	}
	out.WriteByte('\n')
	out.Write(message)
	return f.batch.put(kindCommit, out.Bytes())
}

// tree is what is left of a folder, "" if that is nothing: git has no empty
// folders.
func (f *forgetting) tree(oid string) (string, error) {
	if now, done := f.trees[oid]; done {
		return now, nil
	}
	t, err := readTree(f.store, oid)
	if err != nil {
		return "", err
	}
	changed := false
	for name, n := range t.nodes {
		now := n.oid
		if n.dir() {
			now, err = f.tree(n.oid)
		} else if goes, e := f.blob(n.oid); goes {
			now = ""
		} else {
			err = e
		}
		if err != nil {
			return "", err
		}
		changed = changed || now != n.oid
		if n.oid = now; now == "" {
			delete(t.nodes, name)
		}
	}
	now := oid
	switch {
	case changed && len(t.nodes) == 0:
		now = ""
	case changed:
		if now, err = t.write(f.batch); err != nil {
			return "", err
		}
	}
	f.trees[oid] = now
	return now, nil
}

func (f *forgetting) blob(oid string) (goes bool, err error) {
	if goes, known := f.blobs[oid]; known {
		return goes, nil
	}
	file, err := f.store.File(oid)
	if err != nil {
		return false, err
	}
	goes = file.Large != nil && f.gone(*file.Large)
	if goes {
		f.found[file.Large.OID] = true
	}
	f.blobs[oid] = goes
	return goes, nil
}
