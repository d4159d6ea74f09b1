//go:build linux

package ray_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/ray"
)

// A wire stands between a backend and a head, and breaks as told.
type wire struct {
	*httptest.Server
	mu    sync.Mutex
	fault func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool // whether it has answered
	posts int                                                                  // submissions that passed
}

func newWire(t *testing.T, to string) *wire {
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(target)
	pass.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	w := &wire{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		fault := w.fault
		if isSubmission(r) {
			w.posts++
		}
		w.mu.Unlock()
		if fault == nil || !fault(rw, r, pass) {
			pass.ServeHTTP(rw, r)
		}
	}))
	t.Cleanup(w.Close)
	return w
}

func isSubmission(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == "/api/jobs/"
}

func (w *wire) breaks(fault func(w http.ResponseWriter, r *http.Request, pass http.Handler) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = fault
}

func (w *wire) submissions() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.posts
}

// loseAnswer lets a submission through and cuts the line before its answer.
func loseAnswer(_ http.ResponseWriter, r *http.Request, pass http.Handler) bool {
	if isSubmission(r) {
		pass.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	return false
}

func down(http.ResponseWriter, *http.Request, http.Handler) bool { panic(http.ErrAbortHandler) }

func shell(t *testing.T, script string) job.Spec {
	return job.Spec{Dir: t.TempDir(), Command: []string{"sh", "-c", script}}
}

func submit(t *testing.T, b job.Backend, spec job.Spec) job.Status {
	t.Helper()
	s, err := b.Submit(t.Context(), spec)
	if err != nil {
		t.Fatalf("submit: %v", err)
	}
	return s
}

func wait(t *testing.T, b job.Backend, id string) job.Status {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	all, err := job.Wait(ctx, b, []string{id}, nil)
	if err != nil {
		t.Fatalf("wait: %v", err)
	}
	return all[0]
}

func text(t *testing.T, b job.Backend, id string) string {
	t.Helper()
	var all strings.Builder
	for line, err := range b.Logs(t.Context(), id, 0) {
		if err != nil {
			t.Fatalf("logs: %v", err)
		}
		all.WriteString(line.Text + "\n")
	}
	return all.String()
}

func untilLogged(t *testing.T, b job.Backend, id, what string) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		for line := range b.Logs(t.Context(), id, 0) {
			if strings.Contains(line.Text, what) {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("%q was never logged", what)
		}
	}
}

func want(t *testing.T, s job.Status, state job.State, code int, reason string) {
	t.Helper()
	if s.State != state || s.ExitCode != code || !strings.Contains(s.Reason, reason) {
		t.Errorf("the job is %s with exit code %d (%s), want %s with %d (%s)", s.State, s.ExitCode, s.Reason, state, code, reason)
	}
}

// runs is a job that leaves a trace of each time it runs.
func runs(t *testing.T) (spec job.Spec, trace string) {
	trace = filepath.Join(t.TempDir(), "trace")
	spec = shell(t, `echo ran >>"$TRACE"`)
	spec.Env, spec.Label = map[string]string{"TRACE": trace}, "once"
	return spec, trace
}

func ranOnce(t *testing.T, trace string) {
	t.Helper()
	if data, err := os.ReadFile(trace); err != nil || string(data) != "ran\n" {
		t.Errorf("the job's trace is %q, %v; it must run once", data, err)
	}
}

// TestRealFaults breaks what stands between a backend and a head.
func TestRealFaults(t *testing.T) {
	c := startCluster(t, 6, "")
	for name, check := range map[string]func(*testing.T, *wire, ray.Backend){
		"LostAnswer": lostAnswer, "LostNetwork": lostNetwork, "AgentKilled": agentKilled, "LogCut": logCut, "ResultCut": resultCut,
		"Busy": busy, "ShimKilled": shimKilled, "WorkerKilled": workerKilled, "OutOfMemory": outOfMemory, "StoppedThere": stoppedThere,
		"Deleted": deleted, "SecretsLater": secretsLater, "SecretsGone": secretsGone, "CourierFails": courierFails,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, c.url())
			b := c.backend(t)
			b.URL = w.URL
			check(t, w, b)
		})
	}
}

func lostAnswer(t *testing.T, w *wire, b ray.Backend) {
	spec, trace := runs(t)
	w.breaks(loseAnswer)
	s := submit(t, b, spec)
	w.breaks(nil)
	want(t, wait(t, b, s.ID), job.Succeeded, 0, "")
	if again := submit(t, b, spec); again.ID != s.ID {
		t.Errorf("the label gives %s, then %s", s.ID, again.ID)
	}
	ranOnce(t, trace)
}

