package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ml-intern/internal/llm/llmtest"
)

// A terminal is a program on a terminal of its own, and what it printed there.
type terminal struct {
	*testing.T
	cmd    *exec.Cmd
	master *os.File
	ended  chan error

	mu  sync.Mutex
	out []byte
	at  int // what was waited for ends there
}

// onTTY starts the command on a terminal.
func onTTY(t *testing.T, c *exec.Cmd) *terminal {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	master := os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	x := &terminal{T: t, cmd: c, master: master, ended: make(chan error, 1)}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			x.mu.Lock()
			x.out = append(x.out, buf[:n]...)
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	go func() { x.ended <- c.Wait() }()
	t.Cleanup(func() { _ = c.Process.Kill() })
	return x
}

// sees waits until the text is printed, after what was seen before.
func (x *terminal) sees(pattern string) {
	x.Helper()
	re := regexp.MustCompile(pattern)
	for late := time.Now().Add(time.Minute); time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
		x.mu.Lock()
		found := re.FindIndex(x.out[x.at:])
		if found != nil {
			x.at += found[1]
		}
		x.mu.Unlock()
		if found != nil {
			return
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.Fatalf("no %q after %q; all of it:\n%s", pattern, last(x.out[:x.at], 60), x.out)
}

func last(b []byte, n int) []byte { return b[max(len(b)-n, 0):] }

// types types keys.
func (x *terminal) types(keys string) {
	x.Helper()
	if _, err := x.master.WriteString(keys); err != nil {
		x.Fatal(err)
	}
}

// ends waits for the end and returns the exit status.
func (x *terminal) ends() int {
	x.Helper()
	select {
	case err := <-x.ended:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			x.Fatal(err)
		}
		return x.cmd.ProcessState.ExitCode()
	case <-time.After(time.Minute):
		x.Fatalf("it does not end:\n%s", x.out)
	}
	return -1
}

// chatLab is a person's machine with a model that makes the turns.
func chatLab(t *testing.T, turns ...llmtest.Turn) (*lab, *llmtest.Server) {
	t.Helper()
	s := llmtest.NewServer(turns...)
	t.Cleanup(s.Close)
	l := newLab(t, buildProgram(t), nil)
	l.env = append(l.env, "OPENAI_BASE_URL="+s.URL, "OPENAI_API_KEY=x", "TERM=dumb")
	return l, s
}

func bash(line string) llmtest.Turn {
	return llmtest.Turn{Calls: []llmtest.TurnCall{{Name: "bash", Args: fmt.Sprintf(`{"command": %q}`, line)}}}
}

