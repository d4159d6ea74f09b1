package catalog_test

import (
	"errors"
	"strings"
	"testing"

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
		{"anthropic/m", "", "", "", "", "set HF_TOKEN"},
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
		e, err := catalog.Resolve(tt.id, func(name string) string { return env[name] })
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
