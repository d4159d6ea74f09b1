package hub_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubtest"
)

func collect[T any](t *testing.T, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var all []T
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// Every call finds a repository under its old name.
func TestRenamedRepository(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	old := newRepo(t, h, hub.Model)
	upload(t, h, old, hub.File{Path: "f", Content: []byte("1")}, hub.File{Path: "gone", Content: []byte("1")})
	now := hub.RepoID{Type: hub.Model, Namespace: "me", Name: "renamed"}
	c, ctx := h.Client, t.Context()
	if err := c.MoveRepo(ctx, old, now); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func() error{
		"info":   func() error { _, err := c.RepoInfo(ctx, old, ""); return err },
		"stat":   func() error { _, err := c.Stat(ctx, old, "", "f"); return err },
		"paths":  func() error { _, err := c.PathsInfo(ctx, old, "", []string{"f"}, false); return err },
		"upload": func() error { _, err := c.Upload(ctx, old, hub.Commit{Files: text("g", "1")}); return err },
		"large": func() error {
			_, err := c.Upload(ctx, old, hub.Commit{Files: []hub.File{{Path: "w.bin", Content: noise(5000, 9)}}})
			return err
		},
		"delete":   func() error { _, err := c.Upload(ctx, old, hub.Commit{Delete: []string{"gone"}}); return err },
		"settings": func() error { return c.UpdateSettings(ctx, old, hub.RepoSettings{NoDiscussions: new(bool)}) },
		"branch":   func() error { return c.CreateBranch(ctx, old, "b", hub.BranchOptions{}) },
		"like":     func() error { return c.Like(ctx, old) },
		"unlike":   func() error { return c.Unlike(ctx, old) },
		"talk":     func() error { _, err := c.CreateDiscussion(ctx, old, hub.NewDiscussion{Title: "title"}); return err },
		"squash":   func() error { _, err := c.SquashBranch(ctx, old, "", ""); return err },
		"refs":     func() error { _, err := c.ListRefs(ctx, old); return err },
		"compare":  func() error { _, err := c.Compare(ctx, old, "main", "main"); return err },
		"access":   func() error { return c.CheckAccess(ctx, old, true) },
		"exists": func() error {
			ok, err := c.FileExists(ctx, old, "", ".gitattributes")
			if !ok {
				return errors.Join(err, errors.New("no"))
			}
			return err
		},
	}
	for name, call := range calls {
		if err := call(); err != nil {
			t.Errorf("%s by the old name: %v", name, err)
		}
	}
	if err := c.DeleteBranch(ctx, old, "b"); err != nil {
		t.Errorf("delete branch by the old name: %v", err)
	}
	if err := c.DeleteRepo(ctx, old); !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("delete by the old name: %v", err) // the Hub asks for the new one
	}
	if download(t, h, old, "g") != "1" {
		t.Error("what was uploaded by the old name is not there")
	}
}

