package hubserver_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// A site is a server under test, asked by hand.
type site struct {
	t     *testing.T
	url   string
	token string
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%q: %v", a.body, err)
	}
}

// do sends a request; more are header names and values in turn.
func (s site) do(method, path, body string, more ...string) answer {
	s.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	if strings.HasPrefix(path, "/") {
		path = s.url + path
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, path, reader)
	if err != nil {
		s.t.Fatal(err)
	}
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	for i := 0; i < len(more); i += 2 {
		req.Header.Set(more[i], more[i+1])
		if more[i] == "Host" {
			req.Host = more[i+1]
		}
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, read(s.t, resp.Body)}
}

func newSite(t *testing.T, opts hubserver.Options) site {
	t.Helper()
	return site{t: t, url: start(t, opts).URL}
}

func (s site) create(name string) {
	s.t.Helper()
	if a := s.do("POST", "/api/repos/create", fmt.Sprintf(`{"name":%q}`, name)); a.status != 200 {
		s.t.Fatalf("create %s: %d %s", name, a.status, a.body)
	}
}

func (s site) head(repo string) string {
	s.t.Helper()
	var info struct{ SHA string }
	s.do("GET", "/api/models/"+repo, "").json(s.t, &info)
	return info.SHA
}

func commitBody(header string, lines ...string) string {
	return fmt.Sprintf(`{"key":"header","value":{"summary":"s"%s}}`+"\n", header) + strings.Join(lines, "\n") + "\n"
}

func fileLine(path, content string) string {
	line, _ := json.Marshal(map[string]any{"key": "file", "value": map[string]string{
		"path": path, "content": base64.StdEncoding.EncodeToString([]byte(content)), "encoding": "base64",
	}})
	return string(line)
}

func sum(data string) string {
	s := sha256.Sum256([]byte(data))
	return hex.EncodeToString(s[:])
}

// Every answer that says no has its code and its text in the header, which is
// all that HEAD gives, and JSON in the body.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	cases := []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/api/no-such-thing", 404, "NotFound"},
		{"GET", "/api/nothing/at/all", 404, "NotFound"},
		{"POST", "/api/models/me/x", 405, "MethodNotAllowed"},
		{"GET", "/api/models/me/nope", 404, "RepoNotFound"},
		{"GET", "/api/models/gpt2", 404, "RepoNotFound"},
		{"GET", "/api/models/me/no..pe", 404, "RepoNotFound"},
		{"GET", "/api/models/me/x/revision/nope", 404, "RevisionNotFound"},
		{"GET", "/api/models/me/x/tree/main/nope", 404, "EntryNotFound"},
		{"GET", "/api/models/me/x?expand=nonsense", 400, "BadRequest"},
		{"GET", "/api/models?sort=nonsense", 400, "BadRequest"},
		{"GET", "/me/x/resolve/main/nope", 404, "EntryNotFound"},
		{"GET", "/me/x/resolve/nope/.gitattributes", 404, "RevisionNotFound"},
		{"GET", "/me/nope/resolve/main/x", 404, "RepoNotFound"},
		{"GET", "/datasets/me/x/resolve/main/x", 404, "RepoNotFound"},
		{"PUT", "/api/storage/large/" + sum("x") + "?size=1&until=99999999999&sig=00", 403, "SignatureDoesNotMatch"},
	}
	for _, c := range cases {
		for _, method := range []string{c.method, "HEAD"} {
			if method == "HEAD" && c.method != "GET" {
				continue
			}
			a := s.do(method, c.path, "")
			if a.status != c.status || a.header.Get("X-Error-Code") != c.code || a.header.Get("X-Error-Message") == "" || a.header.Get("X-Request-Id") == "" {
				t.Errorf("%s %s: %d %q, want %d %q", method, c.path, a.status, a.header.Get("X-Error-Code"), c.status, c.code)
			}
			var body struct{ Error string }
			if method != "HEAD" && (json.Unmarshal([]byte(a.body), &body) != nil || body.Error == "") {
				t.Errorf("%s %s: the body is %q", method, c.path, a.body)
			}
		}
	}
	if a := s.do("HEAD", "/me/x/resolve/main/nope", ""); a.header.Get("X-Repo-Commit") != s.head("me/x") {
		t.Error("a missing file does not tell the commit that it is missing in")
	}
}

