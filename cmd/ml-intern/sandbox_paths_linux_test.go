package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/sandbox/remote"
)

// A den is a sandbox that the program opens, with a folder beside its workspace
// that is nobody's business.
type den struct {
	*testing.T
	dir, addr, secret string
	pid               int
}

func newDen(t *testing.T) *den {
	t.Helper()
	exe, dir := program(t), t.TempDir()
	d := &den{T: t, dir: dir, secret: "a secret of this very test"}
	for name, text := range map[string]string{"w/here": "here", "beside/there": "there"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(exe, "sandbox", "serve", "--dir", filepath.Join(dir, "w"), "--addr", "127.0.0.1:0", "--addr-file", filepath.Join(dir, "addr"))
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, remote.SecretVariable + "=" + d.secret}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	d.pid = c.Process.Pid
	d.addr = addressIn(t, filepath.Join(dir, "addr"))
	return d
}

// send makes one request as it is written, with the right secret.
func (d *den) send(method, target, body string) (status int, answer string) {
	d.Helper()
	conn, err := net.Dial("tcp", d.addr)
	if err != nil {
		d.Fatalf("nobody answers any more: %v", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nX-Sandbox-Authorization: Bearer %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", method, target, d.secret, len(body), body)
	text, err := io.ReadAll(io.LimitReader(conn, 2<<20))
	if err != nil && len(text) == 0 {
		d.Errorf("%s %.100s: %v", method, target, err)
	}
	if _, err := fmt.Sscanf(string(text), "HTTP/1.1 %d", &status); err != nil {
		d.Errorf("%s %.100s: %.200q", method, target, text)
	}
	return status, string(text)
}

// Who has the right secret may read where the sandbox's user may, but not what
// the server has in memory, and writes nothing outside the workspace, however
// the path is written.
func TestSandboxServePaths(t *testing.T) {
	t.Parallel()
	d := newDen(t)
	w := filepath.Join(d.dir, "w")
	for link, to := range map[string]string{
		"out": "../beside", "file": "../beside/there", "abs": filepath.Join(d.dir, "beside"), "up": "..", "loop": "loop", "env": "/proc/self/environ", "fd": "/proc/self/fd", "root": "/", "dangling": "../beside/new", "self": ".",
	} {
		if err := os.Symlink(to, filepath.Join(w, link)); err != nil {
			t.Fatal(err)
		}
	}
	path := func(what, p string) string { return "/v1/" + what + "?max=100000&path=" + url.QueryEscape(p) }
	long := strings.Repeat("n", 5000)
	deep := strings.Repeat("d/", 3000) + "x"
	pid := fmt.Sprint(d.pid)
	before := fmt.Sprint(tree(t, filepath.Join(d.dir, "beside")))

	for _, p := range []string{
		"/proc/self/environ", "/proc/self/mem", "/proc/self/maps", "/proc/self/fd/3", "/proc/self/fd/4", "/dev/fd/3", "/dev/fd/0", "/dev/stdin", "/proc/thread-self/environ", "/proc/" + pid + "/environ", "/proc/" + pid + "/mem", "/proc/" + pid + "/task/" + pid + "/environ",
		"env", "fd/3", "fd/0", "root/proc/self/environ", "root/proc/self/root/proc/self/environ", "../w/env", "self/self/self/env", "../../../../../../../../../../proc/self/environ", "/proc/self/cwd/env", "//proc//self//environ", "/proc/./self/../self/environ",
		"/dev/zero", "/dev/mem", "/proc/kcore", "/proc/kmsg", "loop", "here\x00", "\x00", "here\x00/../../beside/there", long, deep, "", ".", "%2e%2e/beside/there", "..%2fbeside%2fthere", "..\\beside\\there", "\xff\xfe",
	} {
		status, answer := d.send("GET", path("files", p), "")
		if status < 400 || status >= 500 || strings.Contains(answer, d.secret) || len(answer) > 20_000 {
			t.Errorf("read %.80q: %d, %d bytes: %.300q", p, status, len(answer), answer)
		}
	}
	for _, p := range []string{
		"../beside/there", "../beside/new", "../new", "..", ".", "", "/", "out/there", "out/new", "abs/new", "file", "dangling", "up/new", "up/beside/new", "root/tmp/" + filepath.Base(d.dir), "loop", "loop/x", "self/../../beside/new",
		filepath.Join(d.dir, "beside/new"), "/proc/self/cwd/../beside/new", "/proc/self/environ", "/proc/self/fd/3", "/proc/self/mem", "/dev/fd/3", "here\x00", "a\x00b", "\x00", long, deep, "here/x", "~/new", "~/beside/new", "..\x00/new",
	} {
		status, answer := d.send("PUT", path("files", p), "written")
		if status < 400 || status >= 500 || strings.Contains(answer, d.secret) {
			t.Errorf("write %.80q: %d, %.300q", p, status, answer)
		}
	}
	for _, p := range []string{"/proc/self/environ", "here", "loop", long, deep, "\x00", "../nothing"} {
		if status, answer := d.send("GET", path("list", p), ""); status < 400 || status >= 500 || strings.Contains(answer, d.secret) {
			t.Errorf("list %.80q: %d, %.300q", p, status, answer)
		}
	}
	for _, target := range []string{
		"/v1/files/../../etc/passwd", "/v1/files/%2e%2e/%2e%2e/etc/passwd", "/v1/..%2f..%2fetc/passwd", "/../etc/passwd", "//etc/passwd", "/v1/commands/..%2f..%2fx/output?from=0", "/v1/commands/%00/output?from=0", "/v1/files%00?path=here&max=9", "/v1/list/../files?path=here&max=9", "http://127.0.0.1:1/v1/about", "*",
	} {
		if status, answer := d.send("GET", target, ""); status == 200 && !strings.Contains(target, "about") || strings.Contains(answer, "root:") || strings.Contains(answer, d.secret) {
			t.Errorf("%s: %d, %.300q", target, status, answer)
		}
	}
	if status, _ := d.send("GET", "/v1/about?x="+strings.Repeat("y", 2<<20), ""); status < 400 || status >= 500 {
		t.Errorf("an address of 2 MB: %d", status)
	}

	if after := fmt.Sprint(tree(t, filepath.Join(d.dir, "beside"))); after != before {
		t.Errorf("beside the workspace there is now %s", after)
	}
	for _, name := range []string{"new", "beside/new"} {
		if _, err := os.Lstat(filepath.Join(d.dir, name)); err == nil {
			t.Errorf("%s was made", name)
		}
	}
	if data, err := os.ReadFile(filepath.Join(w, "here")); err != nil || string(data) != "here" {
		t.Errorf("what is in the workspace is %q, %v", data, err)
	}
	if status, _ := d.send("PUT", path("files", "a/b/new"), "written"); status != http.StatusOK {
		t.Errorf("a plain write afterwards: %d", status)
	}
	if status, answer := d.send("GET", path("files", "a/../a/b/./new"), ""); status != http.StatusOK || !strings.HasSuffix(answer, "written") {
		t.Errorf("a plain read afterwards: %d, %q", status, answer)
	}
}
