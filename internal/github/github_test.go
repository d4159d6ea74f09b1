package github_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/fetch"
	"ml-intern/internal/github"
	"ml-intern/internal/github/githubtest"
)

// A fake is GitHub, with clients of it.
type fake struct{ *githubtest.Server }

func newFake(t *testing.T) *fake {
	t.Helper()
	return &fake{githubtest.New(t)}
}

func (f *fake) client(token, dir string) *github.Client {
	get := &fetch.Client{Trust: true, Dir: dir, Timeout: time.Minute, MaxBytes: 8 << 20, Pace: map[string]time.Duration{"127.0.0.1": time.Nanosecond}, Private: []string{"127.0.0.0/8"}}
	return &github.Client{Fetch: get, BaseURL: f.URL, Token: token}
}

func (f *fake) count() int { return len(f.Asked()) }

func TestRead(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	large := strings.Repeat("0123456789abcdef", 70_000)
	f.File("o/r", "a%20b/c.py", "", "print(1)\n")
	f.File("o/r", "large.txt", "", large)
	f.File("o/r", "huge.bin", "", strings.Repeat("x", 9<<20))
	f.File("o/r", "empty", "", "")
	f.File("o/r", "x.md", "feature/y", "# x\n")
	f.File("o/r", "x.md", "v1", "# one\n")
	f.JSON("/repos/o/r/contents/", []any{map[string]any{"type": "dir", "path": "examples"}, map[string]any{"type": "file", "path": "x.md", "size": 3}})
	f.JSON("/repos/o/r/contents/link", map[string]any{"type": "symlink", "path": "link", "target": "/etc/x"})
	f.JSON("/repos/o/r/contents/sub", map[string]any{"type": "file", "path": "sub", "submodule_git_url": "https://github.com/p/q"})
	f.JSON("/repos/o/r/git/matching-refs/heads/feature/", []any{map[string]any{"ref": "refs/heads/feature/y"}, map[string]any{"ref": "refs/heads/feature/x"}})
	f.Status("/repos/old/name/contents/x.md", http.StatusMovedPermanently, "{}", "Location", f.URL+"/repositories/7/contents/x.md")
	f.Answer("/repositories/7/contents/x.md", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"type":"file","path":"x.md","size":1,"encoding":"base64","content":"eA==","html_url":"https://github.com/new/name/blob/main/x.md"}`)
	})
	f.Tree("o/r", "HEAD", "src/trainer/sft_trainer.py", "README.md")
	f.Status("/repos/o/empty/git/trees/HEAD?recursive=1", http.StatusConflict, `{"message":"Git Repository is empty."}`)
	c := f.client("", "")
	tests := []struct {
		place     github.Place
		data, err string
		note      string
	}{
		{github.Place{Path: "a b/c.py"}, "print(1)\n", "", ""},
		{github.Place{Path: "large.txt"}, large, "", ""},
		{github.Place{Path: "empty"}, "", "", ""},
		{github.Place{Path: "x.md", Ref: "feature/y"}, "# x\n", "", ""},
		{github.Place{Path: "y/x.md", Ref: "feature"}, "# x\n", "", ""},
		{github.Place{Path: "x.md", Ref: "v1"}, "# one\n", "", ""},
		{github.Place{Path: "link"}, "", "", "symbolic link to /etc/x"},
		{github.Place{Path: "sub"}, "", "", "https://github.com/p/q"},
		{github.Place{Repo: "old/name", Path: "x.md"}, "x", "", ""},
		{github.Place{Path: "huge.bin"}, "", "clone the repository", ""},
		{github.Place{Path: "trl/sft_trainer.py"}, "", "did you mean src/trainer/sft_trainer.py", ""},
		{github.Place{Repo: "o/empty", Path: "x"}, "", "the repository is empty", ""},
	}
	for _, tt := range tests {
		if tt.place.Repo == "" {
			tt.place.Repo = "o/r"
		}
		got, err := c.Read(t.Context(), tt.place)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%+v: error %v, want %q", tt.place, err, tt.err)
			}
			continue
		}
		if err != nil || string(got.Data) != tt.data || !strings.Contains(got.Note, tt.note) {
			t.Errorf("%+v: %.200v, %v", tt.place, got, err)
		}
	}
	if got, err := c.Read(t.Context(), github.Place{Repo: "o/r"}); err != nil || !got.Folder || len(got.Entries) != 2 {
		t.Errorf("root: %+v, %v", got, err)
	}
	if got, err := c.Read(t.Context(), github.Place{Repo: "old/name", Path: "x.md"}); err != nil || got.Repo != "new/name" {
		t.Errorf("moved: %+v, %v", got, err)
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.JSON("/search/repositories", map[string]any{"total_count": 1, "items": []any{map[string]any{"full_name": "o/right"}}})
	f.JSON("/repos/o/r/branches?per_page=100", []any{map[string]any{"name": "main"}})
	c := f.client("", "")
	if _, err := c.Tree(t.Context(), "o/rigth", ""); !errors.Is(err, github.ErrUnknown) || !strings.Contains(err.Error(), "did you mean o/right") {
		t.Errorf("repository: %v", err)
	}
	if _, err := c.Tree(t.Context(), "o/r", "mian"); !errors.Is(err, github.ErrUnknown) || !strings.Contains(err.Error(), "some branches: main") {
		t.Errorf("branch: %v", err)
	}
	if _, err := c.Tree(t.Context(), "o/r", "feature/mian"); !errors.Is(err, github.ErrUnknown) {
		t.Errorf("branch with slash: %v", err)
	}
}

func TestBranchWithSlash(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	sha := strings.Repeat("ab", 20)
	f.Status("/repos/o/r/commits/feature/x", http.StatusOK, sha)
	f.Tree("o/r", sha, "examples/a.py")
	found, err := f.client("", "").Examples(t.Context(), "o/r", "feature/x", "", 5)
	if err != nil || found.Total != 1 {
		t.Errorf("%+v, %v", found, err)
	}
}

// What GitHub leaves out of a large tree is asked for where examples are.
func TestTruncatedTree(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.JSON("/repos/o/r/git/trees/HEAD?recursive=1", map[string]any{"sha": "c0", "url": f.URL + "/repos/o/r/git/trees/c0", "truncated": true, "tree": []any{map[string]any{"path": "a.txt", "type": "blob"}}})
	f.JSON("/repos/o/r/git/trees/HEAD", map[string]any{"sha": "c0", "tree": []any{map[string]any{"path": "examples", "type": "tree", "sha": "e1"}, map[string]any{"path": "src", "type": "tree", "sha": "e2"}}})
	f.JSON("/repos/o/r/git/trees/e1?recursive=1", map[string]any{"sha": "e1", "tree": []any{map[string]any{"path": "sft/train.py", "type": "blob"}}})
	found, err := f.client("", "").Examples(t.Context(), "o/r", "", "sft", 5)
	if err != nil || !found.Truncated || found.Total != 1 || found.Files[0].Path != "examples/sft/train.py" {
		t.Errorf("%+v, %v", found, err)
	}
}

// The best by stars come first, wherever GitHub has them.
func TestPages(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.Answer("/search/repositories", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		page, _ := strconv.Atoi(q.Get("page"))
		if q.Get("sort") != "stars" || q.Get("order") != "desc" || q.Get("q") != "user:o" {
			t.Errorf("asked %s", r.URL)
		}
		page = max(page, 1)
		var items []any
		for i := range 100 {
			items = append(items, map[string]any{"full_name": fmt.Sprintf("o/r%d", (page-1)*100+i), "stargazers_count": 1000 - page*100 - i})
		}
		if page < 3 {
			q.Set("page", strconv.Itoa(page+1))
			w.Header().Set("Link", fmt.Sprintf(`<%s/search/repositories?%s>; rel="next", <%s/x>; rel="last"`, f.URL, q.Encode(), f.URL))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"total_count": 300, "items": items})
	})
	found, err := f.client("", "").SearchRepos(t.Context(), github.RepoQuery{Owner: "o", Limit: 250})
	if err != nil || len(found.Repos) != 250 || found.Repos[249].Name != "o/r249" || f.count() != 3 {
		t.Errorf("%d repositories with %d requests, %v", len(found.Repos), f.count(), err)
	}
}

// A next page on another host is not asked for.
func TestHostileLink(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.Status("/search/repositories", http.StatusOK, `{"total_count":9,"items":[{"full_name":"o/r"}]}`, "Link", `<https://evil.example/next>; rel="next"`)
	found, err := f.client("ghp_secret", "").SearchRepos(t.Context(), github.RepoQuery{Words: "x"})
	if err != nil || len(found.Repos) != 1 {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestTokenStays(t *testing.T) {
	t.Parallel()
	var got []string
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
		fmt.Fprint(w, `{"type":"file","size":1,"encoding":"base64","content":"eA=="}`)
	}))
	defer evil.Close()
	f := newFake(t)
	f.Status("/repos/o/r/contents/x", http.StatusMovedPermanently, "", "Location", evil.URL+"/x")
	_, err := f.client("ghp_secret", "").Read(t.Context(), github.Place{Repo: "o/r", Path: "x"})
	if len(got) != 1 || got[0] != "" {
		t.Errorf("another host saw %q (%v)", got, err)
	}
	if !strings.HasSuffix(f.Asked()[0], "Bearer ghp_secret") {
		t.Errorf("GitHub saw %q", f.Asked())
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.File("o/r", "a", "", "A")
	f.File("o/r", "b", "", "B")
	f.Left(1)
	c := f.client("", t.TempDir())
	if _, err := c.Read(t.Context(), github.Place{Repo: "o/r", Path: "a"}); err != nil {
		t.Fatal(err)
	}
	_, err := c.Read(t.Context(), github.Place{Repo: "o/r", Path: "b"})
	var limit *github.LimitError
	if !errors.As(err, &limit) || !errors.Is(err, fetch.ErrRateLimited) || time.Until(limit.Until) < 25*time.Minute || !strings.Contains(err.Error(), "GITHUB_TOKEN raises it") {
		t.Errorf("error %v", err)
	}
	if f.count() != 1 {
		t.Errorf("%d requests: GitHub was asked when it had said that it would not answer", f.count())
	}
	if got, err := c.Read(t.Context(), github.Place{Repo: "o/r", Path: "a"}); err != nil || string(got.Data) != "A" {
		t.Errorf("what the cache has: %v, %v", got, err)
	}
	fresh := f.client("", "") // one that learns of the limit by a refusal
	for range 2 {
		if _, err := fresh.Read(t.Context(), github.Place{Repo: "o/r", Path: "b"}); !errors.Is(err, fetch.ErrRateLimited) {
			t.Errorf("error %v", err)
		}
	}
	if f.count() != 2 {
		t.Errorf("%d requests, want one more", f.count())
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, token string
		status      int
		body        string
		header      []string
		want        string
		limited     bool
	}{
		{"secondary with a wait", "t", 403, `{"message":"You have exceeded a secondary rate limit."}`, []string{"Retry-After", "90"}, "in 1m30s", true},
		{"secondary without", "t", 403, `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes."}`, nil, "in 1m0s", true},
		{"too many", "", 429, `{}`, []string{"Retry-After", "300"}, "in 5m0s", true},
		{"bad token", "t", 401, `{"message":"Bad credentials"}`, nil, "does not know the token", false},
		{"forbidden", "", 403, `{"message":"Repository access blocked"}`, nil, "Repository access blocked", false},
		{"not JSON", "", 200, `<html>unicorn</html>`, nil, "did not answer with", false},
		{"nothing", "", 200, ``, nil, "did not answer with", false},
		{"odd base64", "", 200, `{"type":"file","size":3,"encoding":"base64","content":"%%%"}`, nil, "not base64", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.Status("/repos/o/r/contents/x", tt.status, tt.body, tt.header...)
			_, err := f.client(tt.token, "").Read(t.Context(), github.Place{Repo: "o/r", Path: "x"})
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, fetch.ErrRateLimited) != tt.limited {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestSearchCode(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.JSON("/search/code", map[string]any{"total_count": 5, "items": []any{map[string]any{
		"path": "a.py", "html_url": "https://github.com/o/r/blob/x/a.py", "repository": map[string]any{"full_name": "o/r"}, "text_matches": []any{map[string]any{"fragment": "SFTConfig("}},
	}}})
	if _, _, err := f.client("", "").SearchCode(t.Context(), github.CodeQuery{Words: "x"}); !errors.Is(err, github.ErrNoToken) || f.count() != 0 {
		t.Errorf("without a token: %v", err)
	}
	hits, total, err := f.client("t", "").SearchCode(t.Context(), github.CodeQuery{Words: "SFTConfig", Repo: "o/r", Language: "python"})
	if err != nil || total != 5 || len(hits) != 1 || hits[0].Parts[0] != "SFTConfig(" {
		t.Errorf("%+v, %v", hits, err)
	}
	if !strings.Contains(f.Asked()[0], url.Values{"q": {"SFTConfig repo:o/r language:python"}}.Encode()) {
		t.Errorf("asked %q", f.Asked())
	}
}

func TestRank(t *testing.T) {
	t.Parallel()
	var entries []github.Entry
	for _, p := range []string{
		"examples/scripts/sft.py", "trl/trainer/sft_trainer.py", "examples/notebooks/sft_qwen.ipynb", "setup.py", "examples/README.md", "sample.py", "guidelines.md",
		"recipes/x/y/sft.yaml", "examples/scripts/grpo_vlm.py", "examples/logo.png", "docs/source/sft_example.md", "tests/test_sft.py",
	} {
		entries = append(entries, github.Entry{Path: p, Type: "blob"})
	}
	tests := []struct {
		words string
		want  []string
	}{
		{"", []string{"examples/scripts/grpo_vlm.py", "examples/scripts/sft.py", "examples/README.md", "examples/notebooks/sft_qwen.ipynb", "docs/source/sft_example.md", "recipes/x/y/sft.yaml", "sample.py"}},
		{"sft", []string{"examples/scripts/sft.py", "recipes/x/y/sft.yaml", "examples/notebooks/sft_qwen.ipynb", "docs/source/sft_example.md"}},
		{"GRPO", []string{"examples/scripts/grpo_vlm.py"}},
		{"sft qwen", []string{"examples/notebooks/sft_qwen.ipynb"}},
		{"notebook sft", []string{"examples/notebooks/sft_qwen.ipynb"}},
		{"sft trainer", nil},
	}
	for _, tt := range tests {
		var got []string
		for _, e := range github.Rank(entries, tt.words) {
			got = append(got, e.Path)
		}
		if tt.words == "" { // those of one folder have no order that matters
			slices.Sort(got)
			slices.Sort(tt.want)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q", tt.words, got)
		}
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]github.Place{
		"https://github.com/o/r":                                    {Repo: "o/r"},
		"https://www.github.com/o/r.git":                            {Repo: "o/r"},
		"https://github.com/o/r/blob/main/a/b.py#L3-L9":             {Repo: "o/r", Ref: "main", Path: "a/b.py", First: 3, Last: 9},
		"https://github.com/o/r/blob/main/a%20b.py#L7":              {Repo: "o/r", Ref: "main", Path: "a b.py", First: 7, Last: 7},
		"https://github.com/o/r/tree/v1":                            {Repo: "o/r", Ref: "v1"},
		"https://raw.githubusercontent.com/o/r/main/x":              {Repo: "o/r", Ref: "main", Path: "x"},
		"https://raw.githubusercontent.com/o/r/refs/heads/main/x/y": {Repo: "o/r", Ref: "main", Path: "x/y"},
	} {
		if got, ok := github.ParsePlace(in); !ok || got != want {
			t.Errorf("%s: %+v, %v", in, got, ok)
		}
	}
	for _, in := range []string{"https://evil.example/o/r", "o/r", "", "https://github.com/o"} {
		if got, ok := github.ParsePlace(in); ok {
			t.Errorf("%s: %+v", in, got)
		}
	}
	for _, in := range []string{"o", "o/r/x", "o/..", "https://evil.example/o/r", "a b/c", "o/r?x", ""} {
		if got, err := github.ParseRepo(in); err == nil {
			t.Errorf("%s: %s", in, got)
		}
	}
}

const aNotebook = `{"nbformat":4,"metadata":{"kernelspec":{"language":"python"}},"cells":[
 {"cell_type":"markdown","source":["# Title\n","text"]},
 {"cell_type":"code","source":"print('` + "```" + `')\n","outputs":[{"output_type":"stream","text":["hello\n","there"]},{"output_type":"display_data","data":{"image/png":"AAAA"}},{"output_type":"error","ename":"ValueError","evalue":"bad"}]},
 {"cell_type":"code","source":"secret","metadata":{"tags":["hide"]},"outputs":[]},
 {"cell_type":"raw","source":"raw text"}, {"cell_type":"code","source":"","outputs":[]}]}`

func TestNotebook(t *testing.T) {
	t.Parallel()
	got, err := github.Notebook([]byte(aNotebook))
	want := "# Title\ntext\n\n[cell 2]\n````python\nprint('```')\n````\noutput: hello\n  there\n[output: image/png]\noutput: ValueError: bad\n\nraw text\n\n"
	if err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	got, err = github.Notebook([]byte(`{"nbformat":3,"worksheets":[{"cells":[{"cell_type":"heading","level":2,"source":["Old"]},{"cell_type":"code","language":"julia","input":["x = 1"]}]}]}`))
	if err != nil || got != "## Old\n\n[cell 2]\n```julia\nx = 1\n```\n\n" {
		t.Errorf("format 3: %q, %v", got, err)
	}
	long := fmt.Sprintf(`{"cells":[{"cell_type":"code","source":"x","outputs":[{"text":"%s"}]}]}`, strings.Repeat("y", 5000))
	if got, err = github.Notebook([]byte(long)); err != nil || len(got) > 500 || !strings.Contains(got, "4700 bytes more") {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for _, bad := range []string{"", "{}", "[]", "null", `{"cells":[]}`, `{"cells":[{"cell_type":"code","source":""}]}`} {
		if got, err := github.Notebook([]byte(bad)); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

func FuzzNotebook(f *testing.F) {
	f.Add([]byte(aNotebook))
	f.Add([]byte(`{"cells":[{"cell_type":7,"source":{"a":1},"outputs":[{"data":{"text/plain":[1]}}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := github.Notebook(data)
		if err == nil && got == "" {
			t.Error("an empty success")
		}
	})
}

func FuzzRank(f *testing.F) {
	f.Add("examples/sft_trainer.py", "sft trainer")
	f.Fuzz(func(t *testing.T, path, words string) {
		if got := github.Rank([]github.Entry{{Path: path, Type: "blob"}}, words); len(got) > 1 {
			t.Error(got)
		}
	})
}
