package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ml-intern/internal/paper"
	"ml-intern/internal/tool"
)

type papersInput struct {
	Operation    string   `json:"operation"`
	ID           string   `json:"arxiv_id,omitempty" jsonschema:"2305.18290, or an address"`
	Query        string   `json:"query,omitempty"`
	Section      string   `json:"section,omitempty" jsonschema:"id or title in the contents, abstract, references or all"`
	Offset       int      `json:"offset,omitempty"`
	Limit        int      `json:"limit,omitempty"`
	Date         string   `json:"date,omitempty" jsonschema:"YYYY-MM-DD, YYYY-MM or YYYY-Www"`
	From         string   `json:"date_from,omitempty" jsonschema:"YYYY, YYYY-MM or with day"`
	To           string   `json:"date_to,omitempty"`
	Categories   []string `json:"categories,omitempty"`
	MinCitations int      `json:"min_citations,omitempty"`
	Sort         string   `json:"sort_by,omitempty" jsonschema:"relevance, date, citations; linked: downloads, likes, trending"`
	Like         []string `json:"positive_ids,omitempty"`
	Unlike       []string `json:"negative_ids,omitempty"`
	Kinds        []string `json:"kinds,omitempty" jsonschema:"dataset, model, space, collection"`
}

// papersTool is the tool's operations.
type papersTool struct {
	client *paper.Client
	in     papersInput
	id     paper.ID
}

// operations of papers, and whether they are about one paper.
var paperOperations = map[string]struct {
	do    func(papersTool, context.Context) (tool.Output, error)
	needs bool
}{
	"trending":   {papersTool.trending, false},
	"search":     {papersTool.search, false},
	"snippets":   {papersTool.snippets, false},
	"recommend":  {papersTool.recommend, false},
	"details":    {papersTool.details, true},
	"read":       {papersTool.readPaper, true},
	"citations":  {papersTool.citations, true},
	"references": {papersTool.references, true},
	"linked":     {papersTool.linked, true},
}

// Papers finds papers and reads them.
func Papers(client *paper.Client) tool.Tool {
	return tool.New(spec("papers", tool.Reads), func(ctx context.Context, in papersInput, _ tool.Call) (tool.Output, error) {
		op, ok := paperOperations[in.Operation]
		if !ok {
			return badArgs("operation must be trending, search, details, read, citations, references, snippets, recommend or linked, not %q", cutText(in.Operation, 50)), nil
		}
		p := papersTool{client: client, in: in}
		if op.needs || in.ID != "" {
			id, err := paper.ParseID(in.ID)
			if in.ID == "" {
				return badArgs("%s needs arxiv_id", in.Operation), nil
			}
			if err != nil {
				return badArgs("arxiv_id: %v", err), nil
			}
			p.id = id
		}
		out, err := op.do(p, ctx)
		if bad, ok := errors.AsType[*paper.InputError](err); ok {
			return badArgs("%v", bad), nil
		}
		if err != nil {
			return failing(ctx, "the services that know papers", err)
		}
		return out, nil
	})
}

// heard is an output from outside, with a summary for people.
func heard(source, text, format string, args ...any) tool.Output {
	summary := oneLine(fmt.Sprintf(format, args...))
	return tool.Output{Text: fromOutside(source, text), Summary: summary}
}

func noted(b *strings.Builder, notes []string) {
	for _, n := range notes {
		fmt.Fprintf(b, "[note: %s]\n", oneLine(n))
	}
}

func (p papersTool) options() paper.SearchOptions {
	return paper.SearchOptions{
		Query: p.in.Query, Limit: p.in.Limit, From: p.in.From, To: p.in.To, Categories: p.in.Categories, MinCitations: p.in.MinCitations, Sort: p.in.Sort,
	}
}

func (p papersTool) trending(ctx context.Context) (tool.Output, error) {
	found, err := p.client.Trending(ctx, paper.TrendingOptions{Date: p.in.Date, Query: p.in.Query, Limit: p.in.Limit})
	return papersFound(found, "trending papers", err)
}

func (p papersTool) search(ctx context.Context) (tool.Output, error) {
	found, err := p.client.Search(ctx, p.options())
	return papersFound(found, fmt.Sprintf("papers for %q", cutText(p.in.Query, 100)), err)
}

func (p papersTool) recommend(ctx context.Context) (tool.Output, error) {
	var like, unlike []paper.ID
	if p.in.ID != "" {
		like = append(like, p.id)
	}
	for _, list := range []struct {
		texts []string
		to    *[]paper.ID
	}{{p.in.Like, &like}, {p.in.Unlike, &unlike}} {
		for _, text := range list.texts {
			id, err := paper.ParseID(text)
			if err != nil {
				return badArgs("%v", err), nil
			}
			*list.to = append(*list.to, id)
		}
	}
	found, err := p.client.Recommend(ctx, like, unlike, p.in.Limit)
	return papersFound(found, "papers alike", err)
}

func papersFound(found paper.Found, what string, err error) (tool.Output, error) {
	if err != nil {
		return tool.Output{}, err
	}
	var b strings.Builder
	noted(&b, found.Notes)
	if found.Total > len(found.Papers) {
		fmt.Fprintf(&b, "%d of %d that match\n", len(found.Papers), found.Total)
	}
	for i, one := range found.Papers {
		fmt.Fprintf(&b, "%d. %s\n", i+1, paperLine(one))
		if text := one.Summary; text != "" || one.Abstract != "" {
			if text == "" {
				text = one.Abstract
			}
			fmt.Fprintf(&b, "   %s\n", briefly(text, 300))
		}
	}
	return heard(found.Source, b.String(), "%d %s from %s", len(found.Papers), what, found.Source), nil
}

