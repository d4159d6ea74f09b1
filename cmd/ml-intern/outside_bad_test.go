//go:build unix

package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/paper/papertest"
	"ml-intern/internal/websearch/websearchtest"
)

// zipped is text as gzip.
func zipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.Bytes()
}

// badAnswers are what any service or page may answer.
func badAnswers(kind string) map[string]http.HandlerFunc {
	raw := func(write func(w http.ResponseWriter), headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			for i := 0; i+1 < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			write(w)
		}
	}
	bomb := zipped(strings.Repeat("0123456789abcdef", 100<<16)) // 100 MB
	cut := zipped(strings.Repeat("some words ", 1000))
	return map[string]http.HandlerFunc{
		"403": papertest.Status(403), "404": papertest.Status(404), "429": papertest.Status(429, "Retry-After: 3600"), "500": papertest.Status(500),
		"empty":          raw(func(http.ResponseWriter) {}),
		"invalid JSON":   papertest.Text("application/json", `{"data": [{"title": "x"`),
		"wrong types":    papertest.Text("application/json", `{"data":7,"hits":"x","results":{"a":1},"items":false,"paths":[],"papers":"none","type":3}`),
		"HTML":           papertest.Text("text/html", "<html><head><title>Down</title></head><body>We are down for maintenance</body></html>"),
		"robot":          papertest.Text("text/html", websearchtest.Robot),
		"truncated gzip": raw(func(w http.ResponseWriter) { w.Write(cut[:len(cut)/2]) }, "Content-Encoding", "gzip"),
		"no gzip":        raw(func(w http.ResponseWriter) { io.WriteString(w, "plain") }, "Content-Encoding", "gzip"),
		"gzip bomb":      raw(func(w http.ResponseWriter) { w.Write(bomb) }, "Content-Encoding", "gzip"),
		"100 MB":         raw(func(w http.ResponseWriter) { flood(w) }),
		"100 MB, said":   raw(func(w http.ResponseWriter) { flood(w) }, "Content-Length", fmt.Sprint(100<<20)),
		"cut short":      raw(func(w http.ResponseWriter) { io.WriteString(w, "[1") }, "Content-Length", "1000"),
		"wrong charset":  raw(func(w http.ResponseWriter) { io.WriteString(w, "<p>caf\xe9 \xff\xfe\x80 words</p>") }),
		"never ends":     func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	}
}

func flood(w io.Writer) {
	block := []byte(strings.Repeat("<p>words of a page </p>", 1<<11))
	for n := 0; n < 100<<20; n += len(block) {
		if _, err := w.Write(block[:min(len(block), 100<<20-n)]); err != nil {
			return
		}
	}
}

// advice is what a failure must name: something to try.
var advice = regexp.MustCompile(`(?i)\b(try|check|wait|ask again|ask for|did you mean|list|use|look|search|find|leave|give|set|later|another|instead|read|right\?|helps|sign in|clone)\b`)

// clear checks that a failure is one, short, and helps. A soft one may also be
// an answer, but none without words.
func (r *reader) clear(what, text string, isError, soft bool) {
	r.Helper()
	switch {
	case isError && len(text) > 2500:
		r.Errorf("%s: a long failure of %d bytes: %.3000s", what, len(text), text)
	case isError && !advice.MatchString(text):
		r.Errorf("%s: a failure that does not help: %s", what, text)
	case !isError && !soft:
		r.Errorf("%s: a success: %.1500s", what, text)
	case strings.TrimSpace(text) == "":
		r.Errorf("%s: nothing is said", what)
	}
}

// mostMemory is how much the program may take in MB, whatever is sent to it.
const mostMemory = 256

// everything are calls that ask each service once.
func everything() []llmtest.TurnCall {
	known := args{"arxiv_id": papertest.Known}
	docs := func(operation string, more args) llmtest.TurnCall {
		more["operation"] = operation
		return use("docs", more)
	}
	return []llmtest.TurnCall{
		paper("trending", nil), paper("search", args{"query": "sleep"}), paper("search", args{"query": "sleep", "min_citations": 9}), paper("details", known), paper("read", known),
		paper("citations", known), paper("references", known), paper("snippets", args{"query": "sleep"}), paper("recommend", known), paper("linked", known),
		docs("libraries", args{}), docs("index", args{"library": "trl"}), docs("search", args{"query": "packing"}), docs("read", args{"page": "trl/sft_trainer"}), docs("api", args{"query": "create"}),
		gitHub("examples", args{"repo": "o/r"}), gitHub("read", args{"repo": "o/r", "path": "README.md"}), gitHub("search_code", args{"query": "x"}), gitHub("search_repos", args{"query": "x"}),
		use("web_search", args{"query": "some words"}),
	}
}

