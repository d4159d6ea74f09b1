//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/fetch/fetchtest"
	"ml-intern/internal/github/githubtest"
	"ml-intern/internal/hfdocs/hfdocstest"
	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/paper/papertest"
	"ml-intern/internal/session"
	"ml-intern/internal/websearch/websearchtest"
)

// Keys of every service, none of which may reach another one.
const (
	hubKey     = "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH"
	gitHubKey  = "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789"
	scholarKey = "s2-key-0123456789abcdef"
	braveKey   = "brave-key-0123456789abcdef"
	tavilyKey  = "tvly-key-0123456789abcdef"
)

// A reader is the program with a web of its own: all services under their true
// names, in their formats.
type reader struct {
	*testing.T
	exe, dir string
	web      *fetchtest.Web
	papers   *papertest.World
	github   *githubtest.Server
	docs     map[string]string // answers by path
	hub      *hubtest.Hub
	env      []string // more variables
	flags    []string

	meanwhile func(*os.Process) // what is done while the program runs
}

func newReader(t *testing.T, exe string) *reader {
	t.Helper()
	r := &reader{T: t, exe: exe, dir: t.TempDir(), web: fetchtest.New(t), papers: papertest.New(t), github: githubtest.New(t)}
	for _, dir := range []string{"home", "w"} {
		if err := os.Mkdir(filepath.Join(r.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r.configure("30s")
	r.docs = map[string]string{
		"/api/docs": hfdocstest.Libraries, "/docs/trl/llms.txt": hfdocstest.Pages, "/docs/trl/sft_trainer.md": "# SFT Trainer\n\nIt trains.\n\n## Packing[[packing]]\n\nIt packs.\n",
		"/api/docs/search": hfdocstest.Found, "/api/docs/search/full-text": hfdocstest.Words, "/.well-known/openapi.json": hfdocstest.OpenAPI,
	}
	r.hub = hubtest.StartWith(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{hubKey: {Name: "ada"}}})
	docs := hfdocstest.Handler(r.docs)
	r.web.Handle("huggingface.co", http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		p := q.URL.Path
		switch {
		case strings.HasPrefix(p, "/api/docs"), strings.HasPrefix(p, "/docs/"), strings.HasPrefix(p, "/.well-known/openapi"):
			docs.ServeHTTP(w, q)
		case strings.HasPrefix(p, "/api/papers"), strings.HasPrefix(p, "/api/daily_papers"), strings.HasPrefix(p, "/api/collections"), q.URL.Query().Has("filter"):
			r.papers.ServeHTTP(w, q)
		default:
			r.hub.ServeHTTP(w, q)
		}
	}))
	r.web.Handle("datasets-server.huggingface.co", r.hub)
	for _, host := range []string{"arxiv.org", "export.arxiv.org", "api.semanticscholar.org"} {
		r.web.Handle(host, r.papers)
	}
	r.web.Handle("ar5iv.labs.arxiv.org", papertest.Status(404))
	r.web.Handle("api.github.com", r.github)
	for host, answer := range map[string]string{"api.search.brave.com": websearchtest.Brave, "api.tavily.com": websearchtest.Tavily, "searx.example": websearchtest.SearXNG} {
		r.web.Handle(host, papertest.Text("application/json", answer))
	}
	r.web.Handle("html.duckduckgo.com", papertest.Text("text/html; charset=utf-8", websearchtest.DuckDuckGo))
	return r
}

// configure lets the program ask hosts in quick succession, each for so long,
// and gives its model a price.
func (r *reader) configure(timeout string) {
	r.Helper()
	text := "services:\n  timeout: " + timeout + "\n  requests_per_second: {\"*\": 1000, arxiv.org: 1000, export.arxiv.org: 1000, ar5iv.labs.arxiv.org: 1000}\n" +
		"models:\n  openai/test: {price: {input: 2, output: 10}}\n"
	dir := filepath.Join(r.dir, "home", "config")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(text), 0o600); err != nil {
		r.Fatal(err)
	}
}

// keys gives the program the keys of all services.
func (r *reader) keys() {
	r.env = append(r.env, "HF_TOKEN="+hubKey, "GITHUB_TOKEN="+gitHubKey, "S2_API_KEY="+scholarKey, "BRAVE_API_KEY="+braveKey, "TAVILY_API_KEY="+tavilyKey)
}

// An outcome is what became of one run of the program.
type outcome struct {
	results []session.Result // of the calls, in order, as the log has them
	told    []string         // the same as the model was told in the next request
	seen    []llmtest.Seen
	output  string // the events
	said    string // on standard error
	code    int
	peak    float64 // memory in MB
	took    time.Duration
}

// command is the program in the reader's web, with a model at url.
func (r *reader) command(url string, args ...string) *exec.Cmd {
	c := exec.CommandContext(r.Context(), r.exe, append([]string{"--model", "openai/test", "--output", "events"}, append(r.flags, args...)...)...)
	c.Dir = filepath.Join(r.dir, "w")
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "ML_INTERN_HOME=" + filepath.Join(r.dir, "home"), "OPENAI_BASE_URL=" + url, "OPENAI_API_KEY=x", "NO_PROXY=127.0.0.1"}, r.web.Environ()...)
	c.Env = append(c.Env, "GOMEMLIMIT=192MiB") // what it must hold is measured, not how late a busy machine collects
	c.Env = append(c.Env, r.env...)
	return c
}

