package gitstore_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

func open(t *testing.T) (*gitstore.Store, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := gitstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func model(name string) hub.RepoID {
	return hub.RepoID{Type: hub.Model, Namespace: "me", Name: name}
}

func create(t *testing.T, s *gitstore.Store, id hub.RepoID) *gitstore.Repo {
	t.Helper()
	b := s.Batch()
	defer b.Discard()
	oid, err := b.Blob(gitstore.DefaultAttributes())
	if err != nil {
		t.Fatal(err)
	}
	repo, err := s.Create(t.Context(), id, gitstore.State{}, gitstore.CommitSpec{
		Author: "me", Message: "initial commit", Changes: []gitstore.Change{{Path: gitstore.AttributesFile, Blob: oid}},
	}, b)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// commit writes files; a nil value deletes one, a *Large names a large one.
func commit(t *testing.T, s *gitstore.Store, id hub.RepoID, files map[string]any) (gitstore.Commit, error) {
	t.Helper()
	b := s.Batch()
	defer b.Discard()
	spec := gitstore.CommitSpec{Author: "me", Message: "change\n\nwith a body"}
	for path, v := range files {
		ch := gitstore.Change{Path: path}
		switch v := v.(type) {
		case nil:
			ch.Delete = gitstore.Any
		case *gitstore.Large:
			ch.Large = v
		case string:
			oid, err := b.Blob([]byte(v))
			if err != nil {
				t.Fatal(err)
			}
			ch.Blob = oid
		}
		spec.Changes = append(spec.Changes, ch)
	}
	return s.Commit(t.Context(), id, spec, b)
}

func must(t *testing.T, s *gitstore.Store, id hub.RepoID, files map[string]any) gitstore.Commit {
	t.Helper()
	c, err := commit(t, s, id, files)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func putLarge(t *testing.T, s *gitstore.Store, data string) *gitstore.Large {
	t.Helper()
	sum := sha256.Sum256([]byte(data))
	l := &gitstore.Large{OID: hex.EncodeToString(sum[:]), Size: int64(len(data))}
	if err := s.PutLarge(*l, strings.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return l
}

func paths(t *testing.T, s *gitstore.Store, c gitstore.Commit) []string {
	t.Helper()
	var out []string
	for e, err := range s.Entries(c, "", true) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e.Path)
	}
	return out
}

// The ids are those of git, as `git hash-object` gives them.
func TestIDs(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"":               "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
		"hello\n":        "ce013625030ba8dba906f756967f9e9ca394464a",
		"test content\n": "d670460b4b4aece5915caf5c68d12f560a9fe3e4",
	} {
		if got := gitstore.OID([]byte(content)); got != want {
			t.Errorf("the id of %q is %s, want %s", content, got, want)
		}
	}
}

// git itself reads the store, finds nothing wrong, and sees the same files.
func TestGitReadsIt(t *testing.T) {
	t.Parallel()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed")
	}
	s, dir := open(t)
	id := model("x")
	create(t, s, id)
	large := putLarge(t, s, "large content")
	must(t, s, id, map[string]any{
		"a": "1", "a.b": "2", "a-b/c": "3", "d/a": "4", "d/e/f/g": "5", "empty": "", "ünï cødé #[x]*.dat": large, "w.bin": large,
	})
	head := must(t, s, id, map[string]any{"a": nil, "a/now/a folder": "6", "d/e/f/g": nil})

	bare := filepath.Join(t.TempDir(), "bare")
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), git, append([]string{"-C", bare, "-c", "core.quotepath=off"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull, "GIT_DIR="+bare)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if err := os.MkdirAll(bare, 0o755); err != nil {
		t.Fatal(err)
	}
	run("init", "--quiet", "--bare", ".")
	alternates := filepath.Join(bare, "objects", "info", "alternates")
	if err := os.WriteFile(alternates, []byte(filepath.Join(dir, "objects")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run("update-ref", "refs/heads/main", head.ID)
	run("fsck", "--strict", "--full", "refs/heads/main")
	var ours []string
	for e, err := range s.Entries(head, "", true) {
		if err != nil {
			t.Fatal(err)
		}
		if !e.Dir {
			ours = append(ours, e.OID+" "+e.Path)
		}
	}
	var theirs []string
	for line := range strings.Lines(run("ls-tree", "-r", "main")) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), " blob ")
		theirs = append(theirs, strings.Replace(rest, "\t", " ", 1))
	}
	if !slices.Equal(ours, theirs) {
		t.Errorf("we list\n%s\ngit lists\n%s", strings.Join(ours, "\n"), strings.Join(theirs, "\n"))
	}
	if got := run("log", "--format=%an %s|%b", "-1", "main"); got != "me change|with a body" {
		t.Errorf("git reads the commit as %q", got)
	}
	run("read-tree", "main")
	out := run("check-attr", "--cached", "filter", "--", "ünï cødé #[x]*.dat", "w.bin", "d/a", "sub/ünï cødé #[x]*.dat", "ünï cødé #x*.dat")
	if n := strings.Count(out, "filter: lfs"); n != 2 {
		t.Errorf("git takes %d of the files for large, want 2:\n%s", n, out)
	}
}