// lostNetwork loses the answer and everything after it for a while.
func lostNetwork(t *testing.T, w *wire, b ray.Backend) {
	spec, trace := runs(t)
	w.breaks(func(rw http.ResponseWriter, r *http.Request, pass http.Handler) bool {
		if isSubmission(r) {
			w.breaks(down)
			return loseAnswer(rw, r, pass)
		}
		return false
	})
	if s, err := b.Submit(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "label") {
		t.Errorf("without a network: %+v, %v", s, err)
	}
	all, err := b.List(t.Context())
	if err == nil || len(all) != 1 {
		t.Errorf("without a network there are %v, %v", all, err)
	}
	w.breaks(nil)
	s, err := b.Find(t.Context(), spec.Label) // Ray has it
	if err != nil {
		t.Fatalf("find: %v", err)
	}
	want(t, wait(t, b, s.ID), job.Succeeded, 0, "")
	if again := submit(t, b, spec); again.ID != s.ID {
		t.Errorf("the label gives %s, then %s", s.ID, again.ID)
	}
	ranOnce(t, trace)
}

// agentKilled kills the program that submits at the moment Ray has the job,
// and once more before.
func agentKilled(t *testing.T, w *wire, b ray.Backend) {
	spec, trace := runs(t)
	for _, sent := range []bool{false, true} {
		agent := startAgent(t, b, spec)
		w.breaks(func(_ http.ResponseWriter, r *http.Request, pass http.Handler) bool {
			if !isSubmission(r) {
				return false
			}
			if sent {
				pass.ServeHTTP(httptest.NewRecorder(), r)
			}
			_ = agent.Process.Kill()
			panic(http.ErrAbortHandler)
		})
		if err := agent.Wait(); err == nil {
			t.Error("the agent was not killed")
		}
		w.breaks(nil)
		if !sent {
			if s, err := b.Find(t.Context(), spec.Label); err == nil {
				t.Errorf("what was never sent is found: %+v", s)
			}
		}
	}
	s := submit(t, b, spec)
	want(t, wait(t, b, s.ID), job.Succeeded, 0, "")
	ranOnce(t, trace)
	if all, err := b.List(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("there are %v, %v", all, err)
	}
}

// cutter ends bodies of files in their middle for so many times.
func cutter(name string, times int) func(http.ResponseWriter, *http.Request, http.Handler) bool {
	var mu sync.Mutex
	return func(rw http.ResponseWriter, r *http.Request, pass http.Handler) bool {
		mu.Lock()
		defer mu.Unlock()
		if times == 0 || !strings.HasSuffix(r.URL.Query().Get("filename"), name) {
			return false
		}
		whole := httptest.NewRecorder()
		pass.ServeHTTP(whole, r)
		if whole.Code != http.StatusOK || whole.Body.Len() < 100 {
			return false
		}
		times--
		rw.Header().Set("Content-Length", whole.Header().Get("Content-Length"))
		rw.WriteHeader(http.StatusOK)
		_, _ = rw.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
		rw.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func logCut(t *testing.T, w *wire, b ray.Backend) {
	w.breaks(cutter("/log", 3))
	s := submit(t, b, shell(t, `i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo "line $i"; done; sleep 1; echo end`))
	untilLogged(t, b, s.ID, "end")
	want(t, wait(t, b, s.ID), job.Succeeded, 0, "")
	lines := strings.Split(strings.TrimSpace(text(t, b, s.ID)), "\n")
	if len(lines) != 2001 || lines[0] != "line 1" || lines[1999] != "line 2000" {
		t.Errorf("%d lines, the first %q, the last %q", len(lines), lines[0], lines[len(lines)-1])
	}
}

func resultCut(t *testing.T, w *wire, b ray.Backend) {
	w.breaks(cutter("/big", 2))
	s := wait(t, b, submit(t, b, shell(t, `head -c 3000000 /dev/zero >"$OUTPUT_DIR/big"; ln -s /etc/passwd "$OUTPUT_DIR/link"`)).ID)
	if err := b.Collect(t.Context(), s.ID); err != nil {
		t.Fatalf("collect: %v", err)
	}
	info, err := os.Stat(filepath.Join(s.OutputDir, "big"))
	if err != nil || info.Size() != 3000000 {
		t.Errorf("the result is %v, %v", info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.OutputDir, ".*")); len(left) > 0 {
		t.Errorf("parts are left: %v", left)
	}
	if _, err := os.Lstat(filepath.Join(s.OutputDir, "link")); err == nil {
		t.Error("a link was collected")
	}
}

// busy is a head that often answers that it cannot.
func busy(t *testing.T, w *wire, b ray.Backend) {
	n := 0
	w.breaks(func(rw http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if n++; n%3 != 0 || isSubmission(r) {
			return false
		}
		http.Error(rw, "overloaded", []int{503, 429, 500}[n/3%3])
		return true
	})
	spec, trace := runs(t)
	s := submit(t, b, spec)
	want(t, wait(t, b, s.ID), job.Succeeded, 0, "")
	ranOnce(t, trace)
}

func shimKilled(t *testing.T, _ *wire, b ray.Backend) {
	s := submit(t, b, shell(t, `echo "child $$"; sleep 1; kill -9 $PPID; sleep 300`))
	done := wait(t, b, s.ID)
	want(t, done, job.Failed, 137, "killed")
	if log := text(t, b, s.ID); !strings.HasPrefix(log, "child ") {
		t.Errorf("the log is %q", log)
	}
}

// workerKilled kills the process of Ray that has the job.
func workerKilled(t *testing.T, _ *wire, b ray.Backend) {
	s := submit(t, b, shell(t, `echo begun; kill -9 $(ps -o ppid= $PPID); sleep 300`))
	done := wait(t, b, s.ID)
	if done.State != job.Lost || done.Reason == "" || !strings.Contains(done.Reason, "Ray") {
		t.Errorf("the job is %+v", done)
	}
}

func outOfMemory(t *testing.T, _ *wire, b ray.Backend) {
	spec := shell(t, "")
	spec.Command, spec.MemoryMB = []string{"python3", "-c", "x = bytearray(400 << 20); import time; time.sleep(60)"}, 200
	want(t, wait(t, b, submit(t, b, spec).ID), job.OutOfMemory, 143, "200 MB")
}

func ask(t *testing.T, method, url string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, url, resp.StatusCode, body)
	}
}

