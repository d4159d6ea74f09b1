package checkpoint_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/checkpoint"
)

// points makes the history of checkpoints as a session has them.
func points(taken ...checkpoint.Taken) []checkpoint.Point {
	var ps []checkpoint.Point
	for i, t := range taken {
		kind := checkpoint.Before
		if i%2 == 1 {
			kind = checkpoint.After
		}
		ps = append(ps, checkpoint.Point{Kind: kind, ID: t.ID})
	}
	return ps
}

func plan(tb testing.TB, s checkpoint.Store, ps []checkpoint.Point) *checkpoint.Plan {
	tb.Helper()
	p, err := s.Plan(tb.Context(), ps)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// snapshot is what a folder has, in words: kind, mode, content and time.
func snapshot(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			all[rel] = fmt.Sprint(info.Mode())
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			all[rel] = "-> " + target
			return err
		case d.Type().IsRegular() && info.Size() < 10<<20:
			text, err := os.ReadFile(path)
			all[rel] = fmt.Sprintf("%v %x %v", info.Mode(), text, info.ModTime().UnixNano())
			return err
		default:
			all[rel] = fmt.Sprintf("%v %d %v", info.Mode(), info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func differences(a, b map[string]string) string {
	var d []string
	for k, v := range a {
		if b[k] != v {
			d = append(d, fmt.Sprintf("%q: want %.90s, have %.90s", k, v, b[k]))
		}
	}
	for k, v := range b {
		if _, there := a[k]; !there {
			d = append(d, fmt.Sprintf("%q: want nothing, have %.90s", k, v))
		}
	}
	return strings.Join(d, "\n")
}

func do(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// Whatever a turn does to files, all of it is taken back.
func TestEverythingComesBack(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links and modes are those of other systems")
	}
	dir := t.TempDir()
	in := func(rel string) string { return filepath.Join(dir, rel) }
	write(t, dir, "a.txt", "one")
	write(t, dir, "run.sh", "#!/bin/sh")
	do(t, os.Chmod(in("run.sh"), 0o755))
	write(t, dir, "sub/deep/b.txt", "two")
	write(t, dir, "name\xff\xfe.txt", "not UTF-8")
	write(t, dir, "empty.txt", "")
	write(t, dir, "file-to-folder", "f")
	write(t, dir, "folder-to-file/x", "x")
	write(t, dir, "folder-to-link/x", "x")
	write(t, dir, "big.txt", strings.Repeat("0123456789", 300_000))
	do(t, os.MkdirAll(in("empty/folder"), 0o750))
	do(t, os.Symlink("a.txt", in("link")))
	do(t, os.Symlink("/etc", in("outside")))
	do(t, os.Symlink("nowhere", in("dangling")))
	do(t, os.Link(in("a.txt"), in("hard")))
	old := time.Date(2001, 2, 3, 4, 5, 6, 789, time.UTC)
	do(t, os.Chtimes(in("sub/deep/b.txt"), old, old))

	s := open(t, dir)
	before := take(t, s, checkpoint.Before)
	want := snapshot(t, dir)

	write(t, dir, "a.txt", "changed")
	do(t, os.Chmod(in("run.sh"), 0o600))
	do(t, os.RemoveAll(in("sub")))
	do(t, os.Symlink("/etc", in("sub")))
	do(t, os.Remove(in("name\xff\xfe.txt")))
	write(t, dir, "empty.txt", "filled")
	do(t, os.Remove(in("file-to-folder")))
	write(t, dir, "file-to-folder/y/z", "z")
	do(t, os.RemoveAll(in("folder-to-file")))
	write(t, dir, "folder-to-file", "now a file")
	do(t, os.RemoveAll(in("folder-to-link")))
	do(t, os.Symlink("empty", in("folder-to-link")))
	write(t, dir, "big.txt", "small")
	do(t, os.RemoveAll(in("empty")))
	do(t, os.Remove(in("link")))
	write(t, dir, "link", "a file")
	do(t, os.Remove(in("outside")))
	do(t, os.MkdirAll(in("outside"), 0o755))
	do(t, os.Remove(in("dangling")))
	write(t, dir, "new/with/folders.txt", "new")
	after := take(t, s, checkpoint.After)

	p := plan(t, s, points(before, after))
	do(t, p.Apply(t.Context(), false))
	if d := differences(want, snapshot(t, dir)); d != "" {
		t.Error(d)
	}
	if again := plan(t, s, points(before, after)); again.Work() > 0 {
		t.Errorf("there is still work: %+v", again.Changes)
	}
	if entries, err := os.ReadDir("/etc"); err != nil || len(entries) == 0 {
		t.Error("the folder that a link named was touched")
	}
}

// What rules leave out is touched in neither direction.
func TestLeftOutStays(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, ".gitignore", "*.log\n/data/\n!keep.log\n")
	write(t, dir, "keep.log", "kept")
	write(t, dir, "data/x", "ignored")
	write(t, dir, "node_modules/m/index.js", "heavy")
	write(t, dir, "env/pyvenv.cfg", "an environment")
	write(t, dir, "env/lib.py", "heavy")
	write(t, dir, ".git/config", "the person's")
	write(t, dir, "nested/.git/HEAD", "theirs too")
	write(t, dir, "nested/code.log", "not ignored in another repository")
	write(t, dir, ".ml-intern/config.yaml", "the person's")
	s := open(t, dir)
	before := take(t, s, checkpoint.Before)
	if before.Counts.Files != 3 {
		t.Errorf("%d files are kept, want .gitignore, keep.log and nested/code.log", before.Counts.Files)
	}
	for _, rel := range []string{"data/x", "node_modules/m/index.js", "env/lib.py", ".git/config", "nested/.git/HEAD", ".ml-intern/config.yaml", "new.log"} {
		write(t, dir, rel, "changed")
	}
	write(t, dir, "nested/code.log", "changed")
	write(t, dir, ".gitignore", "nothing\n") // and data is not ignored any more
	after := take(t, s, checkpoint.After)
	p := plan(t, s, points(before, after))
	do(t, p.Apply(t.Context(), false))
	have := snapshot(t, dir)
	for _, rel := range []string{"data/x", "node_modules/m/index.js", "env/lib.py", ".git/config", "nested/.git/HEAD", ".ml-intern/config.yaml"} {
		if !strings.Contains(have[filepath.FromSlash(rel)], fmt.Sprintf("%x", "changed")) {
			t.Errorf("%s was touched: %s", rel, have[rel])
		}
	}
	if !strings.Contains(have[filepath.FromSlash("nested/code.log")], fmt.Sprintf("%x", "not ignored")) {
		t.Error("nested/code.log is not as it was")
	}
}

// What a turn hides by a .gitignore comes back all the same.
func TestHiddenMeanwhile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "data/a.txt", "one")
	write(t, dir, "data/b.txt", "two")
	s := open(t, dir)
	before := take(t, s, checkpoint.Before)
	want := snapshot(t, dir)
	write(t, dir, ".gitignore", "data/\n")
	write(t, dir, "data/made/later.txt", "ignored from its first day")
	write(t, dir, "data/a.txt", "changed")
	do(t, os.Remove(filepath.Join(dir, "data", "b.txt")))
	after := take(t, s, checkpoint.After)
	p := plan(t, s, points(before, after))
	for _, c := range p.Changes {
		if strings.Contains(c.Path, "made") {
			t.Errorf("%+v: it is ignored", c)
		}
	}
	if err := p.Apply(t.Context(), false); !errors.Is(err, checkpoint.ErrRefused) {
		t.Fatalf("nobody knows who changed data/a.txt after it was hidden: %v", err)
	}
	do(t, p.Apply(t.Context(), true))
	is := snapshot(t, dir)
	if _, there := is[filepath.FromSlash("data/made/later.txt")]; !there {
		t.Error("what was always ignored was deleted")
	}
	delete(is, filepath.FromSlash("data/made/later.txt"))
	delete(is, filepath.FromSlash("data/made"))
	if d := differences(want, is); d != "" {
		t.Error(d)
	}
}

