package community_test

import (
	"errors"
	"strings"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/community"
	"ml-intern/internal/hub/hubserver/gitstore"
)

var repoID = hub.RepoID{Type: hub.Model, Namespace: "me", Name: "x"}

func open(t *testing.T) (community.Board, func() *gitstore.Repo) {
	t.Helper()
	s, err := gitstore.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := s.Batch()
	defer b.Discard()
	oid, err := b.Blob([]byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	spec := gitstore.CommitSpec{Author: "me", Message: "m", Changes: []gitstore.Change{{Path: "f", Blob: oid}}}
	if _, err := s.Create(t.Context(), repoID, gitstore.State{}, spec, b); err != nil {
		t.Fatal(err)
	}
	return community.Board{Store: s}, func() *gitstore.Repo {
		repo, err := s.Repo(repoID)
		if err != nil {
			t.Fatal(err)
		}
		return repo
	}
}

var start = community.Start{Author: "me", Title: "title", Text: "text"}

// The note of a pull request that was never finished is not seen, and its
// number is used again.
func TestUnfinishedPull(t *testing.T) {
	t.Parallel()
	b, repo := open(t)
	if _, err := b.Create(t.Context(), repoID, start); err != nil {
		t.Fatal(err)
	}
	err := b.Store.Hold(t.Context(), repoID, func(*gitstore.Repo) error { // killed before the state was saved
		return b.Store.PutNote(repoID, "discussions/2.json", []byte(`{"num":2,"title":"lost","pull":true,"status":"open"}`))
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(repo(), 2); !errors.Is(err, community.ErrMissing) {
		t.Errorf("it is seen: %v", err)
	}
	if all, err := b.List(repo()); err != nil || len(all) != 1 {
		t.Errorf("it is listed: %+v, %v", all, err)
	}
	if _, err := b.Change(t.Context(), repoID, 2, func(*community.Discussion) error { return nil }); !errors.Is(err, community.ErrMissing) {
		t.Errorf("it can be changed: %v", err)
	}
	d, _, err := b.OpenPull(t.Context(), repoID, start, gitstore.Opening{})
	if err != nil || d.Num != 2 {
		t.Errorf("the next one is %+v, %v", d, err)
	}
	if d, err := b.Get(repo(), 2); err != nil || d.Title != "title" || d.Status != community.Draft {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := b.Create(t.Context(), repoID, start); err != nil || d.Num != 3 {
		t.Errorf("then comes %+v, %v", d, err)
	}
}

// What a merge adds to a conversation counts once the merge does, and is gone
// after the next change if it never did.
func TestUnfinishedMerge(t *testing.T) {
	t.Parallel()
	b, repo := open(t)
	if _, _, err := b.OpenPull(t.Context(), repoID, start, gitstore.Opening{}); err != nil {
		t.Fatal(err)
	}
	opened := func(d *community.Discussion) error { _, err := d.SetStatus("me", community.Open); return err }
	if _, err := b.Change(t.Context(), repoID, 1, opened); err != nil {
		t.Fatal(err)
	}
	before, err := b.Store.Note(repoID, "discussions/1.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Merge(t.Context(), repoID, 1, "me", "thanks"); err != nil {
		t.Fatal(err)
	}
	after, err := b.Store.Note(repoID, "discussions/1.json")
	if err != nil {
		t.Fatal(err)
	}
	if d, err := b.Get(repo(), 1); err != nil || d.Status != community.Merged || len(d.Events) != 4 {
		t.Errorf("after the merge: %+v, %v", d, err)
	}
	unmerge := func(r *gitstore.Repo) error { // as if the server had been killed between the two files
		p := r.Pulls[1]
		p.Merged = ""
		r.Pulls[1] = p
		return nil
	}
	if _, err := b.Store.Update(t.Context(), repoID, unmerge); err != nil {
		t.Fatal(err)
	}
	if len(after) <= len(before) {
		t.Fatal("the merge wrote nothing")
	}
	if d, err := b.Get(repo(), 1); err != nil || d.Status != community.Open || len(d.Events) != 2 {
		t.Errorf("a merge that was cut short is seen: %+v, %v", d, err)
	}
	say := func(d *community.Discussion) error { _, err := d.Say("me", "hello"); return err }
	if _, err := b.Change(t.Context(), repoID, 1, say); err != nil {
		t.Fatal(err)
	}
	if text, err := b.Store.Note(repoID, "discussions/1.json"); err != nil || strings.Contains(string(text), "thanks") {
		t.Errorf("what was cut short is kept: %s, %v", text, err)
	}
	if _, err := b.Merge(t.Context(), repoID, 1, "me", "again"); err != nil {
		t.Errorf("merge: %v", err)
	}
	if d, err := b.Get(repo(), 1); err != nil || d.Status != community.Merged || len(d.Events) != 5 {
		t.Errorf("at the end: %+v, %v", d, err)
	}
}

// A discussion that has become too long is left as it is.
func TestFullDiscussion(t *testing.T) {
	t.Parallel()
	b, repo := open(t)
	if _, err := b.Create(t.Context(), repoID, start); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("€", community.MaxComment)
	n := 0
	fill := func(d *community.Discussion) error {
		for range 100 {
			if _, err := d.Say("me", long); err != nil {
				return err
			}
			n++
		}
		return nil
	}
	if _, err := b.Change(t.Context(), repoID, 1, fill); !errors.Is(err, community.ErrFull) {
		t.Errorf("%d comments: %v", n, err)
	}
	if d, err := b.Get(repo(), 1); err != nil || len(d.Events) != 1 {
		t.Errorf("%d events, %v", len(d.Events), err)
	}
}
