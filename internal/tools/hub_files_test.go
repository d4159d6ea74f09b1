package tools_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/approval"
	"ml-intern/internal/hub"
	"ml-intern/internal/llm"
	"ml-intern/internal/tool"
	"ml-intern/internal/tools"
)

// shelf is a repository of the test Hub with the files.
func (b bench) shelf(t *testing.T, name string, private bool, files map[string]string) hub.RepoID {
	t.Helper()
	repo := hub.RepoID{Type: hub.Model, Namespace: "me", Name: name}
	if _, err := b.hub.Client.CreateRepo(t.Context(), repo, hub.CreateOptions{Private: private}); err != nil {
		t.Fatal(err)
	}
	var list []hub.File
	for path, content := range files {
		list = append(list, hub.File{Path: path, Content: []byte(content)})
	}
	if _, err := b.hub.Client.Upload(t.Context(), repo, hub.Commit{Files: list}); err != nil {
		t.Fatal(err)
	}
	return repo
}

func (b bench) hubFiles(t *testing.T, a args) tool.Output {
	t.Helper()
	return call(t, tools.HubFiles(b.connect, b.Local, ""), a)
}

// wantText fails unless the output says all of it, and none of what begins
// with "!".
func wantText(t *testing.T, out tool.Output, isError bool, want ...string) {
	t.Helper()
	if out.IsError != isError {
		t.Errorf("error is %v: %s", out.IsError, out.Text)
	}
	for _, w := range want {
		absent, not := strings.CutPrefix(w, "!")
		if not && strings.Contains(out.Text, absent) || !not && !strings.Contains(out.Text, w) {
			t.Errorf("want %q in:\n%s", w, out.Text)
		}
	}
}

func TestHubFilesList(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	content := map[string]string{"README.md": "# A card\n", "empty.txt": "", "src/a/deep.py": "pass\n"}
	for i := range 230 {
		content[fmt.Sprintf("data/%03d.txt", i)] = "x"
	}
	b.shelf(t, "many", true, content)
	wantText(t, b.hubFiles(t, args{"operation": "list", "repo_id": "me/many"}), false,
		"me/many: 3 files", "2 folders in the root", "README.md (9.0B)", "empty.txt (0.0B)", "data/\n", "!data/000", "/me/many/tree/main")
	wantText(t, b.hubFiles(t, args{"operation": "list", "repo_id": "me/many", "path": "data"}), false,
		"230 files", "data/199.txt", "!data/200.txt", "[30 more; go on with offset 200]")
	wantText(t, b.hubFiles(t, args{"operation": "list", "repo_id": "me/many", "path": "data", "offset": 200}), false, "data/229.txt", "!data/199.txt", "!more;")
	wantText(t, b.hubFiles(t, args{"operation": "list", "repo_id": "me/many", "recursive": true, "limit": 500}), false, "234 files", "3 folders", "more; go on")
	wantText(t, b.hubFiles(t, args{"operation": "list", "repo_id": "me/many", "path": "nowhere"}), true, "nowhere")
	wantText(t, b.hubFiles(t, args{"operation": "list", "repo_id": "me/man"}), true, "not found", "there are: me/many")
	wantText(t, b.hubFiles(t, args{"operation": "list", "repo_id": "a/b/c"}), true, "parse repository id")
	wantText(t, b.hubFiles(t, args{"operation": "browse", "repo_id": "me/many"}), true, `no operation "browse"`)
	wantText(t, b.hubFiles(t, args{"operation": " LIST", "repo_id": "https://huggingface.co/me/many/"}), false, "me/many: 3 files")
}

func TestHubFilesRead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shelf(t, "texts", true, map[string]string{
		"three": "a\nb\nc\n", "no end": "a\r\nb", "empty": "", "binary": "a\x00b", "fence": "```\nx\n```\n",
		"long line": strings.Repeat("x", 5000), "many": strings.Repeat("x\n", 2500),
	})
	tests := []struct {
		args  args
		error bool
		want  []string
	}{
		{args{"path": "three"}, false, []string{"three (6.0B, commit ", "/me/texts/blob/main/three", "     1\ta\n     2\tb\n     3\tc\n", "!go on"}},
		{args{"path": "three", "offset": 2, "limit": 1}, false, []string{"     2\tb\n[go on with offset 3]", "!\tc"}},
		{args{"path": "three", "offset": 9}, false, []string{"[the file has 3 lines, none from 9 on]"}},
		{args{"path": "no end"}, false, []string{"     1\ta\n     2\tb\n"}},
		{args{"path": "empty"}, false, []string{"[the file is empty]"}},
		{args{"path": "fence"}, false, []string{"     1\t```\n"}},
		{args{"path": "long line"}, false, []string{"[… 3000 bytes more]"}},
		{args{"path": "many"}, false, []string{"  1000\tx\n[go on with offset 1001]"}},
		{args{"path": "binary"}, true, []string{"binary file of 3.0B", "hub_download"}},
		{args{"path": "absent"}, true, []string{"absent"}},
		{args{"path": "three", "revision": "nope"}, true, []string{"not found"}},
		{args{}, true, []string{"path is missing"}},
	}
	for _, test := range tests {
		a := args{"operation": "read", "repo_id": "me/texts"}
		for k, v := range test.args {
			a[k] = v
		}
		wantText(t, b.hubFiles(t, a), test.error, test.want...)
	}
}

