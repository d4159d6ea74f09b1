package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The tests run the program as a shell would: each script in
// testdata/script is a person's or a script's use of it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ml-intern": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("ML_INTERN_HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("NO_COLOR", "1")
			for _, name := range []string{"HF_TOKEN", "HF_ENDPOINT", "OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY"} {
				env.Setenv(name, "")
			}
			env.Values[serverKey{}] = new(current)
			if err := os.WriteFile(filepath.Join(env.WorkDir, "binary"), []byte("train \xff\xfe"), 0o644); err != nil {
				return err
			}
			return os.MkdirAll(filepath.Join(env.WorkDir, "w"), 0o755)
		},
		Cmds: commands(),
	})
}
