package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ml-intern/internal/config"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/anthropic"
	"ml-intern/internal/llm/baseline"
	"ml-intern/internal/llm/catalog"
	"ml-intern/internal/llm/openai"
	"ml-intern/internal/llm/redact"
	"ml-intern/internal/llm/replay"
)

// ErrNoModel says that no model was named and none could be chosen.
var ErrNoModel = errors.New("no model is set")

// chooseModel names the model of a new session: the configured one, one of the
// first provider that has a key, or the only one of this machine's servers.
func chooseModel(ctx context.Context, cfg *config.Config) error {
	s := Look(ctx, cfg)
	if s.Model == "" {
		return s.NoModel()
	}
	cfg.Model = s.Model
	return nil
}

// models makes the configured model, or the session's own, and those that may
// take over from it.
func (a *App) models(fallback string) ([]llm.Model, error) {
	id := a.cfg.Model
	if id == "" {
		id = fallback
	}
	if e := a.cfg.Effort; e != "" && !slices.Contains(llm.Efforts(), e) {
		return nil, fmt.Errorf("%w: there is no effort %q; the levels are %s", ErrUsage, e, strings.Join(llm.Efforts(), ", "))
	}
	var all []llm.Model
	for _, id := range append([]string{id}, a.cfg.Fallback...) {
		m, err := model(a.cfg, id)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(o llm.Model) bool { return o.Info().ID == id }) {
			continue
		}
		if p, ok := m.(replay.Player); ok {
			a.player = p
		}
		if a.recording != nil {
			m = replay.Record(m, a.recording)
		}
		all = append(all, redact.Model(m, a.redactor()))
	}
	return all, nil
}

func model(cfg *config.Config, id string) (llm.Model, error) {
	if id == catalog.Builtin {
		return baseline.Model{}, nil
	}
	if path, ok := strings.CutPrefix(id, ReplayPrefix); ok {
		return replayed(cfg, id, path)
	}
	e, err := resolve(cfg, id)
	if err != nil {
		if !errors.Is(err, catalog.ErrNoKey) {
			err = fmt.Errorf("%w: %w", ErrUsage, err)
		}
		return nil, err
	}
	return client(cfg, e), nil
}

func resolve(cfg *config.Config, id string) (catalog.Endpoint, error) {
	return catalog.Resolve(id, catalogOptions(cfg))
}

func catalogOptions(cfg *config.Config) catalog.Options {
	return catalog.Options{Getenv: withToken(cfg), Own: cfg.Models, Routes: func() catalog.Routes { return readRoutes(cfg) }}
}

// withToken is the environment with the token of `hf auth login` in it, if none
// is set.
func withToken(cfg *config.Config) func(string) string {
	return func(name string) string {
		if name == "HF_TOKEN" {
			return keyring(cfg, publicHub).Local()
		}
		return cfg.Getenv(name)
	}
}

// client is the client of the endpoint's wire, with what its provider wants
// done in its own way.
func client(cfg *config.Config, e catalog.Endpoint) llm.Model {
	if e.Provider == catalog.Anthropic {
		return &anthropic.Client{
			ID: e.ID, Model: e.Model, BaseURL: e.BaseURL, APIKey: e.APIKey, FirstByte: cfg.FirstByte, Idle: cfg.Idle,
			ContextWindow: e.ContextWindow, MaxOutput: e.MaxOutput, Price: e.Price, Images: e.Images, Efforts: e.Efforts, Adaptive: e.Adaptive,
		}
	}
	c := &openai.Client{
		ID: e.ID, Model: e.Model, BaseURL: e.BaseURL, APIKey: e.APIKey, FirstByte: cfg.FirstByte, Idle: cfg.Idle,
		ContextWindow: e.ContextWindow, MaxOutput: e.MaxOutput, Price: e.Price, Images: e.Images, Efforts: e.Efforts,
	}
	claude := strings.Contains(strings.ToLower(e.Model), "claude")
	switch e.Provider {
	case catalog.OpenAI:
		c.Dialect = openai.Dialect{NewLimitName: true, CacheKey: true}
	case catalog.OpenRouter:
		c.Dialect = openai.Dialect{EffortInObject: true, CacheControl: claude}
	case catalog.Router:
		c.Dialect = openai.Dialect{SessionHeader: "X-HF-Session-id", CacheControl: claude}
		if cfg.BillTo != "" {
			c.Header = http.Header{"X-Hf-Bill-To": {cfg.BillTo}}
		}
	}
	return c
}

// routesFile keeps what the router said of its models.
func routesFile(cfg *config.Config) string {
	return filepath.Join(cfg.Paths.Cache, "router-models.json")
}

// readRoutes reads what the router said when it was last asked. A file that is
// broken says nothing: the facts are then those of the catalogue.
func readRoutes(cfg *config.Config) catalog.Routes {
	data, err := os.ReadFile(routesFile(cfg))
	if err != nil {
		return catalog.Routes{}
	}
	routes, err := catalog.ParseRoutes(data)
	if err != nil {
		return catalog.Routes{}
	}
	return routes
}