func TestWhoMayWhat(t *testing.T) {
	t.Parallel()
	open := newSite(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{
		"w": {Name: "me", Orgs: []string{"org"}}, "r": {Name: "me", ReadOnly: true}, "o": {Name: "other"},
	}})
	as := func(token string) site { s := open; s.token = token; return s }
	as("w").create("public")
	as("w").create("private")
	as("w").create("gated")
	as("w").do("PUT", "/api/models/me/private/settings", `{"private":true}`)
	as("w").do("PUT", "/api/models/me/gated/settings", `{"gated":"manual"}`)
	file := "/resolve/main/.gitattributes"
	line := commitBody("", fileLine("f", "1"))
	cases := []struct {
		token, method, path, body string
		status                    int
		code                      string
	}{
		{"", "GET", "/api/models/me/public", "", 200, ""},
		{"", "GET", "/me/public" + file, "", 200, ""},
		{"", "GET", "/me/private" + file, "", 401, "RepoNotFound"},
		{"", "GET", "/me/nothing" + file, "", 401, "RepoNotFound"},
		{"", "GET", "/me/private", "", 401, "RepoNotFound"},
		{"", "GET", "/api/whoami-v2", "", 401, "Unauthorized"},
		{"", "POST", "/api/models/me/public/commit/main", line, 401, "RepoNotFound"},
		{"", "POST", "/api/repos/create", `{"name":"n"}`, 401, "Unauthorized"},
		{"bad", "GET", "/api/models/me/public", "", 401, "InvalidToken"},
		{"r", "GET", "/me/private" + file, "", 200, ""},
		{"r", "POST", "/api/models/me/public/commit/main", line, 403, "Forbidden"},
		{"r", "GET", "/api/models/me/private/auth-check", "", 200, ""},
		{"r", "GET", "/api/models/me/private/auth-check/write", "", 403, "Forbidden"},
		{"o", "GET", "/me/private" + file, "", 404, "RepoNotFound"},
		{"o", "POST", "/api/models/me/public/commit/main", line, 403, "Forbidden"},
		{"o", "POST", "/me/public.git/info/lfs/objects/batch", `{"ref":{"name":"main"}}`, 403, "Forbidden"},
		{"o", "POST", "/me/public.git/info/lfs/objects/batch", `{"operation":"upload"}`, 200, ""}, // for a pull request
		{"o", "POST", "/me/private.git/info/lfs/objects/batch", `{"operation":"upload"}`, 404, "RepoNotFound"},
		{"o", "DELETE", "/api/repos/delete", `{"name":"me/public"}`, 403, "Forbidden"},
		{"o", "DELETE", "/api/repos/delete", `{"name":"me/private"}`, 404, "RepoNotFound"},
		{"o", "POST", "/api/repos/move", `{"fromRepo":"me/public","toRepo":"other/x"}`, 403, "Forbidden"},
		{"w", "POST", "/api/repos/move", `{"fromRepo":"me/public","toRepo":"other/x"}`, 403, "Forbidden"},
		{"w", "POST", "/api/repos/create", `{"name":"n","organization":"org"}`, 200, ""},
		{"w", "POST", "/api/repos/create", `{"name":"n","organization":"other"}`, 403, "Forbidden"},
		{"", "GET", "/me/gated" + file, "", 401, "GatedRepo"},
		{"o", "GET", "/me/gated" + file, "", 403, "GatedRepo"},
		{"o", "GET", "/api/models/me/gated", "", 200, ""},
		{"r", "GET", "/me/gated" + file, "", 200, ""},
	}
	for _, c := range cases {
		a := as(c.token).do(c.method, c.path, c.body)
		if a.status != c.status || a.header.Get("X-Error-Code") != c.code {
			t.Errorf("%q %s %s: %d %q, want %d %q", c.token, c.method, c.path, a.status, a.header.Get("X-Error-Code"), c.status, c.code)
		}
	}
	for token, want := range map[string]int{"": 2, "o": 2, "r": 3} {
		var list []any
		if as(token).do("GET", "/api/models?author=me", "").json(t, &list); len(list) != want {
			t.Errorf("%q sees %d models, want %d", token, len(list), want)
		}
	}
}

