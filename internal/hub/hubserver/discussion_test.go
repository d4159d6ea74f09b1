package hubserver_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"ml-intern/internal/hub/hubserver"
)

// people are a site with accounts: w is me, r me with a token that only reads,
// o another user.
func people(t *testing.T, opts hubserver.Options) func(token string) site {
	t.Helper()
	opts.Auth = true
	opts.Tokens = map[string]hubserver.Account{
		"w": {Name: "me"}, "r": {Name: "me", ReadOnly: true}, "o": {Name: "other"}, "p": {Name: "third"},
	}
	open := newSite(t, opts)
	return func(token string) site { s := open; s.token = token; return s }
}

// discussion is what the tests read of an answer.
type discussion struct {
	Num       int
	Title     string
	Status    string
	IsPull    bool `json:"isPullRequest"`
	Diff      string
	Conflicts []string `json:"filesWithConflicts"`
	Changes   struct {
		Base          string
		MergeCommitID string `json:"mergeCommitId"`
	}
	Events []struct {
		ID, Type string
		Author   struct{ Name string }
		Data     struct {
			Status, From, To, Subject string
			Edited, Hidden            bool
			NumEdits                  int
			Latest                    struct{ Raw, HTML string }
			History                   []struct{ Raw string }
		}
	}
}

func (s site) discussion(repo string, num int) (d discussion) {
	s.t.Helper()
	a := s.do("GET", fmt.Sprintf("/api/models/%s/discussions/%d?diff=1", repo, num), "")
	if a.status != 200 {
		s.t.Fatalf("discussion %d: %d %s", num, a.status, a.body)
	}
	a.json(s.t, &d)
	return d
}

func (d discussion) types() string {
	var all []string
	for _, e := range d.Events {
		all = append(all, e.Type)
	}
	return strings.Join(all, " ")
}

func (s site) commit(rev string, lines ...string) answer {
	s.t.Helper()
	return s.do("POST", "/api/models/me/x/commit/"+rev, commitBody("", lines...))
}

// pull opens a pull request with a commit and returns its number.
func (s site) pull(lines ...string) int {
	s.t.Helper()
	a := s.commit("main?create_pr=1", lines...)
	var out struct{ PullRequestURL string }
	a.json(s.t, &out)
	var num int
	if _, err := fmt.Sscanf(out.PullRequestURL, s.url+"/me/x/discussions/%d", &num); err != nil {
		s.t.Fatalf("create_pr: %d %s", a.status, a.body)
	}
	return num
}

func (s site) merge(num int) answer {
	s.t.Helper()
	return s.do("POST", fmt.Sprintf("/api/models/me/x/discussions/%d/merge", num), "")
}

func deleteLine(path string) string {
	return fmt.Sprintf(`{"key":"deletedFile","value":{"path":%q}}`, path)
}

