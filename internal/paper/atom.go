package paper

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"ml-intern/internal/fetch"
)

// feed is what arXiv's API answers.
type feed struct {
	Total   int     `xml:"totalResults"`
	Entries []entry `xml:"entry"`
}

type entry struct {
	ID        string `xml:"id"`
	Title     string `xml:"title"`
	Summary   string `xml:"summary"`
	Published string `xml:"published"`
	Updated   string `xml:"updated"`
	Comment   string `xml:"comment"`
	Journal   string `xml:"journal_ref"`
	DOI       string `xml:"doi"`
	Authors   []struct {
		Name string `xml:"name"`
	} `xml:"author"`
	Primary struct {
		Term string `xml:"term,attr"`
	} `xml:"primary_category"`
	Categories []struct {
		Term string `xml:"term,attr"`
	} `xml:"category"`
}

// ParseAtom reads an answer of arXiv's API: the papers, and how many match.
func ParseAtom(text []byte) ([]Paper, int, error) {
	var f feed
	d := xml.NewDecoder(bytes.NewReader(text))
	d.Strict = false
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it is UTF-8 by contract
	if err := d.Decode(&f); err != nil {
		return nil, 0, fmt.Errorf("read the answer of arXiv's API: it is not a feed: %w", err)
	}
	var papers []Paper
	for _, e := range f.Entries {
		if strings.Contains(e.ID, "api/errors") {
			return nil, 0, fmt.Errorf("arXiv's API refuses the request: %s", short(e.Summary, 300))
		}
		if p, ok := e.paper(); ok {
			papers = append(papers, p)
		}
	}
	return papers, max(f.Total, 0), nil
}

// paper is false for an entry without a paper, which the API gives for ids that
// it does not know.
func (e entry) paper() (Paper, bool) {
	id, err := ParseID(e.ID)
	if err != nil || strings.TrimSpace(e.Title) == "" {
		return Paper{}, false
	}
	p := Paper{
		ID: id.Number, Version: id.Version, Title: line(e.Title), Abstract: line(e.Summary), Comment: line(e.Comment),
		Published: day(e.Published), Updated: day(e.Updated), Venue: line(e.Journal), DOI: line(e.DOI),
	}
	for _, a := range e.Authors {
		p.Authors = append(p.Authors, line(a.Name))
	}
	if e.Primary.Term != "" {
		p.Categories = append(p.Categories, e.Primary.Term)
	}
	for _, cat := range e.Categories {
		if cat.Term != "" && cat.Term != e.Primary.Term {
			p.Categories = append(p.Categories, cat.Term)
		}
	}
	for _, text := range []string{p.Comment, p.Abstract} {
		text = strings.ToLower(text)
		p.Withdrawn = p.Withdrawn || strings.Contains(text, "has been withdrawn") || strings.HasPrefix(text, "withdrawn") || strings.Contains(text, "paper is withdrawn") ||
			strings.Contains(text, "paper was withdrawn") || strings.Contains(text, "article is withdrawn")
	}
	return p, true
}

func line(s string) string { return strings.Join(strings.Fields(s), " ") }

// day is the date of a time.
func day(s string) string {
	date, _, _ := strings.Cut(strings.TrimSpace(s), "T")
	return date
}

// arxivEntry gets what arXiv says about one paper.
func (c *Client) arxivEntry(ctx context.Context, id ID) (Paper, error) {
	papers, _, err := c.arxivQuery(ctx, url.Values{"id_list": {id.Number}, "max_results": {"1"}})
	switch {
	case errors.Is(err, fetch.ErrNotFound):
		return Paper{}, fmt.Errorf("arXiv has %w as %s", ErrNotFound, id)
	case err != nil:
		return Paper{}, err
	case len(papers) == 0 || papers[0].ID != id.Number:
		return Paper{}, fmt.Errorf("arXiv has %w as %s", ErrNotFound, id)
	}
	return papers[0], nil
}

func (c *Client) arxivQuery(ctx context.Context, q url.Values) ([]Paper, int, error) {
	resp, err := c.Fetch.Get(ctx, fetch.Request{URL: c.arxivAPI() + "/api/query?" + q.Encode(), MaxAge: freshness})
	if err != nil {
		return nil, 0, err
	}
	return ParseAtom([]byte(resp.Text()))
}

// arxivSearch searches with dates and categories.
func (c *Client) arxivSearch(ctx context.Context, o SearchOptions) (Found, error) {
	q := url.Values{"search_query": {o.arxivTerms()}, "start": {"0"}, "max_results": {strconv.Itoa(o.Limit)}, "sortBy": {"relevance"}, "sortOrder": {"descending"}}
	if o.Sort == "date" {
		q.Set("sortBy", "submittedDate")
	}
	papers, total, err := c.arxivQuery(ctx, q)
	return Found{Papers: papers, Total: total, Source: "arXiv"}, err
}

// arxivTerms asks for all the words, in the language of arXiv's API.
func (o SearchOptions) arxivTerms() string {
	var terms []string
	for _, word := range words(o.Query) {
		terms = append(terms, `all:`+word)
	}
	var cats []string
	for _, cat := range o.Categories {
		cats = append(cats, "cat:"+cat)
	}
	if len(cats) > 0 {
		terms = append(terms, "("+strings.Join(cats, " OR ")+")")
	}
	if o.From != "" || o.To != "" {
		from, to := bounds(o.From, o.To)
		terms = append(terms, "submittedDate:["+strings.ReplaceAll(from, "-", "")+"0000 TO "+strings.ReplaceAll(to, "-", "")+"2359]")
	}
	return strings.Join(terms, " AND ")
}

// words splits a query into words and quoted phrases that mean nothing else to
// the API. Small words are left out, since it would look for them.
func words(query string) []string {
	var out []string
	for i, part := range strings.Split(query, `"`) {
		clean := strings.FieldsFunc(part, func(r rune) bool { return strings.ContainsRune(` ():[]{}|&!^~*?\/,;+-`, r) || r < ' ' })
		if i%2 == 1 && len(clean) > 1 {
			out = append(out, `"`+strings.Join(clean, " ")+`"`)
			continue
		}
		for _, w := range clean {
			switch strings.ToLower(w) {
			case "and", "or", "not", "andnot", "the", "a", "an", "of", "in", "on", "for", "to", "with", "by", "is", "are", "from":
			default:
				out = append(out, w)
			}
		}
	}
	return out[:min(len(out), 20)]
}
