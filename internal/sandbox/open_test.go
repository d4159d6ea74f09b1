//go:build unix

package sandbox_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ml-intern/internal/confine"
	"ml-intern/internal/sandbox"
)

// A den is a workspace in a home with keys in it, seen from a sandbox.
func den(t *testing.T) (l sandbox.Local, home string) {
	t.Helper()
	home, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l = local(t)
	l.Dir = filepath.Join(home, "w")
	l.Hidden = append(sandbox.Keys(home), filepath.Join(home, "state"), filepath.Join(l.Dir, ".env"), filepath.Join(home, "later", "key"))
	l.Shown = []string{filepath.Join(home, "state", "results")}
	l.Locked = confine.ProjectNames()
	for name, text := range map[string]string{
		".ssh/id_ed25519": "KEY", ".netrc": "KEY", "state/sessions.db": "KEY", "state/results/r.txt": "shown",
		"w/.env": "KEY", "w/.git/config": "[core]", "w/.git/hooks/post-commit": "#!/bin/sh", "w/notes.txt": "mine",
	} {
		write(t, filepath.Join(home, name), text)
	}
	return l, home
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) string {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// No path leads to a key, whatever it looks like.
func TestKeysAreNotRead(t *testing.T) {
	t.Parallel()
	l, home := den(t)
	in := func(name string) string { return filepath.Join(l.Dir, name) }
	hard := in("innocent.txt")
	if err := os.Link(filepath.Join(home, ".netrc"), hard); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		filepath.Join(home, ".ssh", "id_ed25519"), "../.ssh/id_ed25519", "./x/../../.ssh/id_ed25519", home + "//.ssh/./id_ed25519",
		filepath.Join(home, ".netrc"), filepath.Join(home, "state", "sessions.db"), ".env", in("./.env"), hard,
		link(t, filepath.Join(home, ".ssh", "id_ed25519"), in("link")), link(t, home, in("up")) + "/.ssh/id_ed25519",
		link(t, "../.ssh", in("folder")) + "/id_ed25519", link(t, "link", in("link2")),
		filepath.Join(home, "state", "results", "..", "sessions.db"), link(t, "../state/results/../sessions.db", in("dots")),
		filepath.Join(home, "later", "key"), // not there yet: the answer must not say so
	} {
		if data, err := l.ReadFile(t.Context(), path, 1<<20); !errors.Is(err, sandbox.ErrPrivate) {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
	for path, want := range map[string]string{"notes.txt": "mine", filepath.Join(home, "state", "results", "r.txt"): "shown"} {
		if data, err := l.ReadFile(t.Context(), path, 1<<20); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
}

// A large file of the workspace is still its own when the checkpoints hold it by
// a second name.
func TestHeldFilesAreRead(t *testing.T) {
	t.Parallel()
	l, home := den(t)
	l.Copies = []string{filepath.Join(home, "state", "checkpoints")}
	held := filepath.Join(home, "state", "checkpoints", "w", "large", "1")
	write(t, held, "data")
	if err := os.Link(held, filepath.Join(l.Dir, "train.csv")); err != nil {
		t.Fatal(err)
	}
	if data, err := l.ReadFile(t.Context(), "train.csv", 1<<20); err != nil || string(data) != "data" {
		t.Errorf("%q, %v", data, err)
	}
	if data, err := l.ReadFile(t.Context(), held, 1<<20); !errors.Is(err, sandbox.ErrPrivate) {
		t.Errorf("by its other name: %q, %v", data, err)
	}
}

// Variables name keys too, but not a folder around the workspace.
func TestNamedKeys(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"GOOGLE_APPLICATION_CREDENTIALS": "/keys/sa.json", "KUBECONFIG": "/k/one.yaml:/k/two.yaml", "KRB5CCNAME": "FILE:/tmp/krb5cc_7",
		"GNUPGHOME": "/h", "DOCKER_CONFIG": "/h/w", "NETRC": "relative", "HISTFILE": "/", "AZURE_CONFIG_DIR": "/usr", "XDG_CONFIG_HOME": "/c", "CARGO_HOME": "/cargo",
	}
	got := sandbox.NamedKeys(func(name string) string { return env[name] }, "/h", "/h/w")
	for _, want := range []string{"/keys/sa.json", "/k/one.yaml", "/k/two.yaml", "/tmp/krb5cc_7", "/c/gh", "/c/gcloud", "/cargo/credentials.toml"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not among %v", want, got)
		}
	}
	for _, path := range got {
		if path == "/h" || path == "/h/w" || path == "/" || path == "/usr" || path == "/c" || path == "/cargo" || !filepath.IsAbs(path) {
			t.Errorf("%s holds more than keys", path)
		}
	}
}

// A workspace below a folder that is hidden is none the less one.
func TestWorkspaceBelowHidden(t *testing.T) {
	t.Parallel()
	l, home := den(t)
	l.Hidden = append(l.Hidden, home)
	if data, err := l.ReadFile(t.Context(), "notes.txt", 100); err != nil || string(data) != "mine" {
		t.Errorf("%q, %v", data, err)
	}
	for _, path := range []string{".env", "../other.txt", "../.ssh/id_ed25519"} {
		if _, err := l.ReadFile(t.Context(), path, 100); !errors.Is(err, sandbox.ErrPrivate) {
			t.Errorf("%s: %v", path, err)
		}
	}
	l.Hidden = []string{l.Dir}
	if _, err := l.ReadFile(t.Context(), "notes.txt", 100); !errors.Is(err, sandbox.ErrPrivate) {
		t.Errorf("in a workspace that is hidden itself: %v", err)
	}
}

// Nobody opens to commands what holds keys, or is the machine's: a /dev of their
// own that is the machine's would leave no command that runs.
func TestMayOpen(t *testing.T) {
	t.Parallel()
	l, home := den(t)
	write(t, filepath.Join(home, "data", "x.csv"), "a")
	for _, path := range []string{
		"/", "/usr", "/usr/bin", "/tmp", "/var/tmp", "/dev", "/dev/shm", "/proc", "/proc/sys", "/sys/kernel", "/bin", home, l.Dir,
		filepath.Join(home, ".ssh"), link(t, "/dev", filepath.Join(l.Dir, "link")), link(t, "/usr/bin/../../tmp", filepath.Join(l.Dir, "temp")),
	} {
		if err := l.MayOpen(path); !errors.Is(err, sandbox.ErrPrivate) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := l.MayOpen(filepath.Join(home, "data")); err != nil {
		t.Error(err)
	}
}

// What other processes, this one above all, have in memory stays there.
func TestProcIsNotRead(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	l, home := den(t)
	for _, path := range []string{
		"/proc/self/environ", "/proc/thread-self/environ", "/proc/1/environ", "/proc/self/cmdline", "/proc/self/maps", "/proc/self/../self/environ",
		"/proc/self/root" + home + "/.ssh/id_ed25519", "/proc/self/cwd/../../.ssh", link(t, "/proc/self/environ", filepath.Join(l.Dir, "env.txt")),
		"/proc/self/task/../environ", "/proc/net/tcp", "/proc/kcore",
	} {
		if data, err := l.ReadFile(t.Context(), path, 1<<20); !errors.Is(err, sandbox.ErrPrivate) {
			t.Errorf("%s: %d bytes, %v", path, len(data), err)
		}
	}
	if _, err := l.ReadFile(t.Context(), "/proc/meminfo", 1<<20); err != nil {
		t.Error(err)
	}
}

// What runs programs later, or says what this one may do, is not written.
func TestLockedPathsAreNotWritten(t *testing.T) {
	t.Parallel()
	l, home := den(t)
	in := func(name string) string { return filepath.Join(l.Dir, name) }
	link(t, ".git/hooks", in("hooks"))
	link(t, ".git", in("g"))
	link(t, ".", in("here"))
	write(t, in("bare/HEAD"), "ref: refs/heads/main")
	for _, path := range []string{
		"a/sub/.git/hooks/pre-commit", "a/sub/.git/config", "a/sub/.git", "a/sub/.GIT/modules/x/config", "a/.husky/pre-commit", "new/HEAD", "bare/config", "bare/hooks/pre-commit", "here/a/.git/hooks/x",
		".git/hooks/pre-commit", ".git/hooks/post-commit", ".git/hooks/deeper/x", ".git/config", "./.git/../.git/config", ".GIT/Hooks/pre-push", in(".git/config"),
		".ml-intern/config.yaml", ".ml-intern/hooks/x.sh", ".ml-intern", ".vscode/tasks.json", ".envrc", ".bashrc",
		"hooks/pre-commit", "g/hooks/pre-commit", "g/config", "here/.git/config", "here/here/.ml-intern/config.yaml", ".env", "here/.env",
	} {
		if _, err := l.WriteFile(t.Context(), path, []byte("x")); !errors.Is(err, sandbox.ErrPrivate) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for name, want := range map[string]string{".git/config": "[core]", ".git/hooks/post-commit": "#!/bin/sh", ".env": "KEY"} {
		if data, err := os.ReadFile(in(name)); err != nil || string(data) != want {
			t.Errorf("%s is %q, %v", name, data, err)
		}
	}
	if _, err := os.Lstat(in(".ml-intern")); err == nil {
		t.Error(".ml-intern was made")
	}
	for _, path := range []string{"src/deep/er/train.py", ".gitignore", ".github/workflows/ci.yml", "here/ok.txt", "x.git/config", "conf/config", "src/hooks/use.ts", "a/sub/.git/info/exclude"} {
		if _, err := l.WriteFile(t.Context(), path, []byte("x")); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if data, err := os.ReadFile(filepath.Join(home, "w", "src/deep/er/train.py")); err != nil || string(data) != "x" {
		t.Errorf("%q, %v", data, err)
	}
}

// A link that changes all the time leads neither a read to a key nor a write to
// a locked place.
func TestLinksThatChange(t *testing.T) {
	t.Parallel()
	l, home := den(t)
	write(t, filepath.Join(l.Dir, "good", "f"), "fine")
	write(t, filepath.Join(home, ".ssh", "f"), "KEY")
	at := filepath.Join(l.Dir, "at")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; t.Context().Err() == nil && i < 4000; i++ {
			target := []string{"good", "../.ssh", ".git/hooks"}[i%3]
			next := filepath.Join(l.Dir, "next")
			_ = os.Symlink(target, next)
			_ = os.Rename(next, at)
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		if data, err := l.ReadFile(t.Context(), "at/f", 1<<20); err == nil && string(data) != "fine" {
			t.Fatalf("read %q", data)
		}
		_, _ = l.WriteFile(t.Context(), "at/pwned", []byte("x")) // now and then it lands in good
	}
	for _, dir := range []string{filepath.Join(home, ".ssh"), filepath.Join(l.Dir, ".git", "hooks")} {
		if names, err := filepath.Glob(filepath.Join(dir, "pwned*")); err != nil || len(names) > 0 {
			t.Errorf("%s was written: %s", dir, strings.Join(names, ", "))
		}
	}
}

// What this process has open, and what has no name any more, is read through no
// link of the kernel.
func TestOpenFilesAreNotRead(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	l, home := den(t)
	path := filepath.Join(home, "gone")
	write(t, path, "KEY")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	fd := strconv.Itoa(int(f.Fd()))
	link(t, "/proc/self/fd", filepath.Join(l.Dir, "fds"))
	for _, p := range []string{"/dev/fd/" + fd, "fds/" + fd, "/proc/self/fd/" + fd, "notes.txt\x00", "a\x00/../notes.txt"} {
		if data, err := l.ReadFile(t.Context(), p, 100); err == nil {
			t.Errorf("%q holds %q", p, data)
		}
	}
	if _, err := l.WriteFile(t.Context(), "a\x00/../b", []byte("x")); err == nil {
		t.Error("a path with a NUL was written")
	}
	link(t, "notes.txt", filepath.Join(l.Dir, "plain"))
	if data, err := l.ReadFile(t.Context(), "plain", 100); err != nil || string(data) != "mine" {
		t.Errorf("through a plain link: %q, %v", data, err)
	}
}
