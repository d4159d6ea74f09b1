package gitstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ml-intern/internal/hub"
)

// A Change is one line of a commit.
type Change struct {
	Path   string
	Blob   string // put this blob there; it is in the batch or in the store
	Large  *Large // or this large file; with Size < 0 its size is looked up
	Source string // or what the parent has at this path, which goes away there
	Delete Kind   // or take away what is there
}

// Kind says what a Change deletes.
type Kind int

// What can be deleted. Any takes a file or a folder.
const (
	Nothing Kind = iota
	AFile
	AFolder
	Any
)

// A CommitSpec is a commit to make.
type CommitSpec struct {
	Ref     string // full name, MainBranch if ""
	Parent  string // if not "", the commit that the ref must have, or its first digits
	Author  string
	Message string
	Changes []Change // in order

	// MayName says whether a large file may be named by this commit; nil for all.
	MayName func(Large) (bool, error)

	// Allowed says of the repository as it is when the commit is made why it
	// must not be; nil for always.
	Allowed func(*Repo) error
}

// A Commit is a commit of the store.
type Commit struct {
	ID      string
	Tree    string
	Parents []string
	Author  string
	Time    time.Time
	Message string
}

// Title is the first line of the message.
func (c Commit) Title() string {
	title, _, _ := strings.Cut(c.Message, "\n")
	return title
}

// Body is what comes after the title.
func (c Commit) Body() string {
	_, body, _ := strings.Cut(c.Message, "\n")
	return strings.TrimSpace(body)
}

// Commit makes a commit on a branch. If nothing would change it makes none,
// and returns the one that is there.
func (s *Store) Commit(ctx context.Context, id hub.RepoID, spec CommitSpec, b *Batch) (Commit, error) {
	if err := checkID(id); err != nil {
		return Commit{}, err
	}
	unlock, err := s.lockRepo(ctx, id)
	if err != nil {
		return Commit{}, err
	}
	defer unlock()
	repo, err := s.Repo(id)
	if err != nil {
		return Commit{}, err
	}
	if num, pull := PullNumber(spec.Ref); pull {
		if _, err := repo.openPull(num); err != nil {
			return Commit{}, err
		}
	}
	if spec.Allowed != nil {
		if err := spec.Allowed(repo); err != nil {
			return Commit{}, err
		}
	}
	before := repo.Refs[refName(spec.Ref)]
	c, err := s.commit(repo, spec, b)
	if err != nil || c.ID == before {
		return c, err
	}
	return c, s.save(repo)
}

func refName(ref string) string {
	if ref == "" {
		return MainBranch
	}
	return ref
}

// commit makes the objects of a commit durable, and the commit the head of its
// branch in repo, which the caller saves.
func (s *Store) commit(repo *Repo, spec CommitSpec, b *Batch) (Commit, error) {
	ref := refName(spec.Ref)
	head, err := s.head(repo, ref)
	if err != nil {
		return Commit{}, err
	}
	if spec.Parent != "" && (len(spec.Parent) < 7 || !strings.HasPrefix(head.ID, spec.Parent)) {
		return Commit{}, fmt.Errorf("commit to %s: %w", repo, ErrParent)
	}
	root := newTree()
	if head.ID != "" {
		if root, err = readTree(b, head.Tree); err != nil {
			return Commit{}, err
		}
	}
	if err := s.apply(b, root, spec.Changes, spec.MayName); err != nil {
		return Commit{}, err
	}
	c := Commit{Author: spec.Author, Time: time.Now().UTC().Truncate(time.Second), Message: spec.Message}
	if c.Tree, err = root.write(b); err != nil {
		return Commit{}, err
	}
	if head.ID != "" {
		if c.Tree == head.Tree {
			return head, nil
		}
		c.Parents = []string{head.ID}
	}
	if c.ID, err = b.put(kindCommit, c.encode()); err != nil {
		return Commit{}, err
	}
	if err := b.flush(); err != nil {
		return Commit{}, err
	}
	repo.Refs[ref] = c.ID
	if _, pull := PullNumber(ref); !pull {
		repo.Modified = c.Time
	}
	return c, nil
}

// head is the commit of a branch, or the zero Commit in an empty repository.
func (s *Store) head(repo *Repo, ref string) (Commit, error) {
	id, ok := repo.Refs[ref]
	switch {
	case ok:
		return s.ReadCommit(id)
	case len(repo.Refs) == 0 && ref == MainBranch:
		return Commit{}, nil
	}
	return Commit{}, fmt.Errorf("branch %s: %w", ref, ErrNoRevision)
}

// apply edits a tree. Deletions come first, so that a file can be deleted and
// written again in one commit, and a folder can become a file.
func (s *Store) apply(b *Batch, root *tree, changes []Change, mayName func(Large) (bool, error)) error {
	for _, ch := range changes {
		if err := hub.CheckPath(strings.TrimSuffix(ch.Path, "/")); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if ch.Delete != Nothing {
			if err := remove(b, root, ch); err != nil {
				return err
			}
		}
	}
	var large []string
	for _, ch := range changes {
		if ch.Delete != Nothing {
			continue
		}
		oid, isLarge, err := s.content(b, root, ch, mayName)
		if err != nil {
			return err
		}
		if err := root.set(b, ch.Path, oid); err != nil {
			return fmt.Errorf("write %s: %w", ch.Path, err)
		}
		if isLarge {
			large = append(large, ch.Path)
		}
	}
	return markLarge(b, root, large)
}

