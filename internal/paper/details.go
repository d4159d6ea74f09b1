package paper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"

	"ml-intern/internal/fetch"
)

// Details puts together what the Hub, arXiv and Semantic Scholar say about a
// paper. It is found if one of them knows it; Notes tell which did not answer.
func (c *Client) Details(ctx context.Context, id ID) (Paper, []string, error) {
	sources := []struct {
		name string
		get  func(context.Context, ID) (Paper, error)
	}{{"arXiv", c.arxivEntry}, {"the Hub", c.hubPaper}, {"Semantic Scholar", c.scholarPaper}}
	papers := make([]Paper, len(sources))
	errs := make([]error, len(sources))
	var wg sync.WaitGroup
	for i, s := range sources {
		wg.Go(func() { papers[i], errs[i] = s.get(ctx, id) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return Paper{}, nil, context.Cause(ctx)
	}
	var all Paper
	var notes []string
	unknown := 0
	for i, err := range errs {
		switch {
		case err == nil:
			all = all.with(papers[i])
		case errors.Is(err, ErrNotFound):
			unknown++
			notes = append(notes, sources[i].name+" does not know it")
		default:
			notes = append(notes, fmt.Sprintf("%s did not answer: %s", sources[i].name, why(err)))
		}
	}
	switch {
	case all.Title != "":
		all.ID = id.Number
		return all, notes, nil
	case unknown > 0 && errors.Is(errs[0], ErrNotFound):
		return Paper{}, nil, fmt.Errorf("get paper %s: %w; check the id, or search by words of the title", id, ErrNotFound)
	}
	return Paper{}, nil, fmt.Errorf("get paper %s: no source answered; try again later: %w", id, errors.Join(errs...))
}

// with fills in from another source what is not known yet.
func (p Paper) with(q Paper) Paper {
	fill := func(to *string, from string) { *to = cmp.Or(*to, from) }
	fill(&p.ScholarID, q.ScholarID)
	fill(&p.Title, q.Title)
	fill(&p.Abstract, q.Abstract)
	fill(&p.Summary, q.Summary)
	fill(&p.Published, q.Published)
	fill(&p.Updated, q.Updated)
	fill(&p.Venue, q.Venue)
	fill(&p.DOI, q.DOI)
	fill(&p.Comment, q.Comment)
	fill(&p.Version, q.Version)
	fill(&p.Code, q.Code)
	fill(&p.Project, q.Project)
	if len(p.Authors) == 0 {
		p.Authors = q.Authors
	}
	if len(p.Categories) == 0 {
		p.Categories = q.Categories
	}
	if len(p.Keywords) == 0 {
		p.Keywords = q.Keywords
	}
	if p.Citations == nil {
		p.Citations = q.Citations
	}
	p.Withdrawn = p.Withdrawn || q.Withdrawn
	p.Influential = cmp.Or(p.Influential, q.Influential)
	p.Upvotes, p.Stars = cmp.Or(p.Upvotes, q.Upvotes), cmp.Or(p.Stars, q.Stars)
	p.Models, p.Datasets, p.Spaces = cmp.Or(p.Models, q.Models), cmp.Or(p.Datasets, q.Datasets), cmp.Or(p.Spaces, q.Spaces)
	return p
}

func (c *Client) scholarPaper(ctx context.Context, id ID) (Paper, error) {
	var s scholarPaper
	err := c.scholarJSON(ctx, fetch.Request{URL: "/graph/v1/paper/" + scholarID(id) + "?" + url.Values{"fields": {detailFields}}.Encode()}, &s)
	if errors.Is(err, fetch.ErrNotFound) {
		return Paper{}, fmt.Errorf("Semantic Scholar has %w as %s", ErrNotFound, id.Number)
	}
	if err != nil {
		return Paper{}, err
	}
	return s.paper(), nil
}

// scholarID is how Semantic Scholar names a paper of arXiv. It knows no versions.
func scholarID(id ID) string { return "ARXIV:" + id.Number }
