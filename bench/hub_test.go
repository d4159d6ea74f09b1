package bench_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubtest"
)

// A hubWorld is a Hub in a process of its own and the two clients of it.
type hubWorld struct {
	*testing.T
	url    string
	dir    string // the server's
	pid    int
	client string
	python string
	work   string
}

// A load is what is transferred.
type load struct {
	name   string
	files  int
	size   int64
	rounds int
}

// A transfer is what one client took for one load.
type transfer struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu"`  // seconds, without the start of the process
	Peak    float64 `json:"peak"` // MB

	server, serverCPU float64
}

// TestHub measures uploads and downloads with the official client and with
// ours, in turns, against one server process, and prints a table in Markdown.
func TestHub(t *testing.T) {
	program := os.Getenv("BENCH_HUB_PROGRAM")
	if program == "" {
		t.Skip("this is `make bench-hub`")
	}
	w := newHubWorld(t, program)
	mb := number("BENCH_HUB_MB", 2000)
	loads := []load{
		{"2,000 × 20 KB", 2000, 20_000, number("BENCH_HUB_ROUNDS", 5)},
		{fmt.Sprintf("1 × %d MB", mb), 1, int64(mb) * 1_000_000, number("BENCH_HUB_BIG_ROUNDS", 3)},
	}
	fmt.Printf("%s\n\n", machine())
	fmt.Println("| what | ml-intern | Python | ratio | CPU, client + server | with Python | ratio | peak MB, client + server | with Python |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|")
	for _, l := range loads {
		if wanted("upload", l) || wanted("download", l) {
			w.measure(l)
		}
	}
}

func (l load) title(action string) string { return action + ", " + l.name }

func wanted(action string, l load) bool {
	return strings.Contains(l.title(action), os.Getenv("BENCH_ONLY"))
}

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

func newHubWorld(t *testing.T, program string) *hubWorld {
	t.Helper()
	w := &hubWorld{T: t, dir: t.TempDir(), work: t.TempDir(), python: hubtest.Python(t)}
	var err error
	if w.client, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	addr := filepath.Join(w.work, "addr")
	serve := exec.CommandContext(t.Context(), program, "hub", "serve", "--dir", w.dir, "--addr", "127.0.0.1:0", "--addr-file", addr)
	serve.Env = append(os.Environ(), "ML_INTERN_HOME="+w.work)
	serve.Cancel = func() error { return serve.Process.Signal(os.Interrupt) }
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = serve.Wait() })
	w.pid = serve.Process.Pid
	for range 1000 {
		if text, err := os.ReadFile(addr); err == nil && len(text) > 0 {
			w.url = strings.TrimSpace(string(text))
			if !strings.HasPrefix(w.url, "http") {
				w.url = "http://" + w.url
			}
			return w
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the server did not start")
	return nil
}

// measure runs a load with both clients in turns.
func (w *hubWorld) measure(l load) {
	w.Helper()
	folder, cache := filepath.Join(w.work, "load"), filepath.Join(w.work, "cache")
	defer w.remove(folder)
	seen := map[string][]transfer{}
	add := func(who, action, repo, dir string) {
		seen[action+who] = append(seen[action+who], w.run(who, action, repo, dir))
	}
	clients := []string{"go", "python"}
	for round := range l.rounds {
		var repo string
		for _, who := range clients {
			w.fill(folder, l) // what the server knows already would not be sent
			repo = w.create(fmt.Sprintf("me/n%d-%s-%d", l.files, who, round))
			add(who, "upload", repo, folder)
		}
		for _, who := range clients {
			if !wanted("download", l) {
				break
			}
			add(who, "download", repo, cache)
			w.check(cache, folder)
			w.remove(cache)
		}
		slices.Reverse(clients)
		w.remove(filepath.Join(w.dir, "large"), filepath.Join(w.dir, "parts"))
	}
	for _, action := range []string{"upload", "download"} {
		if !wanted(action, l) {
			continue
		}
		ours, theirs := summary(seen[action+"go"]), summary(seen[action+"python"])
		fmt.Printf("| %s | %.2f s | %.2f s | %.1f × | %.2f + %.2f s | %.2f + %.2f s | %.1f × | %.0f + %.0f | %.0f + %.0f |\n", l.title(action),
			ours.Seconds, theirs.Seconds, theirs.Seconds/ours.Seconds, ours.CPU, ours.serverCPU, theirs.CPU, theirs.serverCPU,
			(theirs.CPU+theirs.serverCPU)/(ours.CPU+ours.serverCPU), ours.Peak, ours.server, theirs.Peak, theirs.server)
	}
}

// run lets a client transfer once.
func (w *hubWorld) run(who, action, repo, dir string) transfer {
	w.Helper()
	// From here on the kernel counts the server's peak anew.
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", w.pid), []byte("5"), 0); err != nil {
		w.Logf("the server's peak is of all runs: %v", err)
	}
	cmd := exec.CommandContext(w.Context(), w.client)
	if who == "python" {
		cmd = exec.CommandContext(w.Context(), w.python, "testdata/hub_client.py", action, repo, dir)
	}
	cmd.Env = hubtest.PythonEnv(w, w.url, hubClient+"="+strings.Join([]string{action, w.url, repo, dir}, "|"))
	cmd.Stderr = os.Stderr
	before := cpuTime(w.pid)
	out, err := cmd.Output()
	if err != nil {
		w.Fatalf("%s %s: %v", who, action, err)
	}
	var t transfer
	if err := json.Unmarshal(out, &t); err != nil {
		w.Fatalf("%s %s said %q: %v", who, action, out, err)
	}
	t.server, t.serverCPU = highWater(w.pid), cpuTime(w.pid)-before
	return t
}

