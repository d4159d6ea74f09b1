package confine

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sh runs a shell line in a cell and returns its output and exit status.
func sh(t testing.TB, c *Cells, dir, line string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text := make(chan string, 1)
	go func() {
		data, _ := io.ReadAll(r)
		text <- string(data)
	}()
	result, err := c.Run(ctx, Command{
		Path: "/bin/sh", Args: []string{"sh", "-c", line}, Dir: dir, Output: w,
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")},
	})
	w.Close()
	if err != nil {
		t.Fatalf("run %q: %v", line, err)
	}
	return <-text + strings.Join(result.Notes, "\n"), result.Code
}

func cells(t testing.TB, rules Rules, off ...string) *Cells {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := New(rules, self, ConfinedCommand)
	c.off = off
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := cells(t, Rules{Writable: []string{dir}, Temp: t.TempDir()})
	for line, want := range map[string]struct {
		text string
		code int
	}{
		"echo hello":                    {"hello\n", 0},
		"exit 7":                        {"", 7},
		"kill -TERM $$":                 {"", 143},
		"kill -KILL $$":                 {"", 137},
		"cat; echo end":                 {"end\n", 0},
		"echo x > a && cat a":           {"x\n", 0},
		"pwd":                           {dir + "\n", 0},
		"echo x > /tmp/t && cat /tmp/t": {"x\n", 0},
		"setsid sleep 600 & echo on":    {"on\n", 0},
		"python3 -c 'import multiprocessing as m; p=m.Pool(2); print(sum(p.map(abs,[1,-2])))'": {"3\n", 0},
	} {
		if text, code := sh(t, c, dir, line); text != want.text || code != want.code {
			t.Errorf("%q: got %q, exit %d; want %q, exit %d", line, text, code, want.text, want.code)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); err != nil {
		t.Error("what a command wrote is not in the workspace")
	}
}

// What a proxy outside serves is all that commands reach, and reach it they do.
func TestServe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	asked := make(chan string, 10)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.String()
		_, _ = io.WriteString(w, "through the proxy")
	})
	c := cells(t, Rules{Writable: []string{dir}, Temp: t.TempDir(), Serve: func(l net.Listener) {
		_ = (&http.Server{Handler: handler}).Serve(l)
	}})
	const fetch = `python3 -c 'import urllib.request as u; print(u.urlopen("http://example.test/x", timeout=10).read().decode())'`
	for range 2 { // the second one finds the cell as the first one left it
		if text, code := sh(t, c, dir, fetch); code != 0 || text != "through the proxy\n" {
			t.Fatalf("got %q, exit %d", text, code)
		}
		if url := <-asked; url != "http://example.test/x" {
			t.Errorf("the proxy was asked for %s", url)
		}
	}
	if text, code := sh(t, c, dir, `unset http_proxy HTTP_PROXY; `+fetch); code == 0 {
		t.Errorf("without the proxy: %q", text)
	}
}

// A canceled command is dead within a second, with all that it started.
func TestCancel(t *testing.T) {
	t.Parallel()
	t.Run("named", func(t *testing.T) { testCancel(t, cells) })
	t.Run("bare", func(t *testing.T) {
		testCancel(t, func(t testing.TB, r Rules, _ ...string) *Cells { return bare(t, r) })
	})
}

