//go:build unix

package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
)

// A login that waits for its person ends with Ctrl-C, stores nothing, and does
// not speak of sessions.
func TestInterruptedLogin(t *testing.T) {
	t.Parallel()
	exe := program(t)
	h := hubtest.StartWith(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{adaToken: {Name: "ada"}}})
	home := t.TempDir()
	c := exec.CommandContext(t.Context(), exe, "login")
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "HF_HOME=" + home, "HF_ENDPOINT=" + h.URL}
	stderr, err := c.StderrPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "waiting for you") {
			if err := c.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = c.Wait()
	exit, _ := errors.AsType[*exec.ExitError](err)
	if exit == nil || exit.ExitCode() != 130 || !strings.Contains(said.String(), "interrupted") || strings.Contains(said.String(), "--continue") {
		t.Errorf("it ended with %v and said\n%s", err, said.String())
	}
	if _, err := os.Stat(home + "/token"); err == nil {
		t.Error("there is a token")
	}
}
