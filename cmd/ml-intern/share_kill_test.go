package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
	"ml-intern/internal/session/sqlite"
	"ml-intern/internal/tool"
)

// A killer is a Hub at whose request number At the client is killed: before the
// Hub has done anything, or when it has done it and does not answer.
type killer struct {
	t      *testing.T
	server *hubserver.Server
	URL    string

	mu     sync.Mutex
	at     int // 0 for never
	after  bool
	n      int
	client *os.Process
}

func newKiller(t *testing.T) *killer {
	t.Helper()
	server, err := hubserver.Open(hubserver.Options{Dir: t.TempDir(), User: "alice", PartSize: 5 << 20})
	if err != nil {
		t.Fatal(err)
	}
	k := &killer{t: t, server: server}
	h := httptest.NewServer(k)
	k.URL = h.URL
	t.Cleanup(func() {
		h.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func (k *killer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.n++
	now := k.n == k.at
	client, after := k.client, k.after
	k.mu.Unlock()
	if now && after {
		k.server.ServeHTTP(httptest.NewRecorder(), r)
	}
	if now {
		_ = client.Kill() // it may be gone already
		panic(http.ErrAbortHandler)
	}
	k.server.ServeHTTP(w, r)
}

// share runs the program, and kills it at request number at.
func (k *killer) share(program, home string, at int, after bool) (out string, killed bool) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "sessions", "share", "s", "--yes")
	cmd.Dir = k.t.TempDir()
	cmd.Env = []string{"ML_INTERN_HOME=" + home, "HOME=" + home, "HF_ENDPOINT=" + k.URL, "HF_TOKEN=hf_anybody", "PATH=" + os.Getenv("PATH")}
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	k.mu.Lock() // until the process is known
	k.at, k.after, k.n = at, after, 0
	err := cmd.Start()
	k.client = cmd.Process
	k.mu.Unlock()
	if err != nil {
		k.t.Fatal(err)
	}
	err = cmd.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.client, k.at = nil, 0 // what asks from now on is the test
	return text.String(), err != nil
}

// seedShared writes a session of so many bytes into a new home.
func seedShared(t *testing.T, size int) (home string) {
	t.Helper()
	home = t.TempDir()
	store, err := sqlite.Open(t.Context(), filepath.Join(home, "state", "sessions.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r := rand.New(rand.NewPCG(1, 2))
	words := func(n int) string {
		var b strings.Builder
		for b.Len() < n {
			fmt.Fprintf(&b, "%x ", r.Uint64())
		}
		return b.String()
	}
	evs := []session.Event{
		{Opened: &session.Opened{ID: "s", Dir: home, Model: "m", Hub: "local"}},
		{Prompt: &session.Prompt{Text: "go"}},
	}
	for i := 0; i < size/20_000; i++ {
		id := fmt.Sprint("c", i)
		evs = append(evs,
			session.Event{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Call: &llm.ToolCall{ID: id, Name: "bash", Args: "{}"}}}}}}},
			session.Event{Result: &session.Result{CallID: id, Output: tool.Output{Text: words(20_000)}}})
	}
	evs = append(evs, session.Event{Reply: &session.Reply{Reply: llm.Reply{Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: "the end"}}}, End: llm.End{Reason: llm.EndStop}}}})
	for i := range evs {
		evs[i].Seq, evs[i].Time = int64(i+1), time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	}
	if err := store.Append(t.Context(), "s", evs...); err != nil {
		t.Fatal(err)
	}
	return home
}

// check looks at what is on the Hub: one trace, whole, by one commit.
func (k *killer) check(what string) {
	k.t.Helper()
	client := &hub.Client{BaseURL: k.URL}
	repo := hub.RepoID{Type: hub.Dataset, Namespace: "alice", Name: "ml-intern-sessions"}
	n := 0
	for c, err := range client.ListCommits(k.t.Context(), repo, "") {
		if err != nil {
			k.t.Fatal(err)
		}
		if strings.HasSuffix(c.Title, " session s") {
			n++
		}
	}
	var got bytes.Buffer
	if _, err := client.Download(k.t.Context(), repo, "", "sessions/2026-11-27/s.jsonl", &got); err != nil {
		k.t.Fatalf("%s: %v", what, err)
	}
	if n != 1 || strings.Count(got.String(), `"type":"session"`) != 1 || !strings.Contains(got.String(), "the end") {
		k.t.Errorf("%s: %d commits, %d bytes", what, n, got.Len())
	}
	var others []string
	for e, err := range client.ListTree(k.t.Context(), repo, hub.TreeOptions{Recursive: true}) {
		if err != nil {
			k.t.Fatal(err)
		}
		if strings.HasSuffix(e.Path, ".jsonl") {
			others = append(others, e.Path)
		}
	}
	if len(others) != 1 {
		k.t.Errorf("%s: there are %q", what, others)
	}
}

// A share that was killed, at whatever request, is finished by the next one:
// nothing is lost, and nothing is there twice.
func TestShareKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts the program some sixty times")
	}
	t.Parallel()
	program := program(t)
	for name, c := range map[string]struct{ size, from int }{
		"small": {50_000, 1},
		"large": {10_600_000, 6}, // sent apart from the commit, in parts; until then it is as with the small one
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home := seedShared(t, c.size)
			for _, after := range []bool{false, true} {
				for at := c.from; ; at++ {
					k := newKiller(t)
					what := fmt.Sprintf("killed at request %d, when it was done: %v", at, after)
					out, killed := k.share(program, home, at, after)
					if !killed {
						if at < 8 {
							t.Fatalf("it was over after %d requests:\n%s", at, out)
						}
						k.check("not killed")
						break
					}
					if out, failed := k.share(program, home, 0, false); failed || !strings.Contains(out, "/datasets/alice/ml-intern-sessions") {
						t.Fatalf("%s: then\n%s", what, out)
					}
					k.check(what)
					if left, err := filepath.Glob(filepath.Join(home, "state", "shares", "work-*")); err != nil || len(left) > 0 {
						t.Errorf("%s: %q are left, %v", what, left, err)
					}
					if c.from > 1 {
						continue
					}
					if out, failed := k.share(program, home, 0, false); failed || !strings.Contains(out, "nothing has changed") {
						t.Errorf("%s: a third time:\n%s", what, out)
					}
				}
			}
		})
	}
}
