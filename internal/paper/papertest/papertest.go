// Package papertest serves small worlds of papers on loopback: the Hub's paper
// pages, arXiv, ar5iv and Semantic Scholar, in their own formats, with faults
// where a test wants them.
package papertest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/fetch"
	"ml-intern/internal/paper"
)

// Page is a paper in the HTML that LaTeXML makes.
//
//go:embed page.html
var Page string

// A World is all services on one server.
type World struct {
	URL string

	handler http.Handler
	mu      sync.Mutex
	faults  []fault
	asked   []string
}

type fault struct {
	prefix string
	answer http.HandlerFunc
}

// New starts a world, which ends with the test.
func New(t testing.TB) *World {
	t.Helper()
	w := &World{}
	w.handler = w.routes()
	s := httptest.NewServer(w.handler)
	t.Cleanup(s.Close)
	w.URL = s.URL
	return w
}

// ServeHTTP answers for all services, whatever the host.
func (w *World) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.handler.ServeHTTP(rw, r) }

// Client reads from the world.
func (w *World) Client() *paper.Client {
	return &paper.Client{
		Fetch: &fetch.Client{Trust: true, Private: []string{"127.0.0.1"}, Pace: map[string]time.Duration{"127.0.0.1": 0}, Timeout: time.Minute},
		Hub:   w.URL, ArXiv: w.URL, Ar5iv: w.URL + "/ar5iv", Scholar: w.URL,
	}
}

// Fail answers requests for paths that begin with the prefix otherwise.
func (w *World) Fail(prefix string, answer http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fault{prefix, answer})
}

// Status is an answer of a status with headers, as "Name: value".
func Status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(code)
		fmt.Fprintf(w, "status %d", code)
	}
}

// Text is an answer of a type.
func Text(kind, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		io.WriteString(w, text)
	}
}

// Asked lists the requests so far: method, path and query.
func (w *World) Asked(prefix string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, a := range w.asked {
		if strings.Contains(a, prefix) {
			out = append(out, a)
		}
	}
	return out
}

func (w *World) fault(path string) http.HandlerFunc {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.faults) - 1; i >= 0; i-- {
		if strings.HasPrefix(path, w.faults[i].prefix) {
			return w.faults[i].answer
		}
	}
	return nil
}

func (w *World) routes() http.Handler {
	mux := http.NewServeMux()
	w.arxiv(mux)
	w.hub(mux)
	w.scholar(mux)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		w.asked = append(w.asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		w.mu.Unlock()
		if answer := w.fault(r.URL.Path); answer != nil {
			answer(rw, r)
			return
		}
		mux.ServeHTTP(rw, r)
	})
}

// The papers of arXiv: Known has HTML, PDFOnly does not, Withdrawn has no text.
const (
	Known     = "2401.00001"
	PDFOnly   = "hep-th/9901001"
	Withdrawn = "2402.00002"
)

func (w *World) arxiv(mux *http.ServeMux) {
	mux.HandleFunc("GET /html/{id}", func(rw http.ResponseWriter, r *http.Request) {
		if id, _, _ := strings.Cut(r.PathValue("id"), "v"); id != Known {
			http.NotFound(rw, r)
			return
		}
		Text("text/html; charset=utf-8", Page)(rw, r)
	})
	mux.HandleFunc("GET /pdf/{id...}", func(rw http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != PDFOnly {
			http.NotFound(rw, r)
			return
		}
		Text("application/pdf", string(PDF(Sheets(4))))(rw, r)
	})
	mux.HandleFunc("GET /api/query", func(rw http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		Text("application/atom+xml; charset=utf-8", feed(q.Get("id_list"), q.Get("search_query")))(rw, r)
	})
}

func feed(ids, terms string) string {
	entry := func(id, title, comment string) string {
		if comment != "" {
			comment = `<arxiv:comment>` + comment + `</arxiv:comment>`
		}
		return `<entry><id>http://arxiv.org/abs/` + id + `</id><updated>2024-02-02T00:00:00Z</updated><published>2024-01-01T10:00:00Z</published><title>` + title + `</title>
<summary>  An abstract
 of two lines &amp; more. </summary><author><name>Ada Byron</name></author><author><name>Emil Post</name></author>` + comment +
			`<link href="http://arxiv.org/abs/` + id + `" rel="alternate" type="text/html"/><arxiv:primary_category term="cs.LG" scheme="http://arxiv.org/schemas/atom"/><category term="cs.LG"/><category term="stat.ML"/></entry>`
	}
	var entries []string
	id, _, _ := strings.Cut(ids, "v")
	switch {
	case id == Known:
		entries = append(entries, entry(Known+"v2", "Sleeping Gradients", "12 pages"))
	case id == PDFOnly:
		entries = append(entries, entry(PDFOnly+"v1", "An Old Paper", ""))
	case id == Withdrawn:
		entries = append(entries, entry(Withdrawn+"v3", "A Mistake", "This paper has been withdrawn due to an error in Lemma 2"))
	case ids != "":
	case strings.Contains(terms, "nonsense"):
	default:
		entries = append(entries, entry(Known+"v2", "Sleeping\n  Gradients", ""), entry("2403.00003v1", "Second", ""))
	}
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom" xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" xmlns:arxiv="http://arxiv.org/schemas/atom">
<title>ArXiv Query</title><opensearch:totalResults>%d</opensearch:totalResults><opensearch:startIndex>0</opensearch:startIndex>%s</feed>`, len(entries)*10, strings.Join(entries, "\n"))
}

func send(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

type object = map[string]any
