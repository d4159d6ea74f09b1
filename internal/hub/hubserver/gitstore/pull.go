package gitstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"ml-intern/internal/hub"
)

// ErrConflict means that two branches changed the same thing in two ways, or
// that a pull request is no longer one to merge.
var ErrConflict = errors.New("in conflict")

// A Pull is what git must know of a pull request: the branch PullRef(n) began
// at Base and is meant for Target.
type Pull struct {
	Target string `json:"target"`           // full name of the branch
	Base   string `json:"base"`             // a commit
	Merged string `json:"merged,omitempty"` // the commit that brought it to Target
}

const pullPrefix = "refs/pr/"

// PullRef is the branch of a pull request.
func PullRef(num int) string { return pullPrefix + strconv.Itoa(num) }

// PullNumber reads a ref of a pull request.
func PullNumber(ref string) (int, bool) {
	digits, ok := strings.CutPrefix(ref, pullPrefix)
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n > 0
}

// An Opening says how a pull request begins.
type Opening struct {
	Target string     // full name of the branch, MainBranch if ""
	From   string     // the commit that it begins at; the head of Target if ""
	Commit CommitSpec // its first commit, none if it has no changes
	Batch  *Batch     // with the blobs of the commit

	// Number chooses the number, and Announce is called when all is on disk and
	// nothing can be seen yet. The pull request is there when it has returned
	// nil and the state is saved.
	Number   func(*Repo) (int, error)
	Announce func(repo *Repo, num int) error
}

// OpenPull makes a pull request and returns its number and head.
func (s *Store) OpenPull(ctx context.Context, id hub.RepoID, o Opening) (num int, head Commit, err error) {
	_, err = s.Update(ctx, id, func(repo *Repo) error {
		num, head, err = s.openPull(repo, o)
		return err
	})
	return num, head, err
}

func (s *Store) openPull(repo *Repo, o Opening) (int, Commit, error) {
	target := refName(o.Target)
	head, err := s.head(repo, target)
	if err == nil && o.From != "" {
		head, err = s.Resolve(repo, o.From)
	}
	if err != nil {
		return 0, Commit{}, err
	}
	num, err := o.Number(repo)
	if err != nil {
		return 0, Commit{}, err
	}
	ref := PullRef(num)
	repo.Refs[ref] = head.ID
	if repo.Pulls == nil {
		repo.Pulls = map[int]Pull{}
	}
	repo.Pulls[num] = Pull{Target: target, Base: head.ID}
	if len(o.Commit.Changes) > 0 {
		spec := o.Commit
		spec.Ref, spec.Parent = ref, ""
		if head, err = s.commit(repo, spec, o.Batch); err != nil {
			return 0, Commit{}, err
		}
	}
	return num, head, o.Announce(repo, num)
}

// A Merging says how a pull request is merged.
type Merging struct {
	Author, Message string

	// Announce is called when the merge is on disk and cannot be seen yet.
	Announce func(repo *Repo, merged Commit) error
}

// Merge brings what a pull request changes to its target, in one commit. What
// both changed in different ways is ErrConflict.
func (s *Store) Merge(ctx context.Context, id hub.RepoID, num int, m Merging) (merged Commit, err error) {
	b := s.Batch()
	defer b.Discard()
	_, err = s.Update(ctx, id, func(repo *Repo) error {
		merged, err = s.merge(repo, num, m, b)
		return err
	})
	return merged, err
}

func (s *Store) merge(repo *Repo, num int, m Merging, b *Batch) (Commit, error) {
	p, err := repo.openPull(num)
	if err != nil {
		return Commit{}, err
	}
	plan, err := s.planMerge(repo, num, p)
	if err != nil {
		return Commit{}, err
	}
	if len(plan.conflicts) > 0 {
		return Commit{}, fmt.Errorf("merge pull request %d: %w: both sides changed %s", num, ErrConflict, strings.Join(plan.conflicts[:min(len(plan.conflicts), 10)], ", "))
	}
	if plan.attributes != nil {
		oid, err := b.Blob(plan.attributes)
		if err != nil {
			return Commit{}, err
		}
		plan.changes = append(plan.changes, Change{Path: AttributesFile, Blob: oid})
	}
	spec := CommitSpec{Ref: p.Target, Author: m.Author, Message: m.Message, Changes: plan.changes}
	c, err := s.commit(repo, spec, b)
	if errors.Is(err, ErrInvalid) { // a file where the other has a folder
		return Commit{}, fmt.Errorf("merge pull request %d: %w: %w", num, ErrConflict, err)
	}
	if err != nil {
		return Commit{}, err
	}
	p.Merged = c.ID
	repo.Pulls[num] = p
	return c, m.Announce(repo, c)
}

