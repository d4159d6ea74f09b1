//go:build unix

package hfjobs_test

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/job"
)

// write makes a file of the workspace, and the folders above it.
func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
		t.Fatal(err)
	}
}

// noise is text that nothing makes shorter.
func noise(size int) string {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data) // never fails
	for i, c := range data {
		data[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[c%64]
	}
	return string(data)
}

// A script comes with its inputs, as long as they are, and runs in a folder
// that looks as the workspace does.
func TestFilesComeAlong(t *testing.T) {
	t.Parallel()
	_, b := serve(t)
	dir := t.TempDir()
	long := noise(400 << 10) // more than an argument may have
	write(t, dir, "src/train.py", "import lib, os, sys\nprint(lib.word, sys.argv[1:], open('data/a b/x.txt').read(), os.access('run.sh', os.X_OK), len('''"+long+"'''))\n")
	write(t, dir, "src/lib.py", "word = 'ü'\n")
	write(t, dir, "data/a b/x.txt", "deep")
	write(t, dir, "run.sh", "")
	write(t, dir, "not.txt", "")
	spec := job.Spec{Dir: dir, Script: "src/train.py", Args: []string{"a b"}, Inputs: []string{"src/lib.py", "data", "run.sh", "hf://datasets/me/d@main"}}
	s := wait(t, b, submit(t, b, spec).ID)
	if got, want := text(t, b, s.ID), "ü ['a b'] deep True 409600\n"; got != want || s.ScriptSHA256 == "" {
		t.Errorf("it is %+v and says %q, want %q", s, got, want)
	}
}

func TestWhatCannotComeAlong(t *testing.T) {
	t.Parallel()
	_, b := serve(t)
	dir, outside := t.TempDir(), t.TempDir()
	write(t, outside, "x.py", "")
	write(t, dir, "big.bin", noise(3<<20))
	write(t, dir, "train.py", "")
	if err := errors.Join(os.Symlink(outside, filepath.Join(dir, "out")), os.Mkdir(filepath.Join(dir, "dir.py"), 0o755)); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 200<<10)
	for want, spec := range map[string]job.Spec{
		"put them into a repository":    {Script: "train.py", Inputs: []string{"big.bin"}},
		"escapes":                       {Script: "out/x.py"},
		"not inside":                    {Script: "train.py", Inputs: []string{"../x"}},
		"no such file":                  {Script: "train.py", Inputs: []string{"none"}},
		"is not a file":                 {Script: "dir.py"},
		"there is no script":            {Script: "none.py"},
		"more than a program can be":    {Command: []string{"echo"}, Args: []string{long}},
		"the variable LONG has":         {Command: []string{"true"}, Env: map[string]string{"LONG": long}},
		"takes no variable \"A-B\"":     {Command: []string{"true"}, Env: map[string]string{"A-B": "x"}},
		"takes no secret \"A-B\"":       {Command: []string{"true"}, Secrets: []string{"A-B"}},
		"API_KEY looks like a secret":   {Command: []string{"true"}, Env: map[string]string{"API_KEY": "x"}},
		"needs the secret HF_NOT_THERE": {Command: []string{"true"}, Secrets: []string{"HF_NOT_THERE"}},
		"with 0 retries":                {Command: []string{"true"}, Retries: 1},
	} {
		spec.Dir = dir
		if s, err := b.Submit(t.Context(), spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %+v, %v", want, s, err)
		}
	}
	if all, err := b.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("there are %v, %v", all, err)
	}
}

// What a script needs reaches uv letter by letter; a script that needs nothing
// runs without uv, and one that needs something says what is missing.
func TestUV(t *testing.T) {
	dir, bin := t.TempDir(), t.TempDir()
	write(t, dir, "plain.py", "print('plain')\n")
	write(t, dir, "header.py", "# /// script\n# dependencies = [\"x\"]\n# ///\nprint('header')\n")
	path := bin
	for _, from := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(from, "uv")); err != nil {
			path += string(filepath.ListSeparator) + from
		}
	}
	t.Setenv("PATH", path)
	_, b := serve(t)
	run := func(spec job.Spec) (job.Status, string) {
		spec.Dir = dir
		s := wait(t, b, submit(t, b, spec).ID)
		return s, text(t, b, s.ID)
	}
	if _, got := run(job.Spec{Script: "plain.py"}); got != "plain\n" {
		t.Errorf("without uv it says %q", got)
	}
	if s, got := run(job.Spec{Script: "header.py"}); s.ExitCode != 127 || !strings.Contains(got, "uv") {
		t.Errorf("without what it needs it is %+v and says %q", s, got)
	}
	write(t, bin, "uv", "#!/bin/sh\nprintf '<%s>' \"$@\"\n")
	_, got := run(job.Spec{Script: "plain.py", Args: []string{"$x", ">y"}, Python: "3.12", Dependencies: []string{"transformers>=4.40", "a[b]; python_version<'4'"}})
	if want := "<run><--no-project><--with><transformers>=4.40><--with><a[b]; python_version<'4'><--python><3.12><plain.py><$x><>y>\n"; got != want {
		t.Errorf("uv was given %q, want %q", got, want)
	}
}

// Repositories that are a job's outputs are brought here, as often as asked.
func TestCollect(t *testing.T) {
	t.Parallel()
	h, b := serve(t)
	spec := shell(t, "true")
	spec.Outputs = []string{"hf://models/me/m", "hf://dataset/me/d", "lost.txt"}
	s := wait(t, b, submit(t, b, spec).ID)
	if rel, err := filepath.Rel(spec.Dir, s.OutputDir); err != nil || !filepath.IsLocal(rel) {
		t.Errorf("its results are in %q", s.OutputDir)
	}
	if err := b.Collect(t.Context(), s.ID); !errors.Is(err, hub.ErrNotFound) || !strings.Contains(err.Error(), "me/m") {
		t.Errorf("without them: %v", err)
	}
	for _, repo := range []hub.RepoID{{Type: hub.Model, Namespace: "me", Name: "m"}, {Type: hub.Dataset, Namespace: "me", Name: "d"}} {
		if _, err := h.Client.CreateRepo(t.Context(), repo, hub.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Client.Upload(t.Context(), repo, hub.Commit{Files: []hub.File{{Path: "w/x.bin", Content: []byte(repo.Name)}}}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := b.Collect(t.Context(), s.ID); err != nil {
			t.Error(err)
		}
	}
	for path, want := range map[string]string{"models/me/m/w/x.bin": "m", "datasets/me/d/w/x.bin": "d"} {
		if data, err := os.ReadFile(filepath.Join(s.OutputDir, path)); err != nil || string(data) != want {
			t.Errorf("%s is %q, %v", path, data, err)
		}
	}
	if _, err := os.Stat(filepath.Join(s.OutputDir, "lost.txt")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was on the job's disk: %v", err)
	}
}
