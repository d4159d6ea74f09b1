package gitstore

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/lazyregexp"
)

// The kinds of objects, by git's names.
const (
	KindBlob   = kindBlob
	KindTree   = kindTree
	KindCommit = kindCommit
	KindTag    = "tag"
)

// ID is the id of an object of any kind with this content.
func ID(kind string, content []byte) string { return objectID(kind, content) }

// Object opens an object of any kind. Its content is not checked against its
// id.
func (s *Store) Object(oid string) (kind string, size int64, body io.ReadCloser, err error) {
	return s.openObject(oid)
}

// Read returns an object's content, checked.
func (s *Store) Read(kind, oid string) ([]byte, error) { return s.read(kind, oid) }

// Put adds an object that was made elsewhere. What it names is the caller's to
// check.
func (b *Batch) Put(kind string, content []byte) (string, error) { return b.put(kind, content) }

// Read returns an object of the batch or of the store.
func (b *Batch) Read(kind, oid string) ([]byte, error) { return b.read(kind, oid) }

// A TreeEntry is one name in a tree, as git writes it.
type TreeEntry struct {
	Mode string
	Name string
	OID  string
}

// Dir reports whether the entry is a folder.
func (e TreeEntry) Dir() bool { return e.Mode == modeDir }

// ParseTree reads the content of a tree object.
func ParseTree(data []byte) ([]TreeEntry, error) {
	var out []TreeEntry
	for len(data) > 0 {
		head, rest, ok := bytes.Cut(data, []byte{0})
		mode, name, ok2 := strings.Cut(string(head), " ")
		if !ok || !ok2 || len(rest) < 20 {
			return nil, fmt.Errorf("%w: the tree is damaged", ErrInvalid)
		}
		out = append(out, TreeEntry{mode, name, hex.EncodeToString(rest[:20])})
		data = rest[20:]
	}
	return out, nil
}

// CheckTree reads a tree that comes from outside, and refuses what git's own
// check refuses, what a file system must not get, and submodules.
func CheckTree(data []byte) ([]TreeEntry, error) {
	entries, err := ParseTree(data)
	if err != nil {
		return nil, err
	}
	last := ""
	names := map[string]bool{}
	for _, e := range entries {
		switch e.Mode {
		case modeDir, modeFile, "100755", "120000":
		case "160000":
			return nil, fmt.Errorf("%w: %s is a submodule, which the Hub does not have", ErrInvalid, e.Name)
		default:
			return nil, fmt.Errorf("%w: %q has the mode %q", ErrInvalid, e.Name, e.Mode)
		}
		if strings.Contains(e.Name, "/") {
			return nil, fmt.Errorf("%w: %q has a slash", ErrInvalid, e.Name)
		}
		if err := hub.CheckPath(e.Name); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		key := e.Name
		if e.Dir() {
			key += "/"
		}
		if names[e.Name] || key <= last {
			return nil, fmt.Errorf("%w: the tree is not in order at %q", ErrInvalid, e.Name)
		}
		names[e.Name], last = true, key
	}
	return entries, nil
}

var identity = lazyregexp.New(`^[^<>\n\x00]* <[^<>\n\x00]*> [0-9]{1,12} [+-][0-9]{4}$`)

// CheckCommit reads a commit that comes from outside. It takes no liberties:
// what a later reader could take for something else is refused.
func CheckCommit(id string, data []byte) (Commit, error) {
	head, _, ok := strings.Cut(string(data), "\n\n")
	bad := func(why string) (Commit, error) { //nolint:unparam // what CheckCommit returns
		return Commit{}, fmt.Errorf("%w: commit %s: %s", ErrInvalid, id, why)
	}
	if !ok || bytes.IndexByte(data, 0) >= 0 {
		return bad("it is damaged")
	}
	order := []string{"tree", "parent", "author", "committer"}
	at, seen := 0, map[string]int{}
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		place := slices.Index(order, key)
		if place < 0 {
			if seen["committer"] == 0 {
				return bad("it has a line too early: " + key)
			}
			continue
		}
		if place < at || seen[key] > 0 && key != "parent" {
			return bad("its lines are not in order")
		}
		at = place
		seen[key]++
		if place < 2 && !isHex(value, 40) || place >= 2 && !identity.MatchString(value) {
			return bad("its " + key + " is damaged")
		}
	}
	if seen["tree"] == 0 || seen["author"] == 0 || seen["committer"] == 0 || seen["parent"] > 64 {
		return bad("a line is missing, or there are too many parents")
	}
	return parseCommit(id, data)
}

