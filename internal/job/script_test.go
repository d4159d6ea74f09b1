package job_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/job"
)

func TestReadScript(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside.py")
	w := filepath.Join(dir, "w")
	if err := os.MkdirAll(filepath.Join(w, "folder.py"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{outside: "secret", filepath.Join(w, "a.py"): "print(1)"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(w, "link.py")); err != nil {
		t.Skip("no links here:", err)
	}
	if err := os.Truncate(outside, job.MaxScript+1); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(outside, filepath.Join(w, "huge.py")); err != nil {
		t.Fatal(err)
	}
	for script, want := range map[string]string{
		"a.py": "print(1)", "./a.py": "print(1)",
		"../outside.py": "is not inside", "link.py": "script", "folder.py": "is not a file", "none.py": "there is no script none.py", "huge.py": "more than the",
	} {
		source, err := job.ReadScript(job.Spec{Dir: w, Script: script})
		got := string(source)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || strings.Contains(got, "secret") {
			t.Errorf("%s: %q", script, got)
		}
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"# /// script\n# dependencies = [\"x\"]\n#\n# # y\n# ///\nprint()":  "dependencies = [\"x\"]\n\n# y\n",
		"x = 1\r\n# /// script\r\n# requires-python = \">=3\"\r\n# ///\r\n": "requires-python = \">=3\"\n",
		"# /// script\n# dependencies = []\n":                               "", // without an end
		"# /// other\n# dependencies = []\n# ///\n":                         "",
		"print('# /// script')\n":                                           "",
	} {
		if got, ok := job.Metadata([]byte(source)); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", source, got, ok)
		}
	}
}