// Without tokens, only this machine is served, and no page of another origin.
func TestStrangePagesAreKeptOut(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	if a := s.do("GET", "/api/models/me/x", "", "Host", "evil.example"); a.status != 403 {
		t.Errorf("a request for evil.example is answered %d", a.status)
	}
	if a := s.do("GET", "/api/models/me/x", "", "Host", "datasets-server.localhost:1"); a.status != 200 {
		t.Errorf("a request for a name of this machine is answered %d", a.status)
	}
	body := commitBody("", fileLine("f", "1"))
	if a := s.do("POST", "/api/models/me/x/commit/main", body, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); a.status != 403 {
		t.Errorf("a page of evil.example may commit: %d", a.status)
	}
}

func TestCommitRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	before := s.head("me/x")
	large := func(path string) string {
		return fmt.Sprintf(`{"key":"lfsFile","value":{"path":%q,"algo":"sha256","oid":"%064d","size":3}}`, path, 1)
	}
	binary := "\x00" + strings.Repeat("x", 1<<20)
	cases := []struct {
		name, path, body string
		status           int
		says             string
	}{
		{"another parent", "main", commitBody(`,"parentCommit":"`+strings.Repeat("0", 40)+`"`, fileLine("f", "1")), 412, "A commit has happened since"},
		{"a parent too short", "main", commitBody(`,"parentCommit":"`+before[:6]+`"`, fileLine("f", "1")), 400, "too short"},
		{"no header", "main", fileLine("f", "1"), 400, "no header"},
		{"two headers", "main", commitBody("", commitBody("")), 400, "two headers"},
		{"not JSON", "main", commitBody("", "{"), 400, "line 2"},
		{"an unknown key", "main", commitBody("", `{"key":"wat","value":{}}`), 400, "wat"},
		{"not base64", "main", commitBody("", `{"key":"file","value":{"path":"f","content":"%","encoding":"base64"}}`), 400, "base64"},
		{"an unknown encoding", "main", commitBody("", `{"key":"file","value":{"path":"f","content":"x","encoding":"rot13"}}`), 400, "rot13"},
		{"no content", "main", commitBody("", `{"key":"file","value":{"path":"f"}}`), 400, "no content"},
		{"out of the repository", "main", commitBody("", fileLine("../../../etc/passwd", "1")), 400, "part .."},
		{"an absolute path", "main", commitBody("", fileLine("/etc/passwd", "1")), 400, "empty part"},
		{"into .git", "main", commitBody("", fileLine(".git/config", "1")), 400, ".git"},
		{"a backslash", "main", commitBody("", fileLine(`..\x`, "1")), 400, `use /`},
		{"a large file that never came", "main", commitBody("", large("w.bin")), 400, "LFS pointer pointed to a file that does not exist"},
		{"a large file with a bad name", "main", commitBody("", `{"key":"lfsFile","value":{"path":"w","oid":"../../x","size":1}}`), 400, "sha256"},
		{"too large for git", "main", commitBody("", fileLine("f", strings.Repeat("x", 10<<20+1))), 400, "10 MiB"},
		{"too large for a line", "main", commitBody("", fileLine("f", strings.Repeat("x", 13<<20))), 413, "10 MiB"},
		{"too large for a binary", "main", commitBody("", fileLine("f", binary)), 400, "binary"},
		{"a card with nonsense", "main", commitBody("", fileLine("README.md", "---\ntags: [a\n---\n")), 400, "Invalid YAML"},
		{"a card with a wrong type", "main", commitBody("", fileLine("README.md", "---\nlicense: {a: 1}\n---\n")), 400, "license"},
		{"deleting nothing", "main", commitBody("", `{"key":"deletedFile","value":{"path":"nope"}}`), 404, "nope"},
		{"deleting a file as a folder", "main", commitBody("", `{"key":"deletedFolder","value":{"path":".gitattributes/"}}`), 404, ".gitattributes"},
		{"a branch that is not there", "nope", commitBody("", fileLine("f", "1")), 404, "nope"},
		{"on a commit", before, commitBody("", fileLine("f", "1")), 404, "branch"},
		{"a pull request for nothing", "nope?create_pr=1", commitBody("", fileLine("f", "1")), 404, "nope"},
	}
	for _, c := range cases {
		a := s.do("POST", "/api/models/me/x/commit/"+c.path, c.body)
		if a.status != c.status || !strings.Contains(a.body, c.says) || a.header.Get("X-Error-Code") == "" {
			t.Errorf("%s: %d %s; want %d and %q", c.name, a.status, a.body, c.status, c.says)
		}
	}
	if s.head("me/x") != before {
		t.Error("a refused commit changed the repository")
	}
	rename := commitBody("", fileLine("f", "1")) + `{"key":"file","value":{"path":"attrs","oldPath":".gitattributes"}}` + "\n"
	if a := s.do("POST", "/api/models/me/x/commit/main", rename); a.status != 200 {
		t.Errorf("a rename: %d %s", a.status, a.body)
	}
	if a := s.do("GET", "/me/x/raw/main/attrs", ""); !strings.Contains(a.body, "filter=lfs") {
		t.Errorf("the renamed file is %q", a.body)
	}
}