func TestHubFilesUpload(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	repo := b.shelf(t, "box", true, map[string]string{"old.txt": "old"})
	b.shelf(t, "open", false, nil)
	upload := func(a args) tool.Output {
		a["operation"] = "upload"
		if a["repo_id"] == nil {
			a["repo_id"] = "me/box"
		}
		return b.hubFiles(t, a)
	}
	out := upload(args{"path": "notes/a.txt", "content": "hello\n"})
	wantText(t, out, false, "uploaded 1 file to me/box", "/me/box/commit/")
	if len(out.Artifacts) != 2 || !strings.HasSuffix(out.Artifacts[0].URL, "/me/box") || !strings.Contains(out.Artifacts[1].URL, "/commit/") || len(out.Facts) != 1 {
		t.Errorf("no record: %+v", out)
	}
	wantText(t, upload(args{"path": "notes/a.txt", "content": "hello\n"}), false, "no commit was made")
	wantText(t, upload(args{"source": "runs", "path": "out"}), false, "uploaded 2 files")
	wantText(t, upload(args{"source": ".", "path": "all", "ignore": []string{"*", "!"}}), true, "nothing is left")
	wantText(t, upload(args{"source": "runs", "path": "some", "ignore": []string{"*.bin"}}), false, "uploaded 1 file ")
	wantText(t, upload(args{"source": "train.py"}), false, "uploaded 1 file")
	wantText(t, b.hubFiles(t, args{"operation": "list", "repo_id": "me/box", "recursive": true}), false,
		"notes/a.txt", "out/j1/model.bin", "train.py", "old.txt")
	before, err := b.hub.Client.RepoInfo(t.Context(), repo, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"leak/.env": "X=1", "gone/server.pem": "x", ".git/config": "[core]", "leaky/t.txt": "token hf_" + strings.Repeat("a", 34)} {
		path := filepath.Join(b.Dir, name) // as a person does: our tools do not write there
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(b.Dir, "void"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		args args
		want string
	}{
		{args{}, "nothing to upload"},
		{args{"content": "x"}, "path is missing"},
		{args{"content": "x", "source": "train.py", "path": "y"}, "not both"},
		{args{"source": "/etc/hostname"}, "outside the workspace"},
		{args{"source": "absent"}, "no such file"},
		{args{"source": "void"}, "empty"},
		{args{"source": "leak"}, "file of secrets"},
		{args{"source": "leak/.env", "path": "env.txt"}, "file of secrets"},
		{args{"source": "leaky"}, "what looks like a key"},
		{args{"source": "gone"}, "file of secrets"},
		{args{"content": "-----BEGIN RSA PRIVATE KEY-----\nMII", "path": "notes.txt"}, "what looks like a key"},
		{args{"source": ".git"}, "file of secrets"},
		{args{"content": "x", "path": "../up"}, "part .."},
		{args{"content": "x", "path": "a", "repo_id": "me/open"}, "is public"},
		{args{"content": "x", "path": "a", "repo_id": "me/absent"}, "not found"},
	} {
		wantText(t, upload(bad.args), true, bad.want)
	}
	after, err := b.hub.Client.RepoInfo(t.Context(), repo, "")
	if err != nil || after.SHA != before.SHA {
		t.Errorf("a refused upload changed the repository: %v", err)
	}
	wantText(t, upload(args{"content": "x", "path": "a", "repo_id": "me/open", "public": true}), false, "uploaded 1 file")
}

func TestHubFilesDelete(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shelf(t, "bin", true, map[string]string{"a.txt": "a", "logs/x.log": "x", "logs/deep/y.log": "y", "keep.py": "k"})
	remove := func(patterns ...string) tool.Output {
		return b.hubFiles(t, args{"operation": "delete", "repo_id": "me/bin", "patterns": patterns})
	}
	wantText(t, remove("nothing*"), true, "nothing was deleted")
	wantText(t, remove(), true, "patterns is missing")
	wantText(t, remove("logs/", "a.*"), false, "deleted 3 files", "logs/deep/y.log", "/commit/")
	wantText(t, b.hubFiles(t, args{"operation": "list", "repo_id": "me/bin"}), false, "keep.py", ".gitattributes", "!a.txt", "!logs")
	wantText(t, remove("*"), false, "deleted 1 file ", "!.gitattributes")
}

// What an operation may change is said before it runs.
func TestHubFilesImpact(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	router, err := tool.NewRouter(tools.HubFiles(b.connect, b.Local, ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ args, auto, ask string }{
		{`{"operation":"list","repo_id":"a/b"}`, approval.Allow, approval.Allow},
		{`{"operation":"read","repo_id":"a/b","path":"c"}`, approval.Allow, approval.Allow},
		{`{"operation":"upload","repo_id":"a/b","path":"c","content":"d"}`, approval.Allow, approval.Ask},
		{`{"operation":"upload","repo_id":"a/b","path":"c","content":"d","public":true}`, approval.Deny, approval.Ask},
		{`{"operation":"delete","repo_id":"a/b","patterns":["*"]}`, approval.Deny, approval.Ask},
		{`{"operation":"odd","repo_id":"a/b"}`, approval.Allow, approval.Ask},
	} {
		c := llm.ToolCall{Name: "hf_repo_files", Args: test.args}
		r := approval.Request{Call: c, Impact: router.Impact(c)}
		if got := approval.Auto.Decide(r).Verdict; got != test.auto {
			t.Errorf("%s: auto says %s, want %s", test.args, got, test.auto)
		}
		if got := approval.AskFirst.Decide(r).Verdict; got != test.ask {
			t.Errorf("%s: ask says %s, want %s", test.args, got, test.ask)
		}
	}
}
