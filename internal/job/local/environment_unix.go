//go:build unix

package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"ml-intern/internal/confine"
	"ml-intern/internal/durable"
)

// Environments are made by uv and shared by all jobs of a Backend's Dir:
//
//	envs/locks/KEY   what the requirements of that key came to when last resolved
//	envs/NAME        the environment of the lock of that name
//	envs/NAME.whole  says that it is whole, and lists the packages: beside it, for what
//	                 packages bring can write in it while it is made
//
// Each has a lock file beside it, which is held while it is made: also by uv
// itself, so that nobody begins anew while a uv still writes whose shim was
// killed. An environment that is whole is never changed.
const (
	envsDir   = "envs"
	locksDir  = "locks"
	wholeFile = ".whole"

	requirementsFile = "requirements.py"  // of a job's folder: what it asked for
	installedFile    = "requirements.txt" // and what it got
	environmentFile  = "environment.json" // the name of the environment that has it

	// resolvedAge is how long requirements are not resolved again: a version
	// that has come out meanwhile is used from the next day on.
	resolvedAge = 24 * time.Hour

	// environmentLimit is for requirements that are large on a slow network.
	environmentLimit = time.Hour
)

// equip sees to it that what the job requires is installed. If somebody wants
// the job to end meanwhile, the error is a verdict.
func (s *shim) equip(ctx context.Context) error {
	if s.record.Requirements == nil {
		return nil
	}
	late := fmt.Errorf("its environment was not made within %v", environmentLimit)
	ctx, cancel := context.WithTimeoutCause(ctx, environmentLimit, late)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	var wish verdict
	var wg sync.WaitGroup
	wg.Go(func() {
		if wish = s.wished(ctx); wish.state != "" {
			stop(wish)
		}
	})
	err := s.makeEnvironment(ctx, *s.record.Requirements)
	stop(nil)
	wg.Wait()
	if wish.state != "" {
		return wish
	}
	return err
}

// wished returns when somebody wants the job, or this process, to end; with no
// verdict when ctx ends first.
func (s *shim) wished(ctx context.Context) verdict {
	tick := time.NewTicker(wishPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return verdict{}
		case <-s.signals:
			return s.asked()
		case <-tick.C:
			if s.canceled() {
				return s.asked()
			}
		}
	}
}

// makeEnvironment sets s.environment to a folder with what is required.
func (s *shim) makeEnvironment(ctx context.Context, r requirements) error {
	envs := filepath.Join(s.backend().Dir, envsDir)
	if err := os.MkdirAll(filepath.Join(envs, locksDir), 0o700); err != nil {
		return fmt.Errorf("make folder for environments: %w", err)
	}
	if err := durable.Replace(s.folder.path(requirementsFile), []byte(r.script())); err != nil {
		return fmt.Errorf("write requirements: %w", err)
	}
	known := filepath.Join(envs, locksDir, r.key(s.uvSettings()))
	resolved, err := s.resolve(ctx, known)
	if err != nil {
		return err
	}
	dir := filepath.Join(envs, s.environmentName(r, resolved))
	held, err := holdLock(ctx, dir+".lock", os.O_CREATE)
	if err != nil {
		return fmt.Errorf("wait for the job's environment: %w", err)
	}
	defer held.Close()
	if !whole(dir) {
		if err := s.install(ctx, held, dir); err != nil {
			// What cannot be had any more is not asked for again.
			return errors.Join(err, removeAny(known))
		}
	}
	s.environment = dir
	// While it is held, so that nobody removes it in between.
	if err := s.folder.write(environmentFile, use{filepath.Base(dir)}); err != nil {
		return err
	}
	now := time.Now()
	_ = os.Chtimes(dir+".lock", now, now) // it only seems older than it is
	installed, err := os.ReadFile(dir + wholeFile)
	if err == nil {
		err = durable.Replace(s.folder.path(installedFile), installed)
	}
	if err != nil {
		return fmt.Errorf("record what the job was given: %w", err)
	}
	return nil
}

