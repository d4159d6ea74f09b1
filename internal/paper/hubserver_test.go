package paper_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/fetch"
	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/paper"
)

// What is linked to a paper on our own Hub: by a tag, by an address in the
// card, and in collections. What is private, the account alone sees.
func TestLinkedOnOurHub(t *testing.T) {
	t.Parallel()
	h := hubtest.StartWith(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{"hf_mine": {Name: "me"}}})
	h.Client.Token = "hf_mine"
	for _, r := range []struct {
		typ     hub.RepoType
		name    string
		card    string
		private bool
	}{
		{hub.Model, "tagged", "---\ntags: [\"arxiv:2401.00001\"]\n---\n", false},
		{hub.Model, "by-address", "Made after [this](https://arxiv.org/abs/2401.00001v2).\n", false},
		{hub.Model, "other", "See https://arxiv.org/abs/2401.000019 and 2401.00001\n", false},
		{hub.Dataset, "by-page", "From https://huggingface.co/papers/2401.00001, and https://arxiv.org/pdf/2402.00002.pdf\n", false},
		{hub.Dataset, "hidden", "---\ntags: [\"arxiv:2401.00001\"]\n---\n", true},
	} {
		repo := hub.RepoID{Type: r.typ, Namespace: "me", Name: r.name}
		if _, err := h.Client.CreateRepo(t.Context(), repo, hub.CreateOptions{Private: r.private}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Client.Upload(t.Context(), repo, hub.Commit{Files: []hub.File{{Path: "README.md", Content: []byte(r.card)}}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		title   string
		private bool
		items   []string
	}{{"Reading", false, []string{"paper 2401.00001", "model me/tagged"}}, {"Mine", true, []string{"paper 2401.00001"}}, {"Others", false, []string{"paper 2402.00002"}}} {
		made, err := h.Client.CreateCollection(t.Context(), hub.CollectionSpec{Title: c.title, Namespace: "me", Private: c.private})
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range c.items {
			typ, id, _ := strings.Cut(item, " ")
			if _, err := h.Client.AddToCollection(t.Context(), made.Slug, typ, id, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	public := []string{"collection Reading", "dataset me/by-page", "model me/by-address", "model me/tagged"}
	for token, want := range map[string][]string{
		"":        public,
		"hf_mine": {"collection Mine", "collection Reading", "dataset me/by-page", "dataset me/hidden", "model me/by-address", "model me/tagged"},
		"hf_old":  public,
	} {
		c := &paper.Client{Fetch: &fetch.Client{Trust: true}, Hub: h.URL, HubToken: func(context.Context) string { return token }}
		list, notes, err := c.Linked(t.Context(), id(t, "2401.00001"), paper.LinkedOptions{})
		if err != nil || len(notes) > 0 {
			t.Fatalf("with %q: %v, notes %q", token, err, notes)
		}
		var got []string
		for _, l := range list {
			if l.Kind == "collection" {
				l.ID = l.Title
			}
			got = append(got, l.Kind+" "+l.ID)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("with %q: %q, want %q", token, got, want)
		}
	}
	c := &paper.Client{Fetch: &fetch.Client{Trust: true}, Hub: h.URL}
	if _, _, err := c.Linked(t.Context(), id(t, "2403.00003"), paper.LinkedOptions{}); !errors.Is(err, paper.ErrNothing) {
		t.Errorf("nothing is linked: %v", err)
	}
}
