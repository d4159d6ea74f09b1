// Package sandboxtest holds what every sandbox.Sandbox must do, whatever
// machine it is on.
package sandboxtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/sandbox"
)

// patience is how long a busy machine may take for what must come about. What
// is not to be waited for takes ten minutes, so that one is told from the other.
const patience = time.Minute

// Run holds sandboxes to their contract. Each call of open returns one with an
// empty workspace, on a machine with a POSIX shell.
func Run(t *testing.T, open func(t *testing.T) sandbox.Sandbox) {
	for name, test := range map[string]func(*testing.T, sandbox.Sandbox){
		"exec":              exec,
		"timeout":           timeout,
		"cancel":            cancelQuickly,
		"group":             group,
		"lines":             lines,
		"raw":               raw,
		"long output":       longOutput,
		"files":             files,
		"bytes":             bytesSurvive,
		"writes stay":       writesStay,
		"resolve":           resolve,
		"several at a time": several,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func run(t *testing.T, sb sandbox.Sandbox, line string) sandbox.Output {
	t.Helper()
	out, err := sb.Exec(t.Context(), sandbox.Command{Line: line, Timeout: time.Minute})
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return out
}

func exec(t *testing.T, sb sandbox.Sandbox) {
	for _, tt := range []struct {
		name, line, want string
		code             int
	}{
		{"output", "echo hello", "hello\n", 0},
		{"both streams in order", "echo a; echo b >&2; echo c", "a\nb\nc\n", 0},
		{"exit code", "echo no; exit 7", "no\n", 7},
		{"killed by a signal", "kill -TERM $$", "", 143},
		{"no standard input", "cat; echo end", "end\n", 0},
		{"not UTF-8", `printf 'a\377b\n'`, "a\\xffb\n", 0},
		{"control characters", `printf 'a\033[31mb'`, `a\x1b[31mb`, 0},
		{"a background process does not hold it up", "sleep 600 & echo started", "started\n", 0},
		{"nothing", "true", "", 0},
		{"quotes and lines", "cat <<'X'\n$A \"'\nX\n", "$A \"'\n", 0},
	} {
		if out := run(t, sb, tt.line); out.Text != tt.want || out.Code != tt.code {
			t.Errorf("%s: %q, exit %d; want %q, exit %d", tt.name, out.Text, out.Code, tt.want, tt.code)
		}
	}
	if out := run(t, sb, "pwd -P; echo ok > made; cat made"); !strings.HasSuffix(out.Text, "ok\n") {
		t.Errorf("the workspace is not writable: %q", out.Text)
	}
	if out := run(t, sb, "env"); strings.Contains(strings.ToUpper(out.Text), "SECRET") || strings.Contains(out.Text, "TOKEN=") {
		t.Errorf("a command sees secrets: %s", out.Text)
	}
}

func timeout(t *testing.T, sb sandbox.Sandbox) {
	out, err := Begun(t, sb)
	if err != nil || !out.TimedOut || out.Text != "begun\n" || out.Seconds > 120 {
		t.Errorf("got %+v, %v", out, err)
	}
}

// Begun runs a command that prints "begun" and goes on for ten minutes, for a
// short time; on a machine on which it prints nothing in it, for longer.
func Begun(t *testing.T, sb interface {
	Exec(context.Context, sandbox.Command) (sandbox.Output, error)
},
) (out sandbox.Output, err error) {
	t.Helper()
	for limit := 500 * time.Millisecond; limit <= patience; limit *= 3 {
		out, err = sb.Exec(t.Context(), sandbox.Command{Line: "echo begun; sleep 600", Timeout: limit})
		if err != nil || out.Text != "" {
			break
		}
	}
	return out, err
}

func cancelQuickly(t *testing.T, sb sandbox.Sandbox) {
	ctx, cancel := context.WithCancelCause(t.Context())
	because := errors.New("a person said stop")
	var canceled time.Time
	out, err := sb.Exec(ctx, sandbox.Command{Line: "trap '' TERM INT; echo $$; echo ready; while :; do sleep 600; done", Log: func(line string) {
		if line == "ready" {
			canceled = time.Now()
			cancel(because)
		}
	}})
	if took := time.Since(canceled); !errors.Is(err, because) || took > patience {
		t.Fatalf("%v after %s", err, took)
	}
	gone(t, sb, strings.Fields(out.Text)[0])
}

func group(t *testing.T, sb sandbox.Sandbox) {
	out := run(t, sb, "(trap '' TERM HUP; sleep 600) & echo $!")
	gone(t, sb, strings.TrimSpace(out.Text))
}

// gone waits until a process of the sandbox is no more.
func gone(t *testing.T, sb sandbox.Sandbox, pid string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if state := run(t, sb, "ps -o stat= -p "+pid).Text; strings.TrimSpace(state) == "" || strings.HasPrefix(strings.TrimSpace(state), "Z") {
			return
		}
	}
	t.Errorf("process %s still lives", pid)
}

func lines(t *testing.T, sb sandbox.Sandbox) {
	var seen []string
	out, err := sb.Exec(t.Context(), sandbox.Command{Line: "echo one; until [ -e seen ]; do sleep 0.05; done; echo two; printf three", Timeout: patience, Log: func(line string) {
		if seen = append(seen, line); len(seen) == 1 { // it goes on when its first line has come
			if _, err := sb.WriteFile(t.Context(), "seen", nil); err != nil {
				t.Errorf("write while a command runs: %v", err)
			}
		}
	}})
	if err != nil || out.TimedOut || len(seen) < 2 || seen[0] != "one" || seen[1] != "two" {
		t.Errorf("saw %q, timed out %v, %v", seen, out.TimedOut, err)
	}
}

// raw bytes come as they are.
func raw(t *testing.T, sb sandbox.Sandbox) {
	var all strings.Builder
	_, err := sb.Exec(t.Context(), sandbox.Command{Line: `printf 'a\000\377\033b'`, Timeout: time.Minute, Raw: &all})
	if err != nil || all.String() != "a\x00\xff\x1bb" {
		t.Errorf("got %q, %v", all.String(), err)
	}
}

func longOutput(t *testing.T, sb sandbox.Sandbox) {
	out := run(t, sb, "echo first; head -c 20000000 /dev/zero | tr '\\0' x; echo; echo last")
	if len(out.Text) > 3<<20 || !strings.HasPrefix(out.Text, "first\n") || !strings.HasSuffix(out.Text, "last\n") {
		t.Errorf("%d bytes", len(out.Text))
	}
}

func files(t *testing.T, sb sandbox.Sandbox) {
	write := func(p, text string) {
		t.Helper()
		if _, err := sb.WriteFile(t.Context(), p, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write("a/b.txt", "one")
	run(t, sb, "chmod 755 a/b.txt")
	abs, inside := sb.Resolve("a/b.txt")
	if !inside {
		t.Errorf("%s is not inside", abs)
	}
	write(abs, "two")
	if data, err := sb.ReadFile(t.Context(), "a/b.txt", 100); err != nil || string(data) != "two" {
		t.Errorf("got %q, %v", data, err)
	}
	if out := run(t, sb, "ls -l a | cut -c1-10 | tail -1; ls a"); out.Text != "-rwxr-xr-x\nb.txt\n" {
		t.Errorf("the folder has %q", out.Text)
	}
	if _, err := sb.ReadFile(t.Context(), "a/b.txt", 2); err == nil {
		t.Error("a file over the limit was read")
	}
	if _, err := sb.ReadFile(t.Context(), "nope", 2); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "nope") {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := sb.ReadFile(t.Context(), "a", 2); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("a folder: %v", err)
	}
	write("empty", "")
	if data, err := sb.ReadFile(t.Context(), "empty", 10); err != nil || len(data) != 0 {
		t.Errorf("an empty file: %q, %v", data, err)
	}
}

func bytesSurvive(t *testing.T, sb sandbox.Sandbox) {
	data := make([]byte, 3<<20)
	for i := range data {
		data[i] = byte(i * 7 / 3)
	}
	for _, p := range []string{"plain", "with blank", "ünïcode-" + strings.Repeat("x", 50), "q'uote\"s", "per%20cent&a=b?c#d"} {
		if _, err := sb.WriteFile(t.Context(), p, data); err != nil {
			t.Fatal(err)
		}
		if got, err := sb.ReadFile(t.Context(), p, 4<<20); err != nil || string(got) != string(data) {
			t.Errorf("%s: %d bytes of %d, %v", p, len(got), len(data), err)
		}
	}
}

func writesStay(t *testing.T, sb sandbox.Sandbox) {
	out := run(t, sb, "d=$(mktemp -d) && echo precious > $d/target && ln -s $d dir && ln -s $d/target file && echo $d")
	outside := strings.TrimSpace(out.Text)
	t.Cleanup(func() {
		_, _ = sb.Exec(context.WithoutCancel(t.Context()), sandbox.Command{Line: "rm -r '" + outside + "'", Timeout: time.Minute})
	})
	for _, p := range []string{outside + "/target", "../x", "a/../../x", "dir/x", "dir/target", "file", "", ".", "/etc/ml-intern-test"} {
		if _, err := sb.WriteFile(t.Context(), p, []byte("gone")); err == nil {
			t.Errorf("wrote %q", p)
		}
	}
	if out := run(t, sb, "cat "+outside+"/*; ls "+outside+" | wc -l"); strings.Fields(out.Text)[0] != "precious" || strings.Fields(out.Text)[1] != "1" {
		t.Errorf("outside there is %q", out.Text)
	}
}

func resolve(t *testing.T, sb sandbox.Sandbox) {
	dir, _ := sb.Resolve(".")
	for p, want := range map[string]bool{
		"a": true, "a/b": true, ".": true, "": true, dir + "/x": true, "a/../b": true,
		"..": false, "../x": false, "/etc/passwd": false, dir + "x": false, "a/../../x": false,
	} {
		abs, inside := sb.Resolve(p)
		if inside != want || !path.IsAbs(abs) {
			t.Errorf("%q is %q, inside %v, want %v", p, abs, inside, want)
		}
	}
}

func several(t *testing.T, sb sandbox.Sandbox) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			want := fmt.Sprint(i)
			out, err := sb.Exec(t.Context(), sandbox.Command{Line: "sleep 0.2; echo " + want, Timeout: time.Minute})
			if err != nil || out.Text != want+"\n" {
				t.Errorf("command %d: %q, %v", i, out.Text, err)
			}
		})
	}
	wg.Wait()
}
