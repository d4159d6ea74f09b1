package hub_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
)

func noise(n int, seed byte) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(data) // never fails
	return data
}

func newRepo(t *testing.T, h *hubtest.Hub, typ hub.RepoType) hub.RepoID {
	t.Helper()
	repo := hub.RepoID{Type: typ, Namespace: "me", Name: "x"}
	url, err := h.Client.CreateRepo(t.Context(), repo, hub.CreateOptions{SDK: "docker"})
	if err != nil || url != h.Client.RepoURL(repo) {
		t.Fatalf("CreateRepo = %q, %v", url, err)
	}
	return repo
}

func upload(t *testing.T, h *hubtest.Hub, repo hub.RepoID, files ...hub.File) hub.Committed {
	t.Helper()
	out, err := h.Client.Upload(t.Context(), repo, hub.Commit{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func download(t *testing.T, h *hubtest.Hub, repo hub.RepoID, path string) string {
	t.Helper()
	var out bytes.Buffer
	if _, err := h.Client.Download(t.Context(), repo, "", path, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func head(t *testing.T, h *hubtest.Hub, repo hub.RepoID) string {
	t.Helper()
	info, err := h.Client.RepoInfo(t.Context(), repo, "")
	if err != nil {
		t.Fatal(err)
	}
	return info.SHA
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		all[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var content = map[string][]byte{
	"README.md":              []byte("---\nlicense: mit\n---\n# Model\n"),
	"weights/m.safetensors":  noise(3<<20, 1),
	"data.bin":               noise(70_000, 2),
	"empty":                  {},
	"empty.bin":              {},
	"deep/er/ünï #1 %20?.md": []byte("odd\n"),
	"a b/c.json":             []byte(`{}`),
}

func TestUploadAndSnapshot(t *testing.T) {
	t.Parallel()
	for _, typ := range []hub.RepoType{hub.Model, hub.Dataset, hub.Space} {
		for _, part := range []int64{0, 1 << 20} {
			t.Run(fmt.Sprint(typ, part), func(t *testing.T) {
				t.Parallel()
				testRoundTrip(t, typ, part)
			})
		}
	}
}

func testRoundTrip(t *testing.T, typ hub.RepoType, part int64) {
	h := hubtest.StartWith(t, hubserver.Options{PartSize: part})
	repo := newRepo(t, h, typ)
	source := t.TempDir()
	for name, data := range content {
		writeFile(t, filepath.Join(source, filepath.FromSlash(name)), data)
	}
	writeFile(t, filepath.Join(source, ".git", "config"), []byte("not for the Hub"))
	list, err := hub.Folder(source)
	if err != nil || len(list) != len(content) {
		t.Fatalf("Folder = %v, %v", list, err)
	}
	first := upload(t, h, repo, list...)
	if first.Unchanged || first.Commit != head(t, h, repo) || !strings.HasSuffix(first.URL, repo.Path()+"/commit/"+first.Commit) {
		t.Errorf("the upload came to %+v", first)
	}
	h.Requests()
	if again := upload(t, h, repo, list...); !again.Unchanged || again.Commit != first.Commit {
		t.Errorf("the same again came to %+v", again)
	}
	for _, r := range h.Requests() {
		if r.Method == "PUT" || strings.Contains(r.Path, "/commit/") {
			t.Errorf("the same again needs %s %s", r.Method, r.Path)
		}
	}

	dir := t.TempDir()
	commit, err := h.Client.Snapshot(t.Context(), repo, hub.SnapshotOptions{Dir: dir})
	if err != nil || commit != first.Commit {
		t.Fatalf("Snapshot = %q, %v", commit, err)
	}
	got := files(t, dir)
	delete(got, ".gitattributes")
	if len(got) != len(content) {
		t.Errorf("the snapshot has %d files, want %d", len(got), len(content))
	}
	for name, data := range content {
		if got[name] != string(data) {
			t.Errorf("%s came back different", name)
		}
	}
	writeFile(t, filepath.Join(dir, "empty"), []byte("changed"))
	h.Requests()
	if _, err := h.Client.Snapshot(t.Context(), repo, hub.SnapshotOptions{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	var fetched []string
	for _, r := range h.Requests() {
		if strings.Contains(r.Path, "/resolve/") {
			fetched = append(fetched, r.Path[strings.LastIndexByte(r.Path, '/')+1:])
		}
	}
	if len(fetched) > 1 || files(t, dir)["empty"] != "" {
		t.Errorf("a snapshot over an old one fetched %v", fetched)
	}
}

func TestListTree(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	repo := newRepo(t, h, hub.Model)
	var many []hub.File
	for i := range 1203 {
		many = append(many, hub.File{Path: fmt.Sprintf("d%d/f%04d", i%3, i), Content: fmt.Append(nil, i%5)})
	}
	upload(t, h, repo, many...)
	h.Requests()
	var paths []string
	for e, err := range h.Client.ListTree(t.Context(), repo, hub.TreeOptions{Recursive: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if !e.Dir {
			paths = append(paths, e.Path)
		}
	}
	if n := len(h.Requests()); len(paths) != 1204 || n != 2 {
		t.Errorf("%d files in %d pages, want 1204 in 2", len(paths), n)
	}
	if slices.Sort(paths); len(slices.Compact(paths)) != 1204 {
		t.Error("a file is listed twice")
	}
	for e, err := range h.Client.ListTree(t.Context(), repo, hub.TreeOptions{Path: "d1"}) {
		if err != nil || !strings.HasPrefix(e.Path, "d1/f") {
			t.Fatalf("in d1 there is %v, %v", e, err)
		}
		break
	}
	for _, err := range h.Client.ListTree(t.Context(), repo, hub.TreeOptions{Path: "nowhere"}) {
		if !errors.Is(err, hub.ErrNotFound) {
			t.Errorf("a missing folder is %v", err)
		}
	}
}

func TestCommitDeletesAndParent(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	repo := newRepo(t, h, hub.Model)
	first := upload(t, h, repo, hub.File{Path: "a", Content: []byte("1")}, hub.File{Path: "d/b", Content: []byte("2")}, hub.File{Path: "d/c", Content: []byte("3")})
	_, err := h.Client.Upload(t.Context(), repo, hub.Commit{
		Parent: first.Commit, Delete: []string{"d/"}, Files: []hub.File{{Path: "d/b", Content: []byte("2")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for e, err := range h.Client.ListTree(t.Context(), repo, hub.TreeOptions{Recursive: true}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Path)
	}
	if want := []string{".gitattributes", "a", "d", "d/b"}; !slices.Equal(got, want) {
		t.Errorf("the tree has %v, want %v", got, want)
	}
	_, err = h.Client.Upload(t.Context(), repo, hub.Commit{Parent: first.Commit, Files: []hub.File{{Path: "late", Content: []byte("x")}}})
	if !errors.Is(err, hub.ErrConflict) {
		t.Errorf("a commit on an old head is %v", err)
	}
	_, err = h.Client.Upload(t.Context(), repo, hub.Commit{Delete: []string{"nothing"}})
	if !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("deleting what is not there is %v", err)
	}
	for _, path := range []string{"../x", "/x", ".git/x", "a//b"} {
		if _, err := h.Client.Upload(t.Context(), repo, hub.Commit{Files: []hub.File{{Path: path}}}); err == nil {
			t.Errorf("a file at %q was uploaded", path)
		}
	}
	out, err := h.Client.Upload(t.Context(), repo, hub.Commit{Files: []hub.File{
		{Path: ".gitignore", Content: []byte("*.tmp\n")}, {Path: "x.tmp", Content: []byte("1")},
	}})
	if err != nil || !slices.Equal(out.Skipped, []string{"x.tmp"}) {
		t.Errorf("with a .gitignore the upload came to %+v, %v", out, err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	h := hubtest.StartWith(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{
		"hf_mine": {Name: "me"}, "hf_reader": {Name: "me", ReadOnly: true}, "hf_other": {Name: "other"},
	}})
	as := func(token string) *hub.Client { return &hub.Client{BaseURL: h.URL, Token: token} }
	repo := hub.RepoID{Type: hub.Model, Namespace: "me", Name: "secret"}
	if _, err := as("hf_mine").CreateRepo(t.Context(), repo, hub.CreateOptions{Private: true}); err != nil {
		t.Fatal(err)
	}
	info := func(c *hub.Client) error { _, err := c.RepoInfo(t.Context(), repo, ""); return err }
	create := func(c *hub.Client) error {
		_, err := c.CreateRepo(t.Context(), repo, hub.CreateOptions{})
		return err
	}
	cases := []struct {
		name  string
		err   error
		class []error
	}{
		{"private, owner", info(as("hf_mine")), nil},
		{"private, reader", info(as("hf_reader")), nil},
		{"private, other", info(as("hf_other")), []error{hub.ErrNotFound}},
		{"private, stranger", info(as("")), []error{hub.ErrNotFound, hub.ErrUnauthorized}},
		{"wrong token", info(as("hf_wrong")), []error{hub.ErrUnauthorized}},
		{"create twice", create(as("hf_mine")), []error{hub.ErrConflict}},
		{"create for another", create(as("hf_other")), []error{hub.ErrUnauthorized}},
		{"create with a reader's token", create(as("hf_reader")), []error{hub.ErrUnauthorized}},
		{"create as a stranger", create(as("")), []error{hub.ErrUnauthorized}},
		{"delete as a reader", as("hf_reader").DeleteRepo(t.Context(), repo), []error{hub.ErrUnauthorized}},
		{"delete as another", as("hf_other").DeleteRepo(t.Context(), repo), []error{hub.ErrNotFound}},
	}
	all := []error{hub.ErrNotFound, hub.ErrUnauthorized, hub.ErrGated, hub.ErrConflict, hub.ErrRateLimited, hub.ErrPaymentRequired}
	for _, c := range cases {
		for _, class := range all {
			if errors.Is(c.err, class) != slices.Contains(c.class, class) {
				t.Errorf("%s: %v; is it %q?", c.name, c.err, class)
			}
		}
		if c.err != nil && strings.Contains(c.err.Error(), "hf_") {
			t.Errorf("%s: the token is in the error: %v", c.name, c.err)
		}
	}
	if who, err := as("hf_reader").WhoAmI(t.Context()); err != nil || who.Name != "me" || who.Auth.AccessToken.Role != "read" {
		t.Errorf("WhoAmI = %+v, %v", who, err)
	}
	if url, err := as("hf_mine").CreateRepo(t.Context(), repo, hub.CreateOptions{ExistOK: true}); err != nil || url != h.URL+"/me/secret" {
		t.Errorf("CreateRepo of one that is there = %q, %v", url, err)
	}
	if err := as("hf_mine").DeleteRepo(t.Context(), repo); err != nil {
		t.Error(err)
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	t.Run("a bad moment passes", func(t *testing.T) {
		t.Parallel()
		h := hubtest.Start(t)
		repo := newRepo(t, h, hub.Model)
		for _, path := range []string{"/preupload/", "/batch", "/api/storage/", "/verify", "/revision/", "/resolve/"} {
			h.Break(hubtest.Fault{Path: path, Status: 503})
		}
		h.Break(hubtest.Fault{Path: "/commit/", Status: 429, Header: map[string]string{"RateLimit": `"api";r=0;t=0`}})
		upload(t, h, repo, hub.File{Path: "m.bin", Content: noise(5000, 3)})
		head(t, h, repo)
		if download(t, h, repo, "m.bin") != string(noise(5000, 3)) {
			t.Error("the file came back different")
		}
	})
	t.Run("too many requests for too long", func(t *testing.T) {
		t.Parallel()
		h := hubtest.Start(t)
		h.Break(hubtest.Fault{Times: -1, Status: 429, Header: map[string]string{"Retry-After": "3600"}})
		_, err := h.Client.WhoAmI(t.Context())
		e, ok := errors.AsType[*hub.Error](err)
		if !errors.Is(err, hub.ErrRateLimited) || !ok || e.Wait.Hours() != 1 || len(h.Requests()) != 1 {
			t.Errorf("WhoAmI = %v", err)
		}
	})
	t.Run("what cannot be mended is not tried again", func(t *testing.T) {
		t.Parallel()
		h := hubtest.Start(t)
		h.Break(hubtest.Fault{Times: -1, Status: 402})
		if _, err := h.Client.WhoAmI(t.Context()); !errors.Is(err, hub.ErrPaymentRequired) || len(h.Requests()) != 1 {
			t.Errorf("WhoAmI = %v", err)
		}
	})
	t.Run("a cancel ends the waiting", func(t *testing.T) {
		t.Parallel()
		h := hubtest.Start(t)
		h.Break(hubtest.Fault{Times: -1, Status: 429, Header: map[string]string{"Retry-After": "60"}})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := h.Client.WhoAmI(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("WhoAmI = %v", err)
		}
	})
}

// The answer to a commit is lost: it must not be made twice, and not be taken
// for failed.
func TestLostCommit(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	repo := newRepo(t, h, hub.Model)
	before := head(t, h, repo)
	h.Break(hubtest.Fault{Method: "POST", Path: "/commit/", Lose: true})
	out := upload(t, h, repo, hub.File{Path: "a", Content: []byte("once")}, hub.File{Path: "b.bin", Content: noise(99, 4)})
	commits := 0
	for _, r := range h.Requests() {
		if strings.Contains(r.Path, "/commit/") {
			commits++
		}
	}
	if commits != 1 || out.Commit == before || out.Commit != head(t, h, repo) {
		t.Errorf("%d commits were sent, and the upload came to %+v", commits, out)
	}
	h.Break(hubtest.Fault{Method: "POST", Path: "/commit/", Status: 500})
	if _, err := h.Client.Upload(t.Context(), repo, hub.Commit{Files: []hub.File{{Path: "c", Content: []byte("2")}}}); err == nil {
		t.Error("a commit that was not made is taken for made")
	}
}

func TestDownloadIsTakenUp(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	repo := newRepo(t, h, hub.Model)
	want := noise(900_000, 5)
	text := bytes.Repeat([]byte("regular\n"), 50_000)
	upload(t, h, repo, hub.File{Path: "m.bin", Content: want}, hub.File{Path: "t.txt", Content: text})
	for path, want := range map[string][]byte{"m.bin": want, "t.txt": text} {
		h.Break(hubtest.Fault{Method: "GET", Path: path, Times: 2, CutAfter: 150_000})
		h.Requests()
		if download(t, h, repo, path) != string(want) {
			t.Errorf("%s came back different", path)
		}
		var ranges []string
		for _, r := range h.Requests() {
			ranges = append(ranges, r.Range)
		}
		if want := []string{"", "bytes=150000-", "bytes=300000-"}; !slices.Equal(ranges, want) {
			t.Errorf("%s was asked for in %q, want %q", path, ranges, want)
		}
	}
}

// A server that knows no ranges is read from the start again.
func TestDownloadWithoutRanges(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked++
		first := asked == 1
		mu.Unlock()
		w.Header().Set("Content-Length", "10")
		if first {
			io.WriteString(w, "0123")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "0123456789")
	}))
	defer server.Close()
	var out bytes.Buffer
	c := &hub.Client{BaseURL: server.URL}
	info, err := c.Download(t.Context(), hub.RepoID{Type: hub.Model, Name: "gpt2"}, "", "f", &out)
	if err != nil || out.String() != "0123456789" || info.Size != 10 || asked != 2 {
		t.Errorf("Download = %q, %+v, %v", out.String(), info, err)
	}
}

func TestDownloadIsChecked(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	repo := newRepo(t, h, hub.Model)
	upload(t, h, repo, hub.File{Path: "m.bin", Content: noise(9000, 6)}, hub.File{Path: "t.txt", Content: []byte("text")})
	dir := t.TempDir()
	for _, path := range []string{"m.bin", "t.txt"} {
		h.Break(hubtest.Fault{Method: "GET", Path: path, Times: 2, Garble: true})
		if _, err := h.Client.Download(t.Context(), repo, "", path, io.Discard); err == nil {
			t.Errorf("%s was damaged on the way, and nobody saw it", path)
		}
		if _, err := h.Client.DownloadFile(t.Context(), repo, "", path, filepath.Join(dir, path)); err == nil {
			t.Errorf("%s was damaged on the way, and nobody saw it", path)
		}
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("damaged downloads left %d files", len(left))
	}
}

// A call that is given up leaves its part behind, and the next one goes on.
func TestDownloadFileGoesOn(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	repo := newRepo(t, h, hub.Model)
	want := noise(500_000, 7)
	upload(t, h, repo, hub.File{Path: "m.bin", Content: want})
	dst := filepath.Join(t.TempDir(), "sub", "m.bin")
	h.Break(hubtest.Fault{Method: "GET", Path: "m.bin", CutAfter: 200_000})
	h.Break(hubtest.Fault{Method: "GET", Path: "m.bin", Status: 403})
	if _, err := h.Client.DownloadFile(t.Context(), repo, "", "m.bin", dst); !errors.Is(err, hub.ErrUnauthorized) {
		t.Fatalf("DownloadFile = %v", err)
	}
	if _, err := os.Stat(dst); err == nil {
		t.Error("half a file is there under its name")
	}
	h.Requests()
	info, err := h.Client.DownloadFile(t.Context(), repo, "", "m.bin", dst)
	if err != nil || info.Size != 500_000 {
		t.Fatalf("DownloadFile = %+v, %v", info, err)
	}
	if r := h.Requests(); r[len(r)-1].Range != "bytes=200000-" {
		t.Errorf("the second call asked for %q", r[len(r)-1].Range)
	}
	if got := files(t, filepath.Dir(dst)); len(got) != 1 || got["m.bin"] != string(want) {
		t.Errorf("in the folder there are %d files", len(got))
	}
}

// Redirects lead to files on other hosts. The token must not go there, and
// what is written must not either.
func TestTokenStaysHome(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var leaked []string
	cdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("Authorization") != "" || r.Method == "POST" {
			leaked = append(leaked, r.Method+" "+r.URL.Path)
		}
		w.Write([]byte("hello"))
	}))
	defer cdn.Close()
	h := hubtest.StartWith(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{"hf_mine": {Name: "me"}}})
	h.Client.Token = "hf_mine"
	repo := newRepo(t, h, hub.Model)
	upload(t, h, repo, hub.File{Path: "t.txt", Content: []byte("hello")}, hub.File{Path: "m.bin", Content: noise(100, 8)})
	for _, r := range h.Requests() {
		if storage := strings.HasPrefix(r.Path, "/api/storage/"); r.Token == storage {
			t.Errorf("%s %s: token sent: %v", r.Method, r.Path, r.Token)
		}
	}
	h.Break(hubtest.Fault{Method: "GET", Path: "t.txt", Redirect: cdn.URL + "/file"})
	if got := download(t, h, repo, "t.txt"); got != "hello" {
		t.Errorf("from the other host came %q", got)
	}
	h.Break(hubtest.Fault{Method: "POST", Path: "/preupload/", Times: -1, Status: 307, Redirect: cdn.URL + "/steal"})
	_, err := h.Client.Upload(t.Context(), repo, hub.Commit{Files: []hub.File{{Path: "new", Content: []byte("x")}}})
	if err == nil || strings.Contains(err.Error(), "hf_mine") {
		t.Errorf("an upload that is sent elsewhere is %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(leaked) > 0 {
		t.Errorf("the other host got %v", leaked)
	}
}

// A Hub, or what claims to be one, names a file outside of the folder.
func TestSnapshotStaysInside(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"../evil", "/evil", `..\evil`, "a/../../evil", "link/evil"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.Contains(r.URL.Path, "/revision/"):
				fmt.Fprint(w, `{"sha":"0123456789012345678901234567890123456789"}`)
			case strings.Contains(r.URL.Path, "/tree/"):
				fmt.Fprintf(w, `[{"type":"file","path":%q,"size":4,"oid":"x"}]`, path)
			default:
				fmt.Fprint(w, "evil")
			}
		}))
		outer := t.TempDir()
		dir := filepath.Join(outer, "in")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outer, filepath.Join(dir, "link")); err != nil && runtime.GOOS != "windows" {
			t.Fatal(err)
		}
		c := &hub.Client{BaseURL: server.URL}
		if _, err := c.Snapshot(t.Context(), hub.RepoID{Type: hub.Model, Namespace: "a", Name: "b"}, hub.SnapshotOptions{Dir: dir}); err == nil {
			t.Errorf("a file at %q was written", path)
		}
		if got, _ := filepath.Glob(filepath.Join(outer, "evil*")); len(got) > 0 {
			t.Errorf("%q got out: %v", path, got)
		}
		server.Close()
	}
}

func TestFolderRefusesLinksOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret")
	writeFile(t, secret, []byte("secret"))
	writeFile(t, filepath.Join(dir, "a"), []byte("a"))
	if err := os.Symlink(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		t.Skip("links cannot be made here:", err)
	}
	if list, err := hub.Folder(dir); err != nil || len(list) != 2 {
		t.Errorf("Folder = %v, %v", list, err)
	}
	if err := os.Symlink(secret, filepath.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	if list, err := hub.Folder(dir); err == nil {
		t.Errorf("Folder = %v, with a link to a file outside", list)
	}
}

// Large files go through in small pieces, in both directions.
func TestMemoryStaysSmall(t *testing.T) {
	h := hubtest.Start(t)
	repo := newRepo(t, h, hub.Model)
	path := filepath.Join(t.TempDir(), "big.bin")
	const size = 64 << 20
	writeFile(t, path, noise(size, 9))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	upload(t, h, repo, hub.File{Path: "big.bin", Local: path})
	if _, err := h.Client.Download(t.Context(), repo, "", "big.bin", io.Discard); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > size/4 {
		t.Errorf("%d bytes were allocated to send and get %d", used, size)
	}
}
