package gitstore_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"ml-intern/internal/hub/hubserver/gitstore"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	id := model("x")
	create(t, s, id)
	a := must(t, s, id, map[string]any{"a": "1", "d/b": "1", "d/e/c": "1", "keep/x": "1"})
	b := must(t, s, id, map[string]any{"a": nil, "a/now": "1", "d/b": "2", "d/e/c": nil, "new": "1"})
	var got []string
	for d, err := range s.Diff(a, b) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %v %v", d.Path, d.Old != "", d.New != ""))
	}
	want := []string{"a true false", "a/now false true", "d/b true true", "d/e/c true false", "new false true"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	n := 0
	for range s.Diff(gitstore.Commit{}, a) {
		n++
	}
	if n != 5 { // with .gitattributes
		t.Errorf("a first commit has %d files", n)
	}
	for d := range s.Diff(a, a) {
		t.Errorf("a commit differs from itself: %+v", d)
	}
}

func TestMergeBase(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	id := model("x")
	create(t, s, id)
	fork := must(t, s, id, map[string]any{"a": "1"})
	if err := s.CreateRef(t.Context(), id, "refs/heads/dev", "", false); err != nil {
		t.Fatal(err)
	}
	main := must(t, s, id, map[string]any{"a": "2"})
	repo, err := s.Repo(id)
	if err != nil {
		t.Fatal(err)
	}
	dev, err := s.Resolve(repo, "dev")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := s.MergeBase(main, dev); err != nil || c.ID != fork.ID {
		t.Errorf("MergeBase = %s, %v", c.ID, err)
	}
	if err := s.CreateEmpty(t.Context(), id, "refs/heads/blank", "me", false); err != nil {
		t.Fatal(err)
	}
	repo, _ = s.Repo(id)
	blank, err := s.Resolve(repo, "blank")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := s.MergeBase(main, blank); err != nil || c.ID != "" {
		t.Errorf("MergeBase of strangers = %s, %v", c.ID, err)
	}
}

// What is announced is seen only if the announcement goes well.
func TestAnnouncementsComeFirst(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	id := model("x")
	create(t, s, id)
	no := errors.New("no")
	opening := gitstore.Opening{Number: func(*gitstore.Repo) (int, error) { return 7, nil }}
	opening.Announce = func(*gitstore.Repo, int) error { return no }
	if _, _, err := s.OpenPull(t.Context(), id, opening); !errors.Is(err, no) {
		t.Fatal(err)
	}
	if repo, _ := s.Repo(id); len(repo.Pulls) != 0 || len(repo.Refs) != 1 {
		t.Errorf("a pull request that was not announced is there: %+v", repo)
	}
	opening.Announce = func(repo *gitstore.Repo, num int) error { return s.PutNote(id, "talk/7.json", []byte("{}")) }
	if num, _, err := s.OpenPull(t.Context(), id, opening); err != nil || num != 7 {
		t.Fatal(num, err)
	}
	b := s.Batch()
	defer b.Discard()
	oid, err := b.Blob([]byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	spec := gitstore.CommitSpec{Ref: gitstore.PullRef(7), Author: "me", Message: "m", Changes: []gitstore.Change{{Path: "f", Blob: oid}}}
	if _, err := s.Commit(t.Context(), id, spec, b); err != nil {
		t.Fatal(err)
	}
	before, _ := s.Repo(id)
	merging := gitstore.Merging{Author: "me", Message: "m", Announce: func(*gitstore.Repo, gitstore.Commit) error { return no }}
	if _, err := s.Merge(t.Context(), id, 7, merging); !errors.Is(err, no) {
		t.Fatal(err)
	}
	if after, _ := s.Repo(id); after.Refs[gitstore.MainBranch] != before.Refs[gitstore.MainBranch] || after.Pulls[7].Merged != "" {
		t.Errorf("a merge that was not announced is there: %+v", after)
	}
	merging.Announce = func(*gitstore.Repo, gitstore.Commit) error { return nil }
	c, err := s.Merge(t.Context(), id, 7, merging)
	if after, _ := s.Repo(id); err != nil || after.Refs[gitstore.MainBranch] != c.ID || after.Pulls[7].Merged != c.ID {
		t.Errorf("Merge = %v, %v", c.ID, err)
	}
	if _, err := s.Merge(t.Context(), id, 7, merging); !errors.Is(err, gitstore.ErrConflict) {
		t.Errorf("a second merge: %v", err)
	}
	if _, err := s.Merge(t.Context(), id, 8, merging); !errors.Is(err, gitstore.ErrNoRevision) {
		t.Errorf("a merge of nothing: %v", err)
	}
	if names, err := s.Notes(id, "talk"); err != nil || !slices.Equal(names, []string{"7.json"}) {
		t.Errorf("Notes = %q, %v", names, err)
	}
}
