package confine

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// bare makes cells as they are where the kernel gives no namespaces.
func bare(t testing.TB, rules Rules) *Cells {
	t.Helper()
	if v := landlockVersion(); v < landlockBare {
		t.Skipf("Landlock has version %d", v)
	}
	c := cells(t, rules, layerNamespaces)
	c.said = true // that they are bare
	return c
}

// served is TCP among the processes of a command, with and without waiting, and
// what a server's socket says of itself.
const served = `python3 -c '
import asyncio, os, socket, threading, http.server, urllib.request
s = socket.create_server(("0.0.0.0", 0)); at = s.getsockname(); out = []
assert at[0] == "127.0.0.1", at
if os.fork() == 0:
    c = socket.create_connection(("localhost", at[1])); c.sendall(b"1"); os._exit(0)
out.append(s.accept()[0].recv(9).decode())
h = http.server.ThreadingHTTPServer(("", 0), type("H", (http.server.BaseHTTPRequestHandler,), {"log_message": lambda *a: 0,
    "do_GET": lambda self: (self.send_response(200), self.end_headers(), self.wfile.write(b"2"))}))
threading.Thread(target=h.serve_forever, daemon=True).start()
out.append(urllib.request.urlopen("http://127.0.0.1:%d/" % h.server_port).read().decode())
async def f():
    async def answer(r, w): w.write(await r.read(1)); await w.drain(); w.close()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    r, w = await asyncio.open_connection(*server.sockets[0].getsockname()); w.write(b"3"); out.append((await r.read()).decode())
    server.close()
asyncio.run(f())
b = socket.socket(); b.bind(("127.0.0.1", 0)); b.connect(at); b.sendall(b"4"); out.append(s.accept()[0].recv(9).decode())
s.close()
try: socket.create_connection(at)
except ConnectionRefusedError: out.append("refused")
print(*out)'`

// managed is what Python's processes say to each other.
const managed = `python3 -c '
import multiprocessing as m, sys
from multiprocessing import reduction, Pipe
import os, tempfile
def sq(x): return x * x
def child(q, conn):
    q.put("by a queue"); conn.send(reduction.DupFd(os.open(f.name, os.O_RDONLY))); conn.recv()
f = tempfile.NamedTemporaryFile(); f.write(b"by a pipe"); f.flush()
p = m.Pool(2); got = p.map(sq, [1, 2, 3]); p.close(); p.join()
with m.Manager() as manager:
    d = manager.dict(a="x"); a = d["a"]
q = m.Queue(); here, there = Pipe(); c = m.Process(target=child, args=(q, there)); c.start()
by = os.read(here.recv().detach(), 99).decode(); here.send(1) # as torch hands a tensor over
print(got, a, by, q.get()); c.join()'`

// Commands work without namespaces.
func TestBare(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := bare(t, Rules{Writable: []string{dir}, Temp: t.TempDir(), Limits: Reasonable()})
	for _, want := range []struct {
		line, text string
		code       int
	}{
		{"echo hello", "hello\n", 0},
		{"exit 7", "", 7},
		{"kill -TERM $$", "", 143},
		{"kill -KILL $$", "", 137},
		{"cat; echo end", "end\n", 0},
		{"echo x > a && cat a", "x\n", 0},
		{"pwd", dir + "\n", 0},
		{"echo x > $TMPDIR/t && cat $TMPDIR/t", "x\n", 0},
		{"setsid sleep 600 & echo on", "on\n", 0},
		{"sleep 600 & kill $! && echo on", "on\n", 0},
		{"mkdir -p d && mv a d/b && chmod 600 d/b && touch -d 2000-01-01T00:00:00Z d/b && stat -c %a:%Y d/b", "600:946684800\n", 0},
		{"ln -s d l && touch -h l && chmod 700 l/. && cp -a d e && stat -c %a:%Y e/b", "600:946684800\n", 0},
		{"bash -c 'cat <(echo x)'", "x\n", 0},
		{"python3 -c 'import multiprocessing as m; p=m.Pool(2); print(sum(p.map(abs,[1,-2])))'", "3\n", 0},
		{`python3 -c '
from multiprocessing.connection import Listener, Client
import threading
l = Listener(); threading.Thread(target=lambda: l.accept().send("by a socket")).start(); print(Client(l.address).recv())'`, "by a socket\n", 0},
		{served, "1 2 3 4 refused\n", 0},
		{managed, "[1, 4, 9] x by a pipe by a queue\n", 0},
		{"git init -q r && cd r && git -c user.name=x -c user.email=x@x commit -q --allow-empty -m a && git log --oneline | wc -l", "1\n", 0},
	} {
		if text, code := sh(t, c, dir, want.line); text != want.text || code != want.code {
			t.Errorf("%q: got %q, exit %d; want %q, exit %d", want.line, text, code, want.text, want.code)
		}
	}
	c.said = false
	if text, _ := sh(t, c, dir, "true"); !strings.Contains(text, "no namespaces on this machine") || !strings.Contains(c.String(), "no namespaces") {
		t.Errorf("it is not said that the walls hold less: %q, %q", text, c)
	}
	if text, _ := sh(t, c, dir, "true"); text != "" {
		t.Errorf("it is said again: %q", text)
	}
}