// Whatever a service answers, the model is told shortly what is wrong and what
// to try, and memory stays bounded.
func badServices(t *testing.T, exe string) {
	tests := map[string]func(*testing.T, string){}
	for name, answer := range badAnswers("application/json") {
		tests[name] = func(t *testing.T, exe string) {
			r := newReader(t, exe)
			r.env = []string{"GITHUB_TOKEN=" + gitHubKey, "ML_INTERN_ARXIV_URL=" + r.papers.URL, "ML_INTERN_SEMANTIC_SCHOLAR_URL=" + r.papers.URL, "BRAVE_API_KEY=" + braveKey, "TAVILY_API_KEY=" + tavilyKey, "ML_INTERN_SEARCH_URL=https://searx.example"}
			r.papers.Fail("/", answer)
			for _, host := range []string{"huggingface.co", "api.github.com", "searx.example", "api.search.brave.com", "api.tavily.com", "html.duckduckgo.com"} {
				r.web.Handle(host, answer)
			}
			calls := everything()
			switch name {
			case "never ends": // two seconds each: those that no other source stands in for
				r.configure("2s")
				calls = []llmtest.TurnCall{calls[0], calls[10], calls[14], calls[16], calls[18]}
			case "500", "no gzip", "cut short", "truncated gzip": // tried again: once a second with Semantic Scholar, which one call asks
				calls = slices.Delete(calls, 6, 9)
			}
			got := r.ask(calls...)
			for i, c := range calls {
				soft := c.Name == "docs" && strings.Contains(c.Args, `"read"`) && name == "wrong charset"
				r.clear(name+", "+c.Name+" "+c.Args, got.told[i], got.results[i].IsError, soft)
			}
			t.Logf("peak %.0f MB, %s", got.peak, got.took.Round(10*time.Millisecond))
			if got.peak > mostMemory {
				t.Errorf("%s: peak memory %.0f MB", name, got.peak)
			}
		}
	}
	together(t, exe, tests)
}

// What is not there, or has nothing in it, is an error that says what to try,
// and never an empty success.
func badQuestions(t *testing.T, exe string) {
	r := newReader(t, exe)
	r.keys()
	r.env = append(r.env, "ML_INTERN_SEARCH_URL=https://searx.example")
	r.papers.Fail("/graph/v1/snippet/search", papertest.Text("application/json", `{"data":[]}`))
	r.web.Handle("searx.example", papertest.Text("application/json", `{"results":[]}`))
	r.web.Handle("api.search.brave.com", papertest.Text("application/json", `{"web":{"results":[]}}`))
	r.web.Handle("api.tavily.com", papertest.Text("application/json", `{"results":[]}`))
	r.docs["/api/docs/search"], r.docs["/api/docs/search/full-text"] = "[]", "[]"
	nothing := args{"total_count": 0, "items": []any{}}
	r.github.JSON("/search/repositories", nothing)
	r.github.JSON("/search/code", nothing)
	r.github.Tree("o/empty", "HEAD", "setup.py")
	docs := func(operation string, more args) llmtest.TurnCall {
		more["operation"] = operation
		return use("docs", more)
	}
	tests := []struct {
		call llmtest.TurnCall
		want string
	}{
		{paper("details", args{"arxiv_id": "2412.99999"}), "no such paper"},
		{paper("read", args{"arxiv_id": "2412.99999"}), "no such paper"},
		{paper("read", args{"arxiv_id": "not an id"}), "arxiv_id"},
		{paper("read", args{"arxiv_id": papertest.Withdrawn}), "withdrawn"},
		{paper("read", args{"arxiv_id": papertest.Known, "section": "99"}), "99"},
		{paper("search", args{"query": "nonsense"}), "nonsense"},
		{paper("search", args{"query": ""}), "query"},
		{paper("snippets", args{"query": "nonsense"}), "nonsense"},
		{paper("find", nil), "operation must be"},
		{docs("search", args{"query": "nonsense"}), "nothing was found"},
		{docs("read", args{"page": "trl/no_such_page"}), "no_such_page"},
		{docs("index", args{"library": "nolibrary"}), "nolibrary"},
		{docs("api", args{"query": "zzzz"}), "no endpoint"},
		{gitHub("read", args{"repo": "no/such", "path": "x.py"}), "no/such"},
		{gitHub("read", args{"repo": "o/empty", "path": "x.py"}), "x.py"},
		{gitHub("examples", args{"repo": "o/empty", "query": "sft"}), "sft"},
		{gitHub("search_code", args{"query": "zzzz"}), "zzzz"},
		{gitHub("search_repos", args{"query": "zzzz"}), "no repository was found"},
		{use("python_api", args{"name": "json.dumpz"}), "dumpz"},
		{use("python_api", args{"name": "nomodule_zz.x"}), "nomodule_zz"},
		{use("web_search", args{"query": "zzzz"}), "nothing was found"},
		{use("web_fetch", args{"url": "not an address"}), "address"},
		{use("hub_repo_details", args{"repo_id": "ada/none"}), "ada/none"},
		{use("hf_inspect_dataset", args{"dataset": "ada/none"}), "ada/none"},
	}
	var calls []llmtest.TurnCall
	for _, tt := range tests {
		calls = append(calls, tt.call)
	}
	got := r.ask(calls...)
	for i, tt := range tests {
		what := tt.call.Name + " " + tt.call.Args
		r.clear(what, got.told[i], got.results[i].IsError, false)
		if !strings.Contains(got.told[i], tt.want) {
			t.Errorf("%s: no %q in %s", what, tt.want, got.told[i])
		}
	}
	for name, bad := range map[string][2]string{
		"without sections":    {"<html><head><title>Flat</title></head><body><p>Words without any heading.</p></body></html>", "section"},
		"empty":               {"<html><body></body></html>", "PDF"},
		"that never was made": {"<html><body><article class=\"ltx_document\"></article></body></html>", "PDF"},
	} {
		r := newReader(t, exe)
		r.papers.Fail("/html/", papertest.Text("text/html; charset=utf-8", bad[0]))
		r.papers.Fail("/pdf/", papertest.Text("application/pdf", "%PDF-1.7\nno more"))
		got := r.ask(paper("read", args{"arxiv_id": papertest.Known}))
		r.clear("a paper "+name, got.told[0], got.results[0].IsError, false)
		if !strings.Contains(got.told[0], bad[1]) {
			t.Errorf("a paper %s: %s", name, got.told[0])
		}
	}
}