func TestCommitChecks(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	id := model("x")
	first := create(t, s, id)
	base := must(t, s, id, map[string]any{"f": "1", "d/f": "2"})
	if base.Parents[0] != first.Refs[gitstore.MainBranch] {
		t.Error("the commit does not follow the first")
	}
	if same := must(t, s, id, map[string]any{"f": "1"}); same.ID != base.ID {
		t.Error("a commit without a change was made")
	}
	lost := gitstore.Large{OID: strings.Repeat("a", 64), Size: 3}
	cases := []struct {
		name  string
		files map[string]any
		want  error
	}{
		{"a file below a file", map[string]any{"f/x": "1"}, gitstore.ErrInvalid},
		{"a file over a folder", map[string]any{"d": "1"}, gitstore.ErrInvalid},
		{"out of the repository", map[string]any{"../x": "1"}, gitstore.ErrInvalid},
		{"into .git", map[string]any{".git/hooks/x": "1"}, gitstore.ErrInvalid},
		{"delete what is not there", map[string]any{"nothing": nil}, gitstore.ErrNoEntry},
		{"a large file that did not come", map[string]any{"w": &lost}, gitstore.ErrNoLarge},
		{"a pointer to one", map[string]any{"w": string(lost.Pointer())}, gitstore.ErrNoLarge},
	}
	for _, c := range cases {
		if _, err := commit(t, s, id, c.files); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	repo, err := s.Repo(id)
	if err != nil || repo.Refs[gitstore.MainBranch] != base.ID {
		t.Errorf("refused commits moved the branch to %v, %v", repo, err)
	}
}

// A commit of another repository is not to be had by its id, though the
// objects are in one store.
func TestResolveKeepsToItsRepository(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	a, b := model("a"), model("b")
	create(t, s, a)
	create(t, s, b)
	secret := must(t, s, a, map[string]any{"secret": "1"})
	later := must(t, s, a, map[string]any{"secret": nil})
	repoA, _ := s.Repo(a)
	repoB, _ := s.Repo(b)
	for _, rev := range []string{secret.ID, secret.ID[:7], later.ID, "main", "HEAD", "refs/heads/main"} {
		if _, err := s.Resolve(repoA, rev); err != nil {
			t.Errorf("revision %s: %v", rev, err)
		}
	}
	for _, rev := range []string{secret.ID, secret.ID[:7], secret.ID[:6], "nope", "refs/heads/nope", "../main", strings.Repeat("0", 40)} {
		if _, err := s.Resolve(repoB, rev); !errors.Is(err, gitstore.ErrNoRevision) {
			t.Errorf("revision %s of the other repository: %v", rev, err)
		}
	}
}

func TestLastCommits(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	id := model("x")
	create(t, s, id)
	one := must(t, s, id, map[string]any{"a": "1", "d/b": "1"})
	two := must(t, s, id, map[string]any{"d/b": "2"})
	three := must(t, s, id, map[string]any{"c": "3"})
	last, err := s.LastCommits(three, []string{"a", "d", "d/b", "c", "nothing"})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"a": one.ID, "d": two.ID, "d/b": two.ID, "c": three.ID, "nothing": ""} {
		if last[path].ID != want {
			t.Errorf("%s was changed last by %q, want %q", path, last[path].ID, want)
		}
	}
}

