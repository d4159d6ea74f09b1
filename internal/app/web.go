package app

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

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

// newOutside goes by the configuration: each service's address and key, how
// often a host may be asked, and what is kept of the answers.
func newOutside(cfg *config.Config) *outside {
	client := func() *fetch.Client {
		c := &fetch.Client{Pace: pace(cfg.Services), PaceDir: filepath.Join(cfg.Paths.Cache, "pace"), Fresh: cfg.Services.Fresh, Timeout: cfg.Services.Timeout}
		if size := cfg.Services.CacheMB; size > 0 && !cfg.NoCache {
			c.Dir, c.DirBytes = filepath.Join(cfg.Paths.Cache, "web"), int64(size)<<20
		}
		return c
	}
	services := client()
	services.Trust = true // addresses come from us or the person
	pages := client()
	pages.Private = cfg.Services.Private
	var engines []websearch.Engine
	for _, name := range cfg.EngineOrder() {
		address, key := cfg.Service(config.EngineService(name))
		engines = append(engines, websearch.Engine{Name: name, Address: address, Key: key})
	}
	arxiv, _ := cfg.Service("arxiv")
	scholar, scholarKey := cfg.Service("semantic_scholar")
	docs, _ := cfg.Service("docs")
	api, token := cfg.Service("github")
	return &outside{
		pages: pages,
		papers: &paper.Client{
			Fetch: services, Hub: paperHub(cfg), ArXiv: arxiv,
			Scholar: scholar, ScholarKey: scholarKey, ScholarKeyName: cfg.KeyNames("semantic_scholar")[0],
		},
		docs:   &hfdocs.Client{Fetch: services, BaseURL: docs},
		github: &github.Client{Fetch: services, BaseURL: api, Token: token},
		search: &websearch.Client{Fetch: services, Engines: engines},
	}
}

// pace is the least time between requests to each host: as services ask for, as
// the person says, and never faster than a project's file says.
func pace(s config.Services) map[string]time.Duration {
	all := paper.Pace()
	for host, rate := range s.Rate {
		all[host] = gap(rate)
	}
	for host, rate := range s.Slower {
		least := usualGap
		for _, name := range []string{"*", host} {
			if known, ok := all[name]; ok {
				least = known
			}
		}
		all[host] = max(gap(rate), least)
	}
	return all
}

// usualGap is the pace of hosts that nothing is said about.
const usualGap = 200 * time.Millisecond

func gap(rate float64) time.Duration { return time.Duration(float64(time.Second) / rate) }

// paperHub is the Hub that knows papers: the embedded one has none.
func paperHub(cfg *config.Config) string {
	address, _ := cfg.Service("papers")
	return strings.TrimRight(cmp.Or(address, cfg.Getenv("HF_ENDPOINT"), publicHub), "/")
}

// paperToken is the account's token if the Hub of the papers is the one that
// the account is on, "" for any other. Papers are public: a token that cannot
// be had is no reason to fail.
func (a *App) paperToken(ctx context.Context) string {
	own := a.hubChoice()
	if own == LocalHub {
		own = cmp.Or(a.cfg.Getenv("HF_ENDPOINT"), publicHub)
	}
	if own = strings.TrimRight(own, "/"); own != paperHub(a.cfg) {
		return ""
	}
	token, err := a.keyring(own).Token(ctx)
	if err != nil {
		return ""
	}
	return token
}

// tools are the tools that read outside.
func (o *outside) tools() []tool.Tool {
	return []tool.Tool{
		tools.Papers(o.papers), tools.Docs(o.docs), tools.GitHub(o.github), tools.WebSearch(o.search), tools.WebFetch(o.pages, pdftext.Texts),
	}
}

// servicesCheck tells which services are elsewhere or have a key, never a value.
func servicesCheck(cfg *config.Config) Check {
	var parts []string
	c := Check{Name: "services", State: stateOK}
	for _, name := range config.ServiceNames() {
		address, key := cfg.Service(name)
		names := cfg.KeyNames(name)
		set := slices.IndexFunc(names, func(n string) bool { return strings.TrimSpace(cfg.Getenv(n)) != "" })
		switch {
		case key != "" && address != "":
			parts = append(parts, fmt.Sprintf("%s at %s with %s", name, address, names[set]))
		case key != "":
			parts = append(parts, name+" with "+names[set])
		case address != "":
			parts = append(parts, name+" at "+address)
		}
		if cfg.Services.At[name].Key != "" && key == "" {
			c.State, c.Mend = stateNote, "set "+names[0]+", which the configuration names as the key of "+name
		}
	}
	if n := len(cfg.Services.Private); n > 0 {
		parts = append(parts, "private hosts that may be read: "+strings.Join(cfg.Services.Private, ", "))
	}
	cache := "no cache"
	if cfg.Services.CacheMB > 0 {
		cache = fmt.Sprintf("a cache of %d MB", cfg.Services.CacheMB)
	}
	parts = append(parts, cache)
	c.Detail = strings.Join(parts, "; ")
	return c
}

// searchCheck tells which engines search the web.
func searchCheck(cfg *config.Config) Check {
	c := Check{Name: "web search", State: stateOK, Detail: strings.Join(cfg.EngineOrder(), ", then ")}
	for _, name := range cfg.EngineOrder() {
		address, key := cfg.Service(config.EngineService(name))
		switch {
		case name == "searxng" && address == "":
			c.State, c.Mend = stateNote, "searxng needs an address: the key search under services, or ML_INTERN_SEARCH_URL"
		case (name == "brave" || name == "tavily") && key == "":
			c.State, c.Mend = stateNote, name+" needs a key: set "+cfg.KeyNames(name)[0]
		}
	}
	if slices.Equal(cfg.EngineOrder(), []string{"duckduckgo"}) {
		c.State, c.Mend = stateNote, "DuckDuckGo often asks whether a person is there: ML_INTERN_SEARCH_URL, BRAVE_API_KEY or TAVILY_API_KEY names an engine that answers"
	}
	return c
}
