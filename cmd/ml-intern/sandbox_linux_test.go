package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
)

// A farm is a Hub whose Spaces run on this machine, behind a network that may
// fail, and at ten cents a minute.
type farm struct {
	*lab
	url    string
	log    buffer
	spaces atomic.Int32 // that were made
	fault  func(w http.ResponseWriter, r *http.Request, next http.Handler)
}

func newFarm(t *testing.T) *farm {
	t.Helper()
	exe := buildProgram(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "addr")
	f := &farm{lab: newLab(t, exe, nil)}
	hub := exec.Command(exe, "hub", "serve", "--run-spaces", "--addr", "127.0.0.1:0", "--addr-file", file)
	hub.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "ML_INTERN_HOME=" + dir}
	hub.Stdout, hub.Stderr = &f.log, &f.log
	if err := hub.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hub.Process.Signal(syscall.SIGTERM); _ = hub.Wait() })
	target, err := url.Parse("http://" + addressIn(t, file))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	proxy.ModifyResponse = func(r *http.Response) error {
		if strings.HasSuffix(r.Request.URL.Path, "/duplicate") && r.StatusCode == http.StatusOK {
			f.spaces.Add(1)
		}
		if r.Request.URL.Path == "/api/spaces/hardware" {
			return dear(r)
		}
		return nil
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.fault != nil {
			f.fault(w, r, proxy)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	f.url = s.URL
	f.env = []string{"HF_ENDPOINT=" + s.URL, "HF_TOKEN=hf_" + strings.Repeat("a", 34), "HF_HUB_OFFLINE="}
	return f
}

// A buffer may be read while a process writes to it.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

var boxName = regexp.MustCompile(`ml-intern-sandbox-[0-9a-f]{12}`)

// there is a call in the sandbox that was created.
func there(name string, a args) func(told) llmtest.Turn {
	return func(before told) llmtest.Turn {
		with := args{"sandbox": boxName.FindString(before["sandbox_create"])}
		for k, v := range a {
			with[k] = v
		}
		return do(name, with)(before)
	}
}

// left lists the Spaces that are sandboxes.
func (f *farm) left() []string {
	f.Helper()
	var all []struct{ Name string }
	out, err := f.command("sandbox", "ls", "--output", "json").Output()
	if err != nil || json.Unmarshal(out, &all) != nil {
		f.Fatalf("sandbox ls: %v: %s", err, out)
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	return names
}

// bill is what the latest session's sandboxes cost, and how much of that is
// open.
func (f *farm) bill() (cost, open float64) {
	f.Helper()
	out, err := f.command("sessions", "ls", "--output", "json").Output()
	var all []session.Summary
	if err != nil || json.Unmarshal(out, &all) != nil || len(all) == 0 {
		f.Fatalf("%v: %s", err, out)
	}
	out, err = f.command("sessions", "show", all[0].ID, "--cost", "--output", "json").Output()
	var bill struct{ Lines []session.BillLine }
	if err != nil || json.Unmarshal(out, &bill) != nil {
		f.Fatalf("%v: %s", err, out)
	}
	for _, line := range bill.Lines {
		if line.For == "job" {
			cost, open = cost+line.Cost.USD, open+line.Open.USD
		}
	}
	return cost, open
}

// A session works on a machine elsewhere over a network that loses every third
// answer and cuts streams, pays for what it used, and leaves nothing behind.
func TestSandboxOnTheHub(t *testing.T) {
	t.Parallel()
	f := newFarm(t)
	f.flags = []string{"--max-cost", "20"}
	var n atomic.Int64
	f.fault = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		duplicate := strings.HasSuffix(r.URL.Path, "/duplicate")
		if !duplicate && (!strings.HasPrefix(r.URL.Path, "/hf.space/") || n.Add(1)%3 != 0) {
			next.ServeHTTP(w, r)
			return
		}
		if duplicate && f.spaces.Load() > 0 || strings.HasSuffix(r.URL.Path, "/output") {
			w = &cutAfter{w, 200}
			next.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(httptest.NewRecorder(), r) // done, and nobody hears of it
		if duplicate {
			w.WriteHeader(http.StatusConflict) // as another try would say
			return
		}
		panic(http.ErrAbortHandler)
	}
	var seen, running string
	got := f.play(
		do("sandbox_create", args{}),
		there("write", args{"path": "a/s.sh", "content": "echo run >> runs\nseq 3000\nenv\necho home $HOME\n"}),
		there("bash", args{"command": "sh a/s.sh; echo end"}),
		func(before told) llmtest.Turn {
			seen = before["bash"]
			ps, _ := exec.Command("ps", "-eo", "args").Output()
			running = string(ps)
			return there("edit", args{"path": "a/s.sh", "old": "seq 3000", "new": "wc -l < runs"})(before)
		},
		there("bash", args{"command": "sh a/s.sh | head -2; cat /proc/self/environ | tr '\\0' '\\n'; exit 3"}),
		there("read", args{"path": "/proc/self/environ"}),
		there("read", args{"path": "a/s.sh"}),
		do("read", args{"path": "a/s.sh"}),
	)
	if !strings.Contains(seen, "3000\n") || !strings.Contains(seen, "end\n") || !strings.Contains(seen, "[exit 0") {
		t.Errorf("the command said %.3000s", seen)
	}
	if !strings.Contains(got["bash"], "2\n") || !strings.Contains(got["bash"], "[exit 3") {
		t.Errorf("it ran more than once, or was not edited: %s", got["bash"])
	}
	if strings.Contains(got["read"], "wc -l") {
		t.Errorf("the workspace here has the file: %s", got["read"])
	}
	for what, text := range map[string]string{"env": seen, "environ": got["bash"], "processes": running} {
		if strings.Contains(text, "hf_aaaa") || strings.Contains(text, "SANDBOX_SECRET=") {
			t.Errorf("%s: a secret is there: %s", what, text)
		}
	}
	if names := f.left(); len(names) > 0 || f.spaces.Load() != 1 {
		t.Errorf("left behind: %v; %d were made", names, f.spaces.Load())
	}
	if cost, open := f.bill(); cost <= 0 || cost > 1 || open != 0 {
		t.Errorf("the bill is $%v, of which $%v are open", cost, open)
	}
	f.noSecretLeft()
}

// cutAfter breaks the connection after so many bytes.
type cutAfter struct {
	http.ResponseWriter
	left int
}

func (c *cutAfter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *cutAfter) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return c.ResponseWriter.Write(p)
}

// noSecretLeft looks for a secret that is still somewhere in the person's files.
func (f *farm) noSecretLeft() {
	f.Helper()
	err := filepath.WalkDir(filepath.Join(f.dir, "home"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && bytes.Contains(data, []byte(`"secret"`)) && bytes.Contains(data, []byte("ml-intern-sandbox-")) {
			err = fmt.Errorf("%s still has a secret: %s", path, data)
		}
		return err
	})
	if err != nil {
		f.Error(err)
	}
	if strings.Contains(f.log.String(), "SECRET=") {
		f.Errorf("the Hub's log has a secret: %s", f.log.String())
	}
}

// Past the cap no machine is started, and none that is not there.
func TestSandboxCap(t *testing.T) {
	t.Parallel()
	f := newFarm(t)
	f.flags = []string{"--max-cost", "7"}
	got := f.play(do("sandbox_create", args{"hours": 2}))
	if !strings.Contains(got["sandbox_create"], "cost cap") || f.spaces.Load() != 0 {
		t.Errorf("past the cap: %s", got["sandbox_create"])
	}
	got = f.play(do("sandbox_create", args{"hardware": "warp-core"}), do("bash", args{"sandbox": "ml-intern-sandbox-000000000000", "command": "id"}))
	if !strings.Contains(got["sandbox_create"], "warp-core") || !strings.Contains(got["sandbox_create"], "t4-small") || !strings.Contains(got["bash"], "no sandbox") {
		t.Errorf("told %v", got)
	}
}

// scripted is a model that makes the steps, one a request.
func scripted(t *testing.T, steps ...func(told) llmtest.Turn) *llmtest.Server {
	last, made := told{}, make(chan struct{})
	var s *llmtest.Server
	s = llmtest.NewServerFunc(func(n int) (llmtest.Turn, bool) {
		<-made
		for id, text := range toldTo(t, s.Seen()[n].Body) {
			last[strings.TrimRight(id, "0123456789")] = text
		}
		if n >= len(steps) {
			return llmtest.Turn{Text: "done"}, true
		}
		turn := steps[n](last)
		for i := range turn.Calls {
			turn.Calls[i].ID = fmt.Sprintf("%s%03d", turn.Calls[i].Name, 10*n+i)
		}
		return turn, true
	})
	close(made)
	t.Cleanup(s.Close)
	return s
}

// with is the program with a model.
func (f *farm) with(s *llmtest.Server, args ...string) *exec.Cmd {
	c := f.command(append([]string{"--model", "openai/test", "--approve", "auto", "--max-cost", "20"}, args...)...)
	c.Env = append(c.Env, "OPENAI_BASE_URL="+s.URL, "OPENAI_API_KEY=x")
	return c
}

// killed runs the program until something has come about, and kills it.
func (f *farm) killed(s *llmtest.Server, until func() bool, args ...string) {
	f.Helper()
	c := f.with(s, args...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		f.Fatal(err)
	}
	for late := time.Now().Add(time.Minute); time.Now().Before(late); time.Sleep(50 * time.Millisecond) {
		if until() {
			_ = c.Process.Kill()
			_ = c.Wait()
			return
		}
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	f.Fatalf("it did not get that far: %s", out.String())
}

// An agent that is killed while a command runs elsewhere finds it again: it ran
// once, and nothing of what it said is lost. One that is killed while the
// machine is being made makes no second one.
func TestSandboxOutlivesTheAgent(t *testing.T) {
	t.Parallel()
	f := newFarm(t)
	mark := filepath.Join(f.dir, "runs")
	line := "echo run >> " + mark + "; echo begun; sleep 4; echo finished"
	var commits atomic.Int32
	f.fault = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(w, r)
		if strings.HasSuffix(r.URL.Path, "/duplicate") {
			commits.Add(1)
		}
	}
	create := scripted(t, do("sandbox_create", args{}))
	f.killed(create, func() bool { return commits.Load() > 0 }, "go")
	var created string
	bash := scripted(t, func(before told) llmtest.Turn {
		created = before["sandbox_create"]
		return there("bash", args{"command": line})(before)
	})
	f.killed(bash, func() bool { _, err := os.Stat(mark); return err == nil }, "--continue")
	if !strings.Contains(created, "is ready") || f.spaces.Load() != 1 {
		t.Fatalf("%d Spaces; the call says %s", f.spaces.Load(), created)
	}
	if names := f.left(); len(names) != 1 {
		t.Fatalf("there are %v", names)
	}
	var result string
	last := scripted(t, func(before told) llmtest.Turn {
		result = before["bash"]
		return llmtest.Turn{Text: "done"}
	})
	if out, err := f.with(last, "--continue").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if runs, _ := os.ReadFile(mark); string(runs) != "run\n" || !strings.Contains(result, "begun\nfinished\n[exit 0") {
		t.Errorf("it ran %q; told %s", runs, result)
	}
	if names := f.left(); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
	if cost, open := f.bill(); cost <= 0 || open != 0 {
		t.Errorf("the bill is $%v, of which $%v are open", cost, open)
	}
}

// What a killed agent left is listed and swept from another machine too; what
// only looks like a sandbox stays.
func TestSandboxSweep(t *testing.T) {
	t.Parallel()
	f := newFarm(t)
	made := filepath.Join(f.dir, "made")
	steps := scripted(t, do("sandbox_create", args{}), func(before told) llmtest.Turn {
		return there("bash", args{"command": "touch " + made + "; sleep 60"})(before)
	})
	f.killed(steps, func() bool { _, err := os.Stat(made); return err == nil }, "go")
	ours := f.left()
	body := `{"name":"ml-intern-sandbox-0123456789ab","type":"space","sdk":"docker","private":true}`
	resp, err := http.Post(f.url+"/api/repos/create", "application/json", strings.NewReader(body))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp, err)
	}
	resp.Body.Close()
	other := newLab(t, f.exe, nil)
	other.env = f.env
	sweep := func(args ...string) (string, error) {
		out, err := other.command(append([]string{"sandbox", "sweep"}, args...)...).CombinedOutput()
		return string(out), err
	}
	if out, err := sweep("--older-than", "0s"); err == nil || !strings.Contains(out, "--yes") || len(f.left()) != 2 {
		t.Errorf("without being asked: %v, %s", err, out)
	}
	if out, err := sweep("--yes"); err != nil || len(f.left()) != 2 {
		t.Errorf("too young: %v, %s", err, out)
	}
	if out, err := sweep("--yes", "ml-intern-sandbox-0123456789ab"); err == nil || len(f.left()) != 2 {
		t.Errorf("one that is not ours: %v, %s", err, out)
	}
	if out, err := sweep("--yes", "--older-than", "0s"); err != nil || !strings.Contains(out, ours[0]+" is deleted") {
		t.Errorf("sweep: %v, %s", err, out)
	}
	if names := f.left(); len(names) != 1 || names[0] != "ml-intern-sandbox-0123456789ab" {
		t.Errorf("left: %v", names)
	}
}
