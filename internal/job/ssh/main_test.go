//go:build unix

package ssh_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/ssh"
)

// An errand is what an agent of these tests does.
type errand struct {
	Host, Program, Dir, FarDir string
	Options                    []string
	Spec                       job.Spec
}

// TestMain lets the test program be an agent that submits a job.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "agent" {
		var e errand
		err := json.Unmarshal([]byte(os.Args[2]), &e)
		if err == nil {
			b := &ssh.Backend{Host: e.Host, Program: e.Program, Dir: e.Dir, FarDir: e.FarDir, Options: e.Options}
			_, err = b.Submit(context.Background(), e.Spec)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// here returns a backend whose machine is a folder of this one.
func here(t *testing.T) *ssh.Backend {
	t.Helper()
	program, err := filepath.Abs("testdata/ssh")
	if err != nil {
		t.Fatal(err)
	}
	return &ssh.Backend{Host: "far", Program: program, Options: []string{"-F", elsewhere(t)}, Dir: filepath.Join(t.TempDir(), "state")}
}

// elsewhere is a folder that is not beside the test's own.
func elsewhere(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "far")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil { // a supervisor may be writing its last
			time.Sleep(time.Second)
			_ = os.RemoveAll(dir)
		}
	})
	return dir
}

// home is the home folder of the machine of here.
func home(b *ssh.Backend) string { return b.Options[1] }

// killAgent runs an agent that submits a job, and kills it if it has not ended
// after a while, with the ssh program that it runs or without. It reports
// whether it had to.
func killAgent(t *testing.T, b *ssh.Backend, spec job.Spec, after time.Duration, withSSH bool) bool {
	t.Helper()
	text, err := json.Marshal(errand{b.Host, b.Program, b.Dir, b.FarDir, b.Options, spec})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	agent := exec.Command(self, "agent", string(text))
	agent.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	agent.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	victim := agent.Process.Pid
	if withSSH {
		victim = -victim
	}
	timer := time.AfterFunc(after, func() { _ = syscall.Kill(victim, syscall.SIGKILL) })
	defer timer.Stop()
	return agent.Wait() != nil
}

// wait returns the status of a job that is done.
func wait(t *testing.T, b *ssh.Backend, id string) job.Status {
	t.Helper()
	all, err := job.Wait(t.Context(), b, []string{id}, nil)
	if err != nil {
		t.Fatalf("wait for job %s: %v", id, err)
	}
	return all[0]
}

func submit(t *testing.T, b *ssh.Backend, spec job.Spec) job.Status {
	t.Helper()
	s, err := b.Submit(t.Context(), spec)
	if err != nil {
		t.Fatalf("submit: %v", err)
	}
	return s
}

// untilLogged waits for a text in what a job says.
func untilLogged(t *testing.T, b *ssh.Backend, id, text string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(logged(t, b, id), text); {
		if time.Now().After(end) {
			t.Fatalf("job %s has not said %q but %q", id, text, logged(t, b, id))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func logged(t *testing.T, b *ssh.Backend, id string) string {
	t.Helper()
	var text strings.Builder
	for line, err := range b.Logs(t.Context(), id, 0) {
		if err != nil {
			t.Fatalf("logs: %v", err)
		}
		text.WriteString(line.Text + "\n")
	}
	return text.String()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// program puts a shell script among the programs of the machine of here.
func program(t *testing.T, b *ssh.Backend, name, script string) (path string) {
	t.Helper()
	path = filepath.Join(home(b), "bin", name)
	write(t, path, "#!/bin/sh\n"+script+"\n")
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}
