//go:build unix

package hfjobs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/job"
	"ml-intern/internal/job/hfjobs"
	"ml-intern/internal/job/hubjobs"
	"ml-intern/internal/job/local"
)

// TestMain lets the test program be the shim of the server's jobs.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "job-shim" {
		if err := local.RunShim(context.Background(), os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 6 && os.Args[1] == "agent" {
		if err := agent(context.Background(), os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// hidden is a folder of the server's side, on which nothing is to be said of
// what our side has written.
func hidden(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hfjobs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// machine is what the jobs of a test's server run on.
func machine(t *testing.T) hubjobs.Jobs {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := hidden(t)
	here := local.Backend{Dir: filepath.Join(dir, "state"), Shim: []string{"env", "GORACE=atexit_sleep_ms=0", self, "job-shim"}, Slots: 2}
	return hubjobs.Jobs{Backend: here, Dir: filepath.Join(dir, "jobs"), With: func(secret func(string) (string, bool)) job.Backend {
		return vault{here, t, secret}
	}}
}

// vault gives secrets to the jobs of a backend through files that only the
// test knows.
type vault struct {
	job.Backend
	t      *testing.T
	secret func(string) (string, bool)
}

func (v vault) Submit(ctx context.Context, spec job.Spec) (job.Status, error) {
	dir, err, give := hidden(v.t), error(nil), ""
	for _, name := range spec.Secrets {
		value, _ := v.secret(name)
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600))
		give += fmt.Sprintf("%s=$(cat '%s/%s'); export %s; ", name, dir, name, name)
	}
	if err != nil {
		return job.Status{}, err
	}
	spec.Args = append(append([]string{"-c", give + `exec "$@"`, "sh"}, spec.Command...), spec.Args...)
	spec.Command = []string{"/bin/sh"}
	return v.Backend.Submit(ctx, spec)
}

// serve serves a Hub whose jobs run on this machine, and a backend for it.
func serve(t *testing.T) (*hubtest.Hub, *hfjobs.Backend) {
	t.Helper()
	h := hubtest.StartWith(t, hubserver.Options{Jobs: machine(t), RunJobs: true})
	return h, &hfjobs.Backend{Dir: filepath.Join(t.TempDir(), "hfjobs"), Hub: h.Client, Image: "python:3.12"}
}

// shell is the spec of a shell script.
func shell(t *testing.T, script string) job.Spec {
	t.Helper()
	return job.Spec{Dir: t.TempDir(), Command: []string{"sh", "-c", script}}
}

func submit(t *testing.T, b job.Backend, spec job.Spec) job.Status {
	t.Helper()
	s, err := b.Submit(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wait(t *testing.T, b job.Backend, id string) job.Status {
	t.Helper()
	all, err := job.Wait(t.Context(), b, []string{id}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

func text(t *testing.T, b job.Backend, id string) string {
	t.Helper()
	var out strings.Builder
	for line, err := range b.Logs(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString(line.Text + "\n")
	}
	return out.String()
}
