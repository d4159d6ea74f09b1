//go:build unix

package local_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/job/local"
)

const hunter = "hunter2-0123456789abcdef"

// withSecrets returns a backend of one slot that knows one secret, and the job
// that has the slot until go is there.
func withSecrets(t *testing.T) (b local.Backend, dir, blocker string) {
	t.Helper()
	b = newBackend(t)
	b.Slots = 1
	b.Secret = func(name string) (string, bool) { return hunter, name == "A_TOKEN" }
	dir = t.TempDir()
	s, err := b.Submit(t.Context(), job.Spec{Dir: dir, Command: []string{"sh", "-c", "until [ -e go ]; do sleep 0.02; done"}})
	if err != nil {
		t.Fatal(err)
	}
	untilRunning(t, b, s.ID)
	return b, dir, s.ID
}

func submitSecret(t *testing.T, b local.Backend, dir string) job.Status {
	t.Helper()
	s, err := b.Submit(t.Context(), job.Spec{
		Dir: dir, Secrets: []string{"A_TOKEN"},
		Command: []string{"sh", "-c", `echo "${#A_TOKEN} run" >>trace; printf 'it is %.9s' "$A_TOKEN"; sleep 0.3; printf '%s\n' "${A_TOKEN#?????????}"`},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSecretWaits queues a job with a secret, and kills the shim that has it.
// Whoever has the secret too can go on, anybody else says what is missing.
func TestSecretWaits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kill, knows bool
		want        job.State
	}{
		"not killed":            {false, true, job.Succeeded},
		"seen by one without":   {false, false, job.Succeeded},
		"killed, seen by owner": {true, true, job.Succeeded},
		"killed, seen without":  {true, false, job.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, dir, blocker := withSecrets(t)
			s := submitSecret(t, b, dir)
			if c.kill {
				pid := shimOf(t, s.ID)
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				for alive(pid) {
					time.Sleep(5 * time.Millisecond)
				}
			}
			if !c.knows {
				b.Secret = func(string) (string, bool) { return "", false }
			}
			if queued, err := b.Status(t.Context(), s.ID); err != nil || queued.State != job.Queued && !c.kill {
				t.Errorf("the job is %+v, %v", queued, err)
			}
			write(t, filepath.Join(dir, "go"), "")
			wait(t, b, blocker)
			done := wait(t, b, s.ID)
			if done.State != c.want || c.want == job.Failed && !strings.Contains(done.Reason, "the secret A_TOKEN") {
				t.Errorf("the job is %+v", done)
			}
			trace, _ := os.ReadFile(filepath.Join(dir, "trace"))
			if c.want == job.Succeeded && (string(trace) != "24 run\n" || logged(t, b, s.ID) != "it is [A_TOKEN]\n") {
				t.Errorf("the job left %q and said %q", trace, logged(t, b, s.ID))
			}
		})
	}
}

// TestTokenOfAnotherHub has a job go on that waited for its HF_TOKEN, by one whose
// token is for another Hub: that one is not given.
func TestTokenOfAnotherHub(t *testing.T) {
	t.Parallel()
	for hub, want := range map[string]job.State{"https://a.example": job.Succeeded, "https://b.example": job.Failed, "": job.Failed} {
		t.Run(hub, func(t *testing.T) {
			t.Parallel()
			b, dir, blocker := withSecrets(t)
			b.Secret = func(name string) (string, bool) { return hunter, name == "HF_TOKEN" }
			b.TokenHub = func() string { return "https://a.example" }
			s, err := b.Submit(t.Context(), job.Spec{Dir: dir, Secrets: []string{"HF_TOKEN"}, Command: []string{"sh", "-c", `echo "${#HF_TOKEN}" >trace`}})
			if err != nil {
				t.Fatal(err)
			}
			pid := shimOf(t, s.ID)
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			for alive(pid) {
				time.Sleep(5 * time.Millisecond)
			}
			b.TokenHub = func() string { return hub }
			if _, err := b.Status(t.Context(), s.ID); err != nil {
				t.Error(err)
			}
			write(t, filepath.Join(dir, "go"), "")
			wait(t, b, blocker)
			done := wait(t, b, s.ID)
			if done.State != want || want == job.Failed && !strings.Contains(done.Reason, "HF_TOKEN for https://a.example, and the one here is for ") {
				t.Errorf("the job is %+v", done)
			}
			if trace, _ := os.ReadFile(filepath.Join(dir, "trace")); (string(trace) == "24\n") != (want == job.Succeeded) {
				t.Errorf("it left %q", trace)
			}
		})
	}
}

// TestSecretWhileLooked lets one who has not a job's secrets look at it from
// the moment it is there, while its shim is slow to come.
func TestSecretWhileLooked(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	b.Secret = func(string) (string, bool) { return hunter, true }
	b.Shim = []string{program(t, "slow", `sleep 0.3; exec "$@"`), "env", noRaceWait, self(), "job-shim"}
	other := b
	other.Secret = func(string) (string, bool) { return "", false }
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	wg.Go(func() {
		for ctx.Err() == nil {
			if _, err := other.List(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("list: %v", err)
			}
			time.Sleep(time.Millisecond)
		}
	})
	dir := t.TempDir()
	for range 3 {
		if done := wait(t, b, submitSecret(t, b, dir).ID); done.State != job.Succeeded {
			t.Errorf("the job is %+v", done)
		}
	}
}

// TestSecretsAreRefused asks for what cannot be had, before anything is kept.
func TestSecretsAreRefused(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	b.Env = append(os.Environ(), "BIG="+strings.Repeat("x", 40<<10), "EMPTY=")
	for name, want := range map[string]string{"NOT_SET": "NOT_SET", "EMPTY": "EMPTY", "BIG": "40960 bytes"} {
		s, err := b.Submit(t.Context(), job.Spec{Dir: t.TempDir(), Command: []string{"true"}, Secrets: []string{name}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	if s, err := b.Submit(t.Context(), job.Spec{Dir: t.TempDir(), Command: []string{"true"}, Image: "pytorch"}); err == nil || !strings.Contains(err.Error(), "pytorch") {
		t.Errorf("with an image: %+v, %v", s, err)
	}
}

// TestEnvironIsTheSubmitters lets another's shim start the job.
func TestEnvironIsTheSubmitters(t *testing.T) {
	t.Parallel()
	b, dir, blocker := withSecrets(t)
	b.Env = append(os.Environ(), "TORCH_HOME=/mine", "UV_INDEX_URL=https://me:hunter2@host/simple")
	spec := job.Spec{Dir: dir, Checkpoint: "last", Command: []string{"sh", "-c", `echo "$TORCH_HOME $JOB_ATTEMPT ${CHECKPOINT#$OUTPUT_DIR}"`}}
	s, err := b.Submit(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if s.TimeLimit != time.Hour {
		t.Errorf("the time limit is %v", s.TimeLimit)
	}
	kept, err := os.ReadFile(filepath.Join(b.Dir, "jobs", s.ID, "spec.json"))
	if err != nil || strings.Contains(string(kept), "hunter2") || !strings.Contains(string(kept), "/mine") {
		t.Errorf("kept is %s, %v", kept, err)
	}
	write(t, filepath.Join(dir, "go"), "")
	wait(t, b, blocker)
	wait(t, b, s.ID)
	if got := logged(t, b, s.ID); got != "/mine 0 /last\n" {
		t.Errorf("the job saw %q", got)
	}
}
