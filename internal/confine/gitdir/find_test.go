package gitdir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/confine/gitdir"
)

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Everything that git would take for a repository is found, and nothing else.
func TestFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{
		".git/HEAD", ".git/modules/a/b/HEAD", ".git/modules/a/b/objects/x", ".git/modules/a/b/refs/x", ".git/worktrees/w/HEAD", "a/b/.git/HEAD",
		"bare/HEAD", "bare/objects/x", "bare/refs/x", "bare/in/.git/HEAD", "common/HEAD", "common/commondir",
		"plain/objects/x", "plain/refs/x", "heads/HEAD", "node_modules/m/.git/HEAD",
	} {
		put(t, filepath.Join(dir, name), "x")
	}
	put(t, filepath.Join(dir, "sub/.git"), "gitdir: ../.git/modules/a/b\n")
	if err := os.Symlink("../bare", filepath.Join(dir, "plain/.git")); err != nil {
		t.Fatal(err)
	}
	var f gitdir.Finder
	find := func() string {
		found, all := f.Find(dir)
		if !all {
			t.Error("not all was looked into")
		}
		var lines []string
		for _, r := range found {
			lines = append(lines, fmt.Sprint(r.Kind, " ", strings.TrimPrefix(r.Dir, dir+"/"), " ", strings.TrimPrefix(r.Top, dir)))
		}
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	want := strings.Join([]string{
		"0 .git ", "0 .git/modules/a/b ", "0 a/b/.git /a/b", "0 bare ", "0 bare/in/.git /bare/in", "0 common ", "1 sub/.git /sub", "2 plain/.git /plain", "3 .git/worktrees/w ",
	}, "\n")
	for range 2 {
		if got := find(); got != want {
			t.Errorf("found\n%s\nwant\n%s", got, want)
		}
	}
	put(t, filepath.Join(dir, "heads/.git/HEAD"), "x") // what is new is seen at once
	if got := find(); !strings.Contains(got, "heads/.git") {
		t.Errorf("later\n%s", got)
	}
	if err := os.RemoveAll(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if got := find(); strings.Contains(got, "a/b/.git") {
		t.Errorf("what is gone is still there\n%s", got)
	}
}

// What a repository's settings name is among its paths.
func TestPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for config, want := range map[string]string{
		"[core]\n\thooksPath = tools/hooks\n":            "tools/hooks",
		"[core] hooksPath = \"tools\"\n":                 "tools",
		"[CORE]\n HOOKSPATH=" + filepath.Join(dir, "h"):  "h",
		"[include]\n\tpath = ../shared.gitconfig\n":      "shared.gitconfig",
		"[includeIf \"gitdir:~/x\"]\n\tpath = ../more\n": "more",
		"[core]\n\thooksPath = .\n":                      "pre-commit",
	} {
		put(t, filepath.Join(dir, ".git/config"), config)
		if paths := (gitdir.Repository{Kind: gitdir.Folder, Dir: filepath.Join(dir, ".git"), Top: dir}).Paths(); !slices.Contains(paths, filepath.Join(dir, want)) || slices.Contains(paths, dir) {
			t.Errorf("%q: %s is missing in %q", config, want, paths)
		}
	}
}

// BenchmarkFind looks through 50,000 folders that it has seen before.
func BenchmarkFind(b *testing.B) {
	dir := b.TempDir()
	for i := range 500 {
		for j := range 100 {
			if err := os.MkdirAll(filepath.Join(dir, fmt.Sprint(i), fmt.Sprint(j)), 0o755); err != nil {
				b.Fatal(err)
			}
		}
	}
	var f gitdir.Finder
	f.Find(dir)
	for b.Loop() {
		f.Find(dir)
	}
}
