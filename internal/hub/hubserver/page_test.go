package hubserver_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubserver/users"
)

const browser = "text/html,application/xhtml+xml,*/*;q=0.8"

// The pages of a repository, as a browser gets them.
func TestPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	s.create("base")
	card := "---\nlicense: mit\nbase_model: me/base\ndatasets: [someone/else]\nmodel-index:\n- name: m\n  results:\n  - task: {type: t}\n    dataset: {name: D, type: d}\n" +
		"    metrics:\n    - {type: acc, value: 0.5}\n---\n# Title\n[f](d/f.py) <img src=x onerror=alert(1)>\n"
	if a := s.do("POST", "/api/models/me/x/commit/main", commitBody(`,"description":"<b>why</b>"`, fileLine("README.md", card), fileLine("d/f.py", "one\n<b>two</b>\n"), fileLine("p.png", "\x89PNG\x00"), fileLine("b.dat", "\x00\x01"))); a.status != http.StatusOK {
		t.Fatal(a)
	}
	s.do("POST", "/api/models/me/x/commit/main", commitBody("", fileLine("d/f.py", "one\nthree\n"), `{"key":"deletedFile","value":{"path":"b.dat"}}`))
	s.do("POST", "/api/models/me/x/branch/a%2Fb", "")
	head := s.head("me/x")
	for path, c := range map[string]struct{ has, not []string }{
		"/":                                     {has: []string{`href="/me/x"`, "Models"}},
		"/me":                                   {has: []string{`href="/me/base"`}},
		"/models?p=7":                           {has: []string{"Nothing"}},
		"/me/x":                                 {has: []string{"<h1 id=\"title\">Title</h1>", `href="/me/x/blob/main/d/f.py"`, ">mit<", `href="/me/base"`, "someone/else", "acc", "<b>0.5</b>", "git clone http://"}, not: []string{"onerror", `href="/datasets/someone`}},
		"/me/x/tree/main":                       {has: []string{`href="/me/x/tree/main/d"`, `href="/me/x/blob/main/p.png"`, `href="/me/x/tree/a%2Fb"`}, not: []string{"b.dat"}},
		"/me/x/tree/a%2Fb/d":                    {has: []string{`href="/me/x/blob/a%2Fb/d/f.py"`, `href="/me/x/tree/a%2Fb"`}},
		"/me/x/blob/main/d/f.py":                {has: []string{"three", "/me/x/blob/" + head + "/d/f.py"}},
		"/me/x/blob/main/p.png":                 {has: []string{`<img src="/me/x/resolve/main/p.png"`}},
		"/me/x/blob/" + head[:7] + "/README.md": {has: []string{">Title<"}, not: []string{"license"}},
		"/me/x/commits/main":                    {has: []string{"/me/x/commit/" + head, "initial commit"}},
		"/me/x/commit/" + head:                  {has: []string{"three", "&lt;b&gt;two", "deleted", "parent"}, not: []string{"<b>two"}},
	} {
		a := s.do("GET", path, "", "Accept", browser)
		if a.status != http.StatusOK || !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
		for _, text := range c.has {
			if !strings.Contains(a.body, text) {
				t.Errorf("%s has no %s:\n%s", path, text, a.body[strings.Index(a.body, "<main"):])
			}
		}
		for _, text := range append(c.not, "<script", "http-equiv") {
			if strings.Contains(a.body, text) {
				t.Errorf("%s has %s", path, text)
			}
		}
	}
	for path, want := range map[string]int{
		"/nobody": 404, "/me/none": 404, "/me/x/tree/none": 404, "/me/x/tree/main/none": 404, "/me/x/blob/main/none": 404, "/me/x/blob/main/d": 404,
		"/me/x/commit/0000000": 404, "/me/x/resolve/main/none": 404, "/me/x/nonsense": 404,
	} {
		a := s.do("GET", path, "", "Accept", browser)
		if a.status != want || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") || a.header.Get("X-Error-Code") == "" {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
		if a := s.do("GET", path, ""); a.status != want || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
			t.Errorf("for a program, %s: %d %v", path, a.status, a.header)
		}
	}
}

// A collection's page lists what one may see of it.
func TestCollectionPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	var made struct{ Slug string }
	s.do("POST", "/api/collections", `{"title":"Of one session","namespace":"me","private":true}`, "Content-Type", "application/json").json(t, &made)
	s.do("POST", "/api/collections/"+made.Slug+"/items", `{"item":{"type":"model","id":"me/x"}}`, "Content-Type", "application/json")
	a := s.do("GET", "/collections/"+made.Slug, "", "Accept", browser)
	if a.status != http.StatusOK || !strings.Contains(a.body, `href="/me/x"`) || !strings.Contains(a.body, "Of one session") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.do("GET", "/collections/me/none-0123456789abcdef01234567", "", "Accept", browser); a.status != http.StatusNotFound {
		t.Errorf("a collection that is not there: %d", a.status)
	}
}

// Users come from the folder's file, while the server runs; browsers are asked
// for a name and a token, and are not made to write by other pages.
func TestUsersFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSite(t, hubserver.Options{Dir: dir, Auth: true})
	alice, err := users.Add(dir, users.User{Name: "alice", Orgs: []string{"team"}})
	if err != nil {
		t.Fatal(err)
	}
	s.token = alice
	for _, owner := range []string{"alice", "team", "bob"} {
		want := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[owner != "bob"]
		if a := s.do("POST", "/api/repos/create", mustJSON(t, map[string]any{"name": "x", "organization": owner, "type": "model", "private": true})); a.status != want {
			t.Errorf("alice creates for %s: %d %s", owner, a.status, a.body)
		}
	}
	bob, err := users.Add(dir, users.User{Name: "bob", Orgs: []string{"team"}, Role: "read"})
	if err != nil {
		t.Fatal(err)
	}
	s.token = bob
	if a := s.do("GET", "/api/models/team/x", ""); a.status != http.StatusOK {
		t.Errorf("bob reads: %d", a.status)
	}
	if a := s.do("POST", "/api/models/team/x/branch/b", ""); a.status != http.StatusForbidden {
		t.Errorf("bob writes: %d", a.status)
	}
	s.token = ""
	a := s.do("GET", "/team/x", "", "Accept", browser)
	if a.status != http.StatusUnauthorized || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic") {
		t.Errorf("a browser without a name: %d %v", a.status, a.header)
	}
	if a := s.do("GET", "/api/models/team/x", ""); a.header.Get("WWW-Authenticate") != "" {
		t.Error("a program is asked for a name")
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("bob"+":"+bob))
	if a := s.do("GET", "/team/x", "", "Accept", browser, "Authorization", basic); a.status != http.StatusOK {
		t.Errorf("a browser with a name: %d", a.status)
	}
	basic = "Basic " + base64.StdEncoding.EncodeToString([]byte("alice"+":"+alice))
	if a := s.do("POST", "/api/models/team/x/branch/evil", "", "Authorization", basic, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); a.status != http.StatusForbidden {
		t.Errorf("another page makes a browser write: %d", a.status)
	}
	if a := s.do("POST", "/api/models/team/x/branch/good", "", "Authorization", basic); a.status != http.StatusOK {
		t.Errorf("a program with a name and a token: %d", a.status)
	}
}