func TestRefsAndHistory(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	repo := newRepo(t, h, hub.Dataset)
	c, ctx := h.Client, t.Context()
	first := upload(t, h, repo, hub.File{Path: "f", Content: []byte("1\n")}).Commit
	if err := c.CreateBranch(ctx, repo, "feat/x", hub.BranchOptions{From: first[:9]}); err != nil {
		t.Fatal(err)
	}
	if err := c.CreateTag(ctx, repo, "v1", hub.TagOptions{Revision: "feat/x", Message: "one"}); err != nil {
		t.Fatal(err)
	}
	upload(t, h, repo, hub.File{Path: "f", Content: []byte("2\n")})
	for name, err := range map[string]error{
		"branch": c.CreateBranch(ctx, repo, "feat/x", hub.BranchOptions{}), "tag": c.CreateTag(ctx, repo, "v1", hub.TagOptions{}),
	} {
		if !errors.Is(err, hub.ErrConflict) {
			t.Errorf("%s again: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"branch": c.CreateBranch(ctx, repo, "feat/x", hub.BranchOptions{ExistOK: true}),
		"tag":    c.CreateTag(ctx, repo, "v1", hub.TagOptions{ExistOK: true}),
		"blank":  c.CreateBranch(ctx, repo, "blank", hub.BranchOptions{Empty: true}),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.CreateBranch(ctx, repo, "y", hub.BranchOptions{From: "nope"}); !errors.Is(err, hub.ErrNoRevision) || !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("from nowhere: %v", err)
	}
	refs, err := c.ListRefs(ctx, repo)
	if err != nil || len(refs.Branches) != 3 || len(refs.Tags) != 1 || refs.Tags[0].Ref != "refs/tags/v1" || refs.Tags[0].Commit != first {
		t.Errorf("ListRefs = %+v, %v", refs, err)
	}
	diff, err := c.Compare(ctx, repo, "v1", "")
	if err != nil || !strings.Contains(diff, "-1\n+2\n") {
		t.Errorf("Compare = %q, %v", diff, err)
	}
	if err := errors.Join(c.DeleteBranch(ctx, repo, "feat/x"), c.DeleteTag(ctx, repo, "v1")); err != nil {
		t.Error(err)
	}
	if err := c.DeleteBranch(ctx, repo, "main"); err == nil || !strings.Contains(err.Error(), "Cannot delete refs/heads/main") {
		t.Errorf("deleting main: %v", err)
	}
	for i := range 60 { // more than a page
		upload(t, h, repo, hub.File{Path: "f", Content: []byte(fmt.Sprint(i))})
	}
	commits := collect(t, c.ListCommits(ctx, repo, ""))
	if len(commits) != 63 || commits[0].ID != head(t, h, repo) || commits[62].Title != "initial commit" || commits[0].Authors[0].User != "me" || commits[0].Date.IsZero() {
		t.Errorf("there are %d commits: %+v", len(commits), commits[0])
	}
	squashed, err := c.SquashBranch(ctx, repo, "main", "one")
	if err != nil || squashed != head(t, h, repo) || len(collect(t, c.ListCommits(ctx, repo, "main"))) != 1 {
		t.Errorf("SquashBranch = %q, %v", squashed, err)
	}
}

func TestExists(t *testing.T) {
	t.Parallel()
	h, mine, other, repo := people(t)
	stranger := &hub.Client{BaseURL: h.URL}
	commit(t, mine, repo, hub.Commit{Files: text("a b/ü#?.txt", "1")})
	missing := hub.RepoID{Type: hub.Model, Namespace: "me", Name: "nope"}
	ctx := t.Context()
	cases := []struct {
		name string
		call func() (bool, error)
		want bool
	}{
		{"repository", func() (bool, error) { return mine.RepoExists(ctx, repo) }, true},
		{"missing", func() (bool, error) { return mine.RepoExists(ctx, missing) }, false},
		{"missing, stranger", func() (bool, error) { return stranger.RepoExists(ctx, missing) }, false},
		{"revision", func() (bool, error) { return other.RevisionExists(ctx, repo, "HEAD") }, true},
		{"no revision", func() (bool, error) { return other.RevisionExists(ctx, repo, "nope") }, false},
		{"file", func() (bool, error) { return other.FileExists(ctx, repo, "", "a b/ü#?.txt") }, true},
		{"folder", func() (bool, error) { return other.FileExists(ctx, repo, "", "a b") }, false},
		{"no file", func() (bool, error) { return other.FileExists(ctx, repo, "", "nope") }, false},
		{"file, no revision", func() (bool, error) { return other.FileExists(ctx, repo, "nope", "a b/ü#?.txt") }, false},
	}
	for _, c := range cases {
		if got, err := c.call(); err != nil || got != c.want {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	if _, err := mine.FileExists(ctx, repo, "", "../x"); err == nil {
		t.Error("a path that leads out is asked for")
	}
	if _, err := (&hub.Client{BaseURL: h.URL, Token: "hf_bad"}).RepoExists(ctx, repo); !errors.Is(err, hub.ErrUnauthorized) {
		t.Errorf("with a bad token: %v", err)
	}
	entries, err := mine.PathsInfo(ctx, repo, "", []string{"a b", "nope", "a b/ü#?.txt"}, true)
	if err != nil || len(entries) != 2 || !entries[0].Dir || entries[1].Size != 1 || entries[1].Last == nil || entries[1].Last.Title != "Upload files" {
		t.Errorf("PathsInfo = %+v, %v", entries, err)
	}
	var many []string
	for i := range 1200 {
		many = append(many, fmt.Sprint(i))
	}
	if entries, err := mine.PathsInfo(ctx, repo, "", append(many, ".gitattributes"), false); err != nil || len(entries) != 1 {
		t.Errorf("PathsInfo of many = %+v, %v", entries, err)
	}
	if size, err := mine.TreeSize(ctx, repo, "", "a b"); err != nil || size != 1 {
		t.Errorf("TreeSize = %d, %v", size, err)
	}
	commit(t, mine, repo, hub.Commit{Files: []hub.File{{Path: "w.bin", Content: noise(5000, 1)}}})
	if large := collect(t, mine.ListLargeFiles(ctx, repo)); len(large) != 1 || large[0].Path != "w.bin" || large[0].Size != 5000 || large[0].Pushed.IsZero() {
		t.Errorf("ListLargeFiles = %+v", large)
	}
	commit(t, mine, repo, hub.Commit{Files: []hub.File{{Path: "gone.bin", Content: noise(6000, 2)}}})
	for f := range mine.ListLargeFiles(ctx, repo) {
		if f.Path != "gone.bin" {
			continue
		}
		if err := mine.DeleteLargeFiles(ctx, repo, f); err != nil {
			t.Error(err)
		}
	}
	if large := collect(t, mine.ListLargeFiles(ctx, repo)); len(large) != 1 || large[0].Path != "w.bin" {
		t.Errorf("after DeleteLargeFiles, ListLargeFiles = %+v", large)
	}
	list := collect(t, mine.ListTree(ctx, repo, hub.TreeOptions{Recursive: true, Commits: true}))
	if len(list) != 4 || list[0].Last == nil {
		t.Errorf("ListTree = %+v", list)
	}
}

func TestGatedRepository(t *testing.T) {
	t.Parallel()
	h, mine, other, repo := people(t)
	ctx := t.Context()
	gate := hub.Gate("manual")
	if err := mine.UpdateSettings(ctx, repo, hub.RepoSettings{Gated: &gate}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*hub.Client{"other": other, "stranger": {BaseURL: h.URL}} {
		_, err := c.Stat(ctx, repo, "", ".gitattributes")
		e, ok := errors.AsType[*hub.Error](err)
		if !errors.Is(err, hub.ErrGated) || !ok || e.AskURL != h.URL+"/me/x" {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.CheckAccess(ctx, repo, false); !errors.Is(err, hub.ErrGated) {
			t.Errorf("%s: CheckAccess = %v", name, err)
		}
		if _, err := c.FileExists(ctx, repo, "", ".gitattributes"); !errors.Is(err, hub.ErrGated) {
			t.Errorf("%s: FileExists = %v", name, err)
		}
	}
	if err := mine.SetAccess(ctx, repo, "other", hub.AccessAccepted, ""); !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("accepting one who did not ask: %v", err)
	}
	if err := mine.GrantAccess(ctx, repo, "other"); err != nil {
		t.Fatal(err)
	}
	if err := other.CheckAccess(ctx, repo, false); err != nil {
		t.Errorf("after a grant: %v", err)
	}
	if err := other.CheckAccess(ctx, repo, true); !errors.Is(err, hub.ErrForbidden) {
		t.Errorf("writing after a grant: %v", err)
	}
	list := collect(t, mine.AccessRequests(ctx, repo, hub.AccessAccepted))
	if len(list) != 1 || list[0].User.Name != "other" || list[0].ID == "" || list[0].Time.IsZero() {
		t.Errorf("AccessRequests = %+v", list)
	}
	if err := mine.SetAccess(ctx, repo, "other", hub.AccessRejected, "no"); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Stat(ctx, repo, "", ".gitattributes"); !errors.Is(err, hub.ErrGated) {
		t.Errorf("after a rejection: %v", err)
	}
	gate = ""
	if err := mine.UpdateSettings(ctx, repo, hub.RepoSettings{Gated: &gate, Visibility: "private"}); err != nil {
		t.Fatal(err)
	}
	if info, err := mine.RepoInfo(ctx, repo, ""); err != nil || info.Gated != "" || !info.Private {
		t.Errorf("after all: %+v, %v", info, err)
	}
}

func TestSearchOptions(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	c, ctx := h.Client, t.Context()
	for i := range 5 {
		repo := hub.RepoID{Type: hub.Model, Namespace: "me", Name: fmt.Sprint("m", i)}
		if _, err := c.CreateRepo(ctx, repo, hub.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		card := fmt.Sprintf("---\nlicense: mit\nlanguage: en\nlibrary_name: transformers\npipeline_tag: text-generation\nbase_model: a/b\ndatasets: [squad]\ntags: [t%d]\n---\n", i)
		upload(t, h, repo, hub.File{Path: "README.md", Content: []byte(card)})
	}
	if err := c.Like(ctx, hub.RepoID{Type: hub.Model, Namespace: "me", Name: "m3"}); err != nil {
		t.Fatal(err)
	}
	yes := true
	for name, test := range map[string]struct {
		opts hub.SearchOptions
		want string
	}{
		"all":       {hub.SearchOptions{Sort: "createdAt"}, "m4 m3 m2 m1 m0"},
		"ascending": {hub.SearchOptions{Sort: "createdAt", Ascending: true, Limit: 2}, "m0 m1"},
		"likes":     {hub.SearchOptions{Sort: "likes", Limit: 1}, "m3"},
		"tag":       {hub.SearchOptions{Filter: []string{"t2"}}, "m2"},
		"card": {hub.SearchOptions{
			License: "mit", Language: []string{"en"}, Library: "transformers", Task: "text-generation", Base: "a/b", Uses: []string{"squad"}, Search: "m1", Author: "me",
		}, "m1"},
		"license":  {hub.SearchOptions{License: "gpl"}, ""},
		"task":     {hub.SearchOptions{Task: "fill-mask"}, ""},
		"base":     {hub.SearchOptions{Base: "a/c"}, ""},
		"gated":    {hub.SearchOptions{Gated: &yes}, ""},
		"datasets": {hub.SearchOptions{Type: hub.Dataset}, ""},
		"spaces":   {hub.SearchOptions{Type: hub.Space, Uses: []string{"squad"}, Linked: true}, ""},
		"expand":   {hub.SearchOptions{Expand: []string{"likes"}, Sort: "likes", Limit: 1}, "m3"},
	} {
		var names []string
		for _, info := range collect(t, c.Search(ctx, test.opts)) {
			names = append(names, strings.TrimPrefix(info.ID, "me/"))
			if name == "expand" && (info.Likes != 1 || info.SHA != "") {
				t.Errorf("expand: %+v", info)
			}
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	for _, err := range c.Search(ctx, hub.SearchOptions{Sort: "odd"}) {
		if e, ok := errors.AsType[*hub.Error](err); !ok || e.Status != http.StatusBadRequest {
			t.Errorf("an odd order: %v", err)
		}
	}
	if likers := collect(t, c.Likers(ctx, hub.RepoID{Type: hub.Model, Namespace: "me", Name: "m3"})); len(likers) != 1 || likers[0].Name != "me" {
		t.Errorf("Likers = %+v", likers)
	}
	if liked := collect(t, c.LikedRepos(ctx, "me")); len(liked) != 1 || liked[0].Repo.Name != "me/m3" || liked[0].Repo.Type != hub.Model {
		t.Errorf("LikedRepos = %+v", liked)
	}
}

func TestDuplicateRepo(t *testing.T) {
	t.Parallel()
	_, mine, other, repo := people(t)
	commit(t, mine, repo, hub.Commit{Files: text("f", "1")})
	to := hub.RepoID{Type: hub.Model, Namespace: "other", Name: "copy"}
	url, err := other.DuplicateRepo(t.Context(), repo, to, hub.DuplicateOptions{Visibility: "private"})
	if err != nil || url != other.RepoURL(to) {
		t.Fatalf("DuplicateRepo = %q, %v", url, err)
	}
	if ok, err := other.FileExists(t.Context(), to, "", "f"); !ok || err != nil {
		t.Errorf("the copy lacks a file: %v", err)
	}
	if ok, err := mine.RepoExists(t.Context(), to); ok || err != nil {
		t.Errorf("a private copy is seen: %v, %v", ok, err)
	}
	if _, err := other.DuplicateRepo(t.Context(), repo, to, hub.DuplicateOptions{}); !errors.Is(err, hub.ErrConflict) {
		t.Errorf("a second copy: %v", err)
	}
	if _, err := other.DuplicateRepo(t.Context(), repo, to, hub.DuplicateOptions{ExistOK: true}); err != nil {
		t.Errorf("a second copy that may exist: %v", err)
	}
}

// fixed answers every request the same way.
func fixed(t *testing.T, status int, body string, header ...string) *hub.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return &hub.Client{BaseURL: s.URL}
}

// What the Hub writes in another shape is left out, and the rest is read.
func TestLooseInfo(t *testing.T) {
	t.Parallel()
	repo := hub.RepoID{Type: hub.Model, Namespace: "a", Name: "b"}
	c := fixed(t, 200, `{"modelId":"a/b","sha":"s","gated":"manual","tags":"none","likes":"many","createdAt":"soon","cardData":[1],
		"safetensors":{"parameters":{"F32":3},"total":3,"sharded":true},"gguf":{"total":7,"architecture":["x"],"context_length":4096},
		"inferenceProviderMapping":{"nebius":{"status":"live","providerId":"x","task":"conversational"}},
		"transformersInfo":null,"config":{"architectures":["A"]},"runtime":{"stage":"RUNNING_APP","hardware":{"current":null}},
		"siblings":[{"rfilename":"w","size":5,"lfs":{"sha256":"h","size":5}}],"downloads":12,"newField":{}}`)
	info, err := c.RepoDetails(t.Context(), repo, hub.InfoOptions{Blobs: true})
	if err != nil || info.ID != "a/b" || info.Gated != "manual" || info.Downloads != 12 || info.Tags != nil || info.Likes != 0 || !info.Created.IsZero() {
		t.Errorf("%+v, %v", info, err)
	}
	if info.Parameters == nil || info.Parameters.Total != 3 || info.GGUF == nil || info.GGUF.Context != 4096 || info.Run.Stage != "RUNNING_APP" {
		t.Errorf("%+v", info)
	}
	if len(info.Providers) != 1 || info.Providers[0].Name != "nebius" || len(info.Siblings) != 1 || info.Siblings[0].Large.SHA256 != "h" {
		t.Errorf("%+v", info)
	}
	list := fixed(t, 200, `[{"id":"a/b","gated":false,"inferenceProviderMapping":[{"provider":"hf","status":"live"}]},{"id":"a/c","gated":true}]`)
	got := collect(t, list.Search(t.Context(), hub.SearchOptions{}))
	if len(got) != 2 || got[0].Gated != "" || got[1].Gated != "auto" || got[0].Providers[0].Name != "hf" {
		t.Errorf("%+v", got)
	}
	for _, body := range []string{`[]`, `"x"`, `{`} {
		if _, err := fixed(t, 200, body).RepoInfo(t.Context(), repo, ""); err == nil {
			t.Errorf("%s is taken for a repository", body)
		}
	}
	d, err := fixed(t, 200, `{"num":3,"title":"t","isPullRequest":true,"filesWithConflicts":true,"changes":{"base":"refs/heads/main"},
		"events":[{"id":"1","type":"comment","data":{"latest":{"raw":"hi"}}},{"id":"2","type":"brand-new","author":{"name":"x"},"data":[1]}]}`).GetDiscussion(t.Context(), repo, 3)
	if err != nil || !d.Conflict || d.Conflicts != nil || len(d.Events) != 2 || d.Events[0].Author != "deleted" || d.Events[0].Text != "hi" || d.Events[1].Type != "brand-new" {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestErrorClasses(t *testing.T) {
	t.Parallel()
	repo := hub.RepoID{Type: hub.Dataset, Namespace: "a", Name: "b"}
	all := map[string]error{
		"notfound": hub.ErrNotFound, "revision": hub.ErrNoRevision, "entry": hub.ErrNoEntry, "unauthorized": hub.ErrUnauthorized,
		"forbidden": hub.ErrForbidden, "gated": hub.ErrGated, "conflict": hub.ErrConflict, "pay": hub.ErrPaymentRequired, "rate": hub.ErrRateLimited,
	}
	for _, c := range []struct {
		status  int
		code    string
		classes string
	}{
		{404, "RepoNotFound", "notfound"},
		{404, "RevisionNotFound", "notfound revision"},
		{404, "EntryNotFound", "entry notfound"},
		{401, "", "notfound unauthorized"}, // as the Hub tells strangers of a missing repository
		{401, "GatedRepo", "gated unauthorized"},
		{403, "GatedRepo", "forbidden gated unauthorized"},
		{403, "", "forbidden unauthorized"},
		{402, "", "pay"},
		{409, "", "conflict"},
		{412, "", "conflict"},
		{429, "", "rate"},
		{400, "", ""},
	} {
		client := fixed(t, c.status, `{"error":"no"}`, "X-Error-Code", c.code, "Retry-After", "3600")
		_, err := client.RepoInfo(t.Context(), repo, "")
		var is []string
		for name, class := range all {
			if errors.Is(err, class) {
				is = append(is, name)
			}
		}
		slices.Sort(is)
		if got := strings.Join(is, " "); got != c.classes {
			t.Errorf("%d %s: %q, want %q", c.status, c.code, got, c.classes)
		}
		e, ok := errors.AsType[*hub.Error](err)
		if !ok || (e.AskURL != "") != (c.code == "GatedRepo") || c.code == "GatedRepo" && e.AskURL != client.BaseURL+"/datasets/a/b" {
			t.Errorf("%d %s: ask at %q", c.status, c.code, e.AskURL)
		}
		if c.status == 429 && e.Wait.Seconds() != 3600 {
			t.Errorf("the wait is %v", e.Wait)
		}
	}
}

// A list whose next page is itself ends with an error, not never.
func TestPageLoop(t *testing.T) {
	t.Parallel()
	var url string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", `<`+url+r.URL.String()+`>; rel="next"`)
		fmt.Fprint(w, `[{"user":"x"}]`)
	}))
	defer s.Close()
	url = s.URL
	c := &hub.Client{BaseURL: url}
	n, failed := 0, false
	for _, err := range c.Likers(t.Context(), hub.RepoID{Type: hub.Model, Namespace: "a", Name: "b"}) {
		if n++; n > 10 {
			t.Fatal("it goes on for ever")
		}
		failed = failed || err != nil
	}
	if !failed {
		t.Error("nothing was said about it")
	}
}

// No object that a Hub can answer with fails to be read.
func FuzzInfo(f *testing.F) {
	f.Add(`{"id":"a/b","gated":false,"safetensors":{"parameters":{"F32":1e3}}}`)
	f.Add(`{"id":5,"siblings":[{"rfilename":1}],"runtime":"x","cardData":"y"}`)
	f.Fuzz(func(t *testing.T, body string) {
		checkLoose(t, body)
	})
}

func checkLoose(t *testing.T, body string) {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(body), &fields) != nil {
		return
	}
	for _, v := range []any{&hub.Info{}, &hub.DiscussionDetails{}, &hub.AccessRequest{}, &hub.DiscussionEvent{}} {
		if err := json.Unmarshal([]byte(body), v); err != nil {
			t.Errorf("%T of %s: %v", v, body, err)
		}
	}
}
