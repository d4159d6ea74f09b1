package bench_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/llm/llmtest"
)

// A world is what the measurements share: the programs, and folders to work in.
type world struct {
	*testing.T
	dir       string // temporary, on the disk that is measured
	workspace string
	ours      agent
	floor     agent
}

// An agent is a program that takes a prompt as its last argument.
type agent struct {
	name string
	exe  string
	args []string
}

// newWorld builds the floor agent and makes the folders.
func newWorld(t *testing.T, exe string) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{
		T: t, dir: dir, workspace: filepath.Join(dir, "workspace"),
		ours:  agent{"ml-intern", filepath.Join(dir, "ml-intern"), []string{"--model", "openai/test", "--quiet", "--approve", "auto"}},
		floor: agent{"floor agent", filepath.Join(dir, "floor"), nil},
	}
	if err := os.Mkdir(w.workspace, 0o755); err != nil {
		t.Fatal(err)
	}
	copyProgram(t, exe, w.ours.exe)
	built := filepath.Join(dir, "built")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", built, "./floor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build floor agent: %v\n%s", err, out)
	}
	copyProgram(t, built, w.floor.exe)
	return w
}

// copyProgram writes a program anew, a page at a time. Of a file that the kernel
// keeps in larger pieces, as it does from one run of the linker to another, it
// maps up to 2 MB where one byte is touched: the same program then has 39 to 51
// MB. Written so, it is 64 KB, which is what a kernel without large pages of
// files does.
func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 4<<10))
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		t.Fatal(err)
	}
}

// home makes an empty folder for the program's state.
func (w *world) home() string {
	w.Helper()
	dir, err := os.MkdirTemp(w.dir, "home-")
	if err != nil {
		w.Fatal(err)
	}
	return dir
}

func (w *world) command(home, url, exe string, args ...string) *exec.Cmd {
	c := exec.CommandContext(w.Context(), exe, args...)
	c.Dir = w.workspace
	c.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "ML_INTERN_HOME=" + home,
		"OPENAI_BASE_URL=" + url, "OPENAI_API_KEY=x",
	}
	return c
}

// A script answers the request number n.
type script func(n int, body []byte) llmtest.Turn

// serve starts an endpoint on loopback that plays the script.
func serve(play script) *llmtest.Server {
	var s *llmtest.Server
	made := make(chan struct{})
	s = llmtest.NewServerFunc(func(n int) (llmtest.Turn, bool) {
		<-made
		return play(n, s.Seen()[n].Body), true
	})
	close(made)
	return s
}

// A run is what was seen of one process.
type run struct {
	began time.Time
	seen  []llmtest.Seen
	cpu   time.Duration // with the commands that it ran
}

// firstRequest is how long the process took until its first request was there.
func (r run) firstRequest() time.Duration { return r.seen[0].Arrived.Sub(r.began) }

// gaps are the times from the last byte of a reply to the next request, from
// the reply number first on.
func (r run) gaps(first int) []time.Duration {
	var gaps []time.Duration
	for i := first; i+1 < len(r.seen); i++ {
		gaps = append(gaps, r.seen[i+1].Arrived.Sub(r.seen[i].Sent))
	}
	return gaps
}

// run lets the agent answer one prompt.
func (w *world) run(a agent, home string, play script, args ...string) run {
	w.Helper()
	r, _ := w.watch(a, home, play, func(int) {}, args...)
	return r
}

// peakOf is run, with an eye on the memory: all of it, and without what is
// mapped of files.
func (w *world) peakOf(a agent, home string, play script, args ...string) (all, own float64) {
	w.Helper()
	w.watch(a, home, play, func(pid int) { all, own = peaks(pid) }, args...)
	return all, own
}

// watch runs the agent beside look, which gets its process id.
func (w *world) watch(a agent, home string, play script, look func(pid int), args ...string) (r run, output string) {
	w.Helper()
	s := serve(play)
	defer s.Close()
	c := w.command(home, s.URL, a.exe, slices.Concat(a.args, args)...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	r.began = time.Now()
	if err := c.Start(); err != nil {
		w.Fatal(err)
	}
	var watch sync.WaitGroup
	watch.Go(func() { look(c.Process.Pid) })
	err := c.Wait()
	watch.Wait()
	r.seen = s.Seen()
	if err != nil || len(r.seen) == 0 {
		w.Fatalf("%s asked %d times and ended with %v\n%s", a.name, len(r.seen), err, out.String())
	}
	r.cpu = c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	return r, out.String()
}

// peakMemory is the first of peaks.
func peakMemory(pid int) float64 {
	all, _ := peaks(pid)
	return all
}

// peaks polls the kernel's high-water mark until the process has ended, and
// what was seen of memory that is no file's. The maximum in the exit status will
// not do: it counts the parent's memory up to exec. They are 0 where there is no
// /proc.
func peaks(pid int) (all, own float64) {
	for {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return all, own
		}
		now, ok := statusMB(string(status), "VmHWM:")
		if !ok {
			return all, own // a zombie has no memory any more
		}
		all = now
		now, _ = statusMB(string(status), "RssAnon:")
		own = max(own, now)
		time.Sleep(2 * time.Millisecond)
	}
}

// statusMB reads a size from a process's status.
func statusMB(status, name string) (mb float64, ok bool) {
	_, rest, _ := strings.Cut(status, name)
	if fields := strings.Fields(rest); len(fields) > 0 {
		kb, err := strconv.ParseFloat(fields[0], 64)
		return kb * 1024 / 1e6, err == nil
	}
	return 0, false
}

// bash is a turn that runs shell lines, each as a call of its own.
func bash(lines ...string) llmtest.Turn {
	var turn llmtest.Turn
	for _, line := range lines {
		args, err := json.Marshal(map[string]string{"command": line})
		if err != nil {
			panic(err) // strings have JSON
		}
		turn.Calls = append(turn.Calls, llmtest.TurnCall{Name: "bash", Args: string(args)})
	}
	return turn
}

// echoes plays the turns, then n steps of one echo each, then an answer.
func echoes(n int, before ...llmtest.Turn) script {
	return func(i int, _ []byte) llmtest.Turn {
		switch {
		case i < len(before):
			return before[i]
		case i < len(before)+n:
			return bash(fmt.Sprintf("echo %d", i))
		}
		return llmtest.Turn{Text: "done"}
	}
}

// resultSize stays below what one tool result may have.
const resultSize = 25_000

// history is turns whose tool results are about so many bytes in all.
func history(size int) []llmtest.Turn {
	var turns []llmtest.Turn
	for calls := size / resultSize; calls > 0; calls -= 8 {
		var lines []string
		for i := range min(calls, 8) {
			lines = append(lines, fmt.Sprintf(`yes 'result %d of %d: "some words", 3.14159, more' | head -c %d`, i, calls, resultSize))
		}
		turns = append(turns, bash(lines...))
	}
	return turns
}
