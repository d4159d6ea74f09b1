package hubserver_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"ml-intern/internal/hub/hubserver"
)

func largeLine(path, content string) string {
	return fmt.Sprintf(`{"key":"lfsFile","value":{"path":%q,"algo":"sha256","oid":%q,"size":%d}}`, path, sum(content), len(content))
}

// many is a server with people: alice, who owns things, bob, and carol.
func many(t *testing.T, opts hubserver.Options) (alice, bob, carol site) {
	t.Helper()
	opts.Auth = true
	opts.Tokens = map[string]hubserver.Account{"hf_alice": {Name: "alice"}, "hf_bob": {Name: "bob"}, "hf_carol": {Name: "carol"}}
	s := newSite(t, opts)
	alice, bob, carol = s, s, s
	alice.token, bob.token, carol.token = "hf_alice", "hf_bob", "hf_carol"
	return alice, bob, carol
}

func (s site) want(status int, method, path, body string) answer {
	s.t.Helper()
	a := s.do(method, path, body)
	if a.status != status {
		s.t.Errorf("%s %s as %s: %d %s, want %d", method, path, s.token, a.status, a.body, status)
	}
	return a
}

// send brings a large file for a repository, and commits it.
func (s site) send(repo, query, path, content string) answer {
	s.t.Helper()
	ask := fmt.Sprintf(`{"operation":"upload","transfers":["basic"],"objects":[{"oid":%q,"size":%d}]}`, sum(content), len(content))
	var out struct {
		Objects []struct {
			Actions struct{ Upload struct{ Href string } }
		}
	}
	s.want(200, "POST", "/"+repo+".git/info/lfs/objects/batch", ask).json(s.t, &out)
	if href := out.Objects[0].Actions.Upload.Href; href != "" {
		stranger := s
		stranger.token = ""
		stranger.want(200, "PUT", href, content)
	}
	return s.want(200, "POST", "/api/models/"+repo+"/commit/main"+query, commitBody("", largeLine(path, content)))
}

// A gate shows the hashes of large files, and nobody gets in by a hash: not
// with an upload of parts that never came, not with a pull request to another
// repository of the owner.
func TestHashOpensNoGate(t *testing.T) {
	t.Parallel()
	alice, bob, carol := many(t, hubserver.Options{PartSize: 4})
	const content = "weights behind a gate"
	alice.create("gated")
	alice.create("open")
	alice.send("alice/gated", "", "w.bin", content)
	alice.want(200, "PUT", "/api/models/alice/gated/settings", `{"gated":"manual"}`)
	if a := bob.want(200, "GET", "/api/models/alice/gated/tree/main", ""); !strings.Contains(a.body, sum(content)) {
		t.Fatalf("the tree is %s", a.body)
	}
	bob.want(403, "GET", "/alice/gated/resolve/main/w.bin", "")
	bob.create("mine")
	ask := fmt.Sprintf(`{"operation":"upload","transfers":["basic","multipart"],"objects":[{"oid":%q,"size":%d}]}`, sum(content), len(content))
	for _, repo := range []string{"bob/mine", "alice/open"} {
		var out struct {
			Objects []struct {
				Actions struct {
					Upload struct {
						Href   string
						Header map[string]string
					}
				}
			}
		}
		bob.want(200, "POST", "/"+repo+".git/info/lfs/objects/batch", ask).json(t, &out)
		up := out.Objects[0].Actions.Upload
		var parts []string
		for n := 1; n < len(up.Header); n++ {
			parts = append(parts, fmt.Sprintf(`{"partNumber":%d,"etag":"%032d"}`, n, n))
		}
		if up.Href == "" || len(parts) != 6 {
			t.Fatalf("the upload to %s is %+v", repo, up)
		}
		bob.want(400, "POST", up.Href, fmt.Sprintf(`{"oid":%q,"parts":[%s]}`, sum(content), strings.Join(parts, ",")))
		bob.want(404, "POST", "/"+repo+".git/info/lfs/objects/verify", fmt.Sprintf(`{"oid":%q,"size":%d}`, sum(content), len(content)))
	}
	pointer := fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", sum(content), len(content))
	for _, line := range []string{largeLine("w.bin", content), fileLine("w.bin", pointer)} {
		bob.want(400, "POST", "/api/models/bob/mine/commit/main", commitBody("", line))
		bob.want(400, "POST", "/api/models/alice/open/commit/main?create_pr=1", commitBody("", line))
	}
	// Who has it brings it, for themselves; what is merged is there for all.
	bob.send("alice/open", "?create_pr=1", "w.bin", content)
	carol.want(400, "POST", "/api/models/alice/open/commit/main?create_pr=1", commitBody("", largeLine("other", content+"!")))
	alice.want(200, "POST", "/api/models/alice/open/discussions/1/merge", `{}`)
	if a := carol.want(200, "GET", "/alice/open/resolve/main/w.bin", ""); a.body != content {
		t.Errorf("after the merge it is %q", a.body)
	}
	bob.want(200, "POST", "/api/models/bob/mine/commit/main", commitBody("", largeLine("w.bin", content)))
}

