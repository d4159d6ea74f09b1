package gitstore

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
)

const (
	modeFile = "100644"
	modeDir  = "40000"
)

// objectReader is where trees are read from: the store, or a batch over it.
type objectReader interface {
	read(kind, oid string) ([]byte, error)
}

// A node is one name in a tree.
type node struct {
	mode string
	oid  string
	sub  *tree // of a folder, once it was needed
}

func (n *node) dir() bool { return n.mode == modeDir }

// A tree is a folder that can be edited. Only the folders on the way to a
// change are read.
type tree struct {
	nodes   map[string]*node
	changed bool
}

func newTree() *tree { return &tree{nodes: map[string]*node{}, changed: true} }

func readTree(r objectReader, oid string) (*tree, error) {
	data, err := r.read(kindTree, oid)
	if err != nil {
		return nil, err
	}
	t := &tree{nodes: map[string]*node{}}
	for len(data) > 0 {
		head, rest, ok := bytes.Cut(data, []byte{0})
		mode, name, ok2 := strings.Cut(string(head), " ")
		if !ok || !ok2 || len(rest) < 20 {
			return nil, fmt.Errorf("read tree %s: it is damaged", oid)
		}
		t.nodes[name] = &node{mode: mode, oid: hex.EncodeToString(rest[:20])}
		data = rest[20:]
	}
	return t, nil
}

func (n *node) tree(r objectReader) (*tree, error) {
	if n.sub == nil {
		t, err := readTree(r, n.oid)
		if err != nil {
			return nil, err
		}
		n.sub = t
	}
	return n.sub, nil
}

// find returns the node at path, nil if there is none.
func (t *tree) find(r objectReader, path string) (*node, error) {
	for {
		first, rest, deeper := strings.Cut(path, "/")
		n := t.nodes[first]
		if n == nil || !deeper {
			return n, nil
		}
		if !n.dir() {
			return nil, nil
		}
		var err error
		if t, err = n.tree(r); err != nil {
			return nil, err
		}
		path = rest
	}
}

// set puts a blob at path.
func (t *tree) set(r objectReader, path, oid string) error {
	first, rest, deeper := strings.Cut(path, "/")
	n := t.nodes[first]
	if !deeper {
		switch {
		case n == nil:
			t.nodes[first] = &node{mode: modeFile, oid: oid}
		case n.dir():
			return fmt.Errorf("%w: %s is a folder", ErrInvalid, first)
		case n.oid == oid:
			return nil
		default:
			n.oid = oid
		}
		t.changed = true
		return nil
	}
	if n == nil {
		n = &node{mode: modeDir, sub: newTree()}
		t.nodes[first] = n
	}
	if !n.dir() {
		return fmt.Errorf("%w: %s is a file, not a folder", ErrInvalid, first)
	}
	sub, err := n.tree(r)
	if err != nil {
		return err
	}
	if err := sub.set(r, rest, oid); err != nil {
		return err
	}
	t.changed = t.changed || sub.changed
	return nil
}

// remove takes away a file, or a folder if dir. It reports whether there was
// one.
func (t *tree) remove(r objectReader, path string, dir bool) (bool, error) {
	first, rest, deeper := strings.Cut(path, "/")
	n := t.nodes[first]
	if n == nil || deeper && !n.dir() {
		return false, nil
	}
	if !deeper {
		if n.dir() != dir {
			return false, nil
		}
		delete(t.nodes, first)
		t.changed = true
		return true, nil
	}
	sub, err := n.tree(r)
	if err != nil {
		return false, err
	}
	found, err := sub.remove(r, rest, dir)
	if !found || err != nil {
		return false, err
	}
	if len(sub.nodes) == 0 { // git has no empty folders
		delete(t.nodes, first)
	}
	t.changed = true
	return true, nil
}

// names are the names of a tree in git's order, in which a folder sorts as if
// it ended with a slash.
func (t *tree) names() []string {
	names := make([]string, 0, len(t.nodes))
	for name := range t.nodes {
		names = append(names, name)
	}
	key := func(name string) string {
		if t.nodes[name].dir() {
			return name + "/"
		}
		return name
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(key(a), key(b)) })
	return names
}

