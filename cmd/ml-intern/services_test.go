//go:build unix

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/llm/llmtest"
)

// A neighbour is a server whose requests a test sees.
type neighbour struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string // method, path, token and whether it was asked with an ETag
	at   []time.Time
}

func newNeighbour(t *testing.T, answer string) *neighbour {
	n := &neighbour{}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.at = append(n.at, time.Now())
		n.seen = append(n.seen, strings.TrimSpace(r.URL.Path+" "+r.Header.Get("Authorization")+" "+r.Header.Get("If-None-Match")))
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Content-Type", "text/html")
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(n.Close)
	return n
}

func (n *neighbour) asked() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.seen)
}

// A house is a home, a workspace and the program in it.
type house struct {
	t        *testing.T
	exe, dir string
}

func newHouse(t *testing.T, exe, own string) house {
	h := house{t, exe, t.TempDir()}
	h.write("home/config/config.yaml", own)
	h.write("w/.keep", "")
	return h
}

func (h house) write(path, text string) {
	h.t.Helper()
	path = filepath.Join(h.dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// call has a model make one call, and returns what it was told.
func (h house) call(tool, args string, env []string, flags ...string) string {
	h.t.Helper()
	s := llmtest.NewServer(llmtest.Turn{Calls: []llmtest.TurnCall{{Name: tool, Args: args}}}, llmtest.Turn{Text: "done"})
	defer s.Close()
	c := exec.CommandContext(h.t.Context(), h.exe, append(flags, "--model", "openai/test", "--quiet", "go")...)
	c.Dir = filepath.Join(h.dir, "w")
	c.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir, "ML_INTERN_HOME=" + filepath.Join(h.dir, "home"), "OPENAI_BASE_URL=" + s.URL, "OPENAI_API_KEY=x",
	}, env...)
	out, err := c.CombinedOutput()
	if err != nil {
		h.t.Fatalf("%v: %s", err, out)
	}
	seen := s.Seen()
	return string(seen[len(seen)-1].Body)
}

func (h house) cached() []string {
	found, err := filepath.Glob(filepath.Join(h.dir, "home/cache/web/*/*"))
	if err != nil {
		h.t.Fatal(err)
	}
	return found
}

const page = "<html><title>The page</title><body><p>Words of a private page.</p></body></html>"

// Private hosts are read when the person lists them; the cache is shared by
// sessions, asked about again when an answer is old, and left alone with --no-cache.
func TestPrivateHostsAndCache(t *testing.T) {
	t.Parallel()
	exe := program(t)
	site := newNeighbour(t, page)
	args := fmt.Sprintf(`{"url":%q}`, site.URL+"/a")
	h := newHouse(t, exe, "model: openai/test\n")
	if got := h.call("web_fetch", args, nil); !strings.Contains(got, "is a private address") || len(site.asked()) != 0 {
		t.Errorf("it read a private host: %s", got)
	}
	h.write("home/config/config.yaml", "services:\n  private_hosts: [127.0.0.0/8]\n  cache: {max_age: 1h}\n")
	if got := h.call("web_fetch", args, nil, "--no-cache"); !strings.Contains(got, "Words of a private page.") || len(h.cached()) != 0 {
		t.Errorf("--no-cache: kept %v: %s", h.cached(), got)
	}
	for range 2 {
		if got := h.call("web_fetch", args, nil); !strings.Contains(got, "Words of a private page.") {
			t.Error(got)
		}
	}
	if n, kept := len(site.asked()), h.cached(); n != 2 || len(kept) != 1 {
		t.Errorf("asked %d times, want 2; kept %v", n, kept)
	}
	if err := os.WriteFile(h.cached()[0], []byte("{}"), 0o600); err != nil { // damaged
		t.Fatal(err)
	}
	h.call("web_fetch", args, nil)
	h.write("home/config/config.yaml", "services:\n  private_hosts: [127.0.0.0/8]\n  cache: {max_age: 1s}\n")
	time.Sleep(1100 * time.Millisecond)
	if got := h.call("web_fetch", args, nil); !strings.Contains(got, "Words of a private page.") {
		t.Error(got)
	}
	h.call("web_fetch", args, nil, "--no-cache")
	if got, want := site.asked(), []string{"/a", "/a", "/a", `/a  "1"`, "/a"}; !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
	h.write("home/config/config.yaml", "services:\n  private_hosts: [127.0.0.0/8]\n  cache: {max_mb: 0}\n")
	if err := os.RemoveAll(filepath.Join(h.dir, "home/cache/web")); err != nil {
		t.Fatal(err)
	}
	if got := h.call("web_fetch", args, nil); !strings.Contains(got, "Words of a private page.") || len(h.cached()) != 0 {
		t.Errorf("without a cache: kept %v", h.cached())
	}
}