// Git and the API have the same rules for the commits of a pull request.
func TestGitPullRequest(t *testing.T) {
	t.Parallel()
	alice, bob, carol := many(t, hubserver.Options{})
	alice.create("open")
	bob.want(200, "POST", "/api/models/alice/open/commit/main?create_pr=1", commitBody("", fileLine("a", "1")))
	git := map[string]*gitUser{}
	for _, s := range []site{alice, bob, carol} {
		name := strings.TrimPrefix(s.token, "hf_")
		g := newGit(t)
		g.run("", "clone", "-q", strings.Replace(s.url, "://", "://"+name+":"+s.token+"@", 1)+"/alice/open", "x")
		git[name] = g
	}
	pull := func(who, text string) []string {
		g := git[who]
		g.run("x", "fetch", "-q", "origin", "refs/pr/1")
		g.run("x", "checkout", "-q", "FETCH_HEAD")
		g.write("x/by-"+who, text)
		g.run("x", "add", ".")
		g.run("x", "commit", "-qm", text)
		return []string{"push", "-q", "origin", "HEAD:refs/pr/1"}
	}
	git["bob"].run("x", pull("bob", "1")...)
	git["alice"].run("x", pull("alice", "1")...)
	git["carol"].refused("403", "x", pull("carol", "1")...)
	git["bob"].refused("rights to write", "x", "push", "origin", "HEAD:refs/heads/main")
	git["bob"].refused("rights to write", "x", "push", "origin", "HEAD:refs/heads/new")
	git["bob"].refused("rights to write", "x", "push", "origin", ":refs/pr/1", "HEAD:refs/tags/v1")
	if a := carol.want(200, "GET", "/api/models/alice/open/tree/refs%2Fpr%2F1", ""); strings.Contains(a.body, "by-carol") || !strings.Contains(a.body, "by-alice") {
		t.Errorf("the pull request has %s", a.body)
	}
	more := commitBody("", fileLine("more", "1"))
	carol.want(403, "POST", "/api/models/alice/open/commit/refs%2Fpr%2F1", more)
	bob.want(200, "POST", "/api/models/alice/open/discussions/1/status", `{"status":"closed"}`)
	for _, s := range []site{alice, bob} {
		s.want(409, "POST", "/api/models/alice/open/commit/refs%2Fpr%2F1", more)
		name := strings.TrimPrefix(s.token, "hf_")
		git[name].refused("is closed", "x", pull(name, "2")...)
	}
	bob.want(200, "POST", "/api/models/alice/open/discussions/1/status", `{"status":"open"}`)
	if g := git["bob"]; g.lfs {
		g.write("x/by-bob.bin", "a large file by git")
	}
	git["bob"].run("x", pull("bob", "3")...)
	alice.want(200, "POST", "/api/models/alice/open/discussions/1/merge", `{}`)
	for _, s := range []site{alice, bob} {
		s.want(409, "POST", "/api/models/alice/open/commit/refs%2Fpr%2F1", more)
		name := strings.TrimPrefix(s.token, "hf_")
		git[name].refused("is merged", "x", pull(name, "4")...)
	}
	if a := carol.do("GET", "/alice/open/resolve/main/by-bob.bin", ""); git["bob"].lfs && a.body != "a large file by git" {
		t.Errorf("the large file of the pull request is %d %q", a.status, a.body)
	}
	git["alice"].run("x", "fetch", "-q", "origin", "main")
	git["alice"].whole("x")
}

