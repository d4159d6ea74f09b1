//go:build unix

package local_test

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/job"
)

// fakeUV writes what it is asked for to a file, resolves everything that says
// "same" alike, and installs a python that says how it was called. A shell
// script of the test's may stand in between.
func fakeUV(t *testing.T, between string) (uv, calls string) {
	calls = filepath.Join(t.TempDir(), "calls")
	return program(t, "uv", fmt.Sprintf(`calls=%q
[ "$1 $2 $4" = "sync --script --active" ] || exit 9
case "$*" in
*--dry-run*)
	echo resolve >>"$calls"
	echo "Would install"
	if grep -q same "$3"; then echo " + same==1.0"; else grep dependencies "$3" | sed 's/^/ + /'; fi ;;
*)
	shift 5
	echo "install $*" >>"$calls"
	mkdir "$VIRTUAL_ENV.busy" || echo overlap >>"$calls"
	mkdir -p "$VIRTUAL_ENV/bin"; touch "$VIRTUAL_ENV/bin/python"
	%s
	printf '#!/bin/sh\necho "$VIRTUAL_ENV"; basename "$1"; shift; echo "$@"\n' >"$VIRTUAL_ENV/bin/python"
	chmod +x "$VIRTUAL_ENV/bin/python"
	rmdir "$VIRTUAL_ENV.busy"
	echo " + some==1.0" ;;
esac`, calls, between)), calls
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestEnvironmentIsMadeOnce runs many jobs at once that require the same, in
// three ways to say so.
func TestEnvironmentIsMadeOnce(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	b.Slots = 8
	var calls string
	b.UV, calls = fakeUV(t, "sleep 0.3")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.py"), "# /// script\n# dependencies = ['same']\n# ///\nprint(1)\n")
	write(t, filepath.Join(dir, "b.py"), "# /// script\r\n# dependencies = ['same']\r\n# ///\r\nprint(2)\r\n")
	write(t, filepath.Join(dir, "c.py"), "print(3)\n")
	ids := map[string]string{}
	for range 3 {
		for _, spec := range []job.Spec{{Script: "a.py"}, {Script: "b.py"}, {Script: "c.py", Dependencies: []string{"the-same"}}} {
			spec.Dir, spec.Args = dir, []string{"--lr", "1e-3"}
			s, err := b.Submit(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			ids[s.ID] = spec.Script
		}
	}
	environments := map[string]bool{}
	for id, name := range ids {
		done := wait(t, b, id)
		lines := strings.Split(logged(t, b, id), "\n")
		if lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "[installing ") || strings.HasPrefix(l, " + ") }); len(lines) != 4 || lines[1] != name || lines[2] != "--lr 1e-3" {
			t.Fatalf("the job is %+v and said %q", done, lines)
		}
		environments[lines[0]] = true
		if sum := sha256.Sum256([]byte(read(t, filepath.Join(dir, name)))); done.ScriptSHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("the script's hash is %s", done.ScriptSHA256)
		}
	}
	if len(environments) != 1 {
		t.Errorf("the environments are %v", environments)
	}
	if got := read(t, calls); strings.Count(got, "resolve") != 2 || strings.Count(got, "install") != 1 || strings.Contains(got, "overlap") {
		t.Errorf("uv was called for:\n%s", got)
	}
}

