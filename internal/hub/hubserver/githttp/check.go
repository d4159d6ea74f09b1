package githttp

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"

	"ml-intern/internal/hub/hubserver/gitstore"
)

// An Inventory is what a repository has, found out as far as it is asked for:
// most pushes ask for what is in the newest commit.
type Inventory struct {
	found map[id]byte
	next  func() (object, error, bool)
	stop  func()
}

type object struct {
	oid  id
	kind byte
}

// Inventory begins one. It must be closed.
func (s *Server) Inventory(repo *gitstore.Repo) *Inventory {
	v := &Inventory{found: map[id]byte{}}
	v.next, v.stop = iter.Pull2(s.objects(repo, v.found))
	return v
}

// Close ends the search.
func (v *Inventory) Close() { v.stop() }

// Has reports whether the repository has an object.
func (v *Inventory) Has(oid string) (bool, error) {
	kind, err := v.kind(oid)
	return kind != "", err
}

// kind is the kind of an object of the repository, "" if it has none such.
func (v *Inventory) kind(oid string) (string, error) {
	want, err := parseID(oid)
	if err != nil {
		return "", err
	}
	for {
		if t := v.found[want]; t != 0 {
			return kindOf(t), nil
		}
		o, err, more := v.next()
		if err != nil || !more {
			return "", err
		}
		v.found[o.oid] = o.kind
	}
}

// objects yields all that a repository's refs lead to, newest commits first.
// It does not go into what is in seen, which the caller fills.
func (s *Server) objects(repo *gitstore.Repo, seen map[id]byte) iter.Seq2[object, error] {
	return func(yield func(object, error) bool) {
		var tree func(oid string) bool
		tree = func(oid string) bool {
			i, err := parseID(oid)
			if seen[i] != 0 {
				return true
			}
			var data []byte
			var entries []gitstore.TreeEntry
			if err == nil {
				data, err = s.Store.Read(gitstore.KindTree, oid)
			}
			if err == nil {
				entries, err = gitstore.ParseTree(data)
			}
			if err != nil {
				yield(object{}, err)
				return false
			}
			if !yield(object{i, packTree}, nil) {
				return false
			}
			for _, e := range entries {
				i, err := parseID(e.OID)
				if e.Dir() && !tree(e.OID) || !e.Dir() && !yield(object{i, packBlob}, err) {
					return false
				}
			}
			return true
		}
		for ref := range repo.Annotated {
			i, err := parseID(repo.Tip(ref))
			if !yield(object{i, packTag}, err) {
				return
			}
		}
		for c, err := range s.Store.History(slices.Sorted(maps.Values(repo.Refs))...) {
			if err != nil {
				yield(object{}, err)
				return
			}
			i, err := parseID(c.ID)
			if !yield(object{i, packCommit}, err) || !tree(c.Tree) {
				return
			}
		}
	}
}

// A checker makes sure of what is pushed: all of it is there, is what git and
// file systems can take, and fits the Hub.
type checker struct {
	s       *Server
	repo    *gitstore.Repo
	batch   *gitstore.Batch
	pack    *unpacker
	known   *Inventory
	done    map[id]bool
	extents map[id]extent
}

// update checks what a ref is to lead to, and finds the commit behind a tag.
func (c *checker) update(up *gitstore.RefUpdate) error {
	if up.New == "" {
		return nil
	}
	oid, kind := up.New, ""
	for range 5 {
		var err error
		if kind, err = c.kind(oid); err != nil {
			return err
		}
		if kind != gitstore.KindTag {
			break
		}
		data, err := c.batch.Read(kind, oid)
		if err != nil {
			return err
		}
		if _, oid, err = gitstore.TagTarget(data); err != nil {
			return err
		}
	}
	if kind != gitstore.KindCommit {
		return fmt.Errorf("%s is not a commit that came or is here", oid)
	}
	if oid != up.New {
		up.Tag, up.New = up.New, oid
	}
	if err := c.history(oid); err != nil {
		return err
	}
	return c.card(oid)
}

// kind is that of an object of the pack or of the repository.
func (c *checker) kind(oid string) (string, error) {
	i, err := parseID(oid)
	if err != nil {
		return "", err
	}
	if t := c.pack.kinds[i]; t != 0 {
		return kindOf(t), nil
	}
	return c.known.kind(oid)
}

// fresh reports whether an object is of the kind and has to be checked. One
// that the repository had is as it should be.
func (c *checker) fresh(oid, kind string) (bool, error) {
	i, err := parseID(oid)
	if err != nil || c.done[i] {
		return false, err
	}
	got, err := c.kind(oid)
	if err != nil {
		return false, err
	}
	if got != kind {
		return false, fmt.Errorf("the %s %s is missing", kind, oid)
	}
	c.done[i] = true
	return c.pack.kinds[i] != 0, nil
}

