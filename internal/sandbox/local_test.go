//go:build unix

package sandbox_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/sandbox"
	"ml-intern/internal/sandbox/sandboxtest"
)

func local(t *testing.T) sandbox.Local {
	t.Helper()
	return sandbox.Local{Dir: t.TempDir(), Env: []string{"PATH=" + os.Getenv("PATH")}}
}

func TestExec(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, line, want string
		code             int
	}{
		{"output", "echo hello", "hello\n", 0},
		{"both streams in order", "echo a; echo b >&2; echo c", "a\nb\nc\n", 0},
		{"exit code", "echo no; exit 7", "no\n", 7},
		{"killed by a signal", "kill -TERM $$", "", 143},
		{"no standard input", "cat; echo end", "end\n", 0},
		{"not UTF-8 survives", `printf 'a\377b\n'`, "a\\xffb\n", 0},
		{"control characters are shown", `printf 'a\033[31mb'`, `a\x1b[31mb`, 0},
		{"Windows line ends", `printf 'a\r\nb\r\n'`, "a\nb\n", 0},
		{"a background process does not hold it up", "sleep 600 & echo started", "started\n", 0},
		{"bash syntax", "set -o pipefail; false | true || echo caught", "caught\n", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, err := local(t).Exec(t.Context(), sandbox.Command{Line: tt.line, Timeout: time.Minute})
			if err != nil || out.Text != tt.want || out.Code != tt.code {
				t.Errorf("got %q, exit %d, %v; want %q, exit %d", out.Text, out.Code, err, tt.want, tt.code)
			}
		})
	}
}

func TestTimeoutKeepsPartialOutput(t *testing.T) {
	t.Parallel()
	out, err := sandboxtest.Begun(t, local(t))
	if err != nil || !out.TimedOut || out.Text != "begun\n" {
		t.Errorf("got %+v, %v", out, err)
	}
}

// slow is a reader that is late with its first piece.
type slow struct {
	strings.Builder
	once sync.Once
}

func (s *slow) Write(p []byte) (int, error) {
	s.once.Do(func() { time.Sleep(time.Second) })
	return s.Builder.Write(p)
}

// What a command has printed is there, however late it is read.
func TestLateReader(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{"ended": "seq 12000", "something goes on": "seq 12000; sleep 600 &"} { // less than a pipe holds
		var got slow
		if _, err := local(t).Exec(t.Context(), sandbox.Command{Line: line, Timeout: time.Minute, Raw: &got}); err != nil || !strings.HasSuffix(got.String(), "\n12000\n") {
			t.Errorf("%s: %d bytes, %v", name, got.Len(), err)
		}
	}
}

// Cancel kills the whole group at once, also what ignores signals.
func TestCancelKillsTheGroup(t *testing.T) {
	t.Parallel()
	sb := local(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var canceled time.Time
	out, err := sb.Exec(ctx, sandbox.Command{
		Line: "trap '' TERM INT; (trap '' TERM INT; sleep 600) & echo $! ; echo ready; wait; sleep 600",
		Log: func(line string) {
			if line == "ready" {
				canceled = time.Now()
				cancel()
			}
		},
	})
	if took := time.Since(canceled); !errors.Is(err, context.Canceled) || took > time.Minute { // it would last ten
		t.Fatalf("err %v after %s", err, took)
	}
	pid, _, _ := strings.Cut(out.Text, "\n")
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) { // init may take a moment to reap it
		if state, _ := exec.Command("ps", "-o", "stat=", "-p", pid).Output(); len(state) == 0 || state[0] == 'Z' {
			return
		}
	}
	t.Errorf("the child %s still lives", pid)
}

// A flood of output is cut in the middle, in bounded memory.
func TestLongOutput(t *testing.T) {
	t.Parallel()
	out, err := local(t).Exec(t.Context(), sandbox.Command{Line: "echo first; head -c 20000000 /dev/zero | tr '\\0' x; echo; echo last", Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Text) > 3<<20 || !strings.HasPrefix(out.Text, "first\n") || !strings.HasSuffix(out.Text, "last\n") || !strings.Contains(out.Text, "bytes left out") {
		t.Errorf("%d bytes", len(out.Text))
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	sb := local(t)
	if _, err := sb.WriteFile(t.Context(), "a/b.txt", []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(sb.Dir, "a/b.txt"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := sb.WriteFile(t.Context(), filepath.Join(sb.Dir, "a/b.txt"), []byte("two")); err != nil {
		t.Fatal(err)
	}
	data, err := sb.ReadFile(t.Context(), "a/b.txt", 100)
	if err != nil || string(data) != "two" {
		t.Errorf("got %q, %v", data, err)
	}
	info, err := os.Stat(filepath.Join(sb.Dir, "a/b.txt"))
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the mode was not kept: %v, %v", info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(sb.Dir, "a/*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := sb.ReadFile(t.Context(), "a/b.txt", 2); err == nil {
		t.Error("a file over the limit was read")
	}
	if _, err := sb.ReadFile(t.Context(), "nope", 2); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := sb.ReadFile(t.Context(), "a", 2); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("got %v", err)
	}
}

// No path trick writes outside the workspace.
func TestWritesStayInside(t *testing.T) {
	t.Parallel()
	sb := local(t)
	outside := t.TempDir()
	target := filepath.Join(outside, "target")
	if err := os.WriteFile(target, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"dir": outside, "file": target} {
		if err := os.Symlink(to, filepath.Join(sb.Dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{target, "../x", "a/../../x", "dir/x", "dir/target", "file", "", ".", "/etc/ml-intern-test"} {
		if _, err := sb.WriteFile(t.Context(), path, []byte("gone")); err == nil {
			t.Errorf("wrote %q", path)
		}
	}
	if data, _ := os.ReadFile(target); string(data) != "precious" {
		t.Errorf("the file outside now holds %q", data)
	}
	if entries, _ := os.ReadDir(outside); len(entries) != 1 {
		t.Errorf("files appeared outside: %v", entries)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	sb := local(t)
	if err := os.Symlink("/etc", filepath.Join(sb.Dir, "link")); err != nil {
		t.Fatal(err)
	}
	for path, inside := range map[string]bool{
		"a": true, "a/b": true, ".": true, "": true, sb.Dir + "/x": true, "a/../b": true,
		"..": false, "../x": false, "/etc/passwd": false, "link/passwd": false, sb.Dir + "x": false,
	} {
		if _, got := sb.Resolve(path); got != inside {
			t.Errorf("%q: inside %v, want %v", path, got, inside)
		}
	}
}