// Large content is there when all of it has come and is what it should be, and
// not before.
func TestStorage(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{PartSize: 10})
	s.create("x")
	batch := func(content, transfers string) (href string, header map[string]string, has bool) {
		var out struct {
			Objects []struct {
				Actions map[string]struct {
					Href   string
					Header map[string]string
				}
			}
		}
		s.do("POST", "/me/x.git/info/lfs/objects/batch", fmt.Sprintf(
			`{"operation":"upload","transfers":[%s],"objects":[{"oid":%q,"size":%d}]}`, transfers, sum(content), len(content))).json(t, &out)
		up := out.Objects[0].Actions["upload"]
		return up.Href, up.Header, out.Objects[0].Actions == nil
	}
	const content = "some large content"
	href, _, _ := batch(content, `"basic"`)
	expired := strings.Replace(href, "until=", "until=1", 1)
	bigger := strings.Replace(href, "size=18", "size=19", 1)
	for _, c := range []struct {
		name, href, body string
		status           int
	}{
		{"other content", href, "SOME large content", 400},
		{"too little", href, "some", 400},
		{"too much", href, content + "x", 400},
		{"another expiry", expired, content, 403},
		{"another size", bigger, content + "x", 403},
		{"another object", strings.Replace(href, sum(content), sum("x"), 1), content, 403},
	} {
		if a := s.do("PUT", c.href, c.body); a.status != c.status || a.header.Get("X-Error-Code") == "" {
			t.Errorf("%s: %d %s, want %d", c.name, a.status, a.body, c.status)
		}
		if _, _, has := batch(content, `"basic"`); has {
			t.Fatalf("%s: and now it is there", c.name)
		}
	}
	verify := fmt.Sprintf(`{"oid":%q,"size":%d}`, sum(content), len(content))
	if a := s.do("POST", "/me/x.git/info/lfs/objects/verify", verify); a.status != 404 {
		t.Errorf("what is not there is verified: %d", a.status)
	}
	req, err := http.NewRequestWithContext(t.Context(), "PUT", href, io.MultiReader(strings.NewReader(content))) // chunked
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != 200 {
		t.Fatalf("a chunked upload: %v, %v", resp, err)
	}
	if a := s.do("POST", "/me/x.git/info/lfs/objects/verify", verify); a.status != 200 {
		t.Errorf("what is there is not verified: %d", a.status)
	}
	if _, _, has := batch(content, `"basic"`); !has {
		t.Error("what is there is asked for again")
	}

	const parts = "this comes in three parts"
	href, header, _ := batch(parts, `"basic","multipart"`)
	if len(header) != 4 || header["chunk_size"] != "10" {
		t.Fatalf("the parts are %v", header)
	}
	tag := func(n string, body string) string { return s.do("PUT", header[n], body).header.Get("ETag") }
	one, two, three := tag("00001", parts[:10]), tag("00002", parts[10:20]), tag("00003", parts[20:])
	if a := s.do("PUT", header["00003"], "too long"); a.status != 400 {
		t.Errorf("a part that is too long: %d", a.status)
	}
	complete := func(tags ...string) int {
		var list []string
		for i, tag := range tags {
			list = append(list, fmt.Sprintf(`{"partNumber":%d,"etag":%q}`, i+1, tag))
		}
		return s.do("POST", href, fmt.Sprintf(`{"oid":%q,"parts":[%s]}`, sum(parts), strings.Join(list, ","))).status
	}
	for name, tags := range map[string][]string{"too few": {one, two}, "in disorder": {two, one, three}, "unknown": {one, two, "x"}} {
		if status := complete(tags...); status != 400 {
			t.Errorf("parts %s: %d", name, status)
		}
	}
	if first, again := complete(one, two, three), complete(one, two, three); first != 200 || again != 200 {
		t.Error("the parts cannot be joined, or not told so twice")
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	s.do("POST", "/api/models/me/x/commit/main", commitBody("", fileLine("dir/page 1.html", "<script>1</script>"), fileLine("empty", "")))
	head := s.head("me/x")
	path := "/me/x/resolve/main/dir/page%201.html"
	oid := `"` + gitstore.OID([]byte("<script>1</script>")) + `"`
	for _, rev := range []string{"main", "HEAD", head, "refs%2Fheads%2Fmain", head[:8]} {
		a := s.do("HEAD", "/me/x/resolve/"+rev+"/dir/page%201.html", "")
		if a.status != 200 || a.header.Get("X-Repo-Commit") != head || a.header.Get("ETag") != oid || a.header.Get("Content-Length") != "18" {
			t.Errorf("HEAD at %s: %d %v", rev, a.status, a.header)
		}
	}
	cases := []struct {
		ask, name string
		status    int
		body      string
	}{
		{"", "", 200, "<script>1</script>"},
		{"Range", "bytes=0-0", 206, "<"},
		{"Range", "bytes=8-", 206, "1</script>"},
		{"Range", "bytes=-9", 206, "</script>"},
		{"Range", "bytes=99-", 416, ""},
		{"If-None-Match", oid, 304, ""},
	}
	for _, c := range cases {
		more := []string{"Accept-Encoding", "gzip"}
		if c.ask != "" {
			more = append(more, c.ask, c.name)
		}
		a := s.do("GET", path, "", more...)
		if a.status != c.status || c.status < 300 && a.body != c.body || a.header.Get("Content-Encoding") != "" {
			t.Errorf("%s %s: %d %q", c.ask, c.name, a.status, a.body)
		}
		if c.status == 416 && (a.header.Get("X-Error-Code") == "" || a.header.Get("Content-Range") != "bytes */18") {
			t.Errorf("416 has the header %v", a.header)
		}
	}
	a := s.do("GET", path, "")
	if !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") || !strings.Contains(a.header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("a page in a repository is served as %v", a.header)
	}
	if a := s.do("GET", "/me/x/resolve/main/empty", "", "Range", "bytes=0-0"); a.status != 200 || a.body != "" {
		t.Errorf("the empty file: %d %q", a.status, a.body)
	}
	if a := s.do("GET", "/me/x/blob/main/dir/page%201.html", ""); a.status != 200 || strings.Contains(a.body, "<script") || !strings.Contains(a.body, path) {
		t.Errorf("blob: %d %v", a.status, a.header)
	}
}