func (c *checker) history(oid string) error {
	todo := []string{oid}
	for len(todo) > 0 {
		oid := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		fresh, err := c.fresh(oid, gitstore.KindCommit)
		if err != nil {
			return err
		}
		if !fresh {
			continue
		}
		data, err := c.batch.Read(gitstore.KindCommit, oid)
		if err != nil {
			return err
		}
		commit, err := gitstore.CheckCommit(oid, data)
		if err != nil {
			return err
		}
		if err := c.tree(commit.Tree, ""); err != nil {
			return err
		}
		if err := c.measure(commit.Tree); err != nil {
			return err
		}
		todo = append(todo, commit.Parents...)
	}
	return nil
}

func (c *checker) tree(oid, path string) error {
	fresh, err := c.fresh(oid, gitstore.KindTree)
	if err != nil || !fresh {
		return err
	}
	data, err := c.batch.Read(gitstore.KindTree, oid)
	if err != nil {
		return err
	}
	entries, err := gitstore.CheckTree(data)
	if err != nil {
		return err
	}
	for _, e := range entries {
		at := path + e.Name
		if len(at) > maxPath { // before more of them are in memory than there is
			return errDeep
		}
		if e.Dir() {
			err = c.tree(e.OID, at+"/")
		} else {
			err = c.blob(e.OID, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Bounds of a tree: one that says many times that it has the same folder can
// be small, and be more than any disk when it is checked out.
const (
	maxPath    = 2048
	maxEntries = 1_000_000
)

var errDeep = fmt.Errorf("a path has more than %d bytes", maxPath)

type extent struct{ entries, longest int }

func (c *checker) measure(root string) error {
	e, err := c.extent(root)
	if err == nil && e.entries > maxEntries {
		return fmt.Errorf("a commit has more than %d files and folders", maxEntries)
	}
	if err == nil && e.longest > maxPath+1 {
		return errDeep
	}
	return err
}

func (c *checker) extent(oid string) (extent, error) {
	i, err := parseID(oid)
	if e, known := c.extents[i]; known || err != nil {
		return e, err
	}
	data, err := c.batch.Read(gitstore.KindTree, oid)
	if err != nil {
		return extent{}, err
	}
	entries, err := gitstore.ParseTree(data)
	if err != nil {
		return extent{}, err
	}
	var all extent
	for _, e := range entries {
		var sub extent
		if e.Dir() {
			if sub, err = c.extent(e.OID); err != nil {
				return extent{}, err
			}
		}
		all.entries = min(all.entries+1+sub.entries, maxEntries+1)
		all.longest = max(all.longest, len(e.Name)+1+sub.longest)
	}
	c.extents[i] = all
	return all, nil
}

func (c *checker) blob(oid, path string) error {
	fresh, err := c.fresh(oid, gitstore.KindBlob)
	if err != nil || !fresh {
		return err
	}
	i, err := parseID(oid)
	if err != nil {
		return err
	}
	if l, ok := c.pack.pointers[i]; ok && !c.mayName(oid, l) {
		return fmt.Errorf("%s: LFS pointer pointed to a file that does not exist: %s", path, l.OID)
	}
	if n, ok := c.pack.binaries[i]; ok {
		return fmt.Errorf("%s: binary files larger than 1 MiB (this has %d bytes) must be large files: git lfs track %q", path, n, path)
	}
	return nil
}

// mayName reports whether a pointer is to a file that is here for this
// repository: it has it already, or may have it.
func (c *checker) mayName(oid string, l gitstore.Large) bool {
	if !c.s.Store.KeepLarge(l) {
		return false
	}
	if c.s.MayName == nil || c.s.MayName(c.repo, l) {
		return true
	}
	has, err := c.known.Has(oid)
	return has && err == nil
}

// card checks the README.md that a ref will show.
func (c *checker) card(oid string) error {
	if c.s.Check == nil {
		return nil
	}
	data, err := c.batch.Read(gitstore.KindCommit, oid)
	if err != nil {
		return err
	}
	commit, err := gitstore.CheckCommit(oid, data)
	if err != nil {
		return err
	}
	if data, err = c.batch.Read(gitstore.KindTree, commit.Tree); err != nil {
		return err
	}
	entries, err := gitstore.ParseTree(data)
	if err != nil {
		return err
	}
	for _, e := range entries {
		i, err := parseID(e.OID)
		if e.Name != "README.md" || e.Dir() || c.pack.kinds[i] == 0 || err != nil {
			continue
		}
		text, err := c.batch.Read(gitstore.KindBlob, e.OID)
		if err == nil {
			err = c.s.Check(c.repo, text)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