// What a person changed is refused, whenever it was.
func TestThePersonsChanges(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "1")
	write(t, dir, "b", "1")
	write(t, dir, "c", "1")
	s := open(t, dir)
	b1 := take(t, s, checkpoint.Before)
	write(t, dir, "a", "agent")
	write(t, dir, "made", "agent")
	a1 := take(t, s, checkpoint.After)
	write(t, dir, "b", "person")        // between the turns
	write(t, dir, "own/note", "person") // a file of their own
	write(t, dir, "own2", "person")     // and one that the next turn works on
	b2 := take(t, s, checkpoint.Before)
	write(t, dir, "own2", "person, agent")
	write(t, dir, "b", "person, agent")
	a2 := take(t, s, checkpoint.After)
	write(t, dir, "made", "agent, person") // since
	do(t, os.Remove(filepath.Join(dir, "c")))

	p := plan(t, s, points(b1, a1, b2, a2))
	got := map[string]string{}
	for _, c := range p.Changes {
		got[c.Path] = c.Do
		if c.Refused != "" {
			got[c.Path] = "refused"
		}
	}
	want := map[string]string{"a": "change", "b": "refused", "c": "add", "made": "refused", "own/note": "keep", "own": "keep", "own2": "refused"}
	delete(want, "own") // it holds what is kept
	for path, do := range want {
		if got[path] != do {
			t.Errorf("%s: %q, want %q", path, got[path], do)
		}
	}
	if err := p.Apply(t.Context(), false); !errors.Is(err, checkpoint.ErrRefused) {
		t.Error(err)
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "a")); string(text) != "agent" {
		t.Error("a refused rewind changed something")
	}
	do(t, p.Apply(t.Context(), true))
	for path, want := range map[string]string{"a": "1", "b": "1", "c": "1", "own/note": "person"} {
		if text, _ := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path))); string(text) != want {
			t.Errorf("%s is %q, want %q", path, text, want)
		}
	}
}

// A file that changes between the look and the deed stops it before anything
// is touched.
func TestChangedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "1")
	write(t, dir, "z", "1")
	s := open(t, dir)
	before := take(t, s, checkpoint.Before)
	write(t, dir, "a", "two")
	write(t, dir, "z", "two")
	after := take(t, s, checkpoint.After)
	p := plan(t, s, points(before, after))
	write(t, dir, "z", "three, by somebody")
	if err := p.Apply(t.Context(), true); !errors.Is(err, checkpoint.ErrRefused) {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "a")); string(text) != "two" {
		t.Error("a was touched")
	}
}