// The proxy is all that commands reach, and only they reach it.
func TestBareProxy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	asked := make(chan string, 10)
	addresses := make(chan string, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.String()
		_, _ = io.WriteString(w, "through the proxy")
	})
	c := bare(t, Rules{Writable: []string{dir}, Temp: t.TempDir(), Address: []string{"SELF"}, Serve: func(l net.Listener) {
		addresses <- l.Addr().String()
		_ = (&http.Server{Handler: handler}).Serve(l)
	}})
	const fetch = `python3 -c 'import urllib.request as u, os; print(u.urlopen("http://example.test/x", timeout=10).read().decode())'`
	for range 2 {
		if text, code := sh(t, c, dir, fetch); code != 0 || text != "through the proxy\n" {
			t.Fatalf("got %q, exit %d", text, code)
		}
		if url := <-asked; url != "http://example.test/x" {
			t.Errorf("the proxy was asked for %s", url)
		}
	}
	if text, code := sh(t, c, dir, `python3 -c '
import asyncio, os
async def f():
    r, w = await asyncio.open_connection("127.0.0.1", int(os.environ["SELF"].rsplit(":")[-1]))
    w.write(b"GET /own HTTP/1.0\r\n\r\n"); print((await r.read()).decode().endswith("the proxy"))
asyncio.run(f())'`); code != 0 || text != "True\n" || <-asked != "/own" {
		t.Errorf("got %q, exit %d", text, code)
	}
	address := <-addresses
	if r, err := http.Get("http://" + address + "/outsider"); err == nil {
		_ = r.Body.Close()
		t.Error("who is no command reaches the proxy")
	}
	port := address[strings.LastIndex(address, ":")+1:]
	for name, script := range map[string]string{
		"listen":         `s.listen(1)`,
		"bind elsewhere": `s.bind(("203.0.113.7", 0))`,
		"disconnect":     `s.connect(("127.0.0.1", ` + port + `)); libc.connect(s.fileno(), b"\0" * 16, 16); s.listen(1)`,
		"elsewhere":      `s.connect(("` + hostIP() + `", ` + port + `))`,
		"fast open":      `s.sendto(b"x", 0x20000000, ("127.0.0.1", ` + port + `))`,
		"datagrams":      `socket.socket(socket.AF_INET, socket.SOCK_DGRAM)`,
		"mptcp":          `socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)`,
		"ipv6":           `socket.socket(socket.AF_INET6, socket.SOCK_STREAM)`,
		"unix datagrams": `socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)`,
	} {
		if hostIP() == "127.0.0.1" && name == "elsewhere" {
			continue
		}
		text, _ := sh(t, c, dir, "python3 -c '"+strings.ReplaceAll(preamble, "'", `"`)+"\ns = socket.socket()\ndef f(): "+script+"\nescaped(f)'")
		if strings.Contains(text, "ESCAPED") || !strings.Contains(text, "rrno") {
			t.Errorf("%s: %q", name, text)
		}
	}
}

