package confine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRules(t *testing.T) {
	t.Parallel()
	r := Rules{
		Writable: []string{"/h/ws", "/h/state/tmp"}, Hidden: []string{"/h/.ssh", "/h/state", "/h/ws/.env"},
		Readable: []string{"/h/state/results"}, Protected: []string{"/h/ws/.git/hooks"},
	}
	for path, want := range map[string]string{
		"/h/ws":                    "w",
		"/h/ws/a":                  "w",
		"/h/wsx":                   "",
		"/h/ws/.env":               "h",
		"/h/ws/.envrc":             "w",
		"/h/ws/.git/hooks":         "p",
		"/h/ws/.git/hooks/x":       "p",
		"/h/ws/.git":               "w",
		"/h/.ssh/id":               "h",
		"/h/.sshx":                 "",
		"/h/state/sessions.db":     "h",
		"/h/state/results/1":       "",
		"/h/state/tmp/x":           "w",
		"/h":                       "",
		"/":                        "",
		"/h/ws/sub/.git/hooks/pre": "w",
	} {
		got := ""
		if r.Hides(path) {
			got += "h"
		}
		if r.Protects(path) {
			got += "p"
		}
		if r.Writes(path) {
			got += "w"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// What is found folder by folder is what the system would find.
func TestFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"real/deep", "other"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "real/deep/file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{
		"link": "real", "other/up": "../link/deep", "other/file": "up/file", "loop": "loop", "dangling": "nowhere", "real/abs": filepath.Join(dir, "other"), "chain": "other/up",
	} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	f := make(followed)
	for _, name := range []string{
		"", "real", "link", "link/deep", "link/deep/file", "link/deep/../abs", "other/up/file", "other/file", "other/file/x", "loop", "loop/x", "dangling", "dangling/x",
		"link/abs/file", "chain/file", "chain/../x", "none/x/y", "real//deep/", "link/none", "../" + filepath.Base(dir) + "/link",
	} {
		path := dir + "/" + name
		want, err := filepath.EvalSymlinks(path)
		if err != nil {
			want = filepath.Clean(path)
		}
		for range 2 { // the second time from what is known
			if got := f.path(path); got != want {
				t.Errorf("%s: %s, want %s", path, got, want)
			}
		}
	}
	if got := f.path("/"); got != "/" {
		t.Error(got)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	c := New(Rules{Writable: []string{"/h/ws", "/h/caches"}})
	for output, want := range map[string]string{
		"sh: 1: cannot create /etc/x: Read-only file system\n": "write only /h/ws",
		"cat: x: Permission denied":                            "write only /h/ws",
		"chown: changing ownership: Operation not permitted":   "no privileges",
		"curl: (6) Could not resolve host: pypi.org":           "no network",
		"AssertionError": "",
		"Permission denied" + strings.Repeat(" ", explained): "", // long ago
	} {
		got := strings.Join(c.Explain(output), "")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: %q", output, got)
		}
	}
}

// Only what runs nothing is left of a new repository's settings.
func TestHarmless(t *testing.T) {
	t.Parallel()
	const good = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n[user]\n\tname = Me\n[remote \"origin\"]\n\turl = https://x/y\n"
	if got := harmless(good); got != good {
		t.Errorf("it lost something: %q", got)
	}
	for _, bad := range []string{
		"[core]\n\thooksPath = evil\n", "[core]\n\tFSMONITOR = evil\n", "[core] fsmonitor = evil\n", "[alias]\n\tst = !evil\n",
		"[include]\n\tpath = evil\n", "[includeIf \"gitdir:/\"]\n\tpath = evil\n", "[filter \"x\"]\n\tclean = evil\n",
		"[core]\n\tbare = false\\\nfsmonitor = evil\n", "[remote \"o\"]\n\tuploadpack = evil\n", "[diff \"x\"]\n\tcommand = evil\n",
		"fsmonitor = evil\n", "[core \"x\"\n\tpager = evil\n", "[credential]\n\thelper = evil\n", "[url \"evil\"]\n\tinsteadOf = x\n",
	} {
		if got := harmless(good + bad); strings.Contains(strings.ReplaceAll(got, "fsmonitor = evil\n[", ""), "evil") {
			t.Errorf("%q left %q", bad, got)
		}
	}
}

func FuzzHarmless(f *testing.F) {
	f.Add("[core]\n\tbare = false\n")
	f.Add("[core] fsmonitor = x\n[a \"]\"]\nb")
	f.Fuzz(func(t *testing.T, config string) {
		once := harmless(config)
		if harmless(once) != once {
			t.Errorf("%q is not tame yet", once)
		}
		for line := range strings.Lines(once) {
			text := strings.ToLower(strings.TrimSpace(line))
			if strings.HasPrefix(text, "fsmonitor") || strings.HasPrefix(text, "hookspath") || strings.HasPrefix(text, "helper") {
				t.Errorf("%q leaves %q", config, line)
			}
		}
	})
}