// The chat line by line: an answer streams, a call is asked about, changed and
// run, words reach a turn at work, Ctrl-C stops one, commands work, Ctrl-D ends.
func TestPlainChat(t *testing.T) {
	t.Parallel()
	l, _ := chatLab(
		t,
		llmtest.Turn{Text: "hello \x1b[31mthere", Chunk: 3, PaceMS: 20}, bash("echo one > f"), llmtest.Turn{Text: "written"},
		bash("until [ -e gate ]; do sleep 0.05; done"), llmtest.Turn{Text: "blue then"}, bash("sleep 60"), llmtest.Turn{Text: "on we go"},
	)
	x := onTTY(t, l.command("--plain", "--model", "openai/test", "--approve", "strict"))
	x.sees(`ml-intern in .*/w, model openai/test; /help lists commands`)
	x.sees("> ")
	x.types("hi\n")
	x.sees(`hello \[31mthere`)
	x.sees("\n> ")
	x.types("write f\n")
	x.sees(`\? bash`)
	x.sees(`\| echo one > f`)
	x.sees(`allow it\? \[y: this call / s: for this session / a: always / N / n REASON / e: change it\] `)
	x.types("e\n")
	x.sees(`one line of JSON: `)
	x.types(`{"command": "echo two > f"}` + "\n")
	x.sees(`\| echo two > f`)
	x.types("y\n")
	x.sees("written")
	x.sees("\n> ")
	if text, err := os.ReadFile(filepath.Join(l.dir, "w", "f")); err != nil || string(text) != "two\n" {
		t.Errorf("the file has %q, %v", text, err)
	}
	x.types("/approve auto\n")
	x.sees("approval `auto`")
	x.types("paint\n")
	x.sees(`> bash until`)
	x.types(">rather blue\n")
	x.types("/cost\n") // when it is there, the words are
	x.sees(`\| step \| openai/test \|`)
	if err := os.WriteFile(filepath.Join(l.dir, "w", "gate"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	x.sees("said now: rather blue")
	x.sees("blue then")
	x.sees("\n> ")
	x.types("/nex\n")
	x.sees(`there is no command /nex; did you mean /new\?`)
	x.sees("> ")
	x.types("wait\n")
	x.sees("> bash sleep 60")
	start := time.Now()
	x.types("\x03")
	x.sees("/retry goes on")
	if took := time.Since(start); took > 30*time.Second { // the command sleeps for twice that
		t.Errorf("stopping took %s", took)
	}
	x.sees("\n> ")
	x.types("/retry\n")
	x.sees("on we go")
	x.sees("\n> ")
	x.types("/cost\n")
	x.sees(`\| step \| openai/test \| 7 \|`)
	x.sees("> ")
	x.types("!echo mine\n")
	x.sees("\nmine")
	x.sees("> ")
	x.types("!echo be''gun; sleep 600\n")
	x.sees("\nbegun")
	x.types("\x03")
	x.sees("stopped")
	x.sees("\n> ")
	x.types("\x04")
	x.sees(`session \S+; go on with: ml-intern --resume`)
	if code := x.ends(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// Ctrl-C at a question takes it back, with the file in which it was to be changed.
func TestPlainChatTakesAQuestionBack(t *testing.T) {
	t.Parallel()
	l, _ := chatLab(t, bash("true"))
	tmp := filepath.Join(l.dir, "tmp")
	l.env = append(l.env, "TMPDIR="+tmp)
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	x := onTTY(t, l.command("--plain", "--model", "openai/test", "--approve", "strict"))
	x.sees("> ")
	x.types("ask\n")
	x.sees(`e: change it\] `)
	x.types("e\n")
	x.sees(`arguments.json and press Enter`)
	x.types("\x03")
	x.sees("/retry goes on")
	x.sees("\n> ")
	if left, err := filepath.Glob(filepath.Join(tmp, "ml-intern-*", "arguments.json")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	x.types("\x04")
	if code := x.ends(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// Killed in the middle, the chat goes on where the log ends.
func TestPlainChatSurvivesAKill(t *testing.T) {
	t.Parallel()
	l, _ := chatLab(t, bash("echo one >> f; sleep 60"), llmtest.Turn{Text: "it was cut off"}, llmtest.Turn{Text: "fine"})
	x := onTTY(t, l.command("--plain", "--model", "openai/test"))
	x.sees("> ")
	x.types("write\n")
	x.sees("> bash echo one")
	other := onTTY(t, l.command("--plain", "--continue"))
	other.sees("in use by another process")
	if code := other.ends(); code != 1 {
		t.Errorf("a second one ends with %d", code)
	}
	if err := x.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	x.ends()
	x = onTTY(t, l.command("--continue"))
	x.sees(`session \S+ in`)
	x.sees("the last prompt has no answer yet: /retry goes on with it")
	x.types("/retry\n")
	x.sees("it was cut off")
	x.sees("\n> ")
	x.types("and?\n")
	x.sees("fine")
	x.sees("\n> ")
	x.types("\x03")
	x.sees("Ctrl-C once more")
	x.types("\x03")
	if code := x.ends(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if text, err := os.ReadFile(filepath.Join(l.dir, "w", "f")); err != nil || strings.Count(string(text), "one") != 1 {
		t.Errorf("the file has %q, %v", text, err)
	}
}

// A limit is waited out, a lost network ends the turn and not the chat.
func TestPlainChatWithoutAModel(t *testing.T) {
	t.Parallel()
	l, s := chatLab(t, llmtest.Turn{Status: 429, RetryAfter: "1"}, llmtest.Turn{Text: "there"})
	x := onTTY(t, l.command("--plain", "--model", "openai/test"))
	x.sees("> ")
	x.types("hi\n")
	x.sees(`429.*asking again in 1s`)
	x.sees("there")
	x.sees("\n> ")
	s.Close()
	x.types("and now?\n")
	x.sees("asking again in")
	x.types("\x03")
	x.sees("/retry goes on")
	x.sees("\n> ")
	x.types("/quit\n")
	if code := x.ends(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}
