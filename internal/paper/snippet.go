package paper

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"ml-intern/internal/fetch"
)

// A Snippet is a passage of a paper.
type Snippet struct {
	Paper   Paper
	Section string
	Kind    string // body, title or abstract
	Text    string
}

// Snippets are passages, the most relevant first.
type Snippets struct {
	List   []Snippet
	Source string
	Notes  []string
}

type scholarSnippet struct {
	Snippet struct {
		Text    string `json:"text"`
		Kind    string `json:"snippetKind"`
		Section string `json:"section"`
	} `json:"snippet"`
	Paper struct {
		CorpusID json.RawMessage `json:"corpusId"`
		Title    string          `json:"title"`
	} `json:"paper"`
}

func (s scholarSnippet) corpus() string {
	id := string(s.Paper.CorpusID)
	if n, err := strconv.Unquote(id); err == nil {
		id = n
	}
	return id
}

// Snippets finds passages in the text of papers. If Semantic Scholar cannot,
// the abstracts of a search stand in.
func (c *Client) Snippets(ctx context.Context, o SearchOptions) (Snippets, error) {
	if err := o.check(); err != nil {
		return Snippets{}, err
	}
	q := o.filters(url.Values{"query": {o.Query}, "limit": {strconv.Itoa(o.Limit)}, "fields": {"snippet.text,snippet.snippetKind,snippet.section"}})
	var answer struct {
		Data []scholarSnippet `json:"data"`
	}
	err := c.scholarJSON(ctx, fetch.Request{URL: "/graph/v1/snippet/search?" + q.Encode()}, &answer)
	if ctx.Err() != nil {
		return Snippets{}, context.Cause(ctx)
	}
	if err != nil || len(answer.Data) == 0 {
		reason := "Semantic Scholar finds no passage"
		if err != nil {
			reason = "Semantic Scholar could not be asked: " + why(err)
		}
		return c.abstracts(ctx, o, reason)
	}
	out := Snippets{Source: "Semantic Scholar"}
	if len(o.Categories) > 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("Semantic Scholar filters by whole fields, not by categories: %v", fields(o.Categories)))
	}
	for _, s := range answer.Data[:min(len(answer.Data), o.Limit)] {
		out.List = append(out.List, Snippet{Paper: Paper{Title: line(s.Paper.Title)}, Section: line(s.Snippet.Section), Kind: s.Snippet.Kind, Text: short(s.Snippet.Text, 1000)})
	}
	if err := c.resolve(ctx, answer.Data[:len(out.List)], out.List); err != nil {
		out.Notes = append(out.Notes, "ids and citations of these papers could not be had: "+why(err))
	}
	return out, nil
}

// resolve finds the ids of papers of which the search tells a number only.
func (c *Client) resolve(ctx context.Context, from []scholarSnippet, to []Snippet) error {
	var ids []string
	for _, s := range from {
		ids = append(ids, "CorpusId:"+s.corpus())
	}
	body, err := json.Marshal(map[string][]string{"ids": ids})
	if err != nil {
		return err
	}
	var papers []*scholarPaper // null for unknown ones
	in := fetch.Request{URL: "/graph/v1/paper/batch?" + url.Values{"fields": {"title,year,publicationDate,externalIds,citationCount"}}.Encode(), Body: body}
	if err := c.scholarJSON(ctx, in, &papers); err != nil {
		return err
	}
	for i, p := range papers {
		if p != nil && i < len(to) {
			to[i].Paper = p.paper().with(to[i].Paper)
		}
	}
	return nil
}

func (c *Client) abstracts(ctx context.Context, o SearchOptions, reason string) (Snippets, error) {
	hub, arxiv, _ := c.ways()
	order := []way{hub, arxiv}
	if o.From != "" || o.To != "" || len(o.Categories) > 0 {
		order = []way{arxiv, hub}
	}
	found, err := c.first(ctx, o, order)
	if err != nil {
		return Snippets{}, fmt.Errorf("find passages: %s; %w", reason, err)
	}
	out := Snippets{Source: found.Source, Notes: append([]string{reason + "; these are abstracts, not passages of the text"}, found.Notes...)}
	for _, p := range found.Papers {
		out.List = append(out.List, Snippet{Paper: p, Section: "abstract", Kind: "abstract", Text: short(p.Abstract, 1000)})
	}
	return out, nil
}