func testCancel(t *testing.T, cells func(testing.TB, Rules, ...string) *Cells) {
	dir := t.TempDir()
	c := cells(t, Rules{Writable: []string{dir}, Temp: t.TempDir()})
	ctx, cancel := context.WithCancel(t.Context())
	alive := filepath.Join(dir, "alive")
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(alive); err == nil {
				cancel()
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	defer cancel()
	start := time.Now()
	_, err = c.Run(ctx, Command{
		Path: "/bin/sh", Args: []string{"sh", "-c", `trap "" TERM; setsid sh -c 'while :; do date > alive; sleep 0.05; done' & sleep 600`},
		Dir: dir, Output: null, Env: []string{"PATH=" + os.Getenv("PATH")},
	})
	if took := time.Since(start); !errors.Is(err, context.Canceled) || took > 2*time.Minute { // it would last ten
		t.Fatalf("%v after %s", err, took)
	}
	if err := os.Remove(alive); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	if _, err := os.Stat(alive); err == nil {
		t.Error("a process that left its session still lives")
	}
	if text, _ := sh(t, c, dir, "echo on"); text != "on\n" {
		t.Errorf("the next command: %q", text)
	}
}

// A repository that a command makes works, and runs nothing outside.
func TestNewRepository(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := cells(t, Rules{Writable: []string{dir}, Temp: t.TempDir(), Protected: ProjectPaths(dir)})
	text, code := sh(t, c, dir, `export GIT_CONFIG_GLOBAL=/dev/null; git init -q && git config user.name x && git config user.email x@x && git config core.hooksPath evil &&
		git config alias.st '!touch x' && echo '#!/bin/sh' > .git/hooks/pre-commit && chmod +x .git/hooks/pre-commit && touch a && git add a && git commit -qm a`)
	if code != 0 || !strings.Contains(text, "git would run it later") || !strings.Contains(text, "settings by which git") {
		t.Errorf("got %q, exit %d", text, code)
	}
	config, err := os.ReadFile(filepath.Join(dir, ".git/config"))
	if err != nil || strings.Contains(string(config), "evil") || strings.Contains(string(config), "touch") || !strings.Contains(string(config), "x@x") {
		t.Errorf("the configuration is %q, %v", config, err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".git/hooks/pre-commit")); err == nil {
		t.Error("the hook is still there")
	}
	if text, code := sh(t, c, dir, `export GIT_CONFIG_GLOBAL=/dev/null; touch b && git add b && git commit -qm b && git log --oneline | wc -l`); code != 0 || text != "2\n" {
		t.Errorf("the next command: %q, exit %d", text, code)
	}
}

// An agent that is killed leaves nothing running, wherever it went.
func TestDiesWithTheAgent(t *testing.T) {
	t.Parallel()
	t.Run("named", func(t *testing.T) { testDies(t) })
	t.Run("bare", func(t *testing.T) {
		if landlockVersion() < landlockBare {
			t.Skip("no such Landlock")
		}
		testDies(t, layerNamespaces)
	})
}

func testDies(t *testing.T, off ...string) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	alive := filepath.Join(dir, "alive")
	agent := exec.Command(self, append([]string{"agent", dir}, off...)...)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(alive); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the command never ran")
		}
	}
	_ = agent.Process.Kill()
	_ = agent.Wait()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); { // the race detector takes a second to end
		if err := os.Remove(alive); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		if _, err := os.Stat(alive); err != nil {
			return
		}
	}
	t.Error("what the command started still runs")
}

