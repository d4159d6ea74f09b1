package mlintern

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// clone copies what scripts/changelog needs.
func clone(t *testing.T, unreleased map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	script, err := os.ReadFile("scripts/changelog")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"scripts/changelog": string(script)}
	for name, text := range unreleased {
		files["changelog/unreleased/"+name] = text
	}
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func changelog(t *testing.T, dir string, args ...string) (string, bool) {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash")
	}
	out, err := exec.CommandContext(t.Context(), "bash", append([]string{filepath.Join(dir, "scripts/changelog")}, args...)...).CombinedOutput()
	return string(out), err == nil
}

// Every file of changelog/unreleased is on the page that a release gets.
func TestChangesCanBeJoined(t *testing.T) {
	entries, err := filepath.Glob("changelog/unreleased/*")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 { // a release was just cut
		return
	}
	out, ok := changelog(t, ".")
	if !ok {
		t.Fatal(out)
	}
	for _, file := range entries {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		_, what, _ := strings.Cut(first, ": ")
		if strings.Count(out, "- **"+what+".**\n") != 1 {
			t.Errorf("%s is not on the page once", file)
		}
	}
}

func TestCutRelease(t *testing.T) {
	dir := clone(t, map[string]string{"a": "Bugfix: it holds\n\nIt fell.\nTwice.\n", "b": "Security: a wall\n", "c": "Feature: wings\n\nNone were there.\n"})
	if out, ok := changelog(t, dir, "1.2"); ok || !strings.Contains(out, "1.2 is no version") {
		t.Errorf("a version that is none: %s", out)
	}
	if out, ok := changelog(t, dir, "v1.2.3"); !ok {
		t.Fatal(out)
	}
	want := "\n### Security\n\n- **a wall.**\n\n### Features\n\n- **wings.**\n  None were there.\n\n### Fixes\n\n- **it holds.**\n  It fell.\n  Twice.\n"
	check := func(pieces ...string) {
		t.Helper()
		page, err := os.ReadFile(filepath.Join(dir, "CHANGELOG.md"))
		if err != nil {
			t.Fatal(err)
		}
		rest := string(page)
		for _, piece := range pieces {
			_, after, found := strings.Cut(rest, piece)
			if !found {
				t.Fatalf("the page has no %q where it should:\n%s", piece, page)
			}
			rest = after
		}
	}
	check("# Changes\n\n## v1.2.3, ", want)
	if out, ok := changelog(t, dir, "v1.2.4"); ok || !strings.Contains(out, "there is nothing") {
		t.Errorf("nothing to release: %s", out)
	}
	if err := os.WriteFile(filepath.Join(dir, "changelog/unreleased/d"), []byte("Fix: more\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, ok := changelog(t, dir, "v1.3.0-rc.1"); !ok {
		t.Fatal(out)
	}
	check("# Changes\n\n## v1.3.0-rc.1, ", "- **more.**", "## v1.2.3, ", want)
	if err := os.WriteFile(filepath.Join(dir, "changelog/unreleased/e"), []byte("Improved things\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, ok := changelog(t, dir); ok || !strings.Contains(out, "unreleased/e must begin with") {
		t.Errorf("a file of no kind: %s", out)
	}
}
