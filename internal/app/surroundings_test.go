package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
)

// server has a list of models, and counts who asks.
func server(t *testing.T, wait time.Duration, models ...string) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case <-time.After(wait):
		case <-r.Context().Done():
			return
		}
		var list []string
		for _, id := range models {
			name, _ := json.Marshal(id)
			list = append(list, fmt.Sprintf(`{"id":%s}`, name))
		}
		fmt.Fprintf(w, `{"data":[%s]}`, strings.Join(list, ","))
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

func TestLook(t *testing.T) {
	t.Parallel()
	none := "http://127.0.0.1:1" // where nothing listens
	one, askedOne := server(t, 0, "qwen3:8b", "nomic-embed-text")
	two, _ := server(t, 0, "a", "b\x1b[2J", "c d")
	slow, _ := server(t, time.Minute, "slow")
	empty, _ := server(t, 0)
	for _, tt := range []struct {
		name, env, model string
		why, err         string
	}{
		{"a key comes first, and nobody is asked", "ANTHROPIC_API_KEY=k OLLAMA_BASE_URL=" + one, "anthropic/", "ANTHROPIC_API_KEY is set", ""},
		{"the token of the Hub", "HF_TOKEN=hf_xxxxxxxxxxxxxxxxxxxx OLLAMA_BASE_URL=" + one, "moonshotai/", "HF_TOKEN is set", ""},
		{"one server with one model that talks", "OLLAMA_BASE_URL=" + one, "ollama/qwen3:8b", one, ""},
		{"by its host", "OLLAMA_HOST=" + strings.TrimPrefix(one, "http://"), "ollama/qwen3:8b", "the only model", ""},
		{"vLLM", "VLLM_BASE_URL=" + two, "vllm/a", "the only model", ""}, // the others have names that cannot be
		{"two servers", "OLLAMA_BASE_URL=" + one + " LM_STUDIO_BASE_URL=" + two, "", "", "has several, name one with --model:\n  ollama/qwen3:8b "},
		{"one that is slow", "OLLAMA_BASE_URL=" + slow, "", "", "nothing answers at " + slow},
		{"one that has none", "OLLAMA_BASE_URL=" + empty, "", "", ". One of these is enough:\n"},
		{"nothing", "", "", "", "OPENROUTER_API_KEY"},
		{"an address for all of them", "LOCAL_LLM_BASE_URL=" + one, "ollama/qwen3:8b", "the only model", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			askedOne.Store(0)
			home := t.TempDir()
			env := []string{"HOME=" + home, "ML_INTERN_HOME=" + home, "HF_HOME=" + home}
			for _, name := range []string{"OLLAMA", "VLLM", "LM_STUDIO", "LLAMACPP"} {
				if !strings.Contains(tt.env, "LOCAL_LLM") {
					env = append(env, name+"_BASE_URL="+none)
				}
			}
			if strings.Contains(tt.env, "OLLAMA_HOST") {
				env = append(env, "OLLAMA_BASE_URL=")
			}
			cfg, err := config.Load(append(env, strings.Fields(tt.env)...), home)
			if err != nil {
				t.Fatal(err)
			}
			right := func(s app.Surroundings) bool {
				return strings.HasPrefix(s.Model, tt.model) && (tt.model != "") == (s.Model != "") && strings.Contains(s.Why, tt.why) &&
					(tt.err == "" || strings.Contains(s.NoModel().Error(), tt.err))
			}
			began := time.Now()
			s := app.Look(t.Context(), cfg)
			if took := time.Since(began); took > 30*time.Second { // it waits for none that is slow
				t.Errorf("it took %s", took)
			}
			for !right(s) && time.Since(began) < time.Minute { // on a busy machine a server is late
				s = app.Look(t.Context(), cfg)
			}
			if !right(s) {
				t.Errorf("chose %q: %s; says %q", s.Model, s.Why, s.NoModel())
			}
			if strings.Contains(s.Why, "_KEY") && askedOne.Load() > 0 {
				t.Error("a server was asked although there is a key")
			}
			if strings.Contains(s.NoModel().Error(), "\x1b") {
				t.Error("a name of a model reaches the terminal as it is")
			}
		})
	}
}
