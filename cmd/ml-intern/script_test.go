package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The tests run the program as a shell would: each script in
// testdata/script is a person's or a script's use of it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ml-intern": main, "mcp-server": mcpServer})
}

// program is the program as a file. Without the race detector it is this one,
// which TestMain put on the PATH under its name; with it, that takes many times
// the memory and the time.
func program(t *testing.T) string {
	t.Helper()
	info, ok := debug.ReadBuildInfo()
	if ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return buildProgram(t)
	}
	return watchedProgram(t)
}

// watchedProgram is the program that the race detector watches, if it watches
// the tests.
func watchedProgram(t *testing.T) string {
	t.Helper()
	exe, err := exec.LookPath("ml-intern")
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// buildProgram builds the program as users get it, once.
func buildProgram(t *testing.T) string {
	t.Helper()
	exe, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

var built = sync.OnceValues(func() (string, error) {
	exe, err := exec.LookPath("ml-intern")
	if err != nil {
		return "", err
	}
	exe = filepath.Join(filepath.Dir(exe), "built", "ml-intern")
	build := exec.Command("go", "build", "-o", exe, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return exe, nil
})

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("ML_INTERN_HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("NO_COLOR", "1")
			for _, name := range []string{"HF_TOKEN", "HF_ENDPOINT", "OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY", "SLACK_BOT_TOKEN", "SLACK_CHANNEL_ID"} {
				env.Setenv(name, "")
			}
			env.Values[serverKey{}] = new(current)
			env.Values[receiverKey{}] = new(receiver)
			if err := os.WriteFile(filepath.Join(env.WorkDir, "binary"), []byte("train \xff\xfe"), 0o644); err != nil {
				return err
			}
			return os.MkdirAll(filepath.Join(env.WorkDir, "w"), 0o755)
		},
		Cmds: commands(),
	})
}
