package bench_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// screen measures the full screen in tmux on a session of 10,000 events: frames
// while PgUp is held and then PgDn, and the most memory at its start.
func (w *world) screen() []row {
	if _, err := exec.LookPath("tmux"); err != nil {
		w.Log("screen: tmux is missing")
		return nil
	}
	t := w.watched(w.seed(6_600, 5_000_000, false)) // three events for two messages
	defer t.close()
	t.quiet()
	began, seen := time.Now(), len(t.frames())
	const keys = 600
	tick := time.NewTicker(16 * time.Millisecond)
	defer tick.Stop()
	for i := range keys {
		<-tick.C
		t.say("send-keys " + []string{"PPage", "NPage"}[i/50%2]) // 50 pages up, 50 down
	}
	took := time.Since(began)
	frames := t.frames()[seen:]
	var gaps []time.Duration
	for i := 1; i < len(frames); i++ {
		gaps = append(gaps, frames[i].Sub(frames[i-1]))
	}
	if len(gaps) == 0 {
		w.Fatal("PgUp draws nothing")
	}
	t.say("send-keys C-Home")
	t.quiet()
	peak := t.peak()
	fps := float64(len(frames)) / took.Seconds()
	return []row{
		{"screen", "frames while PgUp or PgDn is held, 10,000 events, 200 by 50 cells in tmux", fmt.Sprintf("%.0f a second, from one to the next %s in the median, %s at 95 %%; n = %d",
			fps, ms(median(gaps)), ms(quantile(gaps, 0.95)), len(frames)), "60 a second", holds(fps >= 58)}, // the ticks of both sides differ
		{"screen", "most memory (VmHWM), with a jump to its start", fmt.Sprintf("%.0f MB", peak), "120 MB", verdict(peak, 120)},
	}
}

// A tmuxPane is the program in a pane, with a client that hears what it writes.
type tmuxPane struct {
	w      *world
	socket string
	in     io.WriteCloser
	client *exec.Cmd
	ask    chan chan []time.Time
	ended  chan struct{}
}

// watched starts the program in tmux.
func (w *world) watched(home string) *tmuxPane {
	w.Helper()
	t := &tmuxPane{w: w, socket: filepath.Join(home, "tmux"), ask: make(chan chan []time.Time), ended: make(chan struct{})}
	start := w.command(home, "http://127.0.0.1:9", "tmux", "-u", "-S", t.socket, "-f", "/dev/null", "new-session", "-d", "-x", "200", "-y", "50",
		w.ours.exe, "--model", "openai/test", "--continue")
	start.Env = append(start.Env, "TERM=xterm-256color", "LANG=C.UTF-8")
	if out, err := start.CombinedOutput(); err != nil {
		w.Fatalf("start tmux: %v\n%s", err, out)
	}
	t.client = exec.CommandContext(w.Context(), "tmux", "-S", t.socket, "-C", "attach")
	t.client.Env = append(os.Environ(), "TERM=xterm-256color")
	var err error
	if t.in, err = t.client.StdinPipe(); err != nil {
		w.Fatal(err)
	}
	out, err := t.client.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	if err := t.client.Start(); err != nil {
		w.Fatal(err)
	}
	go t.listen(out)
	return t
}

// listen notes when frames come: what is written within 4 ms is one.
func (t *tmuxPane) listen(out io.Reader) {
	defer close(t.ended)
	lines := make(chan time.Time, 1024)
	go func() {
		defer close(lines)
		for r := bufio.NewReader(out); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if strings.HasPrefix(line, "%output ") {
				lines <- time.Now()
			}
		}
	}()
	var frames []time.Time
	var last time.Time
	for {
		select {
		case at, ok := <-lines:
			if !ok {
				return
			}
			if at.Sub(last) > 4*time.Millisecond {
				frames = append(frames, at)
			}
			last = at
		case reply := <-t.ask:
			reply <- frames[:len(frames):len(frames)]
		}
	}
}

func (t *tmuxPane) frames() []time.Time {
	reply := make(chan []time.Time, 1)
	select {
	case t.ask <- reply:
		return <-reply
	case <-t.ended:
		t.w.Fatal("tmux has ended")
		return nil
	}
}

// quiet waits until a second brings no frame.
func (t *tmuxPane) quiet() {
	for n := -1; ; time.Sleep(time.Second) {
		now := len(t.frames())
		if now > 0 && now == n {
			return
		}
		n = now
	}
}

func (t *tmuxPane) say(command string) {
	if _, err := io.WriteString(t.in, command+"\n"); err != nil {
		t.w.Fatal(err)
	}
}

// peak is the most memory that the program has had, in MB.
func (t *tmuxPane) peak() float64 {
	out, err := exec.Command("tmux", "-S", t.socket, "display", "-p", "#{pane_pid}").Output()
	if err != nil {
		t.w.Fatal(err)
	}
	data, err := os.ReadFile("/proc/" + strings.TrimSpace(string(out)) + "/status")
	if err != nil {
		t.w.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	kb, err := strconv.Atoi(strings.Fields(rest + " x")[0])
	if err != nil {
		t.w.Fatal(err)
	}
	return float64(kb) / 1000
}

func (t *tmuxPane) close() {
	_ = exec.Command("tmux", "-S", t.socket, "kill-server").Run()
	_ = t.in.Close()
	<-t.ended
	_ = t.client.Wait()
}