// TestEnvironmentHalfMade kills the shim of a job while uv works for it: uv is
// let finish, and what it has made is made again, whatever a package left in it.
func TestEnvironmentHalfMade(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	var calls string
	begun, finish := filepath.Join(t.TempDir(), "begun"), filepath.Join(t.TempDir(), "finish")
	b.UV, calls = fakeUV(t, fmt.Sprintf(`touch "$VIRTUAL_ENV/.whole"; echo >%q; until [ -e %q ]; do sleep 0.05; done`, begun, finish))
	spec := job.Spec{Dir: t.TempDir(), Command: []string{"python", "x", "ran"}, Dependencies: []string{"something"}}
	s, err := b.Submit(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	untilThere(t, begun)
	if s, err := b.Status(t.Context(), s.ID); err != nil || s.State != job.Queued {
		t.Errorf("while uv works the job is %+v, %v", s, err)
	}
	if err := syscall.Kill(shimOf(t, s.ID), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	write(t, finish, "")
	if done := wait(t, b, s.ID); done.State != job.Succeeded || !strings.HasSuffix(logged(t, b, s.ID), "\nx\nran\n") {
		t.Errorf("the job is %+v and said %q", done, logged(t, b, s.ID))
	}
	if got := read(t, calls); strings.Count(got, "install") != 2 || strings.Count(got, "resolve") != 1 || strings.Contains(got, "overlap") {
		t.Errorf("uv was called for:\n%s", got)
	}
}

// TestEnvironmentCanceled cancels a job while uv works for it, and ends the
// shim of another as a machine does that shuts down.
func TestEnvironmentCanceled(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	begun, quick := filepath.Join(t.TempDir(), "begun"), filepath.Join(t.TempDir(), "quick")
	b.UV, _ = fakeUV(t, fmt.Sprintf("echo $$ >%[1]q.tmp; mv %[1]q.tmp %[1]q; [ -e %[2]q ] || sleep 300", begun, quick))
	spec := job.Spec{Dir: t.TempDir(), Command: []string{"python", "x", "ran"}, Dependencies: []string{"something"}}
	s, err := b.Submit(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	uv := readPID(t, begun)
	if err := b.Cancel(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	if done := wait(t, b, s.ID); done.State != job.Canceled || !done.Started.IsZero() || alive(uv) {
		t.Errorf("the job is %+v, uv is alive: %v", done, alive(uv))
	}

	if err := os.Remove(begun); err != nil {
		t.Fatal(err)
	}
	if s, err = b.Submit(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	uv = readPID(t, begun)
	shim := shimOf(t, s.ID)
	write(t, quick, "")
	if err := syscall.Kill(shim, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for alive(shim) {
		time.Sleep(5 * time.Millisecond)
	}
	if done := wait(t, b, s.ID); done.State != job.Succeeded || alive(uv) {
		t.Errorf("the job is %+v, the first uv is alive: %v", done, alive(uv))
	}
}

// TestEnvironmentFails lets uv fail, and then not.
func TestEnvironmentFails(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	good, calls := fakeUV(t, "")
	bad := filepath.Join(t.TempDir(), "bad")
	write(t, bad, "")
	b.UV = program(t, "uv", fmt.Sprintf(`if [ -e %q ]; then echo "no such package
nope" >&2; exit 2; fi; exec %q "$@"`, bad, good))
	spec := job.Spec{Dir: t.TempDir(), Command: []string{"python", "x", "ran"}, Dependencies: []string{"something"}, Python: "3.12"}
	s, err := b.Submit(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if done := wait(t, b, s.ID); done.State != job.Failed || !strings.Contains(done.Reason, "uv: exit status 2: no such package nope") {
		t.Errorf("the job is %+v", done)
	}
	if err := os.Remove(bad); err != nil {
		t.Fatal(err)
	}
	if s, err = b.Submit(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if done := wait(t, b, s.ID); done.State != job.Succeeded {
		t.Errorf("the job is %+v", done)
	}
	if got := read(t, calls); !strings.Contains(got, "install --python 3.12\n") {
		t.Errorf("uv was called for:\n%s", got)
	}
}

// TestRealUV installs a package that lies on this disk, for a script and for a
// command.
func TestRealUV(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("uv"); err != nil {
		t.Skip("there is no uv here")
	}
	needsPython(t)
	b := newBackend(t)
	b.Slots = 1
	links := t.TempDir()
	writeWheel(t, links)
	b.Env = append(os.Environ(), "UV_NO_INDEX=1", "UV_FIND_LINKS="+links, "UV_CACHE_DIR="+t.TempDir(), "UV_PYTHON_DOWNLOADS=never", "VIRTUAL_ENV=/nonexistent")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "pyproject.toml"), "[project]\nname = 'broken")
	write(t, filepath.Join(dir, "a.py"), "# /// script\n# dependencies = ['tiny>=1']\n# ///\nimport tiny\nprint(tiny.__file__)\n")
	var places []string
	var last string
	for _, spec := range []job.Spec{
		{Script: "a.py"},
		{Command: []string{"tiny-tool"}, Dependencies: []string{"tiny>=1"}},
	} {
		spec.Dir = dir
		s, err := b.Submit(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		last = s.ID
		done := wait(t, b, s.ID)
		if done.State != job.Succeeded {
			t.Fatalf("the job is %+v and said %s", done, logged(t, b, s.ID))
		}
		lines := strings.Split(strings.TrimSpace(logged(t, b, s.ID)), "\n")
		places = append(places, lines[len(lines)-1])
	}
	if got := read(t, filepath.Join(b.Dir, "jobs", last, "requirements.txt")); got != "tiny==1.0\n" {
		t.Errorf("the job was given %q", got)
	}
	if places[0] != places[1] || !strings.HasPrefix(places[0], b.Dir) {
		t.Errorf("the packages are in %q", places)
	}
}

// writeWheel makes a package with a program of its own.
func writeWheel(t *testing.T, dir string) {
	t.Helper()
	file, err := os.Create(filepath.Join(dir, "tiny-1.0-py3-none-any.whl"))
	if err != nil {
		t.Fatal(err)
	}
	archive := zip.NewWriter(file)
	for name, text := range map[string]string{
		"tiny/__init__.py":                    "def main():\n    print(__file__)\n",
		"tiny-1.0.dist-info/METADATA":         "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
		"tiny-1.0.dist-info/WHEEL":            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		"tiny-1.0.dist-info/entry_points.txt": "[console_scripts]\ntiny-tool = tiny:main\n",
		"tiny-1.0.dist-info/RECORD":           "tiny/__init__.py,,\ntiny-1.0.dist-info/METADATA,,\ntiny-1.0.dist-info/WHEEL,,\ntiny-1.0.dist-info/entry_points.txt,,\ntiny-1.0.dist-info/RECORD,,\n",
	} {
		w, err := archive.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// untilThere waits for a file.
func untilThere(t *testing.T, path string) {
	t.Helper()
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if t.Context().Err() != nil {
			t.Fatalf("%s never came", path)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