func (r *Repo) openPull(num int) (Pull, error) {
	p, ok := r.Pulls[num]
	switch {
	case !ok:
		return p, fmt.Errorf("pull request %d of %s: %w", num, r, ErrNoRevision)
	case p.Merged != "":
		return p, fmt.Errorf("pull request %d of %s is merged already: %w", num, r, ErrConflict)
	}
	return p, nil
}

// Conflicts lists the paths that keep a pull request from being merged.
func (s *Store) Conflicts(repo *Repo, num int) ([]string, error) {
	p, ok := repo.Pulls[num]
	if !ok || p.Merged != "" {
		return nil, nil
	}
	plan, err := s.planMerge(repo, num, p)
	return plan.conflicts, err
}

// mergePlan is what a merge would do to the target.
type mergePlan struct {
	changes    []Change
	attributes []byte // the new AttributesFile, nil if it stays
	conflicts  []string
}

// planMerge compares both sides with the commit that they have in common.
func (s *Store) planMerge(repo *Repo, num int, p Pull) (mergePlan, error) {
	base, err := s.ReadCommit(p.Base)
	if err != nil {
		return mergePlan{}, err
	}
	ours, err := s.head(repo, p.Target)
	if err != nil {
		return mergePlan{}, err
	}
	theirs, err := s.head(repo, PullRef(num))
	if err != nil {
		return mergePlan{}, err
	}
	there, err := s.deltas(base, ours)
	if err != nil {
		return mergePlan{}, err
	}
	wanted, err := s.deltas(base, theirs)
	if err != nil {
		return mergePlan{}, err
	}
	var plan mergePlan
	for _, path := range slices.Sorted(maps.Keys(wanted)) {
		want := wanted[path]
		has, both := there[path]
		switch {
		case both && has.New == want.New:
		case both && path == AttributesFile:
			if plan.attributes, err = s.uniteAttributes(want.Old, has.New, want.New); err != nil {
				return plan, err
			}
			if plan.attributes == nil {
				plan.conflicts = append(plan.conflicts, path)
			}
		case both || blocked(path, want, there):
			plan.conflicts = append(plan.conflicts, path)
		case want.New == "":
			plan.changes = append(plan.changes, Change{Path: path, Delete: AFile})
		default:
			plan.changes = append(plan.changes, Change{Path: path, Blob: want.New})
		}
	}
	for path, has := range there {
		if _, both := wanted[path]; !both && blocked(path, has, wanted) {
			plan.conflicts = append(plan.conflicts, path)
		}
	}
	slices.Sort(plan.conflicts)
	plan.conflicts = slices.Compact(plan.conflicts)
	return plan, nil
}

// blocked reports whether a new file needs a folder where the other side has
// put a file.
func blocked(path string, d Delta, other map[string]Delta) bool {
	if d.New == "" {
		return false
	}
	for at := strings.LastIndexByte(path, '/'); at > 0; at = strings.LastIndexByte(path[:at], '/') {
		if other[path[:at]].New != "" {
			return true
		}
	}
	return false
}

func (s *Store) deltas(from, to Commit) (map[string]Delta, error) {
	all := map[string]Delta{}
	for d, err := range s.Diff(from, to) {
		if err != nil {
			return nil, err
		}
		all[d.Path] = d
	}
	return all, nil
}

// uniteAttributes merges the file that marks large files. The store itself
// adds lines to it, so two sides that only added lines are no conflict. It
// returns nil if they did more.
func (s *Store) uniteAttributes(base, ours, theirs string) ([]byte, error) {
	var texts [3][]byte
	for i, oid := range []string{base, ours, theirs} {
		if oid == "" {
			continue
		}
		var err error
		if texts[i], err = s.Blob(oid); err != nil {
			return nil, err
		}
		if n := len(texts[i]); n > 0 && texts[i][n-1] != '\n' {
			texts[i] = append(texts[i], '\n')
		}
	}
	added, more := bytes.CutPrefix(texts[2], texts[0])
	if !more || !bytes.HasPrefix(texts[1], texts[0]) {
		return nil, nil
	}
	out := slices.Clone(texts[1])
	for line := range bytes.Lines(added) {
		if !bytes.Contains(append([]byte("\n"), out...), append([]byte("\n"), line...)) {
			out = append(out, line...)
		}
	}
	return out, nil
}