// install makes the environment in a folder.
func (s *shim) install(ctx context.Context, held *os.File, dir string) error {
	// In this order: what is removed in part is not whole.
	if err := errors.Join(removeAny(dir+wholeFile), os.RemoveAll(dir)); err != nil {
		return fmt.Errorf("remove half an environment: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil { // uv makes none where it is confined
		return fmt.Errorf("make folder for the job's environment: %w", err)
	}
	fmt.Fprintf(s.output, "[installing %s]\n", strings.Join(dependencies(s.record.Requirements.Block), ", "))
	installed, err := s.uv(ctx, held, s.output, dir)
	if err != nil {
		return err
	}
	// Or a power cut could leave empty files in what is whole.
	if err := syncFiles(dir); err != nil {
		return fmt.Errorf("finish environment: %w", err)
	}
	if err := durable.Replace(dir+wholeFile, []byte(installed)); err != nil {
		return fmt.Errorf("finish environment: %w", err)
	}
	return nil
}

// whole reports whether there is all of an environment, and the python that it
// was made with.
func whole(dir string) bool {
	_, err := os.Stat(dir + wholeFile)
	_, gone := os.Stat(filepath.Join(dir, "bin", "python"))
	return err == nil && gone == nil
}

// environmentName is the name of the environment of a lock. One with a package
// of this disk, which may change, is the job's own.
func (s *shim) environmentName(r requirements, resolved string) string {
	if strings.Contains(resolved, "(from file:") {
		return digest(resolved, r.Python, s.record.ID)
	}
	return digest(resolved, r.Python)
}

// resolve returns the lock of what the job requires: each package, its version
// and, if it is not from an index, its place.
func (s *shim) resolve(ctx context.Context, known string) (string, error) {
	held, err := holdLock(ctx, known+".lock", os.O_CREATE)
	if err != nil {
		return "", fmt.Errorf("wait for the job's requirements: %w", err)
	}
	defer held.Close()
	old, err := os.ReadFile(known)
	info, statErr := os.Stat(known)
	if err == nil && statErr == nil && time.Since(info.ModTime()).Abs() < resolvedAge {
		return string(old), nil
	}
	resolved, resolveErr := s.uv(ctx, held, io.Discard, known+".none", "--dry-run")
	switch {
	case resolveErr != nil && err == nil && ctx.Err() == nil:
		return string(old), nil // better than nothing
	case resolveErr != nil:
		return "", resolveErr
	}
	if err := durable.Replace(known, []byte(resolved)); err != nil {
		return "", fmt.Errorf("keep what the requirements came to: %w", err)
	}
	return resolved, nil
}

// uv makes the environment in a folder what the job requires, under a lock that
// stays until uv is gone, and returns what it installs. What it says is written
// to output. Without a network, what uv has kept may do.
func (s *shim) uv(ctx context.Context, held *os.File, output io.Writer, dir string, flags ...string) (installs string, err error) {
	installs, err = s.uvOnce(ctx, held, output, dir, flags...)
	if errors.Is(err, errReadOnly) && !s.ownPythons {
		s.ownPythons = true
		installs, err = s.uvOnce(ctx, held, output, dir, flags...)
	}
	if err != nil && ctx.Err() == nil {
		if kept, again := s.uvOnce(ctx, held, output, dir, append(flags, "--offline")...); again == nil {
			return kept, nil
		}
	}
	return installs, err
}

func (s *shim) uvOnce(ctx context.Context, held *os.File, output io.Writer, dir string, flags ...string) (installs string, err error) {
	// The workspace's own project must not change what the script gets.
	args := append([]string{"sync", "--script", s.folder.path(requirementsFile), "--active", "--no-progress"}, flags...)
	if s.record.Requirements.Python != "" {
		args = append(args, "--python", s.record.Requirements.Python)
	}
	c, way, err := s.uvCommand(ctx, dir, args)
	if err != nil {
		return "", err
	}
	defer way.Close()
	s.serve(ctx, way)
	var said bytes.Buffer
	c.ExtraFiles = withWay(held, way)
	c.Stdout = io.MultiWriter(output, &said)
	c.Stderr = c.Stdout
	c.Cancel = func() error {
		_, err := family(c.Process.Pid).kill(cancelGrace)
		return err
	}
	c.WaitDelay = 10 * time.Second
	err = c.Run()
	if err == nil {
		return packages(said.String()), nil
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	words := strings.ToValidUTF8(strings.Join(strings.Fields(said.String()), " "), "\uFFFD")
	if s.record.Rules != nil && strings.Contains(words, "(os error 30)") {
		err = errReadOnly
	}
	return "", fmt.Errorf("install what the job requires: uv: %w: %s", err, clip(words, 300))
}

// uvRulesFile holds the rules of the uv that makes a job's environment.
const uvRulesFile = "uv-rules.json"

// pythonsDir is below a Backend's Dir: what uv installs of Python for jobs that
// are confined. Those of the person are not for jobs to write.
const pythonsDir = "pythons"

var errReadOnly = errors.New("it may not write somewhere")

// holdScript is a shell that keeps its open files, the lock among them, until
// the program has ended: behind walls it has none.
const holdScript = `"$@" 3<&-; exit $?`

// uvCommand is uv with the arguments. It runs what packages bring, when it
// builds them or asks a python, so it is confined like the job, and writes
// nothing but the environment and its cache.
func (s *shim) uvCommand(ctx context.Context, dir string, args []string) (*exec.Cmd, *confine.Way, error) {
	env := append(s.uvSettings(), "VIRTUAL_ENV="+dir)
	for name, value := range s.given.Secrets {
		if strings.HasPrefix(name, "UV_") { // as the password of an index; the rest is the job's only
			env = append(env, name+"="+value)
		}
	}
	argv := append([]string{s.record.Requirements.UV}, args...)
	if s.record.Rules == nil {
		c := exec.CommandContext(ctx, argv[0], argv[1:]...)
		c.Dir, c.Env, c.SysProcAttr = string(s.folder), env, &syscall.SysProcAttr{Setsid: true}
		return c, &confine.Way{}, nil
	}
	rules := *s.record.Rules
	rules.GPUs = false
	rules.Readable = append(slices.Clone(rules.Readable), s.folder.path(requirementsFile))
	rules.Writable = append(slices.Clone(rules.Writable), dir)
	if s.ownPythons {
		pythons := filepath.Join(s.backend().Dir, pythonsDir)
		if err := os.MkdirAll(pythons, 0o700); err != nil {
			return nil, nil, fmt.Errorf("make folder for Pythons: %w", err)
		}
		rules.Writable, env = append(rules.Writable, pythons), append(env, "UV_PYTHON_INSTALL_DIR="+pythons)
	}
	way, err := s.way(&rules)
	if err != nil {
		return nil, nil, err
	}
	if argv, err = s.confined(uvRulesFile, rules, argv); err != nil {
		way.Close()
		return nil, nil, err
	}
	c := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", holdScript, "sh"}, argv...)...)
	c.Dir, c.Env, c.SysProcAttr = "/", confine.Wrapped(env), &syscall.SysProcAttr{Setsid: true}
	rules.Enter(c.SysProcAttr)
	return c, way, nil
}

// packages are the lines of uv's words that say what it installs, in order.
func packages(said string) string {
	var lines []string
	for line := range strings.Lines(said) {
		if text, ok := strings.CutPrefix(line, " + "); ok {
			lines = append(lines, text)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// uvSettings is the environment of uv: the submitter's, with what the job says
// to uv.
func (s *shim) uvSettings() []string {
	env := s.record.jobEnv()
	for name, value := range s.record.Spec.Env {
		if strings.HasPrefix(name, "UV_") {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// removeAny removes a file that may not be there.
func removeAny(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
