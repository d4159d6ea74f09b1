package app

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/config"
	"ml-intern/internal/llm"
	"ml-intern/internal/llm/llmtest"
)

// Sub-agents have the cheaper model unless the person names one, and the
// session's own stands behind it.
func TestSubModels(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ named, own, want string }{
		{"", "openai/gpt-5.5", "openai/gpt-5-mini openai/gpt-5.5"},
		{"", "openai/gpt-5-nano", "openai/gpt-5-nano"},
		{"", "openai/unknown", "openai/unknown"},
		{"same", "openai/gpt-5.5", "openai/gpt-5.5"},
		{"openai/gpt-5.5-pro", "openai/gpt-5.5", "openai/gpt-5.5-pro openai/gpt-5.5"},
	} {
		dir := t.TempDir()
		cfg, err := config.Load([]string{"ML_INTERN_HOME=" + filepath.Join(dir, "home"), "OPENAI_API_KEY=k"}, dir)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Model, cfg.ResearchModel = tt.own, tt.named
		a := &App{cfg: cfg}
		own, err := a.models("")
		if err != nil {
			t.Fatal(err)
		}
		models, err := a.subModels(own)
		var ids []string
		for _, m := range models {
			ids = append(ids, m.Info().ID)
		}
		if got := strings.Join(ids, " "); err != nil || got != tt.want {
			t.Errorf("%q for %s: %s, %v; want %s", tt.named, tt.own, got, err, tt.want)
		}
		if c := researchCheck(cfg); strings.Contains(c.Detail, strings.Fields(tt.want)[0]) != (len(ids) > 1) {
			t.Errorf("doctor says %q", c.Detail)
		}
	}
}

// A key that is not for the cheaper model is no end: it is out of reach.
func TestUnaskedModel(t *testing.T) {
	t.Parallel()
	for status, unreachable := range map[int]bool{403: true, 404: true, 401: false, 400: false} {
		m := unasked{&llmtest.Script{Replies: []llmtest.Reply{{Err: &llm.StatusError{Status: status}}}}}
		_, err := llmtest.Ask(t.Context(), m, llm.Request{})
		if err == nil || errors.Is(err, llm.ErrUnreachable) != unreachable || llm.Temporary(err) {
			t.Errorf("%d: %v", status, err)
		}
	}
}
