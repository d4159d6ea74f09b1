package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"ml-intern/internal/config"
	"ml-intern/internal/llm/catalog"
)

// Surroundings are what there is on this machine to begin with: which model is
// taken if nobody names one, and what else could be.
type Surroundings struct {
	Model  string      // "" if nobody can say without asking
	Why    string      // where it comes from, in words
	Local  []Candidate // models of servers on this machine; nil if there was no need to look
	Silent []string    // addresses that the person has set and where nothing answers
}

// A Candidate is a model that a server on this machine has.
type Candidate struct {
	ID    string // as --model takes it
	Where string // the server's address
}

// A Way is one of the ways to get a model.
type Way struct{ Set, What string }

// Ways lists the four ways to get a model.
func Ways() []Way {
	return []Way{
		{"ANTHROPIC_API_KEY or OPENAI_API_KEY", "a key of the maker"},
		{"HF_TOKEN, or ml-intern login", "the Hugging Face router, with many open models"},
		{"OPENROUTER_API_KEY", "OpenRouter"},
		{"--model ollama/NAME", "a server on this machine: ollama, vllm, lm_studio or llamacpp"},
	}
}

// soon is how long a server on this machine may take to list its models, when a
// person waits for their first answer.
const soon = 700 * time.Millisecond

// Look finds out what there is. Nothing is asked for if a model is named or a
// key is set: a start that has a model is not slowed down.
func Look(ctx context.Context, cfg *config.Config) Surroundings {
	if cfg.Model != "" {
		return Surroundings{Model: cfg.Model, Why: "it is configured"}
	}
	if id := catalog.Default(withToken(cfg)); id != "" {
		return Surroundings{Model: id, Why: keyOf(cfg)}
	}
	s := lookAround(ctx, cfg)
	if len(s.Local) == 1 {
		s.Model, s.Why = s.Local[0].ID, "the only model of a server on this machine, "+s.Local[0].Where
	}
	return s
}

// LocalModels lists the models of servers on this machine.
func LocalModels(ctx context.Context, cfg *config.Config) []Candidate {
	return lookAround(ctx, cfg).Local
}

// keyOf names what the model that nobody named was chosen by.
func keyOf(cfg *config.Config) string {
	for _, name := range []string{"ANTHROPIC_API_KEY", "OPENAI_API_KEY", "HF_TOKEN", "OPENROUTER_API_KEY"} {
		if cfg.Getenv(name) != "" {
			return name + " is set"
		}
	}
	return "you are logged in to Hugging Face"
}

// lookAround asks the servers of this machine, all at once.
func lookAround(ctx context.Context, cfg *config.Config) (s Surroundings) {
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	servers := catalog.Servers(cfg.Getenv)
	names := make([][]string, len(servers))
	errs := make([]error, len(servers))
	var wg sync.WaitGroup
	for i, server := range servers {
		wg.Go(func() { names[i], errs[i] = modelsOf(ctx, server) })
	}
	wg.Wait()
	asked := make(map[string]bool) // LOCAL_LLM_BASE_URL is the address of all four
	for i, server := range servers {
		switch {
		case asked[server.BaseURL]:
			continue
		case errs[i] != nil && server.Set:
			s.Silent = append(s.Silent, server.BaseURL)
		}
		asked[server.BaseURL] = true
		for _, id := range names[i] {
			if talks(id) {
				s.Local = append(s.Local, Candidate{id, server.BaseURL})
			}
		}
	}
	return s
}

// modelsOf are the ids of the models that a server has.
func modelsOf(ctx context.Context, s catalog.Server) ([]string, error) {
	data, err := get(ctx, strings.TrimSuffix(strings.TrimRight(s.BaseURL, "/"), "/v1")+"/v1/models", s.APIKey)
	if err != nil {
		return nil, err
	}
	routes, err := catalog.ParseRoutes(data)
	if err != nil {
		return nil, nil //nolint:nilerr // it answers, and has none
	}
	var ids []string
	for _, m := range routes.Data {
		if id := s.Prefix + "/" + m.ID; strings.IndexFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) < 0 {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// talks guesses by its name whether a model answers in words.
func talks(id string) bool {
	id = strings.ToLower(id)
	return !slices.ContainsFunc([]string{"embed", "rerank", "whisper", "bge-", "/e5-", "minilm", "clip-"}, func(part string) bool { return strings.Contains(id, part) })
}

// NoModel is the error of who needs a model where there is none, with all that
// can be done about it.
func (s Surroundings) NoModel() error {
	var b strings.Builder
	b.WriteString("no model is set, and no key to choose one by")
	for _, address := range s.Silent {
		fmt.Fprintf(&b, "; nothing answers at %s", address)
	}
	if len(s.Local) > 0 {
		b.WriteString(". This machine has several, name one with --model:\n")
		for _, c := range s.Local[:min(len(s.Local), maxNames)] {
			fmt.Fprintf(&b, "  %-37s at %s\n", c.ID, c.Where)
		}
		if more := len(s.Local) - maxNames; more > 0 {
			fmt.Fprintf(&b, "  and %d more: ml-intern models lists them\n", more)
		}
		b.WriteString("Or one of these:\n")
	} else {
		b.WriteString(". One of these is enough:\n")
	}
	for _, w := range Ways() {
		fmt.Fprintf(&b, "  %-37s %s\n", w.Set, w.What)
	}
	b.WriteString("Without any, ml-intern demo and --model " + catalog.Builtin + " do the whole job by rules")
	return fmt.Errorf("%w: %w%s", ErrUsage, ErrNoModel, strings.TrimPrefix(b.String(), ErrNoModel.Error()))
}
