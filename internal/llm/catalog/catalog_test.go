package catalog_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/config"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/catalog"
)

// The table of docs/models.md.
func TestResolve(t *testing.T) {
	t.Parallel()
	tests := []struct {
		id, env          string // env is KEY=VALUE, …
		model, base, key string
		err              string
	}{
		{"openai/m", "OPENAI_API_KEY=k", "m", "https://api.openai.com/v1", "k", ""},
		{"openai/m", "OPENAI_BASE_URL=http://x", "m", "http://x", "", ""},
		{"openai/m", "HF_TOKEN=t", "openai/m", "https://router.huggingface.co/v1", "t", ""},
		{"openai/m", "", "", "", "", "set OPENAI_API_KEY, or HF_TOKEN"},
		{"openrouter/a/b", "OPENROUTER_API_KEY=k", "a/b", "https://openrouter.ai/api/v1", "k", ""},
		{"openrouter/a/b", "HF_TOKEN=t", "", "", "", "set OPENROUTER_API_KEY"},
		{"hf/a/b:fal", "HF_TOKEN=t", "a/b:fal", "https://router.huggingface.co/v1", "t", ""},
		{"a/b:fal", "HF_TOKEN=t, HF_ROUTER_BASE_URL=http://r", "a/b:fal", "http://r", "t", ""},
		{"anthropic/m", "", "", "", "", "set ANTHROPIC_API_KEY, or HF_TOKEN"},
		{"anthropic/m", "ANTHROPIC_API_KEY=k", "m", "https://api.anthropic.com", "k", ""},
		{"anthropic/m", "ANTHROPIC_API_KEY=k, ANTHROPIC_BASE_URL=http://a/v1", "m", "http://a/v1", "k", ""},
		{"anthropic/m", "HF_TOKEN=t", "anthropic/m", "https://router.huggingface.co/v1", "t", ""},
		{"claude-opus-5.5", "ANTHROPIC_API_KEY=k", "", "", "", "did you mean anthropic/claude-opus-5-5"},
		{"openai/a b", "OPENAI_API_KEY=k", "", "", "", "is not a model id"},
		{"ollama/m:7b", "", "m:7b", "http://127.0.0.1:11434/v1", "", ""},
		{"ollama/m", "OLLAMA_HOST=box:1", "m", "http://box:1", "", ""},
		{"ollama/m", "OLLAMA_HOST=box:1, OLLAMA_BASE_URL=http://y", "m", "http://y", "", ""},
		{"vllm/a/b", "VLLM_BASE_URL=http://v, VLLM_API_KEY=k", "a/b", "http://v", "k", ""},
		{"lm_studio/m", "LOCAL_LLM_BASE_URL=http://l, LOCAL_LLM_API_KEY=k", "m", "http://l", "k", ""},
		{"llamacpp/m", "", "m", "http://127.0.0.1:8080/v1", "", ""},
		{"gpt", "", "", "", "", "is not a model id"},
		{"openai/", "OPENAI_API_KEY=k", "", "", "", "is not a model id"},
	}
	for _, tt := range tests {
		env := map[string]string{}
		for pair := range strings.SplitSeq(tt.env, ", ") {
			key, value, _ := strings.Cut(pair, "=")
			env[key] = value
		}
		e, err := catalog.Resolve(tt.id, catalog.Options{Getenv: func(name string) string { return env[name] }})
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s with %s: got %v, want %q", tt.id, tt.env, err, tt.err)
			}
			if strings.HasPrefix(tt.err, "set") && !errors.Is(err, catalog.ErrNoKey) {
				t.Errorf("%s: %v is not ErrNoKey", tt.id, err)
			}
			continue
		}
		if err != nil || e.Model != tt.model || e.BaseURL != tt.base || e.APIKey != tt.key || e.ID != tt.id {
			t.Errorf("%s with %s: got %+v, %v", tt.id, tt.env, e, err)
		}
	}
}