func stoppedThere(t *testing.T, _ *wire, b ray.Backend) {
	s := submit(t, b, shell(t, `echo begun; sleep 300`))
	untilLogged(t, b, s.ID, "begun")
	ask(t, http.MethodPost, b.URL+"/api/jobs/"+s.Ref+"/stop")
	want(t, wait(t, b, s.ID), job.Canceled, 143, "not from here")
}

func deleted(t *testing.T, _ *wire, b ray.Backend) {
	s := submit(t, b, shell(t, `sleep 1`))
	url := b.URL + "/api/jobs/" + s.Ref
	other := b
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodDelete, url, nil)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
	}
	want(t, wait(t, other, s.ID), job.Lost, -1, "deleted")
}

// secretsLater has secrets brought by a second program, after the first died.
func secretsLater(t *testing.T, w *wire, b ray.Backend) {
	b.Secret = func(string) (string, bool) { return "hunter2-\n'quoted' ü", true }
	spec := shell(t, `printf 'it is <%s>\n' "$API_KEY" | tee "$OUTPUT_DIR/seen"; printf 'hunter2'; sleep 0.3; printf -- '-\n'"'quoted' ü and hunter2-\n"`)
	spec.Secrets = []string{"API_KEY"}
	ctx, stop := context.WithCancel(t.Context())
	w.breaks(func(_ http.ResponseWriter, r *http.Request, pass http.Handler) bool {
		if isSubmission(r) {
			time.AfterFunc(100*time.Millisecond, stop)
		}
		return false
	})
	s, err := b.Submit(ctx, spec)
	if err != nil {
		t.Fatalf("submit: %v", err)
	}
	w.breaks(nil)
	time.Sleep(5 * time.Second) // the job waits meanwhile
	if now, err := (ray.Backend{Dir: b.Dir, URL: b.URL, Secret: func(string) (string, bool) { return "", false }}).Status(t.Context(), s.ID); now.Done() || err != nil && !strings.Contains(err.Error(), "API_KEY") {
		t.Errorf("without the secret the job is %+v, %v", now, err)
	}
	want(t, wait(t, b, s.ID), job.Succeeded, 0, "")
	log := text(t, b, s.ID)
	if log != "it is <[secret API_KEY]>\n[secret API_KEY] and hunter2-\n" {
		t.Errorf("the log is %q", log)
	}
	if err := b.Collect(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	if seen, err := os.ReadFile(filepath.Join(s.OutputDir, "seen")); string(seen) != "it is <hunter2-\n'quoted' ü>\n" {
		t.Errorf("the job got %q, %v", seen, err)
	}
}

func secretsGone(t *testing.T, w *wire, b ray.Backend) {
	spec := shell(t, "true")
	spec.Secrets = []string{"NOT_THERE"}
	if s, err := b.Submit(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "NOT_THERE") {
		t.Errorf("without the secret: %+v, %v", s, err)
	}
	if n := w.submissions(); n != 0 {
		t.Errorf("%d jobs were sent", n)
	}
}

// courierFails loses the first courier.
func courierFails(t *testing.T, w *wire, b ray.Backend) {
	b.Secret = func(string) (string, bool) { return "hunter2-hunter2", true }
	first := true
	w.breaks(func(_ http.ResponseWriter, r *http.Request, pass http.Handler) bool {
		if !isSubmission(r) {
			return false
		}
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "hunter2") {
			t.Error("a secret was sent to Ray")
		}
		changed := string(body)
		if first && strings.Contains(changed, "courier-0") {
			first, changed = false, strings.Replace(changed, "umask 077;", "exit 1;", 1)
		}
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(changed)), int64(len(changed))
		return false
	})
	spec := shell(t, `echo "${#API_KEY}"`)
	spec.Secrets = []string{"API_KEY"}
	s := submit(t, b, spec)
	want(t, wait(t, b, s.ID), job.Succeeded, 0, "")
	if log := text(t, b, s.ID); log != "15\n" {
		t.Errorf("the log is %q", log)
	}
}