// One who may only read a repository proposes a change, its owner takes it.
func TestPullRequest(t *testing.T) {
	t.Parallel()
	as := people(t, hubserver.Options{})
	as("w").create("x")
	as("w").commit("main", fileLine("a", "one\ntwo\n"), fileLine("gone", "bye\n"), fileLine("b", "\x00\xff"))
	before := as("w").head("me/x")

	num := as("o").pull(fileLine("a", "one\n2\n"), deleteLine("gone"), fileLine("new/ü.txt", "new"))
	if num != 1 || as("w").head("me/x") != before {
		t.Fatalf("the pull request is %d, main has moved: %v", num, as("w").head("me/x") != before)
	}
	if a := as("o").commit("refs%2Fpr%2F1", fileLine("b", "\x00\xfe")); a.status != 200 {
		t.Fatalf("a second commit: %d %s", a.status, a.body)
	}
	d := as("").discussion("me/x", 1)
	if d.Status != "open" || !d.IsPull || d.Changes.Base != "refs/heads/main" || d.Conflicts == nil || len(d.Conflicts) > 0 || d.types() != "comment commit commit" {
		t.Errorf("the pull request is %+v", d)
	}
	for _, part := range []string{
		"diff --git a/a b/a\n", "-two\n+2\n", "deleted file mode 100644", "+++ /dev/null", "new file mode 100644",
		"+++ b/new/ü.txt\n@@ -0,0 +1 @@\n+new\n\\ No newline", "Binary files a/b and b/b differ\n",
	} {
		if !strings.Contains(d.Diff, part) {
			t.Errorf("the diff lacks %q:\n%s", part, d.Diff)
		}
	}
	if a := as("o").merge(1); a.status != 403 {
		t.Errorf("its author merges: %d", a.status)
	}
	if a := as("w").do("POST", "/api/models/me/x/discussions/1/merge", `{"comment":" thanks "}`); a.status != 200 {
		t.Fatalf("merge: %d %s", a.status, a.body)
	}
	d = as("o").discussion("me/x", 1)
	if d.Status != "merged" || d.Changes.MergeCommitID != as("w").head("me/x") || d.types() != "comment commit commit comment status-change" || !strings.Contains(d.Diff, "+2") {
		t.Errorf("the merged pull request is %+v", d)
	}
	if text := as("").do("GET", "/me/x/raw/main/a", "").body; text != "one\n2\n" {
		t.Errorf("after the merge a is %q", text)
	}
	if a := as("").do("GET", "/me/x/raw/main/gone", ""); a.status != 404 {
		t.Errorf("what was deleted: %d", a.status)
	}
	if a := as("").do("GET", "/me/x/raw/refs%2Fpr%2F1/new/%C3%BC.txt", ""); a.body != "new" {
		t.Errorf("the branch of the pull request: %d %s", a.status, a.body)
	}
	var commits []struct{ Title, Message string }
	as("").do("GET", "/api/models/me/x/commits/main", "").json(t, &commits)
	if len(commits) != 3 || commits[0].Title != "s (#1)" {
		t.Errorf("the history is %+v", commits)
	}
	for what, a := range map[string]answer{
		"merge again":  as("w").merge(1),
		"commit to it": as("o").commit("refs%2Fpr%2F1", fileLine("late", "1")),
		"close it":     as("w").do("POST", "/api/models/me/x/discussions/1/status", `{"status":"closed"}`),
	} {
		if a.status != 409 {
			t.Errorf("%s: %d %s, want 409", what, a.status, a.body)
		}
	}
}

// A pull request without a commit is a draft, and has to be opened.
func TestDraft(t *testing.T) {
	t.Parallel()
	as := people(t, hubserver.Options{})
	as("w").create("x")
	if a := as("o").do("POST", "/api/models/me/x/discussions", `{"title":" A  draft ","description":"d","pullRequest":true}`); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if d := as("w").discussion("me/x", 1); d.Status != "draft" || d.Title != "A draft" {
		t.Errorf("%+v", d)
	}
	as("o").commit("refs%2Fpr%2F1", fileLine("f", "1"))
	if a := as("w").merge(1); a.status != 409 || !strings.Contains(a.body, "draft") {
		t.Errorf("merge of a draft: %d %s", a.status, a.body)
	}
	if d := as("w").discussion("me/x", 1); d.Status != "draft" || d.Changes.MergeCommitID != "" || d.types() != "comment commit" {
		t.Errorf("after a refused merge: %+v", d)
	}
	if a := as("o").do("POST", "/api/models/me/x/discussions/1/status", `{"status":"open","comment":"ready"}`); a.status != 200 {
		t.Errorf("open: %d %s", a.status, a.body)
	}
	if a := as("w").merge(1); a.status != 200 {
		t.Errorf("merge: %d %s", a.status, a.body)
	}
	var refs struct{ PullRequests []struct{ Ref string } }
	as("").do("GET", "/api/models/me/x/refs?include_prs=1", "").json(t, &refs)
	if len(refs.PullRequests) != 1 || refs.PullRequests[0].Ref != "refs/pr/1" {
		t.Errorf("refs: %+v", refs)
	}
}