// Facts come from the catalogue, the router and the person, in this order, and
// prices only where they are truly known.
func TestFacts(t *testing.T) {
	t.Parallel()
	routes, err := catalog.ParseRoutes([]byte(`{"data": [
		{"id": "Org/Model", "architecture": {"input_modalities": ["text", "image"]}, "providers": [
			{"provider": "a", "status": "live", "context_length": 65536, "pricing": {"input": 1, "output": 2}},
			{"provider": "b", "status": "live", "context_length": 32768, "pricing": {"input": 0.5, "output": 4}},
			{"provider": "c", "status": "error", "context_length": 1000, "pricing": {"input": 100, "output": 100}}]},
		{"id": "Org/Dark", "providers": [{"provider": "a", "status": "live", "pricing": {"input": 1, "output": 2}}, {"provider": "b"}]},
		{"id": "Org/Odd", "providers": "none"}, 7,
		{"id": "Org/Below", "providers": [{"provider": "a", "context_length": 4096.0, "pricing": {"input": -5, "output": 1}}]},
		{"id": "Org/Half", "providers": [{"provider": "a", "pricing": {"input": 3}}]},
		{"id": "Org/Bare"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	off := false
	opts := catalog.Options{
		Getenv: func(name string) string {
			return map[string]string{"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k", "HF_TOKEN": "t", "OPENROUTER_API_KEY": "k"}[name]
		},
		Routes: func() catalog.Routes { return routes },
		Own: map[string]config.ModelFacts{
			"openai/mine":  {ContextWindow: 9000, MaxOutput: 500, Price: &config.ModelPrice{Input: 7, Output: 8, CacheRead: 1}, Efforts: []string{"low"}},
			"gpt-4o":       {Images: &off},
			"vllm/big/one": {ContextWindow: 70_000},
		},
	}
	for _, tt := range []struct {
		id                 string
		window, output     int
		input, outputPrice float64 // -1 for an unknown price
		images             bool
	}{
		{"anthropic/claude-opus-4-8", 1_000_000, 128_000, 5, 25, true},
		{"anthropic/claude-sonnet-4-5-20250929", 200_000, 64_000, 3, 15, true},
		{"openai/gpt-5.5", 1_000_000, 128_000, 5, 30, true},
		{"openai/gpt-5.5-2026-04-23", 1_000_000, 128_000, 5, 30, true},
		{"openai/gpt-5-mini", 400_000, 128_000, 0.25, 2, true},
		{"openai/gpt-5-2025-08-07", 400_000, 128_000, 1.25, 10, true},
		{"openai/gpt-5-turbo", 128_000, 0, -1, -1, false}, // one that may be priced otherwise
		{"openai/gpt-4o", 128_000, 16_384, 2.5, 10, false},
		{"openai/mine", 9000, 500, 7, 8, false},
		{"openai/other", 128_000, 0, -1, -1, false},
		{"hf/anthropic/claude-opus-4.8:fal-ai", 1_000_000, 128_000, -1, -1, true},
		{"openrouter/anthropic/claude-opus-4.8", 1_000_000, 128_000, -1, -1, true},
		{"Org/Model", 32_768, 0, 1, 4, true},
		{"Org/Model:a", 65_536, 0, 1, 2, true},
		{"Org/Model:cheapest", 32_768, 0, 1, 4, true},
		{"org/model:b", 32_768, 0, 0.5, 4, true},
		{"Org/Dark", 128_000, 0, -1, -1, false},
		{"Org/Below", 4096, 0, -1, -1, false},
		{"Org/Half", 128_000, 0, -1, -1, false},
		{"openai/gpt-5.4-pro", 128_000, 0, -1, -1, false},
		{"openai/gpt-4o-realtime-preview", 128_000, 0, -1, -1, false},
		{"Org/Bare", 128_000, 0, -1, -1, false},
		{"Org/Unknown", 128_000, 0, -1, -1, false},
		{"ollama/gpt-5", 32_768, 0, 0, 0, false},
		{"vllm/big/one", 70_000, 0, 0, 0, false},
	} {
		e, err := catalog.Resolve(tt.id, opts)
		if err != nil {
			t.Fatal(err)
		}
		input, output := -1.0, -1.0
		if e.Price != nil {
			input, output = e.Price.Input, e.Price.Output
		}
		if e.ContextWindow != tt.window || e.MaxOutput != tt.output || input != tt.input || output != tt.outputPrice || e.Images != tt.images {
			t.Errorf("%s: window %d, output %d, price %v/%v, images %v", tt.id, e.ContextWindow, e.MaxOutput, input, output, e.Images)
		}
	}
}

// Every line of the catalogue is found by its own id and makes sense.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, e := range catalog.Entries() {
		if seen[e.Name] || e.Maker == "" || e.Window < 32_000 || e.Output > e.Window || e.LongFrom > e.Window {
			t.Errorf("%+v", e)
		}
		seen[e.Name] = true
		for _, level := range e.Efforts {
			if !slices.Contains(llm.Efforts(), level) {
				t.Errorf("%s has the effort %q", e.Name, level)
			}
		}
		found, err := catalog.Resolve(e.ID(), catalog.Options{Getenv: func(string) string { return "x" }})
		if err != nil || found.ContextWindow != e.Window {
			t.Errorf("%s: %+v, %v", e.ID(), found, err)
		}
	}
	for _, broken := range []string{"", "null", "[]", "{}", `{"data":[]}`, `{"data":7}`, "<html>"} {
		if _, err := catalog.ParseRoutes([]byte(broken)); err == nil {
			t.Errorf("%q is a list of models", broken)
		}
	}
}

// A cheaper model is one of the same address and key, with known prices, and
// never one of which any token could cost more.
func TestCheaper(t *testing.T) {
	t.Parallel()
	routes, err := catalog.ParseRoutes([]byte(`{"data": [
		{"id": "moonshotai/Kimi-K2.6", "providers": [{"provider": "a", "context_length": 262144, "pricing": {"input": 1, "output": 4}}]},
		{"id": "Org/Cheap", "providers": [{"provider": "a", "context_length": 262144, "pricing": {"input": 0.1, "output": 0.2}}]},
		{"id": "MiniMaxAI/MiniMax-M2.7", "providers": [{"provider": "a", "context_length": 196608, "pricing": {"input": 0.3, "output": 1.2}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	dear := config.ModelFacts{Price: &config.ModelPrice{Input: 9, Output: 90}}
	keys := "ANTHROPIC_API_KEY OPENAI_API_KEY HF_TOKEN"
	for _, tt := range []struct {
		id, env string
		own     map[string]config.ModelFacts
		want    string
	}{
		{"anthropic/claude-sonnet-5-5", keys, nil, "anthropic/claude-haiku-5-5"},
		{"anthropic/claude-opus-4-8", keys, nil, "anthropic/claude-haiku-5-5"},
		{"anthropic/claude-haiku-5-5", keys, nil, ""},
		{"openai/gpt-5.5", keys, nil, "openai/gpt-5-mini"},
		{"openai/gpt-5-nano", keys, nil, ""},
		{"openai/gpt-4.1-mini", keys, nil, ""}, // its output costs less
		{"openai/unknown", keys, nil, ""},
		{"openai/unknown", keys, map[string]config.ModelFacts{"openai/unknown": dear}, "openai/gpt-5-mini"},
		{"openai/gpt-5.5", keys, map[string]config.ModelFacts{"openai/gpt-5-mini": dear}, ""},
		{"openai/gpt-5.5", keys, map[string]config.ModelFacts{"openai/gpt-5-mini": {ContextWindow: 64_000}}, ""},
		{"openai/gpt-5.5", "OPENAI_API_KEY OPENAI_BASE_URL", nil, ""}, // who knows what is served there
		{"anthropic/claude-sonnet-5-5", "HF_TOKEN", nil, ""},          // by the router, of unknown price
		{"moonshotai/Kimi-K2.6", "HF_TOKEN", nil, "MiniMaxAI/MiniMax-M2.7"},
		{"moonshotai/Kimi-K2.6:a", "HF_TOKEN", nil, ""}, // a provider is chosen
		{"moonshotai/Kimi-K2.6", "HF_TOKEN HF_ROUTER_BASE_URL", nil, ""},
		{"Org/Cheap", "HF_TOKEN", nil, ""},
		{"ollama/gpt-5", "", nil, ""},
		{"openrouter/openai/gpt-5.5", "OPENROUTER_API_KEY", nil, ""},
		{"openai/gpt-5.5", "", nil, ""},
		{"builtin/baseline", keys, nil, ""},
		{"replay/x", "", nil, ""},
		{"", keys, nil, ""},
	} {
		getenv := func(name string) string {
			if slices.Contains(strings.Fields(tt.env), name) {
				return "http://x"
			}
			return ""
		}
		opts := catalog.Options{Getenv: getenv, Own: tt.own, Routes: func() catalog.Routes { return routes }}
		got := catalog.Cheaper(tt.id, opts)
		if got != tt.want {
			t.Errorf("%s with %s: %q, want %q", tt.id, tt.env, got, tt.want)
		}
		if got != "" {
			own, _ := catalog.Resolve(tt.id, opts)
			other, _ := catalog.Resolve(got, opts)
			for _, n := range []int{1000, 120_000} {
				u := llm.Usage{Input: n, CacheRead: n / 2, CacheWrite: n / 4, Output: 500}
				if other.Price.USD(u) >= own.Price.USD(u) {
					t.Errorf("%s costs more than %s", got, tt.id)
				}
			}
		}
	}
}

func TestDefault(t *testing.T) {
	t.Parallel()
	for env, want := range map[string]string{
		"": "", "ANTHROPIC_API_KEY OPENAI_API_KEY": "anthropic/claude-sonnet-5-5", "OPENAI_API_KEY HF_TOKEN": "openai/gpt-5.5",
		"HF_TOKEN OPENROUTER_API_KEY": "moonshotai/Kimi-K2.6", "OPENROUTER_API_KEY": "openrouter/anthropic/claude-sonnet-5.5",
	} {
		got := catalog.Default(func(name string) string {
			if slices.Contains(strings.Fields(env), name) {
				return "x"
			}
			return ""
		})
		if got != want {
			t.Errorf("with %s: %q, want %q", env, got, want)
		}
	}
}