func TestMoveAndDelete(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	a, b := model("a"), model("b")
	create(t, s, a)
	if err := s.Move(t.Context(), a, b); err != nil {
		t.Fatal(err)
	}
	_, err := s.Repo(a)
	if moved, ok := errors.AsType[*gitstore.MovedError](err); !ok || moved.To != b {
		t.Errorf("the old name is %v", err)
	}
	create(t, s, a) // the old name is free
	if err := s.Move(t.Context(), a, b); !errors.Is(err, gitstore.ErrExists) {
		t.Errorf("moving onto another is %v", err)
	}
	if _, err := s.Repo(a); err != nil {
		t.Error(err)
	}
	if err := s.Delete(t.Context(), b); err != nil {
		t.Error(err)
	}
	if err := s.Delete(t.Context(), b); !errors.Is(err, gitstore.ErrNoRepo) {
		t.Errorf("deleting twice is %v", err)
	}
	all, err := s.Repos(hub.Model)
	if err != nil || len(all) != 1 || all[0].Name != "a" {
		t.Errorf("what is left is %v, %v", all, err)
	}
}

// What is damaged on disk is not passed on as if it were good.
func TestDamageIsSeen(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	id := model("x")
	create(t, s, id)
	must(t, s, id, map[string]any{"f": "content"})
	oid := gitstore.OID([]byte("content"))
	var other bytes.Buffer
	z := zlib.NewWriter(&other)
	fmt.Fprint(z, "blob 7\x00CONTENT")
	z.Close()
	if err := os.WriteFile(filepath.Join(dir, "objects", oid[:2], oid[2:]), other.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := s.Blob(oid); err == nil {
		t.Errorf("a damaged object reads as %q", data)
	}
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	a := gitstore.ParseAttributes([]byte("# none\n*.bin filter=lfs diff=lfs\n/top.txt filter=lfs\ndata/** filter=lfs\ndata/small.txt -filter\n" +
		"a[[:space:]]b filter=lfs\n*.tar.* filter=lfs\nq?x filter=lfs\n\\#x filter=lfs\n[!a-c]z filter=lfs\n[z-a] filter=lfs\n\xff* filter=lfs\nx/**/y filter=lfs\n*.no text\n"))
	want := map[string]bool{
		"x.bin": true, "d/e/x.bin": true, "x.bin.txt": false, "top.txt": true, "d/top.txt": false, "data/x": true, "data/d/x": true,
		"data/small.txt": false, "data": false, "a b": true, "a-b": false, "x.tar.gz": true, "x.tar": false, "qüx": true, "q/x": false,
		"#x": true, "dz": true, "az": false, "x/y": true, "x/a/b/y": true, "xy": false, "x.no": false,
	}
	for path, large := range want {
		if a.Large(path) != large {
			t.Errorf("Large(%q) = %v", path, !large)
		}
	}
	def := gitstore.ParseAttributes(gitstore.DefaultAttributes())
	for path, large := range map[string]bool{"model.safetensors": true, "d/x.parquet": true, "saved_model/a/b": true, "README.md": false, "x.json": false, "runs/x.tfevents.1": true} {
		if def.Large(path) != large {
			t.Errorf("by default Large(%q) = %v", path, !large)
		}
	}
}

func TestIgnore(t *testing.T) {
	t.Parallel()
	ig := gitstore.ParseIgnore([]byte("# none\n*.tmp\n!keep.tmp\nbuild/\n/root.txt\ndocs/*.md\n**/cache\n\\!x\ntrail  \n"))
	want := map[string]bool{
		"a.tmp": true, "d/a.tmp": true, "keep.tmp": false, "build/x": true, "d/build/x/y": true, "build": false, "root.txt": true,
		"d/root.txt": false, "docs/a.md": true, "docs/d/a.md": false, "a/b/cache/x": true, "!x": true, "trail": true, "x": false,
	}
	for path, out := range want {
		if ig.Match(path) != out {
			t.Errorf("Match(%q) = %v", path, !out)
		}
	}
}

// Patterns come from outside, and take much more memory than their text: so
// many count. Lines for one path, which the store writes, all do.
func TestManyPatterns(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for n := range 6000 {
		fmt.Fprintf(&text, "/one/%d[[:space:]]x filter=lfs\n*.%d filter=lfs\n", n, n)
	}
	a := gitstore.ParseAttributes([]byte(text.String()))
	for path, large := range map[string]bool{"one/5999 x": true, "one/5999": false, "x.4999": true, "x.5000": false} {
		if a.Large(path) != large {
			t.Errorf("Large(%q) = %v", path, !large)
		}
	}
	long := strings.Repeat("x", 5000)
	if gitstore.ParseIgnore([]byte(long + "*\n" + long)).Match(long + "y") {
		t.Error("a pattern longer than any path matches")
	}
}

func FuzzPatterns(f *testing.F) {
	for _, seed := range []string{"*.bin filter=lfs", "[z-a] filter=lfs", "\\", "[[:alpha:] filter=lfs", "**/** filter=lfs", "!/"} {
		f.Add(seed, "a/b.bin")
	}
	f.Fuzz(func(t *testing.T, text, path string) {
		gitstore.ParseAttributes([]byte(text)).Large(path)
		gitstore.ParseIgnore([]byte(text)).Match(path)
	})
}

func FuzzPointer(f *testing.F) {
	f.Add(string(gitstore.Large{OID: strings.Repeat("0", 64), Size: 12}.Pointer()))
	f.Fuzz(func(t *testing.T, text string) {
		l, ok := gitstore.ParsePointer([]byte(text))
		if !ok {
			return
		}
		if again, ok := gitstore.ParsePointer(l.Pointer()); !ok || again != l {
			t.Errorf("%q reads as %+v, which reads as %+v, %v", text, l, again, ok)
		}
	})
}

// A large file gets its line in .gitattributes once, whatever it is called.
func TestLargeFilesAreMarkedOnce(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	id := model("x")
	create(t, s, id)
	names := []string{"w", "a b", "d/[x]*?", "#x", "!x", "\"q\"", "d/ü"}
	attributes := func(content string) string {
		files := map[string]any{}
		for _, name := range names {
			files[name] = putLarge(t, s, content)
		}
		c := must(t, s, id, files)
		e, err := s.Entry(c, gitstore.AttributesFile)
		if err != nil {
			t.Fatal(err)
		}
		text, err := s.Blob(e.OID)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := attributes("one")
	if strings.Count(first, "\n") != strings.Count(string(gitstore.DefaultAttributes()), "\n")+len(names) {
		t.Errorf("the attributes are\n%s", first)
	}
	if second := attributes("two"); second != first {
		t.Errorf("a second commit made of\n%s\nthis:\n%s", first, second)
	}
}

func TestPathsAfterEmptyFolders(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	id := model("x")
	create(t, s, id)
	must(t, s, id, map[string]any{"a/b/c/d": "1", "a/x": "1"})
	c := must(t, s, id, map[string]any{"a/b/c/d": nil})
	if got := paths(t, s, c); !slices.Equal(got, []string{".gitattributes", "a", "a/x"}) {
		t.Errorf("what is left is %v", got)
	}
}
