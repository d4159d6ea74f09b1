package hfdocs_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/fetch"
	"ml-intern/internal/hfdocs"
	"ml-intern/internal/hfdocs/hfdocstest"
)

// server answers paths (with query) with texts; "!404" is a status.
func server(t *testing.T, answers map[string]string) (*hfdocs.Client, *[]string) {
	t.Helper()
	asked := &[]string{}
	var mu sync.Mutex // guards it while requests go on
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		*asked = append(*asked, r.URL.RequestURI()+" "+r.Header.Get("Authorization"))
		mu.Unlock()
		text, ok := answers[r.URL.RequestURI()]
		if !ok {
			text, ok = answers[r.URL.Path]
		}
		var status int
		switch _, err := fmt.Sscanf(text, "!%d", &status); {
		case !ok:
			http.NotFound(w, r)
		case err == nil && status == http.StatusFound:
			http.Redirect(w, r, strings.Fields(text)[1], status)
		case err == nil:
			w.Header().Set("Retry-After", "3600")
			http.Error(w, `{"error":"no"}`, status)
		case strings.HasSuffix(r.URL.Path, ".md"):
			w.Header().Set("Content-Type", "text/markdown; charset=utf-8")
			fmt.Fprint(w, text)
		default:
			fmt.Fprint(w, text)
		}
	}))
	t.Cleanup(srv.Close)
	get := &fetch.Client{Trust: true, Timeout: time.Minute, Pace: map[string]time.Duration{"127.0.0.1": time.Nanosecond}, Private: []string{"127.0.0.0/8"}}
	return &hfdocs.Client{Fetch: get, BaseURL: srv.URL, Token: "hf_secret"}, asked
}

const (
	libraries = hfdocstest.Libraries
	pageList  = hfdocstest.Pages
	found     = hfdocstest.Found
	openAPI   = hfdocstest.OpenAPI
)