// A key that cannot be hidden is no reason to show it.
func TestBareRefusesWhatItCannotHide(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := filepath.Join(dir, ".env")
	c := bare(t, Rules{Writable: []string{dir}, Hidden: []string{env}, Temp: t.TempDir()})
	if err := os.WriteFile(env, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := c.Run(t.Context(), Command{Path: "/bin/true", Args: []string{"true"}, Dir: dir, Output: os.Stderr})
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), env) {
		t.Errorf("got %v", err)
	}
}

// What is protected is as it was when a command has ended, also when two ran.
func TestBarePutsBack(t *testing.T) {
	t.Parallel()
	dir, aside := t.TempDir(), filepath.Join(t.TempDir(), "aside")
	hook, config := filepath.Join(dir, ".git/hooks/pre-commit"), filepath.Join(dir, ".git/config")
	for path, text := range map[string]string{hook: "mine\n", config: "[core]\n"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o755); err != nil { // whatever the umask is
			t.Fatal(err)
		}
	}
	c := bare(t, Rules{Writable: []string{dir}, Temp: t.TempDir(), Protected: ProjectPaths(dir), Aside: aside})
	first := make(chan string)
	go func() {
		text, _ := sh(t, c, dir, "echo evil > .git/hooks/pre-commit; mv .git .old; touch evil-is-there; while [ ! -e second-is-there ]; do sleep 0.01; done")
		_ = os.WriteFile(filepath.Join(dir, "first-is-over"), nil, 0o600)
		first <- text
	}()
	text, _ := sh(t, c, dir, "while [ ! -e evil-is-there ]; do sleep 0.01; done; touch second-is-there; while [ ! -e first-is-over ]; do sleep 0.01; done")
	if got := <-first; !strings.Contains(got, hook[:len(hook)-len("/pre-commit")]+" was put back") {
		t.Errorf("the first command is told %q, the second %q", got, text)
	}
	for path, want := range map[string]string{hook: "mine\n", config: "[core]\n"} {
		data, err := os.ReadFile(path)
		info, err2 := os.Stat(path)
		if err != nil || err2 != nil || string(data) != want || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %q, %v, %v", path, data, err, err2)
		}
	}
}

// bareCannot are the attempts that a bare cell does not refuse, and why.
var bareCannot = map[string]string{
	"see a process outside":                   "/proc is the machine's, and Landlock cannot allow a process its own part alone",
	"find a process outside":                  "as above: names and arguments; environments and memory cannot be read",
	"see the machine's interfaces":            "/proc/net and /sys show them too, and what trains on several processes asks for them",
	"leave a file in shared memory":           "without /dev/shm Python's multiprocessing has no locks, and it is the machine's",
	"move a process outside to one processor": "programs place their own threads by the same call, and the filter cannot tell whose they are",
}

func barePrison(t *testing.T) *prison {
	p := newPrison(t)
	if err := os.Remove(p.ws + "/.env"); err != nil { // commands are refused as long as it is there
		t.Fatal(err)
	}
	return p
}

// TestEscapeBare tries every way out without namespaces.
func TestEscapeBare(t *testing.T) {
	p := barePrison(t)
	c := bare(t, p.rules)
	left := map[string]bool{}
	for _, a := range attempts {
		why, known := bareCannot[a.name]
		left[a.name] = known
		if known && a.hard {
			continue
		}
		t.Run(strings.ReplaceAll(a.name, "/", "|"), func(t *testing.T) {
			how := p.attempt(t, c, a)
			switch {
			case how != "" && !known:
				t.Errorf("escaped: %s", how)
			case how != "":
				t.Logf("%s; as is known: %s", how, why)
			}
		})
	}
	for name := range bareCannot {
		if !left[name] {
			t.Errorf("there is no attempt %q", name)
		}
	}
}

// What a command costs, in either form.
func BenchmarkRun(b *testing.B) {
	for name, off := range map[string][]string{"named": nil, "bare": {layerNamespaces}} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			if err := exec.Command("git", "init", "-q", dir).Run(); err != nil {
				b.Skip(err)
			}
			c := cells(b, Rules{Writable: []string{dir}, Temp: b.TempDir(), Protected: ProjectPaths(dir), Limits: Reasonable()}, off...)
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				sh(b, c, dir, "true")
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-median")
		})
	}
}
