package paper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/fetch"
	"ml-intern/internal/lazyregexp"
)

// SearchOptions say what to search for. Dates are YYYY, YYYY-MM or YYYY-MM-DD,
// both ends included.
type SearchOptions struct {
	Query        string
	Limit        int
	From, To     string
	Categories   []string // of arXiv, such as cs.CL
	MinCitations int
	Sort         string // relevance if empty, date or citations
}

const (
	usualLimit = 10
	mostLimit  = 50
)

func limited(n int) int {
	if n <= 0 {
		return usualLimit
	}
	return min(n, mostLimit)
}

var (
	date     = lazyregexp.New(`^(\d{4})(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$`)
	category = lazyregexp.New(`^[a-z-]{2,8}(\.[A-Za-z-]{2,8})?(\.\*)?$`)
)

// check says what is wrong with the options, in words for who gave them.
func (o *SearchOptions) check() error {
	o.Query, o.Limit, o.Sort = strings.TrimSpace(o.Query), limited(o.Limit), cmp.Or(o.Sort, "relevance")
	if len(words(o.Query)) == 0 {
		return badInput("search papers: the query is empty or has only small words; give words of the title or the abstract")
	}
	for _, d := range []string{o.From, o.To} {
		if d != "" && !date.MatchString(d) {
			return badInput("search papers: %q is not a date; give YYYY, YYYY-MM or YYYY-MM-DD", d)
		}
	}
	if o.From != "" && o.To != "" {
		if from, to := bounds(o.From, o.To); from > to {
			return badInput("search papers: %s is after %s; change them over", o.From, o.To)
		}
	}
	for _, cat := range o.Categories {
		if !category.MatchString(cat) {
			return badInput("search papers: %q is not a category of arXiv; give one such as cs.CL or stat.ML", cat)
		}
	}
	if !slices.Contains([]string{"relevance", "date", "citations"}, o.Sort) {
		return badInput("search papers: sort by relevance, date or citations, not %q", o.Sort)
	}
	return nil
}

// An InputError says what is wrong with what was asked for.
type InputError struct{ text string }

func (e *InputError) Error() string { return e.text }

func badInput(format string, args ...any) error {
	return &InputError{fmt.Sprintf(format, args...)}
}

// bounds are the first and the last day of a span.
func bounds(from, to string) (first, last string) {
	first, last = cmp.Or(from, "1991"), cmp.Or(to, "2100")
	first += "-01-01"[min(6, len(first)-4):]
	switch len(last) {
	case 4:
		last += "-12-31"
	case 7:
		if t, err := time.Parse("2006-01", last); err == nil {
			last = t.AddDate(0, 1, -1).Format("2006-01-02")
		}
	}
	return first, last
}

// A way of searching, and what it cannot do.
type way struct {
	name   string
	search func(context.Context, SearchOptions) (Found, error)
	lacks  func(SearchOptions) []string
}

func (c *Client) ways() (hub, arxiv, scholar way) {
	hub = way{"the Hub", c.hubSearch, func(o SearchOptions) (lacks []string) {
		return missing(o, "citations", "categories", "dates", "order")
	}}
	arxiv = way{"arXiv", c.arxivSearch, func(o SearchOptions) []string { return missing(o, "citations") }}
	scholar = way{"Semantic Scholar", c.scholarSearch, func(o SearchOptions) []string {
		lacks := missing(o, "date order")
		if len(o.Categories) > 0 {
			lacks = append(lacks, "categories (only whole fields: "+strings.Join(fields(o.Categories), ", ")+")")
		}
		return lacks
	}}
	return hub, arxiv, scholar
}

// missing names the filters among kinds that are asked for.
func missing(o SearchOptions, kinds ...string) (lacks []string) {
	for _, kind := range kinds {
		switch {
		case kind == "citations" && o.MinCitations > 0:
			lacks = append(lacks, fmt.Sprintf("at least %d citations", o.MinCitations))
		case kind == "categories" && len(o.Categories) > 0:
			lacks = append(lacks, "categories")
		case kind == "dates" && (o.From != "" || o.To != ""):
			lacks = append(lacks, "dates")
		case kind == "order" && o.Sort != "relevance", kind == "date order" && o.Sort == "date", kind == "citations" && o.Sort == "citations":
			lacks = append(lacks, "order by "+o.Sort)
		}
	}
	return lacks
}

// Search finds papers by words, with the source that can do all that is asked
// for first. If another has to stand in, Notes say so and what it cannot do.
func (c *Client) Search(ctx context.Context, o SearchOptions) (Found, error) {
	if err := o.check(); err != nil {
		return Found{}, err
	}
	hub, arxiv, scholar := c.ways()
	order := []way{hub, arxiv, scholar}
	switch {
	case o.MinCitations > 0 || o.Sort == "citations":
		order = []way{scholar, arxiv, hub}
	case o.From != "" || o.To != "" || len(o.Categories) > 0 || o.Sort == "date":
		order = []way{arxiv, scholar, hub}
	}
	return c.first(ctx, o, order)
}

