package confine

import (
	"context"
	"io"
	"os"
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

func TestSpeed(t *testing.T) {
	dir := t.TempDir()
	c := cells(t, Rules{Writable: []string{dir}, Temp: t.TempDir(), Hidden: []string{"/root/.ssh"}, Protected: ProjectPaths(dir)})
	for i := range 5 {
		start := time.Now()
		sh(t, c, dir, "true")
		t.Log(i, time.Since(start))
	}
}
