//go:build unix

package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/job"
	"ml-intern/internal/job/hubjobs"
	"ml-intern/internal/job/local"
)

// TestMain lets the test program be the shim of a job.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == ShimCommand {
		if err := local.RunShim(context.Background(), os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func testBackend(t *testing.T) local.Backend {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return local.Backend{
		Dir: filepath.Join(t.TempDir(), "jobs"), Slots: 2,
		Shim: []string{"env", "GORACE=atexit_sleep_ms=0", self, ShimCommand},
	}
}

// A job of this machine is seen through the Hub's API: while it runs, its
// output line by line, and how it ended.
func TestJobsThroughTheHub(t *testing.T) {
	t.Parallel()
	backend, dir := testBackend(t), t.TempDir()
	h := hubtest.StartWith(t, hubserver.Options{Jobs: hubjobs.Jobs{Backend: backend}})
	script := `echo one; while [ ! -e go ]; do sleep 0.05; done; printf 'two, '; sleep 0.8; echo 'and three'; printf end`
	status, err := backend.Submit(t.Context(), job.Spec{
		Name: "first", Command: []string{"sh", "-c"}, Args: []string{script}, Dir: dir, Env: map[string]string{"MODE": "fast"}, TimeLimit: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	seen, err := h.Client.GetJob(t.Context(), "", status.ID)
	if err != nil || !slices.Equal(seen.Command, []string{"sh", "-c"}) || seen.Env["MODE"] != "fast" || seen.Labels["name"] != "first" || seen.Status.Stage.Done() {
		t.Fatalf("GetJob = %+v, %v", seen, err)
	}
	var lines []string
	for line, err := range h.Client.JobLogs(t.Context(), "me", status.ID, hub.LogOptions{Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if lines = append(lines, line.Text); len(lines) == 1 {
			if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := []string{"one", "two, and three", "end"}; !slices.Equal(lines, want) {
		t.Errorf("the log is %q, want %q", lines, want)
	}
	for j, err := range h.Client.ListJobs(t.Context(), "", hub.JobFilter{Stages: []hub.JobStage{hub.JobCompleted}}) {
		if err != nil || j.ID != status.ID || j.Started.IsZero() || j.Finished.IsZero() {
			t.Errorf("ListJobs = %+v, %v", j, err)
		}
	}
}

func TestCancelThroughTheHub(t *testing.T) {
	t.Parallel()
	backend := testBackend(t)
	h := hubtest.StartWith(t, hubserver.Options{Jobs: hubjobs.Jobs{Backend: backend}})
	status, err := backend.Submit(t.Context(), job.Spec{Command: []string{"sleep", "600"}, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	j, err := h.Client.CancelJob(t.Context(), "", status.ID)
	if err != nil || j.Status.Stage != hub.JobCanceled {
		t.Errorf("CancelJob = %+v, %v", j, err)
	}
	for _, id := range []string{"none", "../" + status.ID} {
		if _, err := h.Client.GetJob(t.Context(), "me", id); !errors.Is(err, hub.ErrNotFound) {
			t.Errorf("GetJob %s: %v", id, err)
		}
	}
}

func TestHubRouter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		named     string
		env       map[string]string
		want, key string
		err       bool
	}{
		"none":        {},
		"named":       {named: "http://h:1", env: map[string]string{"LOCAL_LLM_API_KEY": "k"}, want: "http://h:1/v1", key: "k"},
		"with a path": {named: "https://h/x/v1/", want: "https://h/x/v1/"},
		"configured":  {env: map[string]string{"VLLM_BASE_URL": "http://v:8/v1", "VLLM_API_KEY": "v"}, want: "http://v:8/v1", key: "v"},
		"both":        {named: "http://h:1", env: map[string]string{"VLLM_BASE_URL": "http://v:8/v1", "VLLM_API_KEY": "v"}, want: "http://h:1/v1"},
		"no address":  {named: "h:1", err: true},
		"no host":     {named: "http:///v1", err: true},
	} {
		got, key, err := hubRouter(loaded(t, c.env), c.named)
		text := ""
		if got != nil {
			text = got.String()
		}
		if text != c.want || key != c.key || (err != nil) != c.err {
			t.Errorf("%s: %q, %q, %v", name, text, key, err)
		}
	}
}

// The server stops at once, however many logs are being followed.
func TestServeHubStopsWithOpenStreams(t *testing.T) {
	t.Parallel()
	cfg := loaded(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	address, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- ServeHub(ctx, cfg, ServeOptions{Addr: "127.0.0.1:0"}, func(url string) { address <- url })
	}()
	c := &hub.Client{BaseURL: <-address}
	space := hub.RepoID{Type: hub.Space, Namespace: "me", Name: "app"}
	if _, err := c.CreateSpace(t.Context(), hub.SpaceSpec{Repo: space, SDK: "docker"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Upload(t.Context(), space, hub.Commit{Files: []hub.File{{Path: "Dockerfile", Content: []byte("FROM x")}}}); err != nil {
		t.Fatal(err)
	}
	for line, err := range c.SpaceLogs(t.Context(), space, true, hub.LogOptions{Follow: true}) {
		if err != nil {
			break // the server is gone
		}
		if strings.Contains(line.Text, "Build Queued") {
			stop()
			if err := <-ended; err != nil {
				t.Errorf("ServeHub: %v", err)
			}
			break
		}
	}
}
