package preflight

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ErrNoPython means that there is no Python to ask.
var ErrNoPython = errors.New("there is no Python")

// A Program is a small one of ours that runs nothing of the script: it reads
// Input as JSON from stdin and writes JSON to stdout.
type Program struct {
	Code    string
	Input   []byte
	Version string // of the Python that is wanted, if it can be had; "" for any
}

// Python runs programs of ours.
type Python interface {
	Run(ctx context.Context, p Program) ([]byte, error)
}

// A Wall puts a command that was not started behind walls, and returns what to
// do when it has ended. What the PATH names may lie where the model writes, and
// packages bring code of their own.
type Wall func(*exec.Cmd) (done func(), err error)

// put is nothing where there is no wall.
func (w Wall) put(cmd *exec.Cmd) (done func(), err error) {
	if w == nil {
		return func() {}, nil
	}
	return w(cmd)
}

// An Interpreter is the Python of this machine. It runs apart from packages,
// the workspace and this process's environment, secrets included.
type Interpreter struct {
	Path string // python3 or python of the PATH if empty
	UV   string // uv of the PATH if empty; it finds other versions, and installs none
	Wall Wall   // around all that runs
}

const (
	pythonLimit = 30 * time.Second
	maxAnswer   = 64 << 20
)

// Run implements Python.
func (i Interpreter) Run(ctx context.Context, p Program) ([]byte, error) {
	return i.run(ctx, p, "-I", "-S")
}

//go:embed installed.py
var installedProgram string

// A Site is what a Python has: versions by the normalized names of packages,
// modules that it was asked for and lacks, and the folders where it looks.
type Site struct {
	Versions map[string]string
	Missing  []string
	Path     []string
	Python   string // which one that is
}

// Installed knows the packages of the Python that runs jobs which name none.
type Installed interface {
	Find(ctx context.Context, modules []string) (Site, error)
}

// Find implements Installed. The Python sets up its packages for it, and
// imports none.
func (i Interpreter) Find(ctx context.Context, modules []string) (Site, error) {
	input, err := json.Marshal(map[string]any{"modules": modules})
	if err != nil {
		return Site{}, fmt.Errorf("ask Python: %w", err)
	}
	out, err := i.run(ctx, Program{Code: installedProgram, Input: input})
	if err != nil {
		return Site{}, err
	}
	var site Site
	if err := json.Unmarshal(out, &site); err != nil {
		return Site{}, fmt.Errorf("read Python's answer: %w", err)
	}
	versions := map[string]string{}
	for name, version := range site.Versions {
		versions[normalized(name)] = version
	}
	site.Versions = versions
	return site, nil
}

func (i Interpreter) run(ctx context.Context, p Program, flags ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, pythonLimit)
	defer cancel()
	path, err := i.find(ctx, p.Version)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, append(flags, "-X", "utf8", "-c", p.Code)...)
	// Python may look for modules where it starts: not in a folder that others write to.
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.WaitDelay = filepath.Dir(path), bareEnviron(), bytes.NewReader(p.Input), time.Second
	out, failed := &bounded{max: maxAnswer}, &bounded{max: 4 << 10}
	cmd.Stdout, cmd.Stderr = out, failed
	done, err := i.Wall.put(cmd)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("run %s: %w: %s", path, err, lastLine(failed.String()))
	}
	return out.Bytes(), nil
}

// bareEnviron is what programs need that have no business with secrets.
func bareEnviron() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "SYSTEMROOT", "TEMP", "TMPDIR", "LD_LIBRARY_PATH", "PYENV_VERSION"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func (i Interpreter) find(ctx context.Context, version string) (string, error) {
	if i.Path != "" {
		return i.Path, nil
	}
	if uv, err := exec.LookPath(cmp.Or(i.UV, "uv")); err == nil && version != "" {
		if path, err := i.ask(ctx, uv, version); err == nil {
			return path, nil
		}
	}
	for _, name := range []string{"python3", "python"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNoPython
}

// ask asks uv where a version of Python is.
func (i Interpreter) ask(ctx context.Context, uv, version string) (string, error) {
	cmd := exec.CommandContext(ctx, uv, "python", "find", "--no-project", "--no-config", "--no-python-downloads", "--system", "--", version)
	cmd.Dir, cmd.Env, cmd.WaitDelay = filepath.Dir(uv), bareEnviron(), time.Second
	done, err := i.Wall.put(cmd)
	if err != nil {
		return "", err
	}
	defer done()
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// bounded keeps the first max bytes and lets the rest go.
type bounded struct {
	bytes.Buffer
	max int
}

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), max(b.max-b.Len(), 0))])
	return len(p), nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
