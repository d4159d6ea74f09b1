package hub_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubtest"
)

func folderWith(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, text := range files {
		name := filepath.Join(dir, filepath.FromSlash(path))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func paths(t *testing.T, c *hub.Client, repo hub.RepoID) []string {
	t.Helper()
	var out []string
	for e, err := range c.ListTree(t.Context(), repo, hub.TreeOptions{Recursive: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if !e.Dir && e.Path != ".gitattributes" {
			out = append(out, e.Path)
		}
	}
	slices.Sort(out)
	return out
}

func TestUploadFolder(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	repo := hub.RepoID{Type: hub.Model, Namespace: "me", Name: "x"}
	if _, err := h.Client.CreateRepo(t.Context(), repo, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	dir := folderWith(t, map[string]string{
		"a.txt": "a", "deep/b.txt": "b", "deep/c.bin": "\x00c", "secret.env": "s", "notes.log": "n",
		".git/HEAD": "x", "deep/.git/HEAD": "x", "sub/.git": "gitdir: x", ".cache/huggingface/x": "x", "deep/.cache/huggingface/y": "y",
		".cache/other": "kept", ".gitignore": "*.log\n",
	})
	up := hub.FolderUpload{Dir: dir, Filter: hub.Filter{Ignore: []string{"*.env"}}}
	done, err := h.Client.UploadFolder(t.Context(), repo, up)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{".cache/other", ".gitignore", "a.txt", "deep/b.txt", "deep/c.bin"}
	if diff := cmp.Diff(want, paths(t, h.Client, repo)); diff != "" {
		t.Error(diff)
	}
	if done.Commits != 1 || len(done.Skipped) != 1 || done.Skipped[0] != "notes.log" {
		t.Errorf("it came to %+v", done)
	}
	again, err := h.Client.UploadFolder(t.Context(), repo, up)
	if err != nil || !again.Unchanged || again.Commit != done.Commit || again.Commits != 0 {
		t.Errorf("the second time it came to %+v, %v", again, err)
	}

	// In a folder of the repository, and what is not there any more goes away.
	dir = folderWith(t, map[string]string{"b.txt": "new", "d.txt": "d"})
	if _, err := h.Client.UploadFolder(t.Context(), repo, hub.FolderUpload{Dir: dir, Path: "deep", Remove: []string{"*"}}); err != nil {
		t.Fatal(err)
	}
	want = []string{".cache/other", ".gitignore", "a.txt", "deep/b.txt", "deep/d.txt"}
	if diff := cmp.Diff(want, paths(t, h.Client, repo)); diff != "" {
		t.Error(diff)
	}
	if _, err := h.Client.UploadFolder(t.Context(), repo, hub.FolderUpload{Dir: dir, Path: "../x"}); err == nil {
		t.Error("a folder was uploaded outside of the repository")
	}
}

// Very many files come in several commits. One that fails is gone on from.
func TestUploadManyFiles(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	repo := hub.RepoID{Type: hub.Dataset, Namespace: "me", Name: "x"}
	if _, err := h.Client.CreateRepo(t.Context(), repo, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	var want []string
	for i := range 600 {
		path := fmt.Sprintf("d%d/%d.txt", i%7, i)
		files[path] = fmt.Sprint(i)
		want = append(want, path)
	}
	slices.Sort(want)
	up := hub.FolderUpload{Dir: folderWith(t, files), PerCommit: 100}
	up.Message = "All"
	h.Break(hubtest.Fault{Method: "POST", Path: "/commit/", After: 3, Status: 400})
	if _, err := h.Client.UploadFolder(t.Context(), repo, up); err == nil || !strings.Contains(err.Error(), "part 4 of 6") {
		t.Fatalf("a commit that failed is %v", err)
	}
	if n := len(paths(t, h.Client, repo)); n != 300 {
		t.Errorf("%d files are there after three commits", n)
	}
	done, err := h.Client.UploadFolder(t.Context(), repo, up)
	if err != nil || done.Commits != 3 {
		t.Fatalf("the rest took %d commits: %v", done.Commits, err)
	}
	if diff := cmp.Diff(want, paths(t, h.Client, repo)); diff != "" {
		t.Error(diff)
	}
	// With a parent each commit follows the one before.
	up.Parent, up.Path = done.Commit, "again"
	if done, err = h.Client.UploadFolder(t.Context(), repo, up); err != nil || done.Commits != 6 {
		t.Errorf("with a parent: %+v, %v", done, err)
	}
	up.Path = "and again"
	if _, err := h.Client.UploadFolder(t.Context(), repo, up); !errors.Is(err, hub.ErrConflict) {
		t.Errorf("on an old parent: %v", err)
	}
	// One that somebody else overtook is tried again.
	h.Break(hubtest.Fault{Method: "POST", Path: "/commit/", Status: 412})
	up.Parent = ""
	if _, err := h.Client.UploadFolder(t.Context(), repo, up); err != nil {
		t.Error(err)
	}
}
