package gitstore

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"ml-intern/internal/hub"
)

// Resolve finds the commit that a name stands for in a repository: a full ref,
// a branch, a tag, HEAD, or a commit's id or its first seven digits or more.
// Only commits that the repository's refs lead to are found: the store is
// shared, and another repository may be private.
func (s *Store) Resolve(repo *Repo, rev string) (Commit, error) {
	if rev == "" || rev == "HEAD" {
		rev = MainBranch
	}
	for _, prefix := range []string{"", "refs/heads/", "refs/tags/", "refs/convert/", "refs/"} {
		if id, ok := repo.Refs[prefix+rev]; ok {
			return s.ReadCommit(id)
		}
	}
	if len(rev) >= 7 && len(rev) <= 40 && isHex(rev, len(rev)) {
		for c, err := range s.History(slices.Sorted(maps.Values(repo.Refs))...) {
			if err != nil || strings.HasPrefix(c.ID, rev) {
				return c, err
			}
		}
	}
	return Commit{}, fmt.Errorf("revision %s of %s: %w", rev, repo, ErrNoRevision)
}

// History yields the commits and all that came before them, each once, newest
// first.
func (s *Store) History(ids ...string) iter.Seq2[Commit, error] {
	return func(yield func(Commit, error) bool) {
		seen := map[string]bool{}
		var queue []Commit
		add := func(ids []string) error {
			for _, id := range ids {
				if seen[id] {
					continue
				}
				seen[id] = true
				c, err := s.ReadCommit(id)
				if err != nil {
					return err
				}
				at, _ := slices.BinarySearchFunc(queue, c, func(a, b Commit) int { return b.Time.Compare(a.Time) })
				queue = slices.Insert(queue, at, c)
			}
			return nil
		}
		if err := add(ids); err != nil {
			yield(Commit{}, err)
			return
		}
		for len(queue) > 0 {
			c := queue[0]
			queue = queue[1:]
			if !yield(c, nil) {
				return
			}
			if err := add(c.Parents); err != nil {
				yield(Commit{}, err)
				return
			}
		}
	}
}

// LastCommits finds for each path the newest commit before head, or head
// itself, that changed it.
func (s *Store) LastCommits(head Commit, paths []string) (map[string]Commit, error) {
	found := map[string]Commit{}
	want := slices.Clone(paths)
	now, err := s.Find(head, want)
	if err != nil {
		return nil, err
	}
	for c := head; len(want) > 0; {
		before := map[string]Entry{}
		var parent Commit
		if len(c.Parents) > 0 {
			if parent, err = s.ReadCommit(c.Parents[0]); err == nil {
				before, err = s.Find(parent, want)
			}
			if err != nil {
				return nil, err
			}
		}
		want = slices.DeleteFunc(want, func(path string) bool {
			if now[path] == before[path] {
				return false
			}
			found[path] = c
			return true
		})
		if len(c.Parents) == 0 {
			break
		}
		c, now = parent, before
	}
	return found, nil
}

// CreateRef makes a branch or a tag, by its full name, at the commit that from
// names, or at the head of main.
func (s *Store) CreateRef(ctx context.Context, id hub.RepoID, ref, from string, overwrite bool) error {
	if err := checkRef(ref); err != nil {
		return fmt.Errorf("create %s: %w", ref, err)
	}
	_, err := s.Update(ctx, id, func(repo *Repo) error {
		if _, there := repo.Refs[ref]; there && !overwrite {
			return fmt.Errorf("create %s: %w", ref, ErrExists)
		}
		c, err := s.Resolve(repo, from)
		if err != nil {
			return err
		}
		repo.Refs[ref] = c.ID
		delete(repo.Annotated, ref)
		return nil
	})
	return err
}

// DeleteRef removes a branch or a tag. Main stays.
func (s *Store) DeleteRef(ctx context.Context, id hub.RepoID, ref string) error {
	if ref == MainBranch {
		return fmt.Errorf("%w: Cannot delete %s", ErrInvalid, ref)
	}
	_, err := s.Update(ctx, id, func(repo *Repo) error {
		if _, there := repo.Refs[ref]; !there {
			return fmt.Errorf("delete %s: %w", ref, ErrNoRevision)
		}
		delete(repo.Refs, ref)
		delete(repo.Annotated, ref)
		return nil
	})
	return err
}

// checkRef holds a name to git's rules for refs.
func checkRef(ref string) error {
	short := strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/")
	odd := func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("~^:?*[\\", r) }
	bad := short == "" || short == "HEAD" || short == "@" || len(short) > 200 ||
		strings.ContainsFunc(short, odd) || strings.Contains(short, "..") || strings.Contains(short, "@{") ||
		strings.HasPrefix(short, "-") || strings.HasSuffix(short, ".") || isHex(short, 40)
	for part := range strings.SplitSeq(short, "/") {
		bad = bad || part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	if bad {
		return fmt.Errorf("%w: not a name for a branch or a tag", ErrInvalid)
	}
	return nil
}
