package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ml-intern/internal/llm/llmtest"
)

// The tests of the full screen run the program in tmux, a real terminal: keys
// go in, screens come out and are compared as text. `make test-tui` runs them;
// ML_INTERN_TEST_TUI=update writes the screens anew.

// A size is that of a terminal.
type size struct{ w, h int }

func (s size) String() string { return fmt.Sprintf("%dx%d", s.w, s.h) }

var sizes = []size{{40, 15}, {80, 24}, {200, 50}}

// A pane is a terminal with a shell, in a home of its own.
type pane struct {
	*testing.T
	home, socket string
	size         size
	env          []string
}

// onScreens runs a test on a terminal of each size.
func onScreens(t *testing.T, test func(p *pane)) {
	if os.Getenv("ML_INTERN_TEST_TUI") == "" {
		t.Skip("needs tmux: run make test-tui")
	}
	for _, s := range sizes {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			test(newPane(t, s))
		})
	}
}

func newPane(t *testing.T, s size) *pane {
	t.Helper()
	// Of one length on every machine: a longer path breaks lines elsewhere.
	base := fmt.Sprintf("/tmp/tui%09d", rand.IntN(1e9))
	if err := os.Mkdir(base, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	p := &pane{T: t, home: filepath.Join(base, "home"), socket: filepath.Join(base, "tmux"), size: s}
	if err := os.MkdirAll(filepath.Join(p.home, "work"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.env = []string{
		"HOME=" + p.home, "ML_INTERN_HOME=" + filepath.Join(p.home, "state"), "PATH=" + filepath.Dir(buildProgram(t)) + ":/usr/bin:/bin",
		"LANG=C.UTF-8", "PS1=$ ", "SHELL=/bin/sh", "COLORTERM=truecolor",
	}
	return p
}

// start opens the terminal, in which a shell waits.
func (p *pane) start() {
	p.Helper()
	conf := filepath.Join(p.home, "tmux.conf")
	text := "set -g status off\nset -g default-terminal tmux-256color\nset -s escape-time 0\nset -g default-shell /bin/sh\nset -g default-command 'exec /bin/sh'\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		p.Fatal(err)
	}
	p.tmux("-u", "-f", conf, "new-session", "-d", "-x", fmt.Sprint(p.size.w), "-y", fmt.Sprint(p.size.h), "-c", filepath.Join(p.home, "work"))
	p.Cleanup(func() { _ = p.command("kill-server").Run() })
	p.see(`^\$$`)
}

func (p *pane) command(args ...string) *exec.Cmd {
	c := exec.Command("tmux", append([]string{"-S", p.socket}, args...)...)
	c.Env = append([]string{"TERM=xterm-256color"}, p.env...)
	return c
}

func (p *pane) tmux(args ...string) string {
	p.Helper()
	out, err := p.command(args...).CombinedOutput()
	if err != nil {
		p.Fatalf("tmux %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// keys presses keys by tmux's names: Enter, Escape, C-c, M-Enter.
func (p *pane) keys(names ...string) {
	p.Helper()
	p.tmux(append([]string{"send-keys", "--"}, names...)...)
}

// types types text.
func (p *pane) types(text string) {
	p.Helper()
	p.tmux("send-keys", "-l", "--", text)
}

// says types a line and sends it.
func (p *pane) says(text string) {
	p.Helper()
	p.types(text)
	p.keys("Enter")
}

// pastes pastes text as a terminal does.
func (p *pane) pastes(text string) {
	p.Helper()
	c := p.command("load-buffer", "-")
	c.Stdin = strings.NewReader(text)
	if out, err := c.CombinedOutput(); err != nil {
		p.Fatalf("load text to paste: %v\n%s", err, out)
	}
	p.tmux("paste-buffer", "-p")
}

// screen is what stands on the terminal.
func (p *pane) screen() string {
	p.Helper()
	var b strings.Builder
	for l := range strings.Lines(p.tmux("capture-pane", "-p")) {
		b.WriteString(strings.TrimRight(l, " \n") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// patience is how long a screen may take on a busy machine.
const patience = 90 * time.Second

// see waits until the screen has a text, and returns it when nothing moves but
// what is volatile: a spinner never stands still.
func (p *pane) see(pattern string) string {
	p.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	last := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		now := p.screen()
		if masked(now) == masked(last) && re.MatchString(now) {
			return now
		}
		last = now
	}
	p.Fatalf("no %q on the screen:\n%s", pattern, last)
	return ""
}

// gone waits until the screen has a text no more.
func (p *pane) gone(pattern string) string {
	p.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	last := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		now := p.screen()
		if masked(now) == masked(last) && !re.MatchString(now) {
			return now
		}
		last = now
	}
	p.Fatalf("still %q on the screen:\n%s", pattern, last)
	return ""
}

// asks is tmux's answer about the terminal.
func (p *pane) asks(format string) string {
	p.Helper()
	return strings.TrimSpace(p.tmux("display-message", "-p", format))
}

// volatile is what differs between runs, and what stands for it.
var volatile = []struct {
	pattern *regexp.Regexp
	mask    string
}{
	{regexp.MustCompile(`/tmp/tui[0-9]{9}/home`), "~"},
	{regexp.MustCompile(`\b[0-9]{6,8}-[0-9]{4,6}-[0-9a-z]+(-[0-9a-f]{8})?\b`), "«ID»"},
	{regexp.MustCompile(`127\.0\.0\.1:[0-9]+`), "«ADDRESS»"},
	{regexp.MustCompile(`\b[0-9]{2}:[0-9]{2}:[0-9]{2}\b`), "«CLOCK»"},
	{regexp.MustCompile(`[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] `), "⠿ "},
	{regexp.MustCompile(`\b[0-9.]+[km]? tokens spent`), "«N» tokens spent"},
	{regexp.MustCompile(` · [0-9]+%( of [0-9]+k)?`), " · «N»%$1"},
	{regexp.MustCompile(` · local Hub`), ""}, // it comes when the conversation is open
	{regexp.MustCompile(`\b[0-9]+(\.[0-9]+)? ?(ms|s|m)\b( [0-9]+ ?s\b)?`), "«TIME»"},
}

// slow is what a call that is over says more, and elsewhere, when it took longer
// than a second, as any may where much else runs.
var slow = []struct {
	pattern *regexp.Regexp
	mask    string
}{
	{regexp.MustCompile(`(?m)^(  [✓✗] .*[^\s,]),? *«TIME» *$`), "$1"},
	{regexp.MustCompile(`(?m)^(  [✓✗] .{20}).*…$`), "$1…"}, // it is cut sooner
	{regexp.MustCompile(`(?m)^( +exit [0-9]+), «TIME»$`), "$1"},
}

// masked is a screen without what differs between runs.
func masked(screen string) string {
	for _, v := range volatile {
		screen = v.pattern.ReplaceAllString(screen, v.mask)
	}
	screen = beside.ReplaceAllString(screen, "$1 $2$3 $4")
	for _, v := range slow {
		screen = v.pattern.ReplaceAllString(screen, v.mask)
	}
	return screen
}

// golden compares the screen with the one that was kept. What is masked may be
// of another length in each run, and so may the space beside it.
func (p *pane) golden(name, screen string) {
	p.Helper()
	screen = masked(screen)
	file := filepath.Join("testdata", "screens", name+"-"+p.size.String()+".txt")
	if os.Getenv("ML_INTERN_TEST_TUI") == "update" {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			p.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(screen), 0o600); err != nil {
			p.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		p.Fatal(err)
	}
	if diff := cmp.Diff(string(want), screen); diff != "" {
		p.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

var beside = regexp.MustCompile(`(\S) {2,}(«[A-Z]+»)|(«[A-Z]+») {2,}(\S)`)

// model gives the terminal's programs a model that answers with the turns.
func (p *pane) model(turns ...llmtest.Turn) *llmtest.Server {
	s := llmtest.NewServer(turns...)
	p.Cleanup(s.Close)
	return p.served(s)
}

func (p *pane) served(s *llmtest.Server) *llmtest.Server {
	p.env = append(p.env, "OPENAI_BASE_URL="+s.URL, "OPENAI_API_KEY=x")
	return s
}

// gated is a model like the others, but each of its answers waits for a word.
func (p *pane) gated(turns ...llmtest.Turn) (s *llmtest.Server, next func()) {
	gate := make(chan struct{}, len(turns))
	s = llmtest.NewServerFunc(func(n int) (llmtest.Turn, bool) {
		if n >= len(turns) {
			return llmtest.Turn{}, false
		}
		<-gate
		return turns[n], true
	})
	p.Cleanup(func() {
		close(gate)
		s.Close()
	})
	return p.served(s), func() { gate <- struct{}{} }
}

// chats starts the program on a started terminal.
func (p *pane) chats(args ...string) {
	p.Helper()
	p.says(strings.Join(append([]string{"clear; ml-intern", "--model", "openai/test"}, args...), " "))
	p.see(`^❯`)
}

// file writes a file in the workspace.
func (p *pane) file(name, text string) {
	p.Helper()
	if err := os.WriteFile(filepath.Join(p.home, "work", name), []byte(text), 0o600); err != nil {
		p.Fatal(err)
	}
}

// log is the latest session's, as JSON lines.
func (p *pane) log() string {
	p.Helper()
	run := func(args ...string) []byte {
		c := exec.Command(buildProgram(p.T), args...)
		c.Dir, c.Env = filepath.Join(p.home, "work"), p.env
		out, err := c.Output()
		if err != nil {
			p.Fatalf("ml-intern %v: %v", args, err)
		}
		return out
	}
	id := regexp.MustCompile(`"id": ?"([^"]+)"`).FindSubmatch(run("sessions", "ls", "--json"))
	if id == nil {
		p.Fatal("there is no session")
	}
	return string(run("sessions", "export", string(id[1]), "--format", "jsonl"))
}

// leaves quits at an empty prompt, and looks whether the terminal is as it was.
func (p *pane) leaves() {
	p.Helper()
	p.keys("C-d")
	p.clean()
}

// clean waits for the shell and looks at what a program may leave behind.
func (p *pane) clean() {
	p.Helper()
	p.see(`\$$`)
	if got := p.asks("#{alternate_on}#{mouse_any_flag}#{bracket_paste_flag} #{cursor_flag} #{pane_current_command}"); got != "00 1 sh" && got != "000 1 sh" {
		p.Errorf("the terminal is left with %q", got)
	}
	p.says("stty -a | tr ' ;' '\\n\\n' | grep -xE -- '-?(echo|icanon|isig)' | tr '\\n' ' '; echo en''d") // the line itself does not end so
	if got := p.see(`end$`); !strings.Contains(got, "isig icanon echo") {
		p.Errorf("the terminal's modes:\n%s", got)
	}
}