// Sessions of one machine ask a host at the pace that is set, together.
func TestPaceOfSessions(t *testing.T) {
	t.Parallel()
	exe := program(t)
	site := newNeighbour(t, page)
	h := newHouse(t, exe, "services:\n  private_hosts: [127.0.0.1]\n  requests_per_second: {127.0.0.1: 0.5}\n")
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() { h.call("web_fetch", fmt.Sprintf(`{"url":%q}`, fmt.Sprint(site.URL, "/", i)), nil) })
	}
	wg.Wait()
	slices.SortFunc(site.at, time.Time.Compare)
	if len(site.at) != 3 || site.at[2].Sub(site.at[0]) < 3900*time.Millisecond {
		t.Errorf("asked at %v", site.at)
	}
}

// Keys go to the address that they are for, and nowhere else.
func TestKeysOfServices(t *testing.T) {
	t.Parallel()
	exe := program(t)
	own, other := newNeighbour(t, "[]"), newNeighbour(t, "[]")
	h := newHouse(t, exe, fmt.Sprintf("services:\n  github: {url: %q, key: GHE}\n", own.URL))
	env := []string{"GHE=ghe-token-1", "GITHUB_TOKEN=other-token-2"}
	h.call("github", `{"operation":"list_repos","owner":"me"}`, env)
	if got := own.asked(); len(got) == 0 || !strings.Contains(got[0], "ghe-token-1") {
		t.Errorf("GitHub was asked %q", got)
	}
	h.call("github", `{"operation":"list_repos","owner":"me"}`, append(env, "GITHUB_API_URL="+other.URL))
	if got := other.asked(); len(got) == 0 {
		t.Error("the variable is not over the file")
	}

	hub, elsewhere := newNeighbour(t, "[]"), newNeighbour(t, "[]")
	env = []string{"HF_ENDPOINT=" + hub.URL, "HF_TOKEN=hf_account", "ML_INTERN_ARXIV_URL=" + elsewhere.URL, "ML_INTERN_SEMANTIC_SCHOLAR_URL=" + elsewhere.URL}
	linked := `{"operation":"linked","arxiv_id":"2401.00001"}`
	h.call("papers", linked, env)
	h.call("papers", linked, append(env, "ML_INTERN_PAPERS_URL="+elsewhere.URL))
	if got := hub.asked(); len(got) == 0 || slices.ContainsFunc(got, func(s string) bool { return !strings.Contains(s, "Bearer hf_account") }) {
		t.Errorf("the Hub was asked %q", got)
	}
	if got := elsewhere.asked(); len(got) == 0 || strings.Contains(strings.Join(got, "\n"), "Bearer") {
		t.Errorf("others were asked %q", got)
	}
}

// A project may not widen what is read, by its file or its .env.
func TestProjectCannotWidenServices(t *testing.T) {
	t.Parallel()
	exe := program(t)
	h := newHouse(t, exe, "")
	run := func() string {
		c := exec.CommandContext(t.Context(), exe, "doctor")
		c.Dir = filepath.Join(h.dir, "w")
		c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir, "ML_INTERN_HOME=" + filepath.Join(h.dir, "home"), "GITHUB_TOKEN=mine", "S2_API_KEY=mine-too"}
		out, _ := c.CombinedOutput()
		return string(out)
	}
	h.write("w/.ml-intern/config.yaml", "services:\n  private_hosts: [127.0.0.1]\n")
	if got := run(); !strings.Contains(got, "config.yaml:2: services private_hosts may not be set by a project's file") {
		t.Error(got)
	}
	h.write("w/.ml-intern/config.yaml", "services:\n  cache: {max_mb: 7}\n")
	h.write("w/.env", "GITHUB_API_URL=http://127.0.0.1:1\n")
	if got := run(); !strings.Contains(got, "GITHUB_API_URL would send the GITHUB_TOKEN") {
		t.Error(got)
	}
	h.write("w/.env", "")
	got := run()
	for _, want := range []string{"semantic_scholar with S2_API_KEY; github with GITHUB_TOKEN; a cache of 7 MB", "duckduckgo"} {
		if !strings.Contains(got, want) {
			t.Errorf("doctor does not say %q: %s", want, got)
		}
	}
	if strings.Contains(got, "mine") {
		t.Error("doctor shows a key")
	}
}
