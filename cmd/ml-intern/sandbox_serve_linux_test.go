package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/sandbox"
	"ml-intern/internal/sandbox/remote"
)

// A sandbox does not open without a secret; with one, nothing that runs in it
// finds the secret, and it ends with the process that started it.
func TestSandboxServe(t *testing.T) {
	t.Parallel()
	exe, dir := program(t), t.TempDir()
	const secret = "a secret of this very test"
	bare := exec.Command(exe, "sandbox", "serve", "--dir", dir, "--addr", "127.0.0.1:0")
	bare.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	if out, err := bare.CombinedOutput(); bare.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "ML_INTERN_SANDBOX_SECRET") {
		t.Errorf("without a secret: %v, %s", err, out)
	}
	file := filepath.Join(dir, "addr")
	parent := exec.Command("sh", "-c", `"$0" sandbox serve --with-parent --dir "$1/w" --addr 127.0.0.1:0 --addr-file "$1/addr" & echo $! > "$1/pid"; wait`, exe, dir)
	parent.Env = append(bare.Env, remote.SecretVariable+"="+secret)
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = parent.Process.Kill(); _ = parent.Wait() })
	c, err := remote.Connect(t.Context(), remote.Dialing{URL: "http://" + addressIn(t, file), Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	line := `env; for p in $PPID; do tr '\0' '\n' < /proc/$p/environ; tr '\0' ' ' < /proc/$p/cmdline; done; cat /proc/$PPID/fd/3 2>/dev/null; true`
	out, err := c.Exec(t.Context(), sandbox.Command{Line: line, Timeout: time.Minute})
	if err != nil || !strings.Contains(out.Text, "sandbox serve") || strings.Contains(out.Text, secret) {
		t.Errorf("a command sees %v, %s", err, out.Text)
	}
	pid, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	proc := filepath.Join("/proc", strconv.Itoa(atoi(t, string(pid))), "cmdline")
	for late := time.Now().Add(time.Minute); time.Now().Before(late); time.Sleep(50 * time.Millisecond) {
		if line, err := os.ReadFile(proc); err != nil || len(line) == 0 { // gone, or not yet buried
			return
		}
	}
	t.Error("it outlives the process that started it")
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