// In a second working tree git works, and its repository is as protected.
func TestWorktree(t *testing.T) {
	t.Parallel()
	main, dir := filepath.Join(t.TempDir(), "main"), filepath.Join(t.TempDir(), "tree")
	setup := exec.Command("sh", "-ec", `git init -q "$0" && cd "$0" && git config user.name x && git config user.email x@x && git commit -q --allow-empty -m a && git worktree add -q "$1"`, main, dir)
	setup.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null")
	if out, err := setup.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	repository := Repository(dir)
	if repository != filepath.Join(main, ".git") {
		t.Fatalf("the repository is %q", repository)
	}
	c := cells(t, Rules{Writable: []string{dir, repository}, Temp: t.TempDir(), Protected: ProjectPaths(dir)})
	if text, code := sh(t, c, dir, `export GIT_CONFIG_GLOBAL=/dev/null; touch a && git add a && git commit -qm b && git log --oneline | wc -l`); code != 0 || text != "2\n" {
		t.Errorf("got %q, exit %d", text, code)
	}
	if text, _ := sh(t, c, dir, `echo x > `+repository+`/hooks/pre-commit && echo ESCAPED; git config core.pager x && echo ESCAPED; echo gitdir: x > .git && echo ESCAPED; rm .git && echo ESCAPED`); strings.Contains(text, "ESCAPED") {
		t.Errorf("got %q", text)
	}
	if err := os.WriteFile(filepath.Join(main, ".git/worktrees/tree/gitdir"), []byte("/elsewhere/.git"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Repository(dir); got != "" {
		t.Errorf("a repository that does not name the tree is %q", got)
	}
}

// What appeared in a protected place is not lost: a person may have made it.
func TestAside(t *testing.T) {
	t.Parallel()
	dir, aside := t.TempDir(), filepath.Join(t.TempDir(), "aside")
	c := cells(t, Rules{Writable: []string{dir}, Temp: t.TempDir(), Protected: ProjectPaths(dir), Aside: aside})
	text, _ := sh(t, c, dir, `echo mine > .envrc; mkdir -p .vscode/a; echo settings > .vscode/a/settings.json; ln -s /etc/passwd .vscode/link`)
	if strings.Count(text, "was moved to "+aside) != 2 {
		t.Errorf("it says %q", text)
	}
	for pattern, want := range map[string]string{"*/.envrc": "mine\n", "*/.vscode/a/settings.json": "settings\n"} {
		found, err := filepath.Glob(filepath.Join(aside, pattern))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		if data, err := os.ReadFile(found[0]); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", pattern, data, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".[ev]*")); len(left) > 0 {
		t.Errorf("still there: %v", left)
	}
}

// What is hidden and not there yet is not left by a command, where it may write.
func TestHiddenIsNotMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	hidden := []string{filepath.Join(dir, ".ssh"), filepath.Join(dir, "a", "token"), filepath.Join(dir, "state"), filepath.Join(dir, "state", "deeper")}
	c := cells(t, Rules{Writable: []string{dir}, Temp: t.TempDir(), Hidden: hidden})
	text, _ := sh(t, c, dir, "mkdir .ssh a; echo k > .ssh/authorized_keys; echo t > a/token; echo x > a/mine")
	if strings.Count(text, "commands may not make it") != 2 {
		t.Errorf("it says %q", text)
	}
	for name, want := range map[string]bool{".ssh": false, "a/token": false, "a/mine": true, "state": true} {
		if _, err := os.Lstat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A link that a command puts where something writable was leads nowhere, and a
// project in a folder that was opened keeps its hooks.
func TestSettled(t *testing.T) {
	t.Parallel()
	dir, outside, opened := t.TempDir(), t.TempDir(), t.TempDir()
	for _, d := range []string{filepath.Join(dir, "hf", "hub"), filepath.Join(opened, ".git", "hooks"), filepath.Join(dir, "given")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c := cells(t, Rules{Writable: []string{dir, filepath.Join(dir, "hf", "hub")}, Readable: []string{outside}, Temp: t.TempDir()})
	anew := func(line string) (string, int) { // in a cell that knows what the last command left
		c.mu.Lock()
		for _, cell := range c.free {
			cell.end()
		}
		c.free = nil
		c.mu.Unlock()
		return sh(t, c, dir, line)
	}
	c.Open(opened, filepath.Join(dir, "given"))
	if text, code := anew("mv hf old && mkdir hf && ln -s " + outside + " hf/hub; mv given gone; rm -rf given; ln -s " + outside + " given; ls -l"); !strings.Contains(text, "old") {
		t.Fatalf("the attempt ended with %d: %s", code, text)
	}
	if text, code := anew("echo x > " + outside + "/x"); code == 0 {
		t.Errorf("written outside by a link: %s", text)
	}
	if text, code := anew("echo x > " + opened + "/x && echo x > " + opened + "/.git/hooks/pre-commit"); code == 0 || !strings.Contains(text, "pre-commit") {
		t.Errorf("a hook of an opened folder: %d, %s", code, text)
	}
	if _, err := os.Stat(filepath.Join(opened, "x")); err != nil {
		t.Error(err)
	}
}

// A socket that many are connected to has many lines in the kernel's list, and
// is hidden once.
func TestBusySocket(t *testing.T) {
	dir, err := os.MkdirTemp("/var/lib", "sock")
	if err != nil {
		t.Skipf("no folder beyond /tmp and /run to listen in: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 3 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	if text, code := sh(t, cells(t, Rules{Writable: []string{t.TempDir()}, Temp: t.TempDir()}), "/", "echo in"); code != 0 || text != "in\n" {
		t.Errorf("exit %d: %s", code, text)
	}
}
