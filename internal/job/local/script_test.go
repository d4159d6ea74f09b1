//go:build unix

package local_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ml-intern/internal/job"
	"ml-intern/internal/job/local"
)

const (
	needsNothing = "# /// script\n# requires-python = \">=3.9\"\n# dependencies = []\n# ///\nprint('ran', __name__)\n"
	needsTorch   = "#!/usr/bin/env python\n# /// script\n# dependencies = [\n#   \"torch[cuda]>=2\", # big\n#   'numpy',\n# ]\n# ///\nprint('ran')\n"
)

func program(t *testing.T, name, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	write(t, path, "#!/bin/sh\n"+script+"\n")
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func logged(t *testing.T, b local.Backend, id string) string {
	t.Helper()
	var text strings.Builder
	for line, err := range b.Logs(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(line.Text + "\n")
	}
	return text.String()
}

func TestScriptWithoutUV(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	b.UV = "/nonexistent/uv"
	b.Python = program(t, "python", `echo python; cat "$1"`)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.py"), needsNothing)
	write(t, filepath.Join(dir, "b.py"), needsTorch)
	write(t, filepath.Join(dir, "c.py"), "print('plain')\n")
	for _, name := range []string{"a.py", "c.py"} {
		s, err := b.Submit(t.Context(), job.Spec{Dir: dir, Script: name})
		if err != nil {
			t.Fatal(err)
		}
		wait(t, b, s.ID)
		if got := logged(t, b, s.ID); !strings.HasPrefix(got, "python\n") {
			t.Errorf("%s ran as %q", name, got)
		}
	}
	_, err := b.Submit(t.Context(), job.Spec{Dir: dir, Script: "b.py"})
	if err == nil || !strings.Contains(err.Error(), "torch[cuda]>=2, numpy") || !strings.Contains(err.Error(), "pip install uv") {
		t.Errorf("without uv: %v", err)
	}
	if _, err := b.Submit(t.Context(), job.Spec{Dir: dir, Command: []string{"true"}, Dependencies: []string{"trl"}}); err == nil || !strings.Contains(err.Error(), "depends on trl") {
		t.Errorf("a command without uv: %v", err)
	}
	if _, err := b.Submit(t.Context(), job.Spec{Dir: dir, Script: "c.py", Python: "3.99"}); err == nil || !strings.Contains(err.Error(), "no python3.99") {
		t.Errorf("another python without uv: %v", err)
	}
	b.Python = "/nonexistent/python"
	if _, err := b.Submit(t.Context(), job.Spec{Dir: dir, Script: "c.py"}); err == nil || !strings.Contains(err.Error(), "/nonexistent/python") {
		t.Errorf("without python: %v", err)
	}
}

// TestScriptIsASnapshot changes the script while its job is queued. Its modules
// are found beside the original.
func TestScriptIsASnapshot(t *testing.T) {
	t.Parallel()
	needsPython(t)
	b := newBackend(t)
	b.Slots = 1
	dir := t.TempDir()
	blocker, err := b.Submit(t.Context(), job.Spec{Dir: dir, Command: []string{"sh", "-c", "until [ -e go ]; do sleep 0.02; done"}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "sub/train.py"), "import part, os, sys\nprint(part.x, os.getcwd(), sys.argv[1:])\n")
	write(t, filepath.Join(dir, "sub/part.py"), "x = 'part'\n")
	s, err := b.Submit(t.Context(), job.Spec{Dir: dir, Script: "sub/train.py", Args: []string{"a b"}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "sub/train.py"), "print('later')\n")
	write(t, filepath.Join(dir, "go"), "")
	wait(t, b, blocker.ID)
	wait(t, b, s.ID)
	real, err := filepath.EvalSymlinks(dir)
	if got := logged(t, b, s.ID); err != nil || got != "part "+real+" ['a b']\n" {
		t.Errorf("the job says %q, %v", got, err)
	}
}

func TestRefusedScripts(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	outside, dir := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "x.py"), "print()")
	write(t, filepath.Join(dir, "folder.py/x"), "")
	if err := os.Symlink(filepath.Join(outside, "x.py"), filepath.Join(dir, "link.py")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "linked")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo.py"), 0o600); err != nil {
		t.Fatal(err)
	}
	for script, want := range map[string]string{
		"nope.py": "no script", "../x.py": "not inside", filepath.Join(outside, "x.py"): "not inside", "link.py": "escapes",
		"linked/x.py": "escapes", "folder.py": "not a file", "fifo.py": "not a file",
	} {
		if s, err := b.Submit(t.Context(), job.Spec{Dir: dir, Script: script}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", script, s, err, want)
		}
	}
	for program, want := range map[string]string{"no-such-program": "not found", "./nope": "no such file", "linked": "not found"} {
		if s, err := b.Submit(t.Context(), job.Spec{Dir: dir, Command: []string{program}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", program, s, err, want)
		}
	}
	if _, err := b.Submit(t.Context(), job.Spec{Dir: filepath.Join(dir, "nope"), Command: []string{"true"}}); err == nil {
		t.Error("a folder that is not there was accepted")
	}
	// Results stay in the workspace whatever it holds.
	if err := os.Symlink(outside, filepath.Join(dir, "runs")); err != nil {
		t.Fatal(err)
	}
	s, err := b.Submit(t.Context(), job.Spec{Dir: dir, Command: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	if done := wait(t, b, s.ID); done.State != job.Failed || !strings.Contains(done.Reason, "output folder") {
		t.Errorf("with runs leading out the job is %+v", done)
	}
}