// write adds the changed folders to a batch and returns the tree's id.
func (t *tree) write(b *Batch) (string, error) {
	var out bytes.Buffer
	for _, name := range t.names() {
		n := t.nodes[name]
		if n.sub != nil && n.sub.changed {
			oid, err := n.sub.write(b)
			if err != nil {
				return "", err
			}
			n.oid = oid
		}
		fmt.Fprintf(&out, "%s %s\x00", n.mode, name)
		raw, err := hex.DecodeString(n.oid)
		if err != nil {
			return "", fmt.Errorf("write tree: %w", err)
		}
		out.Write(raw)
	}
	t.changed = false
	return b.put(kindTree, out.Bytes())
}

// An Entry is a file or a folder at a path.
type Entry struct {
	Path string
	Dir  bool
	OID  string // of the blob or tree; of the pointer, for a large file
}

// Entry returns what is at path in a commit. The path "" is the root.
func (s *Store) Entry(c Commit, path string) (Entry, error) {
	if path == "" {
		return Entry{Dir: true, OID: c.Tree}, nil
	}
	found, err := s.Find(c, []string{path})
	if err != nil {
		return Entry{}, err
	}
	e, ok := found[path]
	if !ok {
		return Entry{}, fmt.Errorf("%s: %w", path, ErrNoEntry)
	}
	return e, nil
}

// Find returns what is at each of the paths in a commit, for those where there
// is something. It reads every folder once.
func (s *Store) Find(c Commit, paths []string) (map[string]Entry, error) {
	root, err := readTree(s, c.Tree)
	if err != nil {
		return nil, err
	}
	found := map[string]Entry{}
	for _, path := range paths {
		n, err := root.find(s, path)
		if err != nil {
			return nil, err
		}
		if n != nil {
			found[path] = Entry{Path: path, Dir: n.dir(), OID: n.oid}
		}
	}
	return found, nil
}

// Entries lists what is in a folder of a commit, and with deep in the folders
// below it, each folder before what is in it.
func (s *Store) Entries(c Commit, path string, deep bool) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		at, err := s.Entry(c, path)
		if err == nil && !at.Dir {
			err = fmt.Errorf("%s is a file: %w", path, ErrNoEntry)
		}
		if err != nil {
			yield(Entry{}, err)
			return
		}
		s.walk(at, deep, yield)
	}
}

func (s *Store) walk(at Entry, deep bool, yield func(Entry, error) bool) bool {
	t, err := readTree(s, at.OID)
	if err != nil {
		return yield(Entry{}, err)
	}
	for _, name := range t.names() {
		n := t.nodes[name]
		e := Entry{Path: name, Dir: n.dir(), OID: n.oid}
		if at.Path != "" {
			e.Path = at.Path + "/" + name
		}
		if !yield(e, nil) {
			return false
		}
		if e.Dir && deep && !s.walk(e, deep, yield) {
			return false
		}
	}
	return true
}

// A File is a file's content as its readers see it.
type File struct {
	OID         string // git's id of the blob
	Size        int64  // of the content, for a large file of the file itself
	Large       *Large // nil for content that is in git
	PointerSize int64  // of the blob, for a large file
}

// File describes the file whose blob has this id.
func (s *Store) File(oid string) (File, error) {
	kind, size, body, err := s.openObject(oid)
	if err != nil {
		return File{}, err
	}
	defer body.Close()
	if kind != kindBlob {
		return File{}, fmt.Errorf("object %s is a %s: %w", oid, kind, ErrNoEntry)
	}
	f := File{OID: oid, Size: size}
	if size > maxPointer {
		return f, nil
	}
	text, err := io.ReadAll(io.LimitReader(body, maxPointer))
	if err != nil {
		return File{}, fmt.Errorf("read object %s: %w", oid, err)
	}
	if l, ok := ParsePointer(text); ok {
		f.Large, f.Size, f.PointerSize = &l, l.Size, size
	}
	return f, nil
}
