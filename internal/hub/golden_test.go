package hub_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
)

// A golden is something that both clients can do. What the official one asked
// the server for is in testdata/golden; `make test-interop UPDATE=1` records it
// again.
type golden struct {
	name string
	ours func(ctx context.Context, c *hub.Client, source string) error // nil while our client cannot

	unordered bool // both clients do parts of it in parallel
	part      int64
	differ    []difference // what our client does otherwise, and why that is right
}

var goldenRepo = hub.RepoID{Type: hub.Model, Namespace: "me", Name: "golden"}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, g := range goldens() {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata", "golden", g.name+".txt")
			if os.Getenv("ML_INTERN_UPDATE_GOLDEN") != "" {
				record(t, g, file)
			}
			if g.ours == nil {
				t.Skip("our client has no call for this yet")
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			tape := goldenHub(t, g.part)
			c := &hub.Client{BaseURL: tape.url, Token: "hf_golden"}
			if err := g.ours(t.Context(), c, tape.source); err != nil {
				t.Fatal(err)
			}
			compareSteps(t, g, readSteps(t, want), tape.stop())
		})
	}
}

func compareSteps(t *testing.T, g golden, want, got []step) {
	t.Helper()
	for _, d := range g.differ {
		var used bool
		if want, used = d.mend(want); !used {
			t.Errorf("nothing is as the difference %q says: take it out", d.why)
		}
	}
	if g.unordered {
		slices.SortFunc(want, func(a, b step) int { return strings.Compare(a.String(), b.String()) })
		slices.SortFunc(got, func(a, b step) int { return strings.Compare(a.String(), b.String()) })
	}
	for i := range max(len(want), len(got)) {
		var w, o string
		if i < len(want) {
			w = want[i].String()
		}
		if i < len(got) {
			o = got[i].String()
		}
		if w != o {
			t.Errorf("request %d\nof the official client:\n%s\nof ours:\n%s", i+1, w, o)
		}
	}
}

// A difference changes the official client's steps to what ours does.
type difference struct {
	why  string
	mend func([]step) (steps []step, used bool)
}

// without leaves out the requests that begin so.
func without(why string, beginnings ...string) difference {
	return difference{why, func(in []step) ([]step, bool) {
		out := slices.DeleteFunc(slices.Clone(in), func(s step) bool {
			return slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(s.line, b) })
		})
		return out, len(out) < len(in)
	}}
}

// replace changes the text of all requests.
func replace(why, old, with string) difference {
	return difference{why, func(in []step) ([]step, bool) {
		used := false
		out := slices.Clone(in)
		for i, s := range out {
			line, body := strings.ReplaceAll(s.line, old, with), strings.ReplaceAll(s.body, old, with)
			used = used || line != s.line || body != s.body
			out[i] = step{line, s.kind, body}
		}
		return out, used
	}}
}

