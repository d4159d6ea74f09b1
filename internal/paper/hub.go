package paper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"ml-intern/internal/fetch"
)

// hubPaper is a paper as the Hub describes it.
type hubPaper struct {
	ID        string `json:"id"`
	Title     string `json:"title"`
	Summary   string `json:"summary"`
	Published string `json:"publishedAt"`
	Authors   []struct {
		Name   string `json:"name"`
		Hidden bool   `json:"hidden"`
	} `json:"authors"`
	Upvotes    int      `json:"upvotes"`
	AISummary  string   `json:"ai_summary"`
	AIKeywords []string `json:"ai_keywords"`
	Code       string   `json:"githubRepo"`
	Stars      int      `json:"githubStars"`
	Project    string   `json:"projectPage"`
	Models     int      `json:"numTotalModels"`
	Datasets   int      `json:"numTotalDatasets"`
	Spaces     int      `json:"numTotalSpaces"`
}

// hubItem is an entry of a list, where the paper may be inside or not.
type hubItem struct {
	hubPaper
	Paper *hubPaper `json:"paper"`
}

func hubPapers(items []hubItem) []Paper {
	var papers []Paper
	for _, item := range items {
		p := item.hubPaper
		if item.Paper != nil {
			inner := *item.Paper
			if inner.Title == "" {
				inner.Title = p.Title
			}
			if inner.Summary == "" {
				inner.Summary = p.Summary
			}
			p = inner
		}
		if p.ID != "" || p.Title != "" {
			papers = append(papers, p.paper())
		}
	}
	return papers
}

func (h hubPaper) paper() Paper {
	p := Paper{
		ID: h.ID, Title: line(h.Title), Abstract: line(h.Summary), Published: day(h.Published), Upvotes: h.Upvotes, Summary: line(h.AISummary),
		Keywords: h.AIKeywords, Code: h.Code, Stars: h.Stars, Project: h.Project, Models: h.Models, Datasets: h.Datasets, Spaces: h.Spaces,
	}
	for _, a := range h.Authors {
		if !a.Hidden && a.Name != "" {
			p.Authors = append(p.Authors, line(a.Name))
		}
	}
	return p
}

// A Linked is something on the Hub that names a paper.
type Linked struct {
	Kind        string // model, dataset, space or collection
	ID          string // OWNER/NAME or a slug
	Title       string
	Task        string
	Library     string
	Description string
	Tags        []string
	Downloads   int
	Likes       int
	Items       int
	MoreItems   bool // a collection has more than the Hub told
}

// LinkedOptions say what to list.
type LinkedOptions struct {
	Kinds []string // model, dataset, space, collection; all if empty
	Sort  string   // downloads if empty, likes or trending
	Limit int      // of each kind
}

// linkKinds are what the Hub links to papers.
var linkKinds = []string{"dataset", "model", "space", "collection"}

// Linked lists what is linked to a paper on the Hub. Kinds that could not be
// listed are named in the notes.
func (c *Client) Linked(ctx context.Context, id ID, o LinkedOptions) ([]Linked, []string, error) {
	kinds := o.Kinds
	if len(kinds) == 0 {
		kinds = linkKinds
	}
	for _, kind := range kinds {
		if !slices.Contains(linkKinds, kind) {
			return nil, nil, badInput("list what is linked: the kind is dataset, model, space or collection, not %q", kind)
		}
	}
	sort := map[string]string{"": "downloads", "downloads": "downloads", "likes": "likes", "trending": "trendingScore"}[o.Sort]
	if sort == "" {
		return nil, nil, badInput("list what is linked: sort by downloads, likes or trending, not %q", o.Sort)
	}
	lists := make([][]Linked, len(kinds))
	errs := make([]error, len(kinds))
	var wg sync.WaitGroup
	for i, kind := range kinds {
		wg.Go(func() { lists[i], errs[i] = c.linked(ctx, id, kind, sort, limited(o.Limit)) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	all := slices.Concat(lists...)
	var notes []string
	for i, err := range errs {
		if err != nil {
			notes = append(notes, fmt.Sprintf("%ss could not be listed: %s", kinds[i], why(err)))
		}
	}
	switch {
	case len(notes) == len(kinds):
		return nil, nil, fmt.Errorf("list what is linked to %s: %w", id.Number, errors.Join(errs...))
	case len(all) == 0:
		return nil, nil, fmt.Errorf("list what is linked to %s: %w on the Hub (%s); search the Hub by the names in the paper instead", id.Number, ErrNothing,
			strings.Join(append(notes, "looked for "+strings.Join(kinds, ", ")), "; "))
	}
	return all, notes, nil
}

func (c *Client) linked(ctx context.Context, id ID, kind, sort string, limit int) ([]Linked, error) {
	if kind == "collection" {
		return c.collections(ctx, id, limit)
	}
	if kind == "space" && sort == "downloads" { // which Spaces have none of
		sort = "likes"
	}
	var repos []struct {
		ID          string   `json:"id"`
		Task        string   `json:"pipeline_tag"`
		Library     string   `json:"library_name"`
		SDK         string   `json:"sdk"`
		Description string   `json:"description"`
		Tags        []string `json:"tags"`
		Downloads   int      `json:"downloads"`
		Likes       int      `json:"likes"`
	}
	q := url.Values{"filter": {"arxiv:" + id.Number}, "limit": {strconv.Itoa(limit)}, "sort": {sort}, "direction": {"-1"}}
	if err := c.hubJSON(ctx, "/api/"+kind+"s", q, &repos); err != nil {
		return nil, err
	}
	var out []Linked
	for _, r := range repos[:min(len(repos), limit)] {
		l := Linked{Kind: kind, ID: r.ID, Task: r.Task, Library: r.Library, Description: line(r.Description), Downloads: r.Downloads, Likes: r.Likes}
		if kind == "space" {
			l.Library = r.SDK
		}
		for _, tag := range r.Tags {
			if !strings.HasPrefix(tag, "arxiv:") && !strings.HasPrefix(tag, "region:") && len(l.Tags) < 5 {
				l.Tags = append(l.Tags, tag)
			}
		}
		out = append(out, l)
	}
	return out, nil
}

func (c *Client) collections(ctx context.Context, id ID, limit int) ([]Linked, error) {
	var list []struct {
		Slug  string `json:"slug"`
		Title string `json:"title"`
		Owner struct {
			Name string `json:"name"`
		} `json:"owner"`
		Upvotes     int               `json:"upvotes"`
		Description string            `json:"description"`
		Items       []json.RawMessage `json:"items"`
	}
	q := url.Values{"item": {"papers/" + id.Number}, "limit": {strconv.Itoa(limit)}}
	if err := c.hubJSON(ctx, "/api/collections", q, &list); err != nil {
		return nil, err
	}
	const told = 4 // items that the Hub lists of each
	var out []Linked
	for _, l := range list[:min(len(list), limit)] {
		out = append(out, Linked{Kind: "collection", ID: l.Slug, Title: line(l.Title), Likes: l.Upvotes, Description: line(l.Description), Items: len(l.Items), MoreItems: len(l.Items) >= told})
	}
	return out, nil
}

// hubPaper gets what the Hub says about one paper.
func (c *Client) hubPaper(ctx context.Context, id ID) (Paper, error) {
	var h hubPaper
	err := c.hubJSON(ctx, "/api/papers/"+id.Number, nil, &h)
	if errors.Is(err, fetch.ErrNotFound) {
		return Paper{}, fmt.Errorf("the Hub has %w as %s", ErrNotFound, id.Number)
	}
	if err != nil {
		return Paper{}, err
	}
	return h.paper(), nil
}