// Webhooks are told of what comes by git, by merges and by copies, too.
func TestWebhooksOfEveryWay(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var d struct {
			Event       struct{ Action, Scope string }
			Repo        struct{ Name string }
			UpdatedRefs []struct{ Ref string }
		}
		data, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(data, &d) != nil {
			t.Errorf("delivery %s, %v", data, err)
		}
		mu.Lock()
		defer mu.Unlock()
		text := d.Event.Action + " " + d.Event.Scope + " " + d.Repo.Name
		for _, r := range d.UpdatedRefs {
			text += " " + r.Ref
		}
		got = append(got, text)
	}))
	t.Cleanup(receiver.Close)
	server, err := hubserver.Open(hubserver.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(server)
	t.Cleanup(front.Close)
	s := site{t: t, url: front.URL}
	s.create("x")
	s.want(200, "POST", "/api/settings/webhooks", fmt.Sprintf(`{"url":%q,"watched":[{"type":"user","name":"me"}]}`, receiver.URL))
	g := newGit(t)
	g.run("", "clone", "-q", s.url+"/me/x", "x")
	g.write("x/a", "1")
	g.run("x", "add", ".")
	g.run("x", "commit", "-qm", "m")
	g.run("x", "push", "-q", "origin", "HEAD:main", "HEAD:refs/tags/v1")
	s.want(200, "POST", "/api/models/me/x/commit/main?create_pr=1", commitBody("", fileLine("b", "1")))
	s.want(200, "POST", "/api/models/me/x/discussions/1/comment", `{"comment":"hello"}`)
	s.want(200, "POST", "/api/models/me/x/discussions/1/merge", `{}`)
	s.want(200, "POST", "/api/models/me/x/duplicate", `{"repository":"me/y"}`)
	if err := server.Close(); err != nil { // all deliveries are over
		t.Fatal(err)
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{
		"update repo.content me/x refs/heads/main refs/tags/v1", "update repo.content me/x refs/pr/1", "create repo me/y",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no delivery of %q", want)
		}
	}
	if len(got) != 4 {
		t.Errorf("the deliveries are\n%s", all)
	}
}

// Which collections have a private repository is not told to strangers, and
// an old name never leads to another host.
func TestNoHints(t *testing.T) {
	t.Parallel()
	alice, bob, _ := many(t, hubserver.Options{})
	alice.want(200, "POST", "/api/repos/create", `{"name":"secret","private":true}`)
	alice.want(200, "POST", "/api/collections", `{"title":"shelf","namespace":"alice","item":{"type":"model","id":"alice/secret"}}`)
	if a := alice.want(200, "GET", "/api/collections?item=models/alice/secret", ""); !strings.Contains(a.body, "shelf") {
		t.Errorf("the owner sees %s", a.body)
	}
	if a := bob.want(200, "GET", "/api/collections?item=models/alice/secret", ""); strings.Contains(a.body, "shelf") {
		t.Errorf("a stranger sees %s", a.body)
	}
	alice.create("old")
	alice.want(200, "POST", "/api/repos/move", `{"fromRepo":"alice/old","toRepo":"alice/new","type":"model"}`)
	for _, path := range []string{"//alice/old/resolve/main/a", "/alice/old/resolve/main/a"} {
		a := alice.do("GET", alice.url+path, "")
		if to := a.header.Get("Location"); to != "/alice/new/resolve/main/a" {
			t.Errorf("%s leads to %q (%d)", path, to, a.status)
		}
	}
}
