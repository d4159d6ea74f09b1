package paper_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/paper"
	"ml-intern/internal/paper/papertest"
)

func id(t *testing.T, text string) paper.ID {
	t.Helper()
	id, err := paper.ParseID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// wants fails unless the text has all the parts.
func wants(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in %q", part, text)
		}
	}
}

func TestTrending(t *testing.T) {
	t.Parallel()
	w := papertest.New(t)
	found, err := w.Client().Trending(t.Context(), paper.TrendingOptions{Date: "2024-01-01", Limit: 3})
	if err != nil || len(found.Papers) != 3 || found.Papers[0].ID != "2401.00001" {
		t.Fatalf("%+v, %v", found, err)
	}
	found, err = w.Client().Trending(t.Context(), paper.TrendingOptions{Query: "naps FOR"})
	if err != nil || found.Papers[0].Title != "Naps for Transformers" {
		t.Fatalf("%+v, %v", found, err)
	}
	wants(t, w.Asked("daily")[1], "limit=30", "sort=trending")
	_, err = w.Client().Trending(t.Context(), paper.TrendingOptions{Query: "absent"})
	if !errors.Is(err, paper.ErrNothing) {
		t.Errorf("absent topic: %v", err)
	}
	var bad *paper.InputError
	if _, err = w.Client().Trending(t.Context(), paper.TrendingOptions{Date: "yesterday"}); !errors.As(err, &bad) {
		t.Errorf("bad date: %v", err)
	}
}

// Which source is asked for what, and what the answer says about it.
func TestSearch(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options paper.SearchOptions
		fail    []string
		source  string
		asked   []string
		notes   []string
	}{
		"plain": {options: paper.SearchOptions{Query: "sleep"}, source: "the Hub", asked: []string{"/api/papers/search?limit=10&q=sleep"}},
		"dates and categories": {
			options: paper.SearchOptions{Query: "the sleep of gradients", From: "2023-02", To: "2023-02", Categories: []string{"cs.LG", "cs.CL"}}, source: "arXiv",
			asked: []string{"search_query=all%3Asleep+AND+all%3Agradients+AND+%28cat%3Acs.LG+OR+cat%3Acs.CL%29+AND+submittedDate%3A%5B202302010000+TO+202302282359%5D", "sortBy=relevance"},
		},
		"citations": {
			options: paper.SearchOptions{Query: "sleep", MinCitations: 100, From: "2020"}, source: "Semantic Scholar",
			asked: []string{"/graph/v1/paper/search?", "minCitationCount=100", "publicationDateOrYear=2020%3A"},
		},
		"most cited": {options: paper.SearchOptions{Query: "sleep", Sort: "citations"}, source: "Semantic Scholar", asked: []string{"/search/bulk?", "sort=citationCount%3Adesc"}},
		"citations without Semantic Scholar": {
			options: paper.SearchOptions{Query: "sleep", MinCitations: 100}, fail: []string{"/graph"}, source: "arXiv",
			notes: []string{"Semantic Scholar could not be searched", "NOT applied: at least 100 citations"},
		},
		"categories without arXiv": {
			options: paper.SearchOptions{Query: "sleep", Categories: []string{"cs.LG"}}, fail: []string{"/api/query"}, source: "Semantic Scholar",
			asked: []string{"fieldsOfStudy=Computer+Science"}, notes: []string{"arXiv could not be searched", "only whole fields: Computer Science"},
		},
		"the Hub is down": {options: paper.SearchOptions{Query: "sleep"}, fail: []string{"/api/papers"}, source: "arXiv", notes: []string{"the Hub could not be searched"}},
		"only the Hub is up": {
			options: paper.SearchOptions{Query: "sleep", From: "2024", Sort: "date"}, fail: []string{"/api/query", "/graph"}, source: "the Hub",
			notes: []string{"NOT applied: dates; order by date"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := papertest.New(t)
			for _, prefix := range test.fail {
				w.Fail(prefix, papertest.Status(403))
			}
			found, err := w.Client().Search(t.Context(), test.options)
			if err != nil {
				t.Fatal(err)
			}
			if found.Source != test.source || len(found.Papers) == 0 {
				t.Errorf("%d papers from %s, want %s", len(found.Papers), found.Source, test.source)
			}
			wants(t, strings.Join(w.Asked(""), "\n"), test.asked...)
			wants(t, strings.Join(found.Notes, "\n"), test.notes...)
			if len(test.notes) == 0 && len(found.Notes) > 0 {
				t.Errorf("notes %q", found.Notes)
			}
		})
	}
}

