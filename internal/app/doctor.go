package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"ml-intern/internal/config"
	"ml-intern/internal/dataset"
	"ml-intern/internal/llm/catalog"
	"ml-intern/internal/session"
	"ml-intern/internal/session/sqlite"
)

// A Check is one thing that doctor looked at.
type Check struct {
	Name   string
	State  string // "ok", "missing" or "note"
	Detail string
	Mend   string // what to do when it is not ok
}

const (
	stateOK      = "ok"
	stateMissing = "missing"
	stateNote    = "note"
)

// Doctor looks at what works here. It goes on without a network and without a
// store, so that it can tell why those fail.
func Doctor(ctx context.Context, cfg *config.Config) []Check {
	checks := []Check{
		{Name: "version", State: stateOK, Detail: Version() + " " + runtime.GOOS + "/" + runtime.GOARCH},
		stateCheck(cfg),
		sessionsCheck(ctx, cfg),
		program(ctx, cfg, "python", "python3", "install Python 3.10 or newer: training scripts need it"),
		program(ctx, cfg, "uv", "uv", "python3 -m pip install uv (in a virtual environment), or see docs.astral.sh/uv; without it scripts run with Python's standard library only"),
		program(ctx, cfg, "git", "git", "install git: the model uses it for your code"),
		{Name: "machine", State: stateOK, Detail: fmt.Sprintf("%d cores, %s of memory available", runtime.NumCPU(), memory())},
		policyCheck(cfg),
		modelCheck(ctx, cfg),
		researchCheck(cfg),
		hubCheck(cfg),
		accountCheck(cfg),
		servicesCheck(cfg),
		cachesCheck(cfg),
		searchCheck(cfg),
		mcpCheck(cfg),
		telemetryCheck(ctx, cfg),
		skillsCheck(cfg),
		notifyCheck(cfg),
		keyringCheck(ctx, cfg),
	}
	return append(append(checks, confinementChecks(ctx)...), gpuCheck(ctx, cfg))
}

func stateCheck(cfg *config.Config) Check {
	c := Check{Name: "state", State: stateOK, Detail: cfg.Paths.State}
	err := os.MkdirAll(cfg.Paths.State, 0o700)
	if err == nil {
		probe := filepath.Join(cfg.Paths.State, fmt.Sprintf(".doctor-%d", os.Getpid()))
		err = os.WriteFile(probe, make([]byte, 64<<10), 0o600) // an empty file fits on a full disk
		if removed := os.Remove(probe); err == nil {
			err = removed
		}
	}
	if err != nil {
		c.State, c.Detail, c.Mend = stateMissing, err.Error(), "set ML_INTERN_HOME to a folder that can be written"
	}
	return c
}

// sessionsCheck opens the store, if there is one, as every command does that
// needs sessions.
func sessionsCheck(ctx context.Context, cfg *config.Config) Check {
	c := Check{Name: "sessions", State: stateOK, Detail: "none yet"}
	file := filepath.Join(cfg.Paths.State, sessionsFile)
	if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
		return c
	}
	store, err := sqlite.Open(ctx, file)
	if err == nil {
		var found session.Found
		found, err = store.Find(ctx, session.Query{Limit: 1})
		c.Detail = fmt.Sprintf("%d in %s", found.All, file)
		err = errors.Join(err, store.Close())
	}
	if err != nil {
		c.State, c.Detail, c.Mend = stateMissing, err.Error(), "as it says: without the store no session is kept"
	}
	return c
}

// program looks for a program and asks it for its version.
func program(ctx context.Context, cfg *config.Config, name, command, mend string) Check {
	path, err := exec.LookPath(command)
	if err != nil {
		return Check{name, stateMissing, command + " is not on the PATH", mend}
	}
	if below(writtenByCommands(cfg), path) {
		return Check{Name: name, State: stateOK, Detail: path + ", which is not run here: commands can write it"}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return Check{name, stateMissing, fmt.Sprintf("%s --version: %v", path, err), mend}
	}
	return Check{Name: name, State: stateOK, Detail: strings.TrimSpace(string(out)) + " (" + path + ")"}
}

func memory() string {
	if n := dataset.AvailableMemory(); n > 0 {
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	}
	return "an unknown amount"
}

// modelCheck says which model is taken, and names the variables that are set,
// never a value.
func modelCheck(ctx context.Context, cfg *config.Config) Check {
	var set []string
	for _, name := range []string{
		"ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL", "HF_TOKEN", "HF_ROUTER_BASE_URL", "OPENROUTER_API_KEY", "OLLAMA_HOST",
		"OLLAMA_BASE_URL", "VLLM_BASE_URL", "LM_STUDIO_BASE_URL", "LLAMACPP_BASE_URL", "LOCAL_LLM_BASE_URL",
	} {
		if cfg.Getenv(name) != "" {
			set = append(set, name)
		}
	}
	here := Look(ctx, cfg)
	c := Check{Name: "model", State: stateOK, Detail: here.Model + ": " + here.Why}
	if here.Model == "" {
		c.State, c.Detail = stateNote, "no key is set; "+catalog.Builtin+" works without"
		c.Mend = "set ANTHROPIC_API_KEY, OPENAI_API_KEY, HF_TOKEN or OPENROUTER_API_KEY, or start a server such as Ollama"
	}
	if n := len(here.Local); n > 1 {
		c.Detail = fmt.Sprintf("no key is set; servers of this machine have %d models, such as %s at %s", n, here.Local[0].ID, here.Local[0].Where)
		c.Mend = "name one: --model " + here.Local[0].ID
	}
	for _, address := range here.Silent {
		c.Detail += "; nothing answers at " + address
	}
	if len(set) > 0 {
		c.Detail += "; set: " + strings.Join(set, ", ")
	}
	return c
}

func hubCheck(cfg *config.Config) Check {
	a := App{cfg: cfg}
	choice := a.hubChoice()
	if choice == LocalHub {
		return Check{"hub", stateOK, "the embedded Hub in " + hubDir(cfg), ""}
	}
	if keyring(cfg, choice).Local() == "" {
		return Check{"hub", stateNote, choice + ", without a token", "ml-intern login, or set HF_TOKEN, or use --hub local"}
	}
	return Check{Name: "hub", State: stateOK, Detail: choice + ", with a token"}
}