// play runs the program against a model that plays the turns.
func (r *reader) play(turns ...llmtest.Turn) outcome {
	r.Helper()
	return r.follow(func(n int, _ []byte) llmtest.Turn {
		if n < len(turns) {
			return turns[n]
		}
		return llmtest.Turn{Status: http.StatusTeapot}
	})
}

// follow runs the program against a model that goes by what it is told.
func (r *reader) follow(next func(n int, body []byte) llmtest.Turn) outcome {
	r.Helper()
	var s *llmtest.Server
	made := make(chan struct{})
	s = llmtest.NewServerFunc(func(n int) (llmtest.Turn, bool) {
		<-made
		return next(n, s.Seen()[n].Body), true
	})
	close(made)
	defer s.Close()
	words := []string{"go"}
	if slices.Contains(r.flags, "--continue") {
		words = nil
	}
	c := r.command(s.URL, words...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	began := time.Now()
	if err := c.Start(); err != nil {
		r.Fatal(err)
	}
	var got outcome
	var watch sync.WaitGroup
	watch.Go(func() { got.peak = peakMemory(c.Process.Pid) })
	if r.meanwhile != nil {
		watch.Go(func() { r.meanwhile(c.Process) })
	}
	err := c.Wait()
	got.took = time.Since(began)
	watch.Wait()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got.code = e.ExitCode()
	} else if err != nil {
		r.Fatal(err)
	}
	got.seen, got.output, got.said = s.Seen(), out.String(), errs.String()
	return got
}

// ask lets the model make the calls in one reply and then answer. Nothing else
// may happen.
func (r *reader) ask(calls ...llmtest.TurnCall) outcome {
	r.Helper()
	calls = slices.Clone(calls) // which other tests may share
	for i := range calls {
		calls[i].ID = "c" + strconv.Itoa(i)
	}
	got := r.play(llmtest.Turn{Calls: calls}, llmtest.Turn{Text: "done"})
	if got.code != 0 || len(got.seen) != 2 {
		r.Fatalf("exit %d after %d requests\n%s", got.code, len(got.seen), got.said)
	}
	byID := toldTo(r.T, got.seen[1].Body)
	started := 0
	results := map[string]session.Result{}
	for line := range strings.Lines(got.output) {
		var ev session.Event
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			r.Fatalf("%v in %s", err, line)
		}
		if ev.Started != nil {
			started++
		}
		if ev.Result != nil {
			results[ev.Result.CallID] = *ev.Result
		}
	}
	if started > len(calls) || len(results) != len(calls) {
		r.Errorf("%d calls started and %d have results, of %d", started, len(results), len(calls))
	}
	for _, c := range calls {
		got.results, got.told = append(got.results, results[c.ID]), append(got.told, byID[c.ID])
	}
	return got
}

// toldTo are the results in a request, by call.
func toldTo(t *testing.T, body []byte) map[string]string {
	t.Helper()
	var request struct {
		Messages []struct {
			Role    string
			Content json.RawMessage
			ID      string `json:"tool_call_id"`
		}
	}
	if err := json.Unmarshal(body, &request); err != nil {
		t.Fatal(err)
	}
	byID := map[string]string{}
	for _, m := range request.Messages {
		var text string
		if m.Role == "tool" {
			if err := json.Unmarshal(m.Content, &text); err != nil {
				t.Fatalf("%v in %s", err, m.Content)
			}
			byID[m.ID] = text
		}
	}
	return byID
}

// use is a call with arguments.
func use(name string, args map[string]any) llmtest.TurnCall {
	text, err := json.Marshal(args)
	if err != nil {
		panic(err) // strings and numbers have JSON
	}
	return llmtest.TurnCall{Name: name, Args: string(text)}
}

type args = map[string]any

// dataset puts a data set with a card and rows on the Hub.
func (r *reader) dataset(name, card, rows string) {
	r.Helper()
	c := *r.hub.Client
	c.Token = hubKey
	repo := hub.RepoID{Type: hub.Dataset, Namespace: "ada", Name: name}
	if _, err := c.CreateRepo(r.Context(), repo, hub.CreateOptions{}); err != nil {
		r.Fatal(err)
	}
	files := []hub.File{{Path: "README.md", Content: []byte(card)}, {Path: "train.csv", Content: []byte(rows)}}
	if _, err := c.Upload(r.Context(), repo, hub.Commit{Message: "add", Files: files}); err != nil {
		r.Fatal(err)
	}
}

// peakMemory polls the kernel's high-water mark of a process until it ends; 0
// where there is no /proc.
func peakMemory(pid int) (mb float64) {
	for {
		status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
		if err != nil {
			return mb
		}
		_, rest, ok := strings.Cut(string(status), "VmHWM:")
		if !ok {
			return mb // a zombie has no memory any more
		}
		if fields := strings.Fields(rest); len(fields) > 0 {
			if kb, err := strconv.ParseFloat(fields[0], 64); err == nil {
				mb = kb * 1024 / 1e6
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
}
