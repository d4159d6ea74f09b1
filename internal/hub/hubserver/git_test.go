package hubserver_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
)

// A gitUser runs the real git, with a home of its own.
type gitUser struct {
	t    *testing.T
	home string
	lfs  bool
	env  []string
}

func newGit(t *testing.T) *gitUser {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	g := &gitUser{t: t, home: t.TempDir()}
	write(t, filepath.Join(g.home, ".gitconfig"), []byte(`[user]
name = A User
email = user@example.com
[init]
defaultBranch = main
[advice]
detachedHead = false
[protocol]
version = 2
`))
	if exec.Command("git", "lfs", "version").Run() == nil {
		g.lfs = true
		g.run("", "lfs", "install")
	}
	return g
}

func (g *gitUser) try(dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(g.t.Context(), "git", args...)
	cmd.Dir = g.home
	if dir != "" {
		cmd.Dir = filepath.Join(g.home, dir)
	}
	cmd.Env = append(os.Environ(), "HOME="+g.home, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "LC_ALL=C")
	cmd.Env = append(cmd.Env, g.env...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (g *gitUser) run(dir string, args ...string) string {
	g.t.Helper()
	out, err := g.try(dir, args...)
	if err != nil {
		g.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// refused runs a git command that has to fail and say why.
func (g *gitUser) refused(why, dir string, args ...string) {
	g.t.Helper()
	if out, err := g.try(dir, args...); err == nil || !strings.Contains(out, why) {
		g.t.Errorf("git %s: %v\n%s\nwant it to fail with %q", strings.Join(args, " "), err, out, why)
	}
}

func (g *gitUser) path(parts ...string) string {
	return filepath.Join(append([]string{g.home}, parts...)...)
}

func (g *gitUser) write(path, text string) {
	g.t.Helper()
	if err := os.MkdirAll(filepath.Dir(g.path(path)), 0o755); err != nil {
		g.t.Fatal(err)
	}
	write(g.t, g.path(path), []byte(text))
}

func (g *gitUser) text(path string) string {
	g.t.Helper()
	text, err := os.ReadFile(g.path(path))
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}

func (g *gitUser) whole(dir string) {
	g.t.Helper()
	if out := g.run(dir, "fsck", "--strict", "--full"); strings.Contains(out, "error") || strings.Contains(out, "missing") {
		g.t.Errorf("git fsck says %s", out)
	}
}

func TestGitClone(t *testing.T) {
	t.Parallel()
	server := start(t, hubserver.Options{})
	client := &hub.Client{BaseURL: server.URL}
	big := bytes.Repeat([]byte("large \x00 file\n"), 400_000) // 5 MB
	for _, typ := range []hub.RepoType{hub.Model, hub.Dataset, hub.Space} {
		id := hub.RepoID{Type: typ, Namespace: "me", Name: "x"}
		if _, err := client.CreateRepo(t.Context(), id, hub.CreateOptions{SDK: "static"}); err != nil {
			t.Fatal(err)
		}
		files := []hub.File{
			{Path: "a/b/c.txt", Content: []byte("deep\n")},
			{Path: "ünï cødé.txt", Content: []byte("name\n")},
			{Path: "empty", Content: nil},
			{Path: "w.bin", Content: big},
		}
		if _, err := client.Upload(t.Context(), id, hub.Commit{Message: "first", Files: files}); err != nil {
			t.Fatal(err)
		}
		for version := range 3 {
			for _, suffix := range []string{"", ".git"} {
				if typ != hub.Model && (version == 1 || suffix == "") {
					continue // said for the others
				}
				g := newGit(t)
				g.run("", "-c", fmt.Sprint("protocol.version=", version), "clone", "-q", server.URL+"/"+id.Path()+suffix, "x")
				g.whole("x")
				if got := g.text("x/a/b/c.txt") + g.text("x/ünï cødé.txt") + g.text("x/empty"); got != "deep\nname\n" {
					t.Errorf("the files are %q", got)
				}
				if g.lfs && g.text("x/w.bin") != string(big) {
					t.Error("the large file is not what was uploaded")
				}
				if got := g.run("x", "log", "--format=%s"); got != "first\ninitial commit" {
					t.Errorf("the history is %q", got)
				}
				if got := g.run("x", "status", "--short"); got != "" {
					t.Errorf("after a clone the status is %s", got)
				}
			}
		}
	}
}

// Fetching brings what is new, and no more; branches, tags and a history that
// is cut short are as git expects.
func TestGitFetch(t *testing.T) {
	t.Parallel()
	for version := range 3 {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, hubserver.Options{})
			s.create("x")
			commit := func(rev, text string) {
				t.Helper()
				if a := s.do("POST", "/api/models/me/x/commit/"+rev, commitBody("", fileLine("f-"+text, text+"\n"))); a.status != http.StatusOK {
					t.Fatal(a)
				}
			}
			for i := range 5 {
				commit("main", fmt.Sprint("m", i))
			}
			s.do("POST", "/api/models/me/x/tag/main", `{"tag":"v1"}`)
			s.do("POST", "/api/models/me/x/branch/side", ``)
			commit("side", "s")
			g := newGit(t)
			g.run("", "config", "--global", "protocol.version", fmt.Sprint(version))
			url := s.url + "/me/x"
			if out := g.run("", "ls-remote", url); strings.Count(out, "\n") != 3 || !strings.Contains(out, "refs/heads/side") || !strings.Contains(out, "\tHEAD") {
				t.Errorf("ls-remote says %s", out)
			}
			g.run("", "clone", "-q", url, "full")
			g.run("", "clone", "-q", "--depth", "1", url, "shallow")
			if n := g.run("shallow", "rev-list", "--count", "HEAD"); n != "1" {
				t.Errorf("a clone of depth 1 has %s commits", n)
			}
			g.run("", "clone", "-q", "-b", "side", "--single-branch", url, "side")
			if g.text("side/f-s") != "s\n" {
				t.Error("the branch is another")
			}
			g.run("", "clone", "-q", "-b", "v1", "--depth", "2", url, "tag")
			if n := g.run("tag", "rev-list", "--count", "HEAD"); n != "2" {
				t.Errorf("a clone of depth 2 has %s commits", n)
			}
			commit("main", "new")
			commit("side", "s2")
			s.do("DELETE", "/api/models/me/x/tag/v1", "")
			g.write("full/local", "mine")
			g.run("full", "add", ".")
			g.run("full", "commit", "-qm", "local")
			g.run("full", "fetch", "-q", "--prune", "--prune-tags")
			g.run("full", "merge", "-q", "origin/main", "-m", "merged")
			if g.text("full/f-new") != "new\n" || g.run("full", "tag") != "" {
				t.Error("the fetch brought something else")
			}
			g.run("shallow", "fetch", "-q")
			if n := g.run("shallow", "rev-list", "--count", "origin/main"); n != "2" {
				t.Errorf("after a fetch a shallow clone has %s commits", n)
			}
			g.run("shallow", "fetch", "-q", "--deepen", "2")
			if n := g.run("shallow", "rev-list", "--count", "origin/main"); n != "4" {
				t.Errorf("two deeper it has %s commits", n)
			}
			g.whole("shallow")
			g.run("shallow", "fetch", "-q", "--unshallow")
			if n := g.run("shallow", "rev-list", "--count", "origin/main"); n != "7" {
				t.Errorf("in the end it has %s commits", n)
			}
			g.run("tag", "fetch", "-q", "--depth", "1", "origin", "side")
			g.run("tag", "fetch", "-q", "origin", s.head("me/x"))
			for _, dir := range []string{"full", "shallow", "side", "tag"} {
				g.whole(dir)
			}
			g.refused("not our ref", "full", "fetch", "-q", "origin", strings.Repeat("1", 40))
		})
	}
}

func TestGitPush(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	g := newGit(t)
	g.run("", "clone", "-q", s.url+"/me/x", "x")
	for i := range 50 {
		g.write(fmt.Sprintf("x/d%d/f%d.txt", i%7, i), strings.Repeat(fmt.Sprintf("line %d\n", i%5), 500))
	}
	g.write("x/run.sh", "#!/bin/sh\n")
	if err := os.Chmod(g.path("x/run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("run.sh", g.path("x/link")); err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("weights\x00", 1<<17)
	if g.lfs {
		g.write("x/w.bin", large)
	}
	g.run("x", "add", ".")
	g.run("x", "commit", "-qm", "by git")
	g.run("x", "push", "-q")
	if got, want := s.head("me/x"), g.run("x", "rev-parse", "HEAD"); got != want {
		t.Fatalf("the server is at %s, git at %s", got, want)
	}
	if a := s.do("GET", "/me/x/resolve/main/d3/f3.txt", ""); a.body != strings.Repeat("line 3\n", 500) {
		t.Errorf("the file is %d %.40q", a.status, a.body)
	}
	if a := s.do("GET", "/me/x/resolve/main/w.bin", ""); g.lfs && a.body != large {
		t.Errorf("the large file is %d, %d bytes", a.status, len(a.body))
	}
	// A change goes as a delta of what the server has; branches, merges and tags.
	g.run("x", "checkout", "-qb", "side")
	g.write("x/d3/f3.txt", strings.Repeat("line 3\n", 500)+"and more\n")
	g.run("x", "commit", "-qam", "longer")
	g.run("x", "checkout", "-q", "main")
	g.write("x/other", "other\n")
	g.run("x", "add", ".")
	g.run("x", "commit", "-qm", "other")
	g.run("x", "merge", "-q", "--no-ff", "side", "-m", "merge side")
	g.run("x", "tag", "-a", "v1", "-m", "first version")
	g.run("x", "tag", "light")
	g.run("x", "push", "-q", "--atomic", "origin", "main", "side", "v1", "light")
	if a := s.do("GET", "/me/x/resolve/v1/d3/f3.txt", ""); !strings.HasSuffix(a.body, "and more\n") {
		t.Errorf("the file of the tag is %d %.40q", a.status, a.body)
	}
	// The API's commits and git's meet.
	if a := s.do("POST", "/api/models/me/x/commit/main", commitBody("", fileLine("api", "api\n"))); a.status != http.StatusOK {
		t.Fatal(a)
	}
	g.write("x/late", "late\n")
	g.run("x", "add", ".")
	g.run("x", "commit", "-qm", "late")
	g.refused("rejected", "x", "push", "-q", "origin", "main")
	g.run("x", "pull", "-q", "--rebase", "origin", "main")
	g.run("x", "push", "-q", "origin", "main")
	// Forced, and taken away.
	g.run("x", "checkout", "-q", "side")
	g.run("x", "commit", "-q", "--amend", "-m", "said better")
	g.refused("rejected", "x", "push", "-q", "origin", "side")
	g.run("x", "push", "-q", "-f", "origin", "side")
	g.run("x", "push", "-q", "origin", "--delete", "side", "light")
	g.refused("main cannot be deleted", "x", "push", "-q", "origin", "--delete", "main")
	if a := s.do("GET", "/api/models/me/x/refs", ""); strings.Contains(a.body, "side") || strings.Contains(a.body, "light") || !strings.Contains(a.body, `"v1"`) {
		t.Errorf("the refs are %s", a.body)
	}
	g.run("", "clone", "-q", s.url+"/me/x", "again")
	g.whole("again")
	if got := g.run("again", "cat-file", "-t", "v1") + g.run("again", "log", "-1", "--format=%s", "v1^{}"); got != "tagmerge side" {
		t.Errorf("the tag is %s", got)
	}
	g.run("again", "diff", "--exit-code", g.run("x", "rev-parse", "main"))
	if info, err := os.Stat(g.path("again/run.sh")); err != nil || info.Mode()&0o100 == 0 {
		t.Errorf("the script is %v, %v", info.Mode(), err)
	}
}

// What must not be in a repository is refused by git's push as by the API, and
// nothing of it stays.
func TestGitPushRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	g := newGit(t)
	g.run("", "clone", "-q", s.url+"/me/x", "x")
	before := s.head("me/x")
	raw := func(line string) func() {
		return func() {
			blob := g.run("x", "hash-object", "-w", ".gitattributes")
			tree := g.pipe("x", strings.ReplaceAll(line, "BLOB", blob)+"\n", "mktree", "--missing")
			c := g.run("x", "commit-tree", "-p", "HEAD", "-m", "odd", strings.TrimSpace(tree))
			g.run("x", "reset", "-q", "--soft", c)
		}
	}
	file := func(name, text string) func() {
		return func() {
			g.write("x/"+name, text)
			g.run("x", "add", ".")
			g.run("x", "commit", "-qm", "odd")
		}
	}
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + sum("nowhere") + "\nsize 7\n"
	for name, c := range map[string]struct {
		make func()
		why  string
	}{
		"more than 10 MiB":  {file("big.txt", strings.Repeat("long text\n", 1<<20+1)), "larger than 10 MiB"},
		"binary":            {file("b.dat", strings.Repeat("\x00\x01\x02noise", 200_000)), "binary files larger than 1 MiB"},
		"lost large file":   {file("w.txt", pointer), "LFS pointer pointed to a file that does not exist"},
		"bad card":          {file("README.md", "---\nlicense: [unclosed\n---\n"), "Invalid YAML"},
		"backslash":         {raw("100644 blob BLOB\ta\\b"), `has a \`},
		"dot git":           {raw("100644 blob BLOB\t.GIT"), "reaches into .git"},
		"control character": {raw("100644 blob BLOB\t\"a\\nb\""), "control character"},
		"submodule":         {raw("160000 commit " + before + "\tsub"), "submodule"},
	} {
		c.make()
		g.env = []string{"GIT_LFS_SKIP_PUSH=1"}
		g.refused(c.why, "x", "-c", "core.hooksPath=/nowhere", "push", "-q", "origin", "HEAD:main")
		g.env = nil
		if got := s.head("me/x"); got != before {
			t.Errorf("%s: the branch moved", name)
		}
		g.run("x", "reset", "-q", "--hard", before)
	}
	for ref, why := range map[string]string{"refs/pr/1": "only branches and tags", "refs/heads/a.lock": "not a name", "refs/odd/x": "only branches and tags"} {
		out, err := g.try("x", "push", "-q", "origin", "HEAD:"+ref)
		if err == nil {
			t.Errorf("push to %s: %s, want %s", ref, out, why)
		}
	}
}

// Objects that another repository has do not count: who knows their ids must
// not get at their content.
func TestGitReachesNoOtherRepository(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	s.create("secret")
	if a := s.do("POST", "/api/models/me/secret/commit/main", commitBody("", fileLine("secret.txt", "the secret\n"))); a.status != http.StatusOK {
		t.Fatal(a)
	}
	g := newGit(t)
	g.run("", "clone", "-q", s.url+"/me/secret", "secret")
	g.run("", "clone", "-q", s.url+"/me/x", "x")
	g.refused("not our ref", "x", "fetch", "-q", "origin", g.run("secret", "rev-parse", "HEAD"))
	for name, oid := range map[string]string{
		"another repository's": g.run("secret", "rev-parse", "HEAD:secret.txt"), "nobody's": strings.Repeat("5", 40),
	} {
		tree := g.pipe("x", "100644 blob "+oid+"\tgot.txt\n", "mktree", "--missing")
		c := g.run("x", "commit-tree", "-p", "HEAD", "-m", "steal", strings.TrimSpace(tree))
		pack := g.pipe("x", c+"\n"+tree, "pack-objects", "--stdout", "-q")
		command := s.head("me/x") + " " + c + " refs/heads/main\x00report-status"
		a := s.do("POST", "/me/x.git/git-receive-pack", fmt.Sprintf("%04x%s0000%s", len(command)+4, command, pack))
		if a.status != http.StatusOK || !strings.Contains(a.body, "ng refs/heads/main the blob "+oid+" is missing") {
			t.Errorf("a push of %s file: %d %s", name, a.status, a.body)
		}
	}
}

// pipe runs a git command that reads text.
func (g *gitUser) pipe(dir, text string, args ...string) string {
	g.t.Helper()
	cmd := exec.CommandContext(g.t.Context(), "git", args...)
	cmd.Dir, cmd.Stdin = g.path(dir), strings.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		g.t.Fatal(args, err)
	}
	return string(out)
}

func TestGitAuth(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{
		"hf_me": {Name: "me"}, "hf_read": {Name: "me", ReadOnly: true}, "hf_other": {Name: "other"},
	}})
	s.token = "hf_me"
	for name, private := range map[string]bool{"private": true, "public": false} {
		body, _ := json.Marshal(map[string]any{"name": name, "type": "model", "private": private})
		if a := s.do("POST", "/api/repos/create", string(body)); a.status != http.StatusOK {
			t.Fatal(a)
		}
	}
	as := func(who, repo string) string {
		return strings.Replace(s.url, "http://", "http://"+who, 1) + "/me/" + repo
	}
	g := newGit(t)
	g.run("", "clone", "-q", as("", "public"), "public")
	g.run("", "clone", "-q", as("me:hf_read@", "private"), "private")
	g.run("", "clone", "-q", as("anyone:hf_me@", "private"), "mine")
	for _, who := range []string{"", "me:wrong@", "other:hf_other@"} {
		if out, err := g.try("", "clone", "-q", as(who, "private"), "no"); err == nil {
			t.Errorf("%q clones the private repository: %s", who, out)
		}
	}
	for _, who := range []string{"", "me:hf_read@", "other:hf_other@"} {
		if out, err := g.try("public", "push", "-q", as(who, "public"), "HEAD:refs/heads/b"); err == nil {
			t.Errorf("%q pushes: %s", who, out)
		}
	}
	large := "large\x00content"
	g.write("mine/w.bin", large)
	g.run("mine", "add", ".")
	g.run("mine", "commit", "-qm", "large")
	g.run("mine", "push", "-q")
	if g.lfs {
		g.run("private", "pull", "-q")
		if g.text("private/w.bin") != large {
			t.Error("the large file did not come")
		}
	}
	// The large file of a private repository is not to be had through another.
	ask := fmt.Sprintf(`{"operation":"download","objects":[{"oid":%q,"size":%d}]}`, sum(large), len(large))
	s.token = "hf_other"
	if a := s.do("POST", "/me/public.git/info/lfs/objects/batch", ask); a.status != http.StatusOK || !strings.Contains(a.body, "does not exist") {
		t.Errorf("through another repository the answer is %d %s", a.status, a.body)
	}
	if a := s.do("POST", "/me/private.git/info/lfs/objects/batch", ask); a.status != http.StatusNotFound {
		t.Errorf("a stranger's answer is %d %s", a.status, a.body)
	}
}

// Many files and a large one: a clone has them all, a fetch brings only what
// is new, and a push of a change is small.
func TestGitManyFiles(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	server := start(t, hubserver.Options{PartSize: 8 << 20})
	client := &hub.Client{BaseURL: server.URL}
	id := hub.RepoID{Type: hub.Dataset, Namespace: "me", Name: "many"}
	if _, err := client.CreateRepo(t.Context(), id, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	var c hub.Commit
	for i := range 3000 {
		path := fmt.Sprintf("d%02d/f%04d.txt", i%30, i)
		want[path] = strings.Repeat(fmt.Sprintf("%d\n", i), 1+i%200)
		c.Files = append(c.Files, hub.File{Path: path, Content: []byte(want[path])})
	}
	large := bytes.Repeat([]byte("0123456789abcde\x00"), 50<<16) // 50 MiB
	c.Files = append(c.Files, hub.File{Path: "w.bin", Content: large})
	if _, err := client.Upload(t.Context(), id, c); err != nil {
		t.Fatal(err)
	}
	g := newGit(t)
	g.run("", "clone", "-q", server.URL+"/datasets/me/many", "many")
	g.whole("many")
	for path, text := range want {
		if g.text("many/"+path) != text {
			t.Fatalf("%s is another", path)
		}
	}
	if g.lfs && g.text("many/w.bin") != string(large) {
		t.Error("the large file is another")
	}
	c.Files = []hub.File{{Path: "d07/new.txt", Content: []byte("new\n")}}
	if _, err := client.Upload(t.Context(), id, c); err != nil {
		t.Fatal(err)
	}
	if out := g.run("many", "-c", "fetch.unpackLimit=1", "fetch", "--progress"); !strings.Contains(out, "Sending 4 objects") {
		t.Errorf("a fetch of one new file says %s", out)
	}
	g.run("many", "merge", "-q", "origin/main")
	for i := range 1500 {
		g.write(fmt.Sprintf("many/e%02d/f%04d.txt", i%30, i), fmt.Sprintf("second %d\n", i))
	}
	g.run("many", "add", ".")
	g.run("many", "commit", "-qm", "more")
	g.run("many", "push", "-q")
	g.run("", "clone", "-q", server.URL+"/datasets/me/many", "again")
	g.run("again", "diff", "--exit-code", g.run("many", "rev-parse", "HEAD"))
	g.whole("again")
}

// Of many who push on one commit, by git and by the API, one wins.
func TestConcurrentPush(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{})
	s.create("x")
	base := s.head("me/x")
	g := newGit(t)
	const n = 4
	for i := range n {
		dir := fmt.Sprint("c", i)
		g.run("", "clone", "-q", s.url+"/me/x", dir)
		g.write(dir+"/mine", dir)
		g.run(dir, "add", ".")
		g.run(dir, "commit", "-qm", dir)
	}
	won := make(chan string, 2*n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, err := g.try(fmt.Sprint("c", i), "push", "-q"); err == nil {
				won <- fmt.Sprint("c", i)
			}
		})
		wg.Go(func() {
			a := s.do("POST", "/api/models/me/x/commit/main", commitBody(fmt.Sprintf(`,"parentCommit":%q`, base), fileLine("mine", fmt.Sprint("api", i))))
			switch a.status {
			case http.StatusOK:
				won <- fmt.Sprint("api", i)
			case http.StatusPreconditionFailed:
			default:
				t.Errorf("a commit is answered %d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	close(won)
	if len(won) != 1 {
		t.Fatalf("%d won", len(won))
	}
	if name, got := <-won, s.do("GET", "/me/x/resolve/main/mine", "").body; got != name {
		t.Errorf("%s won, but the file is %s", name, got)
	}
}

// Who knows the hash of a large file, which the list of a gated repository
// shows, does not get at its content by that.
func TestLargeFilesAreNotHadByHash(t *testing.T) {
	t.Parallel()
	s := newSite(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{"hf_me": {Name: "me"}, "hf_other": {Name: "other"}}})
	id := hub.RepoID{Type: hub.Model, Namespace: "me", Name: "x"}
	me, other := &hub.Client{BaseURL: s.url, Token: "hf_me"}, &hub.Client{BaseURL: s.url, Token: "hf_other"}
	content := "large\x00secret"
	file := []hub.File{{Path: "w.bin", Content: []byte(content)}}
	if _, err := me.CreateRepo(t.Context(), id, hub.CreateOptions{Private: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := me.Upload(t.Context(), id, hub.Commit{Files: file}); err != nil {
		t.Fatal(err)
	}
	mine := hub.RepoID{Type: hub.Model, Namespace: "other", Name: "y"}
	if _, err := other.CreateRepo(t.Context(), mine, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.token = "hf_other"
	oid := sum(content)
	pointer := fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid, len(content))
	refused := func(way string) {
		t.Helper()
		for name, line := range map[string]string{
			"a large file": fmt.Sprintf(`{"key":"lfsFile","value":{"path":"w.bin","algo":"sha256","oid":%q,"size":%d}}`, oid, len(content)),
			"a pointer":    fileLine("w.bin", pointer),
		} {
			if a := s.do("POST", "/api/models/other/y/commit/main", commitBody("", line)); a.status != http.StatusBadRequest {
				t.Errorf("%s: %s is answered %d %s", way, name, a.status, a.body)
			}
		}
	}
	refused("not brought")
	ask := fmt.Sprintf(`{"operation":"upload","objects":[{"oid":%q,"size":%d}]}`, oid, len(content))
	if a := s.do("POST", "/other/y.git/info/lfs/objects/batch", ask); !strings.Contains(a.body, "/api/storage/large/") {
		t.Errorf("an upload is not asked for: %s", a.body)
	}
	refused("asked where to")
	g := newGit(t)
	url := strings.Replace(s.url, "http://", "http://other:hf_other@", 1) + "/other/y"
	g.run("", "clone", "-q", url, "y")
	g.write("y/w.txt", pointer)
	g.run("y", "add", ".")
	g.run("y", "commit", "-qm", "steal")
	g.refused("does not exist", "y", "-c", "core.hooksPath=/nowhere", "push", "-q")
	if _, err := other.Upload(t.Context(), mine, hub.Commit{Files: file}); err != nil {
		t.Errorf("one who has the content: %v", err)
	}
	g.run("y", "pull", "-q", "--rebase")
	g.run("y", "-c", "core.hooksPath=/nowhere", "push", "-q")
}
