package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A disk is a small one of its own, for what the program keeps.
type disk struct {
	t            *testing.T
	exe, at, dir string
	stdin        string
	env          []string
}

// newDisk needs the right to mount. Who has it not gets it in namespaces of their
// own, where the test is run again.
func newDisk(t *testing.T, size string) *disk {
	t.Helper()
	d := &disk{t: t, exe: program(t), at: t.TempDir(), dir: t.TempDir()}
	if err := syscall.Mount("tmpfs", d.at, "tmpfs", 0, "size="+size); err != nil {
		again(t, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.at, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return d
}

// insideVariable says that a test runs in namespaces.
const insideVariable = "ML_INTERN_TEST_INSIDE"

// again runs the test again where this user may mount, and ends this one. Where that
// cannot be either, it is left out, but not where nobody would see it: in CI.
func again(t *testing.T, why error) {
	t.Helper()
	if os.Getenv(insideVariable) != "" {
		t.Fatal(why)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if err := cmd.Start(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no disk can be mounted here: ", why, "; ", err)
		}
		t.Skip("no disk can be mounted here:", why, err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "--- PASS: "+t.Name()) {
		t.Fatalf("in namespaces of its own: %v\n%s", err, out.String())
	}
	t.Skip("it ran in namespaces of its own")
}

// run returns what the program says, and its exit code.
func (d *disk) run(args ...string) (stdout, stderr string, code int) {
	d.t.Helper()
	cmd := exec.CommandContext(d.t.Context(), d.exe, args...)
	var out, err strings.Builder
	cmd.Stdin = strings.NewReader(d.stdin)
	cmd.Dir, cmd.Stdout, cmd.Stderr = d.dir, &out, &err
	cmd.Env = append([]string{"ML_INTERN_HOME=" + filepath.Join(d.at, "home"), "HOME=" + d.dir, "PATH=" + os.Getenv("PATH")}, d.env...)
	_ = cmd.Run() // the exit code says it
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

// wantRefused runs a command that cannot be done on such a disk.
func (d *disk) wantRefused(word string, args ...string) {
	d.t.Helper()
	_, stderr, code := d.run(args...)
	if code != 1 || !strings.Contains(stderr, word) || strings.Contains(stderr, "panic") {
		d.t.Errorf("%q: exit %d: %s", args, code, stderr)
	}
}

// wantSession checks that the session which was saved first is there, whole.
func (d *disk) wantSession() {
	d.t.Helper()
	if out, stderr, code := d.run("sessions", "ls"); code != 0 || strings.Count(out, "\n") != 2 || !strings.Contains(out, "Say what you can do") {
		d.t.Errorf("sessions ls: exit %d: %s%s", code, out, stderr)
	}
	if out, stderr, code := d.run("sessions", "ls", "--search", "what you can", "--json"); code != 0 || !strings.Contains(out, `"events":`) {
		d.t.Errorf("search: exit %d: %s%s", code, out, stderr)
	}
}

const first = "please say what you can do"

func (d *disk) begin() {
	d.t.Helper()
	if _, stderr, code := d.run("--model", "builtin/baseline", first); code == 2 {
		d.t.Fatalf("exit %d: %s", code, stderr)
	}
	d.wantSession()
}

// A full disk says so, and what was saved is there when it has room again.
func TestFullDisk(t *testing.T) {
	d := newDisk(t, "8m")
	d.begin()
	empty := d.fill()
	d.wantRefused("is full", "--model", "builtin/baseline", "another one, please")
	d.wantRefused("is full", "--model", "builtin/baseline", "--continue", "go on")
	d.wantRefused("is full", "sessions", "ls")
	if out, _, code := d.run("doctor"); code != 0 || !strings.Contains(out, "no space left on device") || !strings.Contains(out, "is full") {
		t.Errorf("doctor: exit %d: %s", code, out)
	}
	empty()
	d.wantSession()
	if _, stderr, code := d.run("--model", "builtin/baseline", "--continue", "go on"); code == 2 || strings.Contains(stderr, "full") {
		t.Errorf("it does not go on: exit %d: %s", code, stderr)
	}
}

// A disk that becomes full while a session works ends the turn; every event that
// was shown is there.
func TestDiskFillsUp(t *testing.T) {
	d := newDisk(t, "2m")
	d.begin()
	d.stdin = strings.Repeat("fill the disk with words ", 8_000)
	for range 12 {
		out, stderr, code := d.run("--model", "builtin/baseline", "--output", "events", "--continue", "-")
		if code == 1 && strings.Contains(stderr, "full") {
			shown := strings.Count(out, "\n") - strings.Count(out, `,"failed":{`) // that it failed could not be saved either
			if err := os.RemoveAll(filepath.Join(d.at, "home", "cache")); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mount("tmpfs", d.at, "tmpfs", syscall.MS_REMOUNT, "size=32m"); err != nil {
				t.Fatal(err)
			}
			d.wantSession()
			saved, _, code := d.run("sessions", "show", d.id(), "--output", "events")
			if code != 0 || strings.Count(saved, "\n") < shown {
				t.Errorf("exit %d: %d events were shown, %d are there", code, shown, strings.Count(saved, "\n"))
			}
			return
		}
	}
	t.Error("the disk is never full")
}

func (d *disk) id() string {
	d.t.Helper()
	out, _, _ := d.run("sessions", "ls")
	_, line, _ := strings.Cut(out, "\n")
	id, _, _ := strings.Cut(line, " ")
	return id
}

// A folder that cannot be written is named, and nothing in it changes.
func TestReadOnlyHome(t *testing.T) {
	d := newDisk(t, "8m")
	d.begin()
	if err := syscall.Mount("tmpfs", d.at, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--model", "builtin/baseline", "another one, please"}, {"sessions", "ls"}, {"sessions", "rm", "--older-than", "0h", "--yes"}} {
		d.wantRefused("read-only file system", args...)
		d.wantRefused("set ML_INTERN_HOME", args...)
	}
	if _, _, code := d.run("doctor"); code != 0 {
		t.Error("doctor does not work")
	}
	if err := syscall.Mount("tmpfs", d.at, "tmpfs", syscall.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	d.wantSession()
}

// A database of a newer program, and a damaged one, are named and left as they are.
func TestDatabasesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	d := &disk{t: t, exe: program(t), at: t.TempDir(), dir: t.TempDir()}
	d.begin()
	file := filepath.Join(d.at, "home", "state", "sessions.db")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	newer := append([]byte{}, whole...)
	copy(newer[60:64], []byte{0, 0, 0, 99}) // where SQLite keeps user_version
	torn := append([]byte{}, whole...)
	copy(torn[:4096], strings.Repeat("damaged!", 512))
	for _, tt := range []struct {
		word string
		data []byte
	}{{"written by a newer ml-intern (schema 99", newer}, {"is damaged", torn}, {"is damaged", whole[:len(whole)/3]}} {
		if err := os.WriteFile(file, tt.data, 0o600); err != nil {
			t.Fatal(err)
		}
		d.wantRefused(tt.word, "sessions", "ls")
		d.wantRefused(tt.word, "--model", "builtin/baseline", "another one, please")
		d.wantRefused(tt.word, "--continue", "go on")
		if out, _, code := d.run("doctor"); code != 0 || !strings.Contains(out, tt.word) {
			d.t.Errorf("doctor: exit %d: %s", code, out)
		}
		if after, err := os.ReadFile(file); err != nil || string(after) != string(tt.data) {
			t.Errorf("%s: the file was changed", tt.word)
		}
	}
	if err := os.WriteFile(file, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	d.wantSession()
}
