package local_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/confine"
	"ml-intern/internal/job"
	"ml-intern/internal/job/local"
)

// A confined job does its work, and nothing else.
func TestConfinedJob(t *testing.T) {
	t.Parallel()
	if isBare(t) {
		t.Skip("there are no namespaces here: see TestBareJob")
	}
	dir, keys, temp := t.TempDir(), t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(keys, "key"), []byte("SECRET-7f3a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "train.py"), []byte(`
import os, socket
open(os.path.join(os.environ["OUTPUT_DIR"], "out.txt"), "w").write("done")
open("/tmp/seen", "w").write("x")
try: print(open("`+keys+`/key").read())
except OSError as e: print("kept:", e)
for path in ("/etc/ml-intern-escape", "`+keys+`/new", "/proc/sys/kernel/core_pattern"):
    try: open(path, "a"); print("ESCAPED", path)
    except OSError as e: print("kept:", e)
for pid in os.listdir("/proc"):
    if pid.isdigit() and pid != str(os.getpid()):
        try: print("ESCAPED" if open("/proc/%s/environ" % pid).read() else "")
        except OSError: pass
try: os.kill(os.getppid(), 0); print("ESCAPED to the parent")
except OSError as e: print("kept:", e)
os.makedirs(".git/hooks"); open(".git/hooks/pre-commit", "w").write("x")
print([n for _, n in socket.if_nameindex()])
`), 0o644); err != nil {
		t.Fatal(err)
	}
	b := newBackend(t)
	b.Cell = []string{"env", noRaceWait, self(), confine.ConfinedCommand}
	b.Rules = func(dir string) (*confine.Rules, error) {
		return &confine.Rules{Writable: []string{dir}, Hidden: []string{keys, b.Dir}, Protected: confine.ProjectPaths(dir), Temp: temp}, nil
	}
	ended, text := ran(t, b, job.Spec{Dir: dir, Script: "train.py"})
	if ended.State != job.Succeeded || strings.Contains(text, "ESCAPED") || strings.Contains(text, "SECRET") ||
		strings.Count(text, "kept:") < 4 || !strings.Contains(text, "git would run it later") {
		t.Errorf("%s: %s\n%s", ended.State, ended.Reason, text)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "runs", ended.ID, "out.txt")); err != nil || string(data) != "done" {
		t.Errorf("its result is %q, %v", data, err)
	}
	if _, err := os.Stat(filepath.Join(temp, "seen")); err != nil {
		t.Errorf("its temporary file: %v", err)
	}
}

func isBare(t *testing.T) bool {
	t.Helper()
	bare, err := confine.Bare(t.Context(), "env", noRaceWait, self(), confine.ConfinedCommand)
	if err != nil {
		t.Fatal(err)
	}
	return bare
}

// withoutNamespaces is what runs a program where the kernel gives no namespaces.
func withoutNamespaces(t *testing.T) []string {
	t.Helper()
	if isBare(t) { // as in a container
		return nil
	}
	without := []string{"unshare", "--user", "--map-root-user", "sh", "-c", `echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"`, "sh"}
	if err := exec.Command(without[0], append(without[1:], "true")...).Run(); err != nil {
		t.Skipf("no way here to take namespaces away: %v", err)
	}
	return without
}

// So is one where the kernel gives no namespaces.
func TestBareJob(t *testing.T) {
	t.Parallel()
	without := withoutNamespaces(t)
	dir, keys, temp := t.TempDir(), t.TempDir(), t.TempDir()
	for path, text := range map[string]string{keys + "/key": "SECRET-7f3a", dir + "/.git/config": "[core]\n", dir + "/train.py": `
import os, socket, tempfile
open(os.path.join(os.environ["OUTPUT_DIR"], "out.txt"), "w").write("done")
tempfile.NamedTemporaryFile().write(b"x")
for f in (lambda: open("` + keys + `/key").read(), lambda: open("/etc/ml-intern-escape", "a"), lambda: open("` + keys + `/new", "w"),
          lambda: os.kill(os.getppid(), 0), lambda: open("/proc/%d/environ" % os.getppid()).read(),
          lambda: socket.socket(socket.AF_UNIX).connect("` + keys + `/sock"), lambda: socket.socket(socket.AF_UNIX).connect("/proc/self/cwd/link"),
          lambda: socket.socket(socket.AF_UNIX).bind("` + keys + `/mine"), lambda: socket.socket(socket.AF_UNIX).listen(), lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
          lambda: os.chmod("` + keys + `", 0o777), lambda: os.utime("` + keys + `", (1, 1))):
    try: print("ESCAPED", f())
    except OSError as e: print("kept:", e)
s = socket.create_server(("127.0.0.1", 0)); socket.create_connection(s.getsockname())
d = socket.socket(type=socket.SOCK_DGRAM); d.bind(("127.0.0.1", 0)); d.connect(d.getsockname())
import multiprocessing as m, threading
from multiprocessing import reduction
def sq(x): return x * x
pool = m.Pool(2); print("pool", pool.map(sq, [1, 2, 3])); pool.close(); pool.join()
with m.Manager() as manager: print("manager", manager.dict(a="x")["a"])
here, there = m.Pipe()
def child(): there.send(reduction.DupFd(os.open("train.py", os.O_RDONLY))); there.recv()
c = m.Process(target=child); c.start(); print("handed", os.read(here.recv().detach(), 99)[:7]); here.send(1); c.join()
os.chdir("runs"); l = socket.socket(socket.AF_UNIX); l.bind("rel"); l.listen()
def answer():
    conn = l.accept()[0]; conn.sendall(b"by a relative name"); conn.close()
threading.Thread(target=answer).start(); k = socket.socket(socket.AF_UNIX); k.connect("rel"); print(k.recv(99), l.getsockname()); os.chdir("..")
open(".git/config", "a").write("evil")
os.makedirs(".git/hooks"); open(".git/hooks/pre-commit", "w").write("x")
`} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	outside, err := net.Listen("unix", keys+"/sock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = outside.Close() })
	if err := os.Symlink(keys+"/sock", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	b := newBackend(t)
	b.Shim = append(without, b.Shim...)
	b.Cell = []string{"env", noRaceWait, self(), confine.ConfinedCommand}
	b.Rules = func(dir string) (*confine.Rules, error) {
		return &confine.Rules{Writable: []string{dir}, Hidden: []string{keys, b.Dir}, Protected: confine.ProjectPaths(dir), Temp: temp, Network: true}, nil
	}
	ended, log := ran(t, b, job.Spec{Dir: dir, Script: "train.py"})
	if ended.State != job.Succeeded || strings.Contains(log, "ESCAPED") || strings.Contains(log, "SECRET") || strings.Count(log, "kept:") != 12 ||
		!strings.Contains(log, "pool [1, 4, 9]\nmanager x\nhanded b'\\nimport'\nb'by a relative name' rel\n") ||
		!strings.Contains(log, "git would run it later") || !strings.Contains(log, "config was put back") {
		t.Errorf("%s: %s\n%s", ended.State, ended.Reason, log)
	}
	if data, err := os.ReadFile(filepath.Join(dir, ".git/config")); err != nil || string(data) != "[core]\n" {
		t.Errorf("git's settings are %q, %v", data, err)
	}
}

// ran runs a job to its end and returns that and its log.
func ran(t *testing.T, b local.Backend, spec job.Spec) (job.Status, string) {
	t.Helper()
	status, err := b.Submit(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	ended, err := job.Wait(t.Context(), b, []string{status.ID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	for line, err := range b.Logs(t.Context(), status.ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		log.WriteString(line.Text + "\n")
	}
	return ended[0], log.String()
}

// What uv runs for a job, builds of packages among it, is confined too; and no
// program on the way to the walls sees the variables that the job was given.
func TestConfinedEnvironment(t *testing.T) {
	t.Parallel()
	dir, keys, temp := t.TempDir(), t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(keys, "key"), []byte("SECRET-7f3a"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBackend(t)
	b.UV = program(t, "uv", `cat `+keys+`/key; { echo x > `+keys+`/new; } && echo ESCAPED; echo "uv goes out by $HTTPS_PROXY"
[ -n "$UV_PYTHON_INSTALL_DIR" ] || { echo "failed to install Python: Read-only file system (os error 30)"; exit 2; }
echo x > "$UV_PYTHON_INSTALL_DIR/python"
case "$*" in *--dry-run*) echo " + evil==1.0"; exit 0;; esac
mkdir -p "$VIRTUAL_ENV/bin" && printf '#!/bin/sh\necho ran in it "$MINE"\n' > "$VIRTUAL_ENV/bin/python" && chmod +x "$VIRTUAL_ENV/bin/python" && echo " + evil==1.0"`)
	b.Cell = []string{"env", noRaceWait, self(), confine.ConfinedCommand}
	b.Rules = func(dir string) (*confine.Rules, error) {
		return &confine.Rules{Writable: []string{dir}, Readable: []string{filepath.Dir(b.UV)}, Hidden: []string{keys, b.Dir}, Temp: temp}, nil
	}
	if err := os.WriteFile(filepath.Join(dir, "train.py"), []byte("print(1)"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.Way = func(job.Spec) *local.Way { return &local.Way{Allow: []string{"pypi.org"}} }
	var seen strings.Builder
	b.Cell = append([]string{"sh", "-c", `env > '` + keys + `/env'; exec "$@"`, "sh"}, b.Cell...)
	status, err := b.Submit(t.Context(), job.Spec{Dir: dir, Script: "train.py", Dependencies: []string{"evil"}, Env: map[string]string{"MINE": "seen only inside"}})
	if err != nil {
		t.Fatal(err)
	}
	ended, err := job.Wait(t.Context(), b, []string{status.ID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for line, err := range b.Logs(t.Context(), status.ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		seen.WriteString(line.Text + "\n")
	}
	if text := seen.String(); ended[0].State != job.Succeeded || strings.Contains(text, "ESCAPED") || strings.Contains(text, "SECRET") || !strings.Contains(text, "ran in it seen only inside") ||
		!strings.Contains(text, "uv goes out by http://127.0.0.1:") {
		t.Errorf("%s: %s\n%s", ended[0].State, ended[0].Reason, text)
	}
	env, err := os.ReadFile(filepath.Join(keys, "env"))
	if err != nil || !strings.Contains(string(env), "=MINE=seen") || strings.Contains("\n"+string(env), "\nMINE=") {
		t.Errorf("on the way the environment is %s, %v", env, err)
	}
}
