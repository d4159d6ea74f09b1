package websearch_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ml-intern/internal/fetch"
	"ml-intern/internal/websearch"
	"ml-intern/internal/websearch/websearchtest"
)

// engine is a server that answers as an engine would. Seen are the requests:
// the query, and what authorizes it.
func engine(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func client(t *testing.T, dir string, engines ...websearch.Engine) *websearch.Client {
	t.Helper()
	return &websearch.Client{Fetch: &fetch.Client{Dir: dir, Trust: true, Timeout: time.Minute, Pace: map[string]time.Duration{"127.0.0.1": 0}}, Engines: engines}
}

func TestEngines(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	s := engine(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		switch strings.Split(r.URL.Path, "/")[1] {
		case "searx":
			fmt.Fprint(w, websearchtest.SearXNG)
		case "brave":
			fmt.Fprint(w, websearchtest.Brave)
		case "tavily":
			fmt.Fprint(w, websearchtest.Tavily)
		case "html":
			w.Header().Set("Content-Type", "text/html; charset=UTF-8")
			fmt.Fprint(w, websearchtest.DuckDuckGo)
		}
	})
	q := websearch.Query{Words: " rust  web search ", Only: []string{"https://DOCS.rs/", "A.example"}, Never: []string{"HTTPS://EXAMPLE.COM"}, Since: "week"}
	for _, tt := range []struct {
		engine websearch.Engine
		sent   string
		want   websearch.Answer
	}{
		{
			websearch.Engine{Name: "SearXNG", Address: s.URL + "/searx/?x=y"},
			"GET /searx/search?x=y&format=json&pageno=1&q=rust+web+search+%28site%3Adocs.rs+OR+site%3Aa.example%29+-site%3Aexample.com&time_range=week",
			websearch.Answer{Engine: "searxng", More: true, Notes: []string{"engines behind SearXNG that did not answer: brave timeout"}, Results: []websearch.Result{{Title: "One", URL: "https://a.example/1", Snippet: "first", Date: "2026-01-02"}}},
		},
		{
			websearch.Engine{Name: "brave", Address: s.URL + "/brave", Key: "k"},
			"GET /brave?count=20&freshness=pw&offset=0&q=rust+web+search+%28site%3Adocs.rs+OR+site%3Aa.example%29+-site%3Aexample.com k",
			websearch.Answer{Engine: "brave", More: true, Results: []websearch.Result{{Title: "One & only", URL: "https://a.example/1", Snippet: "a <T> b", Date: "2026-01-02"}}},
		},
		{
			websearch.Engine{Name: "tavily", Address: s.URL + "/tavily", Key: "k"},
			`POST /tavily Bearer k {"exclude_domains":["example.com"],"include_domains":["docs.rs","a.example"],"max_results":20,"query":"rust web search","search_depth":"basic","time_range":"week"}`,
			websearch.Answer{Engine: "tavily", Results: []websearch.Result{{Title: "One", URL: "https://a.example/1", Snippet: "text", Date: "2026-01-02"}}},
		},
		{
			websearch.Engine{Name: "duckduckgo", Address: s.URL + "/html/?kl=us-en"},
			"GET /html/?kl=us-en&df=w&q=rust+web+search+%28site%3Adocs.rs+OR+site%3Aa.example%29+-site%3Aexample.com",
			websearch.Answer{Engine: "duckduckgo", Results: []websearch.Result{{Title: "Tokio async & more", URL: "https://docs.rs/tokio?a=1&copy=2", Snippet: "A runtime for writing", Date: "2026-03-04"}}},
		},
	} {
		a, err := client(t, "", tt.engine).Search(t.Context(), q)
		if err != nil {
			t.Errorf("%s: %v", tt.engine.Name, err)
			continue
		}
		sent := got.Method + " " + got.URL.String()
		for _, more := range []string{got.Header.Get("X-Subscription-Token"), got.Header.Get("Authorization"), string(body)} {
			if more != "" {
				sent += " " + more
			}
		}
		if sent != tt.sent {
			t.Errorf("%s was asked\n%s\nwant\n%s", tt.engine.Name, sent, tt.sent)
		}
		if fmt.Sprint(*a) != fmt.Sprint(tt.want) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", tt.engine.Name, *a, tt.want)
		}
	}
	a, err := client(t, "", websearch.Engine{Name: "duckduckgo", Address: s.URL + "/html"}).Search(t.Context(), websearch.Query{Words: "rust web search"})
	if err != nil || len(a.Results) != 2 || a.Results[1].Title != "Second" || got.URL.RawQuery != "q=rust+web+search" {
		t.Errorf("got %+v, %v, asked %s", a, err, got.URL)
	}
}

