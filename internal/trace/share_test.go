package trace_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/llm"
	"ml-intern/internal/secret"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
	"ml-intern/internal/trace"
)

// A wire is a Hub that remembers every byte that it was sent.
type wire struct {
	URL  string
	mu   sync.Mutex
	sent bytes.Buffer
}

var token = "hf_" + strings.Repeat("alice", 7)

func newWire(t *testing.T) *wire {
	t.Helper()
	server, err := hubserver.Open(hubserver.Options{Dir: t.TempDir(), Auth: true, Tokens: map[string]hubserver.Account{token: {Name: "alice", Orgs: []string{"acme"}}, "hf_bob": {Name: "bob"}}})
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{}
	h := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		head := r.Header.Clone()
		head.Del("Authorization")
		w.mu.Lock()
		w.sent.WriteString(r.Method + " " + r.URL.String() + "\n")
		_ = head.Write(&w.sent) // a buffer
		w.sent.Write(body)
		w.sent.WriteByte('\n')
		w.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		server.ServeHTTP(rw, r)
	}))
	w.URL = h.URL
	t.Cleanup(func() {
		h.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *wire) client() *hub.Client { return &hub.Client{BaseURL: w.URL, Token: token} }

// all is everything that was sent: as it was, and what is in base64 in it.
func (w *wire) all(t *testing.T) string {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.sent.String()
	for line := range strings.Lines(w.sent.String()) {
		for _, field := range []string{`"content":"`, `"sample":"`} {
			for rest := line; ; {
				_, after, ok := strings.Cut(rest, field)
				if !ok {
					break
				}
				coded, _, _ := strings.Cut(after, `"`)
				if plain, err := base64.StdEncoding.DecodeString(coded); err == nil {
					out += "\n" + string(plain)
				}
				rest = after
			}
		}
	}
	return out
}

func dataset(name string) hub.RepoID {
	return hub.RepoID{Type: hub.Dataset, Namespace: "alice", Name: name}
}

func target(w *wire) trace.Target {
	return trace.Target{Client: w.client(), Repo: dataset("ml-intern-sessions"), Visibility: trace.Private}
}

// share prepares and sends.
func share(t *testing.T, s *shelf, family []session.Summary, to trace.Target) (*trace.Share, trace.Sent, error) {
	t.Helper()
	made, err := trace.Prepare(t.Context(), s.store, family, t.TempDir(), trace.NewScrubber(secret.New(), ""), to)
	if err != nil {
		return nil, trace.Sent{}, err
	}
	sent, err := made.Send(t.Context())
	return made, sent, err
}

// content is a file of the dataset as it is now.
func content(t *testing.T, c *hub.Client, repo hub.RepoID, path string) string {
	t.Helper()
	var out bytes.Buffer
	if _, err := c.Download(t.Context(), repo, "", path, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func commits(t *testing.T, c *hub.Client, repo hub.RepoID) (titles []string) {
	t.Helper()
	for made, err := range c.ListCommits(t.Context(), repo, "") {
		if err != nil {
			t.Fatal(err)
		}
		titles = append(titles, made.Title)
	}
	return titles
}

// The same session is one file, whatever is sent how often.
func TestShare(t *testing.T) {
	t.Parallel()
	w, s := newWire(t), newShelf(t)
	about := talk(s)
	child := s.add(about.ID+"-sub", session.Event{Opened: &session.Opened{ID: about.ID + "-sub", Parent: about.ID}}, prompt("read papers"), reply(text("Three.")))
	family := []session.Summary{about, child}
	c, repo := w.client(), dataset("ml-intern-sessions")

	prepared, err := trace.Prepare(t.Context(), s.store, family, t.TempDir(), trace.NewScrubber(secret.New(), ""), target(w))
	if err != nil || !prepared.New || prepared.Unchanged() || prepared.Updates() {
		t.Fatalf("%v, %+v", err, prepared)
	}
	if sent := w.all(t); strings.Contains(sent, "Count the rows") || strings.Contains(sent, "POST") {
		t.Errorf("something left before anybody said yes:\n%s", sent)
	}
	if exists, err := c.RepoExists(t.Context(), repo); exists || err != nil {
		t.Error("the dataset is there before anybody said yes", err)
	}

	_, sent, err := share(t, s, family, target(w))
	if err != nil || sent.Unchanged || sent.Commit == "" || sent.URL != w.URL+"/datasets/alice/ml-intern-sessions" {
		t.Fatalf("%v, %+v", err, sent)
	}
	info, err := c.RepoInfo(t.Context(), repo, "")
	if err != nil || !info.Private {
		t.Fatalf("%v, private: %v", err, info.Private)
	}
	path := trace.FilePath(about.ID, about.Created)
	want, err := os.ReadFile("testdata/trace.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	got := content(t, c, repo, path)
	if strings.Count(got, "\n") != strings.Count(string(want), "\n") || !strings.Contains(got, "Count the rows") {
		t.Error(got)
	}
	if sub := content(t, c, repo, "sessions/2026-11-27/"+child.ID+".jsonl"); !strings.Contains(sub, `"parent":"`+about.ID+`"`) {
		t.Error(sub)
	}
	if card := content(t, c, repo, "README.md"); !strings.Contains(card, "agent-traces") || !strings.Contains(card, "Do not make this dataset public") {
		t.Error(card)
	}

	again, sent, err := share(t, s, family, target(w))
	if err != nil || !again.Unchanged() || !sent.Unchanged {
		t.Errorf("sent again: %v, %+v", err, sent)
	}
	before := len(commits(t, c, repo))
	about = s.add(about.ID, prompt("once more"), reply(text("Done.")))
	more, sent, err := share(t, s, []session.Summary{about, child}, target(w))
	if err != nil || sent.Unchanged || !more.Updates() || more.Others() != 0 {
		t.Errorf("a longer one: %v, %+v", err, sent)
	}
	if titles := commits(t, c, repo); len(titles) != before+1 || titles[0] != "Update session "+about.ID {
		t.Errorf("%q", titles)
	}
	if got := content(t, c, repo, path); !strings.Contains(got, "once more") || strings.Count(got, `"type":"session"`) != 1 {
		t.Error(got)
	}

	gone, err := trace.Withdraw(t.Context(), c, repo, about.ID, []string{path, "sessions/never.jsonl"})
	if err != nil || gone.Unchanged {
		t.Errorf("%v, %+v", err, gone)
	}
	if there, err := c.FileExists(t.Context(), repo, "", path); there || err != nil {
		t.Error("it is still there", err)
	}
	if gone, err = trace.Withdraw(t.Context(), c, repo, about.ID, []string{path}); err != nil || !gone.Unchanged {
		t.Errorf("%v, %+v", err, gone)
	}
}

// What is meant for few is never put where all can see it.
func TestShareVisibility(t *testing.T) {
	t.Parallel()
	w, s := newWire(t), newShelf(t)
	family := []session.Summary{talk(s)}
	c := w.client()
	to := target(w)
	if _, err := c.CreateRepo(t.Context(), to.Repo, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	none := func(why string) {
		t.Helper()
		if strings.Contains(w.all(t), "Count the rows") {
			t.Errorf("%s: the trace was sent", why)
		}
	}
	if _, _, err := share(t, s, family, to); !errors.Is(err, trace.ErrPublic) {
		t.Errorf("got %v", err)
	}
	none("into a public dataset")
	if _, err := (&hub.Client{BaseURL: w.URL, Token: "hf_bob"}).CreateRepo(t.Context(), hub.RepoID{Type: hub.Dataset, Namespace: "bob", Name: "open"}, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	bobs := to
	bobs.Repo.Namespace, bobs.Repo.Name, bobs.Narrow = "bob", "open", true
	if _, _, err := share(t, s, family, bobs); !errors.Is(err, hub.ErrUnauthorized) {
		t.Errorf("got %v", err)
	}
	none("into somebody else's")

	to.Narrow = true
	if _, _, err := share(t, s, family, to); err != nil {
		t.Fatal(err)
	}
	if info, err := c.RepoInfo(t.Context(), to.Repo, ""); err != nil || !info.Private {
		t.Error("it is public", err)
	}

	// it is made public between the look and the yes
	to.Narrow = false
	longer := s.add(family[0].ID, prompt("a private word"))
	made, err := trace.Prepare(t.Context(), s.store, []session.Summary{longer}, t.TempDir(), trace.NewScrubber(secret.New(), ""), to)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.UpdateSettings(t.Context(), to.Repo, hub.RepoSettings{Visibility: "public"}); err != nil {
		t.Fatal(err)
	}
	if _, err := made.Send(t.Context()); !errors.Is(err, trace.ErrPublic) {
		t.Errorf("got %v", err)
	}
	if strings.Contains(w.all(t), "a private word") {
		t.Error("it was sent all the same")
	}
	to.Visibility = trace.Public
	if _, _, err := share(t, s, []session.Summary{longer}, to); err != nil {
		t.Fatal(err)
	}
	if info, err := c.RepoInfo(t.Context(), to.Repo, ""); err != nil || info.Private {
		t.Error("it is private", err)
	}
}

// A dataset that was moved is another one, which others may see: the Hub sends on
// to it whoever asks for the old name.
func TestShareIntoMoved(t *testing.T) {
	t.Parallel()
	w, s := newWire(t), newShelf(t)
	family := []session.Summary{talk(s)}
	c, to := w.client(), target(w)
	moved := hub.RepoID{Type: hub.Dataset, Namespace: "acme", Name: "logs"}
	made, err := trace.Prepare(t.Context(), s.store, family, t.TempDir(), trace.NewScrubber(secret.New(), ""), to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateRepo(t.Context(), to.Repo, hub.CreateOptions{Private: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.MoveRepo(t.Context(), to.Repo, moved); err != nil {
		t.Fatal(err)
	}
	if _, err := made.Send(t.Context()); err == nil || !strings.Contains(err.Error(), "acme/logs") {
		t.Errorf("moved after the look: %v", err)
	}
	if _, _, err := share(t, s, family, to); err == nil || !strings.Contains(err.Error(), "acme/logs") {
		t.Errorf("got %v", err)
	}
	if strings.Contains(w.all(t), "Count the rows") {
		t.Error("the trace was sent")
	}
	to.Repo = moved
	if _, _, err := share(t, s, family, to); err != nil {
		t.Errorf("by its name: %v", err)
	}
}

// planted are secrets that the redactor knows, by value.
var planted = []string{"correct-horse+battery/staple", "p4ss phrase with spaces!", token}

// shaped are secrets that only look like one.
func shaped() map[string]string {
	r := strings.Repeat
	return map[string]string{
		"hf": "hf_" + r("aB3", 12), "github": "ghp_" + r("aB3", 12), "pat": "github_pat_" + r("aB3", 12), "anthropic": "sk-ant-api03-" + r("aB3x9Z", 8),
		"openai": "sk-proj-" + r("aB3xY9", 8), "aws": "AKIA" + r("AB34", 4), "slack": "xox" + "b-1234567890-" + r("aB3", 6), "google": "AIza" + r("aB3xY", 7),
		"gitlab": "glpat-" + r("aB3xY", 4), "npm": "npm_" + r("aB3", 12), "jwt": base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"1234567890"}`)) + "." + r("aB3x", 10),
		"pem": "-----BEGIN RSA PRIVATE KEY-----\n" + r(r("aB3x", 16)+"\n", 10) + "-----END RSA PRIVATE KEY-----",
	}
}

// disguises are ways in which a value may stand in a text.
func disguises(v string) []string {
	quoted, _ := json.Marshal(v) //nolint:errchkjson // a string
	half := len(v) / 2
	return []string{
		v, url.QueryEscape(v), url.PathEscape(v), hex.EncodeToString([]byte(v)), base64.StdEncoding.EncodeToString([]byte(v)),
		base64.URLEncoding.EncodeToString([]byte("x:" + v)), string(quoted), v[:half] + "\n" + v[half:], `"` + v[:half] + `" + "` + v[half:] + `"`,
		"\x1b[1m" + v[:half] + "\x1b[0m" + v[half:],
	}
}

// No planted secret leaves, wherever and however it stands: every byte that is
// sent is looked through.
func TestNothingLeaves(t *testing.T) {
	t.Parallel()
	w, s := newWire(t), newShelf(t)
	var needles, texts []string
	for _, v := range planted {
		for _, d := range disguises(v) {
			texts = append(texts, "it is "+d+" .")
		}
		half := len(v) / 2
		needles = append(needles, v, url.QueryEscape(v), url.PathEscape(v), hex.EncodeToString([]byte(v)), base64.StdEncoding.EncodeToString([]byte(v)), v[half:], v[:half])
	}
	for _, v := range shaped() {
		texts = append(texts, "export KEY="+v+"\n")
		needles = append(needles, v, strings.ReplaceAll(v, "\n", `\n`), strings.ReplaceAll(v, "\n", `\\n`))
	}
	password := "x7Gq2" + "LmZ9pRt4w"
	texts = append(texts, `{"password": "`+password+`"}`)
	needles = append(needles, password)

	id, sub := "20261127-120000-leak", "20261127-120000-leak-1"
	s.add(id, session.Event{Opened: &session.Opened{ID: id, Dir: "/srv/" + planted[0], Model: "openai/" + planted[0], Hub: "local", Parent: ""}})
	s.add(sub, session.Event{Opened: &session.Opened{ID: sub, Dir: "/srv", Model: "m", Parent: id}})
	for i, text1 := range texts {
		args, err := json.Marshal(map[string]any{"path": "notes/" + text1, "content": text1, text1: []string{text1}})
		if err != nil {
			t.Fatal(err)
		}
		deep, err := json.Marshal(map[string]string{"content": string(args)})
		if err != nil {
			t.Fatal(err)
		}
		half := len(text1) / 2
		c := string(rune('a' + i%26))
		s.add(id,
			session.Event{Prompt: &session.Prompt{Text: text1, Context: text1}},
			session.Event{Note: &session.Note{Guard: text1, Text: text1}},
			reply(llm.Part{Reasoning: text1[:half]}, llm.Part{Reasoning: text1[half:]}, text(text1[:half]), text(text1[half:]), call(text1, text1, string(args)), call(c, "write", string(deep)), call(c+"x", "bash", text1)),
			session.Event{Decided: &session.Decided{CallID: c, Verdict: "allow", By: "person", Args: string(deep), Reason: text1}},
			session.Event{Result: &session.Result{CallID: text1, Full: "/tmp/" + text1, Output: tool.Output{Text: text1, Summary: text1, Artifacts: []tool.Artifact{{Kind: "file", Path: text1}}}}},
			session.Event{Result: &session.Result{CallID: c, Output: tool.Output{Text: string(args), IsError: true, Image: &llm.Image{MediaType: "image/png", Data: []byte(text1)}}}},
			session.Event{Notice: &session.Notice{Kind: text1, Text: text1}},
			session.Event{Switched: &session.Switched{From: text1, To: text1, Reason: text1}},
			session.Event{Compact: &session.Compact{State: text1, Summary: text1, Decisions: []string{text1}}},
			session.Event{Failed: &session.Failed{Reason: text1, Text: text1}},
		)
		s.add(sub, prompt(text1), reply(text(text1)))
	}
	about := s.add(id, session.Event{Renamed: &session.Renamed{Title: "Title " + planted[0]}})
	family := []session.Summary{about, s.add(sub, prompt("end"))}

	to := target(w)
	scrub := trace.NewScrubber(secret.New(planted...), "/home/alice")
	made, err := trace.Prepare(t.Context(), s.store, family, t.TempDir(), scrub, to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := made.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(scrub.Redacted()) < 10 || made.Count.Pictures != len(texts) {
		t.Errorf("%+v, %+v", scrub.Redacted(), made.Count)
	}
	all := w.all(t)
	if !strings.Contains(all, secret.Redacted) || !strings.Contains(all, `"role":"system"`) {
		t.Fatal("the trace was not sent, or it is not seen")
	}
	for _, n := range needles {
		if i := strings.Index(all, n); i >= 0 {
			t.Errorf("%q was sent: …%q", n, all[max(0, i-200):min(len(all), i+100)])
		}
	}
	for _, bad := range []trace.Target{{Client: to.Client, Repo: dataset("x-" + token), Visibility: trace.Private}} {
		if _, err := trace.Prepare(t.Context(), s.store, family, t.TempDir(), scrub, bad); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("a dataset named after a secret: %v", err)
		}
	}
	named := s.add("hf_"+strings.Repeat("aB3", 12), opened("x"), prompt("x"))
	if _, err := trace.Prepare(t.Context(), s.store, []session.Summary{named}, t.TempDir(), scrub, to); err == nil {
		t.Error("a session named after a secret is shared")
	}
}

// Whatever the Hub answers, what is there afterwards is nothing or the whole,
// once.
func TestHubFails(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]hubtest.Fault{
		"the commit is refused":       {Method: "POST", Path: "/commit/", Status: 500},
		"its answer is lost":          {Method: "POST", Path: "/commit/", Lose: true},
		"somebody was quicker":        {Method: "POST", Path: "/commit/", Status: 409},
		"too many requests":           {Method: "POST", Path: "/commit/", Status: 429, Header: map[string]string{"Retry-After": "1"}},
		"the answer is cut":           {Method: "POST", Path: "/commit/", CutAfter: 5},
		"the dataset cannot be made":  {Method: "POST", Path: "/repos/create", Status: 403},
		"its making is not answered":  {Method: "POST", Path: "/repos/create", Lose: true},
		"nobody says how to send":     {Method: "POST", Path: "/preupload/", Status: 502},
		"what is there is not known":  {Method: "GET", Path: "/revision/", Status: 503, After: 1},
		"the Hub talks of the future": {Method: "POST", Path: "/preupload/", Garble: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := hubtest.StartWith(t, hubserver.Options{User: "alice"}), newShelf(t)
			family := []session.Summary{talk(s)}
			to := trace.Target{Client: h.Client, Repo: dataset("ml-intern-sessions"), Visibility: trace.Private}
			h.Break(fault)
			_, _, first := share(t, s, family, to)
			h.Mend()
			_, sent, err := share(t, s, family, to)
			if err != nil {
				t.Fatalf("first %v, then %v", first, err)
			}
			if first == nil != sent.Unchanged {
				t.Logf("first %v, then %+v", first, sent)
			}
			titles := commits(t, h.Client, to.Repo)
			n := 0
			for _, title := range titles {
				if strings.HasPrefix(title, "Add session ") || strings.HasPrefix(title, "Update session ") {
					n++
				}
			}
			got := content(t, h.Client, to.Repo, trace.FilePath(family[0].ID, family[0].Created))
			if n != 1 || strings.Count(got, `"type":"session"`) != 1 || !strings.Contains(got, "4096 rows.") {
				t.Errorf("%d commits of it (%q), and the file is\n%s", n, titles, got)
			}
		})
	}
}