func TestLibrariesAndSearch(t *testing.T) {
	t.Parallel()
	c, asked := server(t, map[string]string{
		"/api/docs": libraries, "/api/docs/search?limit=25&product=huggingface_hub&q=upload": found,
		"/api/docs/search/full-text": hfdocstest.Words,
	})
	list, err := c.Libraries(t.Context())
	if err != nil || len(list) != 3 || list[0].URL != c.BaseURL+"/docs/trl" {
		t.Fatal(list, err)
	}
	hits, err := c.Search(t.Context(), "upload", "huggingface-hub", 99)
	if err != nil || len(hits) != 1 || hits[0].Version != "v9.1.0" || !slices.Equal(hits[0].Headings, []string{"SFT Trainer", "Packing"}) {
		t.Errorf("search: %+v, %v", hits, err)
	}
	hits, err = c.FullText(t.Context(), "loss", 3)
	if err != nil || len(hits) != 1 || hits[0].Version != "main" || hits[0].Library != "trl" || !strings.HasSuffix(hits[0].URL, "/dpo#loss") {
		t.Errorf("full text: %+v, %v", hits, err)
	}
	_, err = c.Search(t.Context(), "x", "tlr", 3)
	if !errors.Is(err, hfdocs.ErrUnknown) || !strings.Contains(err.Error(), "did you mean trl") {
		t.Errorf("unknown library: %v", err)
	}
	for _, a := range *asked {
		if !strings.HasSuffix(a, "Bearer hf_secret") {
			t.Errorf("no token to the Hub: %s", a)
		}
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	c, _ := server(t, map[string]string{
		"/api/docs": libraries, "/docs/trl/llms.txt": pageList, "/docs/trl/sft_trainer.md": "<!-- licence -->\r\n# SFT\n\ntext\n",
		"/docs/trl/main/sft_trainer.md": "# SFT of main\n", "/docs/trl/main/en/dpo_trainer.md": "# DPO in English\n",
		"/learn/llm-course/chapter1/2.md": "# Chapter\n", "/learn/llm-course/llms.txt": "- [1](https://huggingface.co/learn/llm-course/chapter1/2.md)",
		"/docs/transformers/index.md": "See [x](https://huggingface.co/docs/transformers/v4.99.0/en/x).", "/docs/transformers/empty.md": " \n",
		"/docs/transformers/html.md": "<!DOCTYPE html><html></html>", "/docs/transformers/limited.md": "!429", "/docs/transformers/closed.md": "!403",
	})
	tests := []struct{ page, version, text, err string }{
		{"trl/sft_trainer", "v9.1.0", "# SFT\n\ntext\n", ""},
		{"/docs/trl/sft_trainer.md#x", "v9.1.0", "# SFT\n\ntext\n", ""},
		{"TRL/SFT-Trainer", "v9.1.0", "# SFT\n\ntext\n", ""}, // found in the list
		{"trl/main/sft_trainer", "main", "# SFT of main\n", ""},
		{"trl/main/en/dpo_trainer.html", "main", "# DPO in English\n", ""},
		{"transformers", "v4.99.0", "See", ""},
		{"llm-course/chapter1/2", "", "# Chapter\n", ""},
		{"https://HOST/learn/llm-course/chapter1/2", "", "# Chapter\n", ""},
		{"learn/llm-course/chapter1/3", "", "", "did you mean chapter1/2"},
		{"trl/dpo_trianer", "", "", "did you mean dpo_trainer"},
		{"trll/x", "", "", "did you mean trl"},
		{"trl/v1.0.0/sft_trainer", "", "", "or no version v1.0.0"},
		{"transformers/empty", "", "", "is empty"},
		{"transformers/html", "", "", "web_fetch"},
		{"transformers/limited", "", "", "429"},
		{"transformers/closed", "", "", "403"},
		{"transformers/gone", "", "", "404"},
	}
	for _, tt := range tests {
		t.Run(tt.page, func(t *testing.T) {
			t.Parallel()
			a, err := c.ParseAddress(strings.Replace(tt.page, "https://HOST", c.BaseURL, 1))
			if err != nil {
				t.Fatal(err)
			}
			p, err := c.Page(t.Context(), a)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || p.Version != tt.version || !strings.HasPrefix(p.Text, tt.text) {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	c := &hfdocs.Client{}
	for in, want := range map[string]hfdocs.Address{
		"trl/sft_trainer": {Library: "trl", Name: "sft_trainer"},
		"https://huggingface.co/docs/trl/v1.2.3/en/a/b#c": {Kind: "docs", Library: "trl", Version: "v1.2.3", Language: "en", Name: "a/b", Section: "c"},
		"/learn/llm-course/chapter1/2":                    {Kind: "learn", Library: "llm-course", Name: "chapter1/2"},
		"/docs/hub/en/":                                   {Kind: "docs", Library: "hub", Language: "en"},
		"hub/api":                                         {Library: "hub", Name: "api"},
		"trl/":                                            {Library: "trl"},
		"HTTPS://HuggingFace.co/docs/trl/x.md":            {Kind: "docs", Library: "trl", Name: "x"},
	} {
		if got, err := c.ParseAddress(in); err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"https://evil.example/docs/trl/x", "//evil.example/docs/trl", "https://huggingface.co/gpt2", "trl/../../api", "a b", "mailto:x", "https://huggingface.co@evil.example/docs/trl"} {
		if a, err := c.ParseAddress(in); err == nil {
			t.Errorf("%s is taken for %+v", in, a)
		}
	}
}

// The token goes to the Hub's host alone, wherever a page leads.
func TestTokenStays(t *testing.T) {
	t.Parallel()
	var got []string
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
		fmt.Fprint(w, "# Stolen\n")
	}))
	defer evil.Close()
	c, _ := server(t, map[string]string{"/api/docs": libraries, "/docs/trl/x.md": "!302 " + evil.URL + "/x.md"})
	if _, err := c.Page(t.Context(), hfdocs.Address{Library: "trl", Name: "x"}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0] != "" {
		t.Errorf("another host saw %q", got)
	}
}

// Whatever the service answers, it is never an empty success.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"!500", "!403", "!404", "!429", "<html>robots</html>", "[]", "{}", `{"hits":`, "null", ""} {
		c, _ := server(t, map[string]string{"/api/docs": answer, "/docs/trl/llms.txt": answer, "/.well-known/openapi.json": answer, "/docs/trl/x.md": answer})
		c.Fetch.(*fetch.Client).Timeout = time.Second
		if list, err := c.Libraries(t.Context()); err == nil {
			t.Errorf("libraries from %q: %v", answer, list)
		}
		if index, err := c.Index(t.Context(), hfdocs.Address{Library: "trl"}); err == nil {
			t.Errorf("index from %q: %v", answer, index)
		}
		if api, err := c.API(t.Context()); err == nil {
			t.Errorf("API from %q: %v", answer, api)
		}
	}
}

func TestSections(t *testing.T) {
	t.Parallel()
	md := "# Top\n\nintro\n\n## trl.SFTConfig[[trl.SFTConfig]]\n\n```python\n# no heading\n```\n\n### Deep `x`\n\nd\n\n## Last ##\n\nend\n"
	var titles []string
	for _, h := range hfdocs.Headings(md) {
		titles = append(titles, fmt.Sprint(h.Level, h.Title, "#", h.Anchor))
	}
	if want := []string{"1Top#top", "2trl.SFTConfig#trl.SFTConfig", "3Deep `x`#deep-x", "2Last#last"}; !slices.Equal(titles, want) {
		t.Errorf("%q", titles)
	}
	text, _ := hfdocs.Section(md, "trl.SFTConfig")
	if !strings.HasPrefix(text, "## trl.SFTConfig") || !strings.HasSuffix(text, "\nd\n\n") {
		t.Errorf("%q", text)
	}
	if _, near := hfdocs.Section(md, "SFTConfg"); len(near) == 0 || near[0] != "trl.SFTConfig" {
		t.Errorf("near %q", near)
	}
}

