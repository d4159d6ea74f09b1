package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/tool"
)

// A collection on the Hub keeps what one session made there. It is made with
// its first item.
type collection struct {
	connect func(context.Context) (*hub.Client, error)
	title   string
	note    string
	slug    string // "" until it is known
	added   []string
}

// collect returns the tool that also adds what it makes to the collection. A
// tool that publishes runs alone, so there is nothing to lock.
func (c *collection) collect(t tool.Tool) tool.Tool {
	if c == nil {
		return t
	}
	return collecting{t, c}
}

// newCollection is the collection of a session, nil if none is wanted.
func (a *App) newCollection(id string) *collection {
	if !a.cfg.Collect {
		return nil
	}
	title := "ml-intern-artifacts-" + id // which begins with the day
	return &collection{connect: a.hubClient, title: title[:min(len(title), 59)], note: "made in ml-intern session " + id}
}

type collecting struct {
	tool.Tool
	collection *collection
}

// Run implements tool.Tool. A collection that cannot be had does no harm to
// what was made; the model is told.
func (t collecting) Run(ctx context.Context, call tool.Call) (tool.Output, error) {
	out, err := t.Tool.Run(ctx, call)
	if err != nil || out.IsError {
		return out, err
	}
	for _, a := range slices.Clone(out.Artifacts) {
		made, err := t.collection.add(ctx, a)
		if err != nil {
			out.Text += fmt.Sprintf("\nnot added to the session's collection: %v", err)
		}
		if made != "" {
			out.Artifacts = append(out.Artifacts, tool.Artifact{Kind: "collection", URL: made})
		}
	}
	return out, nil
}

// add puts a repository into the collection. It returns the collection's page
// with its first item.
func (c *collection) add(ctx context.Context, a tool.Artifact) (page string, err error) {
	if !slices.Contains([]string{"model", "dataset", "space"}, a.Kind) || slices.Contains(c.added, a.URL) {
		return "", nil
	}
	client, err := c.connect(ctx)
	if err != nil {
		return "", err
	}
	base := client.RepoURL(hub.RepoID{})
	repo, err := hub.ParseRepo(hub.RepoType(a.Kind), strings.Trim(strings.TrimPrefix(a.URL, base), "/"))
	if err != nil {
		return "", err
	}
	if c.slug == "" {
		made, err := client.CreateCollection(ctx, hub.CollectionSpec{Title: c.title, Private: true, Description: c.note})
		if err != nil {
			return "", err
		}
		c.slug = made.Slug
		page = base + "collections/" + c.slug
	}
	if _, err := client.AddToCollection(ctx, c.slug, a.Kind, repo.String(), c.note); err != nil && !errors.Is(err, hub.ErrConflict) {
		return page, err
	}
	c.added = append(c.added, a.URL)
	return page, nil
}
