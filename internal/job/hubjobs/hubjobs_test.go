//go:build unix

package hubjobs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	if len(os.Args) == 3 && os.Args[1] == "job-shim" {
		if err := local.RunShim(context.Background(), os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// machine runs jobs here.
func machine(t *testing.T) hubjobs.Jobs {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	here := local.Backend{Dir: filepath.Join(dir, "state"), Shim: []string{"env", "GORACE=atexit_sleep_ms=0", self, "job-shim"}, Slots: 2}
	return hubjobs.Jobs{Backend: here, Dir: filepath.Join(dir, "jobs"), With: func(secret func(string) (string, bool)) job.Backend {
		with := here
		with.Secret = secret
		return with
	}}
}

// The official client runs jobs: scripts/test-interop does it with each of its
// releases.
func TestPythonRunsJobs(t *testing.T) {
	t.Parallel()
	python := hubtest.Python(t)
	h := hubtest.StartWith(t, hubserver.Options{Jobs: machine(t), RunJobs: true})
	args := []string{filepath.Join("testdata", "jobs.py")}
	if _, err := exec.LookPath("uv"); err == nil {
		args = append(args, "uv")
	}
	cmd := exec.CommandContext(t.Context(), python, args...)
	cmd.Env = hubtest.PythonEnv(t, h.URL)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil || !bytes.HasSuffix(bytes.TrimSpace(out), []byte("interop ok")) {
		t.Fatalf("the official client failed: %v", err)
	}
}

func wait(t *testing.T, c *hub.Client, namespace, id string) hub.Job {
	t.Helper()
	for {
		j, err := c.GetJob(t.Context(), namespace, id)
		if err != nil || j.Status.Stage.Done() {
			if err != nil {
				t.Fatal(err)
			}
			return j
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// settle waits until no job writes to its folder any more.
func settle(t *testing.T, m hubjobs.Jobs) {
	all, err := m.List(t.Context())
	if err != nil {
		t.Error(err)
	}
	for _, j := range all {
		if _, err := job.Wait(t.Context(), m.Backend, []string{j.ID}, nil); err != nil {
			t.Error(err)
		}
	}
}

// A request with a key starts one job however often it is made, with all that
// it said.
func TestOneJobForAKey(t *testing.T) {
	t.Parallel()
	m := machine(t)
	r := hubserver.JobRequest{
		JobFacts: hubserver.JobFacts{Owner: "team", Image: "python:3.12", Flavor: "cpu-basic", Labels: map[string]string{"name": "n", "k": "v"}, Initiator: "scheduled-job", Origin: "o"},
		Key:      "o 12:00", Command: []string{"sh", "-c"}, Args: []string{"echo $A"}, Env: map[string]string{"A": "b"}, Timeout: time.Minute,
	}
	first, err := m.Start(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer settle(t, m)
	second, err := m.Start(t.Context(), r)
	if err != nil || second.ID != first.ID {
		t.Errorf("the second is %+v, %v", second, err)
	}
	if got := second; got.Owner != "team" || got.Image != r.Image || got.Flavor != r.Flavor || got.Labels["k"] != "v" || got.Origin != "o" || got.Env["A"] != "b" || got.Timeout != time.Minute {
		t.Errorf("it is %+v", got)
	}
	r.Key = ""
	if third, err := m.Start(t.Context(), r); err != nil || third.ID == first.ID {
		t.Errorf("without a key it is %+v, %v", third, err)
	}
}

// What a namespace runs is its own; what the user of this machine runs without
// the API is theirs; nobody sees secrets.
func TestWhoseJobs(t *testing.T) {
	t.Parallel()
	m := machine(t)
	tokens := map[string]hubserver.Account{"hf_me": {Name: "me"}, "hf_other": {Name: "other", Orgs: []string{"team"}}}
	h := hubtest.StartWith(t, hubserver.Options{Jobs: m, RunJobs: true, Auth: true, Tokens: tokens})
	as := func(token string) *hub.Client { return &hub.Client{BaseURL: h.URL, Token: token} }
	status, err := m.Backend.Submit(t.Context(), job.Spec{Command: []string{"true"}, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	spec := hub.JobSpec{Image: "python:3.12", Command: []string{"sh", "-c", "echo ${#MY_TOKEN}"}, Secrets: map[string]string{"MY_TOKEN": "hunter2"}}
	j, err := as("hf_other").RunJob(t.Context(), "team", spec)
	if err != nil {
		t.Fatal(err)
	}
	if done := wait(t, as("hf_other"), "team", j.ID); done.Status.Stage != hub.JobCompleted || strings.Contains(fmt.Sprint(done), "hunter2") {
		t.Errorf("it is %+v", done)
	}
	for _, c := range []struct {
		token, namespace, id string
		err                  error
	}{
		{"hf_other", "team", j.ID, nil},
		{"hf_other", "other", j.ID, hub.ErrNotFound},
		{"hf_me", "team", j.ID, hub.ErrForbidden},
		{"hf_me", "me", status.ID, nil},
		{"hf_other", "team", status.ID, hub.ErrNotFound},
	} {
		if _, err := as(c.token).GetJob(t.Context(), c.namespace, c.id); !errors.Is(err, c.err) {
			t.Errorf("%s sees %s of %s: %v", c.token, c.id, c.namespace, err)
		}
	}
	m.With = nil
	if _, err := m.Start(t.Context(), hubserver.JobRequest{Command: []string{"true"}, Secrets: spec.Secrets}); !errors.Is(err, hubserver.ErrBadJob) {
		t.Errorf("secrets where there can be none: %v", err)
	}
	settle(t, m)
}

// Working folders go when no job can need them any more, and what is not one
// stays.
func TestSweep(t *testing.T) {
	t.Parallel()
	m := machine(t)
	long := time.Now().Add(-40 * 24 * time.Hour)
	for _, name := range []string{"work-old", "other"} {
		path := filepath.Join(m.Dir, name)
		if err := errors.Join(os.MkdirAll(path, 0o700), os.Chtimes(path, long, long)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Start(t.Context(), hubserver.JobRequest{Command: []string{"true"}}); err != nil {
		t.Fatal(err)
	}
	defer settle(t, m)
	entries, err := os.ReadDir(m.Dir)
	if err != nil || len(entries) != 2 || entries[0].Name() != "other" || entries[1].Name() == "work-old" {
		t.Errorf("there are %v, %v", entries, err)
	}
}