func TestMovedRepository(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("old")
	if a := s.do("POST", "/api/repos/move", `{"fromRepo":"me/old","toRepo":"me/new","type":"model"}`); a.status != 200 {
		t.Fatal(a)
	}
	for path, want := range map[string]string{
		"GET /api/models/me/old?expand=sha":          "/api/models/me/new?expand=sha",
		"HEAD /me/old/resolve/main/a%20b":            "/me/new/resolve/main/a%20b",
		"POST /api/models/me/old/preupload/feat%2Fx": "/api/models/me/new/preupload/feat%2Fx",
		"POST /me/old.git/info/lfs/objects/batch":    "/me/new.git/info/lfs/objects/batch",
		"GET /me/old": "/me/new",
		"POST /api/models/me/old/commit/main?create_pr=1": "/api/models/me/new/commit/main?create_pr=1",
	} {
		method, path, _ := strings.Cut(path, " ")
		if a := s.do(method, path, ""); a.status != 307 || a.header.Get("Location") != want {
			t.Errorf("%s: %d to %q, want %q", path, a.status, a.header.Get("Location"), want)
		}
	}
	if a := s.do("POST", "/api/repos/move", `{"fromRepo":"me/old","toRepo":"me/other"}`); a.status != 404 {
		t.Errorf("what has moved is moved again by its old name: %d", a.status)
	}
}

func TestListAndPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	for i := range 5 {
		s.create(fmt.Sprintf("model-%d", i))
	}
	s.do("POST", "/api/models/me/model-3/commit/main", commitBody("", fileLine("README.md", "---\ntags: [special]\nlicense: mit\n---\n")))
	seen := map[string]bool{}
	pages := 0
	for next := "/api/models?search=MODEL&limit=2"; next != ""; pages++ {
		a := s.do("GET", next, "")
		var list []struct{ ID string }
		a.json(t, &list)
		for _, m := range list {
			seen[m.ID] = true
		}
		link := a.header.Get("Link")
		next, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
		if link != "" && !strings.HasPrefix(next, s.url) {
			t.Fatalf("the link %q is not absolute", link)
		}
	}
	if len(seen) != 5 || pages != 3 {
		t.Errorf("%d models on %d pages, want 5 on 3", len(seen), pages)
	}
	for query, want := range map[string]int{
		"filter=special": 1, "filter=special&filter=license:mit": 1, "filter=special,nope": 0, "author=nobody": 0, "author=ME": 5, "search=l-4": 1,
	} {
		var list []map[string]any
		if s.do("GET", "/api/models?"+query, "").json(t, &list); len(list) != want {
			t.Errorf("%s finds %d, want %d", query, len(list), want)
		}
	}
	var expanded []map[string]any
	s.do("GET", "/api/models?filter=special&expand[]=tags&expand[]=sha", "").json(t, &expanded)
	if len(expanded) != 1 || len(expanded[0]) != 4 {
		t.Errorf("expanded: %v", expanded)
	}
	var info map[string]any
	s.do("GET", "/api/models/me/model-3/revision/HEAD?expand=xetEnabled", "").json(t, &info)
	if info["xetEnabled"] != false {
		t.Errorf("xetEnabled: %v", info)
	}
}

