package paper

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ml-intern/internal/fetch"
	"ml-intern/internal/lazyregexp"
)

// An Edge is a citation: the paper at its other end, and what is said there.
type Edge struct {
	Paper       Paper
	Influential bool     // Semantic Scholar counts it as one that matters
	Intents     []string // background, methodology, result
	Contexts    []string // sentences that cite
}

// Edges are citations of a paper, those that matter first.
type Edges struct {
	List   []Edge
	Source string
	More   int // offset of what follows; 0 if nothing does
	Notes  []string
}

// ranked is how many edges are put in order at once.
const ranked = 500

// Citations lists papers that cite this one.
func (c *Client) Citations(ctx context.Context, id ID, limit, offset int) (Edges, error) {
	out, err := c.edges(ctx, id, "citations", limit, offset)
	switch {
	case err != nil && errors.Is(err, fetch.ErrNotFound):
		return Edges{}, fmt.Errorf("list citations of %s: Semantic Scholar has %w; check the id, or that it is not too new", id.Number, ErrNotFound)
	case err != nil:
		return Edges{}, fmt.Errorf("list citations of %s (only Semantic Scholar knows them): %w", id.Number, err)
	case len(out.List) == 0:
		return Edges{}, fmt.Errorf("list citations of %s: %w: nobody cites it yet, as far as Semantic Scholar knows, or the offset is past the end", id.Number, ErrNothing)
	}
	return out, nil
}

// References lists papers that this one cites. If Semantic Scholar cannot, the
// paper's own list is read.
func (c *Client) References(ctx context.Context, id ID, limit, offset int) (Edges, error) {
	out, err := c.edges(ctx, id, "references", limit, offset)
	if ctx.Err() != nil {
		return Edges{}, context.Cause(ctx)
	}
	if err == nil && len(out.List) > 0 {
		return out, nil
	}
	reason := "Semantic Scholar lists none"
	if err != nil {
		reason = "Semantic Scholar could not be asked: " + why(err)
	}
	own, ownErr := c.ownReferences(ctx, id, limited(limit), max(offset, 0))
	if ownErr != nil {
		return Edges{}, fmt.Errorf("list references of %s: %s; and its text could not be read: %w", id.Number, reason, ownErr)
	}
	own.Notes = append(own.Notes, reason+"; these are from the paper's own list")
	return own, nil
}

// edges asks Semantic Scholar for many and puts them in order, since it gives
// them in none. A first page may be empty though there are more.
func (c *Client) edges(ctx context.Context, id ID, kind string, limit, offset int) (Edges, error) {
	limit, offset = limited(limit), max(offset, 0)
	block := offset / ranked * ranked
	out := Edges{Source: "Semantic Scholar"}
	next := block
	for range 3 {
		var answer struct {
			Next *int          `json:"next"`
			Data []scholarEdge `json:"data"`
		}
		q := url.Values{"fields": {graphFields}, "limit": {strconv.Itoa(ranked)}, "offset": {strconv.Itoa(next)}}
		if err := c.scholarJSON(ctx, fetch.Request{URL: "/graph/v1/paper/" + scholarID(id) + "/" + kind + "?" + q.Encode()}, &answer); err != nil {
			return Edges{}, err
		}
		for _, e := range answer.Data {
			if edge, ok := e.edge(); ok {
				out.List = append(out.List, edge)
			}
		}
		if answer.Next == nil {
			next = 0
			break
		}
		if next = *answer.Next; len(answer.Data) > 0 {
			break
		}
	}
	slices.SortStableFunc(out.List, func(a, b Edge) int {
		return cmp.Or(cmp.Compare(weight(b.Influential), weight(a.Influential)), cmp.Compare(count(b.Paper), count(a.Paper)))
	})
	if next > 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("the order is that of %d to %d; there are more after them", block, block+len(out.List)))
	}
	all := len(out.List)
	from := min(offset-block, all)
	to := min(from+limit, all)
	out.List = out.List[from:to]
	switch {
	case to < all:
		out.More = block + to
	case next > 0:
		out.More = max(next, block+ranked)
	}
	return out, nil
}

func weight(b bool) int {
	if b {
		return 1
	}
	return 0
}

func count(p Paper) int {
	if p.Citations == nil {
		return 0
	}
	return *p.Citations
}

// scholarEdge is a citation in Semantic Scholar's words.
type scholarEdge struct {
	Influential bool          `json:"isInfluential"`
	Contexts    []string      `json:"contexts"`
	Intents     []string      `json:"intents"`
	Citing      *scholarPaper `json:"citingPaper"`
	Cited       *scholarPaper `json:"citedPaper"`
}

func (e scholarEdge) edge() (Edge, bool) {
	p := cmp.Or(e.Citing, e.Cited)
	if p == nil || p.Title == "" {
		return Edge{}, false
	}
	out := Edge{Paper: p.paper(), Influential: e.Influential, Intents: e.Intents}
	for _, text := range e.Contexts[:min(len(e.Contexts), 2)] {
		out.Contexts = append(out.Contexts, short(text, 200))
	}
	return out, true
}

