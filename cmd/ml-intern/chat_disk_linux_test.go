package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ml-intern/internal/llm/llmtest"
)

// chat opens a chat line by line whose state is on the disk.
func (d *disk) chat(args ...string) *terminal {
	d.t.Helper()
	c := exec.CommandContext(d.t.Context(), d.exe, append([]string{"--plain"}, args...)...)
	c.Dir = d.dir
	c.Env = append([]string{
		"ML_INTERN_HOME=" + filepath.Join(d.at, "home"), "HOME=" + d.dir, "PATH=" + os.Getenv("PATH"), "TERM=dumb", "HF_HUB_OFFLINE=1",
	}, d.env...)
	return onTTY(d.t, c)
}

// model has a scripted model answer what is said on the disk's machine.
func (d *disk) model(turns ...llmtest.Turn) *llmtest.Server {
	d.t.Helper()
	s := llmtest.NewServer(turns...)
	d.t.Cleanup(s.Close)
	d.env = append(d.env, "OPENAI_BASE_URL="+s.URL, "OPENAI_API_KEY=x")
	return s
}

// fill takes all the room that is left, and returns what gives it back.
func (d *disk) fill() (empty func()) {
	d.t.Helper()
	filler := filepath.Join(d.at, "filler")
	f, err := os.Create(filler)
	if err != nil {
		d.t.Fatal(err)
	}
	for page := make([]byte, 4096); err == nil; {
		_, err = f.Write(page)
	}
	if err := f.Close(); err != nil {
		d.t.Fatal(err)
	}
	return func() {
		if err := os.Remove(filler); err != nil {
			d.t.Fatal(err)
		}
	}
}

// wantPrompts checks which prompts the only session has, in order.
func (d *disk) wantPrompts(want ...string) {
	d.t.Helper()
	out, stderr, code := d.run("sessions", "show", d.id(), "--output", "events")
	if code != 0 {
		d.t.Fatalf("exit %d: %s", code, stderr)
	}
	var got []string
	for line := range strings.Lines(out) {
		if _, text, ok := strings.Cut(line, `"prompt":{"text":"`); ok {
			text, _, _ = strings.Cut(text, `"`)
			got = append(got, text)
		}
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		d.t.Errorf("the session has the prompts %q, want %q", got, want)
	}
}