func TestPathsInfo(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	s.do("POST", "/api/models/me/x/commit/main", commitBody("", fileLine("d/f", "1")))
	form := url.Values{"paths": {"d/f", "d", "nope"}, "expand": {"True"}}.Encode()
	for kind, body := range map[string]string{
		"application/x-www-form-urlencoded": form,
		"application/json":                  `{"paths":["d/f","d","nope"],"expand":true}`,
	} {
		var list []struct {
			Path, Type string
			LastCommit struct{ Title string }
		}
		s.do("POST", "/api/models/me/x/paths-info/main", body, "Content-Type", kind).json(t, &list)
		if len(list) != 2 || list[0].Type != "file" || list[1].Type != "directory" || list[0].LastCommit.Title != "s" {
			t.Errorf("%s: %+v", kind, list)
		}
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	s.do("POST", "/api/models/me/x/commit/main", commitBody("", fileLine("README.md", "---\nlicense: mit\n---\n# <script>alert(1)</script>"), fileLine("a b/c#d.txt", "1")))
	for path, want := range map[string][]string{
		"/me/x":                          {"<h1", "alert(1)", ">mit</", `/me/x/tree/main/a%20b`},
		"/me/x/tree/main/a%20b":          {`href="/me/x/resolve/main/a%20b/c%23d.txt?download=true"`, `href="/me/x/blob/main/a%20b/c%23d.txt"`},
		"/me/x/commit/" + s.head("me/x"): {s.head("me/x")[:12]},
		"/me":                            {`href="/me/x"`},
		"/":                              {`href="/me/x"`},
	} {
		a := s.do("GET", path, "")
		if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
		for _, text := range want {
			if !strings.Contains(a.body, text) {
				t.Errorf("%s has no %q:\n%s", path, text, a.body)
			}
		}
		if strings.Contains(a.body, "<script") {
			t.Errorf("%s runs a script of the repository", path)
		}
	}
}

// Two servers share a folder. Of many commits on one parent one wins; of many
// without a parent none is lost.
func TestConcurrentCommits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sites := []site{newSite(t, hubserver.Options{Dir: dir}), newSite(t, hubserver.Options{Dir: dir})}
	sites[0].create("x")
	parent := sites[0].head("me/x")
	race := func(n int, header string) map[int]int {
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := map[int]int{}
		for i := range n {
			wg.Go(func() {
				a := sites[i%2].do("POST", "/api/models/me/x/commit/main", commitBody(header, fileLine(fmt.Sprintf("f%d%s", i, header[:min(len(header), 3)]), fmt.Sprint(i))))
				mu.Lock()
				defer mu.Unlock()
				got[a.status]++
			})
		}
		wg.Wait()
		return got
	}
	if got := race(12, `,"parentCommit":"`+parent+`"`); got[200] != 1 || got[412] != 11 {
		t.Errorf("of 12 commits on one parent: %v", got)
	}
	if got := race(12, ""); got[200] != 12 {
		t.Errorf("of 12 commits: %v", got)
	}
	var list []any
	if sites[1].do("GET", "/api/models/me/x/commits/main", "").json(t, &list); len(list) != 14 {
		t.Errorf("the history has %d commits, want 14", len(list))
	}
	var tree []any
	if sites[1].do("GET", "/api/models/me/x/tree/main", "").json(t, &tree); len(tree) != 14 {
		t.Errorf("the tree has %d files, want 14", len(tree))
	}
}

// A client that hangs up in the middle of a commit or a file leaves nothing.
func TestHangUp(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	before := s.head("me/x")
	ctx, cancel := context.WithCancel(t.Context())
	pr, pw := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, "POST", s.url+"/api/models/me/x/commit/main", pr)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			t.Errorf("half a commit was answered %d", resp.StatusCode)
		}
	})
	if _, err := io.Copy(pw, bytes.NewReader([]byte(commitBody("", fileLine("f", "1"))))); err != nil {
		t.Fatal(err)
	}
	cancel()
	pw.CloseWithError(context.Canceled)
	wg.Wait()
	if s.head("me/x") != before {
		t.Error("half a commit was made")
	}
}

