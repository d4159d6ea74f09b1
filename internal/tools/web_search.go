package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ml-intern/internal/tool"
	"ml-intern/internal/websearch"
)

type webSearchInput struct {
	Query   string   `json:"query"`
	Only    []string `json:"allowed_domains,omitempty"`
	Never   []string `json:"blocked_domains,omitempty"`
	Since   string   `json:"since,omitempty" jsonschema:"day, week, month or year"`
	Results int      `json:"max_results,omitempty"`
	Page    int      `json:"page,omitempty"`
}

// searcher is the part of a client of search engines that WebSearch uses.
type searcher interface {
	Search(ctx context.Context, q websearch.Query) (*websearch.Answer, error)
}

// WebSearch finds pages on the web.
func WebSearch(web searcher) tool.Tool {
	return tool.New(spec("web_search", tool.Reads), func(ctx context.Context, in webSearchInput, _ tool.Call) (tool.Output, error) {
		if what := secretWords(in.Query); what != "" {
			return badArgs("the query holds %s, which must not leave this machine", what), nil
		}
		a, err := web.Search(ctx, websearch.Query{Words: in.Query, Only: in.Only, Never: in.Never, Since: in.Since, Results: in.Results, Page: in.Page})
		switch {
		case errors.Is(err, websearch.ErrQuery):
			return badArgs("%v", err), nil
		case err != nil && ctx.Err() != nil:
			return tool.Output{}, err
		case err != nil:
			return failedOutside("the web search", err, ""), nil
		}
		return tool.Output{
			Text:    fromOutside("the search engine "+a.Engine, found(a, max(in.Page, 1))),
			Summary: fmt.Sprintf("%d results for %q (%s)", len(a.Results), in.Query, a.Engine),
		}, nil
	})
}

// found is an answer of a search engine as text.
func found(a *websearch.Answer, page int) string {
	var b strings.Builder
	for i, r := range a.Results {
		fmt.Fprintf(&b, "%d. %s\n   %s\n", i+1, r.Title, r.URL)
		if r.Date != "" {
			fmt.Fprintf(&b, "   %s\n", r.Date)
		}
		if r.Snippet != "" {
			fmt.Fprintf(&b, "   %s\n", r.Snippet)
		}
	}
	for _, note := range a.Notes {
		fmt.Fprintf(&b, "[%s]\n", oneLine(note))
	}
	if a.More {
		fmt.Fprintf(&b, "[there may be more on page %d]\n", page+1)
	}
	b.WriteString("[read a page with web_fetch before you rely on it]\n")
	return b.String()
}
