package hub_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubtest"
)

func TestCollections(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	c, ctx := h.Client, t.Context()
	repo := newRepo(t, h, hub.Model)
	made, err := c.CreateCollection(ctx, hub.CollectionSpec{Title: "Fine models: 2026", Description: "of mine", Private: true})
	if err != nil || made.Owner != "me" || !made.Private || made.Updated.IsZero() {
		t.Fatalf("CreateCollection = %+v, %v", made, err)
	}
	again, err := c.CreateCollection(ctx, hub.CollectionSpec{Title: "Fine models: 2026"})
	if err != nil || again.Slug != made.Slug || !again.Private {
		t.Errorf("a collection that is there = %+v, %v", again, err)
	}
	got, err := c.AddToCollection(ctx, made.Slug, "model", repo.String(), "the <best>")
	if err != nil || len(got.Items) != 1 || got.Items[0].ID != repo.String() || got.Items[0].Note != "the <best>" {
		t.Fatalf("AddToCollection = %+v, %v", got, err)
	}
	if _, err := c.AddToCollection(ctx, made.Slug, "model", repo.String(), ""); !errors.Is(err, hub.ErrConflict) {
		t.Errorf("adding twice: %v", err)
	}
	if _, err := c.AddToCollection(ctx, made.Slug, "dataset", repo.String(), ""); !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("adding what is not there: %v", err)
	}
	got, err = c.AddToCollection(ctx, made.Slug, "paper", "2310.12345", "")
	if err != nil || len(got.Items) != 2 {
		t.Fatalf("AddToCollection = %+v, %v", got, err)
	}
	note, first := "", 0
	if err := c.UpdateCollectionItem(ctx, made.Slug, got.Items[1].ObjectID, &note, &first); err != nil {
		t.Error(err)
	}
	title, public := "Better", false
	changed, err := c.UpdateCollection(ctx, made.Slug, hub.CollectionChange{Title: &title, Private: &public})
	if err != nil || changed.Slug == made.Slug || changed.Private || changed.Items[0].Type != "paper" {
		t.Errorf("UpdateCollection = %+v, %v", changed, err)
	}
	if err := c.DeleteRepo(ctx, repo); err != nil {
		t.Fatal(err)
	}
	got, err = c.Collection(ctx, made.Slug) // the old name
	if err != nil || len(got.Items) != 1 || got.Items[0].ID != "2310.12345" {
		t.Errorf("after the model is gone: %+v, %v", got, err)
	}
	if err := c.DeleteCollectionItem(ctx, changed.Slug, got.Items[0].ObjectID); err != nil {
		t.Error(err)
	}
	if err := c.DeleteCollectionItem(ctx, changed.Slug, got.Items[0].ObjectID); !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("deleting twice: %v", err)
	}
	if err := c.DeleteCollection(ctx, changed.Slug); err != nil {
		t.Error(err)
	}
	if _, err := c.Collection(ctx, changed.Slug); !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("a deleted collection: %v", err)
	}
}

func TestListCollections(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	var want []string
	for i := range 105 {
		v, err := h.Client.CreateCollection(t.Context(), hub.CollectionSpec{Title: fmt.Sprint("number ", i), Namespace: []string{"me", "org"}[i%2]})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, v.Slug)
	}
	all := slugs(t, h, hub.CollectionFilter{})
	if slices.Sort(all); len(all) != 105 || !slices.Equal(all, slices.Sorted(slices.Values(want))) {
		t.Errorf("%d collections in all", len(all))
	}
	if got := slugs(t, h, hub.CollectionFilter{Owner: "org", Sort: "upvotes"}); len(got) != 52 {
		t.Errorf("%d collections of one owner", len(got))
	}
	if got := slugs(t, h, hub.CollectionFilter{Limit: 7}); len(got) != 7 {
		t.Errorf("%d collections of 7", len(got))
	}
	if _, err := h.Client.AddToCollection(t.Context(), want[3], "paper", "2310.12345", ""); err != nil {
		t.Fatal(err)
	}
	if got := slugs(t, h, hub.CollectionFilter{Item: "papers/2310.12345"}); !slices.Equal(got, want[3:4]) {
		t.Errorf("with the paper: %q", got)
	}
	for _, err := range h.Client.Collections(t.Context(), hub.CollectionFilter{Sort: "colour"}) {
		if err == nil {
			t.Error("an unknown order is taken")
		}
	}
}

func slugs(t *testing.T, h *hubtest.Hub, f hub.CollectionFilter) (out []string) {
	t.Helper()
	for v, err := range h.Client.Collections(t.Context(), f) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v.Slug)
	}
	return out
}
