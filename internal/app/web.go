package app

import (
	"cmp"
	"path/filepath"

	"ml-intern/internal/config"
	"ml-intern/internal/fetch"
	"ml-intern/internal/github"
	"ml-intern/internal/hfdocs"
	"ml-intern/internal/paper"
	"ml-intern/internal/pdftext"
	"ml-intern/internal/tool"
	"ml-intern/internal/tools"
	"ml-intern/internal/websearch"
)

// An outside is what the program reads of the world. There is one for all
// sessions and sub-agents of the process: services count what all of them ask.
type outside struct {
	pages  *fetch.Client // addresses come from pages and models: only public ones
	papers *paper.Client
	docs   *hfdocs.Client
	github *github.Client
	search *websearch.Client
}

// newOutside goes by the environment: each service's address and key.
func newOutside(cfg *config.Config) *outside {
	env := cfg.Getenv
	dir := filepath.Join(cfg.Paths.Cache, "web")
	services := &fetch.Client{Dir: dir, Trust: true, Pace: paper.Pace()} // addresses come from us or the person
	engines := []websearch.Engine{}
	add := func(name, address, key string) {
		if address != "" || key != "" {
			engines = append(engines, websearch.Engine{Name: name, Address: address, Key: key})
		}
	}
	add("searxng", env("ML_INTERN_SEARCH_URL"), "")
	add("brave", "", env("BRAVE_API_KEY"))
	add("tavily", "", env("TAVILY_API_KEY"))
	return &outside{
		pages: &fetch.Client{Dir: dir},
		papers: &paper.Client{
			Fetch: services, Hub: env("HF_ENDPOINT"), ArXiv: env("ML_INTERN_ARXIV_URL"),
			Scholar: env("ML_INTERN_SEMANTIC_SCHOLAR_URL"), ScholarKey: env("S2_API_KEY"),
		},
		docs:   &hfdocs.Client{Fetch: services, BaseURL: env("ML_INTERN_DOCS_URL")},
		github: &github.Client{Fetch: services, BaseURL: env("GITHUB_API_URL"), Token: cmp.Or(env("GITHUB_TOKEN"), env("GH_TOKEN"))},
		search: &websearch.Client{Fetch: services, Engines: engines},
	}
}

// tools are the tools that read outside.
func (o *outside) tools() []tool.Tool {
	return []tool.Tool{
		tools.Papers(o.papers), tools.Docs(o.docs), tools.GitHub(o.github), tools.WebSearch(o.search), tools.WebFetch(o.pages, pdftext.Texts),
	}
}
