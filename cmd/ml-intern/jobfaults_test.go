//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/session"
)

// A lab is the program with a model that is played, and a workspace.
type lab struct {
	*testing.T
	exe, dir string
	env      []string
	flags    []string
	jobs     []string // ids, as they were told to the model
	asked    int      // requests to the model, of all runs
}

func newLab(t *testing.T, exe string, files map[string]string) *lab {
	t.Helper()
	l := &lab{T: t, exe: exe, dir: t.TempDir()}
	for name, text := range files {
		path := filepath.Join(l.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(l.dir, "w"), 0o700); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) command(args ...string) *exec.Cmd {
	c := exec.CommandContext(l.Context(), l.exe, args...)
	c.Dir = filepath.Join(l.dir, "w")
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + l.dir, "ML_INTERN_HOME=" + filepath.Join(l.dir, "home"), "HF_HUB_OFFLINE=1"}, l.env...)
	return c
}

// told is what the model was told last, by the name of the tool.
type told map[string]string

// play runs the program against a model that makes the steps, one a request.
// A step may look at what was told before.
func (l *lab) play(steps ...func(told) llmtest.Turn) told {
	l.Helper()
	s, last := l.model(steps...)
	defer s.Close()
	if out, err := l.agent(s, "go").CombinedOutput(); err != nil {
		l.Fatalf("%v: %s", err, out)
	}
	l.asked += len(s.Seen())
	return last
}

// model makes the steps, one a request, and keeps what it was told.
func (l *lab) model(steps ...func(told) llmtest.Turn) (s *llmtest.Server, last told) {
	last = told{}
	made := make(chan struct{})
	s = llmtest.NewServerFunc(func(n int) (llmtest.Turn, bool) {
		<-made
		all := toldTo(l.T, s.Seen()[n].Body)
		for _, id := range slices.Sorted(maps.Keys(all)) { // later calls have higher numbers
			last[strings.TrimRight(id, "0123456789")] = all[id]
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
	return s, last
}

// agent is the program with that model.
func (l *lab) agent(s *llmtest.Server, args ...string) *exec.Cmd {
	c := l.command(append(append([]string{"--model", "openai/test", "--approve", "auto", "--output", "json"}, l.flags...), args...)...)
	c.Env = append(c.Env, "OPENAI_BASE_URL="+s.URL, "OPENAI_API_KEY=x")
	return c
}

func do(name string, a args) func(told) llmtest.Turn {
	return func(told) llmtest.Turn { return llmtest.Turn{Calls: []llmtest.TurnCall{use(name, a)}} }
}

// onJob is a call about the job that was submitted last.
func (l *lab) onJob(name string) func(told) llmtest.Turn {
	return func(before told) llmtest.Turn {
		var sent struct{ Job string }
		if err := json.Unmarshal([]byte(before["job_submit"]), &sent); err != nil || sent.Job == "" {
			l.Errorf("no job was submitted: %s", before["job_submit"])
		}
		l.jobs = append(l.jobs, sent.Job)
		if name == "job_wait" {
			return do(name, args{"jobs": []string{sent.Job}})(before)
		}
		return do(name, args{"job": sent.Job})(before)
	}
}

// A sight is one job as job_wait tells of it.
type sight struct {
	State, Why, Reason string
	AtRisk             string `json:"at_risk"`
	LogTail            string `json:"log_tail"`
	CostUSD, Seconds   float64
}

func (l *lab) seen(text string) sight {
	l.Helper()
	var res struct{ Jobs []sight }
	if err := json.Unmarshal([]byte(text), &res); err != nil || len(res.Jobs) != 1 {
		l.Fatalf("job_wait says %s", text)
	}
	return res.Jobs[0]
}

// Whatever ends a job, the model is told what happened in a sentence, with one
// request for the whole wait.
func TestJobFaults(t *testing.T) {
	exe := buildProgram(t)
	for name, c := range map[string]struct {
		script string
		input  args
		state  job.State
		why    string // of the explanation, the reason, or what is at risk
	}{
		"its limit":       {"import time; time.sleep(600)", args{"time_limit_s": 2}, job.TimedOut, "limit"},
		"out of memory":   {"x = bytearray(1 << 30); print(len(x))", args{"memory_mb": 200}, job.OutOfMemory, "memory"},
		"disk full":       {"f = open('/dev/full', 'w'); f.write('x' * 100000); f.flush()", nil, job.Failed, "disk"},
		"401 on push":     {"raise SystemExit('huggingface_hub.errors.HfHubHTTPError: 401 Client Error: Unauthorized for url: https://huggingface.co/api/repos/create')", nil, job.Failed, "token"},
		"killed":          {"import os, signal; os.kill(os.getpid(), signal.SIGKILL)", nil, "", "kill"},
		"nothing is left": {"print('trained')", args{"outputs": []string{"model.safetensors"}, "waivers": args{"results": "a test"}}, job.Succeeded, "did not leave model.safetensors"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, exe, map[string]string{"w/s.py": c.script + "\n"})
			input := args{"name": "x", "script": "s.py"}
			for k, v := range c.input {
				input[k] = v
			}
			got := l.seen(l.play(do("job_submit", input), l.onJob("job_wait"))["job_wait"])
			if c.state != "" && got.State != string(c.state) || !strings.Contains(strings.ToLower(got.Why+got.Reason+got.AtRisk), c.why) {
				t.Errorf("told %+v, want %s because of %q", got, c.state, c.why)
			}
			if l.asked != 3 {
				t.Errorf("%d requests", l.asked)
			}
		})
	}
	t.Run("NaN", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, exe, map[string]string{"w/s.py": "import time\nfor i in range(30): print({'loss': 2.0 - i / 30, 'step': i}, flush=True)\nprint({'loss': float('nan'), 'step': 31}, flush=True)\ntime.sleep(600)\n"})
		got := l.play(do("job_submit", args{"name": "x", "script": "s.py"}), l.onJob("job_wait"), l.onJob("job_metrics"), l.onJob("job_cancel"))
		if !strings.Contains(got["job_wait"], `"kind":"not_finite"`) || !strings.Contains(got["job_wait"], "loss is NaN") || !strings.Contains(got["job_cancel"], "canceled") {
			t.Errorf("told %v", got)
		}
		if !strings.Contains(got["job_metrics"], "loss") {
			t.Errorf("metrics are %s", got["job_metrics"])
		}
	})
	t.Run("node lost", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, exe, map[string]string{"w/s.py": "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(600)\n"})
		go l.killProcessesOfJob()
		got := l.seen(l.play(do("job_submit", args{"name": "x", "script": "s.py"}), l.onJob("job_wait"))["job_wait"])
		if got.State == string(job.Succeeded) || got.Why+got.Reason == "" {
			t.Errorf("told %+v", got)
		}
	})
	for name, fault := range paidFaults() {
		t.Run("paid, "+name, func(t *testing.T) {
			t.Parallel()
			paid(t, exe, fault)
		})
	}
}

