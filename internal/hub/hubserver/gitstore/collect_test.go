package gitstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/hub/hubserver/gitstore"
)

// age makes everything below a folder look as if it were old.
func age(t *testing.T, dir string, by time.Duration) {
	t.Helper()
	when := time.Now().Add(-by)
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // gone meanwhile
		}
		_ = os.Chtimes(path, when, when) // likewise
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCollect(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	id := model("x")
	create(t, s, id)
	names := map[string]*gitstore.Large{}
	for _, name := range []string{"now", "before", "tagged", "branch", "dropped", "never", "fresh"} {
		names[name] = putLarge(t, s, name)
	}
	must(t, s, id, map[string]any{"d/e/f.bin": names["before"], "g.bin": names["tagged"]})
	if err := s.CreateRef(t.Context(), id, "refs/tags/v1", "main", false); err != nil {
		t.Fatal(err)
	}
	must(t, s, id, map[string]any{"d/e/f.bin": names["now"], "g.bin": nil})
	for _, branch := range []string{"branch", "dropped"} {
		if err := s.CreateRef(t.Context(), id, "refs/heads/"+branch, "main", false); err != nil {
			t.Fatal(err)
		}
		b := s.Batch()
		if _, err := s.Commit(t.Context(), id, gitstore.CommitSpec{
			Ref: "refs/heads/" + branch, Author: "me", Message: "m", Changes: []gitstore.Change{{Path: "b.bin", Large: names[branch]}},
		}, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DeleteRef(t.Context(), id, "refs/heads/dropped"); err != nil {
		t.Fatal(err)
	}
	part := gitstore.Part{Upload: strings.Repeat("a", 32), Number: 1, Size: 3}
	if _, err := s.PutPart(t.Context(), part, strings.NewReader("abc")); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.Collect(t.Context()); err != nil || gone.Files != 0 {
		t.Fatalf("of a new store it collects %+v, %v", gone, err)
	}
	age(t, filepath.Join(dir, "large"), 25*time.Hour)
	age(t, filepath.Join(dir, "parts"), 25*time.Hour)
	if !s.KeepLarge(*names["fresh"]) {
		t.Fatal("a file is not here")
	}
	gone, err := s.Collect(t.Context())
	if err != nil || gone.Files != 2 || gone.Bytes != int64(len("dropped")+len("never")) {
		t.Errorf("it collects %+v, %v", gone, err)
	}
	for name, l := range names {
		if want := name != "dropped" && name != "never"; s.HasLarge(*l) != want {
			t.Errorf("%s is here: %v", name, !want)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "parts")); len(left) != 0 {
		t.Errorf("parts that were never joined are still here: %v", left)
	}
}

// What cannot be read might name anything.
func TestCollectStopsAtDamage(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	id := model("x")
	create(t, s, id)
	l := putLarge(t, s, "never")
	head := must(t, s, id, map[string]any{"a/b": "text"})
	age(t, filepath.Join(dir, "large"), 25*time.Hour)
	if err := os.Remove(filepath.Join(dir, "objects", head.Tree[:2], head.Tree[2:])); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.Collect(t.Context()); err == nil || gone.Files != 0 || !s.HasLarge(*l) {
		t.Errorf("it collects %+v, %v", gone, err)
	}
}

// Commits of files that are old, and move of repositories, while others
// collect all the time: no commit ever names what is gone.
func TestCollectWhileServing(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	ids := []string{"x", "y"}
	for _, name := range ids {
		create(t, s, model(name))
	}
	ctx, stop := context.WithCancel(t.Context())
	var others, commits sync.WaitGroup
	others.Go(func() {
		for ctx.Err() == nil {
			age(t, filepath.Join(dir, "large"), 25*time.Hour)
			if _, err := s.Collect(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	others.Go(func() {
		for ctx.Err() == nil {
			for _, to := range []string{"w", "y"} {
				from := map[string]string{"w": "y", "y": "w"}[to]
				if err := s.Move(ctx, model(from), model(to)); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		}
	})
	for _, name := range ids {
		commits.Go(func() {
			for n := range 20 {
				l := putLarge(t, s, fmt.Sprint(n%7, name))
				_, err := commit(t, s, model(name), map[string]any{fmt.Sprint("f", n, ".bin"): l})
				if err != nil && !errors.Is(err, gitstore.ErrNoLarge) && !strings.Contains(err.Error(), "moved") && !errors.Is(err, gitstore.ErrNoRepo) {
					t.Error(err)
				}
			}
		})
	}
	commits.Wait()
	stop()
	others.Wait()
	for _, repo := range repos(t, s) {
		head, err := s.Resolve(repo, "main")
		if err != nil {
			t.Fatal(err)
		}
		for e, err := range s.Entries(head, "", true) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Dir {
				continue
			}
			if f, err := s.File(e.OID); err != nil || f.Large != nil && !s.HasLarge(*f.Large) {
				t.Fatalf("%s of %s has lost its content: %v", e.Path, repo, err)
			}
		}
	}
}

func repos(t *testing.T, s *gitstore.Store) []*gitstore.Repo {
	t.Helper()
	all, err := s.Repos("model")
	if err != nil || len(all) != 2 {
		t.Fatalf("there are %d repositories, %v", len(all), err)
	}
	return all
}