func TestAPI(t *testing.T) {
	t.Parallel()
	api, err := hfdocs.ParseAPI([]byte(openAPI))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		query hfdocs.Query
		first string
		n     int
	}{
		{hfdocs.Query{Words: "creating discussions"}, "POST /api/models/{namespace}/{repo}/discussions", 2},
		{hfdocs.Query{Words: "who am I token"}, "GET /api/whoami-v2", 1},
		{hfdocs.Query{Words: "discussions", Method: "get"}, "GET /api/models/{namespace}/{repo}/discussions", 1},
		{hfdocs.Query{Path: "/api/models/me/mine/discussions?p=1"}, "GET /api/models/{namespace}/{repo}/discussions", 2},
		{hfdocs.Query{Path: "https://hub.test/api/models/Me/Mine"}, "GET /api/models/{namespace}/{repo}", 2},
		{hfdocs.Query{Words: "DELETE /api/models/{namespace}/{repo}"}, "DELETE /api/models/{namespace}/{repo}", 1},
		{hfdocs.Query{Tag: "Auth"}, "GET /api/whoami-v2", 1},
		{hfdocs.Query{Tag: "aut"}, "", 0},
		{hfdocs.Query{Words: "zebra"}, "", 0},
	}
	for _, tt := range tests {
		found := api.Find(tt.query)
		first := ""
		if len(found) > 0 {
			first = found[0].Method + " " + found[0].Path
		}
		if first != tt.first || len(found) != tt.n {
			t.Errorf("%+v: %q of %d", tt.query, first, len(found))
		}
	}
	text := api.Describe(api.Find(hfdocs.Query{Words: "list discussions"})[0])
	for _, want := range []string{
		"path namespace (string, required)", "path repo (string, required) [such as \"gpt2\"]", `query type ("all"|"pull request", required)`, "items: array of object", "num: integer",
		`curl -H "Authorization: Bearer $HF_TOKEN" 'https://hub.test/api/models/<namespace>/gpt2/discussions?type=<type>'`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	text = api.Describe(api.Find(hfdocs.Query{Words: "create discussion"})[0])
	for _, want := range []string{"body (application/json):", "title: string, required — It's shown", `-d '{"kind":"a","title":"string"}'`, "curl -X POST"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func FuzzAPI(f *testing.F) {
	f.Add([]byte(openAPI), "create discussion", "/api/models/a/b")
	f.Add([]byte(`{"paths":{"/x":{"$ref":"#/paths/~1x"},"/y":{"get":{"parameters":[{"$ref":"#/a"}],"requestBody":{"content":{"a":{"schema":{"allOf":[{"$ref":"#/a"}]}}}}}}},"a":{"$ref":"#/a"}}`), "GET /y", "")
	f.Fuzz(func(t *testing.T, doc []byte, words, path string) {
		api, err := hfdocs.ParseAPI(doc)
		if err != nil {
			return
		}
		api.Find(hfdocs.Query{Words: words, Path: path})
		for _, e := range api.Endpoints[:min(len(api.Endpoints), 5)] {
			if text := api.Describe(e); !strings.HasPrefix(text, e.Method) {
				t.Errorf("%q", text)
			}
		}
	})
}

func FuzzHeadings(f *testing.F) {
	f.Add("# a\n## b[[x]]\n```\n# c\n```\n# d", "b")
	f.Fuzz(func(t *testing.T, md, wanted string) {
		last := -1
		for _, h := range hfdocs.Headings(md) {
			if h.Start <= last || h.End <= h.Start || h.End > len(md) {
				t.Fatalf("%+v after %d of %d", h, last, len(md))
			}
			last = h.Start
		}
		if text, _ := hfdocs.Section(md, wanted); !strings.Contains(md, text) {
			t.Errorf("%q", text)
		}
	})
}

// A description that refers to itself everywhere is described in bounded time.
func TestWideAPI(t *testing.T) {
	t.Parallel()
	self := map[string]any{"$ref": "#/s"}
	all := slices.Repeat([]any{self}, 300)
	props := map[string]any{}
	for i := range 300 {
		props[fmt.Sprint("p", i)] = self
	}
	names := make([]any, 0, 300)
	for name := range props {
		names = append(names, name)
	}
	doc, err := json.Marshal(map[string]any{
		"s":     map[string]any{"allOf": all, "oneOf": nil, "properties": props, "required": names},
		"paths": map[string]any{"/x": map[string]any{"post": map[string]any{"requestBody": map[string]any{"content": map[string]any{"application/json": map[string]any{"schema": self}}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	api, err := hfdocs.ParseAPI(doc)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if text := api.Describe(api.Endpoints[0]); time.Since(began) > time.Minute {
		t.Errorf("%d bytes in %s", len(text), time.Since(began))
	}
}