func FuzzCommit(f *testing.F) {
	f.Add([]byte(commitBody("", fileLine("a/b", "1"))))
	f.Add([]byte(commitBody("", `{"key":"deletedFolder","value":{"path":"d/"}}`, `{"key":"lfsFile","value":{"path":"w","oid":"x","size":-1}}`)))
	f.Add([]byte("{\"key\":\"header\",\"value\":null}\n{\"key\":\"file\",\"value\":{\"path\":\"README.md\",\"content\":\"---\\na: &a [*a]\\n---\\n\"}}"))
	server, err := hubserver.Open(hubserver.Options{Dir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	serve := func(ctx context.Context, method, path string, body []byte) *recorded {
		w := &recorded{header: http.Header{}}
		r, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, bytes.NewReader(body))
		if err != nil {
			panic(err)
		}
		server.ServeHTTP(w, r)
		return w
	}
	serve(f.Context(), "POST", "/api/repos/create", []byte(`{"name":"x"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		w := serve(t.Context(), "POST", "/api/models/me/x/commit/main", body)
		if w.status >= 500 {
			t.Errorf("%d: %s", w.status, w.body.String())
		}
		if w := serve(t.Context(), "GET", "/api/models/me/x/tree/main?recursive=1", nil); w.status != 200 {
			t.Errorf("afterwards the tree is %d: %s", w.status, w.body.String())
		}
	})
}

type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorded) Header() http.Header { return w.header }

func (w *recorded) WriteHeader(status int) { w.status = status }

func (w *recorded) Write(p []byte) (int, error) { return w.body.Write(p) }

// Any path is answered, and none with what lies outside of the repositories.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/", "/me/x", "/me/x/resolve/main/../../secret", "/%2e%2e/%2e%2e/secret", "/api/models/../../x", "/api/storage/large/..", "/datasets/a/b.git/info", "/me/x/resolve/main/%00", "//", "/api", "/me/x/blob/main/README.md", "/me/x/tree/main/d", "/me/x/commits/main?p=9", "/me/x.git/info/refs?service=git-upload-pack", "/models?p=-1"} {
		f.Add(seed)
	}
	server, err := hubserver.Open(hubserver.Options{Dir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	for _, body := range []string{`{"name":"x","type":"model"}`, commitBody("", fileLine("README.md", "# a\n"), fileLine("d/f", "1"))} {
		path := map[bool]string{true: "/api/repos/create", false: "/api/models/me/x/commit/main"}[strings.HasPrefix(body, `{"name"`)]
		r := httptest.NewRequest("POST", "http://localhost"+path, strings.NewReader(body))
		w := httptest.NewRecorder()
		if server.ServeHTTP(w, r); w.Code != http.StatusOK {
			f.Fatal(w.Code, w.Body)
		}
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.Parse("http://localhost" + path)
		if err != nil || u.Host != "localhost" {
			return
		}
		w := &recorded{header: http.Header{}}
		server.ServeHTTP(w, &http.Request{Method: "GET", URL: u, Host: "localhost", Header: http.Header{"Accept": {"text/html"}}, Body: http.NoBody})
		if w.status == 0 && w.body.Len() > 0 { // written at once
			w.status = http.StatusOK
		}
		if w.status >= 500 || w.status == 0 {
			t.Errorf("%q: %d %s", path, w.status, w.body.String())
		}
	})
}

// The same name in two kinds is two repositories.
func TestKindsAreApart(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	for _, kind := range []hub.RepoType{hub.Model, hub.Dataset, hub.Space} {
		if a := s.do("POST", "/api/repos/create", fmt.Sprintf(`{"name":"x","type":%q,"sdk":"static"}`, kind)); a.status != 200 {
			t.Errorf("%s: %d %s", kind, a.status, a.body)
		}
	}
	for body, status := range map[string]int{
		`{"name":"x"}`: 409, `{"name":"s","type":"space"}`: 400, `{"name":"../x"}`: 400, `{"name":"x","organization":"api"}`: 400,
		`{"name":"k","type":"kernel"}`: 400, `{`: 400,
	} {
		if a := s.do("POST", "/api/repos/create", body); a.status != status {
			t.Errorf("create %s: %d %s", body, a.status, a.body)
		}
	}
}