// once leaves out the repetitions of a request.
func once(why, beginning string) difference {
	return difference{why, func(in []step) ([]step, bool) {
		var out []step
		for _, s := range in {
			if !strings.HasPrefix(s.line, beginning) || !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
		return out, len(out) < len(in)
	}}
}

// A step is one request, without what is different each time.
type step struct {
	line string // method, path and query
	kind string // content type
	body string
}

func (s step) String() string {
	out := s.line + "\n"
	if s.kind != "" {
		out += "content-type: " + s.kind + "\n"
	}
	return out + s.body
}

const goldenHead = "# What huggingface_hub asks the server for; made by `make test-interop UPDATE=1`.\n\n"

func writeSteps(t *testing.T, file string, steps []step) {
	t.Helper()
	var b strings.Builder
	b.WriteString(goldenHead)
	for _, s := range steps {
		fmt.Fprintf(&b, "%s\n", strings.TrimRight(s.String(), "\n")+"\n")
	}
	if err := os.WriteFile(file, []byte(strings.TrimRight(b.String(), "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readSteps(t *testing.T, data []byte) []step {
	t.Helper()
	text, ok := strings.CutPrefix(strings.ReplaceAll(string(data), "\r\n", "\n"), goldenHead)
	if !ok {
		t.Fatal("the golden file does not begin as it must")
	}
	var steps []step
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		line, rest, _ := strings.Cut(block, "\n")
		s := step{line: line}
		if after, ok := strings.CutPrefix(rest, "content-type: "); ok {
			s.kind, rest, _ = strings.Cut(after, "\n")
		}
		if s.body = rest; rest != "" {
			s.body += "\n"
		}
		steps = append(steps, s)
	}
	return steps
}

// A tape is a server that notes what it is asked for.
type tape struct {
	url    string
	source string // files to upload
	server *hubserver.Server

	mu    sync.Mutex
	steps []step
}

// goldenHub serves a repository with a few files, the same for both clients.
func goldenHub(t *testing.T, part int64) *tape {
	t.Helper()
	s, err := hubserver.Open(hubserver.Options{Dir: t.TempDir(), PartSize: part, Jobs: oneJob{}, RunJobs: true})
	if err != nil {
		t.Fatal(err)
	}
	tp := &tape{server: s, source: t.TempDir()}
	plain := httptest.NewServer(s)
	defer plain.Close()
	c := &hub.Client{BaseURL: plain.URL}
	data := goldenRepo
	data.Type = hub.Dataset
	for _, repo := range []hub.RepoID{goldenRepo, data} {
		if _, err := c.CreateRepo(t.Context(), repo, hub.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = c.Upload(t.Context(), goldenRepo, hub.Commit{Files: []hub.File{
		{Path: "there.txt", Content: []byte("there")},
		{Path: "there.bin", Content: noise(3000, 1)},
		{Path: "dir/x.txt", Content: []byte("x")},
		{Path: "dir/sub/y.txt", Content: []byte("y")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	branch := bytes.NewReader([]byte(`{"startingPoint":"main"}`))
	resp, err := http.Post(plain.URL+"/api/models/me/golden/branch/feat%2Fx", "application/json", branch)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("create branch: %v %v", resp, err)
	}
	resp.Body.Close()
	for name, content := range map[string][]byte{
		"a.txt": []byte("some text\n"), "there.txt": []byte("there"), "there.bin": noise(3000, 1), "empty": {},
		"README.md": []byte("---\nlicense: mit\n---\n# Hi\n"), "big.bin": noise(2<<20+5, 2), "ünï/日本 #1 100%.txt": []byte("odd"),
		"folder/a.txt": []byte("a"), "folder/sub/b.txt": []byte("b"), "folder/sub/w.bin": noise(2000, 3), "folder/README.md": []byte("# no card\n"),
	} {
		path := filepath.Join(tp.source, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	recording := httptest.NewServer(tp)
	t.Cleanup(recording.Close)
	tp.url = recording.URL
	return tp
}

func (tp *tape) stop() []step {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.steps
}

// ServeHTTP notes a request and passes it on.
func (tp *tape) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if s := tp.step(r, body); s.line != "GET /api/agent-harnesses" { // is asked for once a day
		tp.mu.Lock()
		tp.steps = append(tp.steps, s)
		tp.mu.Unlock()
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	tp.server.ServeHTTP(w, r)
}

var (
	commitID   = regexp.MustCompile(`\b[0-9a-f]{40}\b`)
	eventID    = regexp.MustCompile(`/comment/[^/]+/`)
	partETag   = regexp.MustCompile(`"etag":"[^,}]*"`)
	scheduleID = regexp.MustCompile(`^(/api/scheduled-jobs/[^/]+)/[^/?]+`)
	signedPath = regexp.MustCompile(`^(/api/storage/[a-z]+)/.*`) // what follows is the server's affair
)

// step is the request without commit ids, signatures and random names.
func (tp *tape) step(r *http.Request, body []byte) step {
	path := r.URL.EscapedPath()
	if signedPath.MatchString(path) {
		path = signedPath.ReplaceAllString(path, "$1/{signed}")
	} else if q := r.URL.Query().Encode(); q != "" { // in the order of the names
		path += "?" + q
	}
	path = eventID.ReplaceAllString(path, "/comment/{event}/")
	path = scheduleID.ReplaceAllString(path, "$1/{id}")
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	s := step{line: r.Method + " " + commitID.ReplaceAllString(path, "{commit}"), kind: kind}
	if len(body) > 0 {
		s.body = strings.ReplaceAll(canonical(kind, body), tp.url, "{hub}")
		s.body = partETag.ReplaceAllString(s.body, `"etag":"{tag}"`) + "\n"
		if !strings.Contains(s.body, `"oid"`) {
			s.body = commitID.ReplaceAllString(s.body, "{commit}")
		}
	}
	return s
}

// canonical writes JSON with its names in order and forms likewise; the rest
// byte for byte, if it is not long.
func canonical(kind string, body []byte) string {
	if kind == "application/x-www-form-urlencoded" {
		if q, err := url.ParseQuery(string(body)); err == nil {
			return q.Encode()
		}
	}
	var lines []string
	for line := range bytes.Lines(body) {
		var v any
		if json.Unmarshal(line, &v) != nil {
			return plain(body)
		}
		text, err := json.Marshal(v)
		if err != nil {
			return plain(body)
		}
		lines = append(lines, string(text))
	}
	return strings.Join(lines, "\n")
}

func plain(body []byte) string {
	if len(body) > 500 || !utf8.Valid(body) || bytes.ContainsAny(body, "\x00\n") {
		return fmt.Sprintf("(%d bytes, checksum %x)", len(body), checksum(body))
	}
	return string(body)
}

// record has the official client do the same and writes its requests down.
func record(t *testing.T, g golden, file string) {
	t.Helper()
	tp := goldenHub(t, g.part)
	cmd := exec.CommandContext(t.Context(), os.Getenv("ML_INTERN_TEST_PYTHON"), filepath.Join("testdata", "golden", "record.py"), g.name, tp.source)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "HF_HOME=" + t.TempDir(), "HF_ENDPOINT=" + tp.url, "HF_TOKEN=hf_golden",
		"HF_HUB_DISABLE_XET=1", "HF_HUB_DISABLE_TELEMETRY=1", "HF_HUB_DISABLE_PROGRESS_BARS=1", "NO_PROXY=*", "no_proxy=*",
	}
	if out, err := cmd.CombinedOutput(); bytes.Contains(out, []byte("this server has no ")) || bytes.Contains(out, []byte("this server keeps no ")) {
		t.Skip("the server cannot do this yet")
	} else if err != nil {
		t.Fatalf("record %s: %v\n%s", g.name, err, out)
	}
	writeSteps(t, file, tp.stop())
}
