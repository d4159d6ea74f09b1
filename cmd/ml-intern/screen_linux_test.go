package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"ml-intern/internal/chat"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/tui"
)

// onScreen opens the full-screen chat on a terminal of 80 by 24 cells.
func onScreen(t *testing.T, l *lab, args ...string) *terminal {
	t.Helper()
	l.env = append(l.env, "TERM=xterm-256color")
	x := onTTY(t, l.command(args...))
	if err := unix.IoctlSetWinsize(int(x.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	x.sees("say what to train")
	return x
}

// isClean checks that the terminal is as a shell wants it: the first screen is
// back, the cursor is seen, keys come as lines and are echoed.
func (x *terminal) isClean() {
	x.Helper()
	state, err := unix.IoctlGetTermios(int(x.master.Fd()), unix.TCGETS)
	if err != nil {
		x.Fatal(err)
	}
	if state.Lflag&unix.ICANON == 0 || state.Lflag&unix.ECHO == 0 || state.Iflag&unix.ICRNL == 0 {
		x.Errorf("the terminal is raw: %+v", state)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, pair := range [][2]string{{"\x1b[?1049h", "\x1b[?1049l"}, {"\x1b[?25l", "\x1b[?25h"}, {"\x1b[?2004h", "\x1b[?2004l"}} {
		if on, off := bytes.LastIndex(x.out, []byte(pair[0])), bytes.LastIndex(x.out, []byte(pair[1])); off < on {
			x.Errorf("%q was not undone:\n%q", pair[0], last(x.out, 400))
		}
	}
	if i := bytes.Index(x.out, []byte("owned")); i >= 0 && bytes.Contains(x.out, []byte("\x1b]0;owned")) {
		x.Error("a reply set the title of the window")
	}
}

// However the screen ends, the terminal is given back, the session is saved, and
// the person is told how to go on.
func TestScreenGivesTheTerminalBack(t *testing.T) {
	t.Parallel()
	signal := func(s syscall.Signal) func(*terminal) {
		return func(x *terminal) { _ = x.cmd.Process.Signal(s) }
	}
	for _, c := range []struct {
		name string
		end  func(*terminal)
		code int
	}{
		{"ctrl+d", func(x *terminal) { x.types("\x04") }, 0},
		{"ctrl+c twice", func(x *terminal) { x.types("\x03"); x.sees("Ctrl\\+C"); x.types("\x03") }, 0},
		{"/quit", func(x *terminal) { x.types("/quit"); x.sees("/quit"); x.types("\r") }, 0},
		{"terminated", signal(syscall.SIGTERM), 130},
		{"hung up", signal(syscall.SIGHUP), 130},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, _ := chatLab(t, llmtest.Turn{Text: "the *answer* \x1b]0;owned\x07is\x1b[2J fortytwo", Chunk: 4, PaceMS: 5})
			x := onScreen(t, l, "--model", "openai/test")
			x.types("the question\r")
			x.sees("tokens spent")
			c.end(x)
			x.sees(`session \S+; go on with: ml-intern --resume`)
			if code := x.ends(); code != c.code {
				t.Errorf("exit status %d, want %d", code, c.code)
			}
			x.isClean()
		})
	}
}

// The person's own editor has the terminal for itself; when it is killed, the
// prompt is as it was.
func TestScreenAndEditor(t *testing.T) {
	t.Parallel()
	l, _ := chatLab(t, llmtest.Turn{Text: "done"})
	editor := filepath.Join(l.dir, "editor")
	script := "#!/bin/sh\nif grep -q die \"$1\"; then kill -9 $$; fi\nstty -a | grep -q ' icanon' && printf 'edited text' > \"$1\"\n"
	if err := os.WriteFile(editor, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	l.env = append(l.env, "EDITOR="+editor)
	x := onScreen(t, l, "--model", "openai/test")
	x.types("die")
	x.sees("die")
	x.types("\x07")
	x.sees("killed") // a word of a line that the screen breaks where it must
	x.types("\x15live")
	x.sees("live")
	x.types("\x07")
	x.sees("edited text")
	x.types("\r")
	x.sees("done")
	x.types("\x04")
	if code := x.ends(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	x.isClean()
	if data, err := os.ReadFile(filepath.Join(l.dir, "home", "state", "prompts.jsonl")); err == nil && !strings.Contains(string(data), "edited text") {
		t.Errorf("the history has %q", data)
	}
}

// A panic of the screen's own code gives the terminal back: in what draws, in
// what obeys a key, and beside the loop.
func TestScreenThatPanics(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"draw", "key", "open"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			c := exec.Command(os.Args[0], "-test.run=^TestPanicOfTheScreen$", "-test.count=1")
			c.Env = append(os.Environ(), "TERM=xterm-256color", panicVariable+"="+where)
			x := onTTY(t, c)
			if where == "key" {
				x.sees("say what to train")
				x.types("\x07")
			}
			x.sees("nobody thought of it")
			x.sees("the screen has ended")
			x.ends()
			x.isClean()
		})
	}
}

const panicVariable = "ML_INTERN_TEST_PANIC"

// TestPanicOfTheScreen is the program of TestScreenThatPanics.
func TestPanicOfTheScreen(t *testing.T) {
	where := os.Getenv(panicVariable)
	if where == "" {
		t.Skip("runs on a terminal of TestScreenThatPanics")
	}
	_, err := tui.Run(t.Context(), tui.Options{
		In: os.Stdin, Out: os.Stdout, Dir: "/work",
		Open: func(ctx context.Context) (*chat.Chat, error) {
			if where == "open" {
				panic("nobody thought of it")
			}
			<-ctx.Done()
			return nil, ctx.Err()
		},
		Env: func(name string) string {
			if where == "draw" && name == "HOME" || where == "key" && name == "VISUAL" {
				panic("nobody thought of it")
			}
			return ""
		},
	})
	if err == nil || !strings.Contains(err.Error(), "the screen failed") {
		t.Errorf("error %v", err)
	}
	os.Stderr.WriteString("the screen has ended\n")
}
