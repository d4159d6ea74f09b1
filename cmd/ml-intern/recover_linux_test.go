package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/llm/llmtest"
)

// A program is killed while a command of it makes a repository with a hook and a
// start file. The next one puts that right before it runs anything, and says so.
func TestKilledInACommand(t *testing.T) {
	t.Parallel()
	l := newLab(t, program(t), nil)
	s, _ := l.model(func(told) llmtest.Turn {
		return llmtest.Turn{Calls: []llmtest.TurnCall{{Name: "bash", Args: `{"command": "git init -q new && echo evil > new/.git/hooks/pre-commit && echo evil > .envrc && touch planted && sleep 300"}`}}}
	})
	defer s.Close()
	first := l.agent(s, "go")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(l.dir, "w")
	for range 1200 {
		if _, err := os.Stat(filepath.Join(work, "planted")); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // killed
	hook := filepath.Join(work, "new/.git/hooks/pre-commit")
	if _, err := os.Stat(hook); err != nil {
		t.Fatal("the command did not get that far:", err)
	}
	next, _ := l.model()
	defer next.Close()
	out, err := l.agent(next, "go").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "a command was running when the program was killed: ") || !strings.Contains(string(out), "new/.git/hooks lost what is no sample") {
		t.Errorf("%v: %s", err, out)
	}
	for _, path := range []string{hook, filepath.Join(work, ".envrc")} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", path, err)
		}
	}
}