// first asks one source after the other.
func (c *Client) first(ctx context.Context, o SearchOptions, order []way) (Found, error) {
	var notes []string
	failed := 0
	for _, w := range order {
		found, err := w.search(ctx, o)
		if ctx.Err() != nil {
			return Found{}, context.Cause(ctx)
		}
		if err != nil {
			failed++
			notes = append(notes, fmt.Sprintf("%s could not be searched: %s", w.name, why(err)))
			continue
		}
		if len(found.Papers) == 0 {
			notes = append(notes, w.name+" found nothing")
			if len(w.lacks(o)) == 0 && w.name != "the Hub" {
				break // nobody else can do better; the Hub has few of all papers
			}
			continue
		}
		if lacks := w.lacks(o); len(lacks) > 0 {
			notes = append(notes, w.name+" cannot filter or sort by this, so it is NOT applied: "+strings.Join(lacks, "; "))
		}
		found.Papers = found.Papers[:min(len(found.Papers), o.Limit)]
		found.Notes = append(notes, found.Notes...)
		return found, nil
	}
	if failed == len(order) {
		return Found{}, fmt.Errorf("search papers: no source answered; try again later: %s", strings.Join(notes, "; "))
	}
	return Found{}, fmt.Errorf("search papers: %w for %q (%s); try fewer or other words, or leave filters out", ErrNothing, short(o.Query, 100), strings.Join(notes, "; "))
}

// hubSearch searches what the Hub knows.
func (c *Client) hubSearch(ctx context.Context, o SearchOptions) (Found, error) {
	var items []hubItem
	err := c.hubJSON(ctx, "/api/papers/search", url.Values{"q": {short(o.Query, 250)}, "limit": {strconv.Itoa(o.Limit)}}, &items)
	return Found{Papers: hubPapers(items), Source: "the Hub"}, err
}

// TrendingOptions say which of the Hub's daily papers to list.
type TrendingOptions struct {
	Date  string // YYYY-MM-DD, YYYY-MM or YYYY-Www; the newest if empty
	Query string // words that must be in title, summary or keywords
	Limit int
}

var (
	dayOf  = lazyregexp.New(`^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$`)
	month  = lazyregexp.New(`^\d{4}-(0[1-9]|1[0-2])$`)
	isWeek = lazyregexp.New(`^\d{4}-W(0[1-9]|[1-4]\d|5[0-3])$`)
)

// mostPages bounds how far a topic is looked for.
const mostPages = 3

// Trending lists the papers that people of the Hub chose.
func (c *Client) Trending(ctx context.Context, o TrendingOptions) (Found, error) {
	o.Limit = limited(o.Limit)
	q := url.Values{"limit": {strconv.Itoa(o.Limit)}}
	switch {
	case o.Date == "":
		q.Set("sort", "trending")
	case dayOf.MatchString(o.Date):
		q.Set("date", o.Date)
	case month.MatchString(o.Date):
		q.Set("month", o.Date)
	case isWeek.MatchString(o.Date):
		q.Set("week", o.Date)
	default:
		return Found{}, badInput("list trending papers: %q is not a date; give YYYY-MM-DD, YYYY-MM or YYYY-Www", o.Date)
	}
	topic := strings.ToLower(strings.TrimSpace(o.Query))
	if topic != "" {
		q.Set("limit", strconv.Itoa(min(max(3*o.Limit, 30), 100)))
	}
	out := Found{Source: "the Hub's daily papers"}
	looked := 0
	for page := range mostPages {
		if page > 0 {
			q.Set("p", strconv.Itoa(page))
		}
		var items []hubItem
		if err := c.hubJSON(ctx, "/api/daily_papers", q, &items); err != nil {
			return Found{}, trendingError(o, err)
		}
		papers := hubPapers(items)
		looked += len(papers)
		for _, p := range papers {
			if topic == "" || p.about(topic) {
				out.Papers = append(out.Papers, p)
			}
		}
		if topic == "" || len(out.Papers) >= o.Limit || strconv.Itoa(len(items)) != q.Get("limit") {
			break
		}
	}
	if len(out.Papers) == 0 {
		return Found{}, fmt.Errorf("list trending papers: %w%s among %d; papers of a day appear late in it, so try another date, or search", ErrNothing, about(o.Query), looked)
	}
	out.Papers = out.Papers[:min(len(out.Papers), o.Limit)]
	if topic != "" {
		out.Notes = append(out.Notes, fmt.Sprintf("the topic was looked for in %d papers only; search looks in all", looked))
	}
	return out, nil
}

func trendingError(o TrendingOptions, err error) error {
	if status, ok := errors.AsType[*fetch.StatusError](err); ok && status.Status == 400 {
		return badInput("list trending papers: the Hub does not take the date %q: %s; try an earlier one", o.Date, why(err))
	}
	return fmt.Errorf("list trending papers: %w", err)
}

func about(topic string) string {
	if topic == "" {
		return ""
	}
	return fmt.Sprintf(" about %q", short(topic, 100))
}

// about reports whether the topic is in the paper's head.
func (p Paper) about(topic string) bool {
	for _, text := range append([]string{p.Title, p.Abstract, p.Summary}, p.Keywords...) {
		if strings.Contains(strings.ToLower(text), topic) {
			return true
		}
	}
	return false
}