// ownReferences reads the list at the end of the paper.
func (c *Client) ownReferences(ctx context.Context, id ID, limit, offset int) (Edges, error) {
	doc, err := c.Read(ctx, id)
	if err != nil {
		return Edges{}, err
	}
	s, ok := doc.Find(referencesID)
	if !ok {
		return Edges{}, fmt.Errorf("its text has no list of references: %w", ErrNothing)
	}
	out := Edges{Source: doc.Source}
	_, text, _ := strings.Cut(doc.SectionText(s), "\n")
	entries := bibliography(text)
	offset = min(offset, len(entries))
	end := min(offset+limit, len(entries))
	for _, entry := range entries[offset:end] {
		out.List = append(out.List, Edge{Paper: Paper{Title: short(entry, 500)}})
	}
	if end < len(entries) {
		out.More = end
	}
	if len(out.List) == 0 {
		return Edges{}, fmt.Errorf("its list of references is empty from offset %d on: %w", offset, ErrNothing)
	}
	return out, nil
}

// mark begins an entry of a bibliography: in HTML that of a list, in a PDF the
// number. Lines without one go on with the entry before.
var mark = lazyregexp.New(`^(- |\[[^\]]{1,30}\] ?|\d{1,3}\. )`)

func bibliography(text string) []string {
	marked := false
	for entry := range strings.Lines(text) {
		marked = marked || mark.MatchString(entry)
	}
	var entries []string
	for entry := range strings.Lines(text) {
		entry = strings.TrimSpace(entry)
		switch {
		case entry == "":
		case marked && !mark.MatchString(entry) && len(entries) > 0:
			entries[len(entries)-1] += " " + entry
		default:
			entries = append(entries, strings.TrimPrefix(entry, "- "))
		}
	}
	return entries
}

// Recommend finds papers like some and unlike others.
func (c *Client) Recommend(ctx context.Context, like, unlike []ID, limit int) (Found, error) {
	if len(like) == 0 {
		return Found{}, badInput("recommend papers: give the ids of one paper or more that they should be like")
	}
	limit = limited(limit)
	in := fetch.Request{URL: "/recommendations/v1/papers/forpaper/" + scholarID(like[0]) + "?"}
	q := url.Values{"fields": {bulkFields}, "limit": {strconv.Itoa(limit)}}
	if len(like) == 1 && len(unlike) == 0 {
		q.Set("from", "all-cs")
	} else {
		in.URL = "/recommendations/v1/papers/?"
		body := map[string][]string{"positivePaperIds": scholarIDs(like), "negativePaperIds": scholarIDs(unlike)}
		in.Body, _ = json.Marshal(body) // strings always encode
	}
	in.URL += q.Encode()
	var answer struct {
		Papers []scholarPaper `json:"recommendedPapers"`
	}
	err := c.scholarJSON(ctx, in, &answer)
	if ctx.Err() != nil {
		return Found{}, context.Cause(ctx)
	}
	if err == nil && len(answer.Papers) > 0 {
		out := Found{Source: "Semantic Scholar"}
		for _, s := range answer.Papers[:min(len(answer.Papers), limit)] {
			out.Papers = append(out.Papers, s.paper())
		}
		return out, nil
	}
	reason := "Semantic Scholar recommends none"
	if err != nil {
		reason = "Semantic Scholar could not be asked: " + why(err)
	}
	return c.alike(ctx, like[0], limit, reason)
}

func scholarIDs(ids []ID) []string {
	out := []string{}
	for _, id := range ids {
		out = append(out, scholarID(id))
	}
	return out
}

// alike stands in for recommendations: it searches the Hub by the title.
func (c *Client) alike(ctx context.Context, id ID, limit int, reason string) (Found, error) {
	p, err := c.hubPaper(ctx, id)
	if err != nil {
		p, err = c.arxivEntry(ctx, id)
	}
	if err != nil {
		return Found{}, fmt.Errorf("recommend papers: %s; and nothing is known of %s to search by: %w", reason, id.Number, err)
	}
	found, err := c.hubSearch(ctx, SearchOptions{Query: p.Title, Limit: limit + 1})
	if err != nil {
		return Found{}, fmt.Errorf("recommend papers: %s; %w", reason, err)
	}
	found.Papers = slices.DeleteFunc(found.Papers, func(q Paper) bool { return q.ID == id.Number })
	if len(found.Papers) == 0 {
		return Found{}, fmt.Errorf("recommend papers: %w (%s); search by the paper's words instead", ErrNothing, reason)
	}
	found.Papers = found.Papers[:min(len(found.Papers), limit)]
	found.Notes = append(found.Notes, reason+"; these are what the Hub finds for the title")
	return found, nil
}
