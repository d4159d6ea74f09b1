package app

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/config"
	"ml-intern/internal/hub"
)

// loaded is the configuration of somebody with that environment.
func loaded(t *testing.T, env map[string]string) *config.Config {
	t.Helper()
	environ := []string{"ML_INTERN_HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	cfg, err := config.Load(environ, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// The Hub that a run starts for itself is reached by all of the machine. It takes
// a token, which its own client has, and jobs of this machine that ask for one; the
// next run's is the same, because jobs outlive a run.
func TestEmbeddedHubTakesAToken(t *testing.T) {
	t.Parallel()
	cfg := loaded(t, nil)
	cfg.Hub = LocalHub
	a, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	own, err := a.hubClient(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []hub.RepoID{{Type: hub.Model, Namespace: "me", Name: "x"}, {Type: hub.Model, Namespace: "lab", Name: "y"}} {
		if _, err := own.CreateRepo(t.Context(), id, hub.CreateOptions{Private: true}); err != nil {
			t.Errorf("its own client: %v", err)
		}
	}
	key, ok := secretHere(cfg)("HF_TOKEN")
	if !ok || key == "" || key != own.Token {
		t.Errorf("a job is given %q, %v", key, ok)
	}
	if text := a.Redact()("it is " + key); strings.Contains(text, key) {
		t.Error("the token is shown")
	}
	for token, want := range map[string]int{"": http.StatusUnauthorized, "hf_another": http.StatusUnauthorized, key: http.StatusOK} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", own.BaseURL+"/api/models/lab/y", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("with the token %q: %s", token, answer.Status)
		}
	}
	if _, err := (&hub.Client{BaseURL: own.BaseURL}).CreateRepo(t.Context(), hub.RepoID{Type: hub.Model, Namespace: "me", Name: "z"}, hub.CreateOptions{}); !errors.Is(err, hub.ErrUnauthorized) {
		t.Errorf("a stranger makes a repository: %v", err)
	}
	again, err := hubKey(cfg)
	info, err2 := os.Stat(filepath.Join(cfg.Paths.State, "hub-key"))
	if err != nil || err2 != nil || again != key || info.Mode().Perm() != 0o600 {
		t.Errorf("the next run has %q, %v; %v, %v", again, err, info, err2)
	}
}