// highWater is the most memory that a process has had since the kernel began to
// count, in MB.
func highWater(pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kb float64
	if _, err := fmt.Sscanf(rest, "%f kB", &kb); err != nil {
		return 0
	}
	return kb * 1024 / 1e6
}

// cpuTime is the time on the CPU that a process has had, in seconds.
func cpuTime(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may have spaces
	fields := strings.Fields(rest)
	var ticks float64
	for _, i := range []int{11, 12} { // in user mode and in the kernel
		if i < len(fields) {
			n, _ := strconv.ParseFloat(fields[i], 64)
			ticks += n
		}
	}
	return ticks / 100
}

func (w *hubWorld) create(name string) string {
	w.Helper()
	repo, err := hub.ParseRepo(hub.Model, name)
	if err == nil {
		_, err = (&hub.Client{BaseURL: w.url}).CreateRepo(w.Context(), repo, hub.CreateOptions{})
	}
	if err != nil {
		w.Fatal(err)
	}
	return name
}

// fill writes files that were never there before. Their bulk is written once:
// only the beginning of each is new.
func (w *hubWorld) fill(folder string, l load) {
	w.Helper()
	random := rand.NewChaCha8([32]byte{9})
	for i := range l.files {
		path := filepath.Join(folder, fmt.Sprintf("d%d", i%20), fmt.Sprintf("%d.%s", i, map[bool]string{true: "bin", false: "txt"}[l.files == 1]))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			w.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			w.Fatal(err)
		}
		if info, err := f.Stat(); err == nil && info.Size() != l.size {
			_, err = io.Copy(hex.NewEncoder(f), io.LimitReader(random, l.size/2))
			if err != nil {
				w.Fatal(err)
			}
		}
		if _, err := fmt.Fprintf(io.NewOffsetWriter(f, 0), "%016x", rand.Uint64()); err != nil {
			w.Fatal(err)
		}
		if err := f.Close(); err != nil {
			w.Fatal(err)
		}
	}
}

// check makes sure that the cache has what the folder has.
func (w *hubWorld) check(cache, folder string) {
	w.Helper()
	snapshots, err := filepath.Glob(filepath.Join(cache, "models--*", "snapshots", "*"))
	if err != nil || len(snapshots) != 1 {
		w.Fatalf("the cache has the snapshots %v, %v", snapshots, err)
	}
	if out, err := exec.CommandContext(w.Context(), "diff", "-rq", "--exclude=.gitattributes", snapshots[0], folder).CombinedOutput(); err != nil {
		w.Fatalf("what was downloaded is not what was uploaded: %s", out)
	}
}

func (w *hubWorld) remove(paths ...string) {
	w.Helper()
	for _, path := range paths {
		if err := os.RemoveAll(path); err != nil {
			w.Fatal(err)
		}
	}
	for _, sub := range []string{"large", "parts"} { // the server made them when it started
		if err := os.MkdirAll(filepath.Join(w.dir, sub), 0o700); err != nil {
			w.Fatal(err)
		}
	}
}

// summary has the median times and the greatest memory.
func summary(all []transfer) transfer {
	var out transfer
	var seconds, cpu, serverCPU []float64
	for _, t := range all {
		seconds, cpu, serverCPU = append(seconds, t.Seconds), append(cpu, t.CPU), append(serverCPU, t.serverCPU)
		out.Peak, out.server = max(out.Peak, t.Peak), max(out.server, t.server)
	}
	out.Seconds, out.CPU, out.serverCPU = median(seconds), median(cpu), median(serverCPU)
	return out
}