// TagTarget reads of an annotated tag what it is of.
func TagTarget(data []byte) (kind, oid string, err error) {
	head, _, _ := strings.Cut(string(data), "\n\n")
	lines := strings.Split(head, "\n")
	if len(lines) < 3 || bytes.IndexByte(data, 0) >= 0 {
		return "", "", fmt.Errorf("%w: the tag is damaged", ErrInvalid)
	}
	oid, ok := strings.CutPrefix(lines[0], "object ")
	kind, ok2 := strings.CutPrefix(lines[1], "type ")
	if !ok || !ok2 || !isHex(oid, 40) || !strings.HasPrefix(lines[2], "tag ") {
		return "", "", fmt.Errorf("%w: the tag is damaged", ErrInvalid)
	}
	return kind, oid, nil
}

// A RefUpdate moves a ref, makes it or takes it away.
type RefUpdate struct {
	Ref string
	Old string // the commit or tag it must have now, "" if it must not be there
	New string // the commit it gets, "" to take it away
	Tag string // the annotated tag that leads to New, if there is one
}

// Push makes the objects of a batch durable, then updates refs, all in one
// step. It returns for each update why it was not made; with atomic, all are
// or none is. The caller has checked that the objects are whole. Allowed says
// why a ref of the repository as it is now must not be changed.
func (s *Store) Push(ctx context.Context, id hub.RepoID, updates []RefUpdate, atomic bool, b *Batch, allowed func(*Repo, string) error) ([]error, error) {
	if err := b.flush(); err != nil {
		return nil, err
	}
	errs := make([]error, len(updates))
	_, err := s.Update(ctx, id, func(repo *Repo) error {
		for i, u := range updates {
			if errs[i] = allowed(repo, u.Ref); errs[i] == nil {
				errs[i] = repo.update(u)
			}
		}
		failed := errors.Join(errs...) != nil
		if failed && (atomic || !slices.Contains(errs, nil)) {
			return errRefused
		}
		repo.Modified = time.Now().UTC().Truncate(time.Second)
		return nil
	})
	if errors.Is(err, errRefused) {
		for i := range errs {
			if errs[i] == nil {
				errs[i] = errRefused
			}
		}
		return errs, nil
	}
	return errs, err
}

var errRefused = errors.New("another update was refused")

// Tip is what a ref leads to as git sees it: an annotated tag, or a commit.
func (r *Repo) Tip(ref string) string {
	if tag := r.Annotated[ref]; tag != "" && r.Refs[ref] != "" {
		return tag
	}
	return r.Refs[ref]
}

func (r *Repo) update(u RefUpdate) error {
	_, there := r.Refs[u.Ref]
	if err := pushable(u, there); err != nil {
		return err
	}
	if num, pull := PullNumber(u.Ref); pull {
		if _, err := r.openPull(num); err != nil {
			return err
		}
	}
	if r.Tip(u.Ref) != u.Old {
		return fmt.Errorf("%s: %w", u.Ref, ErrParent)
	}
	delete(r.Annotated, u.Ref)
	if u.New == "" {
		delete(r.Refs, u.Ref)
		return nil
	}
	r.Refs[u.Ref] = u.New
	if u.Tag != "" {
		if r.Annotated == nil {
			r.Annotated = map[string]string{}
		}
		r.Annotated[u.Ref] = u.Tag
	}
	return nil
}

// pushable says why git may not change a ref. Those of pull requests are made
// by the API; once there, they can be pushed to.
func pushable(u RefUpdate, there bool) error {
	switch {
	case u.New == "" && u.Ref == MainBranch:
		return fmt.Errorf("%w: main cannot be deleted", ErrInvalid)
	case strings.HasPrefix(u.Ref, "refs/heads/"), strings.HasPrefix(u.Ref, "refs/tags/"):
		return checkRef(u.Ref)
	case strings.HasPrefix(u.Ref, "refs/pr/") && there && u.New != "":
		return nil
	}
	return fmt.Errorf("%w: only branches and tags can be pushed", ErrInvalid)
}
