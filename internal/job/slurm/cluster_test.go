//go:build slurm

package slurm_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/slurm"
)

// faults is a backend on a cluster that can be broken.
type faults struct {
	*testing.T
	*slurm.Backend
	cluster string
	dir     string
	ctx     context.Context
}

// shell is a job that leaves a line for each time it runs.
func (f faults) shell(label, script string) job.Spec {
	return job.Spec{Label: label, Dir: f.dir, Command: []string{"sh", "-c", `echo "run $JOB_ATTEMPT" >>"` + f.trace(label) + `"; ` + script}}
}

func (f faults) trace(label string) string { return filepath.Join(f.dir, label+".trace") }

func (f faults) ran(label, want string) {
	f.Helper()
	if got, _ := os.ReadFile(f.trace(label)); string(got) != want {
		f.Errorf("%s ran %q, want %q", label, got, want)
	}
}

func (f faults) submit(spec job.Spec) job.Status {
	f.Helper()
	s, err := f.Submit(f.ctx, spec)
	if err != nil {
		f.Fatalf("submit: %v", err)
	}
	return s
}

// until waits for a state; the state "" is any final one.
func (f faults) until(id string, state job.State) job.Status {
	f.Helper()
	for {
		s, err := f.Status(f.ctx, id)
		if err == nil && (s.State == state || state == "" && s.Done()) {
			return s
		}
		if f.ctx.Err() != nil || s.Done() {
			f.Fatalf("the job is %+v, %v; want %s", s, err, state)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (f faults) started(label string) {
	f.Helper()
	for {
		if info, err := os.Stat(f.trace(label)); err == nil && info.Size() > 0 { // the shell makes it before it writes
			return
		}
		if f.ctx.Err() != nil {
			f.Fatalf("%s never started", label)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (f faults) want(s job.Status, state job.State, code int) {
	f.Helper()
	if s.State != state || s.ExitCode != code || (s.Reason == "") != (state == job.Succeeded) {
		f.Errorf("the job is %+v, want %s with %d", s, state, code)
	}
}

// run runs one of Slurm's programs.
func (f faults) run(argv ...string) string {
	f.Helper()
	out, err := exec.CommandContext(f.ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		f.Fatalf("%v: %v: %s", argv, err, out)
	}
	return string(out)
}

// bin is a folder of Slurm's programs in which one is a shell script; REAL in it
// is the real one.
func (f faults) bin(name, script string) string {
	dir := f.TempDir()
	for _, program := range []string{"sbatch", "squeue", "scontrol", "scancel", "sacct"} {
		path, err := exec.LookPath(program)
		if err != nil {
			f.Fatal(err)
		}
		text := "#!/bin/sh\nexec " + path + ` "$@"` + "\n"
		if program == name {
			text = "#!/bin/sh\n" + strings.ReplaceAll(script, "REAL", path) + "\n"
		}
		if err := os.WriteFile(filepath.Join(dir, program), []byte(text), 0o755); err != nil {
			f.Fatal(err)
		}
	}
	return dir
}

func (f faults) jobs() int {
	return strings.Count(f.run("squeue", "-h", "-t", "all", "-o", "%i"), "\n")
}

// kill ends a daemon at once.
func (f faults) kill(daemon string) {
	f.Helper()
	text, err := os.ReadFile(filepath.Join(f.cluster, "run", daemon+".pid"))
	if err != nil {
		f.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		f.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		f.Fatalf("kill %s: %v", daemon, err)
	}
}

func (f faults) start(daemon string) { f.run(filepath.Join(f.cluster, "start-"+daemon)) }

func (f faults) read(path string) string {
	data, _ := os.ReadFile(path)
	return string(data)
}

// accounts reports whether the cluster keeps some.
func accounts() bool { return os.Getenv("ML_INTERN_TEST_SLURM_ACCOUNTS") != "" }

// killProcesses kills all of a job at once, its step's daemon first.
func (f faults) killProcesses(s job.Status) {
	var pids []int
	entries, err := os.ReadDir("/proc")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		environ := f.read(filepath.Join("/proc", e.Name(), "environ"))
		title := f.read(filepath.Join("/proc", e.Name(), "cmdline"))
		switch {
		case strings.Contains(environ, "SLURM_JOB_NAME=ml."+s.ID):
			pids = append(pids, pid)
		case strings.HasPrefix(title, "slurmstepd: ["+s.Ref+".batch]") && strings.Contains(environ, f.cluster):
			pids = append([]int{pid}, pids...)
		}
	}
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// hangUp ends the connection that is kept.
func (f faults) hangUp() {
	f.Helper()
	f.run(append(slices.Clone(f.SSH), "-O", "exit", f.Host)...)
}