// briefly is the beginning of a text in one line.
func briefly(text string, limit int) string {
	text = oneLine(text)
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// paperLine is a paper in one line.
func paperLine(p paper.Paper) string {
	facts := []string{briefly(p.Title, 500)}
	add := func(format string, args ...any) { facts = append(facts, fmt.Sprintf(format, args...)) }
	if p.ID != "" {
		add("arXiv %s", p.ID)
	} else if p.DOI != "" {
		add("DOI %s", briefly(p.DOI, 100))
	}
	switch n := len(p.Authors); {
	case n > 2:
		add("%s and %d more", briefly(p.Authors[0], 100), n-1)
	case n > 0:
		add("%s", briefly(strings.Join(p.Authors, " and "), 200))
	}
	if p.Published != "" {
		add("%s", p.Published)
	}
	if p.Venue != "" {
		add("%s", briefly(p.Venue, 100))
	}
	if p.Citations != nil {
		add("%d citations", *p.Citations)
	}
	if p.Upvotes > 0 {
		add("%d upvotes", p.Upvotes)
	}
	if p.Code != "" {
		add("%s (%d stars)", briefly(p.Code, 200), p.Stars)
	}
	if p.Withdrawn {
		add("WITHDRAWN")
	}
	return strings.Join(facts, " · ")
}

func (p papersTool) details(ctx context.Context) (tool.Output, error) {
	one, notes, err := p.client.Details(ctx, p.id)
	if err != nil {
		return tool.Output{}, err
	}
	var b strings.Builder
	line := func(name, format string, args ...any) {
		if text := oneLine(fmt.Sprintf(format, args...)); text != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, briefly(text, 4000))
		}
	}
	noted(&b, notes)
	line("title", "%s", one.Title)
	line("arXiv", "%s%s", one.ID, one.Version)
	if one.Withdrawn {
		line("state", "WITHDRAWN by its authors: do not rely on it")
	}
	authors := one.Authors[:min(len(one.Authors), 10)]
	if more := len(one.Authors) - len(authors); more > 0 {
		line("authors", "%s and %d more", strings.Join(authors, ", "), more)
	} else {
		line("authors", "%s", strings.Join(authors, ", "))
	}
	line("published", "%s", one.Published)
	line("changed", "%s", one.Updated)
	line("categories", "%s", strings.Join(one.Categories, ", "))
	line("venue", "%s", one.Venue)
	line("DOI", "%s", one.DOI)
	line("comment", "%s", one.Comment)
	if one.Citations != nil {
		line("citations", "%d, %d of them influential", *one.Citations, one.Influential)
	}
	if one.Code != "" {
		line("code", "%s (%d stars)", one.Code, one.Stars)
	}
	line("project", "%s", one.Project)
	line("keywords", "%s", strings.Join(one.Keywords[:min(len(one.Keywords), 15)], ", "))
	if n := one.Models + one.Datasets + one.Spaces; n > 0 || one.Upvotes > 0 {
		line("on the Hub", "%d upvotes, %d models, %d data sets, %d Spaces: operation linked lists them", one.Upvotes, one.Models, one.Datasets, one.Spaces)
	}
	line("summary (by a model)", "%s", one.Summary)
	line("abstract", "%s", one.Abstract)
	fmt.Fprintln(&b, "its text: operation read")
	return heard(p.id.Page(), b.String(), "%s · %s", p.id, briefly(one.Title, 200)), nil
}

func (p papersTool) linked(ctx context.Context) (tool.Output, error) {
	list, notes, err := p.client.Linked(ctx, p.id, paper.LinkedOptions{Kinds: p.in.Kinds, Sort: p.in.Sort, Limit: p.in.Limit})
	if err != nil {
		return tool.Output{}, err
	}
	var b strings.Builder
	noted(&b, notes)
	for _, l := range list {
		fmt.Fprintf(&b, "%s %s\n", l.Kind, linkedLine(l))
	}
	fmt.Fprintln(&b, "more of one: hub_repo_details; rows and columns of a data set: hf_inspect_dataset")
	return heard("the Hub", b.String(), "%d linked to %s", len(list), p.id.Number), nil
}

func linkedLine(l paper.Linked) string {
	facts := []string{briefly(l.ID, 200)}
	for _, fact := range []string{l.Title, l.Task, l.Library} {
		if fact != "" {
			facts = append(facts, briefly(fact, 150))
		}
	}
	switch l.Kind {
	case "collection":
		more := ""
		if l.MoreItems {
			more = " or more"
		}
		facts = append(facts, fmt.Sprintf("%d%s items", l.Items, more), fmt.Sprintf("%d upvotes", l.Likes))
	case "space":
		facts = append(facts, fmt.Sprintf("%d likes", l.Likes))
	default:
		facts = append(facts, fmt.Sprintf("%d downloads", l.Downloads), fmt.Sprintf("%d likes", l.Likes))
	}
	if len(l.Tags) > 0 {
		facts = append(facts, briefly(strings.Join(l.Tags, ", "), 200))
	}
	if l.Description != "" {
		facts = append(facts, briefly(l.Description, 300))
	}
	return strings.Join(facts, " · ")
}
