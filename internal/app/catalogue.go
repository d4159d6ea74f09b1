package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/config"
	"ml-intern/internal/durable"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/catalog"
)

// A ModelLine is one model or server as `models` lists it.
type ModelLine struct {
	ID            string     `json:"id"`
	State         string     `json:"state"` // "ready", "answers", "silent" or "no key"
	ContextWindow int        `json:"context_window,omitempty"`
	Price         *llm.Price `json:"price,omitempty"`
	Note          string     `json:"note,omitempty"`
}

// Models lists the catalogue and the local servers, and says which of them
// answer from here.
func Models(ctx context.Context, cfg *config.Config) []ModelLine {
	lines := []ModelLine{{ID: catalog.Builtin, State: "ready", Price: &llm.Price{}, Note: "rules, no network"}}
	for _, e := range catalog.Entries() {
		if e.Route == "" && e.Price[0] == 0 {
			continue // stands for a family, not for a model
		}
		line := ModelLine{ID: e.ID(), State: "ready", ContextWindow: e.Window}
		found, err := resolve(cfg, e.ID())
		if err != nil {
			line.State, line.Note = "no key", afterColon(err)
		} else {
			line.Price, line.ContextWindow, line.Note = found.Price, found.ContextWindow, "by "+string(found.Provider)
		}
		lines = append(lines, line)
	}
	servers := catalog.Servers(cfg.Getenv)
	local := make([]ModelLine, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Go(func() { local[i] = probe(ctx, s) })
	}
	wg.Wait()
	return append(lines, local...)
}

// afterColon is the last part of an error that names what to do.
func afterColon(err error) string {
	text := err.Error()
	return strings.TrimSpace(text[strings.LastIndex(text, ":")+1:])
}

// probe asks a local server for its models.
func probe(ctx context.Context, s catalog.Server) ModelLine {
	line := ModelLine{ID: s.Prefix + "/NAME", State: "silent", Price: &llm.Price{}, Note: "nothing at " + s.BaseURL + "; set " + s.Variable}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	names, err := modelsOf(ctx, s)
	if err != nil {
		if s.Set {
			line.Note = err.Error()
		}
		return line
	}
	line.State, line.Note = "answers", s.BaseURL
	if len(names) > 0 {
		if more := len(names) - maxNames; more > 0 {
			names = append(names[:maxNames], fmt.Sprintf("and %d more", more))
		}
		line.Note = strings.Join(names, ", ") + " at " + s.BaseURL
	}
	return line
}

// maxNames is how many models of a server are named.
const maxNames = 5

// maxList bounds a list of models, in bytes.
const maxList = 32 << 20

// get reads a small document.
func get(ctx context.Context, url, key string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: the address of the models is no URL", ErrUsage)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return nil, &llm.TransportError{Err: fmt.Errorf("list models: %w", err)}
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxList))
	if err != nil {
		return nil, &llm.TransportError{Err: fmt.Errorf("list models at %s: %w", req.URL.Host, err)}
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("list models at %s: %w", req.URL.Host, &llm.StatusError{Status: res.StatusCode, Message: http.StatusText(res.StatusCode)})
	}
	return data, nil
}

// RefreshModels asks the Hugging Face router for its models, with their prices
// and windows, and keeps the answer. It returns how many there are.
func RefreshModels(ctx context.Context, cfg *config.Config) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	base := strings.TrimSuffix(strings.TrimRight(catalog.RouterURL(cfg.Getenv), "/"), "/v1")
	data, err := get(ctx, base+"/v1/models", cfg.Getenv("HF_TOKEN"))
	if err != nil {
		if llm.Temporary(err) {
			err = fmt.Errorf("%w: %w", llm.ErrUnreachable, err)
		}
		return 0, err
	}
	routes, err := catalog.ParseRoutes(data)
	if err != nil {
		return 0, err
	}
	return len(routes.Data), replaceFile(routesFile(cfg), data)
}

// replaceFile writes a file whole or not at all.
func replaceFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := durable.Replace(path, data); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