// killProcessesOfJob kills the job and its shim, as if the machine had lost
// power.
func (l *lab) killProcessesOfJob() {
	for l.Context().Err() == nil {
		time.Sleep(100 * time.Millisecond)
		pid, err := os.ReadFile(filepath.Join(l.dir, "w", "pid"))
		if err != nil || len(pid) == 0 {
			continue
		}
		out, _ := exec.Command("pkill", "-KILL", "-f", "job-shim "+l.dir).CombinedOutput()
		var n int
		if _, err := fmt.Sscan(string(pid), &n); err == nil {
			_ = syscall.Kill(n, syscall.SIGKILL)
		}
		l.Logf("killed %s: %s", pid, out)
		return
	}
}

// A cloud is a Hub whose machines cost six dollars an hour, behind a network
// that fails.
type cloud struct {
	URL   string
	cache string       // where its jobs may write beyond their own folders
	posts atomic.Int32 // of jobs that reached the Hub
	cuts  atomic.Int32
	away  atomic.Bool // the network is, where the fault looks at it
}

// isAway is a network that carries nothing while it is away.
func isAway(c *cloud, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if c.away.Load() {
		panic(http.ErrAbortHandler)
	}
	next.ServeHTTP(w, r)
}

// paidFaults are what the network does to one exchange, by what it is called.
func paidFaults() map[string]func(c *cloud, w http.ResponseWriter, r *http.Request, next http.Handler) {
	isPost := func(r *http.Request) bool {
		return r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/api/jobs/")
	}
	pass := func(_ *cloud, w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }
	return map[string]func(*cloud, http.ResponseWriter, *http.Request, http.Handler){
		"nothing": pass,
		"the answer to the submission is lost": func(c *cloud, w http.ResponseWriter, r *http.Request, next http.Handler) {
			if isPost(r) && c.cuts.Add(1) == 1 {
				next.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		},
		"the submission is refused once": func(c *cloud, w http.ResponseWriter, r *http.Request, next http.Handler) {
			if isPost(r) && c.cuts.Add(1) == 1 {
				w.Header().Set("Retry-After", "1")
				http.Error(w, "busy", http.StatusTooManyRequests)
				return
			}
			next.ServeHTTP(w, r)
		},
		"the log is cut": func(c *cloud, w http.ResponseWriter, r *http.Request, next http.Handler) {
			if strings.HasSuffix(r.URL.Path, "/logs") && c.cuts.Add(1) <= 2 {
				rec := httptest.NewRecorder()
				next.ServeHTTP(rec, r)
				w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
				body := rec.Body.Bytes()
				_, _ = w.Write(body[:len(body)/2])
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		},
	}
}

// newCloud starts the Hub of the program itself, and stands before it.
func newCloud(t *testing.T, exe string, fault func(*cloud, http.ResponseWriter, *http.Request, http.Handler)) *cloud {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "addr")
	hub := exec.CommandContext(t.Context(), exe, "hub", "serve", "--run-jobs", "--addr", "127.0.0.1:0", "--addr-file", file)
	hub.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "ML_INTERN_HOME=" + dir}
	hub.Cancel = func() error { return hub.Process.Signal(syscall.SIGTERM) }
	if err := hub.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hub.Process.Kill(); _ = hub.Wait() })
	target, err := url.Parse("http://" + strings.TrimPrefix(addressIn(t, file), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	proxy.ModifyResponse = func(r *http.Response) error {
		if r.Request.Method == http.MethodPost && strings.HasPrefix(r.Request.URL.Path, "/api/jobs/") && r.StatusCode < 300 {
			c.posts.Add(1)
		}
		if !strings.HasSuffix(r.Request.URL.Path, "/api/jobs/hardware") {
			return nil
		}
		return dear(r)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fault(c, w, r, proxy) }))
	t.Cleanup(s.Close)
	c.cache = filepath.Join(dir, "state", "caches", "torch")
	c.URL = s.URL
	return c
}

