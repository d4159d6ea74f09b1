package paper

import (
	"cmp"
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ml-intern/internal/fetch"
)

// scholarPaper is a paper as Semantic Scholar describes it.
type scholarPaper struct {
	PaperID     string                     `json:"paperId"`
	CorpusID    json.Number                `json:"corpusId"`
	Title       string                     `json:"title"`
	Abstract    string                     `json:"abstract"`
	Year        int                        `json:"year"`
	Date        string                     `json:"publicationDate"`
	Venue       string                     `json:"venue"`
	Citations   *int                       `json:"citationCount"`
	Influential int                        `json:"influentialCitationCount"`
	External    map[string]json.RawMessage `json:"externalIds"`
	TLDR        *struct {
		Text string `json:"text"`
	} `json:"tldr"`
	Authors []struct {
		Name string `json:"name"`
	} `json:"authors"`
}

func (s scholarPaper) external(name string) string {
	return strings.Trim(string(s.External[name]), `" `)
}

func (s scholarPaper) paper() Paper {
	p := Paper{
		ScholarID: s.PaperID, Title: line(s.Title), Abstract: line(s.Abstract), Published: s.Date, Venue: line(s.Venue), Citations: s.Citations,
		Influential: s.Influential, DOI: s.external("DOI"),
	}
	if id, err := ParseID(s.external("ArXiv")); err == nil {
		p.ID = id.Number
	}
	if p.Published == "" && s.Year > 0 {
		p.Published = strconv.Itoa(s.Year)
	}
	if s.TLDR != nil {
		p.Summary = line(s.TLDR.Text)
	}
	for _, a := range s.Authors {
		p.Authors = append(p.Authors, line(a.Name))
	}
	return p
}

// The fields that are asked for. Services of Semantic Scholar do not take all.
const (
	listFields   = "title,externalIds,year,publicationDate,citationCount,venue,tldr,authors"
	bulkFields   = "title,externalIds,year,publicationDate,citationCount,venue,authors"
	detailFields = listFields + ",influentialCitationCount,abstract"
	graphFields  = "title,externalIds,year,citationCount,influentialCitationCount,contexts,intents,isInfluential"
)

// fieldOf are the fields of Semantic Scholar for arXiv's archives.
var fieldOf = map[string]string{
	"cs": "Computer Science", "math": "Mathematics", "stat": "Mathematics", "eess": "Engineering", "econ": "Economics", "q-fin": "Economics", "q-bio": "Biology",
}

// fields widens categories to fields.
func fields(categories []string) []string {
	var out []string
	for _, cat := range categories {
		archive, _, _ := strings.Cut(cat, ".")
		field := cmp.Or(fieldOf[archive], "Physics")
		if !slices.Contains(out, field) {
			out = append(out, field)
		}
	}
	return out
}

// filters are the parameters that all searches of Semantic Scholar share.
func (o SearchOptions) filters(q url.Values) url.Values {
	if o.From != "" || o.To != "" {
		from, to := o.From, o.To
		q.Set("publicationDateOrYear", from+":"+to)
	}
	if o.MinCitations > 0 {
		q.Set("minCitationCount", strconv.Itoa(o.MinCitations))
	}
	if len(o.Categories) > 0 {
		q.Set("fieldsOfStudy", strings.Join(fields(o.Categories), ","))
	}
	return q
}

// scholarSearch ranks by relevance, or by citations with the service that can.
func (c *Client) scholarSearch(ctx context.Context, o SearchOptions) (Found, error) {
	path := "/graph/v1/paper/search?"
	query := strings.ReplaceAll(o.Query, "-", " ") // it finds no words with hyphens
	q := o.filters(url.Values{"query": {query}, "limit": {strconv.Itoa(o.Limit)}, "fields": {listFields}})
	if o.Sort == "citations" {
		path = "/graph/v1/paper/search/bulk?"
		q.Set("sort", "citationCount:desc")
		q.Set("fields", bulkFields)
		q.Del("limit") // a page is a thousand whatever one asks
	}
	var answer struct {
		Total int            `json:"total"`
		Data  []scholarPaper `json:"data"`
	}
	if err := c.scholarJSON(ctx, fetch.Request{URL: path + q.Encode()}, &answer); err != nil {
		return Found{}, err
	}
	out := Found{Source: "Semantic Scholar", Total: answer.Total}
	for _, s := range answer.Data[:min(len(answer.Data), o.Limit)] {
		out.Papers = append(out.Papers, s.paper())
	}
	return out, nil
}