// What both sides changed in different ways is a conflict, and only that.
func TestMergeConflicts(t *testing.T) {
	t.Parallel()
	base := []string{fileLine("same", "1"), fileLine("dir/f", "1"), fileLine("file", "1"), fileLine("w.bin", "x")}
	pointer := func(path, data string) string {
		return fmt.Sprintf(`{"key":"lfsFile","value":{"path":%q,"algo":"sha256","oid":%q,"size":%d}}`, path, sum(data), len(data))
	}
	cases := []struct {
		name         string
		theirs, ours []string
		conflicts    []string
	}{
		{"other files", []string{fileLine("a", "1")}, []string{fileLine("b", "1")}, nil},
		{"the same change", []string{fileLine("same", "2")}, []string{fileLine("same", "2")}, nil},
		{"two changes", []string{fileLine("same", "2"), fileLine("a", "1")}, []string{fileLine("same", "3")}, []string{"same"}},
		{"two new files", []string{fileLine("a", "1")}, []string{fileLine("a", "2")}, []string{"a"}},
		{"deleted and changed", []string{deleteLine("same")}, []string{fileLine("same", "2")}, []string{"same"}},
		{"changed and deleted", []string{fileLine("same", "2")}, []string{deleteLine("same")}, []string{"same"}},
		{"both deleted", []string{deleteLine("same"), fileLine("a", "1")}, []string{deleteLine("same")}, nil},
		{"a folder where a file is", []string{fileLine("n/f", "1")}, []string{fileLine("n", "1")}, []string{"n/f"}},
		{"a file where a folder is", []string{fileLine("n", "1")}, []string{fileLine("n/f", "1")}, []string{"n/f"}},
		{"a file becomes a folder", []string{deleteLine("file"), fileLine("file/f", "1")}, []string{fileLine("file", "2")}, []string{"file", "file/f"}},
		{"large files of odd names", []string{pointer("one.odd", "1")}, []string{pointer("two.odd", "22")}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, hubserver.Options{})
			s.create("x")
			s.commit("main", base...)
			s.storeLarge("1", "22")
			num := s.pull(c.theirs...)
			if a := s.commit("main", c.ours...); a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			before := s.head("me/x")
			if d := s.discussion("me/x", num); !slices.Equal(d.Conflicts, c.conflicts) {
				t.Errorf("the conflicts are %q, want %q", d.Conflicts, c.conflicts)
			}
			a := s.merge(num)
			if want := map[bool]int{true: 200, false: 409}[c.conflicts == nil]; a.status != want {
				t.Fatalf("merge: %d %s, want %d", a.status, a.body, want)
			}
			if c.conflicts != nil {
				if s.head("me/x") != before || s.discussion("me/x", num).Status != "open" {
					t.Error("a merge in conflict changed something")
				}
				return
			}
			for _, line := range slices.Concat(c.theirs, c.ours) {
				s.checkLine(line)
			}
		})
	}
}

// storeLarge sends large files that a commit can name.
func (s site) storeLarge(contents ...string) {
	s.t.Helper()
	for _, data := range contents {
		a := s.do("POST", "/me/x.git/info/lfs/objects/batch", fmt.Sprintf(`{"operation":"upload","objects":[{"oid":%q,"size":%d}]}`, sum(data), len(data)))
		var out struct {
			Objects []struct {
				Actions struct{ Upload struct{ Href string } }
			}
		}
		a.json(s.t, &out)
		if a := s.do("PUT", out.Objects[0].Actions.Upload.Href, data); a.status != 200 {
			s.t.Fatalf("send %q: %d %s", data, a.status, a.body)
		}
	}
}