func TestSearchKeepsOrder(t *testing.T) {
	t.Parallel()
	found, err := papertest.New(t).Client().Search(t.Context(), paper.SearchOptions{Query: "sleep", MinCitations: 1})
	if err != nil || found.Papers[0].Title != "Cited Much" || *found.Papers[1].Citations != 1000 || found.Papers[0].ID != papertest.Known {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestSearchInput(t *testing.T) {
	t.Parallel()
	c := papertest.New(t).Client()
	for _, o := range []paper.SearchOptions{
		{}, {Query: " the of "}, {Query: "x", From: "last year"}, {Query: "x", From: "2024", To: "2023"}, {Query: "x", Categories: []string{"cs.LG OR all:y"}}, {Query: "x", Sort: "best"},
	} {
		var bad *paper.InputError
		if _, err := c.Search(t.Context(), o); !errors.As(err, &bad) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	_, err := c.Search(t.Context(), paper.SearchOptions{Query: "nonsense"})
	if !errors.Is(err, paper.ErrNothing) {
		t.Errorf("nothing found: %v", err)
	}
}

func TestSearchAllDown(t *testing.T) {
	t.Parallel()
	w := papertest.New(t)
	w.Fail("/", papertest.Status(404))
	_, err := w.Client().Search(t.Context(), paper.SearchOptions{Query: "sleep"})
	if err == nil || errors.Is(err, paper.ErrNothing) {
		t.Errorf("all sources down: %v", err)
	}
}

func TestDetails(t *testing.T) {
	t.Parallel()
	w := papertest.New(t)
	p, notes, err := w.Client().Details(t.Context(), id(t, papertest.Known))
	if err != nil || len(notes) > 0 {
		t.Fatal(err, notes)
	}
	if p.Title != "Sleeping Gradients" || *p.Citations != 42 || p.Stars != 12 || strings.Join(p.Categories, " ") != "cs.LG stat.ML" || p.Version != "v2" ||
		p.Abstract != "An abstract of two lines & more." || p.Models != 3 || p.Comment != "12 pages" {
		t.Errorf("%+v", p)
	}
	w.Fail("/graph", papertest.Status(429, "Retry-After: 600"))
	_, notes, err = w.Client().Details(t.Context(), id(t, papertest.Known))
	if err != nil {
		t.Fatal(err)
	}
	wants(t, strings.Join(notes, ""), "Semantic Scholar did not answer", "S2_API_KEY")
	if _, _, err = w.Client().Details(t.Context(), id(t, "2406.00001")); !errors.Is(err, paper.ErrNotFound) {
		t.Errorf("unknown paper: %v", err)
	}
	p, _, err = w.Client().Details(t.Context(), id(t, papertest.Withdrawn))
	if err != nil || !p.Withdrawn {
		t.Errorf("withdrawn: %+v, %v", p, err)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	w := papertest.New(t)
	c := w.Client()
	for range 2 { // the second time from the shelf
		doc, err := c.Read(t.Context(), id(t, papertest.Known+"v2"))
		if err != nil || doc.Format != "HTML" || doc.Title != "Sleeping Gradients" || len(doc.Notes) > 0 {
			t.Fatalf("%+v, %v", doc, err)
		}
	}
	if n := len(w.Asked("/html/")); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestReadFallsBack(t *testing.T) {
	t.Parallel()
	w := papertest.New(t)
	w.Fail("/ar5iv/html/"+papertest.Known, papertest.Text("text/html", papertest.Page))
	for _, answer := range []http.HandlerFunc{
		papertest.Status(404), papertest.Status(403), papertest.Text("text/html", "<html><h1>No HTML for this paper</h1></html>"), papertest.Text("text/plain", "\xff\xfe nothing"),
	} {
		w.Fail("/html", answer)
		doc, err := w.Client().Read(t.Context(), id(t, papertest.Known))
		if err != nil {
			t.Fatal(err)
		}
		wants(t, doc.Source, "/ar5iv/")
		wants(t, strings.Join(doc.Notes, ""), "there is no HTML of arXiv")
	}
	doc, err := w.Client().Read(t.Context(), id(t, papertest.PDFOnly))
	if err != nil {
		t.Fatal(err)
	}
	var heads []string
	for _, s := range doc.Sections {
		heads = append(heads, s.Heading())
	}
	if got := strings.Join(heads, "|"); doc.Format != "PDF" || doc.Title != "An Old Paper" || got != "Opening (before the first heading)|Abstract|1 Introduction|2 Method|3 Results" {
		t.Errorf("%s %q: %s", doc.Format, doc.Title, got)
	}
	wants(t, strings.Join(doc.Notes, ""), "no HTML of ar5iv", "PDF: formulas")
	if doc.Abstract != "We did it long ago." {
		t.Errorf("abstract %q", doc.Abstract)
	}
}

func TestReadErrors(t *testing.T) {
	t.Parallel()
	w := papertest.New(t)
	c := w.Client()
	_, err := c.Read(t.Context(), id(t, "2406.00001"))
	if !errors.Is(err, paper.ErrNotFound) {
		t.Errorf("unknown: %v", err)
	}
	_, err = c.Read(t.Context(), id(t, papertest.Withdrawn))
	if !errors.Is(err, paper.ErrWithdrawn) || !strings.Contains(err.Error(), "Lemma 2") || !strings.Contains(err.Error(), "2402.00002v1") {
		t.Errorf("withdrawn: %v", err)
	}
	w.Fail("/html", papertest.Status(403))
	w.Fail("/ar5iv", papertest.Status(404))
	w.Fail("/pdf", papertest.Text("text/html", "<html>wait</html>"))
	_, err = c.Read(t.Context(), id(t, papertest.Known))
	if err == nil {
		t.Fatal("no error")
	}
	wants(t, err.Error(), "details gives the abstract", "403", "404", "not a PDF")
}

func TestGraph(t *testing.T) {
	t.Parallel()
	w := papertest.New(t)
	c := w.Client()
	edges, err := c.Citations(t.Context(), id(t, papertest.Known), 2, 0)
	if err != nil || len(edges.List) != 2 || edges.List[0].Paper.Title != "Edge 3" || edges.List[1].Paper.Title != "Edge 2" || edges.More != 2 {
		t.Fatalf("%+v, %v", edges, err)
	}
	edges, err = c.References(t.Context(), id(t, papertest.Known), 10, 2)
	if err != nil || len(edges.List) != 1 || edges.List[0].Paper.Title != "Edge 1" || edges.More != 0 {
		t.Fatalf("%+v, %v", edges, err)
	}
	w.Fail("/graph", papertest.Status(403))
	edges, err = w.Client().References(t.Context(), id(t, papertest.Known), 1, 1)
	if err != nil || edges.List[0].Paper.Title != "[2] E. Post." {
		t.Fatalf("%+v, %v", edges, err)
	}
	wants(t, strings.Join(edges.Notes, ""), "the paper's own list")
	if _, err = w.Client().Citations(t.Context(), id(t, papertest.Known), 1, 0); err == nil {
		t.Error("citations without Semantic Scholar")
	}
}

func TestSnippets(t *testing.T) {
	t.Parallel()
	w := papertest.New(t)
	found, err := w.Client().Snippets(t.Context(), paper.SearchOptions{Query: "sleep", MinCitations: 3})
	if err != nil || len(found.List) != 2 || found.List[0].Paper.ID != papertest.Known || *found.List[0].Paper.Citations != 3 || found.List[1].Paper.Title != "Found Paper" {
		t.Fatalf("%+v, %v", found, err)
	}
	wants(t, w.Asked("batch")[0], `"CorpusId:11","CorpusId:12"`)
	w.Fail("/graph/v1/snippet", papertest.Status(403))
	found, err = w.Client().Snippets(t.Context(), paper.SearchOptions{Query: "sleep"})
	if err != nil || found.Source != "the Hub" || found.List[0].Kind != "abstract" {
		t.Fatalf("%+v, %v", found, err)
	}
	wants(t, strings.Join(found.Notes, ""), "not passages")
}

func TestRecommend(t *testing.T) {
	t.Parallel()
	w := papertest.New(t)
	known := id(t, papertest.Known)
	for _, unlike := range [][]paper.ID{nil, {id(t, "2406.00001")}} {
		found, err := w.Client().Recommend(t.Context(), []paper.ID{known}, unlike, 5)
		if err != nil || found.Papers[0].Title != "Alike" {
			t.Fatalf("%+v, %v", found, err)
		}
	}
	wants(t, w.Asked("POST")[0], `{"negativePaperIds":["ARXIV:2406.00001"],"positivePaperIds":["ARXIV:2401.00001"]}`, "limit=5")
	w.Fail("/recommendations", papertest.Status(404))
	found, err := w.Client().Recommend(t.Context(), []paper.ID{known}, nil, 5)
	if err != nil || len(found.Papers) != 1 || found.Papers[0].Title != "Other" {
		t.Fatalf("%+v, %v", found, err)
	}
}

func TestLinked(t *testing.T) {
	t.Parallel()
	w := papertest.New(t)
	c := w.Client()
	list, notes, err := c.Linked(t.Context(), id(t, papertest.Known), paper.LinkedOptions{Sort: "trending"})
	if err != nil || len(notes) > 0 || len(list) != 4 || list[0].ID != "ada/datasets" || list[3].ID != "ada/sleep-123" || !list[3].MoreItems || strings.Join(list[0].Tags, "") != "en" {
		t.Fatalf("%+v, %v, %v", list, notes, err)
	}
	wants(t, w.Asked("/api/models")[0], "sort=trendingScore", "direction=-1", "filter=arxiv%3A2401.00001")
	w.Fail("/api/datasets", papertest.Status(403))
	list, notes, err = w.Client().Linked(t.Context(), id(t, papertest.Known), paper.LinkedOptions{})
	if err != nil || len(list) != 3 || len(notes) != 1 {
		t.Fatalf("%+v, %v, %v", list, notes, err)
	}
	if _, _, err = c.Linked(t.Context(), id(t, "2406.00001"), paper.LinkedOptions{Kinds: []string{"model"}}); !errors.Is(err, paper.ErrNothing) {
		t.Errorf("nothing linked: %v", err)
	}
}

// A refusal without a time is believed for a while: nobody asks again, and
// nobody waits.
func TestRefusedScholarIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := papertest.New(t)
	w.Fail("/graph", papertest.Status(429, "Retry-After: 3600"))
	c := w.Client()
	began := time.Now()
	for range 5 {
		found, err := c.Search(t.Context(), paper.SearchOptions{Query: "sleep", MinCitations: 9})
		if err != nil || found.Source != "arXiv" {
			t.Fatalf("%+v, %v", found, err)
		}
	}
	if n := len(w.Asked("/graph")); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %v", took)
	}
}

func TestKeysGoToTheirOwnHosts(t *testing.T) {
	t.Parallel()
	w := papertest.New(t)
	c := w.Client()
	c.HubToken, c.ScholarKey = func(context.Context) string { return "hf_secret" }, "s2_secret"
	check := func(hub, scholar string) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Authorization"); got != hub {
				t.Errorf("%s: Authorization %q", r.URL.Path, got)
			}
			if got := r.Header.Get("X-Api-Key"); got != scholar {
				t.Errorf("%s: key %q", r.URL.Path, got)
			}
			rw.WriteHeader(404)
		}
	}
	w.Fail("/", check("", ""))
	w.Fail("/api/", check("Bearer hf_secret", ""))
	w.Fail("/api/query", check("", ""))
	w.Fail("/graph", check("", "s2_secret"))
	c.Details(t.Context(), id(t, papertest.Known))
	c.Read(t.Context(), id(t, papertest.Known))
	if len(w.Asked("")) < 6 {
		t.Errorf("asked %q", w.Asked(""))
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	w := papertest.New(t)
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	w.Fail("/", func(http.ResponseWriter, *http.Request) { cancel(stop) })
	c := w.Client()
	if _, err := c.Read(ctx, id(t, papertest.Known)); !errors.Is(err, stop) {
		t.Errorf("read: %v", err)
	}
	if _, err := c.Search(ctx, paper.SearchOptions{Query: "x"}); !errors.Is(err, stop) {
		t.Errorf("search: %v", err)
	}
}
