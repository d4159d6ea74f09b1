package app

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"ml-intern/internal/config"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/job/hubjobs"
	"ml-intern/internal/job/local"
	"ml-intern/internal/job/watch"
	"ml-intern/internal/llm/catalog"
	"ml-intern/internal/sandbox/hubspaces"
)

// hubJobsOf shows the jobs of this machine to a Hub server, which may start others.
func hubJobsOf(cfg *config.Config, here local.Backend) hubserver.Jobs {
	return hubjobs.Jobs{Backend: here, With: withSecrets(here), Dir: filepath.Join(hubDir(cfg), "jobs"), Gauge: watch.Asking(apart(cfg, nvidiaSMI))}
}

// runSpaces runs the programs of a Hub server's Spaces, if it should.
func runSpaces(cfg *config.Config, should bool) (runner hubserver.Spaces, stop func()) {
	if !should {
		return nil, func() {}
	}
	r := hubspaces.New(filepath.Join(hubDir(cfg), "spaces"), cfg.Environ())
	return r, r.Close
}

// hubRouter is the endpoint that /v1 of the Hub server leads to, with its key:
// the one that is named, or else the first local server that is configured.
func hubRouter(cfg *config.Config, named string) (*url.URL, string, error) {
	address, key := named, cfg.Getenv("LOCAL_LLM_API_KEY")
	for _, s := range catalog.Servers(cfg.Getenv) {
		if address == "" && s.Set || address == s.BaseURL {
			address, key = s.BaseURL, s.APIKey
			break
		}
	}
	if address == "" {
		return nil, "", nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, "", fmt.Errorf("%w: the router %q is not an http address", ErrUsage, address)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1"
	}
	return u, strings.TrimSpace(key), nil
}