// dear makes all hardware of the answer cost ten cents a minute.
func dear(r *http.Response) error {
	var kinds []map[string]any
	if err := json.NewDecoder(r.Body).Decode(&kinds); err != nil {
		return err
	}
	for _, k := range kinds {
		k["unitCostUSD"], k["unitCostMicroUSD"], k["unitLabel"] = 0.1, 100_000, "minute"
	}
	text, err := json.Marshal(kinds)
	if err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	r.Header.Set("Content-Length", fmt.Sprint(len(text)))
	return nil
}

// paid sends a job that costs money through a network with a fault: a script is
// tried first, a job is sent once, watched to its end, and costs what it ran.
func paid(t *testing.T, exe string, fault func(*cloud, http.ResponseWriter, *http.Request, http.Handler)) {
	c := newCloud(t, exe, fault)
	l := newLab(t, exe, map[string]string{"w/s.py": "# /// script\n# dependencies = []\n# ///\nprint('hello')\n"})
	runs := filepath.Join(c.cache, "runs")
	l.env = []string{"HF_ENDPOINT=" + c.URL, "HF_TOKEN=hf_" + strings.Repeat("a", 34), "HF_HUB_OFFLINE="}
	l.flags = []string{"--max-cost", "1.5"}
	on := func(more args) args {
		a := args{"name": "x", "backend": "hf", "flavor": "cpu-basic", "time_limit_s": 600, "waivers": args{"results": "nothing is trained"}}
		maps.Copy(a, more)
		return a
	}
	script := on(args{"script": "s.py", "time_limit_s": 1200})
	var untried, dear string
	got := l.play(
		do("job_submit", on(args{"script": "s.py"})),
		func(before told) llmtest.Turn {
			untried = before["job_submit"]
			return do("bash", args{"command": "python3 s.py"})(before)
		},
		do("job_submit", script),
		func(before told) llmtest.Turn {
			dear = before["job_submit"]
			return do("job_submit", on(args{"waivers": args{"results": "nothing is trained", "smoke": "there is no script"}, "command": []string{"sh", "-c", "echo run >>" + runs + "; for i in $(seq 200); do echo line $i; done; sleep 1"}}))(before)
		},
		l.onJob("job_wait"), l.onJob("job_logs"),
	)
	if !strings.Contains(untried, "smoke") || !strings.Contains(untried, "not sent") {
		t.Errorf("a job that was not tried: %s", untried)
	}
	if !strings.Contains(dear, "cost cap") {
		t.Errorf("past the cap: %s", dear)
	}
	if s := l.seen(got["job_wait"]); s.State != "succeeded" || !strings.Contains(got["job_logs"], "line 200") {
		t.Errorf("told %+v; the log is %s", s, got["job_logs"])
	}
	if ran, err := os.ReadFile(runs); string(ran) != "run\n" || c.posts.Load() > 1 {
		t.Errorf("it ran %q, %v; %d submissions were answered", ran, err, c.posts.Load())
	}
	l.billed()
}

// billed checks that the job is on the bill with what it ran, and that nothing
// is open.
func (l *lab) billed() {
	l.Helper()
	out, err := l.command("sessions", "ls", "--output", "json").Output()
	var all []session.Summary
	if err != nil || json.Unmarshal(out, &all) != nil || len(all) != 1 {
		l.Fatalf("%v: %s", err, out)
	}
	out, err = l.command("sessions", "show", all[0].ID, "--cost", "--output", "json").Output()
	var bill struct{ Lines []session.BillLine }
	if err != nil || json.Unmarshal(out, &bill) != nil {
		l.Fatalf("%v: %s", err, out)
	}
	jobs := 0
	for _, line := range bill.Lines {
		if line.For == "job" {
			jobs++
			if line.Cost.USD <= 0 || line.Cost.USD > 0.5 || line.Open.USD != 0 {
				l.Errorf("the bill says %+v", line)
			}
		}
	}
	if jobs != 1 {
		l.Errorf("%d jobs are on the bill: %s", jobs, out)
	}
}