// checkLine checks that main is as a line of a commit made it.
func (s site) checkLine(line string) {
	s.t.Helper()
	var in struct {
		Key   string
		Value struct {
			Path, OID string
			Content   []byte
		}
	}
	if err := json.Unmarshal([]byte(line), &in); err != nil {
		s.t.Fatal(err)
	}
	a := s.do("GET", "/me/x/resolve/main/"+in.Value.Path, "")
	switch in.Key {
	case "deletedFile":
		if a.status != 404 {
			s.t.Errorf("%s is still there", in.Value.Path)
		}
	case "file":
		if a.body != string(in.Value.Content) {
			s.t.Errorf("%s is %q", in.Value.Path, a.body)
		}
	default:
		if sum(a.body) != in.Value.OID {
			s.t.Errorf("%s is %q", in.Value.Path, a.body)
		}
		if text := s.do("GET", "/me/x/raw/main/.gitattributes", "").body; strings.Count(text, in.Value.Path) != 1 {
			s.t.Errorf(".gitattributes is %q", text)
		}
	}
}

// Everything that goes on at once comes out as if it had been done in turn: of
// merges that exclude each other one wins, and no merge and no commit is lost.
func TestConcurrentMerges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sites := []site{newSite(t, hubserver.Options{Dir: dir}), newSite(t, hubserver.Options{Dir: dir})}
	s := sites[0]
	s.create("x")
	s.commit("main", fileLine("fought", "0"))
	parent := s.head("me/x")
	const n = 6
	var fighting, peaceful []int
	for i := range n {
		fighting = append(fighting, s.pull(fileLine("fought", fmt.Sprint("by ", i))))
		peaceful = append(peaceful, s.pull(fileLine(fmt.Sprint("p", i), "1")))
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[string]int{}
	count := func(what string, status int) {
		mu.Lock()
		defer mu.Unlock()
		got[fmt.Sprint(what, " ", status)]++
	}
	for i := range n {
		at := sites[i%2]
		wg.Go(func() { count("fight", at.merge(fighting[i]).status) })
		wg.Go(func() { count("peace", at.merge(peaceful[i]).status) })
		wg.Go(func() { count("again", at.merge(peaceful[0]).status) })
		wg.Go(func() { count("commit", at.commit("main", fileLine(fmt.Sprint("c", i), "1")).status) })
		wg.Go(func() {
			body := commitBody(`,"parentCommit":"`+parent+`"`, fileLine(fmt.Sprint("late", i), "1"))
			count("parent", at.do("POST", "/api/models/me/x/commit/main", body).status)
		})
	}
	wg.Wait()
	if got["fight 200"] != 1 || got["fight 409"] != n-1 {
		t.Errorf("of merges of one file: %v", got)
	}
	if got["peace 200"]+got["again 200"] != n || got["peace 409"]+got["again 409"] != n {
		t.Errorf("of merges of other files: %v", got)
	}
	if got["commit 200"] != n || got["parent 200"] > 1 || got["parent 200"]+got["parent 412"] != n {
		t.Errorf("of commits: %v", got)
	}
	var tree []struct{ Path string }
	s.do("GET", "/api/models/me/x/tree/main", "").json(t, &tree)
	if want := 2 + 2*n + got["parent 200"]; len(tree) != want {
		t.Errorf("main has %d files, want %d", len(tree), want)
	}
	merged := 0
	for num := 1; num <= 2*n; num++ {
		if d := s.discussion("me/x", num); d.Status == "merged" {
			merged++
			if d.types() != "comment commit status-change" {
				t.Errorf("%d: %s", num, d.types())
			}
		}
	}
	if merged != n+1 {
		t.Errorf("%d are merged, want %d", merged, n+1)
	}
}