func remove(b *Batch, root *tree, ch Change) error {
	path := strings.TrimSuffix(ch.Path, "/")
	for _, dir := range []bool{false, true} {
		if ch.Delete == AFile && dir || ch.Delete == AFolder && !dir {
			continue
		}
		found, err := root.remove(b, path, dir)
		if found || err != nil {
			return err
		}
	}
	return fmt.Errorf("delete %s: %w", ch.Path, ErrNoEntry)
}

// content is the blob of a change, and whether it is a pointer.
func (s *Store) content(b *Batch, root *tree, ch Change, mayName func(Large) (bool, error)) (oid string, large bool, err error) {
	switch {
	case ch.Source != "":
		n, err := root.find(b, ch.Source)
		if err != nil {
			return "", false, err
		}
		if n == nil || n.dir() {
			return "", false, fmt.Errorf("rename %s: %w", ch.Source, ErrNoEntry)
		}
		oid := n.oid
		if _, err := root.remove(b, ch.Source, false); err != nil {
			return "", false, err
		}
		text, err := b.read(kindBlob, oid)
		_, large := ParsePointer(text)
		return oid, large, err
	case ch.Large != nil:
		l := *ch.Large
		size, err := s.LargeSize(l.OID)
		if err != nil {
			return "", false, fmt.Errorf("write %s: %w", ch.Path, err)
		}
		if l.Size >= 0 && l.Size != size {
			return "", false, fmt.Errorf("write %s: %w: the large file has %d bytes, not %d", ch.Path, ErrInvalid, size, l.Size)
		}
		l.Size = size
		if err := s.name(l, mayName); err != nil {
			return "", false, fmt.Errorf("write %s: %w", ch.Path, err)
		}
		oid, err := b.Blob(l.Pointer())
		return oid, true, err
	}
	if b.long[ch.Blob] {
		return ch.Blob, false, nil
	}
	text, err := b.read(kindBlob, ch.Blob)
	if err != nil {
		return "", false, err
	}
	if l, ok := ParsePointer(text); ok {
		if err := s.name(l, mayName); err != nil {
			return "", false, fmt.Errorf("write %s: %w", ch.Path, err)
		}
	}
	return ch.Blob, false, nil
}

// name keeps a large file for a commit that may name it.
func (s *Store) name(l Large, mayName func(Large) (bool, error)) error {
	if mayName != nil {
		if may, err := mayName(l); err != nil {
			return err
		} else if !may {
			return ErrNoLarge
		}
	}
	if !s.KeepLarge(l) {
		return ErrNoLarge
	}
	return nil
}

// markLarge has git treat the large files as such: each is matched by a line
// of .gitattributes, the ones that are not get one.
func markLarge(b *Batch, root *tree, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	text, err := readFile(b, root, AttributesFile)
	if err != nil {
		return err
	}
	attrs := ParseAttributes(text)
	var add strings.Builder
	for _, path := range paths {
		if !attrs.Large(path) {
			add.WriteString(largeLine(literal(path)))
		}
	}
	if add.Len() == 0 {
		return nil
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	oid, err := b.Blob(append(text, add.String()...))
	if err != nil {
		return err
	}
	return root.set(b, AttributesFile, oid)
}

// readFile reads a file of a tree, nil if it is not there.
func readFile(r objectReader, root *tree, path string) ([]byte, error) {
	n, err := root.find(r, path)
	if n == nil || err != nil || n.dir() {
		return nil, err
	}
	return r.read(kindBlob, n.oid)
}

func (c Commit) encode() []byte {
	var out strings.Builder
	fmt.Fprintf(&out, "tree %s\n", c.Tree)
	for _, p := range c.Parents {
		fmt.Fprintf(&out, "parent %s\n", p)
	}
	who := fmt.Sprintf("%s <%s@users.noreply.localhost> %d +0000", c.Author, c.Author, c.Time.Unix())
	fmt.Fprintf(&out, "author %s\ncommitter %s\n\n%s\n", who, who, strings.TrimRight(c.Message, "\n"))
	return []byte(out.String())
}

// ReadCommit reads a commit by its id, whichever repository it is of.
func (s *Store) ReadCommit(id string) (Commit, error) {
	data, err := s.read(kindCommit, id)
	if err != nil {
		return Commit{}, err
	}
	return parseCommit(id, data)
}

func parseCommit(id string, data []byte) (Commit, error) {
	head, message, ok := strings.Cut(string(data), "\n\n")
	if !ok {
		return Commit{}, fmt.Errorf("read commit %s: it is damaged", id)
	}
	c := Commit{ID: id, Message: strings.TrimRight(message, "\n")}
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
		switch key {
		case "tree":
			c.Tree = value
		case "parent":
			c.Parents = append(c.Parents, value)
		case "author":
			if err := c.readAuthor(value); err != nil {
				return Commit{}, fmt.Errorf("read commit %s: %w", id, err)
			}
		}
	}
	return c, nil
}

func (c *Commit) readAuthor(line string) error {
	name, rest, ok := strings.Cut(" "+line, " <") // the name may be empty
	_, when, ok2 := strings.Cut(rest, "> ")
	var sec int64
	if _, err := fmt.Sscanf(when, "%d", &sec); err != nil || !ok || !ok2 {
		return errors.New("its author is damaged")
	}
	c.Author, c.Time = strings.TrimSpace(name), time.Unix(sec, 0).UTC()
	return nil
}