// Whatever is in the way is said, with what to do about it.
func TestTroubles(t *testing.T) {
	t.Parallel()
	s := engine(t, func(w http.ResponseWriter, r *http.Request) {
		kind := strings.Split(r.URL.Path, "/")[1]
		switch kind {
		case "challenge":
			w.WriteHeader(202)
			fmt.Fprint(w, websearchtest.Robot)
		case "captcha":
			fmt.Fprint(w, `<html><body>Please complete the captcha to go on</body></html>`)
		case "forbidden":
			w.WriteHeader(403)
		case "nothing":
			fmt.Fprint(w, `<html><body><div class="results"><div class="result result--no-result"><div class="no-results">No results.</div></div></div></body></html>`)
		case "other":
			fmt.Fprint(w, `<html><body><main>A new design, with <a href="/about">links</a></main></body></html>`)
		case "empty":
			fmt.Fprint(w, `{"results":[],"unresponsive_engines":[]}`)
		case "silent":
			fmt.Fprint(w, `{"results":[],"unresponsive_engines":[["google","CAPTCHA"]]}`)
		case "html":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<html>Welcome</html>`)
		case "busy":
			w.Header().Set("Retry-After", "600")
			w.WriteHeader(429)
			fmt.Fprint(w, `{"error":{"code":"RATE_LIMITED","detail":"slow down"}}`)
		case "plan":
			w.WriteHeader(432)
			fmt.Fprint(w, `{"detail":{"error":"This request exceeds your plan's set usage limit."}}`)
		case "key":
			w.WriteHeader(401)
		}
	})
	duck := func(path string) websearch.Engine {
		return websearch.Engine{Name: "duckduckgo", Address: s.URL + "/" + path}
	}
	searx := func(path string) websearch.Engine {
		return websearch.Engine{Name: "searxng", Address: s.URL + "/" + path}
	}
	for name, tt := range map[string]struct {
		engine websearch.Engine
		q      websearch.Query
		kind   error
		says   string
	}{
		"challenge":       {duck("challenge"), websearch.Query{}, websearch.ErrRobot, "searxng, brave or tavily"},
		"captcha":         {duck("captcha"), websearch.Query{}, websearch.ErrRobot, "wait"},
		"forbidden":       {duck("forbidden"), websearch.Query{}, websearch.ErrRobot, "wait"},
		"nothing":         {duck("nothing"), websearch.Query{}, websearch.ErrNothing, "fewer or other words"},
		"another page":    {duck("nothing"), websearch.Query{Page: 2}, websearch.ErrNothing, "first page"},
		"unknown form":    {duck("other"), websearch.Query{}, nil, "form that is not known"},
		"empty":           {searx("empty"), websearch.Query{}, websearch.ErrNothing, "fewer or other words"},
		"empty page":      {searx("empty"), websearch.Query{Page: 3}, websearch.ErrNothing, "end before"},
		"silent engines":  {searx("silent"), websearch.Query{}, websearch.ErrNothing, "google CAPTCHA"},
		"no JSON":         {searx("html"), websearch.Query{}, nil, "is its address right?"},
		"JSON refused":    {searx("forbidden"), websearch.Query{}, fetch.ErrForbidden, "settings.yml"},
		"no address":      {websearch.Engine{Name: "searxng"}, websearch.Query{}, nil, "address of an instance"},
		"bad address":     {websearch.Engine{Name: "duckduckgo", Address: "example.com/x"}, websearch.Query{}, nil, "no http address"},
		"no key":          {websearch.Engine{Name: "brave"}, websearch.Query{}, nil, "needs a key"},
		"no key either":   {websearch.Engine{Name: "tavily"}, websearch.Query{}, nil, "needs a key"},
		"wrong key":       {websearch.Engine{Name: "brave", Address: s.URL + "/key", Key: "sEcReT"}, websearch.Query{}, fetch.ErrForbidden, "key"},
		"used up":         {websearch.Engine{Name: "tavily", Address: s.URL + "/plan", Key: "sEcReT"}, websearch.Query{}, nil, "used up"},
		"limited":         {websearch.Engine{Name: "brave", Address: s.URL + "/busy", Key: "sEcReT"}, websearch.Query{}, fetch.ErrRateLimited, "10m0s"},
		"unknown engine":  {websearch.Engine{Name: "altavista"}, websearch.Query{}, nil, "searxng, brave, tavily and duckduckgo"},
		"short":           {duck("nothing"), websearch.Query{Words: " x "}, nil, "two letters"},
		"long":            {duck("nothing"), websearch.Query{Words: strings.Repeat("word ", 100)}, nil, "400 bytes"},
		"since":           {duck("nothing"), websearch.Query{Since: "decade"}, nil, "day, week, month or year"},
		"page":            {duck("nothing"), websearch.Query{Page: 99}, nil, "pages 1 to 10"},
		"domain":          {duck("nothing"), websearch.Query{Only: []string{"two words"}}, nil, "no domain"},
		"nothing reached": {websearch.Engine{Name: "searxng", Address: "http://127.0.0.1:1"}, websearch.Query{}, fetch.ErrUnreachable, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.q.Words == "" {
				tt.q.Words = "words"
			}
			a, err := client(t, "", tt.engine).Search(t.Context(), tt.q)
			if err == nil {
				t.Fatalf("got %+v", a)
			}
			if tt.kind != nil && !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "sEcReT") || len(err.Error()) > 500 {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The next engine answers for one that does not, and the answer says so.
func TestNextEngine(t *testing.T) {
	t.Parallel()
	s := engine(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/html") {
			fmt.Fprint(w, websearchtest.DuckDuckGo)
			return
		}
		w.WriteHeader(404)
	})
	a, err := client(t, "", websearch.Engine{Name: "searxng", Address: s.URL + "/none"}, websearch.Engine{Name: "brave"}, websearch.Engine{Name: "duckduckgo", Address: s.URL + "/html"}).Search(t.Context(), websearch.Query{Words: "words"})
	if err != nil || a.Engine != "duckduckgo" || len(a.Notes) != 2 || !strings.Contains(a.Notes[0], "search with searxng") {
		t.Errorf("got %+v, %v", a, err)
	}
}

// A page for robots is not what the cache gives until it is old.
func TestRobotPageIsNotKept(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := engine(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if asked.Add(1) == 1 {
			fmt.Fprint(w, `<body>Are you a robot?</body>`)
			return
		}
		fmt.Fprint(w, websearchtest.DuckDuckGo)
	})
	c := client(t, t.TempDir(), websearch.Engine{Name: "duckduckgo", Address: s.URL})
	for i, robot := range []bool{true, false, false} {
		_, err := c.Search(t.Context(), websearch.Query{Words: "words"})
		if errors.Is(err, websearch.ErrRobot) != robot || !robot && err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	if asked.Load() != 2 {
		t.Errorf("asked %d times", asked.Load())
	}
}

// Results are bounded, whatever an engine sends.
func TestBounds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word\n", 1000)
	s := engine(t, func(w http.ResponseWriter, _ *http.Request) {
		var results []map[string]any
		for i := range 100 {
			results = append(results, map[string]any{"url": fmt.Sprintf("https://a.example/%d", i), "title": long, "content": long, "publishedDate": long})
		}
		results = append(results[:50:50], append([]map[string]any{{"url": "file:///etc/passwd", "title": "x"}, {"url": "https://u:p@a.example/", "title": "x"}, {"url": "https://a.example/" + long, "title": "x"}}, results[50:]...)...)
		slices.Reverse(results)
		_ = json.NewEncoder(w).Encode(map[string]any{"results": results})
	})
	c := client(t, "", websearch.Engine{Name: "searxng", Address: s.URL})
	for ask, want := range map[int]int{0: 8, 3: 3, 1000: 20} {
		a, err := c.Search(t.Context(), websearch.Query{Words: "words", Results: ask})
		if err != nil || len(a.Results) != want {
			t.Fatalf("%d: %v, %v", ask, a, err)
		}
		if n := len(fmt.Sprint(a)); n > 20*800 || strings.Contains(fmt.Sprint(a), "\n") {
			t.Errorf("%d bytes", n)
		}
	}
}