// Numbers are used once, whoever is first.
func TestConcurrentDiscussions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sites := []site{newSite(t, hubserver.Options{Dir: dir}), newSite(t, hubserver.Options{Dir: dir})}
	sites[0].create("x")
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			body := fmt.Sprintf(`{"title":"number %d","description":"","pullRequest":%v}`, i, i%3 == 0)
			if a := sites[i%2].do("POST", "/api/models/me/x/discussions", body); a.status != 200 {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	for range 12 {
		wg.Go(func() {
			if a := sites[0].do("POST", "/api/models/me/x/discussions/3/comment", `{"comment":"hi"}`); a.status != 200 {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	var list struct {
		Count       int
		Discussions []discussion
	}
	sites[1].do("GET", "/api/models/me/x/discussions", "").json(t, &list)
	titles := map[string]bool{}
	for i, d := range list.Discussions {
		titles[d.Title] = true
		if d.Num != 12-i {
			t.Errorf("at %d: number %d", i, d.Num)
		}
	}
	if list.Count != 12 || len(titles) != 12 {
		t.Errorf("%d discussions with %d titles", list.Count, len(titles))
	}
	if n := len(sites[0].discussion("me/x", 3).Events); n != 13 {
		t.Errorf("discussion 3 has %d events", n)
	}
}

// Bad input is refused with a reason, and changes nothing.
func TestDiscussionRefusals(t *testing.T) {
	t.Parallel()
	as := people(t, hubserver.Options{})
	as("w").create("x")
	as("w").create("secret")
	as("w").do("PUT", "/api/models/me/secret/settings", `{"visibility":"private"}`)
	as("w").do("POST", "/api/models/me/x/discussions", `{"title":"first","description":"text"}`)
	as("w").do("POST", "/api/models/me/x/discussions", `{"title":"second","description":"text","pullRequest":true}`)
	comment := as("w").discussion("me/x", 1).Events[0].ID
	quote := func(v string) string { b, _ := json.Marshal(v); return string(b) }
	x, long := "/api/models/me/x/discussions", strings.Repeat("ü", 65537)
	cases := []struct {
		name, token, method, path, body string
		status                          int
	}{
		{"no title", "w", "POST", x, `{"title":"  ","description":"d"}`, 400},
		{"a short title", "w", "POST", x, `{"title":"ab"}`, 400},
		{"a long title", "w", "POST", x, `{"title":` + quote(strings.Repeat("t", 201)) + `}`, 400},
		{"a long description", "w", "POST", x, `{"title":"title","description":` + quote(long) + `}`, 400},
		{"no JSON", "w", "POST", x, `{`, 400},
		{"an empty comment", "w", "POST", x + "/1/comment", `{"comment":"\n "}`, 400},
		{"a long comment", "w", "POST", x + "/1/comment", `{"comment":` + quote(long) + `}`, 400},
		{"the longest comment", "w", "POST", x + "/1/comment", `{"comment":` + quote(strings.Repeat("ü", 65536)) + `}`, 200},
		{"a stranger", "", "POST", x, `{"title":"title"}`, 401},
		{"a token that reads", "r", "POST", x, `{"title":"title"}`, 403},
		{"a private repository", "o", "POST", "/api/models/me/secret/discussions", `{"title":"title"}`, 404},
		{"a look at a private one", "o", "GET", "/api/models/me/secret/discussions", "", 404},
		{"a pull request on a private one", "o", "POST", "/api/models/me/secret/commit/main?create_pr=1", commitBody("", fileLine("f", "1")), 404},
		{"a pull request by a stranger", "", "POST", "/api/models/me/x/commit/main?create_pr=1", commitBody("", fileLine("f", "1")), 401},
		{"preparing one", "o", "POST", "/api/models/me/x/preupload/main?create_pr=1", `{"files":[{"path":"f","size":1,"sample":""}]}`, 200},
		{"preparing a commit", "o", "POST", "/api/models/me/x/preupload/main", `{"files":[]}`, 403},
		{"a commit on another's", "o", "POST", "/api/models/me/x/commit/refs%2Fpr%2F2", commitBody("", fileLine("f", "1")), 403},
		{"a pull request of one", "w", "POST", "/api/models/me/x/commit/refs%2Fpr%2F2?create_pr=1", commitBody("", fileLine("f", "1")), 400},
		{"a bad file in one", "o", "POST", "/api/models/me/x/commit/main?create_pr=1", commitBody("", fileLine("../f", "1")), 400},
		{"a parent that is not there", "o", "POST", "/api/models/me/x/commit/main?create_pr=1", commitBody(`,"parentCommit":"`+strings.Repeat("1", 40)+`"`, fileLine("f", "1")), 404},
		{"no such discussion", "w", "GET", x + "/99", "", 404},
		{"a comment on none", "w", "POST", x + "/99/comment", `{"comment":"c"}`, 404},
		{"a number that is none", "w", "GET", x + "/..%2F1", "", 400},
		{"a number below 1", "w", "GET", x + "/-1", "", 400},
		{"another's title", "o", "POST", x + "/1/title", `{"title":"mine"}`, 403},
		{"another's status", "o", "POST", x + "/1/status", `{"status":"closed"}`, 403},
		{"another's comment", "o", "POST", x + "/1/comment/" + comment + "/edit", `{"content":"mine"}`, 403},
		{"hiding another's comment", "o", "POST", x + "/1/comment/" + comment + "/hide", "", 403},
		{"no such comment", "w", "POST", x + "/1/comment/" + strings.Repeat("0", 24) + "/edit", `{"content":"c"}`, 404},
		{"an edit to nothing", "w", "POST", x + "/1/comment/" + comment + "/edit", `{"content":""}`, 400},
		{"no such action", "w", "POST", x + "/1/comment/" + comment + "/burn", "", 404},
		{"no such part", "w", "POST", x + "/1/pin", `{}`, 404},
		{"a status that is none", "w", "POST", x + "/1/status", `{"status":"merged"}`, 400},
		{"opening what is open", "w", "POST", x + "/1/status", `{"status":"open"}`, 409},
		{"merging a discussion", "w", "POST", x + "/1/merge", "", 400},
		{"a filter that is none", "w", "GET", x + "?status=odd", "", 400},
		{"a type that is none", "w", "GET", x + "?type=odd", "", 400},
		{"a page that is none", "w", "GET", x + "?p=-1", "", 400},
		{"a page beyond the end", "w", "GET", x + "?p=7", "", 200},
		{"squashing a pull request", "w", "POST", "/api/models/me/x/super-squash/refs%2Fpr%2F2", `{}`, 400},
	}
	for _, c := range cases {
		a := as(c.token).do(c.method, c.path, c.body)
		if a.status != c.status || c.status >= 400 && a.header.Get("X-Error-Code") == "" {
			t.Errorf("%s: %d %.200s, want %d", c.name, a.status, a.body, c.status)
		}
	}
	var list struct{ Count int }
	if as("w").do("GET", x, "").json(t, &list); list.Count != 2 {
		t.Errorf("there are %d discussions, want 2", list.Count)
	}
	if d := as("w").discussion("me/x", 1); d.types() != "comment comment" || d.Title != "first" || d.Status != "open" {
		t.Errorf("discussion 1 is %.300v", d)
	}
}

func TestComments(t *testing.T) {
	t.Parallel()
	as := people(t, hubserver.Options{})
	as("w").create("x")
	at := "/api/models/me/x/discussions/1"
	as("o").do("POST", "/api/models/me/x/discussions", `{"title":"a <b> title","description":"<script>alert(1)</script>"}`)
	if d := as("").discussion("me/x", 1); strings.Contains(d.Events[0].Data.Latest.HTML, "<script") || d.Events[0].Data.Latest.Raw != "<script>alert(1)</script>" {
		t.Errorf("the text is %+v", d.Events[0].Data)
	}
	id := as("").discussion("me/x", 1).Events[0].ID
	for i := range 2 {
		if a := as("o").do("POST", at+"/comment/"+id+"/edit", fmt.Sprintf(`{"content":"version %d"}`, i)); a.status != 200 || !strings.Contains(a.body, `"updatedComment"`) {
			t.Errorf("edit: %d %s", a.status, a.body)
		}
	}
	e := as("").discussion("me/x", 1).Events[0].Data
	if e.Latest.Raw != "version 1" || !e.Edited || e.NumEdits != 2 || len(e.History) != 2 || e.History[1].Raw != "version 0" {
		t.Errorf("after two edits: %+v", e)
	}
	if a := as("w").do("POST", at+"/comment/"+id+"/hide", ""); a.status != 200 {
		t.Errorf("hide: %d %s", a.status, a.body)
	}
	raw := as("w").do("GET", at, "").body
	if strings.Contains(raw, "version") || strings.Contains(raw, "alert") || !strings.Contains(raw, "hidden") {
		t.Errorf("after hiding: %s", raw)
	}
	for _, action := range []string{"hide", "edit"} {
		if a := as("o").do("POST", at+"/comment/"+id+"/"+action, `{"content":"back"}`); a.status != 409 {
			t.Errorf("%s what is hidden: %d", action, a.status)
		}
	}
	as("w").do("POST", at+"/title", `{"title":"another title"}`)
	d := as("").discussion("me/x", 1)
	if last := d.Events[len(d.Events)-1]; d.Title != "another title" || last.Type != "title-change" || last.Data.From != "a <b> title" || last.Data.To != d.Title {
		t.Errorf("after a new title: %+v", d)
	}
}

func TestDiscussionsDisabled(t *testing.T) {
	t.Parallel()
	as := people(t, hubserver.Options{})
	as("w").create("x")
	as("o").do("POST", "/api/models/me/x/discussions", `{"title":"before","description":""}`)
	if a := as("w").do("PUT", "/api/models/me/x/settings", `{"discussionsDisabled":true}`); !strings.Contains(a.body, `"discussionsDisabled":true`) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	at := "/api/models/me/x/discussions"
	for what, a := range map[string]answer{
		"list":      as("w").do("GET", at, ""),
		"read":      as("w").do("GET", at+"/1", ""),
		"create":    as("w").do("POST", at, `{"title":"title"}`),
		"comment":   as("w").do("POST", at+"/1/comment", `{"comment":"c"}`),
		"create_pr": as("o").do("POST", "/api/models/me/x/commit/main?create_pr=1", commitBody("", fileLine("f", "1"))),
		"preupload": as("o").do("POST", "/api/models/me/x/preupload/main?create_pr=1", `{"files":[]}`),
		"large":     as("o").do("POST", "/me/x.git/info/lfs/objects/batch", `{"operation":"upload"}`),
	} {
		if a.status != 403 || !strings.Contains(a.body, "disabled") {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	if a := as("w").commit("main", fileLine("f", "1")); a.status != 200 {
		t.Errorf("a commit: %d %s", a.status, a.body)
	}
	as("w").do("PUT", "/api/models/me/x/settings", `{"discussionsDisabled":false}`)
	if d := as("w").discussion("me/x", 1); d.Title != "before" {
		t.Errorf("after all: %+v", d)
	}
}

func TestDiscussionPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	for i := range 53 {
		s.do("POST", "/api/models/me/x/discussions", fmt.Sprintf(`{"title":"t %d","description":"","pullRequest":%v}`, i, i == 7))
	}
	s.do("POST", "/api/models/me/x/discussions/3/status", `{"status":"closed"}`)
	for query, want := range map[string][3]int{
		"": {53, 50, 0}, "?p=1": {53, 3, 50}, "?type=pull_request": {1, 1, 0}, "?type=discussion": {52, 50, 0},
		"?status=closed": {1, 1, 0}, "?status=open&p=1": {52, 2, 50}, "?author=me": {53, 50, 0}, "?author=you": {0, 0, 0},
	} {
		var got struct {
			Count, Start int
			Discussions  []any
		}
		s.do("GET", "/api/models/me/x/discussions"+query, "").json(t, &got)
		if has := [3]int{got.Count, len(got.Discussions), got.Start}; has != want {
			t.Errorf("%q: %v, want %v", query, has, want)
		}
	}
}

// Discussions go where the repository goes.
func TestDiscussionsMove(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	num := s.pull(fileLine("f", "1"))
	s.do("POST", "/api/models/me/x/like", "")
	s.do("POST", "/api/repos/move", `{"fromRepo":"me/x","toRepo":"me/y","type":"model"}`)
	if d := s.discussion("me/y", num); !d.IsPull {
		t.Errorf("%+v", d)
	}
	a := s.do("POST", "/api/models/me/x/discussions/1/merge", "")
	if loc := a.header.Get("Location"); a.status != http.StatusTemporaryRedirect || loc != "/api/models/me/y/discussions/1/merge" {
		t.Errorf("the old name: %d %s", a.status, loc)
	}
	if a := s.do("POST", "/api/models/me/y/discussions/1/merge", ""); a.status != 200 {
		t.Errorf("merge: %d %s", a.status, a.body)
	}
	s.do("DELETE", "/api/repos/delete", `{"name":"me/y"}`)
	s.create("y")
	if a := s.do("GET", "/api/models/me/y/discussions/1", ""); a.status != 404 {
		t.Errorf("a new repository has an old discussion: %d", a.status)
	}
	var likers []any
	if s.do("GET", "/api/models/me/y/likers", "").json(t, &likers); len(likers) != 0 {
		t.Errorf("a new repository has old likes")
	}
}

// A pull request for a branch that is gone can be read and closed, not merged.
func TestPullRequestWithoutTarget(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	s.do("POST", "/api/models/me/x/branch/dev", "")
	s.commit("dev?create_pr=1", fileLine("f", "1"))
	s.do("DELETE", "/api/models/me/x/branch/dev", "")
	a := s.do("GET", "/api/models/me/x/discussions/1?diff=1", "")
	if a.status != 200 || !strings.Contains(a.body, `"filesWithConflicts":true`) || !strings.Contains(a.body, "+1") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.merge(1); a.status != 404 || a.header.Get("X-Error-Code") != "RevisionNotFound" {
		t.Errorf("merge: %d %s", a.status, a.body)
	}
	if a := s.do("POST", "/api/models/me/x/discussions/1/status", `{"status":"closed"}`); a.status != 200 {
		t.Errorf("close: %d %s", a.status, a.body)
	}
}

// A pull request begins where it says.
func TestPullRequestFromParent(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	s.commit("main", fileLine("f", "1"))
	parent := s.head("me/x")
	s.commit("main", fileLine("f", "2"))
	s.do("POST", "/api/models/me/x/branch/dev", "")
	a := s.do("POST", "/api/models/me/x/commit/main?create_pr=1", commitBody(`,"parentCommit":"`+parent+`"`, fileLine("f", "3")))
	if a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if d := s.discussion("me/x", 1); !slices.Equal(d.Conflicts, []string{"f"}) || !strings.Contains(d.Diff, "-1\n") {
		t.Errorf("%+v", d)
	}
	if a := s.do("POST", "/api/models/me/x/commit/dev?create_pr=1", commitBody("", fileLine("g", "1"))); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if d := s.discussion("me/x", 2); d.Changes.Base != "refs/heads/dev" {
		t.Errorf("%+v", d.Changes)
	}
	before := s.head("me/x")
	if a := s.merge(2); a.status != 200 || s.head("me/x") != before {
		t.Errorf("a merge to dev: %d %s; main moved: %v", a.status, a.body, s.head("me/x") != before)
	}
	s.do("POST", "/api/models/me/x/super-squash/main", "")
	if d := s.discussion("me/x", 1); !strings.Contains(d.Diff, "+3") {
		t.Errorf("after squashing main: %+v", d)
	}
}