// A disk that is full ends the turn and not the chat; what could not be saved
// waits, and is said once when there is room.
func TestPlainChatOnAFullDisk(t *testing.T) {
	d := newDisk(t, "8m")
	s := d.model(llmtest.Turn{Text: "one"}, llmtest.Turn{Text: "two"}, llmtest.Turn{Text: "three"})
	x := d.chat("--model", "openai/test")
	x.sees("> ")
	x.types("hello\n")
	x.sees("one")
	x.sees("\n> ")
	empty := d.fill()
	x.types("hello\n") // the same words again are another prompt
	x.sees("is full")
	x.sees("1 prompt waits; Enter sends it")
	x.sees("\n> ")
	x.types("/retry\n")
	x.sees("there is nothing to go on with")
	x.sees("> ")
	x.types("\n")
	x.sees("is full")
	x.sees("\n> ")
	if n := len(s.Seen()); n != 1 {
		t.Errorf("the model was asked %d times", n)
	}
	empty()
	x.types("\n")
	x.sees("two")
	x.sees("\n> ")
	x.types("bye\n")
	x.sees("three")
	x.sees("\n> ")
	x.types("\x04")
	if code := x.ends(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	d.wantPrompts("hello", "hello", "bye")
}

// A disk that is full before the first prompt does not take it away.
func TestPlainChatBeginsOnAFullDisk(t *testing.T) {
	d := newDisk(t, "8m")
	s := d.model(llmtest.Turn{Text: "one"})
	empty := d.fill()
	x := d.chat("--model", "openai/test")
	x.sees("> ")
	x.types("hello\n")
	x.sees("is full|no space left")
	x.sees("1 prompt waits; Enter sends it")
	if n := len(s.Seen()); n != 0 {
		t.Errorf("the model was asked %d times", n)
	}
	empty()
	x.types("\n")
	x.sees("one")
	x.sees("\n> ")
	x.types("\x04")
	if code := x.ends(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	d.wantPrompts("hello")
}

// A home that cannot be written is named with what to do, and the chat goes on
// when it can be.
func TestPlainChatWithAReadOnlyHome(t *testing.T) {
	d := newDisk(t, "8m")
	d.model(llmtest.Turn{Text: "one"}, llmtest.Turn{Text: "two"})
	x := d.chat("--model", "openai/test")
	x.sees("> ")
	x.types("hello\n")
	x.sees("one")
	x.sees("\n> ")
	x.types("\x04")
	if code := x.ends(); code != 0 {
		t.Fatalf("exit status %d", code)
	}
	if err := syscall.Mount("tmpfs", d.at, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	x = d.chat("--model", "openai/test")
	x.sees("> ")
	x.types("again\n")
	x.sees("read-only file system")
	x.sees("set ML_INTERN_HOME")
	x.sees("\n> ")
	x.types("/sessions\n")
	x.sees("read-only file system")
	x.sees("\n> ")
	if err := syscall.Mount("tmpfs", d.at, "tmpfs", syscall.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	x.types("\n")
	x.sees("two")
	x.sees("\n> ")
	x.types("\x04")
	if code := x.ends(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if out, _, _ := d.run("sessions", "ls"); strings.Count(out, "\n") != 3 {
		t.Errorf("there are not two sessions:\n%s", out)
	}
}

// A damaged store, and one of a newer program, are named in the chat; nothing is
// changed, and the chat goes on when the store is whole again.
func TestPlainChatWithADamagedStore(t *testing.T) {
	t.Parallel()
	d := &disk{t: t, exe: program(t), at: t.TempDir(), dir: t.TempDir()}
	d.model(llmtest.Turn{Text: "one"}, llmtest.Turn{Text: "two"})
	x := d.chat("--model", "openai/test")
	x.sees("> ")
	x.types("hello\n")
	x.sees("one")
	x.sees("\n> ")
	x.types("\x04")
	x.ends()
	file := filepath.Join(d.at, "home", "state", "sessions.db")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	put := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	newer := append([]byte{}, whole...)
	copy(newer[60:64], []byte{0, 0, 0, 99}) // where SQLite keeps user_version
	for word, data := range map[string][]byte{"is damaged": append([]byte(strings.Repeat("damaged!", 512)), whole[4096:]...), "written by a newer ml-intern": newer} {
		put(data)
		y := d.chat("--continue")
		y.sees(word)
		if code := y.ends(); code != 1 {
			t.Errorf("--continue ends with %d", code)
		}
	}
	damaged, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	x = d.chat("--model", "openai/test")
	x.sees("> ")
	for _, line := range []string{"again", "/sessions", "/resume", "/doctor"} {
		x.types(line + "\n")
		x.sees("is damaged|written by a newer ml-intern")
		x.sees("\n> ")
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(damaged) {
		t.Errorf("the file was changed")
	}
	put(whole)
	x.types("\n")
	x.sees("two")
	x.sees("\n> ")
	x.types("\x04")
	if code := x.ends(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if out, _, _ := d.run("sessions", "ls"); strings.Count(out, "\n") != 3 {
		t.Errorf("there are not two sessions:\n%s", out)
	}
}

// A session that another process works in is not opened; the chat that asked
// for it stays where it is.
func TestPlainChatLeavesABusySessionAlone(t *testing.T) {
	t.Parallel()
	d := &disk{t: t, exe: program(t), at: t.TempDir(), dir: t.TempDir()}
	d.model(llmtest.Turn{Text: "one"}, llmtest.Turn{Text: "two"}, llmtest.Turn{Text: "three"})
	x := d.chat("--model", "openai/test")
	x.sees("> ")
	x.types("hello\n")
	x.sees("one")
	x.sees("\n> ")
	id := d.id()
	y := d.chat("--model", "openai/test")
	y.sees("> ")
	y.types("mine\n")
	y.sees("two")
	y.sees("\n> ")
	y.types("/resume " + id + "\n")
	y.sees("in use by another process")
	y.sees("> ")
	y.types("still here?\n")
	y.sees("three")
	y.sees("\n> ")
	for _, a := range []*terminal{x, y} {
		a.types("\x04")
		if code := a.ends(); code != 0 {
			t.Errorf("exit status %d", code)
		}
	}
	out, _, _ := d.run("sessions", "show", id, "--output", "events")
	if strings.Count(out, `"prompt":{`) != 1 {
		t.Errorf("the session of the other was touched:\n%s", out)
	}
}
