package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm/llmtest"
)

// ollama is a server of this machine that has these models and answers once.
func ollama(t *testing.T, list string) string {
	t.Helper()
	model := llmtest.NewServer(llmtest.Turn{Text: "hello from here"})
	t.Cleanup(model.Close)
	to, err := url.Parse(strings.TrimSuffix(model.URL, "/v1"))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(list)) })
	mux.Handle("/", httputil.NewSingleHostReverseProxy(to))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// With nothing set up but a server on this machine the first prompt works; with
// several models, and with none, the program says what to do.
func TestFirstRun(t *testing.T) {
	t.Parallel()
	const nowhere = "http://127.0.0.1:1"
	for _, tt := range []struct {
		name, ollama, lmStudio string
		code                   int
		want                   []string
	}{
		{"one model", ollama(t, `{"data":[{"id":"tiny:1b"},{"id":"nomic-embed-text"}]}`), nowhere, 0, []string{"model ollama/tiny:1b", "hello from here"}},
		{"several", ollama(t, `{"data":[{"id":"one"},{"id":"two"}]}`), nowhere, 2, []string{"has several, name one with --model", "ollama/one", "ollama/two"}},
		{"one each of two", ollama(t, `{"data":[{"id":"one"}]}`), ollama(t, `{"data":[{"id":"two"}]}`), 2, []string{"ollama/one", "lm_studio/two"}},
		{"none", nowhere, nowhere, 2, []string{"nothing answers at " + nowhere, "ANTHROPIC_API_KEY or OPENAI_API_KEY", "HF_TOKEN", "OPENROUTER_API_KEY", "--model ollama/NAME", "ml-intern demo"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for late := time.Now().Add(time.Minute); ; { // a server may be late once, on a busy machine
				home := t.TempDir()
				cmd := exec.CommandContext(t.Context(), program(t), "say hello, please")
				cmd.Dir = home
				cmd.Env = []string{
					"ML_INTERN_HOME=" + home + "/state", "HOME=" + home, "PATH=" + os.Getenv("PATH"),
					"OLLAMA_BASE_URL=" + tt.ollama, "LM_STUDIO_BASE_URL=" + tt.lmStudio, "VLLM_BASE_URL=" + nowhere, "LLAMACPP_BASE_URL=" + nowhere,
				}
				out, _ := cmd.CombinedOutput() // the exit code says it
				code := cmd.ProcessState.ExitCode()
				missing := slices.DeleteFunc(slices.Clone(tt.want), func(want string) bool { return strings.Contains(string(out), want) })
				if code == tt.code && len(missing) == 0 {
					break
				}
				if time.Now().After(late) {
					t.Fatalf("exit code %d, want %d; it does not say %q:\n%s", code, tt.code, missing, out)
				}
			}
		})
	}
}
