package ray

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/job"
)

func command(t *testing.T) job.Spec {
	return job.Spec{Label: "x", Dir: t.TempDir(), Command: []string{"true"}}
}

// refusal is what Submit says at a server that answers so; nothing is
// remembered of it.
func refusal(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(answer)
	defer server.Close()
	b := Backend{Dir: t.TempDir(), URL: server.URL, Token: "hunter2"}
	s, err := b.Submit(t.Context(), command(t))
	if err == nil {
		t.Fatalf("it was accepted: %+v", s)
	}
	if all, err := b.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("refused jobs are listed: %v, %v", all, err)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the refusal tells the token: %v", err)
	}
	return err.Error()
}

func TestRedirectsDoNotTakeTheToken(t *testing.T) {
	leaked := false
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		leaked = leaked || r.Header.Get("Authorization") != ""
	}))
	defer other.Close()
	say := refusal(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusFound)
	})
	if leaked || !strings.Contains(say, other.URL) {
		t.Errorf("leaked %v, and it says %q", leaked, say)
	}
}

func TestRefusals(t *testing.T) {
	for want, answer := range map[string]http.HandlerFunc{
		"right token":         func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "Unauthorized", http.StatusUnauthorized) },
		"is no Ray dashboard": http.NotFound,
		"is not Ray":          func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"Ray 1.13.0":          func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"ray_version": "1.13.0"}`)) },
		"no node": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"ray_version": "2.60.0", "session_name": "s"}`))
		},
	} {
		if say := refusal(t, answer); !strings.Contains(say, want) {
			t.Errorf("it says %q, want %q", say, want)
		}
	}
}

// TestNoAnswer asks a head that takes requests and says nothing.
func TestNoAnswer(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	began := time.Now()
	_, err := Backend{Dir: t.TempDir(), URL: server.URL}.Submit(ctx, command(t))
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Minute {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

func zipNames(t *testing.T, data []byte) map[string]bool {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range r.File {
		names[f.Name] = true
	}
	return names
}

func TestPackage(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"train.py": "import lib.part", "lib/part.py": "x = 1", "lib/data.csv": "1,2", "big.bin": "0", "runs/old/train.py": "", ".venv/x.py": "",
		"env/pyvenv.cfg": "", "env/lib/y.py": "", "data/a/b.csv": "3", ".env": "TOKEN=1",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spec := job.Spec{Dir: dir, Script: "train.py", Inputs: []string{"data", "hf://dataset/me/x@main"}}
	files := func(shared bool) map[string]bool {
		t.Helper()
		p, err := pack(spec, shared)
		if err != nil {
			t.Fatal(err)
		}
		again, err := pack(spec, shared)
		if err != nil || again.name() != p.name() {
			t.Errorf("the same files are %s and %s, %v", p.name(), again.name(), err)
		}
		return zipNames(t, p.zip)
	}
	if got, want := files(false), (map[string]bool{shimName: true, "train.py": true, "lib/part.py": true, "data/a/b.csv": true}); !reflect.DeepEqual(got, want) {
		t.Errorf("the package has %v, want %v", got, want)
	}
	if got, want := files(true), (map[string]bool{shimName: true, "train.py": true}); !reflect.DeepEqual(got, want) {
		t.Errorf("of a shared workspace the package has %v, want %v", got, want)
	}
	for input, want := range map[string]string{
		"../x": "not inside", ".env": "file of keys", "nope": "nope", "/etc/passwd": "not inside",
	} {
		spec.Inputs = []string{input}
		if _, err := pack(spec, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the input %s: %v, want %q", input, err, want)
		}
	}
	spec.Inputs = nil
	key := "key = 'hf_" + strings.Repeat("aB3dE6gH9j", 4) + "'"
	if err := os.WriteFile(filepath.Join(dir, "lib", "part.py"), []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pack(spec, false); err == nil || !strings.Contains(err.Error(), "lib/part.py holds a key") {
		t.Errorf("a file with a key: %v", err)
	}
}

func TestEnvironment(t *testing.T) {
	header := "# /// script\n# requires-python = \">=3.10\"\n# dependencies = [\n#   \"torch>=2\", # why\n#   'trl[peft]',\n# ]\n# ///\n"
	spec := job.Spec{Dependencies: []string{"six", "torch>=2"}}
	for ray, tool := range map[string]string{"2.9.3": "pip", "2.42.1": "pip", "2.43.0": "uv", "3.0.0.dev0": "uv"} {
		env := map[string]any{}
		err := environment(spec, header, version{Ray: ray}, env)
		want := map[string]any{tool: map[string]any{"packages": []string{"six", "torch>=2", "trl[peft]"}}}
		if err != nil || !reflect.DeepEqual(env, want) {
			t.Errorf("Ray %s gets %v, %v; want %v", ray, env, err, want)
		}
	}
	if got := python(spec, header); got != ">=3.10" {
		t.Errorf("it wants Python %q", got)
	}
	for _, bad := range []string{"--index-url=http://x", "a\nb", "x @ https://me:hunter2@host/x.whl"} {
		spec.Dependencies = []string{bad}
		if err := environment(spec, "", version{Ray: "2.60.0"}, map[string]any{}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the requirement %q: %v", bad, err)
		}
	}
}

func TestVerdict(t *testing.T) {
	code := func(n int) *int { return &n }
	for name, c := range map[string]struct {
		info    jobInfo
		started bool
		state   job.State
		code    int
		reason  string
	}{
		"fine":       {jobInfo{Status: "SUCCEEDED"}, true, job.Succeeded, 0, ""},
		"stopped":    {jobInfo{Status: "STOPPED"}, true, job.Canceled, -1, "canceled"},
		"its word":   {jobInfo{Status: "FAILED", Message: "… logs:\nx\nml-intern: timed_out 143: it ran longer\n", ExitCode: code(143)}, true, job.TimedOut, 143, "longer"},
		"killed":     {jobInfo{Status: "FAILED", Message: "exit code -9", ExitCode: code(-9)}, true, job.Failed, 137, "killed"},
		"packages":   {jobInfo{Status: "FAILED", ErrorType: "RUNTIME_ENV_SETUP_FAILURE", Message: "no torch"}, false, job.Failed, -1, "no torch"},
		"no room":    {jobInfo{Status: "FAILED", ErrorType: "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"}, false, job.Failed, -1, "no node had room"},
		"node":       {jobInfo{Status: "FAILED", Message: "The actor died because its node has died. Node Id: ab"}, true, job.Preempted, -1, "taken away"},
		"memory":     {jobInfo{Status: "FAILED", Message: "1 worker(s) were killed due to the node running low on memory."}, true, job.OutOfMemory, -1, "memory"},
		"a guess":    {jobInfo{Status: "FAILED", Message: "Some common causes include: the OOM killer due to high memory usage"}, true, job.Lost, -1, "Ray lost"},
		"old, quiet": {jobInfo{Status: "FAILED"}, false, job.Lost, -1, "not known"},
	} {
		e := verdict(c.info, c.started, false)
		if e.State != c.state || e.ExitCode != c.code || !strings.Contains(e.Reason, c.reason) {
			t.Errorf("%s: it is %+v", name, e)
		}
	}
}
