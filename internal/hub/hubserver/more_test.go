package hubserver_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
)

// jobList is a backend whose jobs do as the test says.
type jobList struct {
	mu   sync.Mutex
	jobs []*listed
}

type listed struct {
	hubserver.Job
	lines []hubserver.JobLine
}

// set changes a job, or adds it.
func (l *jobList) set(id string, change func(*listed)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, j := range l.jobs {
		if j.ID == id {
			change(j)
			return
		}
	}
	j := &listed{Job: hubserver.Job{ID: id, Stage: hub.JobScheduling, Created: time.Now()}}
	change(j)
	l.jobs = append(l.jobs, j)
}

// print adds lines to a job's output.
func (l *jobList) print(id string, lines ...string) {
	l.set(id, func(j *listed) {
		for _, text := range lines {
			var next int64
			if n := len(j.lines); n > 0 {
				next = j.lines[n-1].Next
			}
			j.lines = append(j.lines, hubserver.JobLine{Text: text, Next: next + int64(len(text)) + 1})
		}
	})
}

func (l *jobList) Start(_ context.Context, r hubserver.JobRequest) (hubserver.Job, error) {
	if r.Command[0] == "bad" {
		return hubserver.Job{}, fmt.Errorf("%w: no such program", hubserver.ErrBadJob)
	}
	l.mu.Lock()
	id := fmt.Sprint("s", len(l.jobs))
	l.mu.Unlock()
	var secrets []string
	for name := range r.Secrets {
		secrets = append(secrets, name)
	}
	var started hubserver.Job
	l.set(id, func(j *listed) {
		j.JobFacts, j.Command, j.Args, j.Env, j.Timeout, j.Secrets = r.JobFacts, r.Command, r.Args, r.Env, r.Timeout, secrets
		started = j.Job
	})
	return started, nil
}

func (l *jobList) Machine(context.Context) (hubserver.Machine, error) {
	return hubserver.Machine{CPUs: 4, MemoryMB: 16 << 10, GPUs: 2, GPU: "H100", GPUMemoryMB: 80 << 10}, nil
}

func (l *jobList) Usage(context.Context, string) (hubserver.Usage, bool) {
	return hubserver.Usage{CPU: 2 * time.Duration(time.Now().UnixNano()), MemoryBytes: 5, MemoryTotal: 9}, true
}

func (l *jobList) List(context.Context) ([]hubserver.Job, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []hubserver.Job
	for i := range l.jobs {
		all = append(all, l.jobs[len(l.jobs)-1-i].Job)
	}
	return all, nil
}

func (l *jobList) Get(_ context.Context, id string) (hubserver.Job, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, j := range l.jobs {
		if j.ID == id {
			return j.Job, nil
		}
	}
	return hubserver.Job{}, hubserver.ErrNoJob
}

func (l *jobList) Cancel(_ context.Context, id string) error {
	l.set(id, func(j *listed) { j.Stage, j.Finished = hub.JobCanceled, time.Now() })
	return nil
}

func (l *jobList) Logs(_ context.Context, id string, from int64) iter.Seq2[hubserver.JobLine, error] {
	return func(yield func(hubserver.JobLine, error) bool) {
		l.mu.Lock()
		var lines []hubserver.JobLine
		for _, j := range l.jobs {
			if j.ID == id {
				lines = append(lines, j.lines...)
			}
		}
		l.mu.Unlock()
		for _, line := range lines {
			if line.Next > from && !yield(line, nil) {
				return
			}
		}
	}
}

// someJobs has a job that has ended and one that runs.
func someJobs() *jobList {
	l := &jobList{}
	now := time.Now()
	l.print("done", "one", "two", "three")
	l.set("done", func(j *listed) {
		j.Name, j.Command, j.Stage, j.Started, j.Finished = "first", []string{"echo"}, hub.JobCompleted, now, now
	})
	l.set("open", func(j *listed) { j.Stage, j.Started = hub.JobRunning, now })
	return l
}

// The official Python client uses what is not about repositories.
func TestOfficialClientOfTheRest(t *testing.T) {
	t.Parallel()
	python := hubtest.Python(t)
	server := start(t, hubserver.Options{Jobs: someJobs()})
	cmd := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "more.py"), "done", "open")
	cmd.Env = hubtest.PythonEnv(t, server.URL)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil || !bytes.HasSuffix(bytes.TrimSpace(out), []byte("interop ok")) {
		t.Fatalf("the official client failed: %v", err)
	}
}
