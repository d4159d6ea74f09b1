package app

import (
	"errors"
	"fmt"

	"ml-intern/internal/llm"
	"ml-intern/internal/llm/baseline"
	"ml-intern/internal/llm/catalog"
	"ml-intern/internal/llm/openai"
)

// ErrNoModel says that no model was named.
var ErrNoModel = errors.New("no model is set: name one with --model, such as --model openai/NAME, --model ollama/NAME or --model " + catalog.Builtin)

// unknownWindow is assumed of a model whose context window is unknown, tokens.
const unknownWindow = 128_000

// model makes the configured model, or the session's own.
func (a *App) model(fallback string) (llm.Model, error) {
	id := a.cfg.Model
	if id == "" {
		id = fallback
	}
	if id == catalog.Builtin {
		return baseline.Model{}, nil
	}
	endpoint, err := catalog.Resolve(id, a.cfg.Getenv)
	if err != nil {
		if !errors.Is(err, catalog.ErrNoKey) {
			err = fmt.Errorf("%w: %w", ErrUsage, err)
		}
		return nil, err
	}
	return &openai.Client{
		ID: endpoint.ID, Model: endpoint.Model, BaseURL: endpoint.BaseURL,
		APIKey: endpoint.APIKey, ContextWindow: unknownWindow,
	}, nil
}
