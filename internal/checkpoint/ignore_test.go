package checkpoint

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The rules are git's: git itself is asked.
func TestIgnoreIsGits(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed")
	}
	for _, rules := range []string{
		"*.log\n!keep.log\n", "/a\n", "a/\n", "b/c\n", "**/c\n", "b/**\n", "b/**/c\n", "# a\n\\#x\n", "a \n", "a\\ \n", "[ab]\n", "[!a]\n",
		"?\n", "b/*\n!b/c\n", "*\n!*/\n!*.txt\n", "b\n!b/c\n", "/*\n!/b\n/b/*\n!/b/c\n", "!a\n", "\n/\n", "**\n", "a/**/b\n", "b/**/d.txt\n", "c*\n", "[z-a]\n", "[\n", "\\!x\n", "*.tx[st]\n",
	} {
		checkIgnore(t, git, rules)
	}
}

func FuzzIgnore(f *testing.F) {
	git, err := exec.LookPath("git")
	if err != nil {
		f.Skip("git is not installed")
	}
	f.Add("*.log\n!b/c\n/a/\n")
	f.Fuzz(func(t *testing.T, rules string) {
		if strings.ContainsAny(rules, "\x00\\[") {
			t.Skip() // classes and escapes differ in corners that the table covers
		}
		checkIgnore(t, git, rules)
	})
}

func checkIgnore(t *testing.T, git, rules string) {
	t.Helper()
	dir := t.TempDir()
	files := []string{"a", "a.log", "keep.log", "b/c", "b/d.txt", "b/keep.log", "e/c", "e/f/c", "#x", "!x", "x/a/b", "x/a/q/b", "x.txt", "b/q/d.txt", "e/a "}
	for _, rel := range files {
		path := filepath.Join(dir, rel)
		if os.MkdirAll(filepath.Dir(path), 0o755) != nil || os.WriteFile(path, []byte("x"), 0o644) != nil {
			t.Fatal("make files")
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), git, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run("init", "-q")
	theirs := map[string]bool{}
	for rel := range strings.SplitSeq(run("ls-files", "-z", "--others", "--exclude-standard"), "\x00") {
		theirs[rel] = true
	}
	s, err := Open(t.TempDir(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := s.current(t.Context(), nil)
	if err != nil && s.prepare() == nil {
		ours, err = s.current(t.Context(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, rel := range files {
		if kept := ours[rel].kind == File; kept != theirs[rel] {
			t.Errorf("rules %q: %q kept: %v, git would: %v", rules, rel, kept, theirs[rel])
		}
	}
}

// What is read from the store is trusted by nobody.
func FuzzTree(f *testing.F) {
	t := &tree{entries: []entry{{name: "a", kind: File, size: 3, perm: 0o644}, {name: "b", kind: Symlink, text: "c"}, {name: "d", kind: Large, text: byLink}}}
	f.Add(t.encode(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		tr, err := decodeTree(data)
		if err != nil {
			return
		}
		again, err := decodeTree(tr.encode(nil))
		if err != nil || len(again.entries) != len(tr.entries) {
			t.Errorf("%v", err)
		}
		for _, e := range tr.entries {
			if strings.ContainsAny(e.name, "/\x00") || e.name == ".." || e.name == "." || e.name == "" {
				t.Errorf("%q leads elsewhere", e.name)
			}
		}
	})
}

func FuzzListings(f *testing.F) {
	one := listing{key: 1, ino: 2, mtime: 3, ctime: 4, names: "a\x00b\x00"}
	f.Add(one.encode(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, ok := decodeListings(data)
		if !ok {
			return
		}
		again, ok := decodeListings((&cache{listings: all}).encoded())
		if !ok || len(again) != len(all) {
			t.Errorf("%d listings, and again %d", len(all), len(again))
		}
		for key, l := range all {
			if again[key] != l || key != l.key {
				t.Errorf("%+v became %+v", l, again[key])
			}
			l.each()
		}
	})
}
